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

// Ensure that a request of any kind, whichever service is silent, and also when one falls silent
// between two of its calls or slow within one, ends in REQUEST_TIMEOUT and a margin: what it does
// to tidy up after a failure is within its time, too.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	silentFrom := func(call string) func(*testing.T, *system, place) {
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
		strike func(*testing.T, *system, place)
		place  place
	}{
		{"DynamoDB", poisoned(blackHole...), onlyDynamoDB},
		{"S3", poisoned(blackHole...), onlyS3},
		{"both", poisoned(blackHole...), both},
		{"DynamoDB from the image on", silentFrom("S3.PutObject"), onlyDynamoDB},
		{"both from the image on", silentFrom("S3.PutObject"), both},
		{"both from the write on", silentFrom("DynamoDB.UpdateItem"), both},
		{"both from the deletion on", silentFrom("DynamoDB.DeleteItem"), both},
		{"DynamoDB in the middle of its answers", func(t *testing.T, s *system, _ place) {
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
			type request struct{ method, path, body string }
			at := func(suffix string) string { // of a user of its own
				return config.PathUsers + "/" + s.create(t, newImage(imageBytes)) + suffix
			}
			image := string(newImage(imageBytes))
			requests := []request{
				{http.MethodPost, config.PathUsers, `{"name":"Ada","email":"ada@example.com"}`},
				{http.MethodGet, config.PathUsers, ""},
				{http.MethodGet, config.PathUsers + "?limit=1000", ""},
				{http.MethodGet, at(""), ""},
				{http.MethodPatch, at(""), `{"name":"Grace"}`},
				{http.MethodDelete, at(""), ""},
				{http.MethodGet, at("/avatar"), ""},
				{http.MethodPut, at("/avatar"), image},
				{http.MethodDelete, at("/avatar"), ""},
			}
			c.strike(t, s, c.place)
			var all sync.WaitGroup
			check := func(what string, got answer) {
				assert.NoError(t, got.err, "%s: %s", what, got)
				s.inTime(t, got, what)
				if got.status >= 300 {
					assert.NoError(t, got.unavailable(), "%s: %s", what, got)
				}
			}
			all.Go(func() { check("POST with avatar", newAccount([]byte(image), "a key").create(s)) })
			for _, r := range requests {
				all.Go(func() { check(r.method+" "+r.path, s.call(r.method, r.path, []byte(r.body))) })
			}
			all.Wait()
		})
	}
}
