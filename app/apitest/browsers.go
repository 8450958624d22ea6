package apitest

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// crossSite is about what pages of other sites can have a browser send.
func (s *suite) crossSite(t *testing.T) {
	created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
	before := s.Get(t, created.ID)
	marker := Marker()
	address := marker + "@example.com"
	contentType, form := Form(Field("name", marker), Field("email", address))
	own := "Origin: " + s.Client.links
	requests := func(header ...string) []*Response {
		return []*Response{
			s.PostJSON(t, "/users", object("name", marker, "email", address), header...),
			s.Do(t, "POST", "/users", strings.NewReader(object("name", marker, "email", address)), header...), // which needs no preflight
			s.Do(t, "POST", "/user", bytes.NewReader(form), append(header, "Content-Type: "+contentType)...),
			s.Do(t, "POST", "/users", strings.NewReader("name="+marker+"&email="+address), append(header, urlencoded)...),
			s.Do(t, "PATCH", "/users/"+created.ID, strings.NewReader(`{"name":"`+marker+`"}`), append(header, mergePatch)...),
			s.Do(t, "PUT", "/users/"+created.ID+"/avatar", bytes.NewReader(PNG(3, 3)), header...),
			s.Do(t, "DELETE", "/users/"+created.ID+"/avatar", nil, header...),
			s.Do(t, "DELETE", "/users/"+created.ID, nil, header...),
		}
	}

	// Ensure nobody who opens another page changes anything by it, also where no token is asked for.
	for _, headers := range [][]string{
		{"Sec-Fetch-Site: cross-site"},
		{"Sec-Fetch-Site: same-site"},
		{"Sec-Fetch-Site: nonsense"},
		{"Sec-Fetch-Site: cross-site", "Origin: https://other.example"},
		{"Sec-Fetch-Site: cross-site", "Origin: null"},
		{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Referer: https://other.example/"},
		{"Origin: https://other.example"},
		{"Origin: null"},
		{"Origin: nonsense"},
		{own + ".other.example"},
		{own + "@other.example"},
		{"Origin: http://localhost:1"},
	} {
		t.Run(strings.Join(headers, ", "), func(t *testing.T) {
			for _, r := range requests(headers...) {
				r.Problem(t, http.StatusForbidden, "Cross-site request")
			}
			for _, path := range []string{"/users/" + created.ID, "/users?limit=1", "/health"} {
				assert.Equal(t, http.StatusOK, s.Do(t, "GET", path, nil, headers...).Status, path)
			}
		})
	}
	assert.Equal(t, before, s.Get(t, created.ID))
	s.requireNotStored(t, marker)

	// Ensure the API's own pages, an address that somebody types and clients that are no browsers go on.
	for _, headers := range [][]string{
		{},
		{"Sec-Fetch-Site: same-origin", own},
		{"Sec-Fetch-Site: none"},
		{own},
		{"Referer: https://other.example/", "User-Agent: curl/8.5.0"},
	} {
		t.Run("may: "+strings.Join(headers, ", "), func(t *testing.T) {
			r := s.PostJSON(t, "/users", object("name", "Ann", "email", Email()), headers...)
			s.Delete(t, r.Created(t).ID)
		})
	}
}
