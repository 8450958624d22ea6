package apitest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// conditions is about If-Match and If-None-Match: RFC 9110 §13.
func (s *suite) conditions(t *testing.T) {
	const stale = `"0b8a59a9-0f31-4a55-9d5c-6d2c1d9c8f5e"`
	changed := func(t *testing.T, r *Response) {
		t.Helper()
		if r.Method == http.MethodHead {
			require.Equal(t, http.StatusPreconditionFailed, r.Status, r)
			return
		}
		r.Problem(t, http.StatusPreconditionFailed, "Precondition failed")
	}

	// Ensure a client changes the avatar that it has seen, and no other.
	for _, with := range []bool{true, false} {
		for _, method := range []string{"PUT", "DELETE", "GET", "HEAD"} {
			if !with && method != "PUT" {
				continue // a 404, whatever the condition
			}
			t.Run(fmt.Sprintf("%s, with an avatar: %t", method, with), func(t *testing.T) {
				id := s.CreateJSON(t, "Ann", Email()).ID
				path := "/users/" + id + "/avatar"
				// tag returns the entity tag of an avatar that is there.
				tag := func() string {
					if !with {
						r := s.Do(t, "DELETE", path, nil)
						require.Contains(t, []int{http.StatusNoContent, http.StatusNotFound}, r.Status, r)
						return stale
					}
					s.PutAvatar(t, id, PNG(2, 2))
					return s.Do(t, "GET", path, nil).Header.Get("Etag")
				}
				for _, row := range []struct {
					header string // %s is the tag
					with   bool   // whether it holds for an avatar with that tag
					none   bool   // whether it holds where there is none
				}{
					{"If-Match: *", true, false},
					{"If-Match: %s", true, false},
					{`If-Match: "x", %s`, true, false},
					{`If-Match: ,%s ,,"x"`, true, false},
					{"If-Match: " + stale, false, false},
					{"If-Match: W/%s", false, false},
					{"If-Match: W/*", false, false},
					{`If-Match: "x,*,y"`, false, false},
					{"If-Match: x", false, false},
					{"If-Match: ", false, false},
					{"If-None-Match: " + stale, true, true},
					{`If-None-Match: "x,*,y"`, true, true},
					{"If-None-Match: *", false, true},
					{"If-None-Match: %s", false, true},
					{"If-None-Match: W/%s", false, true},
					{`If-None-Match: "x", %s`, false, true},
				} {
					etag := tag()
					header := row.header
					if strings.Contains(header, "%s") {
						header = fmt.Sprintf(header, etag)
					}
					var r *Response
					if method == "PUT" {
						r = s.Do(t, method, path, bytes.NewReader(PNG(3, 3)), header)
					} else {
						r = s.Do(t, method, path, nil, header)
					}
					switch holds := with && row.with || !with && row.none; {
					case holds:
						require.Less(t, r.Status, 300, r)
						continue
					case strings.HasPrefix(header, "If-None-Match") && method != "PUT" && method != "DELETE":
						require.Equal(t, http.StatusNotModified, r.Status, r)
					default:
						changed(t, r)
					}
					if with {
						assert.Equal(t, etag, s.Do(t, "GET", path, nil).Header.Get("Etag"), "nothing has changed")
					} else {
						s.Do(t, "GET", path, nil).Problem(t, http.StatusNotFound, "Avatar not found")
					}
				}
			})
		}
	}

	// Ensure a condition that is not understood does not let a change pass.
	t.Run("a condition that is none", func(t *testing.T) {
		id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
		for _, header := range []string{"If-None-Match: x", `If-None-Match: "x`, `If-None-Match: *, "x"`} {
			changed(t, s.Do(t, "PUT", "/users/"+id+"/avatar", bytes.NewReader(PNG(3, 3)), header))
			changed(t, s.Do(t, "DELETE", "/users/"+id+"/avatar", nil, header))
		}
	})

	// Ensure a condition changes no other answer.
	t.Run("what is not there is not found", func(t *testing.T) {
		none := "/users/" + s.CreateJSON(t, "Ann", Email()).ID + "/avatar"
		for _, header := range []string{"If-Match: *", "If-Match: " + stale, "If-None-Match: *"} {
			s.Do(t, "GET", none, nil, header).Problem(t, http.StatusNotFound, "Avatar not found")
			s.Do(t, "DELETE", none, nil, header).Problem(t, http.StatusNotFound, "Avatar not found")
			s.Do(t, "PUT", "/users/"+unknownID()+"/avatar", bytes.NewReader(PNG(2, 2)), header).Problem(t, http.StatusNotFound, "User not found")
			s.Do(t, "PUT", none, strings.NewReader("x"), header).Problem(t, http.StatusUnsupportedMediaType, "Avatar is not an image")
		}
	})

	// Ensure of clients that replace one image at once, one does.
	t.Run("one of many replaces an image", func(t *testing.T) {
		for _, header := range []string{"If-Match: %s", "If-None-Match: *"} {
			id := s.CreateJSON(t, "Ann", Email()).ID
			path := "/users/" + id + "/avatar"
			if strings.Contains(header, "%s") {
				s.PutAvatar(t, id, PNG(2, 2))
				header = fmt.Sprintf(header, s.Do(t, "GET", path, nil).Header.Get("Etag"))
			}
			won := 0
			for _, r := range s.together(t, 8, func(i int) (*Response, error) {
				return s.send("PUT", path, bytes.NewReader(PNG(3, 3+i)), header)
			}) {
				if r.Status == http.StatusOK {
					won++
					image, _ := s.Avatar(t, r.User(t).AvatarURL)
					assert.Equal(t, image, s.Do(t, "GET", path, nil).Body)
				} else {
					changed(t, r)
				}
			}
			assert.Equal(t, 1, won, header)
		}
	})

	// Ensure what has an entity tag heeds it, and a change of what has none does not heed one in silence.
	t.Run("other resources", func(t *testing.T) {
		s.CreateJSON(t, "Ann", Email()) // so that there is a next page
		id := s.CreateJSON(t, "Ann", Email()).ID
		for _, path := range []string{"/openapi.json", "/users?limit=1"} {
			etag := s.Do(t, "GET", path, nil).Header.Get("Etag")
			if path == "/openapi.json" || s.Empty { // elsewhere the first page may change meanwhile
				require.Equal(t, http.StatusOK, s.Do(t, "GET", path, nil, "If-Match: "+etag).Status)
			}
			changed(t, s.Do(t, "GET", path, nil, "If-Match: "+stale))
		}
		for _, header := range []string{"If-Match: " + stale, "If-None-Match: *", "If-None-Match: x"} {
			changed(t, s.PostJSON(t, "/users", object("name", "Ann", "email", Email()), header))
			changed(t, s.PostJSON(t, "/user", object("name", "Ann", "email", Email()), header))
			changed(t, s.Do(t, "PATCH", "/users/"+id, strings.NewReader(`{"name":"Eve"}`), mergePatch, header))
			changed(t, s.Do(t, "DELETE", "/users/"+id, nil, header))
		}
		for _, header := range []string{"If-Match: *", "If-None-Match: " + stale} {
			r := s.Do(t, "PATCH", "/users/"+id, strings.NewReader(`{"name":"Bob"}`), mergePatch, header)
			assert.Equal(t, "Bob", r.User(t).Name)
		}
	})
}
