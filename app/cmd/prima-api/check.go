package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"prima.internal/app/config"
)

// checkTimeout bounds a check as a whole.
const checkTimeout = time.Minute

// check uses a deployed API as a client would, with an access token unless that is empty: it creates a
// user, finds it in the list and deletes it.
// What it created is deleted also when something else fails.
func check(ctx context.Context, base, token string, out io.Writer) (err error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("%q is not the URL of an API, such as http://localhost:5000", base)
	}
	c := client{base: strings.TrimRight(base, "/"), token: token, out: out}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()

	var created struct{ ID string }
	if err := c.call(ctx, http.MethodPost, config.PathUsers, `{"name":"prima-api check","email":"check@example.com"}`, http.StatusCreated, &created); err != nil {
		return err
	}
	path := config.PathUsers + "/" + url.PathEscape(created.ID)
	defer func() {
		if deleted := c.call(context.WithoutCancel(ctx), http.MethodDelete, path, "", http.StatusNoContent, nil); err == nil {
			err = deleted
		}
	}()
	var user struct{ ID, Name, Email string }
	if err := c.call(ctx, http.MethodGet, path, "", http.StatusOK, &user); err != nil {
		return err
	}
	if user.ID != created.ID || user.Email != "check@example.com" {
		return fmt.Errorf("the user was read as %+v", user)
	}
	return c.find(ctx, created.ID)
}

// find looks for a user in the list, which may lag behind by a moment.
func (c client) find(ctx context.Context, id string) error {
	for {
		var users []struct{ ID string }
		if err := c.call(ctx, http.MethodGet, config.PathUsers, "", http.StatusOK, &users); err != nil {
			return err
		}
		if slices.ContainsFunc(users, func(u struct{ ID string }) bool { return u.ID == id }) {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("the user is not among the %d of the list", len(users))
		}
	}
}

// A client calls an API and says what it does.
type client struct {
	base  string
	token string
	out   io.Writer
}

// call sends a request, JSON unless body is empty, and reads the JSON of the answer into result, unless that is nil.
func (c client) call(ctx context.Context, method, path, body string, want int, result any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	_, _ = fmt.Fprintf(c.out, "%s %s: %s\n", method, path, response.Status)
	if response.StatusCode != want {
		return fmt.Errorf("%s %s was answered %s: %s", method, path, response.Status, bytes.TrimSpace(answer))
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return fmt.Errorf("%s %s was answered %.200q: %w", method, path, answer, err)
	}
	return nil
}
