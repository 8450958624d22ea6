package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/bucket"
)

// Ensure changes of one user at the same time, to name, email and avatar, and its deletion, end in a state
// that an order of them would have given, with answers that fit it and nothing else in the bucket.
func TestChangesAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	images := [][]byte{apitest.PNG(2, 2), apitest.PNG(3, 3), apitest.PNG(4, 4)}
	for round := range 60 {
		deleting, removing := round%3 == 0, round%2 == 0
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			path := "/users/" + s.create(t)
			require.Equal(t, http.StatusOK, s.do(t, http.MethodPut, path+"/avatar", string(images[0])).StatusCode)

			type change struct {
				method, path string
				body         []byte
				answer       answer
			}
			changes := []*change{
				{method: http.MethodPatch, path: path, body: []byte(`{"name":"Grace"}`)},
				{method: http.MethodPatch, path: path, body: []byte(`{"email":"grace@example.com"}`)},
				{method: http.MethodPut, path: path + "/avatar", body: images[1]},
				{method: http.MethodPut, path: path + "/avatar", body: images[2]},
			}
			if removing {
				changes = append(changes, &change{method: http.MethodDelete, path: path + "/avatar"})
			}
			if deleting {
				changes = append(changes, &change{method: http.MethodDelete, path: path})
			}
			var all sync.WaitGroup
			begin := make(chan struct{})
			for _, c := range changes {
				all.Go(func() {
					<-begin
					var err error
					c.answer, err = s.send(c.method, c.path, c.body)
					assert.NoError(t, err)
				})
			}
			close(begin)
			all.Wait()
			for _, c := range changes {
				fits := []int{http.StatusOK, http.StatusNoContent}
				if deleting {
					fits = append(fits, http.StatusNotFound)
				}
				assert.Contains(t, fits, c.answer.StatusCode, "%s %s: %s", c.method, c.path, c.answer.body)
			}

			got := s.do(t, http.MethodGet, path, "")
			id := strings.TrimPrefix(path, "/users/")
			var objects []string
			for _, key := range s.aws.Objects(t) {
				if strings.HasPrefix(key, bucket.Prefix+id+"/") {
					objects = append(objects, key)
				}
			}
			if deleting {
				assert.Equal(t, http.StatusNoContent, changes[len(changes)-1].answer.StatusCode)
				assert.Equal(t, http.StatusNotFound, got.StatusCode, got.body)
				assert.Empty(t, objects)
				return
			}
			var user struct {
				Name, Email string
				AvatarURL   string `json:"avatar_url"`
			}
			require.NoError(t, json.Unmarshal([]byte(got.body), &user), got.body)
			assert.Equal(t, "Grace", user.Name)
			assert.Equal(t, "grace@example.com", user.Email)
			if user.AvatarURL == "" {
				assert.True(t, removing)
				assert.Empty(t, objects)
				return
			}
			_, image, _ := strings.Cut(user.AvatarURL, "?v=")
			assert.Equal(t, []string{bucket.Prefix + id + "/" + image}, objects)
			stored := s.do(t, http.MethodGet, path+"/avatar", "")
			assert.Contains(t, images[1:], []byte(stored.body), "not the first: it was replaced")
		})
	}
}

// Ensure one key from fifty connections at once makes one user with one image, and all get one answer.
func TestOneKeyFromManyConnections(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	contentType, body := apitest.Form(apitest.Field("name", "Ada"), apitest.Field("email", "ada@example.com"), apitest.File("avatar", "a.png", apitest.PNG(2, 2)))
	const n = 50
	answers := make([]string, n)
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			transport := new(http.Transport)
			defer transport.CloseIdleConnections()
			request, err := http.NewRequest(http.MethodPost, s.url+"/users", bytes.NewReader(body))
			if !assert.NoError(t, err) {
				return
			}
			request.Header.Set("Content-Type", contentType)
			request.Header.Set("Idempotency-Key", "one")
			<-begin
			response, err := transport.RoundTrip(request)
			if !assert.NoError(t, err) {
				return
			}
			defer response.Body.Close()
			answer, err := io.ReadAll(response.Body)
			assert.NoError(t, err)
			assert.Equal(t, http.StatusCreated, response.StatusCode, "%s", answer)
			answers[i] = string(answer)
		})
	}
	close(begin)
	all.Wait()
	for _, answer := range answers {
		assert.Equal(t, answers[0], answer)
	}
	assert.Len(t, s.aws.Objects(t), 1)
	assert.Equal(t, 1, strings.Count(s.do(t, http.MethodGet, "/users", "").body, `"id":`))
}
