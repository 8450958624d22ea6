package chaos_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
)

// Ensure that an outage of DynamoDB, S3 or both which lasts hundreds of times as long as a request may is nothing but many
// requests that are answered 503: each in its time, the process as alive, as ready and as large at its end as at its
// beginning, and well at once after it.
//
// It lasts 36 seconds, which are 240 times REQUEST_TIMEOUT, as an hour is if that is 15 seconds. Other limits of the program
// are of seconds; the outage is several times the longest of them too.
func TestLongOutageOfDynamoDB(t *testing.T) {
	t.Parallel()
	longOutage(t, places[0])
}

// Ensure the same of S3.
func TestLongOutageOfS3(t *testing.T) {
	t.Parallel()
	longOutage(t, places[1])
}

// Ensure the same of both.
func TestLongOutageOfBoth(t *testing.T) {
	t.Parallel()
	longOutage(t, places[2])
}

func longOutage(t *testing.T, p place) {
	t.Helper()
	const (
		timeout = 150 * time.Millisecond
		outage  = 240 * timeout
		// recovery is generous: with so short a timeout a request may fail because the machine is busy.
		recovery = 15 * time.Second
	)
	s := start(t, func(c *config.Config) { c.RequestTimeout, c.WriteTimeout = timeout, writeTimeout })
	l := startLoad(t, s, clients/2, 2*pause)
	l.mark()(t, 6)
	before := s.api.vitals(t)

	u := newAccount(nil, "uploads")
	await(t, "a user for uploads", func() bool {
		u.id = createdID(u.create(s))
		return u.id != ""
	})
	ended := make(chan struct{})
	uploads := s.upload(t, u, ended)
	struck := time.Now()
	for _, strike := range []func(*testing.T, *system, place){poisoned(blackHole...), refused, throttled(1)} {
		s.heal(t)
		strike(t, s, p)
		time.Sleep(outage / 3)
	}
	close(ended)
	failed := <-uploads
	held := s.api.vitals(t)
	s.heal(t)
	healed := time.Now()
	await(t, "an upload succeeds", func() bool {
		return s.call(http.MethodPut, u.path()+"/avatar", newImage(imageBytes)).status == http.StatusOK
	})
	recovered := time.Since(healed)
	assert.Less(t, recovered, recovery+5*machine.stalledSince(healed))
	await(t, "the user for uploads goes", func() bool {
		status := s.call(http.MethodDelete, u.path(), nil).status
		return status == http.StatusNoContent || status == http.StatusNotFound
	})
	l.mark()(t, 3)
	l.end()

	during := tally(l.between(struck, healed))
	assert.Greater(t, during.statuses[http.StatusServiceUnavailable], 30, "%s", during)
	assert.Greater(t, failed, 50, "uploads")
	l.audit(t)
	l.verdict(t)
	t.Logf("figure: an outage of %d × REQUEST_TIMEOUT: %s, beside %d uploads of %d KiB that failed; the first upload succeeded %s after it; %d requests that take no AWS answered; %s at its end",
		outage/timeout, during, failed, uploadBytes>>10, recovered.Round(time.Millisecond), l.probes, held)
	s.resources(t, before, 2*clients)
}

// uploadBytes is much, so that in the memory of the process the bodies of hundreds of requests would be seen.
const uploadBytes = 512 << 10

// upload replaces the avatar of a user again and again until ended is closed, and then tells how often that has failed.
func (s *system) upload(t *testing.T, u *account, ended <-chan struct{}) (failed <-chan int) {
	t.Helper()
	count, image := make(chan int, 1), newImage(uploadBytes)
	go func() {
		for n := 0; ; {
			a := s.call(http.MethodPut, u.path()+"/avatar", image)
			if assert.NoError(t, a.err) && a.status != http.StatusOK {
				assert.NoError(t, a.unavailable(), "%s", a)
				n++
			}
			select {
			case <-ended:
				count <- n
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return count
}
