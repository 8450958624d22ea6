package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// Ensure a stop under load fails no request. While the program drains, it serves everything and
// /readyz is a 503. When it has closed its port, running requests still finish, and the operators'
// port still serves probes.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("DRAIN_TIME=1s", "SHUTDOWN_TIMEOUT=10m", "REQUEST_TIMEOUT=10m")...)

	// Uploads to which the bucket does not respond before the port is closed.
	const held = 5
	reached, released := make(chan struct{}, held), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release() // also if the test ends early
	a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		reached <- struct{}{}
		<-released
		next.ServeHTTP(w, r)
	})
	var uploads, clients sync.WaitGroup
	for i := range held {
		uploads.Go(func() {
			r := p.upload(fmt.Sprint("held", i), apitest.PNG(2, 2))
			assert.NoError(t, r.err)
			assert.Equal(t, http.StatusCreated, r.status, r.body)
		})
	}
	for range held {
		<-reached
	}

	// Clients until a load balancer would have taken the replica out.
	var served, closed atomic.Int64
	var out atomic.Bool
	for range 8 {
		clients.Go(func() {
			for !out.Load() {
				r := send(http.MethodGet, p.url+config.PathUsers, "")
				if !assert.NoError(t, r.err) || !assert.Equal(t, http.StatusOK, r.status) {
					return
				}
				served.Add(1)
				if r.last {
					closed.Add(1)
				}
			}
		})
	}
	eventually(t, "requests are served", func() bool { return served.Load() > 100 })
	p.signal(t, syscall.SIGTERM)
	eventually(t, "the replica is not ready", func() bool {
		return get(t, p.url+config.PathReady).status == http.StatusServiceUnavailable
	})
	eventually(t, "clients are told to reconnect", func() bool { return closed.Load() > 8 })
	out.Store(true)
	clients.Wait()

	eventually(t, "the API's port closes", func() bool {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	r := get(t, p.admin+config.PathReady).is(t, http.StatusServiceUnavailable)
	assert.Contains(t, r.body, "the replica is shutting down")
	get(t, p.admin+config.PathHealth).is(t, http.StatusOK)
	release()
	uploads.Wait()
	assert.Equal(t, 0, p.wait(t), p.log())
	assert.Len(t, a.Objects(t), held)
}

// Ensure a running request is cut off after SHUTDOWN_TIMEOUT, and at once by a second signal, also
// while the program drains. The exit status and the log say so.
func TestStopStuck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		drain, shutdown string
		again           bool // a second signal
		want            string
	}{
		{"0s", "100ms", false, "SHUTDOWN_TIMEOUT"},
		{"10m", "10m", true, "a second signal"},
		{"0s", "10m", true, "a second signal"},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			t.Parallel()
			a := awstest.Start(t)
			p := start(t, a.Environ("DRAIN_TIME="+test.drain, "SHUTDOWN_TIMEOUT="+test.shutdown, "REQUEST_TIMEOUT=10m")...)
			reached := hang(a, false, "S3.PutObject")
			upload := make(chan reply, 1)
			go func() { upload <- p.upload("held", apitest.PNG(2, 2)) }()
			<-reached
			p.signal(t, syscall.SIGTERM)
			if test.again {
				eventually(t, "it drains", func() bool { return strings.Contains(p.log(), `"msg":"draining"`) })
				p.signal(t, syscall.SIGTERM)
			}
			assert.Equal(t, 1, p.wait(t))
			assert.Contains(t, p.log(), test.want)
			assert.Error(t, (<-upload).err)
		})
	}
}

// Ensure connections without a request do not hold up the exit: neither one that is kept between
// two requests nor, for longer than the 5 s that fasthttp gives it, one that never had a request.
func TestStopWithIdleConnections(t *testing.T) {
	t.Parallel()
	p := start(t, awstest.Start(t).Environ("DRAIN_TIME=0s", "SHUTDOWN_TIMEOUT=10m", "READ_TIMEOUT=10m", "IDLE_TIMEOUT=1h")...)
	for range 50 {
		p.dial(t, "")
	}
	// The API has accepted all of them when it responds on one that was opened after them.
	const request = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
	kept := p.dial(t, request)
	assert.Equal(t, http.StatusOK, statusOf(t, kept))
	assert.Equal(t, 0, p.stop(t), p.log())
	_, err := io.WriteString(kept, request)
	if err == nil {
		_, err = http.ReadResponse(bufio.NewReader(kept), nil)
	}
	assert.Error(t, err, "no request is accepted after the exit")
}
