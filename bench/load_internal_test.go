package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure a load counts every answer of a server that answers as it must, each once, however the server ends its answers.
func TestLoad(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		answer func(http.ResponseWriter)
		check  func([]byte) error
	}{
		"with a length": {http.StatusOK, func(w http.ResponseWriter) { _, _ = w.Write([]byte("[]")) }, isList(0)},
		"in chunks": {http.StatusOK, func(w http.ResponseWriter) {
			_, _ = w.Write([]byte("["))
			assert.NoError(t, http.NewResponseController(w).Flush())
			_, _ = w.Write([]byte("]"))
		}, isList(0)},
		"and the connection": {http.StatusOK, func(w http.ResponseWriter) {
			w.Header().Set("Connection", "close")
			_, _ = w.Write([]byte("[]"))
		}, isList(0)},
		"longer than a buffer": {http.StatusCreated, func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(bytes.Repeat([]byte(" "), 3*readBuffer))
		}, nil},
		"without a body": {http.StatusNotModified, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotModified) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var served, connections atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, "yes Ada", r.Header.Get("X-Test")+" "+string(body))
				c.answer(w)
			}))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			defer server.Close()
			l := load{
				method: http.MethodPost, url: server.URL, header: map[string]string{"X-Test": "yes"}, body: []byte("Ada"),
				status: c.status, connections: 4, duration: 50 * time.Millisecond, check: c.check,
			}
			result, err := l.run(t.Context(), new(suite))
			require.NoError(t, err)
			assert.EqualValues(t, served.Load(), result.Answers+1, "and the first")
			assert.Positive(t, result.rate())
			assert.Positive(t, result.P50)
			assert.LessOrEqual(t, result.P50, result.P99)
			if name == "and the connection" {
				assert.Equal(t, served.Load(), connections.Load())
			} else {
				assert.LessOrEqual(t, connections.Load(), int64(5), "one each, and that of the first")
			}
		})
	}
}

// Ensure a load that fails, at its first request or later, is an error and no result.
func TestLoadFails(t *testing.T) {
	t.Parallel()
	fine := func(w http.ResponseWriter) { _, _ = w.Write([]byte("[1]")) }
	for name, fail := range map[string]func(http.ResponseWriter){
		"status": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("[1]")) // as long as one that is as it must be
		},
		"length":     func(w http.ResponseWriter) { _, _ = w.Write([]byte("[]")) },
		"connection": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"cut off": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "3")
			_, _ = w.Write([]byte("["))
		},
	} {
		for _, after := range []int64{0, 20} {
			var served atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if served.Add(1) > after {
					fail(w)
					return
				}
				fine(w)
			}))
			l := load{method: http.MethodGet, url: server.URL, status: http.StatusOK, connections: 2, duration: time.Minute, check: func(body []byte) error {
				if string(body) != "[1]" {
					return errShort
				}
				return nil
			}}
			_, err := l.run(t.Context(), new(suite))
			assert.Error(t, err, "%s after %d", name, after)
			server.Close()
		}
	}
}

// Ensure a list is told from one that is short, has a user twice or is none.
func TestIsList(t *testing.T) {
	t.Parallel()
	user := func(id string) string {
		return `{"id":"` + id + `","name":"Ada","email":"ada@example.com","avatar_url":""}`
	}
	list := func(users ...string) []byte { return []byte("[" + strings.Join(users, ",") + "]") }
	assert.NoError(t, isList(2)(list(user("a"), user("b"))))
	assert.ErrorIs(t, isList(2)(list(user("a"))), errShort)
	assert.ErrorIs(t, isList(2)(list(user("a"), user("a"))), errShort)
	assert.Error(t, isList(1)(list(`{"id":"a"}`)))
	assert.Error(t, isList(0)([]byte("[")))
}

// Ensure a list that is fetched once is counted, and that a short one is an error.
func TestFetch(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("[{},"))
		assert.NoError(t, http.NewResponseController(w).Flush())
		time.Sleep(20 * time.Millisecond)
		_, _ = w.Write([]byte("{}]"))
	}))
	defer server.Close()
	first, last, err := fetch(t.Context(), server.URL, 2)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, last-first, 10*time.Millisecond)
	_, _, err = fetch(t.Context(), server.URL, 3)
	assert.ErrorIs(t, err, errShort)
}
