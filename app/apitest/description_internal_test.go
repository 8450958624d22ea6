package apitest

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/openapi"
)

// Ensure a response that is as described passes, and one that differs from it in any way does not.
func TestHold(t *testing.T) {
	t.Parallel()
	d, err := parseDescription(openapi.JSON)
	require.NoError(t, err)
	const (
		user    = `{"id":"1","name":"Ada","email":"ada@example.com","avatar_url":""}`
		problem = `{"type":"about:blank","title":"Not Found","status":404,"error":"User not found"}`
		busy    = `{"type":"about:blank","title":"Service Unavailable","status":503,"error":"Server is busy"}`
	)
	listed := header("Content-Type: application/json", "X-Request-Id: 1", `ETag: "1"`,
		"Cache-Control: private, no-cache")
	failed := header("Content-Type: application/problem+json", "X-Request-Id: 1", "Cache-Control: no-store")
	unavailable := with(failed, "Retry-After: 1")
	const unknown = "/users/d0f99d36-0dc4-44b6-bc62-b71e581b5da5"
	none := header("X-Request-Id: 1", "Cache-Control: no-store")
	charset := with(listed, "Content-Type: application/json; charset=utf-8")
	number := strings.Replace("["+user+"]", `"1"`, "1", 1)
	otherType := strings.Replace(problem, "about:blank", "urn:x", 1)
	twice := with(listed)
	twice.Add("X-Request-Id", "2")
	for name, c := range map[string]struct {
		method, path string
		status       int
		header       http.Header
		body, fault  string // fault: a word of it; "" for none
	}{
		"a list":                    {"GET", "/users", 200, listed, "[" + user + "]", ""},
		"one that is empty":         {"GET", "/users", 200, listed, "[]", ""},
		"HEAD":                      {"HEAD", "/users", 200, listed, "", ""},
		"a problem":                 {"GET", "/users/1", 404, failed, problem, ""},
		"a number in a header":      {"GET", "/users", 503, unavailable, busy, ""},
		"no operation":              {"GET", "/nothing", 404, failed, problem, ""},
		"no body":                   {"DELETE", unknown, 204, none, "", ""},
		"a parameter of a type":     {"GET", "/users", 200, charset, "[]", ""},
		"a status":                  {"GET", "/users", 418, failed, problem, "the status 418 is not described for listUsers"},
		"a header too many":         {"GET", "/users", 200, with(listed, "Retry-After: 1"), "[]", "Retry-After is not"},
		"a header too few":          {"GET", "/users", 200, with(listed, "X-Request-Id"), "[]", `"X-Request-Id" missing`},
		"a header that is wrong":    {"GET", "/users", 200, with(listed, "ETag: W/1"), "[]", "Etag"},
		"a header of no enum":       {"GET", "/users", 200, with(listed, "Cache-Control: public"), "[]", "Cache-Control"},
		"a header twice":            {"GET", "/users", 200, twice, "[]", "X-Request-Id"},
		"a number out of bounds":    {"GET", "/users", 503, with(failed, "Retry-After: 61"), busy, "at most 60"},
		"a number that is none":     {"GET", "/users", 503, with(failed, "Retry-After: soon"), busy, "invalid integer"},
		"another type":              {"GET", "/users", 200, with(listed, "Content-Type: text/html"), "[]", "Content-Type"},
		"no type":                   {"GET", "/users", 200, with(listed, "Content-Type: "), "[]", "Content-Type"},
		"no JSON":                   {"GET", "/users", 200, listed, "[", "no JSON"},
		"more than JSON":            {"GET", "/users", 200, listed, "[]]", "no JSON"},
		"no list":                   {"GET", "/users", 200, listed, user, "must be an array"},
		"a member too few":          {"GET", "/users", 200, listed, `[{"id":"1","name":"Ada","email":"a@b.c"}]`, "missing"},
		"a member too many":         {"GET", "/users", 200, listed, `[` + user[:len(user)-1] + `,"age":1}]`, "unsupported"},
		"a member of other type":    {"GET", "/users", 200, listed, number, "must be a string"},
		"another constant":          {"GET", "/users/1", 404, failed, otherType, "about:blank"},
		"a fraction":                {"GET", "/users/1", 404, failed, strings.Replace(problem, "404", "404.5", 1), "integer"},
		"a body where none is":      {"DELETE", unknown, 204, none, "x", "there is a body"},
		"a problem of no operation": {"GET", "/nothing", 404, failed, "{}", "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), c.method, "http://localhost"+c.path, http.NoBody)
			require.NoError(t, err)
			response := &Response{Method: c.method, Path: c.path, Status: c.status, Header: c.header, Body: []byte(c.body)}
			fault := d.hold(request, response)
			if c.fault == "" {
				assert.NoError(t, fault)
				return
			}
			assert.ErrorContains(t, fault, c.fault)
		})
	}
}

// header returns headers, each "Name: value".
func header(lines ...string) http.Header { return with(nil, lines...) }

// with returns headers with others added or replaced, and without those that have no value.
func with(h http.Header, lines ...string) http.Header {
	all := maps.Clone(h)
	if all == nil {
		all = http.Header{}
	}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ": ")
		all.Set(name, value)
		if !ok {
			all.Del(name)
		}
	}
	return all
}
