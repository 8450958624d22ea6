package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

// watched counts the pages of a store that were found unchanged.
type watched struct {
	user.Store
	unchanged atomic.Int64
}

func (w *watched) Page(ctx context.Context, dst []byte, usersURL string, q user.PageQuery) (user.Page, error) {
	p, err := w.Store.Page(ctx, dst, usersURL, q)
	if p.Unchanged {
		w.unchanged.Add(1)
	}
	return p, err
}

func startWatched(t *testing.T, change func(*config.Config)) (*server, *watched) {
	t.Helper()
	a := awstest.Start(t)
	change(&a.Config)
	store := &watched{Store: dynamo.New(a.SDK, a.Config)}
	s := serve(t, a.Config, store, nil, nil)
	s.aws = a
	return s, store
}

// Ensure a list that has not changed is the same answer as before, made only once, for each way to ask for it, and that every
// change is seen at once.
func TestListUnchanged(t *testing.T) {
	t.Parallel()
	for _, sharing := range []bool{true, false} {
		s, store := startWatched(t, func(c *config.Config) { c.ListSharing = sharing })
		id := s.create(t)
		for range 4 {
			s.create(t)
		}
		queries := []struct{ path, host string }{
			{"/users", "localhost"}, {"/users", "api.example.com"}, {"/users?limit=2", "localhost"}, {"/users?limit=3", "localhost"}, {"/users?limit=1000", "localhost"},
		}
		get := func(i int) answer {
			got := s.do(t, http.MethodGet, queries[i].path, "", "Host", queries[i].host)
			require.Equal(t, http.StatusOK, got.StatusCode, got.body)
			return got
		}
		answers := make([]answer, len(queries))
		for i := range queries {
			answers[i] = get(i)
			assert.Zero(t, store.unchanged.Load(), "%v", queries[i])
			assert.Equal(t, queries[i].path == "/users?limit=2" || queries[i].path == "/users?limit=3", answers[i].Header.Get("Link") != "")
		}
		for range 3 {
			for i, first := range answers {
				before := store.unchanged.Load()
				again := get(i)
				assert.Equal(t, before+1, store.unchanged.Load(), "%v", queries[i])
				assert.Equal(t, first.body, again.body)
				for _, name := range []string{"ETag", "Link", "Content-Type", "Content-Length", "Cache-Control"} {
					assert.Equal(t, first.Header.Get(name), again.Header.Get(name), "%v: %s", queries[i], name)
				}
			}
		}
		assert.Equal(t, len(queries)*4, s.aws.Calls("DynamoDB.Scan"), "the table is asked each time")

		before := store.unchanged.Load()
		changed := s.do(t, http.MethodPatch, "/users/"+id, `{"name":"Eve"}`, "Content-Type", "application/json")
		require.Equal(t, http.StatusOK, changed.StatusCode, changed.body)
		for _, i := range []int{0, 1, 4} {
			now := get(i)
			assert.Contains(t, now.body, `"Eve"`, "%v", queries[i])
			assert.NotEqual(t, answers[i].Header.Get("ETag"), now.Header.Get("ETag"))
			assert.Equal(t, now.body, get(i).body)
		}
		assert.Equal(t, before+3, store.unchanged.Load())
	}
}

// Ensure a list of a few users that several Scans have found shows what changes in the later ones.
func TestListOfSeveralScansChanges(t *testing.T) {
	t.Parallel()
	s, store := startWatched(t, func(*config.Config) {})
	var later atomic.Value
	later.Store("Bob")
	s.aws.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		asked, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		if strings.Contains(string(asked), "ExclusiveStartKey") {
			_, _ = fmt.Fprintf(w, `{"Items":[{"id":{"S":"2"},"name":{"S":%q}}]}`, later.Load())
			return
		}
		_, _ = io.WriteString(w, `{"Items":[{"id":{"S":"1"},"name":{"S":"Ada"}}],"LastEvaluatedKey":{"id":{"S":"1"}}}`)
	})
	for _, path := range []string{"/users", "/users?limit=10"} {
		for _, name := range []string{"Bob", "Bob", "Eve", "Eve", "Bob"} {
			later.Store(name)
			got := s.do(t, http.MethodGet, path, "")
			assert.Contains(t, got.body, name, path)
			assert.Contains(t, got.body, "Ada", path)
		}
	}
	assert.Zero(t, store.unchanged.Load())
}

// Ensure clients who ask at a time by different names of the host, which are in the links, get their own, whether that is kept or not.
func TestUnchangedListsAreNotMixedUp(t *testing.T) {
	t.Parallel()
	const users = 3
	s, store := startWatched(t, func(c *config.Config) { c.ListSharing = false })
	for range users {
		s.put(t, map[string]string{"id": uuid.NewString(), "name": "Ada", "email": "ada@example.com", "avatar_id": uuid.NewString()})
	}
	list := func(host string, n int) {
		got := s.do(t, http.MethodGet, []string{"/users", "/users?limit=3"}[n%2], "", "Host", host)
		assert.Equal(t, users, strings.Count(got.body, `"avatar_url":"http://`+host+`/`), got.body)
	}
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			for n := range 20 {
				list(fmt.Sprintf("host-%d.example.com", i/2), n)
			}
		})
	}
	all.Wait()
	before := store.unchanged.Load()
	list("api.example.com", 0)
	list("api.example.com", 0)
	assert.Equal(t, before+1, store.unchanged.Load())
}
