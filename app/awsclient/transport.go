package awsclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// idleTime is how long a connection is kept that nobody needs, as the SDK's own client does.
	idleTime = 90 * time.Second
	// maxAnswerHeader bounds, in bytes, the header of an answer.
	maxAnswerHeader = 1 << 20
	// smallBody is the most, in bytes, that is kept in memory of a request, and beside its connection.
	smallBody = 16 << 10
	// maxInformational is how many answers with a status of 1xx may come before the one that counts.
	maxInformational = 5
)

// Small returns the client for calls whose requests are small, such as those of DynamoDB, of a client that [Load] made. Any other
// client it returns as it is.
func Small(client aws.HTTPClient) aws.HTTPClient {
	if c, ok := client.(clients); ok {
		return c.small
	}
	return client
}

// clients is what [Load] makes: one client for every request, and another that sends small ones at less cost.
type clients struct {
	aws.HTTPClient

	small *transport
}

// A transport sends requests by HTTP/1.1, each in the goroutine that asks for it. [http.Transport] hands each of them to two goroutines of
// its connection and back, so that answers may come before a request was sent; that is a good part of what a call of DynamoDB costs,
// and nothing that a request needs which the kernel takes at once. Requests are written, and answers read, by package http all the same.
//
// What is to go through a proxy goes through base. It is safe for concurrent use.
type transport struct {
	base *http.Transport // that dials, and knows proxies and whom to trust
	tls  *tls.Config
	// patience is how long an answer may take to begin.
	patience time.Duration

	mu       sync.Mutex
	kept     map[origin][]keptConnection // by where they lead, in the order in which they came back
	sweeping bool
}

// An origin is where a connection leads.
type origin struct{ scheme, host string }

type keptConnection struct {
	*conversation

	since time.Time
}

func newTransport(base *http.Transport, patience time.Duration) *transport {
	t := &transport{base: base, patience: patience, tls: new(tls.Config), kept: map[origin][]keptConnection{}}
	if base.TLSClientConfig != nil {
		t.tls = base.TLSClientConfig.Clone()
	}
	t.tls.NextProtos = []string{"http/1.1"}
	return t
}

// Do implements [aws.HTTPClient]. Its error is that of the request's context where that has ended; one that is a [net.Error] whose
// Timeout is true where the answer has not begun in time.
func (t *transport) Do(r *http.Request) (*http.Response, error) {
	if proxy, err := t.proxy(r); proxy != nil || err != nil {
		return freshConnections{t.base}.Do(r)
	}
	response, err := t.do(r)
	if err != nil {
		t.closeKept() // see freshConnections
	}
	return response, err
}

func (t *transport) proxy(r *http.Request) (*url.URL, error) {
	if t.base.Proxy == nil {
		return nil, nil
	}
	return t.base.Proxy(r)
}

func (t *transport) do(r *http.Request) (*http.Response, error) {
	to := origin{r.URL.Scheme, r.URL.Host}
	c := t.take(to)
	reused := c != nil
	if !reused {
		var err error
		if c, err = t.connect(r.Context(), to); err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, err
		}
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: c.Conn, Reused: reused})
	}
	return c.exchange(r)
}

// connect makes a connection.
func (t *transport) connect(ctx context.Context, to origin) (*conversation, error) {
	address, port := to.host, "80"
	switch to.scheme {
	case "http":
	case "https":
		port = "443"
	default:
		return nil, fmt.Errorf("%s://%s is neither http nor https", to.scheme, to.host)
	}
	u := url.URL{Host: to.host}
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), port)
	}
	dialed, err := t.base.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conversation{Conn: dialed, tcp: dialed, transport: t, to: to}
	if to.scheme == "https" {
		config := t.tls
		if config.ServerName == "" {
			config = config.Clone()
			config.ServerName = u.Hostname()
		}
		secure := tls.Client(dialed, config)
		ctx, cancel := context.WithTimeout(ctx, t.base.TLSHandshakeTimeout)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = dialed.Close()
			return nil, err
		}
		c.Conn = secure
	}
	c.in, c.out = bufio.NewReader(c), bufio.NewWriter(c.Conn)
	return c, nil
}

// take returns a connection that was kept and that the other side has not closed, nil if there is none.
func (t *transport) take(to origin) *conversation {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.kept[to]
	for n := len(kept); n > 0; n = len(kept) {
		last := kept[n-1]
		kept[n-1] = keptConnection{}
		kept = kept[:n-1]
		t.kept[to] = kept
		if time.Since(last.since) < idleTime && isQuiet(last.tcp) {
			return last.conversation
		}
		_ = last.Close()
	}
	return nil
}

// keep keeps a connection for later.
func (t *transport) keep(c *conversation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.kept[c.to]
	if len(kept) >= maxIdleConns {
		_ = c.Close()
		return
	}
	t.kept[c.to] = append(kept, keptConnection{c, time.Now()})
	if !t.sweeping {
		t.sweeping = true
		time.AfterFunc(idleTime, t.sweep)
	}
}

// sweep closes what has been kept for too long, or has been closed by the other side.
func (t *transport) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for to, kept := range t.kept {
		t.kept[to] = slices.DeleteFunc(kept, func(k keptConnection) bool {
			if time.Since(k.since) < idleTime && isQuiet(k.tcp) {
				return false
			}
			_ = k.Close()
			return true
		})
		if len(t.kept[to]) == 0 {
			delete(t.kept, to)
		}
	}
	if t.sweeping = len(t.kept) > 0; t.sweeping {
		time.AfterFunc(idleTime, t.sweep)
	}
}

func (t *transport) closeKept() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, kept := range t.kept {
		for _, k := range kept {
			_ = k.Close()
		}
	}
	clear(t.kept)
}

// A conversation is a connection, and what is being said on it.
type conversation struct {
	net.Conn

	tcp       net.Conn // below TLS
	transport *transport
	to        origin
	in        *bufio.Reader
	out       *bufio.Writer
	body      bytes.Buffer // of the request
	left      int64        // bytes that may be read of the header
}

var errHeaderTooLarge = errors.New("the header of the answer is too large")

// Read reads from the connection, and no more than may be read.
func (c *conversation) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeaderTooLarge
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// longAgo is a deadline that ends what is under way.
var longAgo = time.Unix(1, 0)

// exchange sends a request and reads the header of its answer. The connection is the answer's, until that has been read or closed.
func (c *conversation) exchange(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	response, err := c.converse(ctx, r)
	if err != nil {
		stop()
		_ = c.Close()
		return nil, endOf(ctx, err)
	}
	body := &answerBody{ReadCloser: response.Body, conversation: c, ctx: ctx, stop: stop, reusable: !response.Close && !r.Close}
	if response.Body == http.NoBody {
		body.end(true)
	} else {
		response.Body = body
	}
	return response, nil
}

func (c *conversation) converse(ctx context.Context, r *http.Request) (*http.Response, error) {
	sent, err := c.inMemory(r)
	if err != nil {
		return nil, err
	}
	if err := sent.Write(c.out); err != nil { // which closes the request's body
		return nil, err
	}
	if err := c.out.Flush(); err != nil {
		return nil, err
	}
	if err := c.readUntil(ctx, time.Now().Add(c.transport.patience)); err != nil {
		return nil, err
	}
	c.left = maxAnswerHeader
	for range maxInformational + 1 {
		response, err := http.ReadResponse(c.in, r)
		if err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				err = fmt.Errorf("no answer within %s: %w", c.transport.patience, err)
			}
			return nil, err
		}
		if informational := response.StatusCode/100 == 1; !informational || response.StatusCode == http.StatusSwitchingProtocols {
			c.left = math.MaxInt64
			return response, c.readUntil(ctx, time.Time{})
		}
	}
	return nil, errors.New("nothing but answers of 1xx")
}

// inMemory returns a request whose body is known to be in memory: package http sends the header of any other by itself, and wakes
// the other side for it. A body that is not small stays as it is.
func (c *conversation) inMemory(r *http.Request) (*http.Request, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength < 0 || r.ContentLength > smallBody {
		return r, nil
	}
	c.body.Reset()
	_, err := c.body.ReadFrom(io.LimitReader(r.Body, r.ContentLength+1)) // one more, to tell what is wrong
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	sent := *r
	sent.Body = io.NopCloser(bytes.NewReader(c.body.Bytes()))
	return &sent, nil
}

// readUntil sets when reading must have ended, unless that is now.
func (c *conversation) readUntil(ctx context.Context, deadline time.Time) error {
	if err := c.SetReadDeadline(deadline); err != nil {
		return err
	}
	return ctx.Err() // its end may have set a deadline just before
}

// endOf returns the error of ctx if that has ended, which is then why err came.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// An answerBody gives the connection back when it has been read to its end, and closes it where it has not.
type answerBody struct {
	io.ReadCloser

	conversation *conversation
	ctx          context.Context //nolint:containedctx // of the request, which an answer belongs to
	stop         func() bool
	reusable     bool
	ended        bool
}

var errBodyClosed = errors.New("read of a body that was closed")

// Read implements [io.Reader].
func (b *answerBody) Read(p []byte) (int, error) {
	if b.conversation == nil && !b.ended {
		return 0, errBodyClosed
	}
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { //nolint:errorlint // a wrapped one is a body that broke off
		b.ended = true
		b.end(true)
	} else if err != nil {
		err = endOf(b.ctx, err)
		b.end(false)
	}
	return n, err
}

// Close implements [io.Closer]. It waits for nothing.
func (b *answerBody) Close() error {
	b.end(false)
	return nil
}

// end lets the connection go, once.
func (b *answerBody) end(whole bool) {
	c := b.conversation
	if c == nil {
		return
	}
	b.conversation = nil
	quiet := b.stop() // or its deadline has been set, or is about to be
	if quiet && whole && b.reusable && c.in.Buffered() == 0 {
		c.transport.keep(c)
		return
	}
	_ = c.Close()
}
