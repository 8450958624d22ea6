package apitest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// everyResponse is about headers that a client may send with every request.
func (s *suite) everyResponse(t *testing.T) {
	created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
	user, avatar := "/users/"+created.ID, "/users/"+created.ID+"/avatar"
	etag := s.Do(t, "GET", avatar, nil).Header.Get("Etag")

	// Ensure a client finds its own request in the log, and any other request has a new id.
	t.Run("a request id that was sent comes back", func(t *testing.T) {
		seen := map[string]bool{"": true}
		for _, id := range []string{"", "a", Marker(), "A-Z_a.z-0", unknownID(), strings.Repeat("i", 128)} {
			for _, row := range []struct {
				status             int
				method, path, body string
			}{
				{200, "GET", "/health", ""},
				{200, "GET", "/readyz", ""},
				{200, "GET", "/users", ""},
				{200, "GET", "/users?limit=1", ""},
				{200, "GET", user, ""},
				{200, "GET", avatar, ""},
				{200, "HEAD", avatar, ""},
				{304, "GET", avatar, ""},
				{201, "POST", "/users", object("name", "Ann", "email", Email())},
				{204, "DELETE", "/users/" + s.CreateJSON(t, "Ann", Email()).ID, ""},
				{400, "POST", "/users", `{}`},
				{404, "GET", "/nothing", ""},
				{404, "GET", "/users/" + unknownID(), ""},
				{405, "PUT", "/users", ""},
				{413, "POST", "/users", `{"name":"` + strings.Repeat("n", maxJSONBytes)},
				{415, "PUT", avatar, "x"},
			} {
				header := []string{"Content-Type: application/json"}
				if id != "" {
					header = append(header, "X-Request-Id: "+id)
				}
				if row.status == http.StatusNotModified {
					header = append(header, "If-None-Match: "+etag)
				}
				r := s.Do(t, row.method, row.path, strings.NewReader(row.body), header...).Is(t, row.status)
				got := r.Header.Get("X-Request-Id")
				assert.True(t, id == got || id == "" && !seen[got], r)
				seen[got] = true
			}
		}
	})

	// Ensure a browser keeps pages of other origins out: CORS is off unless it is set.
	t.Run("no other origin is let in", func(t *testing.T) {
		for _, path := range []string{"/health", "/users", "/user", user, avatar, "/nothing"} {
			for _, method := range []string{"GET", "OPTIONS"} {
				r := s.Do(t, method, path, nil, "Origin: https://other.example",
					"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
				if method == "OPTIONS" && path != "/nothing" && path != "/health" {
					r.Problem(t, http.StatusMethodNotAllowed, "Method not allowed")
				}
				for name := range r.Header {
					assert.False(t, strings.HasPrefix(name, "Access-Control-"), r)
				}
			}
		}
	})
}
