package api

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// A sink is a connection that keeps what is written.
type sink struct {
	net.Conn

	sent bytes.Buffer
	fail error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	return s.sent.Write(p)
}

// Ensure the first piece of a long answer goes with the second, one that may be the last goes at once, and every byte is
// sent in its order, once.
func TestHeadGoesWithBody(t *testing.T) {
	t.Parallel()
	const full = writeBufferBytes
	for _, test := range []struct {
		what   string
		body   int
		pieces []int
		held   bool // the first
	}{
		{"no body", 0, []int{200}, false},
		{"a body that fits with its header", 300, []int{500}, false},
		{"a body as long as the buffer", full, []int{full, 200}, false},
		{"a body that is longer", full + 1, []int{full, 201}, true},
		{"a long one", 34000, []int{full, 34200 - full}, true},
		{"a header longer than the buffer", 34000, []int{full, full, 30000}, true},
		{"a header of its own", 34000, []int{200, 34000}, true},
		{"all in one", 34000, []int{34200}, false},
		{"a first piece that the buffer cannot have held", 34000, []int{full + 1, 34000}, false},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			to := new(sink)
			c := &connection{Conn: to}
			for range 2 { // an answer leaves nothing to the next
				to.sent.Reset()
				c.answers(test.body)
				var want []byte
				for i, length := range test.pieces {
					piece := bytes.Repeat([]byte{byte('a' + i)}, length)
					want = append(want, piece...)
					n, err := c.Write(piece)
					require.NoError(t, err)
					require.Equal(t, length, n)
					clear(piece) // fasthttp uses its buffer again
					if i == 0 && test.held {
						require.Zero(t, to.sent.Len(), "it waits for more")
						continue
					}
					require.Equal(t, len(want), to.sent.Len())
				}
				require.Equal(t, want, to.sent.Bytes())
			}
		})
	}
}

// Ensure a failure to send both pieces is one of the second, of which nothing counts as sent then.
func TestHeadFailsWithBody(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	c := &connection{Conn: &sink{fail: gone}}
	c.answers(2 * writeBufferBytes)
	n, err := c.Write(make([]byte, writeBufferBytes))
	require.NoError(t, err)
	require.Equal(t, writeBufferBytes, n)
	n, err = c.Write(make([]byte, writeBufferBytes))
	require.ErrorIs(t, err, gone)
	require.Zero(t, n)
}

// Ensure nothing is held back of an answer whose body, however long it would be, is not sent; and that fasthttp sends no body
// then. What is held back of such an answer would never come.
func TestBodiesThatAreNotSent(t *testing.T) {
	t.Parallel()
	app := fiber.New()
	long := strings.Repeat("x", 8*writeBufferBytes)
	for _, test := range []struct {
		method string
		status int
		skip   bool
		want   bool
	}{
		{http.MethodGet, http.StatusOK, false, true},
		{http.MethodGet, http.StatusInternalServerError, false, true},
		{http.MethodPost, http.StatusCreated, false, true},
		{http.MethodHead, http.StatusOK, false, false},
		{http.MethodGet, http.StatusOK, true, false},
		{http.MethodGet, http.StatusNoContent, false, false},
		{http.MethodGet, http.StatusNotModified, false, false},
		{http.MethodGet, http.StatusSwitchingProtocols, false, false},
	} {
		request := new(fasthttp.RequestCtx)
		request.Request.Header.SetMethod(test.method)
		c := app.AcquireCtx(request)
		c.Response().SkipBody = test.skip || test.method == http.MethodHead // as fasthttp does when it serves
		c.Status(test.status)
		c.Response().SetBodyString(long)
		assert.Equal(t, test.want, hasBody(c), "%v", test)
		var sent bytes.Buffer
		_, err := c.Response().WriteTo(&sent)
		require.NoError(t, err)
		assert.Equal(t, test.want, bytes.HasSuffix(sent.Bytes(), []byte(long)), "%v", test)
		app.ReleaseCtx(c)
	}
}

// Ensure that over TCP both pieces arrive, whatever part of them the kernel takes at a time.
func TestHeadAndBodyOverTCP(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	head, body := bytes.Repeat([]byte("h"), writeBufferBytes), bytes.Repeat([]byte("b"), 32<<20)
	failed := make(chan error, 1)
	go func() {
		accepted, err := l.Accept()
		if err != nil {
			failed <- err
			return
		}
		c := &connection{Conn: accepted}
		c.answers(len(body))
		_, err = c.Write(head)
		if err == nil {
			var n int
			if n, err = c.Write(body); n != len(body) {
				err = errors.Join(err, io.ErrShortWrite)
			}
		}
		failed <- errors.Join(err, accepted.Close())
	}()
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	got, err := io.ReadAll(client)
	require.NoError(t, err)
	require.NoError(t, <-failed)
	require.True(t, bytes.Equal(append(head, body...), got))
}
