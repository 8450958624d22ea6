package dynamo_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

// page reads a page and returns the ids of its users too.
func page(t *testing.T, users *dynamo.Users, q user.PageQuery) ([]string, user.Page) {
	t.Helper()
	p, err := users.Page(t.Context(), []byte(`[`), usersURL, q)
	require.NoError(t, err)
	var list []struct{ ID string }
	require.NoError(t, json.Unmarshal(append(p.JSON, ']'), &list), "%s", p.JSON)
	require.Len(t, list, p.Users)
	ids := make([]string, len(list))
	for i, u := range list {
		ids[i] = u.ID
	}
	return ids, p
}

// slowScans returns how many responses the SDK decoded.
func slowScans(t *testing.T, users *dynamo.Users) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(users))
	metrics, err := registry.Gather()
	require.NoError(t, err)
	return metrics[0].GetMetric()[0].GetCounter().GetValue()
}

// Ensure a table that DynamoDB returns in several parts is listed with every user exactly once, in
// full pages, of which the last says that no user follows.
func TestPage(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	const n, scanned = 30, 10
	a.PagesOf(scanned)
	want := make([]string, n)
	for i := range want {
		r := record("ada")
		want[i] = r.ID
		_, err := users.Create(t.Context(), r)
		require.NoError(t, err)
	}
	for _, limit := range []int{0, 7, 10, 20, 29, 30, 31} {
		var got []string
		for q := (user.PageQuery{Limit: limit}); len(got) == 0 || q.After != ""; {
			ids, p := page(t, users, q)
			got = append(got, ids...)
			if p.Next != "" {
				require.Equal(t, ids[len(ids)-1], p.Next)
				require.True(t, limit == 0 || len(ids) == limit, "%d of %d", len(ids), limit)
				require.True(t, limit == 0 || len(got) < n, "limit %d: an empty page follows", limit)
			}
			q.After = p.Next
		}
		assert.ElementsMatch(t, want, got, "limit %d", limit)
	}
	assert.Zero(t, slowScans(t, users), "slow scans")
}

// Ensure the SDK reads a response of an unknown form, and that the metrics count it.
func TestPageFallsBack(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		_, _ = io.WriteString(w, `{"Items":[],"Items":[{"id":{"S":"1"},"name":{"S":"Ada"}},{"id":{"S":"2"}},`+
			`{"id":{"S":"3"}}],"LastEvaluatedKey":{"id":{"S":"3"}}}`)
	})
	ids, p := page(t, users, user.PageQuery{})
	assert.Equal(t, []string{"1", "2", "3"}, ids)
	assert.Equal(t, "3", p.Next)
	ids, p = page(t, users, user.PageQuery{Limit: 2})
	assert.Equal(t, []string{"1", "2"}, ids)
	assert.Equal(t, "2", p.Next)
	assert.InDelta(t, 2, slowScans(t, users), 0)
}

// Ensure the memory of a response is bounded, with and without a Content-Length.
func TestResponseTooLarge(t *testing.T) { //nolint:paralleltest // what others allocate would be counted
	a, users := start(t)
	const megabytes = 512
	chunk := make([]byte, 1<<20)
	for _, length := range []string{strconv.Itoa(megabytes << 20), ""} {
		a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			for range megabytes {
				_, _ = w.Write(chunk)
			}
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := users.Page(t.Context(), nil, usersURL, user.PageQuery{})
		runtime.ReadMemStats(&after)
		assert.ErrorContains(t, err, "more than 33554432 bytes")
		assert.Equal(t, user.Unavailable, user.CodeOf(err))
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(megabytes<<20))
	}
}

// Ensure a response that was changed or cut off on its way, to a read or a write, is discarded and
// the call repeated.
func TestCorruptResponses(t *testing.T) {
	t.Parallel()
	for name, forward := range map[string]func(http.ResponseWriter, *httptest.ResponseRecorder){
		"changed": func(w http.ResponseWriter, response *httptest.ResponseRecorder) {
			w.Header().Set("X-Amz-Crc32", "1") // kumo sends none
			_, _ = w.Write(response.Body.Bytes())
		},
		"cut off": func(w http.ResponseWriter, response *httptest.ResponseRecorder) {
			w.Header().Set("Content-Length", strconv.Itoa(response.Body.Len()))
			_, _ = w.Write(response.Body.Bytes()[1:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, users := start(t)
			r := record("ada")
			for _, operation := range []string{"DynamoDB.PutItem", "DynamoDB.Scan", "DynamoDB.GetItem"} {
				a.Intercede(operation, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					a.Heal(operation)
					response := httptest.NewRecorder()
					next.ServeHTTP(response, r)
					maps.Copy(w.Header(), response.Header())
					forward(w, response)
				})
			}
			existing, err := users.Create(t.Context(), r)
			require.NoError(t, err)
			assert.Equal(t, r, *existing, "the repeated write finds the first")
			ids, _ := page(t, users, user.PageQuery{})
			assert.Equal(t, []string{r.ID}, ids)
			for operation, calls := range map[string]int{"PutItem": 2, "GetItem": 2, "Scan": 2} {
				assert.Equal(t, calls, a.Calls("DynamoDB."+operation), operation)
			}
		})
	}
}
