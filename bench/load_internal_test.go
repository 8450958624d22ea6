package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure a load counts each right response, and fails at the first one that is not right.
func TestAttack(t *testing.T) {
	t.Parallel()
	write := func(status int, users ...user) http.HandlerFunc {
		body, err := json.Marshal(users)
		require.NoError(t, err)
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}
	}
	right := write(http.StatusOK, userNumber(0), userNumber(1))
	for name, c := range map[string]struct {
		fail  http.HandlerFunc
		first string // error, if the first response fails
		later string // error, if another one does
	}{
		"status":       {write(http.StatusAccepted, userNumber(0), userNumber(1)), "status 202", "status 202"},
		"length":       {write(http.StatusOK, userNumber(0)), "has 1 users, must have 2", "must be 200 and"},
		"another user": {write(http.StatusOK, userNumber(0), userNumber(2)), "user 1 is", "must be 200 and"},
		"twice":        {write(http.StatusOK, userNumber(0), userNumber(0)), "user 1 is", "must be 200 and"},
		"no users":     {write(http.StatusOK), "has 0 users, must have 2", "must be 200 and"},
		"hang-up":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", "EOF"},
		"right":        {right, "", ""},
	} {
		for after, want := range map[int64]string{0: c.first, 20: c.later} {
			var served atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if served.Add(1) > after {
					c.fail(w, r)
				} else {
					right(w, r)
				}
			}))
			l := works(time.Minute)[0].load
			l.Users, l.Target.URL = 2, server.URL
			if after == 0 {
				l.Connections, l.Duration = 1, 0
			} else if want == "" {
				l.Duration = 10 * time.Millisecond
			}
			figures, err := attack(t.Context(), l)
			server.Close()
			if want == "" {
				require.NoError(t, err, name)
				assert.InDelta(t, served.Load(), figures[requestCount], 0, name)
			} else {
				assert.ErrorContains(t, err, want, "%s after %d", name, after)
			}
		}
	}
}

// Ensure a user that was created has an id.
func TestCreated(t *testing.T) {
	t.Parallel()
	const right = `{"id":"00000000-0000-4000-8000-000000000001"}`
	for _, body := range []string{right, `{"id":""}`, `{}`, `[]`, ``} {
		e := expect{load: load{Status: http.StatusCreated}}
		e.first.WriteString(body)
		assert.Equal(t, body == right, e.check() == nil, body)
	}
}

// Ensure the report has the medians, keeps the text around the table, and changes nothing if the
// document has no place for it.
func TestReport(t *testing.T) {
	t.Parallel()
	b := &bench{sides: []side{{name: primaAPI}, {name: bareLoop}}, measured: map[key][]float64{}}
	for _, w := range works(0) {
		for _, figure := range append(w.figures, latencyP50, peakMemory) {
			b.measured[key{w.name, primaAPI, figure}] = []float64{12345, 7.0625, 30}
		}
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "performance.md")
	require.NoError(t, os.WriteFile(file, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600))
	require.NoError(t, b.report(folder))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Regexp(t, `^before\n<!--[^-]+-->\n\|  \| prima-api \| bare SDK loop \|\n`, string(text))
	assert.Contains(t, string(text), "| `GET /users`: requests/s | 30 (7.06–12300) |  |\n")
	assert.Regexp(t, `go1[^\n]+\.\n<!-- end -->\nafter\n$`, string(text))
	chart, err := os.ReadFile(filepath.Join(folder, "performance.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(chart), "</svg>")

	require.NoError(t, os.WriteFile(file, []byte("without"), 0o600))
	require.ErrorContains(t, b.report(folder), "has not the lines")
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "without", string(text))
	left, err := filepath.Glob(filepath.Join(folder, "*.partial"))
	require.NoError(t, err)
	assert.Empty(t, left)
}
