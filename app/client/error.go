package client

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An Error is a response with a status of 400 or more. Its Problem is from the API. If a proxy
// responded in another form, only the Status and its Title are set.
type Error struct {
	Problem

	Method, URL string        // of the request
	RequestID   string        // in the API's log; may be empty
	RetryAfter  time.Duration // in whole seconds; 0 if the response has no Retry-After
	Body        []byte        // the first 64 KiB of the response: a [NotReady] from /readyz
}

// Error implements error.
func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s: %d %s", e.Method, e.URL, e.Status, e.Title)
	for _, more := range []string{e.Problem.Error, e.Detail} {
		if more != "" {
			text.WriteString(": " + more)
		}
	}
	if e.RequestID != "" {
		text.WriteString(" (request " + e.RequestID + ")")
	}
	return text.String()
}

// maxErrorBytes bounds the body of an error that is read. The API's are much shorter.
const maxErrorBytes = 64 << 10

// newError returns the error for a response with a body, which may be cut off.
func newError(r *http.Response, body []byte) *Error {
	e := &Error{RequestID: r.Header.Get("X-Request-Id"), Body: body}
	contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if contentType != "application/problem+json" || json.Unmarshal(body, &e.Problem) != nil {
		e.Problem = Problem{}
	}
	e.Title = cmp.Or(e.Title, http.StatusText(r.StatusCode))
	e.Status = int32(r.StatusCode) //nolint:gosec // three digits, whatever the body says
	if r.Request != nil {
		e.Method, e.URL = r.Request.Method, r.Request.URL.Redacted()
	}
	if seconds, err := strconv.ParseUint(r.Header.Get("Retry-After"), 10, 31); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// refusals is the option that turns responses into errors. It is the last, around the other doer.
func refusals(c *Client) error {
	next := c.Client
	if next == nil {
		next = http.DefaultClient
	}
	c.Client = refusing{next}
	return nil
}

type refusing struct{ next HttpRequestDoer }

// Do implements [HttpRequestDoer].
func (d refusing) Do(r *http.Request) (*http.Response, error) {
	response, err := d.next.Do(r)
	if err != nil || response.StatusCode < http.StatusBadRequest {
		return response, err
	}
	defer func() { _ = response.Body.Close() }()
	// The status counts even if the body breaks off.
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBytes))
	return nil, newError(response, body)
}
