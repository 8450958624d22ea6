package chaos_test

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
)

// Times of the tests of faults.
const (
	requestTimeout = 4 * time.Second
	writeTimeout   = 3 * time.Second
	faultTime      = 5 * time.Second // how long a fault lasts
	// recoveryTime is how soon after a fault no request may fail any more that begins then.
	recoveryTime = 2 * time.Second
)

const (
	clients = 6                      // of a load
	pause   = 150 * time.Millisecond // of each, between two calls, on average
)

// A fault is something that goes wrong with the calls to a service.
type fault struct {
	name   string
	strike func(t *testing.T, s *system, p place)
	// timeout is REQUEST_TIMEOUT; the usual one if 0.
	timeout time.Duration
	// share is the least part of the calls that must come to a good end all the same.
	share float64
	// harmless: no call may fail.
	harmless bool
}

// A place is where a fault is.
type place struct {
	name         string
	dynamodb, s3 bool
}

var places = []place{{"DynamoDB", true, false}, {"S3", false, true}, {"both", true, true}}

func (p place) links(s *system) []*link {
	var links []*link
	if p.dynamodb {
		links = append(links, s.dynamodb)
	}
	if p.s3 {
		links = append(links, s.s3)
	}
	return links
}

func (p place) calls() []string {
	var calls []string
	if p.dynamodb {
		calls = append(calls, dynamodbCalls...)
	}
	if p.s3 {
		calls = append(calls, s3Calls...)
	}
	return calls
}

// poisoned is a fault of the connections.
func poisoned(toxics ...string) func(*testing.T, *system, place) {
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

// faults are what the API must live with. Toxics that change answers leave requests alone, so that
// calls are carried out whose callers never hear of it: that is what loses and doubles data. Some
// faults spare a part of the calls, so that requests get as far as to each of theirs.
var faults = []fault{
	{name: "latency of 2 s that the timeout allows", strike: poisoned(latency), timeout: 30 * time.Second, harmless: true},
	{name: "latency of 2 s that it does not allow", strike: poisoned(latency)},
	{name: "black hole", strike: poisoned(blackHole...)},
	{name: "refused connections", strike: refused},
	{name: "connections reset with the call or with its answer", strike: inconstant(poisoned(
		`{"type":"reset_peer","stream":"upstream","toxicity":0.4,"attributes":{"timeout":0}}`,
		`{"type":"reset_peer","stream":"downstream","toxicity":0.5,"attributes":{"timeout":0}}`,
	))},
	{name: "answers cut off in header or body", strike: inconstant(func(t *testing.T, s *system, p place) {
		t.Helper()
		if p.dynamodb {
			s.dynamodb.poison(t, `{"type":"limit_data","toxicity":0.7,"attributes":{"bytes":60}}`)
		}
		if p.s3 {
			s.s3.poison(t, fmt.Sprintf(`{"type":"limit_data","toxicity":0.7,"attributes":{"bytes":%d}}`, imageBytes/3))
		}
	})},
	{name: "slow answers", strike: slow},
	{name: "5 % of answers stalled or cut off", strike: inconstant(poisoned(
		`{"type":"timeout","toxicity":0.025,"attributes":{"timeout":0}}`,
		`{"type":"limit_data","toxicity":0.025,"attributes":{"bytes":60}}`,
	)), timeout: 6 * time.Second, share: 0.95},
	{name: "throttling", strike: throttled(0.7)},
}

const latency = `{"type":"latency","attributes":{"latency":2000}}`

// slow has DynamoDB answer with 16 bytes every 20 ms, and S3 with 1 KB/s.
func slow(t *testing.T, s *system, p place) {
	t.Helper()
	if p.dynamodb {
		s.dynamodb.poison(t, `{"type":"slicer","attributes":{"average_size":16,"size_variation":8,"delay":20000}}`)
	}
	if p.s3 {
		s.s3.poison(t, `{"type":"bandwidth","attributes":{"rate":1}}`)
	}
}

// inconstant has every answer come on a connection of its own: a toxic hits or spares a connection for
// as long as that lasts.
func inconstant(strike func(*testing.T, *system, place)) func(*testing.T, *system, place) {
	return func(t *testing.T, s *system, p place) {
		t.Helper()
		for _, call := range p.calls() {
			s.aws.Intercede(call, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				w.Header().Set("Connection", "close")
				next.ServeHTTP(w, r)
			})
		}
		strike(t, s, p)
	}
}

// throttled has AWS refuse a share of all calls, in the ways in which it does that under load.
func throttled(share float64) func(*testing.T, *system, place) {
	codes := []string{"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"}
	return func(_ *testing.T, s *system, p place) {
		for i, call := range p.calls() {
			status, code := http.StatusBadRequest, codes[i%len(codes)]
			if strings.HasPrefix(call, "S3.") {
				status, code = http.StatusServiceUnavailable, "SlowDown"
			}
			s.aws.Intercede(call, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if rand.Float64() >= share {
					next.ServeHTTP(w, r)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(status)
				if status == http.StatusBadRequest {
					_, _ = fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"slower"}`, code)
				} else {
					_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>slower</Message></Error>`, code)
				}
			})
		}
	}
}

// Ensure that under each fault of DynamoDB, of S3 and of both, and a load of all operations, every request ends
// in its time with the right answer, that what needs no AWS, or only the other service, is served as ever, that
// liveness and readiness do not change, that all is well within recoveryTime of the fault's end, that nothing
// acknowledged is lost and nothing done twice, and that the program holds no more than before.
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
		c.RequestTimeout, c.WriteTimeout = requestTimeout, writeTimeout
		if f.timeout > 0 {
			c.RequestTimeout = f.timeout
		}
	})
	l := startLoad(t, s, clients, pause)
	l.spare(allOps...)
	l.mark()(t, 6)
	before := s.api.vitals(t)

	switch {
	case f.harmless:
	case f.share > 0 || p.dynamodb:
		l.spare()
	default:
		l.spare(opsWithoutS3...)
	}
	struck := time.Now()
	f.strike(t, s, p)
	hit := l.mark()
	time.Sleep(faultTime)
	hit(t, 0)
	if f.harmless {
		l.spare() // the end of the fault cuts connections off
	}
	s.healAt(t, p)
	healed := time.Now()
	l.mark()(t, 5)
	l.end()

	during := tally(l.between(struck, healed))
	after := l.between(healed, time.Now())
	recovered := time.Duration(0)
	for _, c := range after {
		if !c.ok() && !c.excused {
			recovered = max(recovered, c.began.Sub(healed))
		}
	}
	assert.LessOrEqual(t, recovered, recoveryTime, "after the fault a request failed that began so late")
	if f.harmless || f.share > 0 {
		assert.GreaterOrEqual(t, float64(during.ok+during.excused)/float64(during.calls), f.share, "calls that came to a good end: %s", during)
	} else {
		assert.NotZero(t, during.calls-during.ok, "calls that the fault hit: %s", during)
	}
	l.audit(t)
	l.verdict(t)
	t.Logf("figure: REQUEST_TIMEOUT %s; during the fault %s; after it the last request that failed began after %s, of %s; %d requests that take no AWS answered",
		s.config.RequestTimeout, during, recovered.Round(time.Millisecond), tally(after), l.probes)
	s.resources(t, before, 2*clients)
}

// figures sum up calls.
type figures struct {
	calls, ok int
	excused   int // of those that failed
	statuses  map[int]int
	longest   map[string]time.Duration
}

func tally(calls []call) figures {
	f := figures{statuses: map[int]int{}, longest: map[string]time.Duration{}}
	for _, c := range calls {
		f.calls++
		switch {
		case c.ok():
			f.ok++
		case c.excused:
			f.excused++
		}
		f.statuses[c.status]++
		f.longest[c.op] = max(f.longest[c.op], c.took)
	}
	return f
}

func (f figures) String() string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(f.statuses)) {
		name := fmt.Sprint(status)
		if status == 0 {
			name = "broken off"
		}
		parts = append(parts, fmt.Sprintf("%d × %s", f.statuses[status], name))
	}
	longest := ""
	for _, op := range slices.Sorted(maps.Keys(f.longest)) {
		if longest == "" || f.longest[op] > f.longest[longest] {
			longest = op
		}
	}
	if f.excused > 0 {
		parts = append(parts, fmt.Sprintf("%d of them in a stall of the machine", f.excused))
	}
	return fmt.Sprintf("%d requests (%s), the longest %s (%s)", f.calls, strings.Join(parts, ", "), f.longest[longest].Round(time.Millisecond), longest)
}
