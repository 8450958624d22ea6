package api_test

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// Ensure every request releases its memory: uploads that break off, are wrong, too large, too slow
// or cannot be stored, and lists that are not read to the end.
func TestBudgetIsGivenBack(t *testing.T) {
	t.Parallel()
	// So little that a single request which keeps its part leaves none for another.
	s := start(t, func(c *config.Config) {
		c.RequestMemory, c.RequestTimeout, c.ReadTimeout, c.WriteTimeout = 1<<20, 2*time.Second, time.Second, time.Second
	})
	path := "/users/" + s.create(t) + "/avatar"
	form := "POST /users HTTP/1.1\nHost: a\nContent-Type: multipart/form-data; boundary=x\n"
	for range 3 {
		for _, request := range []string{
			"PUT " + path + " HTTP/1.1\nHost: a\nContent-Length: 1000000\n\nhalf",
			"PUT " + path + " HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhello\n",
			form + "Content-Length: 1000000\n\n--x\n",
			"POST /users HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: 60000\n\n{",
			"GET /users HTTP/1.1\nHost: a\n\n",
		} {
			require.NoError(t, s.dial(t, request).Close())
		}
	}
	slow := s.dial(t, "PUT "+path+" HTTP/1.1\nHost: a\nContent-Length: 1000000\n\n")
	assert.Equal(t, http.StatusRequestTimeout, read(t, slow, http.MethodPut).StatusCode)
	image := string(apitest.PaddedPNG(1 << 20))
	for range 3 {
		got := s.do(t, http.MethodPut, path, "no image")
		assert.Equal(t, http.StatusUnsupportedMediaType, got.StatusCode, got.body)
	}
	s.aws.Fail("S3.PutObject", 1, http.StatusForbidden, "AccessDenied")
	assert.Equal(t, http.StatusInternalServerError, s.do(t, http.MethodPut, path, image).StatusCode)

	assert.Equal(t, http.StatusOK, s.do(t, http.MethodPut, path, image).StatusCode)
	s.create(t)
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/users", "").StatusCode)
}

// Ensure slow readers of lists use no more than the share of memory for lists: one more list is
// refused, and small responses are still served.
func TestListsBeyondTheBudget(t *testing.T) {
	t.Parallel()
	s := newTable(150_000, 3000).serve(t, 8<<20) // more than the kernel buffers; memory for three lists
	slow := 0
	for status(t, s.dial(t, "GET /users HTTP/1.1\nHost: a\n\n")) == http.StatusOK {
		slow++
		require.LessOrEqual(t, slow, 5)
	}
	assert.Positive(t, slow)
	assert.Equal(t, http.StatusServiceUnavailable, s.do(t, http.MethodGet, "/users", "").StatusCode)
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
}

// status reads the status of a response, and no more of it.
func status(t *testing.T, from io.Reader) int {
	t.Helper()
	line := make([]byte, len("HTTP/1.1 200"))
	_, err := io.ReadFull(from, line)
	require.NoError(t, err)
	status, err := strconv.Atoi(string(line[len("HTTP/1.1 "):]))
	require.NoError(t, err)
	return status
}

// Ensure HEAD of a list releases its memory and has a line in the log, whether GET would send the
// list at once, in one piece or while it is read.
func TestBudgetOfHeads(t *testing.T) {
	t.Parallel()
	for _, users := range []int{1000, 2000} {
		s := newTable(users, 1000).serve(t, 1<<20)
		for range 20 {
			for _, path := range []string{"/users", "/users?limit=1000"} {
				assert.Equal(t, http.StatusOK, s.do(t, http.MethodHead, path, "").StatusCode, path)
			}
		}
		assert.Len(t, s.log.requests(t, "/users"), 40)
	}
}

// Ensure clients that read a shared page slowly hold the memory of one page, and delay no other
// client.
func TestSlowReadersOfASharedPage(t *testing.T) {
	t.Parallel()
	const readers = 20
	store := newTable(3000, 3000)
	reading, release := make(chan struct{}, 2*readers), make(chan struct{})
	store.before = func(user.PageQuery) error {
		reading <- struct{}{}
		<-release
		return nil
	}
	c := config.Default()
	c.RequestMemory, c.RequestTimeout = 6<<20, 10*time.Second // one page at a time
	s := serve(t, c, store, nil, nil)
	connections := []io.Reader{s.dial(t, "GET /users HTTP/1.1\nHost: a\n\n")}
	<-reading
	for range readers {
		connections = append(connections, s.dial(t, "GET /users HTTP/1.1\nHost: a\n\n"))
	}
	close(release)
	for _, connection := range connections {
		assert.Equal(t, http.StatusOK, status(t, connection))
	}
	for range 5 {
		assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/users", "").StatusCode)
	}
}
