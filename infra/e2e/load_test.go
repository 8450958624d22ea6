//go:build e2e

package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"prima.internal/app/apitest"
	"prima.internal/app/client"
)

// The clients of a load, each with one connection at a time: those that keep it, and those that make a new one for
// each request, which meet whatever the Service leads to.
const (
	keeping     = 32
	renewing    = 4
	connections = keeping + renewing
)

// The requests of a load. An id of a request is one of these, a number and the run: plain-17.3f2a9c51.
const (
	listed = "list"   // GET /users?limit=20
	single = "user"   // GET /users/{id}
	avatar = "avatar" // GET /users/{id}/avatar
	plain  = "plain"  // POST /users
	keyed  = "keyed"  // POST /users with an Idempotency-Key
	again  = "again"  // the last keyed once more, perhaps while that is still on its way
)

// mix is what is asked for, in turn.
var mix = []string{
	listed, single, avatar, plain, listed, single, keyed, listed, again, single,
	listed, avatar, plain, listed, single, listed, keyed, listed, avatar, single,
}

// A workload is what loads ask for, and what is known of the users that they created.
type workload struct {
	base   string
	token  string // sent with every request; may be empty
	run    string // in the id of every request and the email of every user
	rate   int    // requests a second; 0 for as many as are answered
	client *http.Client
	api    *client.ClientWithResponses // by that client, with that token

	number   atomic.Int64 // of the last request
	requests int          // of all loads

	mu        sync.Mutex
	seeds     []seed
	lastKeyed int64
	sent      map[string]bool   // emails of users that were asked for
	created   map[string]string // emails to the ids that a 201 gave
}

// A seed is a user with an avatar, for the reads.
type seed struct {
	id    string
	image []byte
}

func newWorkload(t *testing.T, base string) *workload {
	t.Helper()
	w := &workload{
		base: base, run: uuid.NewString()[:8], client: &http.Client{Transport: new(http.Transport), Timeout: time.Minute},
		sent: map[string]bool{}, created: map[string]string{},
	}
	api, err := client.New(base, client.WithHTTPClient(w.client), client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		if w.token != "" { // the present one
			r.Header.Set("Authorization", "Bearer "+w.token)
		}
		return nil
	}))
	require.NoError(t, err)
	w.api = api
	return w
}

// email returns the address of the user that a request is to create.
func (w *workload) email(kind string, number int64) string {
	return fmt.Sprintf("%s-%d.%s@example.com", kind, number, w.run)
}

func user(email string) client.NewUser {
	return client.NewUser{Name: "Chaos", Email: email}
}

// target makes the next request.
func (w *workload) target(t *vegeta.Target) error {
	number := w.number.Add(1)
	kind := mix[number%int64(len(mix))]
	*t = vegeta.Target{Method: http.MethodGet, URL: w.base + "/users", Header: http.Header{}}
	if w.token != "" {
		t.Header.Set("Authorization", "Bearer "+w.token)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch kind {
	case listed:
		t.URL += "?limit=20"
	case single:
		t.URL += "/" + w.seeds[number%int64(len(w.seeds))].id
	case avatar:
		t.URL += "/" + w.seeds[number%int64(len(w.seeds))].id + "/avatar"
	case plain, keyed, again:
		t.Method = http.MethodPost
		t.Header.Set("Content-Type", "application/json")
		created := kind
		switch {
		case kind == keyed:
			w.lastKeyed = number
		case kind == again && w.lastKeyed == 0:
			kind, created = plain, plain
		case kind == again:
			number, created = w.lastKeyed, keyed
		}
		email := w.email(created, number)
		if created == keyed {
			t.Header.Set("Idempotency-Key", email)
		}
		w.sent[email] = true
		var err error
		if t.Body, err = json.Marshal(user(email)); err != nil {
			return err
		}
	}
	t.Header.Set("X-Request-Id", fmt.Sprintf("%s-%d.%s", kind, number, w.run))
	return nil
}

var requestID = regexp.MustCompile(`^([a-z]+)-([0-9]+)\.`)

// judge says what is wrong with an answer that has arrived, and notes the user that it names.
func (w *workload) judge(r *vegeta.Result) error {
	id := r.Headers.Get("X-Request-Id")
	parts := requestID.FindStringSubmatch(id)
	if parts == nil {
		return fmt.Errorf("the id %q is not that of the request", id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	want := http.StatusOK
	switch parts[1] {
	case plain, keyed, again:
		want = http.StatusCreated
	}
	if int(r.Code) != want {
		return fmt.Errorf("%d in place of %d: %.300s", r.Code, want, r.Body)
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(r.URL, w.base+"/users"), "?")
	userID, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch parts[1] {
	case listed:
		var users []client.User
		if err := json.Unmarshal(r.Body, &users); err != nil || len(users) == 0 {
			return fmt.Errorf("no list of users: %.300s (%w)", r.Body, err)
		}
	case single:
		var u client.User
		if err := json.Unmarshal(r.Body, &u); err != nil || u.ID != userID {
			return fmt.Errorf("not the user: %.300s (%w)", r.Body, err)
		}
	case avatar:
		of := slices.IndexFunc(w.seeds, func(s seed) bool { return s.id == userID })
		if of < 0 || !bytes.Equal(w.seeds[of].image, r.Body) {
			return fmt.Errorf("not the avatar: %d bytes", len(r.Body))
		}
	default:
		var created client.CreatedUser
		if err := json.Unmarshal(r.Body, &created); err != nil {
			return fmt.Errorf("no user: %.300s (%w)", r.Body, err)
		}
		kind := strings.Replace(parts[1], again, keyed, 1)
		return w.note(strings.Replace(id, parts[1]+"-", kind+"-", 1)+"@example.com", created.ID)
	}
	return nil
}

// note takes the id that the answer to a request gave for the user that it created. The caller holds the lock.
func (w *workload) note(email, id string) error {
	if id == "" {
		return fmt.Errorf("no id of the user %s", email)
	}
	if first, ok := w.created[email]; ok && first != id {
		return fmt.Errorf("%s was created twice, as %s and %s", email, first, id)
	}
	w.created[email] = id
	return nil
}

// seed creates the users that are read.
func (w *workload) seed(t *testing.T) {
	t.Helper()
	w.seeds = nil
	for i := range 10 {
		image := apitest.PNG(64+i, 64)
		email := w.email("seed", int64(i))
		created, err := w.api.CreateUserFormWithResponse(t.Context(), nil, client.NewUserForm{Name: "Chaos", Email: email, Avatar: image})
		require.NoError(t, err)
		require.NoError(t, w.note(email, created.JSON201.ID))
		w.seeds = append(w.seeds, seed{w.created[email], image})
	}
}

// stored returns the ids of the users of this run that the list shows, by their emails.
func (w *workload) stored(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for u, err := range w.api.Users(t.Context(), 1000) {
		require.NoError(t, err)
		if strings.HasSuffix(u.Email, "."+w.run+"@example.com") {
			found[u.Email] = append(found[u.Email], u.ID)
		}
	}
	return found
}

// verify sends what had an Idempotency-Key and no answer once more, and then holds the list to what clients
// were told: who was answered 201 is there once, and nobody is there twice.
func (w *workload) verify(t *testing.T) {
	t.Helper()
	for email := range w.sent {
		if _, answered := w.created[email]; answered || !strings.HasPrefix(email, keyed) {
			continue
		}
		created, err := w.api.CreateUserWithResponse(t.Context(), &client.CreateUserParams{IdempotencyKey: &email}, user(email))
		require.NoError(t, err)
		require.NoError(t, w.note(email, created.JSON201.ID))
	}
	stored := w.stored(t)
	var wrong []string
	for email, id := range w.created {
		if !slices.Equal(stored[email], []string{id}) {
			wrong = append(wrong, fmt.Sprintf("%s was created as %s and is stored as %v", email, id, stored[email]))
		}
	}
	for email, ids := range stored {
		if len(ids) != 1 || (w.created[email] == "" && !w.sent[email]) {
			wrong = append(wrong, fmt.Sprintf("%s is stored as %v", email, ids))
		}
	}
	assert.Empty(t, wrong[:min(len(wrong), 10)], "%d users", len(wrong))
}

// remove deletes every user of this run.
func (w *workload) remove(t *testing.T) {
	t.Helper()
	ids := make(chan string)
	var clients sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	for range 8 {
		clients.Go(func() {
			for id := range ids {
				if _, err := w.api.DeleteUserWithResponse(t.Context(), id); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, stored := range w.stored(t) {
		for _, id := range stored {
			ids <- id
		}
	}
	close(ids)
	clients.Wait()
	require.NoError(t, errors.Join(failed...))
	clear(w.sent)
	clear(w.created)
	w.seeds, w.lastKeyed = nil, 0
}

// A load is a steady rate of requests on connections that are kept.
type load struct {
	*workload
	attacker *vegeta.Attacker
	clients  *clients
	began    time.Time
	stopped  sync.Once
	ended    chan struct{}

	metrics  vegeta.Metrics
	failures []failure
}

// A failure is a request that was not answered as it should have been.
type failure struct {
	at   time.Time // when the request began
	text string
}

func (w *workload) start(t *testing.T, scenario string) *load {
	t.Helper()
	pool := newClients()
	l := &load{
		workload: w, clients: pool, began: time.Now(), ended: make(chan struct{}),
		attacker: vegeta.NewAttacker(
			vegeta.Client(&http.Client{Transport: pool, Timeout: 30 * time.Second}),
			vegeta.Workers(connections), vegeta.MaxWorkers(connections)),
	}
	results := l.attacker.Attack(w.target, vegeta.ConstantPacer{Freq: w.rate, Per: time.Second}, 0, scenario)
	go func() {
		defer close(l.ended)
		for r := range results {
			l.metrics.Add(r)
			text := r.Error
			if r.Code != 0 { // there is an answer, whatever it is
				text = ""
				if err := w.judge(r); err != nil {
					text = r.Headers.Get("X-Request-Id") + ": " + err.Error()
				}
			}
			if text != "" {
				l.failures = append(l.failures, failure{r.Timestamp, fmt.Sprintf("%s, %s: %s %s after %s: code %d, %s",
					scenario, r.Timestamp.Format("15:04:05.000"), r.Method, r.URL, r.Latency.Round(time.Millisecond), r.Code, text)})
			}
		}
		l.metrics.Close()
	}()
	t.Cleanup(l.stop)
	return l
}

// stop ends the load and waits for the answers.
func (l *load) stop() {
	l.stopped.Do(func() {
		l.attacker.Stop()
		<-l.ended
		l.clients.close()
		l.requests += int(l.metrics.Requests)
	})
}

// assertUnharmed holds every request to have been answered as it should be, and by the connection that it was
// sent on: net/http sends some once more where a connection breaks, which not every client does.
func (l *load) assertUnharmed(t *testing.T) {
	t.Helper()
	assert.Empty(t, l.first(), "%d of %d requests failed", len(l.failures), l.metrics.Requests)
	assert.Zero(t, l.clients.resent.Load(), "requests that the client sent twice")
	assert.NotZero(t, l.metrics.Requests)
}

// first returns the first failures, as a failing test prints them.
func (l *load) first() []string {
	var texts []string
	for _, f := range l.failures[:min(len(l.failures), 20)] {
		texts = append(texts, f.text)
	}
	return texts
}

// kinds returns how often which error was met.
func (l *load) kinds() string {
	numbers := map[string]int{}
	for _, f := range l.failures {
		numbers[f.text[strings.LastIndex(f.text, ": ")+2:]]++
	}
	return cmp.Or(counted(numbers), "none")
}

// window returns the time between the first and the last request that failed.
func (l *load) window() time.Duration {
	if len(l.failures) == 0 {
		return 0
	}
	earlier := func(a, b failure) int { return a.at.Compare(b.at) }
	return slices.MaxFunc(l.failures, earlier).at.Sub(slices.MinFunc(l.failures, earlier).at)
}

// after returns the failures of requests that began after a time.
func (l *load) after(then time.Time) []string {
	var texts []string
	for _, f := range l.failures {
		if f.at.After(then) {
			texts = append(texts, f.text)
		}
	}
	return texts
}

// String is what a figure says of the load.
func (l *load) String() string {
	return fmt.Sprintf("%d requests at %d/s on %d connections that are kept and %d that are not, %d failed, %d sent twice by the client; %d answers said Connection: close; latency p50 %s, p99 %s, max %s",
		l.metrics.Requests, l.rate, keeping, renewing, len(l.failures), l.clients.resent.Load(), l.clients.closing.Load(),
		l.metrics.Latencies.P50.Round(100*time.Microsecond), l.metrics.Latencies.P99.Round(100*time.Microsecond), l.metrics.Latencies.Max.Round(time.Millisecond))
}

// clients send requests on as many connections, each in its turn, so that none of them is spared what happens
// to its pod.
type clients struct {
	free    chan *http.Transport
	closing atomic.Int64 // answers that said Connection: close on a connection that the client would have kept
	resent  atomic.Int64 // requests that net/http sent on a second connection
}

func newClients() *clients {
	c := &clients{free: make(chan *http.Transport, connections)}
	for i := range connections {
		c.free <- &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true, DisableKeepAlives: i >= keeping}
	}
	return c
}

// RoundTrip implements [http.RoundTripper].
func (c *clients) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := <-c.free
	id := r.Header.Get("X-Request-Id")
	var used atomic.Int64
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if used.Add(1) > 1 {
			c.resent.Add(1)
		}
	}}
	response, err := transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		c.free <- transport
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	if response.Close && !transport.DisableKeepAlives {
		c.closing.Add(1)
	}
	response.Body = &answer{ReadCloser: response.Body, id: id, done: func() { c.free <- transport }}
	return response, nil
}

// renew has the connections that are not in use made anew for their next requests.
func (c *clients) renew() {
	for range connections {
		transport := <-c.free
		transport.CloseIdleConnections()
		c.free <- transport
	}
}

func (c *clients) close() {
	for range connections {
		(<-c.free).CloseIdleConnections()
	}
}

// An answer is the body of one, whose connection is free when it is closed.
type answer struct {
	io.ReadCloser
	id     string
	done   func()
	closed sync.Once
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s: %w", a.id, err)
	}
	return n, err
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.closed.Do(a.done)
	return err
}

// counted is the numbers of something by its names, in order.
func counted(numbers map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		all = append(all, fmt.Sprintf("%d %s", numbers[name], name))
	}
	return strings.Join(all, ", ")
}
