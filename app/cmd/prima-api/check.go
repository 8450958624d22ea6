package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"prima.internal/app/config"
)

// checkTimeout bounds a check, and once more the removal of what it created.
const checkTimeout = 30 * time.Second

// runCheck uses the API at a URL as a client would. It returns the exit status.
func runCheck(url string, environ []string, stdout, stderr io.Writer) int {
	c := client{base: strings.TrimRight(url, "/"), out: stdout}
	for _, entry := range environ {
		if token, ok := strings.CutPrefix(entry, "API_TOKEN="); ok {
			c.token = token
		}
	}
	if err := c.check(context.Background(), checkTimeout); err != nil {
		_, _ = fmt.Fprintf(stderr, "prima-api check %s: %v\n", url, err)
		return 1
	}
	return 0
}

// A client calls a deployed API and prints what it does.
type client struct {
	base  string
	token string // may be empty
	out   io.Writer
}

// check creates a user, finds it, and deletes it. It deletes it also if it was not found.
func (c client) check(ctx context.Context, timeout time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := c.call(limited, http.MethodPost, config.PathUsers,
		`{"name":"prima-api check","email":"check@example.com"}`, http.StatusCreated)
	if err != nil {
		return err
	}
	var created struct{ ID string }
	if err := json.Unmarshal(body, &created); err != nil || created.ID == "" {
		return fmt.Errorf("the user that was created has no id: %.200q", body)
	}
	path := config.PathUsers + "/" + created.ID
	if err = c.await(limited, path, created.ID); err == nil {
		err = c.await(limited, config.PathUsers, created.ID)
	}
	removing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, failure := c.call(removing, http.MethodDelete, path, "", http.StatusNoContent); err == nil {
		err = failure
	}
	return err
}

// await waits until a path shows a user, because the list may lag behind by a moment.
func (c client) await(ctx context.Context, path, id string) error {
	for {
		body, err := c.call(ctx, http.MethodGet, path, "", http.StatusOK)
		if err != nil || bytes.Contains(body, []byte(id)) {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("GET %s does not show the user %s", path, id)
		}
	}
}

// call sends a request, with a JSON body if there is one, and returns the body of the response.
func (c client) call(ctx context.Context, method, path, body string, status int) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	_, _ = fmt.Fprintf(c.out, "%s %s: %s\n", method, path, response.Status)
	if err == nil && response.StatusCode != status {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(data))
	}
	return data, err
}
