package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/apitest"
	"prima.internal/app/config"
)

// Ensure concurrent changes of one user's name, email and avatar, and its deletion, end in a state
// that some order of them would give, with matching responses and nothing else in the bucket.
func TestChangesAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	client := apitest.NewClient(t, s.url, apitest.Options{})
	second, third := string(apitest.PNG(3, 3)), string(apitest.PNG(4, 4))
	for round := range 60 {
		deleting, removing := round%3 == 0, round%2 == 0
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			id := client.CreateForm(t, "Ada", "ada@example.com", apitest.PNG(2, 2)).ID
			path := "/users/" + id
			changes := [][3]string{
				{http.MethodPatch, path, `{"name":"Grace"}`},
				{http.MethodPatch, path, `{"email":"grace@example.com"}`},
				{http.MethodPut, path + "/avatar", second},
				{http.MethodPut, path + "/avatar", third},
			}
			fits := []int{http.StatusOK, http.StatusNoContent}
			if removing {
				changes = append(changes, [3]string{http.MethodDelete, path + "/avatar"})
			}
			if deleting {
				changes = append(changes, [3]string{http.MethodDelete, path})
				fits = append(fits, http.StatusNotFound)
			}
			var all sync.WaitGroup
			begin := make(chan struct{})
			for _, c := range changes {
				all.Go(func() {
					<-begin
					got, err := s.send(alone(), c[0], c[1], c[2])
					assert.NoError(t, err)
					assert.Contains(t, fits, got.StatusCode, "%s %s: %s", c[0], c[1], got.body)
				})
			}
			close(begin)
			all.Wait()

			objects := slices.DeleteFunc(s.aws.Objects(t), func(key string) bool {
				return !strings.HasPrefix(key, config.AvatarPrefix+id+"/")
			})
			if deleting {
				assert.Equal(t, http.StatusNotFound, s.do(t, http.MethodGet, path, "").StatusCode)
				assert.Empty(t, objects)
				return
			}
			user := client.Get(t, id)
			assert.Equal(t, "Grace", user.Name)
			assert.Equal(t, "grace@example.com", user.Email)
			if user.AvatarURL == "" {
				assert.True(t, removing)
				assert.Empty(t, objects)
				return
			}
			_, image, _ := strings.Cut(user.AvatarURL, "?v=")
			assert.Equal(t, []string{config.AvatarPrefix + id + "/" + image}, objects)
			stored := s.do(t, http.MethodGet, path+"/avatar", "")
			assert.Contains(t, []string{second, third}, stored.body, "not the first: it was replaced")
		})
	}
}
