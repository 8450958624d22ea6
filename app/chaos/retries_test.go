package chaos_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// maxAttempts is how often one call may be sent.
const maxAttempts = 3

// A use is a request that makes a call.
type use struct {
	call    string // the call of AWS
	request string
	make    func(s *system, id string) answer
	// cleanup: the call tidies up after a request, which is answered as well without it.
	cleanup bool
	// resent is how often net/http itself may send the call again: it does so with a GET where a kept connection ends
	// without an answer. There are at most two, the last request's and that of the look for the state of S3.
	resent int
}

// uses make each of the calls. The user that they are about has an avatar.
var uses = []use{
	{"DynamoDB.PutItem", "POST", func(s *system, _ string) answer { return newAccount(nil, "").create(s) }, false, 0},
	{"DynamoDB.Scan", "GET list", func(s *system, _ string) answer { return s.call(http.MethodGet, config.PathUsers, nil) }, false, 0},
	{"DynamoDB.GetItem", "GET one", func(s *system, id string) answer { return s.call(http.MethodGet, config.PathUsers+"/"+id, nil) }, false, 0},
	{"DynamoDB.UpdateItem", "PATCH", func(s *system, id string) answer {
		return s.call(http.MethodPatch, config.PathUsers+"/"+id, []byte(`{"name":"Grace"}`), "Content-Type: application/json")
	}, false, 0},
	{"DynamoDB.DeleteItem", "DELETE", func(s *system, id string) answer { return s.call(http.MethodDelete, config.PathUsers+"/"+id, nil) }, false, 0},
	{"S3.PutObject", "POST with avatar", func(s *system, _ string) answer { return newAccount(newImage(imageBytes), "").create(s) }, false, 0},
	{"S3.GetObject", "GET avatar", func(s *system, id string) answer {
		return s.call(http.MethodGet, config.PathUsers+"/"+id+"/avatar", nil)
	}, false, 2},
	{"S3.DeleteObject", "PUT avatar", func(s *system, id string) answer {
		return s.call(http.MethodPut, config.PathUsers+"/"+id+"/avatar", newImage(imageBytes))
	}, true, 0},
}

// Ensure that a call which fails is sent at most three times for a request, however it fails, that the request is
// then answered 503 in its time, unless the call only tidied up, and that all is well as soon as the call is.
func TestAttempts(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	silent := func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not see its client go
		<-r.Context().Done()
	}
	for name, fail := range map[string]func(*awstest.AWS, string){
		"throttling": func(a *awstest.AWS, call string) {
			if strings.HasPrefix(call, "S3.") {
				a.Fail(call, awstest.Always, 503, "SlowDown")
			} else {
				a.Fail(call, awstest.Always, 400, "ProvisionedThroughputExceededException")
			}
		},
		"internal error":                func(a *awstest.AWS, call string) { a.Fail(call, awstest.Always, 500, "InternalServerError") },
		"connection ended before":       func(a *awstest.AWS, call string) { a.HangUp(call, awstest.Always) },
		"connection ended in an answer": func(a *awstest.AWS, call string) { a.Intercede(call, cutShort) },
		"silence":                       func(a *awstest.AWS, call string) { a.Intercede(call, silent) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout = timeout })
			most, longest := 0, time.Duration(0)
			for _, use := range uses {
				id := s.create(t, newImage(imageBytes))
				before := s.aws.Calls(use.call)
				fail(s.aws, use.call)
				got := use.make(s, id)
				attempts := s.aws.Calls(use.call) - before
				s.aws.Heal(use.call)
				if use.cleanup {
					assert.Equal(t, http.StatusOK, got.status, "%s: %s", use.request, got)
				} else {
					assert.NoError(t, got.unavailable(), "%s: %s", use.request, got)
				}
				inTime(t, timeout+margin, got, use.request)
				assert.LessOrEqual(t, attempts, maxAttempts+use.resent, "%s of %s", use.call, use.request)
				if !use.cleanup {
					assert.Greater(t, attempts, 1, "%s of %s", use.call, use.request)
				}
				most, longest = max(most, attempts), max(longest, got.took)

				// On a slow machine an attempt may come late and delete the user after all.
				got = use.make(s, id)
				if use.request != "DELETE" || got.status != http.StatusNotFound {
					works(t, timeout, got, use.request+" after it")
				}
			}
			t.Logf("figure: %d requests whose call always fails: at most %d attempts of one call, the longest %s of %s", len(uses), most, longest.Round(time.Millisecond), timeout)
		})
	}
}

// cutShort answers with less than it has promised.
func cutShort(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Length", "1000")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, "{")
	panic(http.ErrAbortHandler)
}

// Ensure that the waits between attempts differ from one client to the next, so that clients whose calls failed
// together do not come again together, and that they grow no longer than a request can bear.
func TestBackoffIsJittered(t *testing.T) {
	t.Parallel()
	const longest = time.Second
	failure := errors.New("a connection that broke")
	const count = 30
	retryers := make([]aws.Retryer, count)
	for i := range retryers {
		cfg, err := awsclient.Load(t.Context(), config.Default(), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		retryers[i] = cfg.Retryer()
		assert.Equal(t, maxAttempts, retryers[i].MaxAttempts())
	}
	for attempt := 1; attempt < maxAttempts; attempt++ {
		delays := make([]time.Duration, count)
		for i, r := range retryers {
			var err error
			delays[i], err = r.RetryDelay(attempt, failure)
			require.NoError(t, err)
			assert.LessOrEqual(t, delays[i], longest)
		}
		slices.Sort(delays)
		distinct := len(slices.Compact(slices.Clone(delays)))
		// Of 30 numbers drawn evenly, the chance that all lie within a quarter of the range is less than one in 10^15.
		assert.Greater(t, delays[count-1]-delays[0], delays[count-1]/4, "attempt %d: %v", attempt, delays)
		assert.Greater(t, distinct, count*3/4, "attempt %d: %v", attempt, delays)
		t.Logf("figure: waits after attempt %d of %d clients: %d different, from %s to %s", attempt, count, distinct, delays[0], delays[count-1])
	}
}
