package awsclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is long enough for any machine.
const patience = time.Minute

// A peer is a server that counts its connections.
type peer struct {
	*httptest.Server

	connections atomic.Int64
}

func newPeer(t *testing.T, secure bool, handler http.HandlerFunc) *peer {
	t.Helper()
	p := &peer{Server: httptest.NewUnstartedServer(handler)}
	p.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.connections.Add(1)
		}
	}
	if secure {
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(p.Close)
	return p
}

func newTestTransport(t *testing.T) *transport {
	t.Helper()
	base := &http.Transport{DialContext: new(net.Dialer).DialContext, TLSHandshakeTimeout: patience}
	tr := newTransport(base, patience)
	t.Cleanup(func() { tr.closeKept(); base.CloseIdleConnections() })
	return tr
}

func post(t *testing.T, ctx context.Context, to, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	require.NoError(t, err)
	return r
}

// said sends a request and returns the body of its answer.
func said(t *testing.T, tr *transport, r *http.Request) string {
	t.Helper()
	response, err := tr.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return string(body)
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = w.Write(body)
}

// Ensure requests one after the other use one connection, with and without TLS, in whatever form their answers come, and that those at
// the same time have each their own.
func TestTransportKeepsConnections(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		all := make(chan struct{})
		var met sync.WaitGroup
		p := newPeer(t, secure, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/meet":
				met.Done()
				<-all
			case "/empty":
				w.WriteHeader(http.StatusNoContent)
			case "/chunked":
				body, _ := io.ReadAll(r.Body)
				_ = http.NewResponseController(w).Flush() // so that nobody knows how long it is
				_, _ = w.Write(body)
			default:
				echo(w, r)
			}
		})
		tr := newTestTransport(t)
		if secure {
			tr.tls.RootCAs = x509.NewCertPool()
			tr.tls.RootCAs.AddCert(p.Certificate())
		}
		assert.Equal(t, "one", said(t, tr, post(t, t.Context(), p.URL, "one")))
		assert.Equal(t, "two", said(t, tr, post(t, t.Context(), p.URL+"/chunked", "two")))
		assert.Empty(t, said(t, tr, post(t, t.Context(), p.URL+"/empty", "three")))
		large := strings.Repeat("four", 1<<20)
		assert.Equal(t, large, said(t, tr, post(t, t.Context(), p.URL, large)))
		assert.EqualValues(t, 1, p.connections.Load())

		const together = 8
		met.Add(together)
		var calls sync.WaitGroup
		for range together {
			calls.Go(func() { assert.Empty(t, said(t, tr, post(t, t.Context(), p.URL+"/meet", ""))) })
		}
		met.Wait()
		close(all)
		calls.Wait()
		assert.EqualValues(t, together, p.connections.Load())
		scheme, _, _ := strings.Cut(p.URL, ":")
		assert.Len(t, tr.kept[origin{scheme, p.Listener.Addr().String()}], together)
	}
}

// Ensure who is not trusted is not talked to, by the name that was asked for.
func TestTransportTrusts(t *testing.T) {
	t.Parallel()
	p := newPeer(t, true, echo)
	tr := newTestTransport(t)
	_, err := tr.Do(post(t, t.Context(), p.URL, ""))
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	require.True(t, ok, "%v", err)
	tr.tls.RootCAs = x509.NewCertPool()
	tr.tls.RootCAs.AddCert(p.Certificate())
	_, port, _ := net.SplitHostPort(p.Listener.Addr().String())
	_, err = tr.Do(post(t, t.Context(), "https://localhost:"+port, "")) // the certificate is of example.com
	_, ok = errors.AsType[x509.HostnameError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "yes", said(t, tr, post(t, t.Context(), p.URL, "yes")))
}

// Ensure a connection is not used again that the other side has closed, that was closed under an answer, that an answer said to close, or
// that an answer was not read from to its end; and that none of that fails the next request.
func TestTransportDropsConnections(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(t *testing.T, tr *transport, p *peer){
		"closed by the other side": func(t *testing.T, tr *transport, p *peer) {
			said(t, tr, post(t, t.Context(), p.URL, "one"))
			p.CloseClientConnections()
			await(t, func() bool { return !isQuiet(tr.kept[origin{"http", p.Listener.Addr().String()}][0].tcp) })
		},
		"said to be closed": func(t *testing.T, tr *transport, p *peer) {
			said(t, tr, post(t, t.Context(), p.URL+"/close", "one"))
		},
		"asked to be closed": func(t *testing.T, tr *transport, p *peer) {
			r := post(t, t.Context(), p.URL, "one")
			r.Close = true
			said(t, tr, r)
		},
		"not read": func(t *testing.T, tr *transport, p *peer) {
			response, err := tr.Do(post(t, t.Context(), p.URL+"/long", "one"))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			_, err = response.Body.Read(make([]byte, 1))
			require.Error(t, err)
		},
		"given up": func(t *testing.T, tr *transport, p *peer) {
			ctx, cancel := context.WithCancel(t.Context())
			response, err := tr.Do(post(t, ctx, p.URL+"/long", "one"))
			require.NoError(t, err)
			cancel()
			_, err = io.Copy(io.Discard, response.Body)
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, response.Body.Close())
		},
		"broken off": func(t *testing.T, tr *transport, p *peer) {
			response, err := tr.Do(post(t, t.Context(), p.URL+"/short", "one"))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		},
		"kept for too long": func(t *testing.T, tr *transport, p *peer) {
			said(t, tr, post(t, t.Context(), p.URL, "one"))
			kept := tr.kept[origin{"http", p.Listener.Addr().String()}]
			kept[0].since = time.Now().Add(-idleTime)
		},
		"swept": func(t *testing.T, tr *transport, p *peer) {
			said(t, tr, post(t, t.Context(), p.URL, "one"))
			kept := tr.kept[origin{"http", p.Listener.Addr().String()}]
			kept[0].since = time.Now().Add(-idleTime)
			tr.sweep()
			assert.Empty(t, tr.kept)
			assert.False(t, tr.sweeping)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, false, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				switch r.URL.Path {
				case "/close":
					w.Header().Set("Connection", "close")
				case "/short":
					w.Header().Set("Content-Length", "2")
					_, _ = io.WriteString(w, "1")
				case "/long":
					for r.Context().Err() == nil {
						_, _ = w.Write(make([]byte, 1<<10))
					}
				}
			})
			tr := newTestTransport(t)
			use(t, tr, p)
			assert.Empty(t, said(t, tr, post(t, t.Context(), p.URL, "two")))
			assert.EqualValues(t, 2, p.connections.Load())
		})
	}
}

// Ensure a request ends with its context, whatever it waits for, with the error of that, and that an answer that does not begin in
// time is a timeout, of which nobody has been told that the context was at fault.
func TestTransportGivesUp(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	tr := newTestTransport(t)
	for _, wait := range []time.Duration{0, time.Millisecond, 50 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err := tr.Do(post(t, ctx, p.URL, "one"))
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(wait, cancel)
		_, err = tr.Do(post(t, ctx, p.URL, "one"))
		require.ErrorIs(t, err, context.Canceled)
	}
	tr.patience = time.Millisecond
	_, err := tr.Do(post(t, t.Context(), p.URL, "one"))
	timeout, ok := errors.AsType[net.Error](err)
	require.True(t, ok && timeout.Timeout(), "%v", err)
	require.ErrorContains(t, err, "no answer within 1ms")
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}

// Ensure a slow answer is not cut off once it has begun.
func TestTransportPatience(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	p := newPeer(t, false, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-begun
		_, _ = io.WriteString(w, "late")
	})
	tr := newTestTransport(t)
	tr.patience = time.Second
	response, err := tr.Do(post(t, t.Context(), p.URL, ""))
	require.NoError(t, err)
	time.AfterFunc(2*tr.patience, func() { close(begun) })
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, "late", string(body))
}

// Ensure the body of a request is closed when nobody can be reached, when the request cannot be written, and when it was sent.
func TestTransportClosesBodies(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false, echo)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	tr := newTestTransport(t)
	for to, fault := range map[string]string{
		p.URL:                            "",
		"http://" + gone.Addr().String(): "connection refused",
		"ftp://localhost":                "neither http nor https",
	} {
		body := &closed{Reader: strings.NewReader("one")}
		r := post(t, t.Context(), to, "")
		r.Body, r.ContentLength = body, 3
		response, err := tr.Do(r)
		assert.True(t, body.closed, to)
		if fault == "" {
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			continue
		}
		require.ErrorContains(t, err, fault)
	}
	for _, wrong := range []struct {
		body   io.Reader
		length int64
		fault  string
	}{
		{strings.NewReader("too short"), 100, "ContentLength=100 with Body length 9"},
		{strings.NewReader("too short"), smallBody + 1, "ContentLength=16385 with Body length 9"},
		{strings.NewReader("too long"), 3, "ContentLength=3 with Body length 4"},
		{iotest.ErrReader(errors.New("unreadable")), 3, "unreadable"},
	} {
		body := &closed{Reader: wrong.body}
		r := post(t, t.Context(), p.URL, "")
		r.Body, r.ContentLength = body, wrong.length
		_, err = tr.Do(r)
		require.ErrorContains(t, err, wrong.fault)
		assert.True(t, body.closed)
	}
}

type closed struct {
	io.Reader

	closed bool
}

func (c *closed) Close() error {
	c.closed = true
	return nil
}

// Ensure requests go through a proxy where one is set for them, and not where it is not.
func TestTransportProxy(t *testing.T) {
	t.Parallel()
	proxy := newPeer(t, false, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "by proxy to "+r.URL.Host) })
	p := newPeer(t, false, echo)
	tr := newTestTransport(t)
	tr.base.Proxy = func(r *http.Request) (*url.URL, error) {
		switch r.URL.Host {
		case "dynamodb.example":
			return url.Parse(proxy.URL)
		case "wrong.example":
			return nil, errors.New("a wrong proxy")
		}
		return nil, nil
	}
	assert.Equal(t, "by proxy to dynamodb.example", said(t, tr, post(t, t.Context(), "http://dynamodb.example", "one")))
	assert.Equal(t, "one", said(t, tr, post(t, t.Context(), p.URL, "one")))
	_, err := tr.Do(post(t, t.Context(), "http://wrong.example", "one"))
	require.ErrorContains(t, err, "a wrong proxy")
}

// Ensure no connection serves two requests at a time, and nobody gets another's answer, while some are given up at any moment.
func TestTransportConcurrently(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(bytes.Repeat(body, 1<<10))
	})
	tr := newTestTransport(t)
	var callers sync.WaitGroup
	var answered atomic.Int64
	for caller := range 16 {
		callers.Go(func() {
			for i := range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%3 == 0 {
					time.AfterFunc(time.Duration(i)*10*time.Microsecond, cancel)
				}
				text := fmt.Sprintf("<%d %d>", caller, i)
				response, err := tr.Do(post(t, ctx, p.URL, text))
				if err == nil {
					var body []byte
					body, err = io.ReadAll(response.Body)
					_ = response.Body.Close()
					if err == nil {
						assert.Equal(t, strings.Repeat(text, 1<<10), string(body))
						answered.Add(1)
					}
				}
				if i%3 != 0 {
					assert.NoError(t, err)
				} else if err != nil {
					assert.ErrorIs(t, err, context.Canceled)
				}
				cancel()
			}
		})
	}
	callers.Wait()
	assert.GreaterOrEqual(t, answered.Load(), int64(16*66))
}

// FuzzTransport holds the transport to what [http.Transport] makes of the same answer, whatever that is.
func FuzzTransport(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nuntil the end",
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more than that",
		"HTTP/1.1 500 \r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"nonsense\r\n\r\n",
		"",
	} {
		f.Add([]byte(answer))
	}
	var answer atomic.Pointer[[]byte]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f, err)
	f.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = c.Write(*answer.Load())
			}
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	base := &http.Transport{DialContext: new(net.Dialer).DialContext, DisableCompression: true, DisableKeepAlives: true}
	tr := newTransport(base, patience)
	f.Fuzz(func(t *testing.T, data []byte) {
		answer.Store(&data)
		outcome := func(do func(*http.Request) (*http.Response, error)) (string, bool) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String(), http.NoBody)
			require.NoError(t, err)
			r.Close = true
			response, err := do(r)
			if err != nil {
				return "", false
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err != nil {
				return "", false
			}
			return fmt.Sprintf("%s %s %v %q %d %v %v", response.Proto, response.Status, response.Header, body, response.ContentLength, response.Trailer, response.TransferEncoding), true
		}
		want, answered := outcome(base.RoundTrip)
		got, ok := outcome(tr.Do)
		assert.Equal(t, answered, ok, "%q: answered: %s, %s", data, want, got)
		assert.Equal(t, want, got)
	})
}

func await(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, time.Millisecond)
}
