package apitest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// host returns the Host of a request to the API.
func (c *Client) host() string {
	_, host, _ := strings.Cut(c.base, "://")
	return host
}

// headers returns the lines that every request of the suite has where it is written by hand: Host,
// and the token, if there is one.
func (c *Client) headers() string { return c.headersOf("Host: " + c.host() + "\r\n") }

// headersOf is headers with other lines in place of Host.
func (c *Client) headersOf(lines string) string {
	if c.Token != "" {
		lines += bearer(c.Token) + "\r\n"
	}
	return lines
}

// chunk returns data as one chunk of a body, "" for none.
func chunk(data string) string {
	if data == "" {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(data), data)
}

// rawTimeout is how long a connection may neither bring anything nor end. It is longer than the
// API waits for a client in default settings.
const rawTimeout = 45 * time.Second

// dial opens a connection that sends what no HTTP client would.
func (c *Client) dial(t *testing.T) net.Conn {
	t.Helper()
	base, err := url.Parse(c.base)
	require.NoError(t, err)
	port := base.Port()
	if port == "" {
		port = base.Scheme // net knows the ports of http and https
	}
	address := net.JoinHostPort(base.Hostname(), port)
	if c.Address != "" {
		address = c.Address
	}
	ctx, cancel := context.WithTimeout(context.Background(), rawTimeout)
	defer cancel()
	var conn net.Conn
	if base.Scheme == "https" {
		conn, err = (&tls.Dialer{Config: &tls.Config{ServerName: base.Hostname()}}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(rawTimeout)))
	return conn
}

// exchange sends raw on a connection of its own, ends its side of it, and returns all responses.
func (c *Client) exchange(t *testing.T, raw string) []*Response {
	t.Helper()
	conn := c.dial(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// The API may have ended the connection in the middle, and rightly so.
		_, _ = io.WriteString(conn, raw)
		if !c.Proxied { // a proxy takes the end of one side for the end of the connection
			_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		}
	}()
	responses := c.readResponses(t, conn, raw)
	conn.Close()
	<-sent
	return responses
}

// converse is exchange of raw and, behind it, a request that is known to be good. It returns the
// responses to raw, and whether the good request got one as well. If not, the last response must
// say that the connection ends: otherwise a client would lose its next request.
func (c *Client) converse(t *testing.T, raw string) (responses []*Response, usable bool) {
	t.Helper()
	const id = "the-request-behind"
	good := "GET /health HTTP/1.1\r\n" + c.headers() + "X-Request-Id: " + id + "\r\nConnection: close\r\n\r\n"
	responses = c.exchange(t, raw+good)
	if n := len(responses); n > 0 && responses[n-1].Header.Get("X-Request-Id") == id {
		responses[n-1].JSON(t, http.StatusOK, `{"status":"ok"}`)
		return responses[:n-1], true
	} else if n > 0 {
		assert.True(t, responses[n-1].Close, "the connection ends without a word: %s", responses[n-1])
	}
	return responses, false
}

// readResponses reads responses to raw, or to a part of it, until the connection ends.
func (c *Client) readResponses(t *testing.T, conn io.Reader, raw string) []*Response {
	t.Helper()
	method, _, _ := strings.Cut(raw, " ")
	var responses []*Response
	for in := bufio.NewReader(conn); ; {
		if _, err := in.Peek(1); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return responses
		} else if err != nil {
			require.NoError(t, err, "waiting for a response or the end of the connection, after %v", responses)
		}
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		require.NoError(t, err, "no response, after %v", responses)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err, "the body of a response has no end, after %v", responses)
		if res.StatusCode == http.StatusContinue {
			continue
		}
		r := &Response{
			Method: method, Path: fmt.Sprintf("(raw) %.300q", c.hide(raw)), Status: res.StatusCode,
			Header: res.Header, Body: body, Close: res.Close,
		}
		if len(responses) == 0 {
			r.fault = described().holdRaw(raw, r)
			c.Coverage.saw(r)
		}
		c.check(t, r)
		responses = append(responses, r)
		method = http.MethodGet
	}
}
