package chaos_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// Ensure that a request of any kind, whichever service is silent, and also when one falls silent between two of its
// calls or slow within one, ends in REQUEST_TIMEOUT and a margin: what it does to tidy up after a failure is within its time, too.
//
// The timeout is so long that its parts stand out against the margin.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	const timeout = 4 * time.Second
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
	type silence struct {
		name   string
		strike func(*testing.T, *system, place)
		place  place
	}
	cases := []silence{
		{"DynamoDB from the image on", silentFrom("S3.PutObject"), places[0]},
		{"both from the image on", silentFrom("S3.PutObject"), places[2]},
		{"both from the write on", silentFrom("DynamoDB.UpdateItem"), places[2]},
		{"both from the deletion on", silentFrom("DynamoDB.DeleteItem"), places[2]},
		{"DynamoDB in the middle of its answers", func(t *testing.T, s *system, _ place) {
			t.Helper()
			for range 30 {
				s.plant(t, 1<<10)
			}
			slow(t, s, places[0]) // less than 1 KB/s
		}, places[0]},
	}
	for _, p := range places {
		cases = append(cases, silence{p.name, poisoned(blackHole...), p})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout = timeout })
			requests := map[string]func() answer{
				"POST":             func() answer { return newAccount(nil, "a key").create(s) },
				"POST with avatar": func() answer { return newAccount(newImage(imageBytes), "").create(s) },
				"GET list":         func() answer { return s.call(http.MethodGet, config.PathUsers, nil) },
				"GET page":         func() answer { return s.call(http.MethodGet, config.PathUsers+"?limit=1000", nil) },
			}
			for name, request := range map[string]func(path string) answer{
				"GET one":       func(path string) answer { return s.call(http.MethodGet, path, nil) },
				"PATCH":         func(path string) answer { return s.call(http.MethodPatch, path, []byte(`{"name":"Grace"}`)) },
				"DELETE":        func(path string) answer { return s.call(http.MethodDelete, path, nil) },
				"GET avatar":    func(path string) answer { return s.call(http.MethodGet, path+"/avatar", nil) },
				"PUT avatar":    func(path string) answer { return s.call(http.MethodPut, path+"/avatar", newImage(imageBytes)) },
				"DELETE avatar": func(path string) answer { return s.call(http.MethodDelete, path+"/avatar", nil) },
			} {
				path := config.PathUsers + "/" + s.create(t, newImage(imageBytes))
				requests[name] = func() answer { return request(path) }
			}
			c.strike(t, s, c.place)
			var all sync.WaitGroup
			for name, request := range requests {
				all.Go(func() {
					got := request()
					assert.NoError(t, got.err, "%s: %s", name, got)
					s.inTime(t, got, name)
					if got.status >= 300 {
						assert.NoError(t, got.unavailable(), "%s: %s", name, got)
					}
				})
			}
			all.Wait()
		})
	}
}

// plant puts a user of so many bytes into the table.
func (s *system) plant(t *testing.T, size int) {
	t.Helper()
	item := map[string]types.AttributeValue{}
	for name, value := range map[string]string{
		config.KeyAttribute: uuid.NewString(), "name": "Ada", "email": "ada@example.com", "padding": strings.Repeat("x", size),
	} {
		item[name] = &types.AttributeValueMemberS{Value: value}
	}
	_, err := s.aws.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &s.config.Table, Item: item})
	require.NoError(t, err)
}
