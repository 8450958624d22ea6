package apitest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// conditions is about If-Match and If-None-Match: RFC 9110 §13.
func (s *suite) conditions(t *testing.T) {
	t.Run("conditions that do not hold", s.requests("conditions"))
	// user creates a user without an avatar.
	user := func(t *testing.T) (id, avatar string) {
		t.Helper()
		id = s.CreateJSON(t, "Ann", Email()).ID
		return id, "/users/" + id + "/avatar"
	}
	etag := func(t *testing.T, path string) string {
		t.Helper()
		return s.Do(t, "GET", path, nil).Header.Get("Etag")
	}

	// Ensure a client that has seen the avatar changes it.
	t.Run("an avatar is changed if the condition holds", func(t *testing.T) {
		id, avatar := user(t)
		for _, header := range []string{
			"If-Match: *", "If-Match: %s", `If-Match: "x", %s`, `If-Match: ,%s ,,"x"`,
			`If-None-Match: "stale"`, `If-None-Match: "x,*,y"`,
		} {
			s.PutAvatar(t, id, PNG(2, 2))
			condition := strings.ReplaceAll(header, "%s", etag(t, avatar))
			s.Do(t, "PUT", avatar, bytes.NewReader(PNG(3, 3)), condition).User(t)
			condition = strings.ReplaceAll(header, "%s", etag(t, avatar))
			s.Do(t, "DELETE", avatar, nil, condition).Is(t, http.StatusNoContent)
		}
	})

	// Ensure a client that has seen no avatar adds one, and replaces none.
	t.Run("an avatar is added if the condition holds", func(t *testing.T) {
		for _, condition := range []string{`"stale"`, `"x,*,y"`, "*", `W/"stale"`, `"x", "stale"`} {
			_, avatar := user(t)
			s.Do(t, "PUT", avatar, bytes.NewReader(PNG(3, 3)), "If-None-Match: "+condition).User(t)
			r := s.Do(t, "PUT", avatar, bytes.NewReader(PNG(2, 2)), "If-None-Match: *")
			r.Problem(t, http.StatusPreconditionFailed, "Precondition failed")
			assert.Equal(t, PNG(3, 3), s.Do(t, "GET", avatar, nil).Body)
		}
	})

	// Ensure one of several clients that replace an image at once succeeds.
	t.Run("one of many replaces an image", func(t *testing.T) {
		for _, header := range []string{"If-Match: %s", "If-None-Match: *"} {
			id, avatar := user(t)
			if strings.Contains(header, "%s") {
				s.PutAvatar(t, id, PNG(2, 2))
				header = fmt.Sprintf(header, etag(t, avatar))
			}
			won := 0
			for _, r := range s.together(t, 8, func(i int) (*Response, error) {
				return s.send("PUT", avatar, bytes.NewReader(PNG(3, 3+i)), header)
			}) {
				if r.Status != http.StatusOK {
					r.Problem(t, http.StatusPreconditionFailed, "Precondition failed")
					continue
				}
				won++
				s.requireAvatar(t, r.User(t).AvatarURL, s.Do(t, "GET", avatar, nil).Body, "image/png")
			}
			assert.Equal(t, 1, won, header)
		}
	})
}
