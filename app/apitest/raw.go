package apitest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipelining sends requests of every kind at once on one connection.
func (s *suite) pipelining(t *testing.T) {
	v, values := s.victim(t)
	cases := s.rawCases(t, "pipelined", values)
	var raw strings.Builder
	for _, c := range cases {
		raw.WriteString(s.complete(c.request)[0])
	}
	conn := s.dial(t)
	go func() { _, _ = io.WriteString(conn, raw.String()) }()

	// Ensure every response comes whole and in its place, whatever was sent before it.
	in := bufio.NewReader(conn)
	for _, c := range cases {
		method, _, _ := strings.Cut(c.request, " ")
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		require.NoError(t, err, c.name)
		data, err := io.ReadAll(res.Body)
		require.NoError(t, err, c.name)
		r := &Response{Method: method, Status: res.StatusCode, Header: res.Header, Body: data}
		r.fault = described().holdRaw(c.request, r)
		s.check(t, r)
		require.Contains(t, c.statuses, r.Status, "%s: %s", c.name, r)
		switch {
		case r.Status >= 400:
			r.Problem(t, r.Status, c.text)
		case r.mediaType() == "image/png" && method == http.MethodGet:
			assert.Equal(t, PNG(2, 2), data, c.name)
		}
	}
	s.requireUnchanged(t, v)
}

// bareLineFeeds ensures that a request that was typed gets a response before any timeout.
func (s *suite) bareLineFeeds(t *testing.T) {
	for _, raw := range []string{
		"GET /health HTTP/1.1\nHost: a\n\n", "GET /health HTTP/1.1\r\n" + s.headers() + "\n",
		"GET /health HTTP/1.1\r\nHost: a\n\r\n", "GET /users\r\n\r\n",
	} {
		conn := s.dial(t)
		_, err := io.WriteString(conn, raw)
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusBadRequest, res.StatusCode, "%q", raw)
	}
}

// expect is about requests whose bodies wait for the API to ask for them (Expect: 100-continue).
func (s *suite) expect(t *testing.T) {
	v, values := s.victim(t)
	for _, c := range s.rawCases(t, "expect", values) {
		t.Run(c.name, func(t *testing.T) {
			conn := s.dial(t)
			request := s.complete(c.request)[0]
			_, err := io.WriteString(conn, request)
			require.NoError(t, err)
			in := bufio.NewReader(conn)
			res, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Contains(t, c.statuses, res.StatusCode)
			if res.StatusCode != http.StatusContinue {
				s.check(t, &Response{Status: res.StatusCode, Header: res.Header, Body: body})
				_, err = in.ReadByte() // the connection ends, since the body may come all the same
				require.ErrorIs(t, err, io.EOF)
			}
		})
	}

	// Ensure the body that was asked for is read once, and the connection goes on.
	t.Run("the body is read when it has been asked for", func(t *testing.T) {
		conn := s.dial(t)
		reader := bufio.NewReader(conn)
		for range 2 {
			body := object("name", "Ann", "email", Email())
			_, err := fmt.Fprintf(conn, "POST /users HTTP/1.1\r\n%sContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
				s.headers(), len(body))
			require.NoError(t, err)
			for _, step := range []struct {
				status int
				send   string
			}{{http.StatusContinue, body}, {http.StatusCreated, ""}} {
				res, err := http.ReadResponse(reader, nil)
				require.NoError(t, err)
				require.Equal(t, step.status, res.StatusCode)
				_, err = io.Copy(io.Discard, res.Body)
				require.NoError(t, err)
				_, err = io.WriteString(conn, step.send)
				require.NoError(t, err)
				if location := res.Header.Get("Location"); location != "" {
					s.Delete(t, location[strings.LastIndex(location, "/")+1:])
				}
			}
		}
	})
	s.requireUnchanged(t, v)
}

// endless sends requests that do not stop.
func (s *suite) endless(t *testing.T) {
	v, values := s.victim(t)
	for _, c := range s.rawCases(t, "endless", values) {
		// Ensure a client that never stops is stopped, after few bytes, and not by its time alone.
		t.Run(c.name, func(t *testing.T) {
			responses, sent := s.pour(t, c.request, c.value)
			assert.Less(t, sent, int64(enough), "all of it was read: %v", responses)
			require.LessOrEqual(t, len(responses), 1)
			for _, r := range responses { // a client that is still sending may miss it
				assert.Contains(t, c.statuses, r.Status, r)
			}
		})
	}
	s.requireUnchanged(t, v)
}

// enough is how many bytes of an endless request are sent, more than the kernels buffer.
const enough = 64 << 20

// pour sends start and behind it more, again and again, until the API responds or ends the
// connection. It returns the responses, and how many bytes were sent.
func (s *suite) pour(t *testing.T, start, more string) (responses []*Response, sent int64) {
	t.Helper()
	conn := s.dial(t)
	var responded atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for piece := start; sent < enough && !responded.Load(); piece = more {
			n, err := io.WriteString(conn, piece)
			sent += int64(n)
			if err != nil {
				return
			}
		}
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	in := bufio.NewReader(conn)
	_, _ = in.Peek(1)
	responded.Store(true)
	responses = s.readResponses(t, in, start)
	conn.Close()
	<-done
	return responses, sent
}

// slow is about clients that send no end of a request within READ_TIMEOUT.
func (s *suite) slow(t *testing.T) {
	v, values := s.victim(t)
	cases := s.rawCases(t, "slow", values)
	conns := make([]net.Conn, len(cases))
	for i, c := range cases { // all at once, so that their time is spent once
		conns[i] = s.dial(t)
		drip, _ := strings.CutPrefix(c.value, "drip: ")
		go func() {
			_, err := io.WriteString(conns[i], c.request)
			for err == nil && drip != c.value {
				time.Sleep(s.ReadTimeout / 100)
				_, err = io.WriteString(conns[i], drip)
			}
		}()
	}
	for i, c := range cases {
		// Ensure a client cannot hold a connection, neither by a pause nor by sending little by little.
		t.Run(c.name, func(t *testing.T) {
			status := 0
			for _, r := range s.readResponses(t, conns[i], c.request) {
				status = r.Status
			}
			assert.Contains(t, c.statuses, status)
		})
	}
	s.requireUnchanged(t, v)
}

// links is about what absolute links begin with: PUBLIC_BASE_URL, or the scheme and host of the
// request.
func (s *suite) links(t *testing.T) {
	scheme, _, _ := strings.Cut(s.base, "://")
	own := "Host: " + s.host()
	bases := map[string]string{
		"Host: api.example.com":                             scheme + "://api.example.com",
		"Host: api.example.com\r\nX-Forwarded-Proto: https": "https://api.example.com",
		"Host: other.example.":                              scheme + "://other.example",
		"Host: other.example.:8080":                         scheme + "://other.example:8080",
		"Host: other.example:":                              scheme + "://other.example",
		"Host: OTHER_1.example":                             scheme + "://other_1.example",
		"Host: [2001:DB8::1]:80":                            scheme + "://[2001:db8::1]:80",
		"Host: [::1]:":                                      scheme + "://[::1]",
		"Host: 192.0.2.1":                                   scheme + "://192.0.2.1",
		own + "\r\nX-Forwarded-Proto: https":                "https://" + s.host(),
		own + "\r\nX-Forwarded-Proto: http":                 "http://" + s.host(),
		own + "\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Proto: javascript": s.base,
	}
	for _, header := range list(t, "headers that are in no link") {
		bases[own+"\r\n"+header] = s.base
	}
	for headers, base := range bases {
		// Ensure links lead where the client found the API, whatever other headers say.
		t.Run(headers, func(t *testing.T) {
			contentType, form := Form(Field("name", "Ann"), Field("email", Email()), File("avatar", "a.png", PNG(2, 2)))
			all := s.headersOf(fmt.Sprintf("%s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", headers, contentType, len(form)))
			responses, _ := s.converse(t, "POST /users HTTP/1.1\r\n"+all+"\r\n"+string(form))
			require.Len(t, responses, 1)
			if !s.anyHost && strings.Contains(headers, ".example") && !strings.HasPrefix(headers, own) {
				responses[0].Problem(t, http.StatusMisdirectedRequest, "Misdirected request")
				return
			}
			if s.PublicURL != "" {
				base = s.Client.links
			}
			created := responses[0].Created(t)
			assert.Equal(t, base+"/users/"+created.ID, created.Location)
			assert.True(t, strings.HasPrefix(created.AvatarURL, base+"/users/"+created.ID+"/avatar?v="), created.AvatarURL)
			responses, _ = s.converse(t, "GET /users/"+created.ID+" HTTP/1.1\r\n"+s.headersOf(headers+"\r\n")+"\r\n")
			require.Len(t, responses, 1)
			assert.Equal(t, created.AvatarURL, responses[0].User(t).AvatarURL)
		})
	}

	// Ensure a client that names the whole URL, as one of a proxy does, gets links that lead to a
	// host.
	t.Run("the host of a whole URL", func(t *testing.T) {
		s.createMany(t, 2, ann) // so that there is a next page
		for _, target := range list(t, "whole URLs") {
			if !s.anyHost && !strings.Contains(target, "[") {
				continue
			}
			responses, _ := s.converse(t, "GET "+target+"/users?limit=1 HTTP/1.1\r\n"+s.headers()+"\r\n")
			require.Len(t, responses, 1, target)
			responses[0].Is(t, http.StatusOK)
			require.Regexp(t, nextLink, responses[0].Header.Get("Link"), responses[0])
		}
	})
}

// nextLink is a link to the next page of one user, on any host.
var nextLink = regexp.MustCompile(
	`^<https?://([a-z0-9._-]{1,253}|\[[0-9a-f:]+\])(:[0-9]{1,5})?/users\?limit=1&cursor=[A-Za-z0-9._~-]+>; rel="next"$`)
