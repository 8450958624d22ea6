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
	}{{59.9, " met |"}, {60, "**not met**"}, {61, "**not met**"}} {
		row := rowOf(t, "from exec to ready", resultsOf(taskStart, primaAPI, map[string][]float64{readyTime: {c.ready}}))
		assert.Contains(t, row, c.want, "%v ms", c.ready)
	}
	for _, c := range []struct {
		allocations float64
		want        string
	}{{350, " met |"}, {351, "**not met**"}} {
		row := rowOf(t, "allocations", resultsOf(taskGoBench, pageOurs, map[string][]float64{allocations: {c.allocations}}))
		assert.Contains(t, row, c.want, "%v allocations", c.allocations)
	}
	both := func(ours, theirs float64) results {
		return results{taskList: {Sides: []sideResult{
			{Name: primaAPI, Figures: map[string][]float64{requestRate: {ours}}}, {Name: flask, Figures: map[string][]float64{requestRate: {theirs}}},
		}}}
	}
	assert.Contains(t, rowOf(t, "Flask", both(6000, 100)), "60× | 60–60 | met |")
	assert.Contains(t, rowOf(t, "Flask", both(5900, 100)), "59× | 59–59 | **not met** |")
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
	for _, want := range []string{"| from exec to ready |  | < 60 ms | 80 ms | 70–90 | **not met** |", "80 (70–90)", "Note: docker cannot be used.", "| not measured |", "## Tried, and not paid"} {
		assert.Contains(t, text, want)
	}
	for _, task := range tasks() {
		assert.Contains(t, text, "### "+task.title)
	}
	assert.NotContains(t, text, ".svg")
	assert.NotContains(t, text, "\n\n\n")
}

// Ensure the quickest server is one whose requests cost what HTTP alone and each of their calls cost, and is told of what was measured only.
func TestCeilings(t *testing.T) {
	t.Parallel()
	measured := func(alone, loop, actual float64) *measurement {
		m := new(measurement)
		for name, rate := range map[string]float64{httpAlone: alone, bareLoop: loop, primaAPI: actual} {
			m.Sides = append(m.Sides, sideResult{Name: name, Figures: map[string][]float64{requestRate: {rate}}})
		}
		return m
	}
	r := results{taskCreate: measured(9000, 1000, 600)}
	all := ceilings(r)
	require.Len(t, all, 1)
	assert.Equal(t, []string{"9,000", "1,000", "0.9×", "0.6×"}, []string{all[0].Alone, all[0].Loop, all[0].Ceiling, all[0].Actual})
	r[taskAvatar] = measured(1000, 500, 200) // 1 ms, 2 ms, and 1 ms of a PutItem
	all = ceilings(r)
	require.Len(t, all, 2)
	assert.Equal(t, []string{"0.5×", "0.4×"}, []string{all[1].Ceiling, all[1].Actual})
	r[taskAvatar].Sides = r[taskAvatar].Sides[:2]
	assert.Len(t, ceilings(r), 1)
	assert.Empty(t, ceilings(results{}))
}

// Ensure the parts of the start are the differences of its medians, and none where one was not measured.
func TestPartsOfStart(t *testing.T) {
	t.Parallel()
	r := results{taskStart: {Sides: []sideResult{
		{Name: primaAPI, Figures: map[string][]float64{readyTime: {9, 10, 30}}},
		{Name: showVersion, Figures: map[string][]float64{readyTime: {4, 5, 6}}},
		{Name: nothing, Figures: map[string][]float64{readyTime: {1, 2, 9}}},
	}}}
	assert.Equal(t, &startParts{All: "10", AnyProgram: "2", Linked: "3", Ours: "5"}, partsOfStart(r))
	r[taskStart].Sides = r[taskStart].Sides[:2]
	assert.Nil(t, partsOfStart(r))
}

// Ensure the SDK's part of the compile is that of a program that does nothing, and none where that was not measured.
func TestPartsOfCompile(t *testing.T) {
	t.Parallel()
	r := results{taskCompile: {Sides: []sideResult{
		{Name: program, Figures: map[string][]float64{cpuSeconds: {90, 100, 120}}},
		{Name: withHelm, Figures: map[string][]float64{cpuSeconds: {450, 500, 510}}},
		{Name: empty, Figures: map[string][]float64{cpuSeconds: {70, 80, 110}}},
		{Name: least, Figures: map[string][]float64{cpuSeconds: {90, 91, 125}}},
	}}}
	assert.Equal(t, &compileParts{SDK: "80", Most: "6.25", Packages: "91", Least: "5.49"}, partsOfCompile(r))
	r[taskCompile].Sides = r[taskCompile].Sides[:2]
	assert.Nil(t, partsOfCompile(r))
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
