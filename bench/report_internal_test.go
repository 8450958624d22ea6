package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure medians and spreads are those of the values, and that a ratio is that of the medians with the spread of the rounds.
func TestStatistics(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 3, median([]float64{9, 1, 3}), 0)
	assert.InDelta(t, 2.5, median([]float64{4, 1, 3, 2}), 0)
	_, ok := estimateOf(nil)
	assert.False(t, ok)
	e, ok := combine([]float64{10, 40, 20}, []float64{1, 2, 4}, func(a, b float64) float64 { return a / b })
	require.True(t, ok)
	assert.Equal(t, estimate{median: 10, low: 5, high: 20}, e)
	_, ok = combine([]float64{1}, []float64{1, 2}, func(a, b float64) float64 { return a / b })
	assert.False(t, ok)

	assert.InDelta(t, 2, loadResult{Answers: 4, Elapsed: 2 * time.Second}.rate(), 0)
	latencies := []time.Duration{1, 2, 3, 4}
	for p, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		assert.Equal(t, want, percentile(latencies, p))
	}
}

// Ensure numbers are short and none is rounded to something else.
func TestNumber(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{0: "0", 1: "1", 60: "60", 0.85: "0.85", 0.01234: "0.0123", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234567: "1,234,567", -1234: "-1,234", 999: "999"} {
		assert.Equal(t, want, number(x))
	}
}

func resultsOf(task, side string, figures map[string][]float64) results {
	return results{task: &measurement{Environment: environment{Go: "go0"}, Sides: []sideResult{{Name: side, Figures: figures}}}}
}

// Ensure a row says met, not met or not measured as its figures do, on both sides of each bound.
func TestRows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ready float64
		want  string
	}{{29.9, " met |"}, {30, " met |"}, {30.1, "**not met**"}} {
		row := rowOf(t, "from exec to ready", resultsOf(taskStart, primaAPI, map[string][]float64{readyTime: {c.ready}}))
		assert.Contains(t, row, c.want, "%v ms", c.ready)
	}
	for _, c := range []struct {
		allocations float64
		want        string
	}{{600, " met |"}, {601, "**not met**"}} {
		row := rowOf(t, "allocations", resultsOf(taskGoBench, pageOurs, map[string][]float64{allocations: {c.allocations}}))
		assert.Contains(t, row, c.want, "%v allocations", c.allocations)
	}
	both := func(ours, theirs float64) results {
		return results{taskList: {Sides: []sideResult{
			{Name: primaAPI, Figures: map[string][]float64{requestRate: {ours}}}, {Name: flask, Figures: map[string][]float64{requestRate: {theirs}}},
		}}}
	}
	assert.Contains(t, rowOf(t, "Flask", both(3000, 100)), "30× | 30–30 | met |")
	assert.Contains(t, rowOf(t, "Flask", both(2900, 100)), "29× | 29–29 | **not met** |")
	for _, q := range requirements() {
		assert.Contains(t, q.row(results{}), "| not measured |", q.Work)
	}
}

// rowOf returns the first row that has this text.
func rowOf(t *testing.T, text string, r results) string {
	t.Helper()
	for _, q := range requirements() {
		if row := q.row(r); strings.Contains(row, text) {
			return row
		}
	}
	require.Fail(t, "no such requirement", text)
	return ""
}

// Ensure the document has each measurement with its figures and what was left out, and says of the others that they were not made.
func TestRender(t *testing.T) {
	t.Parallel()
	r := resultsOf(taskStart, primaAPI, map[string][]float64{readyTime: {70, 80, 90}})
	r[taskImage] = &measurement{Notices: []string{"docker cannot be used"}}
	document, err := render(r, "")
	require.NoError(t, err)
	text := string(document)
	first, _, _ := strings.Cut(text, "\n")
	assert.Contains(t, first, "task bench")
	for _, want := range []string{"| from exec to ready |  | ≤ 30 ms | 80 ms | 70–90 | **not met** |", "80 (70–90)", "Note: docker cannot be used.", "| not measured |", "## Tried, and not used"} {
		assert.Contains(t, text, want)
	}
	for _, task := range tasks() {
		assert.Contains(t, text, "### "+task.title)
	}
	assert.NotContains(t, text, ".svg")
	assert.NotContains(t, text, "\n\n\n")
}

// Ensure results are read back as they were saved, and that none are an empty set.
func TestResults(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "results.json")
	none, err := loadResults(file)
	require.NoError(t, err)
	assert.Empty(t, none)
	r := resultsOf(taskList, primaAPI, map[string][]float64{requestRate: {1, 2.5}})
	require.NoError(t, r.save(file))
	again, err := loadResults(file)
	require.NoError(t, err)
	assert.Equal(t, r, again)
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = loadResults(file)
	assert.Error(t, err)
}

// Ensure the lines of go test -bench become figures by their units, of benchmarks by their packages and names.
func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	sides, err := parseBenchmarks([]byte(`goos: linux
pkg: prima.internal/app/dynamo
BenchmarkPage/ours-2         	     620	   1901234 ns/op	   1801000 cpu-ns/op	  900100 B/op	     301 allocs/op
BenchmarkPage/ours-2         	     610	   1901236 ns/op	   1801002 cpu-ns/op	  900100 B/op	     303 allocs/op
BenchmarkPage/idiomatic-2    	      30	  39012340 ns/op	  40000000 cpu-ns/op	19001000 B/op	  400301 allocs/op
PASS
ok  	prima.internal/app/dynamo	3.2s
`))
	require.NoError(t, err)
	require.Len(t, sides, 2)
	assert.Equal(t, pageOurs, sides[0].Name)
	assert.Equal(t, []float64{1801000, 1801002}, sides[0].Figures[benchmarkCPU])
	assert.Equal(t, []float64{1901234, 1901236}, sides[0].Figures["ns/op"])
	assert.Equal(t, []float64{301, 303}, sides[0].Figures[allocations])
	assert.Equal(t, []float64{900100, 900100}, sides[0].Figures["B/op"])
	assert.Equal(t, pageIdiomatic, sides[1].Name)
}
