package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain makes the executable of the tests the processes of a benchmark, by its first argument.
func TestMain(m *testing.M) {
	switch role := os.Args[min(1, len(os.Args)-1)]; {
	case strings.HasPrefix(role, "{"):
		main()
	case role == "server":
		serve(os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

// serve is a side. It lists the users right unless it is told to fail.
func serve(mode string) {
	if mode == "fails" {
		fmt.Fprintln(os.Stderr, "no module named flask")
		os.Exit(3)
	}
	users := []user{}
	for i := range 100 {
		users = append(users, userNumber(i))
	}
	if mode == "lies" {
		users[99].Name = "Ada"
	}
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/users", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(users) })
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

// newBench returns a benchmark of short loads whose sides are test servers.
func newBench(t *testing.T, modes ...string) *bench {
	t.Helper()
	_, self, err := usage(os.Getpid())
	require.NoError(t, err)
	cores := self.CpusAllowedList
	b := &bench{
		dir: t.TempDir(), rounds: 1, duration: 30 * time.Millisecond, measured: map[key][]float64{},
		serverCore: fmt.Sprint(cores[0]), restCore: fmt.Sprint(cores[len(cores)-1]),
	}
	for _, mode := range modes {
		b.sides = append(b.sides, side{mode, []string{os.Args[0], "server", mode}})
	}
	return b
}

// Ensure a side is measured while it responds right, and named when it does not or cannot start.
func TestMeasure(t *testing.T) {
	t.Parallel()
	list := works(30 * time.Millisecond)[0]
	b := newBench(t, "right")
	require.NoError(t, b.measure(t.Context(), list))
	for _, figure := range []string{requestRate, latencyP50, latencyP99, readyTime, restMemory, peakMemory} {
		require.Len(t, b.measured[key{list.name, "right", figure}], 1, figure)
		assert.Positive(t, b.measured[key{list.name, "right", figure}][0], figure)
	}
	assert.Zero(t, b.measured[key{list.name, "right", callsEach}][0])

	err := newBench(t, "right", "lies").measure(t.Context(), list)
	assert.ErrorContains(t, err, "lies: load: exit status 1: bench: user 99 is")
	err = newBench(t, "fails").measure(t.Context(), list)
	assert.ErrorContains(t, err, "fails: it did not get ready: exit status 3: no module named flask")
	b.sides[0].command = []string{"/missing"}
	assert.ErrorContains(t, b.measure(t.Context(), list), "/missing")
}

// Ensure prima-api, the idiomatic service and the loop get what they need from the backend, after
// its delay.
func TestSides(t *testing.T) {
	t.Chdir("..")
	b := newBench(t)
	require.NoError(t, b.build(t.Context()))
	b.sides = slices.DeleteFunc(b.sides, func(s side) bool { return s.name == flask }) // which is slow
	const create, far = "`POST /user`", "DynamoDB takes 5 ms"
	for _, w := range works(b.duration) {
		if w.name == create || w.name == far || w.name == lengthName(20_000) {
			require.NoError(t, b.measure(t.Context(), w))
		}
	}
	for _, side := range []string{primaAPI, idiomaticGo} {
		assert.Equal(t, []float64{1}, b.measured[key{create, side, callsEach}], side)
		assert.Equal(t, []float64{7}, b.measured[key{lengthName(20_000), side, callsEach}], side)
		assert.GreaterOrEqual(t, b.measured[key{far, side, latencyP50}][0], 5., side)
	}
	assert.Positive(t, b.measured[key{create, bareLoop, requestRate}][0])
}

// Ensure the server and the load run on their cores, and that both end with the context.
func TestInterrupt(t *testing.T) { //nolint:paralleltest // it looks at all processes that this one started
	b := newBench(t, "right")
	ctx, interrupt := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- b.measure(ctx, works(time.Hour)[0]) }()
	var cores map[procfs.Proc]string
	for len(cores) < 2 {
		require.Empty(t, failed)
		cores = map[procfs.Proc]string{}
		all, err := procfs.AllProcs()
		require.NoError(t, err)
		for _, p := range all {
			stat, err := p.Stat()
			args, _ := p.CmdLine() // it may have ended
			if err != nil || stat.PPID != os.Getpid() || len(args) < 2 || args[0] != os.Args[0] {
				continue
			}
			if cores[p] = b.serverCore; strings.HasPrefix(args[1], "{") {
				cores[p] = b.restCore
			}
		}
	}
	for p, core := range cores {
		_, status, err := usage(p.PID)
		require.NoError(t, err)
		assert.Equal(t, "["+core+"]", fmt.Sprint(status.CpusAllowedList))
	}
	interrupt()
	require.ErrorContains(t, <-failed, "signal: killed")
	for p := range cores {
		_, _, err := usage(p.PID)
		assert.Error(t, err, "%v is still there", p)
	}
}
