package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
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

// A table is a store of many users, whose pages are full and cost nothing.
type table struct {
	user.Store
	page  int // users on one
	asked atomic.Int64

	mu     sync.Mutex
	users  []user.User
	before func(q user.PageQuery) error
}

// change makes the table another while it is read.
func (s *table) change(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func newTable(users, page int) *table {
	s := &table{users: make([]user.User, users), page: page}
	for i := range s.users {
		s.users[i] = user.User{ID: fmt.Sprintf("%08d", i), Name: strings.Repeat("n", 150), Email: "ada@example.com"}
	}
	return s
}

func (s *table) Page(_ context.Context, dst []byte, usersURL string, q user.PageQuery) (user.Page, error) {
	s.asked.Add(1)
	s.mu.Lock()
	users, before := s.users, s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(q); err != nil {
			return user.Page{}, err
		}
	}
	from, size := 0, s.page
	if q.Limit > 0 {
		size = q.Limit
	}
	if q.After != "" {
		if _, err := fmt.Sscan(strings.TrimLeft(q.After, "0")+" ", &from); err != nil {
			from = 0 // all zeros
		}
		from++
	}
	p := user.Page{JSON: dst}
	for ; from < len(users) && p.Users < size; from++ {
		if p.Users > 0 {
			p.JSON = append(p.JSON, ',')
		}
		p.JSON = users[from].AppendJSON(p.JSON, usersURL)
		p.Users++
	}
	if from < len(users) {
		p.Next = users[from-1].ID
	}
	return p, nil
}

// Ensure a list of several pages has every user exactly once, page after page.
func TestListOfSeveralPages(t *testing.T) {
	t.Parallel()
	for users := range 12 {
		store := newTable(users, 2)
		s := serve(t, config.Default(), store, nil, nil)
		got := s.do(t, http.MethodGet, "/users", "")
		require.NoError(t, got.err)
		assert.Len(t, ids(t, got.body), users, got.body)
		assert.EqualValues(t, max((users+1)/2, 1), store.asked.Load())
		assert.Equal(t, users > 2, got.Header.Get("ETag") == "", "of what is sent while it is read")
	}
}

// Ensure the first page is sent before the second is asked for.
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
	connection := s.dial(t)
	_, err := io.WriteString(connection, "GET /users HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	page := make([]byte, 100*150)
	_, err = io.ReadFull(response.Body, page)
	require.NoError(t, err)
	close(received)
	rest, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Len(t, ids(t, string(page)+string(rest)), 2000)
}

// Ensure a list of which a later page fails, also by a panic, is cut off and gives back its memory.
func TestListIsCutOff(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("a secret") },
		"panic": func() error { panic("a secret") },
	} {
		store := newTable(4000, 100)
		c := config.Default()
		c.RequestMemory, c.RequestTimeout = 4<<20, time.Second // of one list
		s := serve(t, c, store, nil, nil)
		before := func(q user.PageQuery) error {
			if q.After > "00001000" {
				return fail()
			}
			return nil
		}
		store.change(func() { store.before = before })
		for range 20 {
			got := s.do(t, http.MethodGet, "/users", "")
			require.Equal(t, http.StatusOK, got.StatusCode, name)
			require.Error(t, got.err, name)
			require.False(t, json.Valid([]byte(got.body)), name)
		}
		store.change(func() { store.before = nil })
		assert.Len(t, ids(t, s.do(t, http.MethodGet, "/users", "").body), 4000, name)
		lines := s.log.requests(t, "/users")
		assert.Contains(t, lines[1]["error"], "a secret", name)
	}
}

// Ensure a user who has been acknowledged is in every list that is asked for after that, while lists share reads: as many
// clients as there are write and list at a time, and each read takes long enough for others to come.
func TestSharedListsAreNeverOld(t *testing.T) {
	t.Parallel()
	{
		s := start(t, nil)
		s.aws.Intercede("DynamoDB.Scan", slowly(2*time.Millisecond))
		const clients, rounds = 16, 8
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				path := "/users"
				if i%2 == 0 {
					path = "/users?limit=1000"
				}
				for range rounds {
					created, err := s.send(http.MethodPost, "/users", []byte(`{"name":"Ada","email":"ada@example.com"}`))
					if !assert.NoError(t, err) || !assert.Equal(t, http.StatusCreated, created.StatusCode, created.body) {
						return
					}
					_, id, _ := strings.Cut(created.Header.Get("Location"), "/users/")
					listed, err := s.send(http.MethodGet, path, nil)
					if !assert.NoError(t, err) || !assert.Equal(t, http.StatusOK, listed.StatusCode, listed.body) {
						return
					}
					assert.Contains(t, listed.body, id)
				}
			})
		}
		all.Wait()
		scans, lists := s.aws.Calls("DynamoDB.Scan"), clients*rounds
		t.Logf("figure: %d lists: %d scans", lists, scans)
		assert.Less(t, scans, lists*3/4)
	}
}

// slowly answers after a while with what was true when the call came.
func slowly(d time.Duration) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := newRecorder()
		next.ServeHTTP(answer, r)
		time.Sleep(d)
		answer.writeTo(w)
	}
}

// Ensure what is sent is what was read, to each client, while pages of all sizes for different hosts are shared, sent fast and
// slowly, in one piece and page after page.
func TestListsAreNotMixedUp(t *testing.T) {
	t.Parallel()
	stores := []*table{newTable(10, 100), newTable(900, 1000), newTable(3000, 500)}
	for _, store := range stores {
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
				want := []byte{'['}
				for i, u := range store.users {
					if i > 0 {
						want = append(want, ',')
					}
					want = u.AppendJSON(want, "http://"+host+"/users")
				}
				want = append(want, ']')
				for range 5 {
					connection := s.dial(t)
					_, err := io.WriteString(connection, "GET /users HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
					assert.NoError(t, err)
					response, err := http.ReadResponse(bufio.NewReader(connection), nil)
					if !assert.NoError(t, err) {
						return
					}
					if client%2 == 0 {
						time.Sleep(20 * time.Millisecond)
					}
					body, err := io.ReadAll(response.Body)
					assert.NoError(t, err)
					assert.True(t, bytes.Equal(want, body), "%d bytes of %d", len(body), len(want))
				}
			})
		}
		all.Wait()
	}
}

// Ensure a list that has not changed is not sent again to who has it, whichever replica it was from, and that one that has is.
func TestListETag(t *testing.T) {
	t.Parallel()
	const host = "api.example.com"
	a := awstest.Start(t)
	users, avatars := dynamo.New(a.SDK, a.Config), bucket.New(a.SDK, a.Config)
	replicas := []*server{serve(t, a.Config, users, avatars, nil), serve(t, a.Config, users, avatars, nil)}
	for range 3 {
		replicas[0].create(t)
	}
	for _, path := range []string{"/users", "/users?limit=2", "/users?limit=3"} {
		first := replicas[0].do(t, http.MethodGet, path, "", "Host", host)
		tag := first.Header.Get("ETag")
		require.Regexp(t, `^"[0-9a-f]+"$`, tag)
		assert.Equal(t, "private, no-cache", first.Header.Get("Cache-Control"))
		for i, conditions := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				again := replicas[i%2].do(t, method, path, "", "Host", host, "If-None-Match", conditions)
				assert.Equal(t, http.StatusNotModified, again.StatusCode, "%s %s: %s", method, path, conditions)
				assert.Empty(t, again.body)
				assert.Equal(t, tag, again.Header.Get("ETag"))
				assert.Equal(t, first.Header.Get("Link"), again.Header.Get("Link"))
			}
		}
		assert.Equal(t, tag, replicas[1].do(t, http.MethodHead, path, "", "Host", host).Header.Get("ETag"))
	}

	whole, part := replicas[0].do(t, http.MethodGet, "/users", "", "Host", host), replicas[0].do(t, http.MethodGet, "/users?limit=3", "", "Host", host)
	replicas[0].create(t)
	got := replicas[1].do(t, http.MethodGet, "/users", "", "Host", host, "If-None-Match", whole.Header.Get("ETag"))
	assert.Equal(t, http.StatusOK, got.StatusCode)
	assert.Len(t, ids(t, got.body), 4)
	got = replicas[1].do(t, http.MethodGet, "/users?limit=3", "", "Host", host, "If-None-Match", part.Header.Get("ETag"))
	assert.Equal(t, http.StatusOK, got.StatusCode, "a link has come, if nothing else")
	assert.NotEmpty(t, got.Header.Get("Link"))
}

// Ensure those who read a shared page slowly hold the memory of one page, and hold up nobody.
func TestSlowReadersOfASharedPage(t *testing.T) {
	t.Parallel()
	const readers = 20
	store := newTable(3000, 3000)
	c := config.Default()
	c.RequestMemory, c.RequestTimeout = 6<<20, 10*time.Second // lists: 2.25 MiB, of pages of 0.7 MB
	s := serve(t, c, store, nil, nil)
	s.do(t, http.MethodGet, "/users", "") // to know its size
	reading, release := make(chan struct{}, 2*readers), make(chan struct{})
	before := func(user.PageQuery) error { //nolint:unparam // the type is the table's
		reading <- struct{}{}
		<-release
		return nil
	}
	store.change(func() { store.before = before })
	var connections []net.Conn
	for range 1 + readers {
		connection := s.dial(t)
		_, err := io.WriteString(connection, "GET /users HTTP/1.1\r\nHost: a\r\n\r\n")
		require.NoError(t, err)
		connections = append(connections, connection)
		if len(connections) == 1 {
			<-reading
		}
	}
	close(release)
	for _, connection := range connections {
		head := make([]byte, len("HTTP/1.1 200"))
		_, err := io.ReadFull(connection, head)
		require.NoError(t, err)
		assert.Equal(t, "HTTP/1.1 200", string(head))
	}
	for range 5 {
		got, err := s.send(http.MethodGet, "/users", nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, got.StatusCode)
	}
}

// A recorder keeps an answer.
type recorder struct {
	*httptest.ResponseRecorder
}

func newRecorder() recorder { return recorder{httptest.NewRecorder()} }

func (r recorder) writeTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.Header())
	w.WriteHeader(r.Code)
	_, _ = w.Write(r.Body.Bytes())
}
