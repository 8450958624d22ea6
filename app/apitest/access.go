package apitest

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A refusal is the response to a request that the caller may not make: RFC 6750 §3.
type refusal struct {
	status          int
	text, challenge string
}

var (
	noCredentials = refusal{http.StatusUnauthorized, "Authentication required", `Bearer realm="prima-api"`}
	invalidToken  = refusal{
		http.StatusUnauthorized, "Invalid access token", `Bearer realm="prima-api", error="invalid_token"`,
	}
	mayNotRead = refusal{
		http.StatusForbidden, "Insufficient scope",
		`Bearer realm="prima-api", error="insufficient_scope", scope="read"`,
	}
	mayNotWrite = refusal{
		http.StatusForbidden, "Insufficient scope",
		`Bearer realm="prima-api", error="insufficient_scope", scope="write"`,
	}
)

// refused requires r to be this refusal.
func (r *Response) refused(t *testing.T, want refusal) {
	t.Helper()
	require.Equal(t, []string{want.challenge}, r.Header.Values("WWW-Authenticate"), r)
	r.Problem(t, want.status, want.text)
}

// access is about who may do what at an API that has ACCESS_TOKENS.
func (s *suite) access(t *testing.T) {
	v, values := s.victim(t)
	if !s.Proxied {
		s.scopes(t, values)
		s.credentials(t, values)
	}
	user, avatar, image := "/users/"+v.ID, "/users/"+v.ID+"/avatar", s.Path(t, v.AvatarURL)

	// Ensure a token for writing is enough to write: whoever imports users need not see the others.
	t.Run("a token for writing writes", func(t *testing.T) {
		writer := s.as(t, s.WriteToken)
		own := writer.CreateForm(t, "Ann", Email(), PNG(2, 2))
		assert.Equal(t, "Bob", writer.Patch(t, own.ID, `{"name":"Bob"}`).Name)
		assert.NotEqual(t, own.AvatarURL, writer.PutAvatar(t, own.ID, PNG(3, 3)).AvatarURL)
		writer.Do(t, "DELETE", "/users/"+own.ID+"/avatar", nil).Is(t, http.StatusNoContent)
		writer.Delete(t, own.ID)
	})

	// Ensure a browser, which sends no token for an image, shows it.
	t.Run("avatar_url needs no token", func(t *testing.T) {
		etag := s.Do(t, "GET", avatar, nil).Header.Get("Etag")
		for _, method := range []string{"GET", "HEAD"} {
			r := s.Do(t, method, image, nil, noToken).Is(t, http.StatusOK)
			assert.Equal(t, "image/png", r.Header.Get("Content-Type"), r)
			assert.Equal(t, etag, r.Header.Get("Etag"), r)
			if method == "GET" {
				assert.Equal(t, PNG(2, 2), r.Body, r)
			}
		}
		s.Do(t, "GET", image, nil, noToken, "If-None-Match: "+etag).Is(t, http.StatusNotModified)
	})

	// Ensure the URL of an image is open only while the user has this image.
	t.Run("the URL of an earlier avatar is closed", func(t *testing.T) {
		own := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
		first := s.Path(t, own.AvatarURL)
		second := s.Path(t, s.PutAvatar(t, own.ID, PNG(3, 3)).AvatarURL)
		closed := func(path string) {
			t.Helper()
			current := `If-None-Match: "` + path[strings.Index(path, "?v=")+3:] + `"`
			for _, header := range []string{noToken, "If-None-Match: *", current} {
				s.Do(t, "GET", path, nil, noToken, header).refused(t, noCredentials)
				s.Do(t, "HEAD", path, nil, noToken, header).refused(t, noCredentials)
			}
		}
		closed(first)
		s.Do(t, "GET", second, nil, noToken).Is(t, http.StatusOK)
		s.Do(t, "DELETE", "/users/"+own.ID+"/avatar", nil).Is(t, http.StatusNoContent)
		closed(first)
		closed(second)
		s.Delete(t, own.ID)
		closed(second)
	})

	// Ensure no refusal tells whether a user exists.
	t.Run("the refusal is the same whether a user is there or not", func(t *testing.T) {
		without := "/users/" + s.CreateJSON(t, "Ann", Email()).ID
		for _, rest := range []string{"", "/avatar", "/avatar?v=x", "/avatar?v=" + unknownID()} {
			for _, method := range []string{"GET", "HEAD", "DELETE"} {
				var first *Response
				for _, path := range []string{user, without, "/users/" + unknownID(), "/users/x"} {
					r := s.Do(t, method, path+rest, nil, noToken)
					r.refused(t, noCredentials)
					r.Header.Del("Date")
					r.Header.Del("X-Request-Id")
					if first == nil {
						first = r
					}
					assert.Equal(t, first.Header, r.Header, r)
					assert.Equal(t, string(first.Body), string(r.Body), r)
				}
			}
		}
	})

	// Ensure the body of a refused request is not read, and that its client sees why.
	t.Run("the body of a refused request is not looked at", func(t *testing.T) {
		large := append(PNG(1, 1), bytes.Repeat([]byte("m"), maxAvatarBytes+1<<20)...)
		for header, want := range map[string]refusal{
			noToken: noCredentials, bearer("unknown"): invalidToken, bearer(s.ReadToken): mayNotWrite,
		} {
			for _, target := range []string{"POST /users", "POST /user", "PUT " + avatar, "PATCH " + user, "POST /nothing"} {
				method, path, _ := strings.Cut(target, " ")
				if !s.Proxied { // a proxy asks for the body itself
					s.Do(t, method, path, bytes.NewReader(large), header, "Expect: 100-continue").refused(t, want)
				}
				s.Do(t, method, path, strings.NewReader("x"), header, "Content-Encoding: gzip", "Idempotency-Key: ").
					refused(t, want)
				if header == noToken || path == "/users" {
					s.Do(t, method, path, bytes.NewReader(large), header).refused(t, want)
					s.Do(t, method, path, chunked(bytes.NewReader(large)), header).refused(t, want)
				}
			}
		}
	})

	s.requireUnchanged(t, v)
}

// scopes sends the requests of scopes.txtar as each caller.
func (s *suite) scopes(t *testing.T, values map[string]string) {
	allowed := refusal{}
	for _, caller := range []struct {
		name, token   string
		reads, writes refusal
	}{
		// Ensure nobody does anything, or learns what there is, without a token.
		{"without a token everything is refused", "", noCredentials, noCredentials},
		{"with an unknown token everything is refused", "unknown", invalidToken, invalidToken},
		{"a token for reading reads and does not write", s.ReadToken, allowed, mayNotWrite},
		{"a token for writing does not read", s.WriteToken, mayNotRead, allowed},
		{"a token for both does both", s.Token, allowed, allowed},
	} {
		t.Run(caller.name, func(t *testing.T) {
			for _, c := range s.rawCases(t, "scopes", values) {
				want, reads := caller.writes, c.reads()
				if reads {
					want = caller.reads
				}
				if reads || want != allowed || c.statuses[0] >= http.StatusBadRequest {
					t.Run(c.name, func(t *testing.T) { s.sendAs(t, caller.token, c, want) })
				}
			}
		})
	}
}

// credentials sends the requests of access.txtar.
func (s *suite) credentials(t *testing.T, values map[string]string) {
	v, token := values["v"], s.Token
	maps.Copy(values, map[string]string{
		"both": token, "read": s.ReadToken, "write": s.WriteToken, "BOTH": strings.ToUpper(token),
		"both cut": token[:len(token)-1], "th": token[1:], "%bo": fmt.Sprintf("%%%02x", token[0]),
		"V": strings.ToUpper(v), "v without its start": v[1:], "v without its end": v[:len(v)-1],
		"other": s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID,
	})
	for _, c := range s.rawCases(t, "access", values) {
		want := map[string]refusal{
			noCredentials.text: noCredentials, invalidToken.text: invalidToken, mayNotWrite.text: mayNotWrite,
		}[c.text]
		if want == mayNotWrite && c.reads() {
			want = mayNotRead
		}
		t.Run(c.name, func(t *testing.T) { s.sendAs(t, "", c, want) })
	}

	// Ensure a token of one request does not open the next on the same connection.
	t.Run("a token is that of one request", func(t *testing.T) {
		get := "GET /users/" + values["id"] + " HTTP/1.1\r\nHost: " + s.host() + "\r\n"
		raw := get + bearer(s.Token) + "\r\n\r\n" + get + "\r\n" + get + bearer(s.WriteToken) + "\r\n\r\n" +
			get + bearer(s.ReadToken) + "\r\n\r\n" + get + bearer("unknown") + "\r\n\r\n"
		responses, usable := s.converse(t, raw)
		require.Len(t, responses, 5)
		responses[0].User(t)
		responses[1].refused(t, noCredentials)
		responses[2].refused(t, mayNotRead)
		responses[3].User(t)
		responses[4].refused(t, invalidToken)
		assert.True(t, usable)
	})
}

// as returns the suite with another token, "" for none.
func (s *suite) as(t *testing.T, token string) *suite {
	o := s.Options
	o.Token = token
	return &suite{NewClient(t, s.base, o), s.anyHost}
}

// sendAs sends the requests of a case with this token, "" for none. Each must get the refusal or,
// if that is empty, the response of the case.
func (s *suite) sendAs(t *testing.T, token string, c rawCase, want refusal) {
	t.Helper()
	for _, raw := range s.as(t, token).complete(c.request) {
		responses, _ := s.converse(t, raw)
		require.Len(t, responses, 1, "%.300s", s.hide(raw))
		r := responses[0]
		if want != (refusal{}) {
			r.refused(t, want)
		} else {
			require.Contains(t, c.statuses, r.Status, r)
			assert.Empty(t, r.Header.Values("WWW-Authenticate"), r)
		}
		assert.NotContains(t, fmt.Sprint(r.Header, string(r.Body)), s.Token, "a response repeats a token")
	}
}

// reads reports whether the requests of a case need the scope read.
func (c rawCase) reads() bool { return strings.HasPrefix(c.request, "GET ") }
