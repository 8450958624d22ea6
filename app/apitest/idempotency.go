package apitest

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (s *suite) idempotency(t *testing.T) {
	keyed := func() (key, email string) { return "Idempotency-Key: " + Marker(), Email() }
	withAvatar := func(name, email string, avatar []byte) []Part {
		return []Part{Field("name", name), Field("email", email), File("avatar", "a.png", avatar)}
	}
	reused := func(t *testing.T, r *Response) {
		t.Helper()
		r.Problem(t, http.StatusUnprocessableEntity, "Idempotency-Key was used with other content")
	}
	// once requires that the list has exactly one user of this address.
	once := func(t *testing.T, email string) {
		t.Helper()
		s.untilListed(t, func(users []User) bool {
			return len(slices.DeleteFunc(users, func(u User) bool { return u.Email != email })) == 1
		})
	}

	// Ensure a client that missed the response can repeat the request, on either path, in any form.
	t.Run("the same key and content give the first response again", func(t *testing.T) {
		key, email := keyed()
		body := object("name", "Zoë", "email", email)
		first := s.PostJSON(t, "/user", body, key)
		multipart, form := Form(Field("more", "x"), Field("email", email), Field("name", "Zoë"))
		for _, again := range []struct{ contentType, body string }{
			{"application/json", body},
			{"application/json", `{"more":1,"email":"` + email + `","name":"Zo\u00eb"}`},
			{"application/json", object("name", " \tZoë\n ", "email", email)},
			{"application/x-www-form-urlencoded", "email=" + email + "&name=Zo%C3%AB"},
			{multipart, string(form)},
		} {
			r := s.Do(t, "POST", "/users", strings.NewReader(again.body), key, "Content-Type: "+again.contentType)
			assert.Equal(t, first.Created(t), r.Created(t))
			assert.JSONEq(t, string(first.Body), string(r.Body))
		}
		assert.Equal(t, first.Created(t), s.PostJSON(t, "/user", body, key).Created(t))
		reused(t, s.PostJSON(t, "/user", object("name", "Ann", "email", email), key))
		once(t, email)
	})

	// Ensure a key that was used with other content is refused, and changes nothing.
	t.Run("the same key with other content is refused", func(t *testing.T) {
		key, email := keyed()
		created := s.CreateForm(t, "Ann", email, PNG(2, 2), key)
		before := s.Get(t, created.ID)
		for what, parts := range map[string][]Part{
			"another name":           withAvatar("Bob", email, PNG(2, 2)),
			"a space in the name":    withAvatar("A nn", email, PNG(2, 2)),
			"another case of a name": withAvatar("ann", email, PNG(2, 2)),
			"another email":          withAvatar("Ann", Email(), PNG(2, 2)),
			"another avatar":         withAvatar("Ann", email, PNG(3, 3)),
			"no avatar":              withAvatar("Ann", email, nil)[:2],
		} {
			t.Run(what, func(t *testing.T) { reused(t, s.PostForm(t, "/users", parts, key)) })
		}
		reordered := []Part{File("avatar", "other.name", PNG(2, 2)), Field("email", email), Field("name", "Ann")}
		assert.Equal(t, created, s.PostForm(t, "/users", reordered, key).Created(t))
		assert.Equal(t, before, s.Get(t, created.ID))
		s.requireAvatar(t, created.AvatarURL, PNG(2, 2), "image/png")
		once(t, email)
	})

	// Ensure concurrent requests with one key make one user, of one of their contents.
	both := Email()
	for what, contents := range map[string][][]Part{
		"twenty requests at once make one user": {withAvatar("Ann", Email(), PNG(2, 2))},
		"of two contents at once one is made and the other refused": {
			withAvatar("Ann", both, nil)[:2], withAvatar("Bob", both, nil)[:2],
		},
	} {
		t.Run(what, func(t *testing.T) {
			key, _ := keyed()
			var made []Created
			names := map[string]bool{}
			for i, r := range s.together(t, 20, func(i int) (*Response, error) {
				contentType, body := Form(contents[i%len(contents)]...)
				return s.send("POST", "/users", bytes.NewReader(body), key, "Content-Type: "+contentType)
			}) {
				if len(contents) > 1 && r.Status != http.StatusCreated {
					reused(t, r)
					continue
				}
				made = append(made, r.Created(t))
				names[string(contents[i%len(contents)][0].Content)] = true
				assert.Equal(t, made[0], made[len(made)-1])
			}
			require.Len(t, made, 20/len(contents))
			u := s.Get(t, made[0].ID)
			assert.Equal(t, map[string]bool{u.Name: true}, names)
			assert.Equal(t, made[0].AvatarURL, u.AvatarURL)
			if len(contents) == 1 {
				s.requireAvatar(t, u.AvatarURL, PNG(2, 2), "image/png")
			}
			once(t, u.Email)
		})
	}

	// Ensure a key may have any 1 to 255 printable characters, and that none has a meaning of its
	// own.
	t.Run("other keys make other users", func(t *testing.T) {
		email, word, printable := Email(), Marker(), ""
		for c := '!'; c <= '~'; c++ {
			printable += string(c)
		}
		ids := map[string]bool{s.CreateJSON(t, "Ann", email).ID: true}
		keys := []string{
			word, strings.ToUpper(word), word + "x", word + "/x", word + " with spaces", `"` + word + `"`,
			word + printable, word + strings.Repeat("k", 255-len(word)),
		}
		for _, key := range keys {
			created := s.CreateJSON(t, "Ann", email, "Idempotency-Key: "+key)
			assert.Equal(t, created, s.CreateJSON(t, "Ann", email, "Idempotency-Key: "+key), "%q", key)
			ids[created.ID] = true
		}
		assert.Len(t, ids, 1+len(keys))
	})

	// Ensure the first response is repeated, however the user has changed, and the change stays.
	t.Run("a user that was changed since gives the first response again", func(t *testing.T) {
		key, email := keyed()
		created := s.CreateForm(t, "Ann", email, PNG(2, 2), key)
		again := func(want User) {
			t.Helper()
			assert.Equal(t, created, s.CreateForm(t, "Ann", email, PNG(2, 2), key))
			assert.Equal(t, want, s.Get(t, created.ID))
		}
		other := Email()
		again(s.Patch(t, created.ID, object("name", "Bob", "email", other)))
		u := s.PutAvatar(t, created.ID, PNG(3, 3))
		again(u)
		s.requireAvatar(t, u.AvatarURL, PNG(3, 3), "image/png")
		s.Do(t, "DELETE", "/users/"+created.ID+"/avatar", nil).Is(t, http.StatusNoContent)
		again(User{ID: created.ID, Name: "Bob", Email: other})
		reused(t, s.PostJSON(t, "/users", object("name", "Bob", "email", other), key))
	})

	// Ensure a user that got an avatar later is still the user that was made without one.
	t.Run("an avatar that came later is not in the first response", func(t *testing.T) {
		key, email := keyed()
		created := s.CreateJSON(t, "Ann", email, key)
		reused(t, s.PostForm(t, "/users", withAvatar("Ann", email, PNG(2, 2)), key))
		s.PutAvatar(t, created.ID, PNG(2, 2))
		assert.Equal(t, created, s.CreateJSON(t, "Ann", email, key))
		reused(t, s.PostForm(t, "/users", withAvatar("Ann", email, PNG(2, 2)), key))
	})

	// Ensure a key is kept as long as its user and no longer, and that nothing of it is shown.
	t.Run("a key is free again when the user is deleted", func(t *testing.T) {
		key, email := keyed()
		s.Delete(t, s.CreateForm(t, "Ann", email, PNG(2, 2), key).ID)
		created := s.CreateJSON(t, "Bob", email, key)
		want := User{ID: created.ID, Name: "Bob", Email: email}
		assert.Equal(t, want, s.Get(t, created.ID))
		s.requireListed(t, want)
		assert.Equal(t, created, s.CreateJSON(t, "Bob", email, key))
		reused(t, s.PostJSON(t, "/users", object("name", "Ann", "email", email), key))
	})

	// Ensure a request that made nothing has not used its key.
	t.Run("a refused request does not use up its key", func(t *testing.T) {
		key, email := keyed()
		r := s.PostJSON(t, "/users", object("name", "Ann", "email", "ann"), key)
		r.Problem(t, http.StatusBadRequest, "Invalid 'email'")
		r = s.PostForm(t, "/users", withAvatar("Ann", email, []byte("text")), key)
		r.Problem(t, http.StatusUnsupportedMediaType, "Avatar is not an image")
		s.CreateJSON(t, "Bob", email, key)
		once(t, email)
	})

	t.Run("keys that are not acceptable", s.requests("idempotency"))
}
