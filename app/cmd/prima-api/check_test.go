package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Ensure a check fails if there is no API and if the API fails, and that its error says why. The
// user that it created is deleted, or the check ends if the API does not respond to that.
func TestCheckFails(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":"1"}`)
	})
	mux.HandleFunc("GET /broken/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "broken", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("DELETE /broken/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /stuck/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[{"id":"1"}]`) })
	mux.HandleFunc("DELETE /stuck/", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for _, row := range []struct{ url, wantStdout, wantStderr string }{
		{"localhost:5000", "", "unsupported protocol scheme"},
		{"http://127.0.0.1:1", "", "connection refused"},
		{server.URL + "/broken", "DELETE /users/1: 204", "503 Service Unavailable: broken"},
	} {
		status, stdout, stderr := runHere("check " + row.url)
		assert.Equal(t, 1, status)
		assert.Contains(t, stderr, row.wantStderr)
		assert.Contains(t, stdout, row.wantStdout)
	}
	c := client{base: server.URL + "/stuck", out: io.Discard}
	assert.ErrorIs(t, c.check(t.Context(), time.Second), context.DeadlineExceeded)
}
