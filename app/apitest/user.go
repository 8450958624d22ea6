package apitest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func (s *suite) user(t *testing.T) {
	// Ensure a user is shown with its four fields and nothing of how it is stored.
	t.Run("it is shown as it was created", func(t *testing.T) {
		email := Email()
		created := s.CreateJSON(t, "Ann", email)
		r := s.Do(t, "GET", "/users/"+created.ID, nil)
		r.JSON(t, http.StatusOK, `{"id":"`+created.ID+`","name":"Ann","email":"`+email+`","avatar_url":""}`)

		created = s.CreateForm(t, "Ann", email, PNG(2, 2), "Idempotency-Key: "+Marker())
		want := User{ID: created.ID, Name: "Ann", Email: email, AvatarURL: created.AvatarURL}
		assert.Equal(t, want, s.Get(t, created.ID))
	})

	// Ensure clients that ask at once each get the user that they asked for.
	t.Run("many at once", func(t *testing.T) {
		ids := s.createMany(t, 8, ann)
		get := func(i int) (*Response, error) { return s.send("GET", "/users/"+ids[i%8], nil) }
		for range 20 {
			for i, r := range s.together(t, 20, get) {
				assert.Equal(t, ids[i%8], r.User(t).ID)
			}
		}
	})

	// Ensure HEAD tells whether a user exists.
	t.Run("HEAD", func(t *testing.T) {
		s.requireHeadLikeGet(t, "/users/"+s.CreateJSON(t, "Ann", Email()).ID)
		s.Do(t, "HEAD", "/users/"+unknownID(), nil).Is(t, http.StatusNotFound)
	})
}

func (s *suite) patch(t *testing.T) {
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
		s.requireListed(t, want)
		s.requireAvatar(t, created.AvatarURL, PNG(2, 2), "image/png")
	})

	// Ensure a patch cannot change the id or the avatar's URL. A patch may be empty: RFC 7396.
	t.Run("other members are ignored", func(t *testing.T) {
		created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
		before, id := s.Get(t, created.ID), unknownID()
		for _, body := range []string{
			`{}`,
			`{"id":"` + id + `","avatar_url":"http://example.com/a.png","Name":"Bob","EMAIL":null,"fingerprint":"x"}`,
			`{"id":null,"avatar_url":null,"more":{"name":1}}`,
		} {
			assert.Equal(t, before, s.Patch(t, created.ID, body))
		}
		assert.Equal(t, before, s.Get(t, created.ID))
		s.Do(t, "GET", "/users/"+id, nil).Problem(t, http.StatusNotFound, "User not found")
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
}

func (s *suite) delete(t *testing.T) {
	// Ensure nothing of a deleted user is visible.
	t.Run("the user and the avatar are gone", func(t *testing.T) {
		created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
		s.Do(t, "DELETE", "/users/"+created.ID, nil).Is(t, http.StatusNoContent)
		for _, path := range []string{"", "/avatar", "/avatar?v=" + Marker()} {
			s.Do(t, "GET", "/users/"+created.ID+path, nil).Problem(t, http.StatusNotFound, "User not found")
		}
		for _, method := range []string{"PATCH", "DELETE"} {
			r := s.Do(t, method, "/users/"+created.ID, strings.NewReader(`{"name":"Bob"}`), mergePatch)
			r.Problem(t, http.StatusNotFound, "User not found")
		}
		s.untilListed(t, func(users []User) bool { return len(byID(users, created.ID)) == 0 })
	})

	// Ensure other users stay as they are.
	t.Run("other users stay", func(t *testing.T) {
		email := Email()
		gone, stays := s.CreateForm(t, "Ann", email, PNG(2, 2)), s.CreateForm(t, "Ann", email, PNG(2, 2))
		s.Delete(t, gone.ID)
		s.requireAvatar(t, stays.AvatarURL, PNG(2, 2), "image/png")
	})
}
