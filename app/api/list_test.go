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
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

// Ensure a page of the store that is empty and not the last ends no list.
func TestListEmptyPages(t *testing.T) {
	t.Parallel()
	s := serve(t, config.Default(), sparse{}, nil, nil)
	got := s.do(t, http.MethodGet, "/users", "").body
	assert.Equal(t, map[string]bool{"1": true, "3": true}, ids(t, got), got)
}

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

// Ensure a list of several pages has every user exactly once, page after page, and that its one
// line in the log has its size.
func TestListOfSeveralPages(t *testing.T) {
	t.Parallel()
	for users := range 12 {
		store := newTable(users, 2)
		s := serve(t, config.Default(), store, nil, nil)
		got := s.do(t, http.MethodGet, "/users", "")
		require.NoError(t, got.err)
		assert.Len(t, ids(t, got.body), users, got.body)
		assert.EqualValues(t, max((users+1)/2, 1), store.reads.Load())
		assert.Equal(t, users > 2, got.Header.Get("ETag") == "", "of what is sent while it is read")
		lines := s.log.requests(t, "/users")
		assert.Len(t, lines, 1)
		assert.EqualValues(t, len(got.body), lines[0]["bytes"])
		assert.NotContains(t, lines[0], "error")
	}
}

// Ensure the first page is sent before the second is read.
func TestListBeginsAtOnce(t *testing.T) {
	t.Parallel()
	store := newTable(2000, 100)
	received := make(chan struct{})
	store.before = func(q user.PageQuery) error {
		if q.After != "" {
			<-received
		}
		return nil
	}
	s := serve(t, config.Default(), store, nil, nil)
	c := s.dial(t, "GET /users HTTP/1.1\nHost: a\n\n")
	begin := make([]byte, 100*150)
	_, err := io.ReadFull(c, begin)
	require.NoError(t, err)
	close(received)
	got := read(t, io.MultiReader(strings.NewReader(string(begin)), c), http.MethodGet)
	require.NoError(t, got.err)
	assert.Len(t, ids(t, got.body), 2000)
}

// Ensure a list of which a later page fails, also by a panic, is cut off, so that no client takes
// half of it for all, has one line in the log that says so, gives back its memory, and that the
// process goes on.
func TestListIsCutOff(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("a secret") },
		"panic": func() error { panic("a secret") },
	} {
		store := newTable(4000, 100)
		store.before = func(q user.PageQuery) error {
			if q.After > "00001000" {
				return fail()
			}
			return nil
		}
		c := config.Default()
		c.RequestMemory, c.RequestTimeout = 4<<20, time.Second // of one list
		s := serve(t, c, store, nil, nil)
		const n = 20
		for range n {
			got := s.do(t, http.MethodGet, "/users", "")
			require.Equal(t, http.StatusOK, got.StatusCode, name)
			require.Error(t, got.err, name)
			require.Contains(t, got.body, `[{"id":"00000000"`, name)
			require.False(t, json.Valid([]byte(got.body)), name)
		}
		lines := s.log.requests(t, "/users")
		assert.Len(t, lines, n, name)
		assert.Contains(t, lines[0]["error"], "a secret", name)
		store.setBefore(nil)
		assert.Len(t, ids(t, s.do(t, http.MethodGet, "/users", "").body), 4000, name)
	}
}

// Ensure a user who has been acknowledged is in every list that is asked for after that, while
// lists share reads: as many clients as there are write and list at a time.
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

// Ensure what is sent is what was read, to each client, while pages of all sizes for different
// hosts are shared, and sent fast and slowly, in one piece and page after page.
func TestListsAreNotMixedUp(t *testing.T) {
	t.Parallel()
	for _, store := range []*table{newTable(10, 100), newTable(900, 1000), newTable(3000, 500)} {
		for i := range store.users {
			store.users[i].AvatarID = uuid.NewString()
		}
		c := config.Default()
		c.ReadTimeout, c.RequestMemory = time.Minute, 256<<20
		s := serve(t, c, store, nil, nil)
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

// Ensure the ETag of a list is that of its content, whichever replica sends it, and changes with
// the link to what follows.
func TestListETag(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	a.Config.PublicURL = "https://api.example.com/v1"
	users, avatars := dynamo.New(a.SDK, a.Config), bucket.New(a.SDK, a.Config)
	first, second := serve(t, a.Config, users, avatars, nil), serve(t, a.Config, users, avatars, nil)
	for range 3 {
		first.create(t)
	}
	for _, path := range []string{"/users", "/users?limit=2", "/users?limit=3"} {
		tag := first.do(t, http.MethodGet, path, "").Header.Get("ETag")
		require.Regexp(t, `^"[0-9a-f]+"$`, tag)
		again := second.do(t, http.MethodGet, path, "", "If-None-Match", tag)
		assert.Equal(t, http.StatusNotModified, again.StatusCode, path)
	}
	before := first.do(t, http.MethodGet, "/users?limit=3", "")
	first.create(t)
	after := second.do(t, http.MethodGet, "/users?limit=3", "", "If-None-Match", before.Header.Get("ETag"))
	assert.Equal(t, http.StatusOK, after.StatusCode, "a link has come, if nothing else")
	assert.Contains(t, after.Header.Get("Link"), "<https://api.example.com/v1/users?limit=3&cursor=")
}

// Ensure a client of HTTP/1.0, which knows no chunks, gets a list in one piece, or is told that it
// is too long for that.
func TestListInOnePiece(t *testing.T) {
	t.Parallel()
	for users, want := range map[int]int{3000: http.StatusOK, 60_000: http.StatusHTTPVersionNotSupported} {
		s := serve(t, config.Default(), newTable(users, 1000), nil, nil)
		got := read(t, s.dial(t, "GET /users HTTP/1.0\nHost: a\n\n"), http.MethodGet)
		assert.NoError(t, got.err)
		assert.Equal(t, want, got.StatusCode)
		assert.EqualValues(t, len(got.body), got.ContentLength)
		if want == http.StatusOK {
			assert.Len(t, ids(t, got.body), users)
		} else {
			assert.Contains(t, got.body, "or ask for a part of it by limit")
		}
	}
}
