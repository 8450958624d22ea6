package chaos_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
	"prima.internal/app/localaws"
)

// machine is what the tests run on, with whatever else runs there. That must not make one of them fail.
var machine witness

// A witness makes small calls to an embedded AWS of its own, and so knows when the machine is too slow
// to say anything about the API.
type witness struct {
	client *http.Client
	server *localaws.Server
	body   string
	left   chan struct{}

	mu     sync.Mutex
	stalls []stall
	asked  time.Time // when the call began that is under way
}

// A stall is a time in which the machine did not get a small call done.
type stall struct{ from, to time.Time }

// stalled is how long a call takes in a stall. Usually one takes less than a hundredth of that.
const stalled = 150 * time.Millisecond

// begin begins to look out for stalls.
func (w *witness) begin() error {
	table := config.Default().Table
	aws, err := localaws.New(localaws.Options{Table: table})
	if err != nil {
		return err
	}
	if w.server, err = aws.Listen("127.0.0.1:0"); err != nil {
		return err
	}
	w.body = fmt.Sprintf(`{"TableName":%q,"Key":{%q:{"S":"x"}}}`, table, config.KeyAttribute)
	w.client, w.left = &http.Client{Transport: new(http.Transport)}, make(chan struct{})
	go w.watch()
	return nil
}

func (w *witness) call() error {
	r, err := http.NewRequest(http.MethodPost, w.server.URL(), strings.NewReader(w.body))
	if err != nil {
		return err
	}
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.GetItem")
	response, err := w.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func (w *witness) watch() {
	for last := time.Now(); ; {
		w.mu.Lock()
		w.asked = last
		w.mu.Unlock()
		select {
		case <-w.left:
			return
		case <-time.After(10 * time.Millisecond):
		}
		err := w.call()
		now := time.Now()
		if err != nil || now.Sub(last) > stalled {
			w.mu.Lock()
			w.stalls = append(w.stalls, stall{last, now})
			w.mu.Unlock()
		}
		last = now
	}
}

func (w *witness) leave() {
	close(w.left)
	w.client.CloseIdleConnections()
	_ = w.server.Close()
}

// stalledSince returns how much of the time since then the machine has stalled.
func (w *witness) stalledSince(from time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	sum, now := time.Duration(0), time.Now()
	for _, s := range append(slices.Clip(w.stalls), stall{w.asked, now}) {
		if s.to.Sub(s.from) > stalled && s.to.After(from) {
			sum += min(s.to.Sub(s.from), s.to.Sub(from))
		}
	}
	return sum
}

// allowance returns how much longer than on a machine that does not stall an answer may have taken. On its way it
// waits for the machine several times as often as a call of the witness does.
func (a answer) allowance() time.Duration { return 5 * machine.stalledSince(a.began) }

// excused reports whether the machine has stalled for so long, of the timeout of a request, that this may be why the
// answer is a failure.
func (a answer) excused(timeout time.Duration) bool { return machine.stalledSince(a.began) > timeout/8 }

// inTime requires that an answer took no longer than a limit.
func inTime(t *testing.T, limit time.Duration, a answer, what string) {
	t.Helper()
	assert.LessOrEqual(t, a.took, limit+a.allowance(), "%s: %s", what, a)
}
