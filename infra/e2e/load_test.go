//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/client"
)

const (
	keeping  = 32                     // clients that keep their connection
	renewing = 4                      // clients that make a new one for each request
	pause    = 150 * time.Millisecond // of a client between two requests, on average
	lead     = 4 * time.Second        // for which a load runs before and after what is done to the system
)

// A load is clients that read and create users, and what they were told.
type load struct {
	api   *client.ClientWithResponses
	users string // what their addresses end in
	seeds []seed

	// tokensChange is set while a key may be another caller's, so that repeating it makes a new user.
	tokensChange bool

	mu       sync.Mutex
	sent     map[string]bool   // the addresses of users to be created, and whether that has a key
	created  map[string]string // their ids, of those that got a 201
	lastKey  string            // also the address of the user
	requests int
	closing  int // responses that told their client to close the connection
	failures []failure
}

// A seed is a user with an avatar, to be read.
type seed struct {
	id    string
	image []byte
}

// A failure is a request without the expected response.
type failure struct {
	began time.Time
	err   error
}

func (f failure) String() string { return f.began.Format(time.TimeOnly) + " " + f.err.Error() }

// newLoad makes the users to be read. Every request carries the token.
func newLoad(t *testing.T, url, token string) *load {
	t.Helper()
	l := &load{
		api:   newClient(t, url, token, http.DefaultTransport),
		users: "." + uuid.NewString()[:8] + "@example.com", sent: map[string]bool{}, created: map[string]string{},
	}
	for i := range 10 {
		image := apitest.PNG(64+i, 64)
		made, err := l.api.CreateUserFormWithResponse(t.Context(), nil,
			client.NewUserForm{Name: "Seed", Email: "seed@example.com", Avatar: image})
		require.NoError(t, err)
		l.seeds = append(l.seeds, seed{made.JSON201.ID, image})
	}
	return l
}

func newClient(t *testing.T, url, token string, transport http.RoundTripper) *client.ClientWithResponses {
	t.Helper()
	api, err := client.New(url, client.WithToken(token),
		client.WithHTTPClient(&http.Client{Transport: transport, Timeout: time.Minute}))
	require.NoError(t, err)
	return api
}

// during does something to the system while the clients use it. Then it compares the list of users
// with what the clients were told.
func (l *load) during(t *testing.T, url, token string, do func()) {
	t.Helper()
	l.requests, l.closing, l.failures = 0, 0, nil
	stop := make(chan struct{})
	var clients sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		clients.Wait()
	})
	defer end()
	for i := range keeping + renewing {
		transport := &http.Transport{DisableKeepAlives: i >= keeping, DisableCompression: true}
		api := newClient(t, url, token, once{transport, l})
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			l.use(stop, api, transport)
		})
	}
	time.Sleep(lead)
	began := time.Now()
	do()
	took := time.Since(began)
	time.Sleep(lead)
	end()
	t.Logf("figure: %s: %s, %d requests, %d failed, %d responses closed their connection",
		t.Name(), took.Round(100*time.Millisecond), l.requests, len(l.failures), l.closing)
	l.verify(t)
}

// assertUnharmed fails if a request did.
func (l *load) assertUnharmed(t *testing.T) {
	t.Helper()
	assert.Empty(t, len(l.failures), "of %d requests; the first: %v", l.requests, l.failures[:min(len(l.failures), 20)])
	assert.Greater(t, l.requests, 500)
}

// use makes requests until it is to stop.
func (l *load) use(stop <-chan struct{}, api *client.ClientWithResponses, transport *http.Transport) {
	for {
		began := time.Now()
		err := l.request(api)
		l.mu.Lock()
		l.requests++
		if err != nil {
			l.failures = append(l.failures, failure{began, err})
		}
		l.mu.Unlock()
		if rand.IntN(50) == 0 { // so that a pod that is new gets a share of the connections
			transport.CloseIdleConnections()
		}
		select {
		case <-stop:
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

// request makes one request and checks its response.
func (l *load) request(api *client.ClientWithResponses) error {
	ctx := context.Background() // a test's own has ended when the load does
	read := l.seeds[rand.IntN(len(l.seeds))]
	email := uuid.NewString() + l.users
	switch rand.IntN(10) {
	case 0, 1, 2:
		r, err := api.ListUsersWithResponse(ctx, &client.ListUsersParams{Limit: new(int32(20))})
		if err == nil && (r.JSON200 == nil || len(*r.JSON200) == 0) {
			err = fmt.Errorf("no list of users: %.300s", r.Body)
		}
		return err
	case 3, 4:
		r, err := api.GetUserWithResponse(ctx, read.id)
		if err == nil && (r.JSON200 == nil || r.JSON200.ID != read.id) {
			err = fmt.Errorf("not the user %s: %.300s", read.id, r.Body)
		}
		return err
	case 5, 6:
		r, err := api.GetAvatarWithResponse(ctx, read.id, nil)
		if err == nil && !bytes.Equal(r.Body, read.image) {
			err = fmt.Errorf("not the avatar of %s: %d bytes", read.id, len(r.Body))
		}
		return err
	case 7:
		return l.create(ctx, api, email, false)
	case 8: // once more, perhaps while another client does the same
		l.mu.Lock()
		if l.lastKey != "" && !l.tokensChange {
			email = l.lastKey
		}
		l.mu.Unlock()
	}
	return l.create(ctx, api, email, true)
}

// create creates a user, whose address is also the idempotency key, if there is to be one.
func (l *load) create(ctx context.Context, api *client.ClientWithResponses, email string, keyed bool) error {
	params := &client.CreateUserParams{}
	l.mu.Lock()
	l.sent[email] = keyed
	if keyed {
		l.lastKey, params.IdempotencyKey = email, &email
	}
	l.mu.Unlock()
	r, err := api.CreateUserWithResponse(ctx, params, client.NewUser{Name: "Load", Email: email})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch known := l.created[email]; {
	case r.JSON201 == nil || r.JSON201.ID == "":
		return fmt.Errorf("no user %s: %.300s", email, r.Body)
	case known != "" && known != r.JSON201.ID:
		return fmt.Errorf("%s was created twice, as %s and %s", email, known, r.JSON201.ID)
	}
	l.created[email] = r.JSON201.ID
	return nil
}

// verify repeats the requests with a key and no response. Then the list must have every created
// user, and nobody twice.
func (l *load) verify(t *testing.T) {
	t.Helper()
	for email, keyed := range l.sent {
		if keyed && l.created[email] == "" {
			require.NoError(t, l.create(t.Context(), l.api, email, true))
		}
	}
	listed := map[string][]string{}
	for u, err := range l.api.Users(t.Context(), 1000) {
		require.NoError(t, err)
		if strings.HasSuffix(u.Email, l.users) {
			listed[u.Email] = append(listed[u.Email], u.ID)
		}
	}
	var wrong []string
	for email := range l.sent {
		ids, id := listed[email], l.created[email]
		if len(ids) > 1 || (id != "" && !slices.Equal(ids, []string{id})) {
			wrong = append(wrong, fmt.Sprintf("%s was created as %q and is listed as %q", email, id, ids))
		}
		delete(listed, email)
	}
	assert.Empty(t, wrong[:min(len(wrong), 10)], "%d users", len(wrong))
	assert.Empty(t, listed, "nobody created these")
}

// once fails a request that net/http would repeat on a new connection, as not every client does.
type once struct {
	*http.Transport
	load *load
}

// RoundTrip implements [http.RoundTripper].
func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	var connections atomic.Int32
	response, err := o.Transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connections.Add(1) },
	})))
	if err != nil {
		return nil, err
	}
	if connections.Load() > 1 {
		return nil, errors.Join(errors.New("a connection broke, and net/http sent the request again"), response.Body.Close())
	}
	if response.Close && !o.DisableKeepAlives {
		o.load.mu.Lock()
		o.load.closing++
		o.load.mu.Unlock()
	}
	return response, nil
}
