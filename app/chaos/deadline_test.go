package chaos_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
)

// dripping has a response come with 16 bytes every 20 ms.
const dripping = `{"type":"slicer","attributes":{"average_size":16,"size_variation":8,"delay":20000}}`

// Ensure a request of any kind, with its cleanup, ends within REQUEST_TIMEOUT and a margin if a
// service does not respond, stops responding between two calls, or becomes slow.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	silentFrom := func(call string) failure {
		return func(t *testing.T, s *system, p place) {
			t.Helper()
			var once sync.Once
			s.aws.Intercede(call, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				once.Do(func() { poisoned(blackHole...)(t, s, p) })
				next.ServeHTTP(w, r)
			})
		}
	}
	for _, c := range []struct {
		name   string
		strike failure
		place  place
	}{
		{"DynamoDB", poisoned(blackHole...), onlyDynamoDB},
		{"S3", poisoned(blackHole...), onlyS3},
		{"both", poisoned(blackHole...), both},
		{"DynamoDB from the image on", silentFrom("S3.PutObject"), onlyDynamoDB},
		{"both from the image on", silentFrom("S3.PutObject"), both},
		{"both from the write on", silentFrom("DynamoDB.UpdateItem"), both},
		{"both from the deletion on", silentFrom("DynamoDB.DeleteItem"), both},
		{"DynamoDB in the middle of its responses", func(t *testing.T, s *system, _ place) {
			t.Helper()
			for range 30 {
				s.create(t, nil)
			}
			poisoned(dripping)(t, s, onlyDynamoDB)
		}, onlyDynamoDB},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout = requestTimeout })
			image := newImage(imageBytes)
			user := func() string { return s.create(t, image) } // each request has a user of its own
			form := newAccount(image, "a key")
			formBody, formHeader := form.creation()
			requests := []struct {
				method, path string
				body         []byte
				header       []string
			}{
				{http.MethodPost, config.PathUsers, formBody, formHeader},
				{http.MethodPost, config.PathUsers, []byte(`{"name":"Ada","email":"ada@example.com"}`), nil},
				{http.MethodGet, config.PathUsers, nil, nil},
				{http.MethodGet, config.PathUsers + "?limit=1000", nil, nil},
				{http.MethodGet, user(), nil, nil},
				{http.MethodPatch, user(), []byte(`{"name":"Grace"}`), nil},
				{http.MethodDelete, user(), nil, nil},
				{http.MethodGet, user() + "/avatar", nil, nil},
				{http.MethodPut, user() + "/avatar", image, nil},
				{http.MethodDelete, user() + "/avatar", nil, nil},
			}
			c.strike(t, s, c.place)
			var all sync.WaitGroup
			for _, r := range requests {
				all.Go(func() {
					got := s.call(r.method, r.path, r.body, r.header...)
					if got.err != nil || got.status >= http.StatusMultipleChoices {
						s.requireUnavailable(t, r.method+" "+r.path, got)
					}
					assert.LessOrEqual(t, got.took, requestTimeout+margin, "%s %s: %s", r.method, r.path, got)
				})
			}
			all.Wait()
		})
	}
}
