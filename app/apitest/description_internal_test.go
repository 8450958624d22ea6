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

// Ensure an answer that is as described is let through, and one that is not is a fault, in each way in which it can be another.
func TestHold(t *testing.T) {
	t.Parallel()
	d, err := parseDescription(openapi.JSON)
	require.NoError(t, err)
	const (
		user    = `{"id":"1","name":"Ada","email":"ada@example.com","avatar_url":""}`
		problem = `{"type":"about:blank","title":"Not Found","status":404,"error":"User not found"}`
		busy    = `{"type":"about:blank","title":"Service Unavailable","status":503,"error":"Server is busy"}`
	)
	listed := header("Content-Type: application/json", "X-Request-Id: 1", `ETag: "1"`, "Cache-Control: private, no-cache")
	failed := header("Content-Type: application/problem+json", "X-Request-Id: 1", "Cache-Control: no-store")
	unavailable := with(failed, "Retry-After: 1")
	for name, c := range map[string]struct {
		method, path string
		status       int
		header       http.Header
		body, fault  string // fault: "" for none
	}{
		"a list":                    {"GET", "/users", 200, listed, "[" + user + "]", ""},
		"one that is empty":         {"GET", "/users", 200, listed, "[]", ""},
		"HEAD":                      {"HEAD", "/users", 200, listed, "", ""},
		"a problem":                 {"GET", "/users/1", 404, failed, problem, ""},
		"a number in a header":      {"GET", "/users", 503, unavailable, busy, ""},
		"no operation":              {"GET", "/nothing", 404, failed, problem, ""},
		"no body":                   {"DELETE", "/users/d0f99d36-0dc4-44b6-bc62-b71e581b5da5", 204, header("X-Request-Id: 1", "Cache-Control: no-store"), "", ""},
		"a parameter of a type":     {"GET", "/users", 200, with(listed, "Content-Type: application/json; charset=utf-8"), "[]", ""},
		"a status":                  {"GET", "/users", 418, failed, problem, "the status 418 is not described for listUsers"},
		"a header too many":         {"GET", "/users", 200, with(listed, "Retry-After: 1"), "[]", "the header Retry-After is not described"},
		"a header too few":          {"GET", "/users", 200, header("Content-Type: application/json", "Cache-Control: private, no-cache"), "[]", "the header X-Request-Id is missing"},
		"a header of another form":  {"GET", "/users", 200, with(listed, "ETag: W/1"), "[]", "the header Etag: jsonschema"},
		"a header that is no enum":  {"GET", "/users", 200, with(listed, "Cache-Control: public"), "[]", "the header Cache-Control: jsonschema"},
		"a header twice":            {"GET", "/users", 200, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"1", "2"}, "Etag": {`"1"`}, "Cache-Control": {"private, no-cache"}}, "[]", "the header X-Request-Id is there more than once"},
		"a number out of bounds":    {"GET", "/users", 503, with(failed, "Retry-After: 61"), busy, "the header Retry-After: jsonschema"},
		"a number that is none":     {"GET", "/users", 503, with(failed, "Retry-After: soon"), busy, "the header Retry-After: strconv"},
		"another type":              {"GET", "/users", 200, with(listed, "Content-Type: text/html"), "[]", "the body is text/html"},
		"no type":                   {"GET", "/users", 200, with(listed, "Content-Type: "), "[]", "mime: no media type"},
		"no JSON":                   {"GET", "/users", 200, listed, "[", "unexpected EOF"},
		"more than JSON":            {"GET", "/users", 200, listed, "[]]", "invalid character"},
		"no list":                   {"GET", "/users", 200, listed, user, "got object, want array"},
		"a member too few":          {"GET", "/users", 200, listed, `[{"id":"1","name":"Ada","email":"a@b.c"}]`, "missing property 'avatar_url'"},
		"a member too many":         {"GET", "/users", 200, listed, `[{"id":"1","name":"Ada","email":"a@b.c","avatar_url":"","age":1}]`, "additional properties 'age' not allowed"},
		"a member of another type":  {"GET", "/users", 200, listed, `[{"id":1,"name":"Ada","email":"a@b.c","avatar_url":""}]`, "got number, want string"},
		"another constant":          {"GET", "/users/1", 404, failed, `{"type":"urn:x","title":"Not Found","status":404,"error":"x"}`, "value must be 'about:blank'"},
		"a number with a fraction":  {"GET", "/users/1", 404, failed, `{"type":"about:blank","title":"Not Found","status":404.5,"error":"x"}`, "want integer"},
		"a body where none is":      {"DELETE", "/users/d0f99d36-0dc4-44b6-bc62-b71e581b5da5", 204, header("X-Request-Id: 1", "Cache-Control: no-store"), "x", "there is a body, of 1 bytes"},
		"a path that is not found":  {"DELETE", "/users", 404, failed, problem, "a path that is described is not found"},
		"a problem of no operation": {"GET", "/nothing", 404, failed, "{}", "missing properties"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), c.method, "http://localhost"+c.path, http.NoBody)
			require.NoError(t, err)
			fault := d.hold(request, nil, false, &Response{Method: c.method, Path: c.path, Status: c.status, Header: c.header, Body: []byte(c.body)})
			if c.fault == "" {
				assert.NoError(t, fault)
				return
			}
			assert.ErrorContains(t, fault, c.fault)
		})
	}
}

// Ensure a request that was accepted is as described, unless it is said to be beyond that, which must then be true.
func TestHoldRequest(t *testing.T) {
	t.Parallel()
	d, err := parseDescription(openapi.JSON)
	require.NoError(t, err)
	accepted := &Response{Method: "POST", Path: "/user", Status: 201, Body: []byte(`{"message":"User created successfully","id":"1","avatar_url":""}`), Header: header(
		"Content-Type: application/json", "X-Request-Id: 1", "Cache-Control: no-store", "Location: http://localhost/users/d0f99d36-0dc4-44b6-bc62-b71e581b5da5")}
	refused := &Response{
		Method: "POST", Path: "/user", Status: 400, Header: header("Content-Type: application/problem+json", "X-Request-Id: 1", "Cache-Control: no-store"),
		Body: []byte(`{"type":"about:blank","title":"Bad Request","status":400,"error":"Invalid JSON"}`),
	}
	const within, outside = `{"name":"Ada","email":"ada@example.com"}`, `{"name":1,"email":"ada@example.com"}`
	for name, c := range map[string]struct {
		body   string
		beyond bool
		answer *Response
		fault  string
	}{
		"within, accepted":                       {within, false, accepted, ""},
		"outside, refused":                       {outside, false, refused, ""},
		"within, refused":                        {within, false, refused, ""}, // such as a name that nobody can read
		"outside, accepted as was said":          {outside, true, accepted, ""},
		"outside, accepted":                      {outside, false, accepted, "the request was accepted, and is not as described"},
		"within, accepted, said to be outside":   {within, true, accepted, "is said to be beyond the description, and is within"},
		"outside, refused, said to be accepted":  {outside, true, refused, "is said to be accepted beyond the description, and was refused"},
		"no JSON at all, and accepted":           {"{", false, accepted, "the request was accepted, and is not as described"},
		"a type that is not described, accepted": {"", false, accepted, "the request was accepted, and is not as described"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/user", http.NoBody)
			require.NoError(t, err)
			request.Header = header("Content-Type: application/json")
			copied := *c.answer
			fault := d.hold(request, []byte(c.body), c.beyond, &copied)
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

// with returns headers with others in their place, or beside them.
func with(h http.Header, lines ...string) http.Header {
	all := maps.Clone(h)
	if all == nil {
		all = http.Header{}
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		all.Set(name, value)
	}
	return all
}
