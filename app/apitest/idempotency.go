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

func (s *suite) idempotency(t *testing.T) {
	const reused = "Idempotency-Key was used with other content"
	key := func() string { return "Idempotency-Key: " + Marker() }
	// once requires that the list has exactly one user of this address.
	once := func(t *testing.T, email string) {
		t.Helper()
		count := 0
		users := s.untilListed(t, func(users []User) bool {
			count = 0
			for _, u := range users {
				if u.Email == email {
					count++
				}
			}
			return count > 0
		})
		assert.Equal(t, 1, count, "users of %s among %d", email, len(users))
	}

	for _, path := range createPaths {
		t.Run("POST "+path, func(t *testing.T) {
			// Ensure a client that has missed the answer may ask again.
			t.Run("the same key and content give the first answer again", func(t *testing.T) {
				key, email := key(), Email()
				body := object("name", "Ann", "email", email)
				first := s.PostJSON(t, path, body, key)
				created := first.Created(t)
				for range 3 {
					again := s.PostJSON(t, path, body, key)
					assert.Equal(t, created, again.Created(t))
					assert.JSONEq(t, string(first.Body), string(again.Body))
				}
				once(t, email)
			})

			// Ensure the answer with an avatar is the first one, too, its URL among it, and is still true.
			t.Run("the same key, content and avatar give the first answer again", func(t *testing.T) {
				key, email := key(), Email()
				parts := []Part{Field("name", "Ann"), Field("email", email), File("avatar", "a.png", PNG(2, 2))}
				created := s.PostForm(t, path, parts, key).Created(t)
				require.NotEmpty(t, created.AvatarURL)
				assert.Equal(t, created, s.PostForm(t, path, parts, key).Created(t))
				reordered := []Part{File("avatar", "other.name", PNG(2, 2)), parts[1], Field("more", "x"), parts[0]}
				assert.Equal(t, created, s.PostForm(t, path, reordered, key).Created(t))
				image, _ := s.Avatar(t, created.AvatarURL)
				assert.Equal(t, PNG(2, 2), image)
				once(t, email)
			})

			// Ensure a mistake of a client is told, and does not change what is there.
			t.Run("the same key with other content is refused", func(t *testing.T) {
				key, email := key(), Email()
				name, address, avatar := Field("name", "Ann"), Field("email", email), File("avatar", "a.png", PNG(2, 2))
				created := s.PostForm(t, path, []Part{name, address, avatar}, key).Created(t)
				before := s.Get(t, created.ID)
				for what, parts := range map[string][]Part{
					"another name":   {Field("name", "Bob"), address, avatar},
					"another email":  {name, Field("email", Email()), avatar},
					"another avatar": {name, address, File("avatar", "a.png", PNG(3, 3))},
					"no avatar":      {name, address},
					"other case":     {Field("name", "ann"), address, avatar},
				} {
					t.Run(what, func(t *testing.T) {
						s.PostForm(t, path, parts, key).Problem(t, http.StatusUnprocessableEntity, reused)
					})
				}
				assert.Equal(t, before, s.Get(t, created.ID))
				assert.Equal(t, created, s.PostForm(t, path, []Part{name, address, avatar}, key).Created(t))

				without := s.PostJSON(t, path, object("name", "Ann", "email", email), "Idempotency-Key: "+Marker())
				withAvatar := []Part{name, address, avatar}
				s.PostForm(t, path, withAvatar, without.Sent[0]).Problem(t, http.StatusUnprocessableEntity, reused)
			})

			// Ensure it is the content that counts, not the form it comes in.
			t.Run("JSON and a form may be the same content", func(t *testing.T) {
				key, email := key(), Email()
				created := s.PostJSON(t, path, object("name", "Zoë", "email", email), key).Created(t)
				assert.Equal(t, created, s.PostForm(t, path, []Part{Field("email", email), Field("name", "Zoë")}, key).Created(t))
				assert.Equal(t, created, s.Do(t, "POST", path, strings.NewReader("email="+email+"&name=Zo%C3%AB"), key, urlencoded).Created(t))
				assert.Equal(t, created, s.PostJSON(t, path, `{"more":1,"email":"`+email+`","name":"Zo\u00eb"}`, key).Created(t))
				once(t, email)
			})

			// Ensure what is not stored of a name makes no difference.
			t.Run("white space around the name makes no other content", func(t *testing.T) {
				key, email := key(), Email()
				created := s.PostJSON(t, path, object("name", "Ann", "email", email), key).Created(t)
				assert.Equal(t, created, s.PostJSON(t, path, object("name", " \tAnn\n ", "email", email), key).Created(t))
				s.PostJSON(t, path, object("name", "A nn", "email", email), key).Problem(t, http.StatusUnprocessableEntity, reused)
			})

			// Ensure a client that asks many times at once has one user all the same.
			t.Run("twenty requests at once make one user", func(t *testing.T) {
				key, email := key(), Email()
				contentType, body := Form(Field("name", "Ann"), Field("email", email), File("avatar", "a.png", PNG(2, 2)))
				var first Created
				for i, r := range s.together(t, 20, func(int) (*Response, error) {
					return s.send("POST", path, bytes.NewReader(body), key, "Content-Type: "+contentType)
				}) {
					created := r.Created(t)
					if i == 0 {
						first = created
					}
					assert.Equal(t, first, created)
				}
				image, _ := s.Avatar(t, first.AvatarURL)
				assert.Equal(t, PNG(2, 2), image)
				assert.Equal(t, first.AvatarURL, s.Get(t, first.ID).AvatarURL)
				once(t, email)
			})

			// Ensure that of two contents at once exactly one wins.
			t.Run("of two contents at once one is made and the other refused", func(t *testing.T) {
				key, email := key(), Email()
				var made []Created
				var winner string
				names := []string{"Ann", "Bob"}
				for i, r := range s.together(t, 12, func(i int) (*Response, error) {
					return s.send("POST", path, strings.NewReader(object("name", names[i%2], "email", email)), key, "Content-Type: application/json")
				}) {
					if r.Status == http.StatusCreated {
						made = append(made, r.Created(t))
						assert.Contains(t, []string{"", names[i%2]}, winner, r)
						winner = names[i%2]
						continue
					}
					r.Problem(t, http.StatusUnprocessableEntity, reused)
				}
				require.Len(t, made, 6)
				for _, created := range made {
					assert.Equal(t, made[0], created)
				}
				assert.Equal(t, winner, s.Get(t, made[0].ID).Name)
				once(t, email)
			})
		})
	}

	// Ensure the two paths are two names of the same.
	t.Run("a key is the same on both paths", func(t *testing.T) {
		key, email := key(), Email()
		created := s.PostJSON(t, "/user", object("name", "Ann", "email", email), key).Created(t)
		assert.Equal(t, created, s.PostJSON(t, "/users", object("name", "Ann", "email", email), key).Created(t))
		s.PostJSON(t, "/users", object("name", "Bob", "email", email), key).Problem(t, http.StatusUnprocessableEntity, reused)
		once(t, email)
	})

	// Ensure a key means nothing but itself.
	t.Run("other keys make other users", func(t *testing.T) {
		body, word := object("name", "Ann", "email", Email()), Marker()
		ids := map[string]bool{}
		for _, key := range []string{word, strings.ToUpper(word), word + "x", word + "/x", word + " x", `"` + word + `"`} {
			ids[s.PostJSON(t, "/users", body, "Idempotency-Key: "+key).Created(t).ID] = true
		}
		ids[s.PostJSON(t, "/users", body).Created(t).ID] = true
		assert.Len(t, ids, 7)
	})

	// Ensure the first answer is the first answer, whatever has become of the user.
	t.Run("a user that was changed since gives the first answer again", func(t *testing.T) {
		key, email := key(), Email()
		created := s.CreateForm(t, "Ann", email, PNG(2, 2), key)
		again := func(what string) {
			t.Helper()
			assert.Equal(t, created, s.CreateForm(t, "Ann", email, PNG(2, 2), key), what)
		}
		other := Email()
		s.Patch(t, created.ID, object("name", "Bob", "email", other))
		again("name and email were changed")
		u := s.PutAvatar(t, created.ID, PNG(3, 3))
		again("the avatar was replaced")
		assert.Equal(t, User{ID: created.ID, Name: "Bob", Email: other, AvatarURL: u.AvatarURL}, s.Get(t, created.ID))
		image, _ := s.Avatar(t, u.AvatarURL)
		assert.Equal(t, PNG(3, 3), image)
		r := s.Do(t, "DELETE", "/users/"+created.ID+"/avatar", nil)
		require.Equal(t, http.StatusNoContent, r.Status, r)
		again("the avatar was removed")
		s.PostJSON(t, "/users", object("name", "Bob", "email", other), key).Problem(t, http.StatusUnprocessableEntity, reused)
		assert.Equal(t, User{ID: created.ID, Name: "Bob", Email: other}, s.Get(t, created.ID))
	})

	// Ensure a user that got an avatar later is still the user that was made without one.
	t.Run("an avatar that came later is not in the first answer", func(t *testing.T) {
		key, email := key(), Email()
		created := s.CreateJSON(t, "Ann", email, key)
		s.PutAvatar(t, created.ID, PNG(2, 2))
		assert.Equal(t, created, s.CreateJSON(t, "Ann", email, key))
		s.PostForm(t, "/users", []Part{Field("name", "Ann"), Field("email", email), File("avatar", "a.png", PNG(2, 2))}, key).
			Problem(t, http.StatusUnprocessableEntity, reused)
	})

	// Ensure the promise lasts as long as the user and no longer.
	t.Run("a key is free again when the user is deleted", func(t *testing.T) {
		key, email := key(), Email()
		s.Delete(t, s.CreateForm(t, "Ann", email, PNG(2, 2), key).ID)
		created := s.CreateJSON(t, "Bob", email, key)
		assert.Equal(t, User{ID: created.ID, Name: "Bob", Email: email}, s.Get(t, created.ID))
		assert.Equal(t, created, s.CreateJSON(t, "Bob", email, key))
		s.PostJSON(t, "/users", object("name", "Ann", "email", email), key).Problem(t, http.StatusUnprocessableEntity, reused)
	})

	// Ensure a request that made nothing has not used its key.
	t.Run("a refused request does not use up its key", func(t *testing.T) {
		key, email := key(), Email()
		s.PostJSON(t, "/users", object("name", "Ann", "email", "ann"), key).Problem(t, http.StatusBadRequest, "Invalid 'email'")
		s.PostForm(t, "/users", []Part{Field("name", "Ann"), Field("email", email), File("avatar", "a.png", SVG())}, key).
			Problem(t, http.StatusUnsupportedMediaType, "Avatar is not an image")
		s.CreateJSON(t, "Bob", email, key)
		once(t, email)
	})

	// Ensure no fingerprint, and nothing else of how the promise is kept, is shown.
	t.Run("a user made with a key looks like any other", func(t *testing.T) {
		key, email := key(), Email()
		created := s.CreateJSON(t, "Ann", email, key)
		assert.Equal(t, User{ID: created.ID, Name: "Ann", Email: email}, s.Get(t, created.ID))
		users := s.untilListed(t, func(users []User) bool { return len(byID(users, created.ID)) > 0 })
		assert.Equal(t, []User{{ID: created.ID, Name: "Ann", Email: email}}, byID(users, created.ID))
	})

	// Ensure a key may be as long as it is said to be, of any printable character.
	t.Run("a key may have 255 printable characters", func(t *testing.T) {
		var printable strings.Builder
		for c := byte('!'); c <= '~'; c++ {
			printable.WriteByte(c)
		}
		for _, key := range []string{
			Marker() + strings.Repeat("k", 255-26), Marker() + printable.String(), Marker() + " with spaces",
		} {
			email := Email()
			created := s.CreateJSON(t, "Ann", email, "Idempotency-Key: "+key)
			assert.Equal(t, created, s.CreateJSON(t, "Ann", email, "Idempotency-Key: "+key), "%q", key)
		}
	})

	// Ensure a key that cannot be kept is refused, not cut.
	t.Run("a key that is not acceptable is refused", func(t *testing.T) {
		marker := Marker()
		body := object("name", marker, "email", Email())
		for _, path := range createPaths {
			for _, header := range [][]string{
				{"Idempotency-Key: "},
				{"Idempotency-Key: " + strings.Repeat("k", 256)},
				{"Idempotency-Key: " + marker + "é"},
				{"Idempotency-Key: " + marker + "\xff"},
				{"Idempotency-Key: " + marker + "\tx"},
				{"Idempotency-Key: " + marker, "Idempotency-Key: " + marker},
				{"Idempotency-Key: " + marker, "Idempotency-Key: x"},
				{"Idempotency-Key: ", "Idempotency-Key: " + marker},
			} {
				t.Run(fmt.Sprintf("POST %s with %.60q", path, header), func(t *testing.T) {
					s.PostJSON(t, path, body, header...).Problem(t, http.StatusBadRequest, "Invalid 'Idempotency-Key'")
				})
			}
		}
		s.requireNotStored(t, marker)
	})
}
