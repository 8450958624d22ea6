package chaos_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// Ensure that a write which was carried out and whose answer the network then cut off is a success to the client, made
// once: no second user, no image that nobody names.
func TestLostReply(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.RequestTimeout = 30 * time.Second })
	at := func(id string) string { return config.PathUsers + "/" + id }
	image := newImage(imageBytes)
	for _, c := range []struct {
		call    string
		request func(id string) answer
		// images is how many there are more afterwards, users how many users.
		users, images int
		check         func(t *testing.T, id string)
	}{
		{"DynamoDB.PutItem", func(string) answer { return newAccount(nil, "").create(s) }, 1, 0, nil},
		{"DynamoDB.PutItem", func(string) answer { return newAccount(nil, "a key").create(s) }, 1, 0, nil},
		{"DynamoDB.PutItem", func(string) answer { return newAccount(newImage(imageBytes), "another key").create(s) }, 1, 1, nil},
		{"S3.PutObject", func(string) answer { return newAccount(newImage(imageBytes), "").create(s) }, 1, 1, nil},
		{"DynamoDB.UpdateItem", func(id string) answer { return s.call(http.MethodPatch, at(id), []byte(`{"name":"Grace"}`)) }, 0, 0, func(t *testing.T, id string) {
			t.Helper()
			assert.Contains(t, string(s.call(http.MethodGet, at(id), nil).body), `"name":"Grace"`)
		}},
		{"DynamoDB.UpdateItem", func(id string) answer { return s.call(http.MethodPut, at(id)+"/avatar", image) }, 0, 0, func(t *testing.T, id string) {
			t.Helper()
			assert.True(t, bytes.Equal(image, s.call(http.MethodGet, at(id)+"/avatar", nil).body), "the new image")
		}},
		{"S3.PutObject", func(id string) answer { return s.call(http.MethodPut, at(id)+"/avatar", image) }, 0, 0, func(t *testing.T, id string) {
			t.Helper()
			assert.True(t, bytes.Equal(image, s.call(http.MethodGet, at(id)+"/avatar", nil).body), "the new image")
		}},
		{"S3.DeleteObject", func(id string) answer { return s.call(http.MethodPut, at(id)+"/avatar", image) }, 0, 0, func(t *testing.T, id string) {
			t.Helper()
			assert.True(t, bytes.Equal(image, s.call(http.MethodGet, at(id)+"/avatar", nil).body), "the new image")
		}},
		{"DynamoDB.UpdateItem", func(id string) answer { return s.call(http.MethodDelete, at(id)+"/avatar", nil) }, 0, -1, func(t *testing.T, id string) {
			t.Helper()
			assert.Equal(t, http.StatusNotFound, s.call(http.MethodGet, at(id)+"/avatar", nil).status)
		}},
		{"DynamoDB.DeleteItem", func(id string) answer { return s.call(http.MethodDelete, at(id), nil) }, -1, -1, func(t *testing.T, id string) {
			t.Helper()
			assert.Equal(t, http.StatusNotFound, s.call(http.MethodGet, at(id), nil).status)
		}},
	} {
		id := s.create(t, newImage(imageBytes))
		users, images, calls := len(s.users(t)), len(s.aws.Objects(t)), s.aws.Calls(c.call)
		s.cutReply(t, c.call)
		got := c.request(id)
		s.aws.Heal(c.call)
		assert.Contains(t, []int{http.StatusOK, http.StatusCreated, http.StatusNoContent}, got.status, "%s: %s", c.call, got)
		assert.Equal(t, 2, s.aws.Calls(c.call)-calls, "calls of %s, the first without an answer", c.call)
		assert.Len(t, s.users(t), users+c.users, c.call)
		assert.Len(t, s.aws.Objects(t), images+c.images, c.call)
		if c.check != nil {
			c.check(t, id)
		}
	}
}

// cutReply has the next call of this kind carried out and its answer cut off behind the first byte.
func (s *system) cutReply(t *testing.T, call string) {
	t.Helper()
	l := s.dynamodb
	if call[:2] == "S3" {
		l = s.s3
	}
	var times atomic.Int64
	s.aws.Intercede(call, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch times.Add(1) {
		case 1:
			l.poison(t, `{"type":"limit_data","attributes":{"bytes":1}}`)
		case 2:
			l.current().Toxics.ResetToxics(t.Context()) // while nobody else uses the link: see heal
		}
		next.ServeHTTP(w, r)
	})
}

// Ensure that a write which was answered 503, whether it was refused or carried out each time without an answer, leaves
// the user whole, with the image of before or with the new one, or gone, and that the same request does it afterwards.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.RequestTimeout = 5 * time.Second })
	for _, c := range []struct {
		request string
		call    string
		make    func(u *account) answer
	}{
		{"POST with avatar", "S3.PutObject", func(u *account) answer { return u.create(s) }},
		{"POST with avatar", "DynamoDB.PutItem", func(u *account) answer { return u.create(s) }},
		{"PATCH", "DynamoDB.UpdateItem", func(u *account) answer { return s.call(http.MethodPatch, u.path(), []byte(`{"name":"Grace"}`)) }},
		{"PUT avatar", "S3.PutObject", func(u *account) answer { return s.call(http.MethodPut, u.path()+"/avatar", u.nextAvatar) }},
		{"PUT avatar", "DynamoDB.UpdateItem", func(u *account) answer { return s.call(http.MethodPut, u.path()+"/avatar", u.nextAvatar) }},
		{"DELETE avatar", "DynamoDB.UpdateItem", func(u *account) answer { return s.call(http.MethodDelete, u.path()+"/avatar", nil) }},
		{"DELETE", "DynamoDB.DeleteItem", func(u *account) answer { return s.call(http.MethodDelete, u.path(), nil) }},
	} {
		for mode, fail := range map[string]func(){
			"refused":                     func() { s.aws.Fail(c.call, awstest.Always, http.StatusInternalServerError, "InternalServerError") },
			"carried out without answers": func() { s.aws.LoseReply(c.call, awstest.Always) },
		} {
			what := c.request + ", " + c.call + " " + mode
			u := newAccount(newImage(imageBytes), rand.Text())
			u.nextAvatar = newImage(imageBytes)
			if c.request != "POST with avatar" {
				u.id = createdID(u.create(s))
			}
			fail()
			got := c.make(u)
			s.aws.Heal(c.call)
			if got.status >= 300 { // what was carried out may have been found out by asking
				assert.NoError(t, got.unavailable(), "%s: %s", what, got)
			}
			if u.id != "" {
				s.whole(t, what, u)
			}

			again := c.make(u)
			done := again.status < 300 || again.status == http.StatusNotFound && strings.HasPrefix(c.request, "DELETE")
			assert.True(t, done, "%s, again: %s", what, again)
			if u.id == "" {
				u.id = createdID(again)
			}
			s.whole(t, what+", again", u)
		}
	}
}

// whole requires that a user is gone, or has no image, or has one of the two images of the account.
func (s *system) whole(t *testing.T, what string, u *account) {
	t.Helper()
	got := s.call(http.MethodGet, u.path(), nil)
	if got.status == http.StatusNotFound {
		assert.True(t, strings.HasPrefix(what, "DELETE,"), "%s: %s", what, got)
		return
	}
	var shown listed
	require.NoError(t, json.Unmarshal(got.body, &shown), "%s: %s", what, got)
	if shown.AvatarURL == "" {
		assert.True(t, strings.HasPrefix(what, "DELETE avatar"), "%s: %s", what, got)
		return
	}
	image := s.call(http.MethodGet, u.path()+"/avatar", nil)
	assert.True(t, bytes.Equal(image.body, u.first) || bytes.Equal(image.body, u.nextAvatar), "%s: the image: %s", what, image)
}

// Ensure that a creation which was answered 503 although it was carried out, since no answer to it or to any question about
// it came through, is one user: the same request again, also many times at once, gets the first answer, and the avatar is
// there. Also that a replacement of the avatar that went the same way leaves the user with one of the two.
func TestRepeatedRequest(t *testing.T) {
	t.Parallel()
	for name, toxics := range map[string][]string{
		"answers cut off": {`{"type":"limit_data","attributes":{"bytes":1}}`},
		"answers stalled": {`{"type":"timeout","attributes":{"timeout":0}}`},
		"answers reset":   {`{"type":"reset_peer","attributes":{"timeout":0}}`},
		"answers late":    {latency},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout = 4 * time.Second })
			u := newAccount(newImage(imageBytes), "the key")
			var once sync.Once
			s.aws.Intercede("DynamoDB.PutItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				once.Do(func() { s.dynamodb.poison(t, toxics...) })
				next.ServeHTTP(w, r)
			})
			refused := u.create(s)
			require.NoError(t, refused.unavailable(), "%s", refused)
			s.heal(t)

			const times = 8
			answers := make([]answer, times)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() { answers[i] = u.create(s) })
			}
			all.Wait()
			for _, a := range answers {
				assert.Equal(t, http.StatusCreated, a.status, "%s", a)
				assert.Equal(t, string(answers[0].body), string(a.body))
			}
			users := s.users(t)
			require.Len(t, users, 1)
			assert.Equal(t, createdID(answers[0]), users[0].ID)
			image := s.call(http.MethodGet, config.PathUsers+"/"+users[0].ID+"/avatar", nil)
			assert.True(t, bytes.Equal(u.first, image.body), "the avatar: %s", image)
			assert.Len(t, s.aws.Objects(t), 1)

			u.id, u.nextAvatar = users[0].ID, newImage(imageBytes)
			replace := func() answer { return s.call(http.MethodPut, u.path()+"/avatar", u.nextAvatar) }
			var again sync.Once
			s.aws.Intercede("DynamoDB.UpdateItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				again.Do(func() { s.dynamodb.poison(t, toxics...) })
				next.ServeHTTP(w, r)
			})
			refused = replace()
			require.NoError(t, refused.unavailable(), "%s", refused)
			s.heal(t)
			s.whole(t, "PUT avatar", u)
			replaced := replace()
			assert.Equal(t, http.StatusOK, replaced.status, "%s", replaced)
			image = s.call(http.MethodGet, u.path()+"/avatar", nil)
			assert.True(t, bytes.Equal(u.nextAvatar, image.body), "the new avatar: %s", image)
		})
	}
}

// Ensure that a write which reaches DynamoDB only after its request was answered 503, because the network held it back for
// so long, takes no image away: once the same request is acknowledged, the avatar is there.
func TestLateWrite(t *testing.T) {
	t.Parallel()
	for call, request := range map[string]func(s *system, u *account) answer{
		"DynamoDB.PutItem": func(s *system, u *account) answer { return u.create(s) },
		"DynamoDB.UpdateItem": func(s *system, u *account) answer {
			return s.call(http.MethodPut, u.path()+"/avatar", u.avatar)
		},
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout = 3 * time.Second })
			u, first := newAccount(newImage(imageBytes), "the key"), newImage(imageBytes)
			if call == "DynamoDB.UpdateItem" {
				u.id = s.create(t, first)
			}
			release := make(chan struct{})
			var held sync.WaitGroup
			s.aws.Intercede(call, func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				late := r.Clone(context.WithoutCancel(r.Context()))
				late.Body = io.NopCloser(bytes.NewReader(body))
				held.Go(func() {
					<-release
					next.ServeHTTP(httptest.NewRecorder(), late)
				})
				<-r.Context().Done()
			})
			got := request(s, u)
			require.NoError(t, got.unavailable(), "%s", got)
			s.aws.Heal(call)
			close(release)
			held.Wait()

			if call == "DynamoDB.PutItem" {
				got = request(s, u)
				require.Equal(t, http.StatusCreated, got.status, "%s", got)
				u.id = createdID(got)
			}
			image := s.call(http.MethodGet, u.path()+"/avatar", nil)
			assert.Equal(t, http.StatusOK, image.status, "the avatar of %s: %s", s.call(http.MethodGet, u.path(), nil).body, image)
			assert.True(t, bytes.Equal(image.body, u.avatar) || bytes.Equal(image.body, first), "one of the two images")
		})
	}
}
