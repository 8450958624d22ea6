package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// requestTimeout bounds one request of a load.
const requestTimeout = time.Minute

// A load is one request, sent over and over: each of its connections sends the next when it has read the answer whole.
type load struct {
	method, url string
	header      map[string]string
	body        []byte
	status      int // that every answer must have
	connections int
	duration    time.Duration
	// check judges the first answer. Every other must be as long as that.
	check func(body []byte) error
}

// A loadResult is what a load came to. No request failed, or there is none.
type loadResult struct {
	answers   int
	elapsed   time.Duration
	latencies []time.Duration // in ascending order
}

func (r loadResult) rate() float64 { return float64(r.answers) / r.elapsed.Seconds() }

// percentile returns the latency that a share p of the answers, from 0 to 1, did not exceed.
func (r loadResult) percentile(p float64) time.Duration {
	return r.latencies[min(int(p*float64(len(r.latencies))), len(r.latencies)-1)]
}

// run sends the load. The first answer that is not as it must be ends it with an error.
func (l load) run(ctx context.Context) (loadResult, error) {
	length, err := l.first()
	if err != nil {
		return loadResult{}, fmt.Errorf("%s %s: %w", l.method, l.url, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([][]time.Duration, l.connections)
	start := time.Now()
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			c := newConnection(l)
			defer c.client.CloseIdleConnections()
			for ctx.Err() == nil {
				sent := time.Now()
				if sent.Sub(start) >= l.duration {
					return
				}
				body, err := c.send()
				if err == nil && len(body) != length {
					err = fmt.Errorf("an answer of %d bytes, and the first had %d: %.200q", len(body), length, body)
				}
				if err != nil {
					cancel(err)
					return
				}
				results[i] = append(results[i], time.Since(sent))
			}
		})
	}
	all.Wait()
	elapsed := time.Since(start)
	if err := context.Cause(ctx); err != nil {
		return loadResult{}, fmt.Errorf("%s %s: %w", l.method, l.url, err)
	}
	latencies := slices.Concat(results...)
	if len(latencies) == 0 {
		return loadResult{}, fmt.Errorf("%s %s: no request in %v", l.method, l.url, l.duration)
	}
	slices.Sort(latencies)
	return loadResult{answers: len(latencies), elapsed: elapsed, latencies: latencies}, nil
}

// first sends the request once and returns the length of its answer.
func (l load) first() (int, error) {
	c := newConnection(l)
	defer c.client.CloseIdleConnections()
	body, err := c.send()
	if err == nil && l.check != nil {
		err = l.check(body)
	}
	return len(body), err
}

// A connection sends the request of a load, on one connection for as long as the server keeps that.
type connection struct {
	client   *fasthttp.HostClient
	request  *fasthttp.Request
	response *fasthttp.Response
	status   int
}

func newConnection(l load) *connection {
	request := new(fasthttp.Request)
	request.Header.SetMethod(l.method)
	request.SetRequestURI(l.url)
	for name, value := range l.header {
		request.Header.Set(name, value)
	}
	request.SetBodyRaw(l.body)
	return &connection{
		client: &fasthttp.HostClient{
			Addr:                      string(request.URI().Host()),
			MaxConns:                  1,
			MaxIdemponentCallAttempts: 1, // a failure is one
			ReadBufferSize:            64 << 10,
			ReadTimeout:               requestTimeout,
			WriteTimeout:              requestTimeout,
		},
		request:  request,
		response: new(fasthttp.Response),
		status:   l.status,
	}
}

// send sends the request and returns the body of its answer, which is valid until the next.
func (c *connection) send() ([]byte, error) {
	if err := c.client.Do(c.request, c.response); err != nil {
		return nil, err
	}
	if status := c.response.StatusCode(); status != c.status {
		return nil, fmt.Errorf("the answer is %d: %.200q", status, c.response.Body())
	}
	return c.response.Body(), nil
}

// etag returns the ETag that the URL of the load is answered with, "" if it has none.
func (l load) etag() (string, error) {
	c := newConnection(l)
	defer c.client.CloseIdleConnections()
	if _, err := c.send(); err != nil {
		return "", err
	}
	return string(bytes.Clone(c.response.Header.Peek(fasthttp.HeaderETag))), nil
}

var errShort = errors.New("the list is not whole")
