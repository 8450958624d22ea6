package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

func ids(t *testing.T, body string) map[string]bool {
	t.Helper()
	var users []struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(body), &users), "%.200s", body)
	set := map[string]bool{}
	for _, u := range users {
		require.False(t, set[u.ID], "%s came twice", u.ID)
		set[u.ID] = true
	}
	return set
}

// Ensure a list of several pages has every user exactly once, even if some pages are empty, and
// that its line in the log has its size.
func TestListOfSeveralPages(t *testing.T) {
	t.Parallel()
	for i := range 24 {
		store, users := newTable(i/2, 2), i/2
		store.sparse = i%2 == 1
		s := serve(t, config.Default(), store, nil, nil)
		got := s.do(t, http.MethodGet, "/users", "")
		require.NoError(t, got.err)
		assert.Len(t, ids(t, got.body), users, got.body)
		assert.EqualValues(t, max((users+1)/2, 1)*(1+i%2), store.reads.Load())
		lines := s.log.requests(t, "/users")
		assert.Len(t, lines, 1)
		assert.EqualValues(t, len(got.body), lines[0]["bytes"])
		assert.NotContains(t, lines[0], "error")
	}
}

// Ensure a long list is sent while it is read, and counts as active until its last byte has been
// sent. The metrics then have its whole duration.
func TestListBeginsAtOnce(t *testing.T) {
	t.Parallel()
	store := newTable(2000, 100)
	received, paused := make(chan struct{}), time.Duration(0)
	store.before = func(q user.PageQuery) error {
		if q.After != "" {
			begun := time.Now()
			<-received
			paused += time.Since(begun)
		}
		return nil
	}
	s := serve(t, config.Default(), store, nil, nil)
	c := s.dial(t, "GET /users HTTP/1.1\nHost: a\n\n")
	begin := make([]byte, 100*150)
	_, err := io.ReadFull(c, begin)
	require.NoError(t, err)
	const active = `http_server_active_requests{http_route="/users"} `
	const duration, counted = "http_server_request_duration_seconds_",
		`{http_request_method="GET",http_response_status_code="200",http_route="/users"} `
	during := scrape(t, s)
	assert.Contains(t, during, active+"1")
	assert.Contains(t, during, "prima_list_streams_active 1")
	assert.NotContains(t, during, duration+"count"+counted)
	close(received)
	got := read(t, io.MultiReader(bytes.NewReader(begin), c), http.MethodGet)
	require.NoError(t, got.err)
	assert.Len(t, ids(t, got.body), 2000)
	assert.Empty(t, got.Header.Get("ETag"), "nobody knows it yet")

	var after string
	require.Eventually(t, func() bool {
		after = scrape(t, s)
		return strings.Contains(after, duration+"count"+counted+"1\n")
	}, time.Minute, time.Millisecond)
	assert.Contains(t, after, active+"0")
	assert.Contains(t, after, "prima_list_streams_active 0")
	_, sum, _ := strings.Cut(after, duration+"sum"+counted)
	var took float64
	_, err = fmt.Sscan(sum, &took)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, took, paused.Seconds())
}

// scrape returns the metrics of a server as Prometheus reads them.
func scrape(t *testing.T, s *server) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(s))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, new(http.Request))
	return w.Body.String()
}

// Ensure a failed list is a 500 without the cause, or breaks off if it has begun, so that no client
// takes a part for the whole. The log has one line with the cause, the memory is released, and the
// process goes on.
func TestListIsCutOff(t *testing.T) {
	t.Parallel()
	fail := func() error { return errors.New("a secret") }
	panics := func() error { panic("a secret") }
	for name, c := range map[string]struct {
		from string // the first user whose page cannot be read
		fail func() error
	}{
		"first page panics": {"", panics},
		"later page panics": {"00001000", panics},
		"later page fails":  {"00001000", fail},
	} {
		store, failing := newTable(4000, 100), new(atomic.Bool)
		store.before = func(q user.PageQuery) error {
			if failing.Load() && q.After >= c.from {
				return c.fail()
			}
			return nil
		}
		failing.Store(true)
		s := store.serve(t, 4<<20) // of one list
		const n = 20
		for range n {
			got := s.do(t, http.MethodGet, "/users", "")
			if c.from == "" {
				require.Equal(t, http.StatusInternalServerError, got.StatusCode, name)
				require.Contains(t, got.body, `"status":500,"error":"Internal error"}`, "and no cause")
				continue
			}
			require.Equal(t, http.StatusOK, got.StatusCode, name)
			require.Error(t, got.err, name)
			require.Contains(t, got.body, `[{"id":"00000000"`, name)
		}
		lines := s.log.requests(t, "/users")
		assert.Len(t, lines, n, name)
		assert.Contains(t, lines[0]["error"], "a secret", name)
		assert.Equal(t, strings.Contains(name, "panics"), strings.Contains(fmt.Sprint(lines[0]["error"]), "list_test.go"),
			"%s: where the panic came from: %s", name, lines[0]["error"])
		failing.Store(false)
		assert.Len(t, ids(t, s.do(t, http.MethodGet, "/users", "").body), 4000, name)
	}
}

// Ensure a created user is in every list that is requested afterwards, while many clients create
// and list at once and share reads.
func TestSharedListsAreNeverOld(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	// A read takes a while, for others to come, and then says what was true when it began.
	s.aws.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		read := httptest.NewRecorder()
		next.ServeHTTP(read, r)
		time.Sleep(2 * time.Millisecond)
		maps.Copy(w.Header(), read.Header())
		w.WriteHeader(read.Code)
		_, _ = w.Write(read.Body.Bytes())
	})
	const clients, rounds = 16, 8
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			path := []string{"/users", "/users?limit=1000"}[i%2]
			for range rounds {
				created, err := s.send(alone(), http.MethodPost, "/users", ada)
				if !assert.NoError(t, err) || !assert.Equal(t, http.StatusCreated, created.StatusCode, created.body) {
					return
				}
				_, id, _ := strings.Cut(created.Header.Get("Location"), "/users/")
				listed, err := s.send(alone(), http.MethodGet, path, "")
				assert.NoError(t, err)
				assert.Contains(t, listed.body, id)
			}
		})
	}
	all.Wait()
	scans, lists := s.aws.Calls("DynamoDB.Scan"), clients*rounds
	t.Logf("figure: %d lists: %d scans", lists, scans)
	assert.Less(t, scans, lists*3/4)
}

// Ensure each client gets its own list, with its own host in the links, while clients share pages
// of all sizes and read fast and slowly.
func TestListsAreNotMixedUp(t *testing.T) {
	t.Parallel()
	for _, store := range []*table{newTable(10, 100), newTable(900, 1000), newTable(3000, 500)} {
		s := store.serve(t, 256<<20)
		var all sync.WaitGroup
		for client := range 8 {
			all.Go(func() {
				host := fmt.Sprintf("host%d.example.com", client%3)
				var users []string
				for _, u := range store.users {
					users = append(users, string(u.AppendJSON(nil, "http://"+host+"/users")))
				}
				want := "[" + strings.Join(users, ",") + "]"
				for range 5 {
					c := s.dial(t, "GET /users HTTP/1.1\nHost: "+host+"\nConnection: close\n\n")
					if client%2 == 0 {
						time.Sleep(20 * time.Millisecond)
					}
					got := read(t, c, http.MethodGet)
					assert.NoError(t, got.err)
					assert.True(t, bytes.Equal([]byte(want), []byte(got.body)), "%d bytes of %d", len(got.body), len(want))
				}
			})
		}
		all.Wait()
	}
}

// Ensure the ETag of a list is the same from every replica, and changes with the link to what
// follows.
func TestListETag(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	a.Config.PublicURL = "https://api.example.com/v1"
	users, avatars := dynamo.New(a.SDK, a.Config), bucket.New(a.SDK, a.Config)
	first, second := serve(t, a.Config, users, avatars, nil), serve(t, a.Config, users, avatars, nil)
	first.create(t)
	tag := first.do(t, http.MethodGet, "/users?limit=1", "").Header.Get("ETag")
	list := func() response { return second.do(t, http.MethodGet, "/users?limit=1", "", "If-None-Match", tag) }
	assert.Equal(t, http.StatusNotModified, list().StatusCode)
	first.create(t)
	after := list()
	assert.Equal(t, http.StatusOK, after.StatusCode, "a link has come, if nothing else")
	assert.Contains(t, after.Header.Get("Link"), "<https://api.example.com/v1/users?limit=1&cursor=")
}

// Ensure a client of HTTP/1.0, which cannot read chunks, gets a 505 for a list that is too long to
// be sent in one piece.
func TestListInOnePiece(t *testing.T) {
	t.Parallel()
	s := serve(t, config.Default(), newTable(60_000, 1000), nil, nil)
	got := read(t, s.dial(t, "GET /users HTTP/1.0\nHost: a\n\n"), http.MethodGet)
	assert.Equal(t, http.StatusHTTPVersionNotSupported, got.StatusCode)
	assert.Contains(t, got.body, "or ask for a part of it by limit")
}
