package api_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Ensure uploads for which there is no memory are refused with 503 and Retry-After before their bodies
// are read, that a user without an image is served meanwhile, and that the next upload is taken when
// there is memory again.
func TestUploadsBeyondTheBudget(t *testing.T) {
	t.Parallel()
	// Three eighths of it, for uploads, hold two of them.
	const size = 256 << 10
	s := start(t, func(c *config.Config) { c.RequestMemory, c.RequestTimeout = 2*size*8/3+size, 2*time.Second })
	path := "/users/" + s.create(t) + "/avatar"
	release := make(chan struct{})
	s.aws.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		<-release
		next.ServeHTTP(w, r)
	})

	const n = 20
	var all, refused sync.WaitGroup
	refused.Add(n - 2)
	statuses := make(chan int, n)
	for range n {
		all.Go(func() {
			got, err := s.send(http.MethodPut, path, apitest.PaddedPNG(size))
			if assert.NoError(t, err) {
				statuses <- got.StatusCode
				if got.StatusCode == http.StatusServiceUnavailable {
					assert.Contains(t, got.body, `"error":"Server is busy"`)
					assert.Equal(t, "1", got.Header.Get("Retry-After"))
					refused.Done()
				}
			}
		})
	}
	s.create(t)
	refused.Wait()
	close(release)
	all.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	assert.Equal(t, map[int]int{http.StatusOK: 2, http.StatusServiceUnavailable: n - 2}, count)
	got, err := s.send(http.MethodPut, path, apitest.PaddedPNG(size))
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, got.StatusCode)
}

// send is do without a test, for goroutines, on a connection of its own.
func (s *server) send(method, path string, body []byte) (answer, error) {
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return answer{Response: response, body: string(data)}, err
}

// Ensure that whatever becomes of a request gives back what it took: uploads that break off, that are
// wrong, too large, too slow or cannot be stored, lists that nobody reads to the end.
func TestBudgetIsGivenBack(t *testing.T) {
	t.Parallel()
	// So little that a single request which keeps its part leaves none for another.
	s := start(t, func(c *config.Config) {
		c.RequestMemory, c.RequestTimeout, c.ReadTimeout, c.WriteTimeout = 1<<20, 2*time.Second, time.Second, time.Second
	})
	path := "/users/" + s.create(t) + "/avatar"
	for range 3 {
		for _, body := range []string{
			"PUT " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + string(apitest.PNG(2, 2)),
			"PUT " + path + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
			"POST /users HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n--x\r\n",
			"POST /users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{",
			"GET /users HTTP/1.1\r\nHost: a\r\n\r\n",
		} {
			c := s.dial(t)
			_, err := io.WriteString(c, body)
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
	}
	slow := s.dial(t)
	_, err := io.WriteString(slow, "PUT "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
	require.NoError(t, err)
	answered, err := io.ReadAll(slow)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(answered), "HTTP/1.1 408 "), "%s", answered)
	for range 3 {
		got, err := s.send(http.MethodPut, path, []byte("no image"))
		require.NoError(t, err)
		assert.Equal(t, http.StatusUnsupportedMediaType, got.StatusCode, got.body)
	}
	s.aws.Fail("S3.PutObject", 1, http.StatusForbidden, "AccessDenied")
	got, err := s.send(http.MethodPut, path, apitest.PaddedPNG(1<<20))
	require.NoError(t, err)
	assert.Equal(t, http.StatusInternalServerError, got.StatusCode, got.body)

	got, err = s.send(http.MethodPut, path, apitest.PaddedPNG(1<<20))
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, got.StatusCode, got.body)
	s.create(t)
	got, err = s.send(http.MethodGet, "/users", nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, got.StatusCode, got.body)
}

// Ensure lists that are read slowly take no more than their part of the memory, that one more is
// refused, and that what is small is served meanwhile.
func TestListsBeyondTheBudget(t *testing.T) {
	t.Parallel()
	const page = 3000
	users := make([]user.User, page)
	for i := range users {
		users[i] = user.User{ID: fmt.Sprint(i), Name: strings.Repeat("n", 200), Email: "a@example.com"}
	}
	c := config.Default()
	c.RequestMemory, c.RequestTimeout = 8<<20, time.Second // three lists
	s := serve(t, c, pages{page: func(after string) ([]user.User, string, error) { return users, after + "1", nil }}, nil, nil)

	var slow int
	require.Eventually(t, func() bool {
		connection := s.dial(t)
		_, err := io.WriteString(connection, "GET /users HTTP/1.1\r\nHost: a\r\n\r\n")
		require.NoError(t, err)
		head := make([]byte, len("HTTP/1.1 200"))
		_, err = io.ReadFull(connection, head)
		require.NoError(t, err)
		if string(head) == "HTTP/1.1 503" {
			return true
		}
		assert.Equal(t, "HTTP/1.1 200", string(head))
		slow++
		return false
	}, time.Minute, time.Millisecond)
	assert.Positive(t, slow)
	assert.LessOrEqual(t, slow, 5)
	assert.Equal(t, http.StatusServiceUnavailable, s.do(t, http.MethodGet, "/users", "").StatusCode)
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
}

// Ensure a list of which only the head is asked for gives back what it took, and has its line in the log, whether it is
// sent at once, in one piece or while it is read.
func TestBudgetOfHeads(t *testing.T) {
	t.Parallel()
	users := make([]user.User, 1000)
	for i := range users {
		users[i] = user.User{ID: fmt.Sprint(i), Name: strings.Repeat("n", 200)}
	}
	for name, store := range map[string]pages{
		"one page":   {page: func(string) ([]user.User, string, error) { return users, "", nil }},
		"many pages": {page: func(after string) ([]user.User, string, error) { return users, after + "1", nil }},
	} {
		c := config.Default()
		c.RequestMemory, c.RequestTimeout = 1<<20, time.Second
		s := serve(t, c, store, nil, nil)
		for _, path := range []string{"/users", "/users?limit=1000"} {
			for range 20 {
				got, err := s.send(http.MethodHead, path, nil)
				require.NoError(t, err, name)
				assert.Equal(t, http.StatusOK, got.StatusCode, "%s %s", name, path)
			}
		}
		require.Eventually(t, func() bool { return len(s.log.requests(t, "/users")) == 40 }, time.Minute, time.Millisecond, name)
	}
}

// Ensure a client of HTTP/1.0, which knows no chunks, gets a list in one piece, or is told that it is
// too long for that.
func TestListInOnePiece(t *testing.T) {
	t.Parallel()
	for last, want := range map[int]int{2: http.StatusOK, 1000: http.StatusHTTPVersionNotSupported} {
		users := make([]user.User, 1000)
		for i := range users {
			users[i] = user.User{ID: fmt.Sprint(i), Name: strings.Repeat("n", 200)}
		}
		s := serve(t, config.Default(), pages{page: func(after string) ([]user.User, string, error) {
			if len(after) == last {
				return users, "", nil
			}
			return users, after + "1", nil
		}}, nil, nil)
		connection := s.dial(t)
		_, err := io.WriteString(connection, "GET /users HTTP/1.0\r\nHost: a\r\n\r\n")
		require.NoError(t, err)
		answer, err := io.ReadAll(connection)
		require.NoError(t, err)
		head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
		assert.Contains(t, head, fmt.Sprintf(" %d ", want))
		assert.Contains(t, head, fmt.Sprintf("Content-Length: %d", len(body)))
		if want == http.StatusOK {
			assert.Equal(t, 3000, strings.Count(body, `"id":`))
		} else {
			assert.Contains(t, body, "or ask for a part of it by limit")
		}
	}
}
