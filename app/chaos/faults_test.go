package chaos_test

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
)

const (
	requestTimeout = 2 * time.Second
	writeTimeout   = 2 * time.Second
	faultTime      = 3 * time.Second // how long a fault lasts
	// recoveryTime is how long after a fault requests may begin that still fail.
	recoveryTime = 2 * time.Second

	clients = 6                      // of a load
	pause   = 150 * time.Millisecond // of each, between two calls, on average
)

// A failure makes the calls to a place fail.
type failure func(t *testing.T, s *system, p place)

// A fault is a failure, and what it may do to the load.
type fault struct {
	name    string
	strike  failure
	timeout time.Duration // REQUEST_TIMEOUT; the usual one if 0
	// harmless: no request may fail.
	harmless bool
	// tidy: no image without a user may be left.
	tidy bool
}

// A place is where a fault is.
type place struct {
	name  string
	links func(s *system) []*link
}

var (
	onlyDynamoDB = place{"DynamoDB", func(s *system) []*link { return []*link{s.dynamodb} }}
	onlyS3       = place{"S3", func(s *system) []*link { return []*link{s.s3} }}
	both         = place{"both", func(s *system) []*link { return []*link{s.dynamodb, s.s3} }}
	places       = []place{onlyDynamoDB, onlyS3, both}
)

// interceded has a handler take every call to a place.
func interceded(s *system, p place, handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	for _, l := range p.links(s) {
		for _, call := range l.calls {
			s.aws.Intercede(call, handle)
		}
	}
}

// poisoned is a fault of the connections.
func poisoned(toxics ...string) failure {
	return func(t *testing.T, s *system, p place) {
		t.Helper()
		for _, l := range p.links(s) {
			l.poison(t, toxics...)
		}
	}
}

func refused(_ *testing.T, s *system, p place) {
	for _, l := range p.links(s) {
		l.refuse()
	}
}

// blackHole swallows what is sent either way, on old connections and on new ones.
var blackHole = []string{
	`{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`,
	`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`,
}

// faults are what the API must live with. Toxics that change responses leave requests alone, so
// that AWS carries out calls whose responses are lost. Some faults spare a part of the calls, so
// that requests get as far as each of their calls.
var faults = []fault{
	{name: "latency that the timeout allows", strike: poisoned(latency), timeout: 30 * time.Second, harmless: true},
	{name: "latency that the timeout does not allow", strike: poisoned(latency)},
	{name: "black hole", strike: poisoned(blackHole...)},
	{name: "refused connections", strike: refused},
	{name: "reset connections", strike: inconstant(poisoned(
		`{"type":"reset_peer","stream":"upstream","toxicity":0.4,"attributes":{"timeout":0}}`,
		`{"type":"reset_peer","stream":"downstream","toxicity":0.5,"attributes":{"timeout":0}}`,
	))},
	{name: "responses cut off in header or body", strike: inconstant(func(t *testing.T, s *system, p place) {
		t.Helper()
		for _, l := range p.links(s) {
			bytes := 60
			if l == s.s3 {
				bytes = imageBytes / 3
			}
			l.poison(t, fmt.Sprintf(`{"type":"limit_data","toxicity":0.7,"attributes":{"bytes":%d}}`, bytes))
		}
	})},
	{name: "the first response to each call is lost", strike: firstLost, harmless: true, tidy: true},
	{name: "throttling", strike: throttled(0.7)},
}

// firstLost hangs up after each first attempt of a call, which is carried out.
func firstLost(_ *testing.T, s *system, p place) {
	interceded(s, p, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.Header.Get("Amz-Sdk-Request"), "attempt=1;") {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

const latency = `{"type":"latency","attributes":{"latency":1000}}`

// inconstant has every response come on a connection of its own, because a toxic hits or spares a
// whole connection.
func inconstant(strike failure) failure {
	return func(t *testing.T, s *system, p place) {
		t.Helper()
		interceded(s, p, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set("Connection", "close")
			next.ServeHTTP(w, r)
		})
		strike(t, s, p)
	}
}

// throttled has AWS refuse a share of all calls, as it does under load.
func throttled(share float64) failure {
	return func(_ *testing.T, s *system, p place) {
		interceded(s, p, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if rand.Float64() >= share {
				next.ServeHTTP(w, r)
				return
			}
			status, body := http.StatusServiceUnavailable, `<Error><Code>SlowDown</Code></Error>`
			if r.Header.Get("X-Amz-Target") != "" { // of DynamoDB
				status, body = http.StatusBadRequest, `{"__type":"x#ProvisionedThroughputExceededException"}`
			}
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("X-Amzn-Requestid", "id") // without an id, the error is not AWS's
			w.Header().Set("X-Amz-Request-Id", "id")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
}

// Ensure that under each fault of DynamoDB, of S3 and of both, every request of a load ends in time
// with the right status, and that requests which do not need the failed service succeed. Liveness
// and readiness do not change. Requests that begin recoveryTime after the fault succeed. Nothing
// that was acknowledged is lost, and nothing is done twice.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		for _, p := range places {
			t.Run(f.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				f.test(t, p)
			})
		}
	}
}

func (f fault) test(t *testing.T, p place) {
	t.Helper()
	s := start(t, func(c *config.Config) {
		c.RequestTimeout, c.WriteTimeout = cmp.Or(f.timeout, requestTimeout), writeTimeout
	})
	l := startLoad(t, s, clients, pause)
	l.spare(allOps...)
	l.mark()(t, 6)
	switch {
	case f.harmless:
	case p.name == onlyS3.name:
		l.spare(opsWithoutS3...)
	default:
		l.spare()
	}
	f.strike(t, s, p)
	hit := l.mark()
	time.Sleep(faultTime)
	hit(t, 0)
	if f.harmless {
		l.end() // the end of the fault cuts connections off
		s.heal(t, both)
	} else {
		await(t, "the fault hits a call", func() bool { return l.refused.Load() > 0 })
		s.heal(t, p)
		time.Sleep(recoveryTime)
		l.spare(allOps...)
		l.mark()(t, 5)
		l.end()
	}
	unnamed := l.audit(t)
	if f.tidy {
		assert.Zero(t, unnamed, "images that no user names")
	}
}
