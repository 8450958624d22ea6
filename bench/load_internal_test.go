package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure a load counts every answer of a server that answers as it must, each once.
func TestLoad(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		assert.Equal(t, "yes", r.Header.Get("X-Test"))
		_, _ = w.Write([]byte("[]"))
	}))
	defer server.Close()
	l := load{method: http.MethodGet, url: server.URL, header: map[string]string{"X-Test": "yes"}, status: http.StatusOK, connections: 4, duration: 50 * time.Millisecond}
	result, err := l.run(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, served.Load(), result.answers+1, "and the first")
	assert.Len(t, result.latencies, result.answers)
	assert.Positive(t, result.rate())
	assert.LessOrEqual(t, result.percentile(0.5), result.percentile(0.99))
}

// Ensure a load that fails, at its first request or later, is an error and no result.
func TestLoadFails(t *testing.T) {
	t.Parallel()
	fine := func(w http.ResponseWriter) { _, _ = w.Write([]byte("[1]")) }
	for name, fail := range map[string]func(http.ResponseWriter){
		"status":     func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
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
			_, err := l.run(t.Context())
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
