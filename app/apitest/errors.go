package apitest

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (s *suite) notFound(t *testing.T) {
	id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID

	paths := []string{
		"/nothing", "/favicon.ico", "/metrics", "/debug/pprof/", "/.env", "/api/users",
		"/Users", "/USER", "/Health", "/healthz", "/health/", "/readyz/", "/user/", "/users/", "/user/" + id,
		"/users/" + id + "/", "/Users/" + id, "/users/" + id + "/Avatar", "/users/" + id + "/avatar/", "/users/" + id + "/avatar/x", "/users/" + id + "/name",
	}
	if !s.Proxied { // which may tidy them up
		paths = append(paths, "//users", "/./users", "/x/../users", "/users//avatar", "/users/../health", "/users/%2e%2e/health")
	}
	// Ensure every path is served under one name only, and any other is a problem like every error.
	for _, path := range paths {
		t.Run("GET "+path, func(t *testing.T) {
			s.Do(t, "GET", path, nil).Problem(t, http.StatusNotFound, "Not found")
		})
	}

	// Ensure a path that is not there is that for every method.
	t.Run("a path that is not there is not found by any method", func(t *testing.T) {
		for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			r := s.Do(t, method, "/nothing", nil)
			require.Equal(t, http.StatusNotFound, r.Status, r)
			assert.Empty(t, r.Header.Values("Allow"), r)
		}
		s.PostJSON(t, "/nothing", `{"name":"Ann","email":"ann@example.com"}`).Problem(t, http.StatusNotFound, "Not found")
	})
}

func (s *suite) methodNotAllowed(t *testing.T) {
	created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
	for _, route := range []struct {
		name, path string
		allowed    []string
	}{
		{"/health", "/health", []string{"GET", "HEAD"}},
		{"/readyz", "/readyz", []string{"GET", "HEAD"}},
		{"/user", "/user", []string{"POST"}},
		{"/users", "/users", []string{"GET", "HEAD", "POST"}},
		{"a user", "/users/" + created.ID, []string{"DELETE", "GET", "HEAD", "PATCH"}},
		{"an avatar", "/users/" + created.ID + "/avatar", []string{"DELETE", "GET", "HEAD", "PUT"}},
		{"a user that is not there", "/users/" + unknownID(), []string{"DELETE", "GET", "HEAD", "PATCH"}},
		{"an avatar that is not there", "/users/" + unknownID() + "/avatar", []string{"DELETE", "GET", "HEAD", "PUT"}},
	} {
		// Ensure a client learns which methods there are. OPTIONS is none of them: CORS is off.
		t.Run(route.name+" has the methods that it says", func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
				if slices.Contains(route.allowed, method) || method == "TRACE" && s.Proxied { // which has its own view of it
					continue
				}
				r := s.Do(t, method, route.path, nil)
				require.Equal(t, http.StatusMethodNotAllowed, r.Status, r)
				var allowed []string
				for name := range strings.SplitSeq(strings.Join(r.Header.Values("Allow"), ","), ",") {
					allowed = append(allowed, strings.TrimSpace(name))
				}
				assert.ElementsMatch(t, route.allowed, allowed, r)
				if method != "HEAD" {
					r.Problem(t, http.StatusMethodNotAllowed, "Method not allowed")
				}
			}
		})
	}

	// Ensure none of this has done anything.
	t.Run("a method that is not allowed does nothing", func(t *testing.T) {
		s.Do(t, "PUT", "/users/"+created.ID, strings.NewReader(`{"name":"Bob"}`), "Content-Type: application/json").
			Problem(t, http.StatusMethodNotAllowed, "Method not allowed")
		s.Do(t, "POST", "/users/"+created.ID, nil, "X-HTTP-Method-Override: DELETE").Problem(t, http.StatusMethodNotAllowed, "Method not allowed")
		assert.Equal(t, "Ann", s.Get(t, created.ID).Name)
		image, _ := s.Avatar(t, created.AvatarURL)
		assert.Equal(t, PNG(2, 2), image)
	})
}

// everyAnswer is about headers. That every answer has X-Request-Id and nosniff, and every error the
// form of a problem, is seen to by check.
func (s *suite) everyAnswer(t *testing.T) {
	created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
	etag := s.Do(t, "GET", "/users/"+created.ID+"/avatar", nil).Header.Get("Etag")
	// all makes one request for each status, with these headers.
	all := func(t *testing.T, header ...string) []*Response {
		t.Helper()
		deleted := s.CreateJSON(t, "Ann", Email()).ID
		responses := []*Response{
			s.Do(t, "GET", "/health", nil, header...),
			s.Do(t, "GET", "/readyz", nil, header...),
			s.Do(t, "GET", "/users", nil, header...),
			s.Do(t, "GET", "/users?limit=1", nil, header...),
			s.Do(t, "GET", "/users/"+created.ID, nil, header...),
			s.Do(t, "GET", "/users/"+created.ID+"/avatar", nil, header...),
			s.Do(t, "HEAD", "/users/"+created.ID+"/avatar", nil, header...),
			s.PostJSON(t, "/users", object("name", "Ann", "email", Email()), header...),
			s.Do(t, "DELETE", "/users/"+deleted, nil, header...),
			s.Do(t, "GET", "/users/"+created.ID+"/avatar", nil, append([]string{"If-None-Match: " + etag}, header...)...),
			s.PostJSON(t, "/users", `{}`, header...),
			s.Do(t, "GET", "/nothing", nil, header...),
			s.Do(t, "GET", "/users/"+unknownID(), nil, header...),
			s.Do(t, "PUT", "/users", nil, header...),
			s.PostJSON(t, "/users", s.jsonOf(s.MaxJSONBytes+1, Email()), header...),
			s.Do(t, "POST", "/users", strings.NewReader("x"), append([]string{"Content-Type: text/plain"}, header...)...),
		}
		for i, status := range []int{200, 200, 200, 200, 200, 200, 200, 201, 204, 304, 400, 404, 404, 405, 413, 415} {
			require.Equal(t, status, responses[i].Status, responses[i])
		}
		return responses
	}

	// Ensure a client finds its own request in our logs.
	t.Run("a request id that was sent comes back", func(t *testing.T) {
		for _, id := range []string{"a", Marker(), "A-Z_a.z-0", unknownID(), strings.Repeat("i", 128)} {
			r := s.Do(t, "GET", "/health", nil, "X-Request-Id: "+id)
			assert.Equal(t, id, r.Header.Get("X-Request-Id"), r)
		}
		id := Marker()
		for _, r := range all(t, "X-Request-Id: "+id) {
			assert.Equal(t, id, r.Header.Get("X-Request-Id"), r)
		}
	})

	// Ensure nobody writes into our logs what is not an id.
	t.Run("a request id that is none is replaced", func(t *testing.T) {
		for _, id := range []string{"", " ", "a b", strings.Repeat("i", 129), strings.Repeat("i", 4000), "a/b", "a\tb", `"a"`, "a,b", "a;b", "a=b", "<a>", "é", "\xff", "${jndi:x}"} {
			r := s.Do(t, "GET", "/nothing", nil, "X-Request-Id: "+id)
			assert.NotEqual(t, id, r.Header.Get("X-Request-Id"), r)
		}
	})

	// Ensure each request has an id of its own where the client gives none.
	t.Run("a request without an id gets one of its own", func(t *testing.T) {
		seen := map[string]bool{}
		responses := all(t)
		for _, r := range responses {
			seen[r.Header.Get("X-Request-Id")] = true
		}
		assert.Len(t, seen, len(responses))
	})

	// Ensure a browser keeps pages of other origins out: CORS is off unless it is set.
	t.Run("no other origin is let in", func(t *testing.T) {
		for _, path := range []string{"/health", "/users", "/users/" + created.ID, "/nothing"} {
			r := s.Do(t, "GET", path, nil, "Origin: https://other.example")
			for name := range r.Header {
				assert.False(t, strings.HasPrefix(name, "Access-Control-"), r)
			}
		}
		for _, path := range []string{"/users", "/user", "/users/" + created.ID, "/users/" + created.ID + "/avatar"} {
			r := s.Do(t, "OPTIONS", path, nil, "Origin: https://other.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
			r.Problem(t, http.StatusMethodNotAllowed, "Method not allowed")
			assert.NotEmpty(t, r.Header.Get("Allow"), r)
			for name := range r.Header {
				assert.False(t, strings.HasPrefix(name, "Access-Control-"), r)
			}
		}
	})
}

// endlessBodies is about clients that do not stop sending.
func (s *suite) endlessBodies(t *testing.T) {
	id := s.CreateJSON(t, "Ann", Email()).ID
	before := s.Get(t, id)
	marker := Marker()
	_, form := Form(Field("name", marker), Field("email", marker+"@example.com"), File("avatar", "a.png", PNG(1, 1)))
	openForm := string(form[:bytes.LastIndex(form, []byte("\r\n--"))]) // the last part has not ended
	openJSON := `{"name":"` + marker + `","email":"` + marker + `@example.com","more":"`
	for _, row := range []struct{ method, path, contentType, start string }{
		{"PUT", "/users/" + id + "/avatar", "image/png", string(PNG(1, 1))},
		{"PUT", "/users/" + id + "/avatar", "multipart/form-data; boundary=" + boundary, openForm},
		{"POST", "/users", "multipart/form-data; boundary=" + boundary, openForm},
		{"POST", "/user", "application/json", openJSON},
		{"POST", "/users", "application/x-www-form-urlencoded", "name=" + marker + "&email=" + marker + "@example.com&more="},
		{"PATCH", "/users/" + id, "application/merge-patch+json", openJSON},
	} {
		// Ensure a client that sends too much, and looks for an answer only then, finds it.
		t.Run(row.method+" of too much "+row.contentType+" is refused", func(t *testing.T) {
			body := row.start + strings.Repeat("m", s.MaxAvatarBytes+1<<20)
			r := s.Do(t, row.method, row.path, strings.NewReader(body), "Content-Type: "+row.contentType)
			require.Equal(t, http.StatusRequestEntityTooLarge, r.Status, r)
			r = s.Do(t, row.method, row.path, chunked(strings.NewReader(body)), "Content-Type: "+row.contentType)
			require.Equal(t, http.StatusRequestEntityTooLarge, r.Status, r)
		})

		if s.Proxied {
			continue
		}

		// Ensure a body that does not end is not read for ever, whether it says so or not.
		t.Run(row.method+" of far too much "+row.contentType+" is refused", func(t *testing.T) {
			head := row.method + " " + row.path + " HTTP/1.1\r\n" + s.headers() + "Content-Type: " + row.contentType + "\r\n"
			more := strings.Repeat("m", 4*s.MaxAvatarBytes)
			for _, raw := range []string{
				head + fmt.Sprintf("Content-Length: %d\r\n\r\n", 1<<50) + row.start + more,
				head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(row.start) + chunk(more) + chunk(more),
			} {
				answers := s.exchange(t, raw)
				require.Len(t, answers, 1)
				require.Equal(t, http.StatusRequestEntityTooLarge, answers[0].Status, answers[0])
			}
		})
	}

	// Ensure none of all this has left anything behind.
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
		assert.Equal(t, before, s.Get(t, id))
	})
}
