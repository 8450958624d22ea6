package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// Ensure that whatever becomes of a request gives back what it took: uploads that break off, that
// are wrong, too large, too slow or cannot be stored, lists that are not read to the end.
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

// Ensure lists that are read slowly take no more than their part of the memory, that one more is
// refused, and that what is small is served meanwhile.
func TestListsBeyondTheBudget(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.RequestMemory, c.RequestTimeout = 8<<20, time.Second // three lists
	s := serve(t, c, newTable(150_000, 3000), nil, nil)    // more than the kernel buffers

	slow := 0
	require.Eventually(t, func() bool {
		status := make([]byte, len("HTTP/1.1 200"))
		_, err := io.ReadFull(s.dial(t, "GET /users HTTP/1.1\nHost: a\n\n"), status)
		require.NoError(t, err)
		if string(status) == "HTTP/1.1 503" {
			return true
		}
		assert.Equal(t, "HTTP/1.1 200", string(status))
		slow++
		return false
	}, time.Minute, time.Millisecond)
	assert.Positive(t, slow)
	assert.LessOrEqual(t, slow, 5)
	assert.Equal(t, http.StatusServiceUnavailable, s.do(t, http.MethodGet, "/users", "").StatusCode)
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
}

// Ensure a list of which only the head is asked for gives back what it took, and has its line in
// the log, whether it is sent at once, in one piece or while it is read.
func TestBudgetOfHeads(t *testing.T) {
	t.Parallel()
	for _, users := range []int{1000, 2000} {
		c := config.Default()
		c.RequestMemory, c.RequestTimeout = 1<<20, time.Second
		s := serve(t, c, newTable(users, 1000), nil, nil)
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
	c := config.Default()
	c.RequestMemory, c.RequestTimeout = 6<<20, 10*time.Second // lists: 2.25 MiB, of pages of 0.7 MB
	s := serve(t, c, store, nil, nil)
	reading, release := make(chan struct{}, 2*readers), make(chan struct{})
	store.setBefore(func(user.PageQuery) error {
		reading <- struct{}{}
		<-release
		return nil
	})
	connections := []io.Reader{s.dial(t, "GET /users HTTP/1.1\nHost: a\n\n")}
	<-reading
	for range readers {
		connections = append(connections, s.dial(t, "GET /users HTTP/1.1\nHost: a\n\n"))
	}
	close(release)
	for _, connection := range connections {
		status := make([]byte, len("HTTP/1.1 200"))
		_, err := io.ReadFull(connection, status)
		require.NoError(t, err)
		assert.Equal(t, "HTTP/1.1 200", string(status))
	}
	for range 5 {
		assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/users", "").StatusCode)
	}
}

// Ensure an image that was acknowledged is what its own client sent: many clients upload at once,
// in both forms, to a bucket that refuses some of them early and breaks off others.
func TestUploadsAreNotMixed(t *testing.T) {
	t.Parallel()
	const clients, each, size = 6, 12, 256 << 10
	s := start(t, nil)
	var calls, stored atomic.Int64
	s.aws.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch calls.Add(1) % 10 {
		case 1: // refused in the middle of the body, which is read on
			_, _ = io.CopyN(io.Discard, r.Body, size/4)
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = http.NewResponseController(w).Flush()
			_, _ = io.Copy(io.Discard, r.Body)
		case 4: // broken off in the middle of the body
			_, _ = io.CopyN(io.Discard, r.Body, size/4)
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
	var all sync.WaitGroup
	for client := range clients {
		path := "/users/" + s.create(t) + "/avatar"
		all.Go(func() {
			for i := range each {
				image := apitest.PNGWith(bytes.Repeat(fmt.Appendf(nil, "client %d, image %d;", client, i), size/20))
				contentType, body := "image/png", image
				if i%2 == 0 {
					contentType, body = apitest.Form(apitest.File("avatar", "a.png", image))
				}
				put, err := s.send(alone(), http.MethodPut, path, string(body), "Content-Type", contentType)
				if !assert.NoError(t, err) || put.StatusCode == http.StatusServiceUnavailable {
					continue
				}
				assert.Equal(t, http.StatusOK, put.StatusCode, put.body)
				stored.Add(1)
				got, err := s.send(alone(), http.MethodGet, path, "")
				assert.NoError(t, err)
				assert.True(t, bytes.Equal(image, []byte(got.body)), "client %d, image %d", client, i)
			}
		})
	}
	all.Wait()
	assert.Positive(t, stored.Load())
}
