package chaos_test

import (
	"crypto/rand"
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

	ended := make(chan struct{})
	uploader := l.upload(t, ended)
	struck := time.Now()
	for _, strike := range []func(*testing.T, *system, place){poisoned(blackHole...), refused, throttled(1)} {
		s.heal(t)
		strike(t, s, p)
		time.Sleep(outage / 3)
	}
	close(ended)
	held := s.api.vitals(t)
	s.heal(t)
	healed := time.Now()
	first := newAccount(newImage(imageBytes), rand.Text())
	await(t, "a creation succeeds", func() bool { return first.create(s).status == http.StatusCreated })
	recovered := time.Since(healed)
	assert.Less(t, recovered, recovery+5*machine.stalledSince(healed))
	l.mark()(t, 3)
	l.end()

	during := tally(l.between(struck, healed))
	assert.Greater(t, during.statuses[http.StatusServiceUnavailable], 30, "%s", during)
	assert.Greater(t, uploader.done.Load(), int64(100), "uploads")
	uploader.accounts = append(uploader.accounts, first)
	l.audit(t)
	l.verdict(t)
	t.Logf("figure: an outage of %d × REQUEST_TIMEOUT: %s, of which %d were uploads of %d KiB; a creation succeeded %s after it; %d requests that take no AWS answered; %s at its end",
		outage/timeout, during, uploader.done.Load(), uploadBytes>>10, recovered.Round(time.Millisecond), l.probes, held)
	s.resources(t, before, 2*clients)
}

// uploadBytes is much, so that in the memory of the process the bodies of hundreds of requests would be seen.
const uploadBytes = 512 << 10

// upload has one more client replace the avatar of a user, and try to create others with one, until ended is closed.
func (l *load) upload(t *testing.T, ended <-chan struct{}) *worker {
	t.Helper()
	w, u := &worker{load: l, image: newImage(uploadBytes)}, newAccount(nil, rand.Text())
	await(t, "a user for uploads", func() bool {
		w.create(u)
		return u.state == alive
	})
	l.uploaders = append(l.uploaders, w)
	l.running.Go(func() {
		for {
			w.putAvatar(u)
			w.create(newAccount(w.image, ""))
			select {
			case <-ended:
				return
			case <-l.stop:
				return
			case <-time.After(pause / 2):
			}
		}
	})
	return w
}
