package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
)

// New returns a client of the API at a URL, such as http://localhost:5000. A call returns an
// [Error] for a status of 400 or more, so the JSON of the success is there if the error is nil and
// the request was not conditional (304). [NewClientWithResponses] leaves statuses to the caller.
func New(base string, options ...ClientOption) (*ClientWithResponses, error) {
	return NewClientWithResponses(base, append(slices.Clip(options), refusals)...)
}

// WithToken sends a bearer token with every request.
func WithToken(token string) ClientOption {
	return WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	})
}

// Users returns all users. It reads pages of at most size users, from 1 to 1000. The first error
// ends the sequence. A user who is created or deleted meanwhile may or may not be part of it.
func (c *ClientWithResponses) Users(
	ctx context.Context, size int32, editors ...RequestEditorFn,
) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		for params := (&ListUsersParams{Limit: &size}); ; {
			page, err := c.ListUsersWithResponse(ctx, params, editors...)
			if err == nil && page.JSON200 == nil {
				err = newError(page.HTTPResponse, page.Body)
			}
			if err != nil {
				yield(User{}, err)
				return
			}
			for _, user := range *page.JSON200 {
				if !yield(user, nil) {
					return
				}
			}
			link := page.Headers200.Link
			if link == nil {
				return
			}
			// Only the cursor is taken from the link, so that the token is sent to no other server.
			cursor, err := cursorOf(*link)
			if err != nil {
				yield(User{}, err)
				return
			}
			params.Cursor = &cursor
		}
	}
}

var nextLink = regexp.MustCompile(`^<([^<>]+)>; rel="next"$`)

// cursorOf returns the cursor in a Link to the next page.
func cursorOf(link string) (string, error) {
	parts := nextLink.FindStringSubmatch(link)
	if parts == nil {
		return "", fmt.Errorf("link %q does not lead to the next page", link)
	}
	next, err := url.Parse(parts[1])
	if err != nil {
		return "", fmt.Errorf("link %q: %w", link, err)
	}
	cursor := next.Query().Get("cursor")
	if cursor == "" {
		return "", fmt.Errorf("link %q has no cursor", link)
	}
	return cursor, nil
}

// CreateUserFormWithResponse creates a user from a form, with its avatar unless that is empty.
func (c *ClientWithResponses) CreateUserFormWithResponse(
	ctx context.Context, params *CreateUserParams, form NewUserForm, editors ...RequestEditorFn,
) (*CreateUserResponse, error) {
	contentType, body, err := form.encode()
	if err != nil {
		return nil, err
	}
	// A bytes.Reader has a known length and can be sent again: see http.NewRequest.
	return c.CreateUserWithBodyWithResponse(ctx, params, contentType, bytes.NewReader(body), editors...)
}

// encode returns the form as multipart/form-data.
func (f NewUserForm) encode() (contentType string, body []byte, err error) {
	var buffer bytes.Buffer
	form := multipart.NewWriter(&buffer)
	err = errors.Join(form.WriteField("name", f.Name), form.WriteField("email", f.Email))
	if err == nil && len(f.Avatar) > 0 {
		var part io.Writer
		if part, err = form.CreateFormFile("avatar", "avatar"); err == nil {
			_, err = part.Write(f.Avatar)
		}
	}
	if err = errors.Join(err, form.Close()); err != nil {
		return "", nil, fmt.Errorf("encode form: %w", err)
	}
	return form.FormDataContentType(), buffer.Bytes(), nil
}
