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

// An Error is an answer that is not what was asked for. Its Problem is what the API said, or, where something in between has answered
// in another form, has the Status and its Title alone.
type Error struct {
	Problem

	Method, URL string        // of the request
	RequestID   string        // by which the API's log knows the request; may be empty
	RetryAfter  time.Duration // when to come again, in whole seconds; 0 where the answer does not say
	Body        []byte        // the first 64 KiB of the answer: of /readyz it is a [NotReady]
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

// maxErrorBytes are read of an answer that is not a success. Those of the API are much shorter.
const maxErrorBytes = 64 << 10

// newError makes an error of an answer whose body is, or begins with, body.
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

// refusals is the option that makes errors of answers. It is the last, around whatever does the requests.
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
	// An answer that breaks off is one all the same: its status says what became of the request.
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBytes))
	return nil, newError(response, body)
}
