package apitest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// idsOfNobody are ids that no user has, in the form of one and in no such form.
func (s *suite) idsOfNobody(t *testing.T) []string {
	known := s.CreateJSON(t, "Ann", Email()).ID
	return []string{
		unknownID(), "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
		strings.ToUpper(known), "%7B" + known + "%7D", "urn:uuid:" + known, strings.ReplaceAll(known, "-", ""), known + "x", known[1:], known[:35],
		known + "%00", known + "%20", "%20" + known, "1", "me", "-", "*", "null", "%27%20OR%201=1", strings.Repeat("a", 2000), "%F0%9F%98%80",
	}
}

func (s *suite) user(t *testing.T) {
	// Ensure a user is shown with its four fields and nothing of how it is stored.
	t.Run("it is shown as it was created", func(t *testing.T) {
		email := Email()
		created := s.CreateJSON(t, "Ann", email)
		r := s.Do(t, "GET", "/users/"+created.ID, nil)
		r.JSON(t, http.StatusOK, `{"id":"`+created.ID+`","name":"Ann","email":"`+email+`","avatar_url":""}`)

		created = s.CreateForm(t, "Ann", email, PNG(2, 2), "Idempotency-Key: "+Marker())
		r = s.Do(t, "GET", "/users/"+created.ID, nil)
		r.JSON(t, http.StatusOK, `{"id":"`+created.ID+`","name":"Ann","email":"`+email+`","avatar_url":"`+created.AvatarURL+`"}`)
	})

	// Ensure HEAD tells whether a user exists.
	t.Run("it answers HEAD", func(t *testing.T) {
		s.requireHeadLikeGet(t, "/users/"+s.CreateJSON(t, "Ann", Email()).ID)
		r := s.Do(t, "HEAD", "/users/"+unknownID(), nil)
		require.Equal(t, http.StatusNotFound, r.Status, r)
	})

	// Ensure a user has one id, in one form.
	t.Run("an id that nobody has is not found", func(t *testing.T) {
		for _, id := range s.idsOfNobody(t) {
			t.Run(fmt.Sprintf("%.60s", id), func(t *testing.T) {
				s.Do(t, "GET", "/users/"+id, nil).Problem(t, http.StatusNotFound, "User not found")
			})
		}
	})
}

func (s *suite) patch(t *testing.T) {
	patch := func(t *testing.T, id, body string, header ...string) *Response {
		t.Helper()
		return s.Do(t, "PATCH", "/users/"+id, strings.NewReader(body), header...)
	}

	// Ensure what a patch names is changed, and what it does not name is not.
	t.Run("what is named is changed", func(t *testing.T) {
		first, second := Email(), Email()
		created := s.CreateForm(t, "Ann", first, PNG(2, 2))
		want := User{ID: created.ID, Name: "Ann", Email: first, AvatarURL: created.AvatarURL}
		for _, step := range []struct {
			patch  string
			change func()
		}{
			{`{"name":"Bob"}`, func() { want.Name = "Bob" }},
			{`{"email":"` + second + `"}`, func() { want.Email = second }},
			{`{"email":"` + first + `","name":" \tZoë\n "}`, func() { want.Name, want.Email = "Zoë", first }},
			{`{"name":"Zoë"}`, func() {}},
		} {
			step.change()
			assert.Equal(t, want, s.Patch(t, created.ID, step.patch), step.patch)
			assert.Equal(t, want, s.Get(t, created.ID), step.patch)
		}
		s.untilListed(t, func(users []User) bool {
			listed := byID(users, created.ID)
			return len(listed) == 1 && listed[0] == want
		})
		image, _ := s.Avatar(t, created.AvatarURL)
		assert.Equal(t, PNG(2, 2), image)
	})

	// Ensure a patch of nothing is one, as RFC 7396 has it.
	t.Run("an empty object changes nothing", func(t *testing.T) {
		created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
		before := s.Get(t, created.ID)
		assert.Equal(t, before, s.Patch(t, created.ID, `{}`))
		assert.Equal(t, before, s.Get(t, created.ID))
	})

	// Ensure nobody gives a user another id or an image of somewhere else.
	t.Run("other members are ignored", func(t *testing.T) {
		created := s.CreateJSON(t, "Ann", Email())
		before, id := s.Get(t, created.ID), unknownID()
		assert.Equal(t, before, s.Patch(t, created.ID, `{"id":"`+id+`","avatar_url":"http://example.com/a.png","Name":"Bob","EMAIL":null,"fingerprint":"x","more":{"name":1}}`))
		assert.Equal(t, before, s.Patch(t, created.ID, `{"id":null,"avatar_url":null,"more":null}`))
		assert.Equal(t, before, s.Get(t, created.ID))
		s.Do(t, "GET", "/users/"+id, nil).Problem(t, http.StatusNotFound, "User not found")
	})

	// Ensure a merge patch may be called what it is, what it looks like, or nothing.
	t.Run("the content type may be that of a merge patch, of JSON or missing", func(t *testing.T) {
		id := s.CreateJSON(t, "Ann", Email()).ID
		for i, header := range [][]string{{mergePatch}, {mergePatch + "; charset=utf-8"}, {"Content-Type: application/json"}, {"Content-Type: APPLICATION/JSON;charset=utf-8"}, {Beyond}} {
			name := fmt.Sprintf("Ann %d", i)
			assert.Equal(t, name, patch(t, id, object("name", name), header...).User(t).Name)
		}
	})

	// Ensure a patch in another language is not taken for a merge.
	t.Run("any other content type is refused", func(t *testing.T) {
		id := s.CreateJSON(t, "Ann", Email()).ID
		for _, contentType := range []string{
			"application/json-patch+json", "application/vnd.example+json", "text/plain", "text/json", "application/x-www-form-urlencoded",
			"multipart/form-data; boundary=x", "application/octet-stream",
		} {
			t.Run(contentType, func(t *testing.T) {
				patch(t, id, `{"name":"Bob"}`, "Content-Type: "+contentType).Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
			})
		}
		for _, encoding := range []string{"gzip", "br", "unknown"} {
			t.Run(encoding, func(t *testing.T) {
				patch(t, id, `{"name":"Bob"}`, mergePatch, "Content-Encoding: "+encoding).Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
			})
		}
		assert.Equal(t, "Ann", s.Get(t, id).Name)
	})

	// Ensure a patch is held to the rules of creation, and is made whole or not at all.
	t.Run("what is not acceptable is refused and changes nothing", func(t *testing.T) {
		id := s.CreateJSON(t, "Ann", Email()).ID
		before := s.Get(t, id)
		refuse := func(body, text string) {
			t.Helper()
			patch(t, id, body, mergePatch).Problem(t, http.StatusBadRequest, text)
		}
		for _, value := range []string{`null`, `""`, `0`, `1.5`, `true`, `[]`, `["Bob"]`, `{}`} {
			refuse(`{"name":`+value+`}`, "Missing 'name' or 'email'")
			refuse(`{"email":`+value+`}`, "Missing 'name' or 'email'")
			refuse(`{"name":"Bob","email":`+value+`}`, "Missing 'name' or 'email'")
			refuse(`{"email":"bob@example.com","name":`+value+`}`, "Missing 'name' or 'email'")
		}
		for _, name := range unacceptableNames("Bob") {
			refuse(object("name", name, "email", "bob@example.com"), "Invalid 'name'")
		}
		for _, email := range unacceptableEmails() {
			refuse(object("name", "Bob", "email", email), "Invalid 'email'")
		}
		for _, body := range []string{
			``, ` `, `[]`, `null`, `"Bob"`, `42`, `true`, `{`, `{"name":"Bob"`, `{"name":"Bob",}`, `{"name":"Bob"}}`, `{"name":"Bob"} {}`, `{'name':'Bob'}`, `name=Bob`,
			`[{"op":"replace","path":"/name","value":"Bob"}]`,
		} {
			refuse(body, "Invalid JSON")
		}
		r := patch(t, id, "{\"name\":\"Bob\xff\"}", mergePatch)
		require.Equal(t, http.StatusBadRequest, r.Status, r)
		assert.Equal(t, before, s.Get(t, id))
	})

	// Ensure the limit of a patch is that of JSON, to the byte.
	t.Run("a patch has a limit", func(t *testing.T) {
		id := s.CreateJSON(t, "Ann", Email()).ID
		patch(t, id, s.jsonOf(s.MaxJSONBytes, Email()), mergePatch).User(t)
		before := s.Get(t, id)
		patch(t, id, s.jsonOf(s.MaxJSONBytes+1, Email()), mergePatch).Problem(t, http.StatusRequestEntityTooLarge, "Request body is too large")
		assert.Equal(t, before, s.Get(t, id))
	})

	// Ensure two clients that change different fields do not undo each other.
	t.Run("patches of different fields at once are all made", func(t *testing.T) {
		id, email := s.CreateJSON(t, "Ann", Email()).ID, Email()
		bodies := []string{`{"name":"Bob"}`, `{"email":"` + email + `"}`}
		for _, r := range s.together(t, 10, func(i int) (*Response, error) {
			return s.send("PATCH", "/users/"+id, strings.NewReader(bodies[i%2]), mergePatch)
		}) {
			r.User(t)
		}
		assert.Equal(t, User{ID: id, Name: "Bob", Email: email}, s.Get(t, id))
	})

	// Ensure a patch changes users and does not make any.
	t.Run("an id that nobody has is not found", func(t *testing.T) {
		for _, id := range s.idsOfNobody(t) {
			patch(t, id, `{"name":"Bob","email":"bob@example.com"}`, mergePatch).Problem(t, http.StatusNotFound, "User not found")
			patch(t, id, `{}`, mergePatch).Problem(t, http.StatusNotFound, "User not found")
		}
		id := s.CreateJSON(t, "Ann", Email()).ID
		s.Delete(t, id)
		patch(t, id, `{"name":"Bob"}`, mergePatch).Problem(t, http.StatusNotFound, "User not found")
		s.Do(t, "GET", "/users/"+id, nil).Problem(t, http.StatusNotFound, "User not found")
	})
}

func (s *suite) delete(t *testing.T) {
	// Ensure nothing of a user is left to see.
	t.Run("the user and the avatar are gone", func(t *testing.T) {
		created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
		r := s.Do(t, "DELETE", "/users/"+created.ID, nil)
		require.Equal(t, http.StatusNoContent, r.Status, r)
		for _, path := range []string{"/users/" + created.ID, "/users/" + created.ID + "/avatar", s.Path(t, created.AvatarURL)} {
			s.Do(t, "GET", path, nil).Problem(t, http.StatusNotFound, "User not found")
		}
		s.untilListed(t, func(users []User) bool { return len(byID(users, created.ID)) == 0 })
	})

	// Ensure others stay as they are.
	t.Run("other users stay", func(t *testing.T) {
		email := Email()
		gone, stays := s.CreateForm(t, "Ann", email, PNG(2, 2)), s.CreateForm(t, "Ann", email, PNG(2, 2))
		s.Delete(t, gone.ID)
		assert.Equal(t, stays.ID, s.Get(t, stays.ID).ID)
		image, _ := s.Avatar(t, stays.AvatarURL)
		assert.Equal(t, PNG(2, 2), image)
	})

	// Ensure a client learns that there was nothing to delete.
	t.Run("an id that nobody has is not found", func(t *testing.T) {
		for _, id := range s.idsOfNobody(t) {
			s.Do(t, "DELETE", "/users/"+id, nil).Problem(t, http.StatusNotFound, "User not found")
		}
		id := s.CreateJSON(t, "Ann", Email()).ID
		s.Delete(t, id)
		s.Do(t, "DELETE", "/users/"+id, nil).Problem(t, http.StatusNotFound, "User not found")
	})
}
