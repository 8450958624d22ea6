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
	aws, err := localaws.New(localaws.Options{Table: config.Default().Table})
	if err != nil {
		return err
	}
	if w.server, err = aws.Listen("127.0.0.1:0"); err != nil {
		return err
	}
	w.client, w.left = &http.Client{Transport: new(http.Transport)}, make(chan struct{})
	go w.watch()
	return nil
}

func (w *witness) call() error {
	c := config.Default()
	r, err := http.NewRequest(http.MethodPost, w.server.URL(), strings.NewReader(fmt.Sprintf(`{"TableName":%q,"Key":{%q:{"S":"x"}}}`, c.Table, config.KeyAttribute)))
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

// stalledSince reports whether the machine has stalled in a time that began then and ends now.
func (w *witness) stalledSince(from time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.asked) > stalled {
		return true
	}
	return slices.ContainsFunc(w.stalls, func(s stall) bool { return s.to.After(from) })
}

// inTime finds fault with an answer that took longer than a limit, unless the machine has stalled meanwhile.
func inTime(t *testing.T, limit time.Duration, a answer, what string) {
	t.Helper()
	if a.took <= limit {
		return
	}
	if machine.stalledSince(a.began) {
		t.Logf("figure: %s took %s in a stall of the machine", what, a.took)
		return
	}
	t.Errorf("%s took longer than %s: %s", what, limit, a)
}
