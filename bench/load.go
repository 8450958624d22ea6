package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// requestTimeout bounds the first request of a load, and how long an answer to another may be late when the load should be over.
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

// request returns the request, which the caller may change.
func (l load) request() *fasthttp.Request {
	request := new(fasthttp.Request)
	request.Header.SetMethod(l.method)
	request.SetRequestURI(l.url)
	for name, value := range l.header {
		request.Header.Set(name, value)
	}
	request.SetBodyRaw(l.body)
	return request
}

// first sends the request once and returns its answer.
func (l load) first() (*fasthttp.Response, error) {
	response := new(fasthttp.Response)
	client := &fasthttp.Client{MaxIdemponentCallAttempts: 1} // a failure is one
	defer client.CloseIdleConnections()
	if err := client.DoTimeout(l.request(), response, requestTimeout); err != nil {
		return nil, l.failed(err)
	}
	if status := response.StatusCode(); status != l.status {
		return nil, l.failed(fmt.Errorf("the answer is %d: %.200q", status, response.Body()))
	}
	if l.check != nil {
		if err := l.check(response.Body()); err != nil {
			return nil, l.failed(err)
		}
	}
	return response, nil
}

func (l load) failed(err error) error { return fmt.Errorf("%s %s: %w", l.method, l.url, err) }

// prepare sends the request once and returns how it is to be sent from then on.
func (l load) prepare() (plan, error) {
	response, err := l.first()
	if err != nil {
		return plan{}, err
	}
	request := l.request()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := errors.Join(request.Write(w), w.Flush()); err != nil {
		return plan{}, l.failed(err)
	}
	return plan{
		Address: string(request.URI().Host()), Request: out.Bytes(),
		Status: l.status, Length: len(response.Body()), Connections: l.connections, Duration: l.duration,
	}, nil
}

// run sends the load. The first answer that is not as it must be ends it with an error.
func (l load) run(ctx context.Context, s *suite) (loadResult, error) {
	p, err := l.prepare()
	if err != nil {
		return loadResult{}, err
	}
	result, err := s.send(ctx, p)
	if err != nil {
		return loadResult{}, l.failed(err)
	}
	return result, nil
}

// A plan is a load as the process is told that sends it.
type plan struct {
	Address     string // host and port
	Request     []byte // as it is sent
	Status      int    // that every answer must have
	Length      int    // and the bytes of its body
	Connections int
	Duration    time.Duration
}

// A loadResult is what a load, or a loop, came to. No request failed, or there is none.
type loadResult struct {
	Answers  int
	Elapsed  time.Duration
	P50, P99 time.Duration // latencies that half of the answers, and all but a hundredth, did not exceed
}

func (r loadResult) rate() float64 { return float64(r.Answers) / r.Elapsed.Seconds() }

// send sends a load from a process of its own, which has nothing else to do.
func (s *suite) send(ctx context.Context, p plan) (r loadResult, err error) {
	cmd, err := s.role(ctx, "load")
	if err != nil {
		return r, err
	}
	encoded, err := json.Marshal(p)
	if err != nil {
		return r, err
	}
	var out, failure bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(encoded), &out, &failure
	if err = cmd.Start(); err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return r, errors.Join(context.Cause(ctx), fmt.Errorf("%w: %s", err, bytes.TrimSpace(failure.Bytes())))
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("read what the load came to: %w", err)
	}
	return r, nil
}

// runLoad is the process that sends a load: it reads the plan and writes what it came to.
func runLoad(ctx context.Context, in io.Reader, out io.Writer) error {
	var p plan
	if err := json.NewDecoder(in).Decode(&p); err != nil {
		return fmt.Errorf("read what to send: %w", err)
	}
	result, err := p.send(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

func (p plan) send(ctx context.Context) (loadResult, error) {
	connections := make([]connection, p.Connections)
	for i := range connections {
		connections[i].plan = p
		defer connections[i].close()
	}
	return repeat(ctx, p.Connections, p.Duration, func(ctx context.Context, i int) error { return connections[i].send(ctx) })
}

// repeat does something over and over for a time, n times at once, and tells each which of them it is. The first error ends it.
func repeat(ctx context.Context, n int, duration time.Duration, do func(ctx context.Context, i int) error) (loadResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([][]time.Duration, n)
	start := time.Now()
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			for ctx.Err() == nil {
				sent := time.Now()
				if sent.Sub(start) >= duration {
					return
				}
				if err := do(ctx, i); err != nil {
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
		return loadResult{}, err
	}
	latencies := slices.Concat(results...)
	if len(latencies) == 0 {
		return loadResult{}, fmt.Errorf("not once in %v", duration)
	}
	slices.Sort(latencies)
	return loadResult{Answers: len(latencies), Elapsed: elapsed, P50: percentile(latencies, 0.5), P99: percentile(latencies, 0.99)}, nil
}

// percentile returns the latency that a share p of some in ascending order, from 0 to 1, did not exceed.
func percentile(latencies []time.Duration, p float64) time.Duration {
	return latencies[min(int(p*float64(len(latencies))), len(latencies)-1)]
}

// A connection sends the request of a plan, on one connection for as long as the server keeps that. It does as little as can be,
// as what it takes of a core is taken from the backend, and what it takes of time from every server: the quicker one is,
// the more of it.
type connection struct {
	plan

	conn     net.Conn // nil where there is none
	in       *bufio.Reader
	response fasthttp.Response
}

// readBuffer holds, in bytes, a list of 100 users whole.
const readBuffer = 64 << 10

// send sends the request and reads its answer.
func (c *connection) send(ctx context.Context) error {
	if c.conn == nil {
		if err := c.dial(ctx); err != nil {
			return err
		}
	}
	if _, err := c.conn.Write(c.Request); err != nil {
		return fmt.Errorf("send the request: %w", err)
	}
	header := &c.response.Header
	if err := header.Read(c.in); err != nil {
		return fmt.Errorf("read the header of an answer: %w", err)
	}
	length, err := c.body()
	if err != nil {
		return fmt.Errorf("read the body of an answer: %w", err)
	}
	if status := header.StatusCode(); status != c.Status || length != c.Length {
		return fmt.Errorf("an answer of %d with %d bytes, and the first was %d with %d", status, length, c.Status, c.Length)
	}
	if header.ConnectionClose() {
		c.close()
	}
	return nil
}

// body reads the body of the answer and returns its length.
func (c *connection) body() (int, error) {
	switch length := c.response.Header.ContentLength(); {
	case c.response.StatusCode() == fasthttp.StatusNotModified, c.response.StatusCode() == fasthttp.StatusNoContent:
		return 0, nil
	case length >= 0:
		return c.in.Discard(length) // where it has arrived: a copy would cost as much as all the rest
	default:
		err := c.response.ReadBody(c.in, 0)
		return len(c.response.Body()), err
	}
}

func (c *connection) dial(ctx context.Context) (err error) {
	if c.conn, err = new(net.Dialer).DialContext(ctx, "tcp", c.Address); err != nil {
		return err
	}
	if c.in == nil {
		c.in = bufio.NewReaderSize(c.conn, readBuffer)
	}
	c.in.Reset(c.conn)
	return c.conn.SetDeadline(time.Now().Add(c.Duration + requestTimeout))
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

var errShort = errors.New("the list is not whole")
