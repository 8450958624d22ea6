package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The clock of these tests stands still until everybody waits, so that times are exact.

const readTime = 10 * time.Millisecond

// A waitTest makes reads of a page, each of which takes readTime.
type waitTest struct {
	*sharer
	t     *testing.T
	reads atomic.Int64
}

func testWaiting(t *testing.T, longest time.Duration, test func(w *waitTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &waitTest{sharer: newSharer(true, longest), t: t}
		test(w)
		assert.Zero(t, w.busy())
		time.Sleep(2 * workerTime) // until the goroutines of reads have ended
	})
}

func (w *waitTest) read() (*page, error) {
	w.reads.Add(1)
	time.Sleep(readTime)
	return pageOf("page"), nil
}

// took returns how long a reader of a page waits for it.
func (w *waitTest) took(name string, read func() (*page, error)) time.Duration {
	start := time.Now()
	p, err := w.get(w.t.Context(), name, read)
	if assert.NoError(w.t, err) {
		p.release()
	}
	return time.Since(start)
}

// joined lets one read a page and another join the next read of it a little later, and returns how long the latter waits for it.
func (w *waitTest) joined(name string, later time.Duration) (took time.Duration) {
	var both sync.WaitGroup
	both.Go(func() { assert.Equal(w.t, readTime, w.took(name, w.read)) })
	both.Go(func() {
		time.Sleep(later)
		took = w.took(name, w.read)
	})
	both.Wait()
	return took
}

// Ensure clients that ask again as soon as they have been answered all get the same reads, where they would be divided into
// those who wait for the reads of each other, and that nobody waits any longer for that.
func TestNextReadWaitsForThoseAnswered(t *testing.T) {
	t.Parallel()
	const clients, rounds, thinking = 8, 50, 100 * time.Microsecond
	testWaiting(t, forever, func(w *waitTest) {
		start := time.Now()
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				for range rounds {
					w.took("", w.read)
					time.Sleep(time.Duration(i) * thinking)
				}
			})
		}
		all.Wait()
		// They differ by one read: the first one is of one client.
		assert.EqualValues(t, rounds+1, w.reads.Load())
		assert.LessOrEqual(t, time.Since(start), (rounds+1)*(readTime+clients*thinking)+readTime, "also the last one waits, for the first client, who has gone")
	})
}

// Ensure new clients join those who are there, and that those who have gone are waited for once.
func TestClientsComeAndGo(t *testing.T) {
	t.Parallel()
	testWaiting(t, forever, func(w *waitTest) {
		client := func(rounds int) (took time.Duration) {
			start := time.Now()
			for range rounds {
				w.took("", w.read)
			}
			return time.Since(start)
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { client(10) })
		}
		time.Sleep(5*readTime + readTime/2)
		all.Go(func() {
			// One comes in the middle of a read, and is in the next ones: those of the four, of which one is in vain; and then is alone.
			assert.LessOrEqual(t, client(20), 20*readTime+readTime/2+readTime)
		})
		all.Wait()
	})
}

// Ensure the next read begins when those who were answered have not come in the time that a read takes.
func TestNextReadWaitsForAReadsTime(t *testing.T) {
	t.Parallel()
	testWaiting(t, forever, func(w *waitTest) {
		assert.Equal(t, readTime/2+readTime+readTime, w.joined("", readTime/2))
	})
}

// Ensure it does not wait longer than it would for a read that hangs.
func TestNextReadWaitsNoLongerThanForAHungOne(t *testing.T) {
	t.Parallel()
	const longest = 2 * time.Millisecond
	testWaiting(t, longest, func(w *waitTest) {
		assert.Equal(t, time.Millisecond+longest+readTime, w.joined("", readTime-time.Millisecond))
	})
}

// Ensure clients that do not come back at once are waited for less and less often, and as soon as some come back always again.
func TestPatience(t *testing.T) {
	t.Parallel()
	testWaiting(t, forever, func(w *waitTest) {
		const inVain = readTime/2 + readTime + readTime
		rounds := func(n int) (waited []int) {
			for i := range n {
				if took := w.joined("", readTime/2); took == inVain {
					waited = append(waited, i)
				} else {
					assert.Equal(t, inVain-readTime, took)
				}
				time.Sleep(time.Second)
			}
			return waited
		}
		assert.Equal(t, []int{0, 2, 5, 10, 19, 36, 69, 134, 199}, rounds(200))

		for i := range 2 * mostImpatient { // until one has come back
			var both sync.WaitGroup
			both.Go(func() { w.took("", w.read); w.took("", w.read) })
			both.Go(func() { time.Sleep(readTime / 2); w.took("", w.read) })
			both.Wait()
			time.Sleep(time.Second)
			if w.patience.last == 0 {
				break
			}
			require.Less(t, i, 2*mostImpatient-1)
		}
		assert.Equal(t, []int{0, 2, 5}, rounds(9))
	})
}

// Ensure a read that waits begins in time also when who came first for it has left, and not at all when everybody has.
func TestFirstOfThoseWhoWaitLeaves(t *testing.T) {
	t.Parallel()
	testWaiting(t, forever, func(w *waitTest) {
		var all sync.WaitGroup
		all.Go(func() { w.took("", w.read) })
		time.Sleep(readTime / 2)
		leaves := func() {
			ctx, cancel := context.WithTimeout(w.t.Context(), readTime)
			defer cancel()
			_, err := w.get(ctx, "", func() (*page, error) { return w.read() })
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		}
		all.Go(leaves)
		time.Sleep(readTime / 4)
		all.Go(func() { assert.Equal(t, readTime/4+readTime+readTime, w.took("", w.read)) })
		all.Wait()
		assert.EqualValues(t, 2, w.reads.Load())

		w.patience = patience{}
		all.Go(func() { w.took("", w.read) })
		time.Sleep(readTime / 2)
		all.Go(leaves)
		all.Wait()
		assert.EqualValues(t, 3, w.reads.Load())
		assert.Zero(t, w.busy())
		time.Sleep(readTime)
		assert.Equal(t, readTime, w.took("", w.read), "who comes after that does not wait")
	})
}

// Ensure nobody is waited for who will not come back at once: who has got an error, or the beginning of a longer list.
func TestNextReadDoesNotWait(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func() (*page, error){
		"error":       func() (*page, error) { time.Sleep(readTime); return nil, errors.New("an error") },
		"longer list": func() (*page, error) { time.Sleep(readTime); p := pageOf("page"); p.next = "key"; return p, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testWaiting(t, forever, func(w *waitTest) {
				var both sync.WaitGroup
				both.Go(func() { _, _ = w.get(w.t.Context(), "", first) })
				time.Sleep(readTime / 2)
				both.Go(func() { assert.Equal(t, readTime/2+readTime, w.took("", w.read)) })
				both.Wait()
			})
		})
	}
}

// Ensure who is alone never waits.
func TestOneClientDoesNotWait(t *testing.T) {
	t.Parallel()
	testWaiting(t, forever, func(w *waitTest) {
		for range 10 {
			assert.Equal(t, readTime, w.took("", w.read))
		}
	})
}

// Ensure what is known of pages that nobody reads any more is forgotten.
func TestPagesAreForgotten(t *testing.T) {
	t.Parallel()
	testWaiting(t, forever, func(w *waitTest) {
		most := 0
		for i := range 20 * leastSharedPages {
			var both sync.WaitGroup
			get := func() { w.took(fmt.Sprint(i), w.read) }
			both.Go(func() { get(); get() })
			both.Go(func() { time.Sleep(readTime / 2); get() }) // with the other's second, after which the next read would wait for both
			both.Wait()
			w.mu.Lock()
			most = max(most, len(w.pages))
			w.mu.Unlock()
		}
		assert.Equal(t, leastSharedPages, most)
	})
}

// Ensure a page is not forgotten while it is read, or waited for.
func TestBusyPagesAreKept(t *testing.T) {
	t.Parallel()
	testWaiting(t, forever, func(w *waitTest) {
		var all sync.WaitGroup
		sweep := func() {
			for i := range 2 * leastSharedPages {
				all.Go(func() { w.took(fmt.Sprint(i, time.Now()), func() (*page, error) { return pageOf("other"), nil }) })
			}
		}
		all.Go(func() { w.took("", w.read) })
		time.Sleep(readTime / 4)
		sweep()
		time.Sleep(readTime / 4)
		all.Go(func() { w.took("", w.read) }) // which waits for the one above
		time.Sleep(readTime)
		sweep()
		time.Sleep(readTime / 4)
		all.Go(func() { w.took("", w.read) })
		all.Wait()
		assert.EqualValues(t, 2, w.reads.Load())
	})
}
