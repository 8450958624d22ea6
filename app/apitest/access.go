package apitest

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A refusal is what a request is answered that may not be made: RFC 6750 §3.
type refusal struct {
	status          int
	text, challenge string
}

var (
	noCredentials = refusal{http.StatusUnauthorized, "Authentication required", `Bearer realm="prima-api"`}
	invalidToken  = refusal{http.StatusUnauthorized, "Invalid access token", `Bearer realm="prima-api", error="invalid_token"`}
	mayNotRead    = refusal{http.StatusForbidden, "Insufficient scope", `Bearer realm="prima-api", error="insufficient_scope", scope="read"`}
	mayNotWrite   = refusal{http.StatusForbidden, "Insufficient scope", `Bearer realm="prima-api", error="insufficient_scope", scope="write"`}
)

// refused requires r to be this refusal.
func (r *Response) refused(t *testing.T, want refusal) {
	t.Helper()
	require.Equal(t, want.status, r.Status, r)
	require.Equal(t, []string{want.challenge}, r.Header.Values("WWW-Authenticate"), r)
	if r.Method != http.MethodHead {
		r.Problem(t, want.status, want.text)
	}
}

// open is about an API that has no ACCESS_TOKENS.
func (s *suite) open(t *testing.T) {
	id := s.CreateJSON(t, "Ann", Email()).ID

	// Ensure what a client or a proxy sends of its own accord keeps nobody out.
	t.Run("credentials are ignored where there are none", func(t *testing.T) {
		for _, credentials := range []string{"Bearer x", "Bearer", "Basic dXNlcjpwYXNz", "nonsense", "Bearer " + strings.Repeat("x", 4000)} {
			s.Do(t, "GET", "/users/"+id, nil, "Authorization: "+credentials).User(t)
			s.Do(t, "PATCH", "/users/"+id, strings.NewReader(`{}`), "Authorization: "+credentials, mergePatch).User(t)
		}
		for _, r := range []*Response{s.Do(t, "GET", "/nothing", nil), s.Do(t, "PUT", "/users", nil), s.Do(t, "GET", "/users/"+unknownID(), nil)} {
			assert.Empty(t, r.Header.Values("WWW-Authenticate"), r)
		}
	})
}

// access is about who may do what at an API that has ACCESS_TOKENS.
func (s *suite) access(t *testing.T) {
	created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
	before, image := s.Get(t, created.ID), s.Path(t, created.AvatarURL)
	user, avatar, unknown := "/users/"+created.ID, "/users/"+created.ID+"/avatar", "/users/"+unknownID()

	// A marker in what is refused shows, at the end, that nothing of it was stored.
	marker := Marker()
	json := object("name", marker, "email", marker+"@example.com")
	contentType, form := Form(Field("name", marker), Field("email", marker+"@example.com"), File("avatar", "a.png", PNG(3, 3)))
	type request struct {
		method, path, contentType, body string
		status                          int // of the answer to somebody who may read and write
	}
	reads := []request{
		{"GET", "/users", "", "", 200},
		{"HEAD", "/users", "", "", 200},
		{"GET", "/users?limit=1", "", "", 200},
		{"GET", "/users?limit=0", "", "", 400},
		{"GET", "/users?cursor=x", "", "", 400},
		{"GET", user, "", "", 200},
		{"HEAD", user, "", "", 200},
		{"GET", avatar, "", "", 200},
		{"HEAD", avatar, "", "", 200},
		{"GET", unknown, "", "", 404},
		{"GET", unknown + "/avatar", "", "", 404},
		{"GET", "/users/x", "", "", 404},
		{"GET", "/user", "", "", 405},
		{"GET", "/nothing", "", "", 404},
		{"HEAD", "/nothing", "", "", 404},
		{"GET", "/health/", "", "", 404},
		{"GET", "/Health", "", "", 404},
		{"GET", "/readyz/", "", "", 404},
	}
	writes := []request{
		{"POST", "/user", "application/json", "{}", 400},
		{"POST", "/users", "application/json", "{", 400},
		{"POST", "/users", "text/plain", "x", 415},
		{"POST", "/users", "multipart/form-data; boundary=x", "x", 400},
		{"POST", "/users", "application/x-www-form-urlencoded", "x", 400},
		{"PATCH", unknown, "application/merge-patch+json", `{"name":"Bob"}`, 404},
		{"DELETE", unknown, "", "", 404},
		{"PUT", unknown + "/avatar", "image/png", string(PNG(3, 3)), 404},
		{"DELETE", unknown + "/avatar", "", "", 404},
		{"POST", "/health", "", "", 405},
		{"DELETE", "/readyz", "", "", 405},
		{"OPTIONS", "/health", "", "", 405},
		{"OPTIONS", "/users", "", "", 405},
		{"PUT", "/users", "application/json", json, 405},
		{"POST", user, "", "", 405},
		{"POST", "/nothing", "application/json", json, 404},
	}
	// Those that would change something if they were let through.
	changes := []request{
		{"POST", "/user", "application/json", json, 201},
		{"POST", "/users", contentType, string(form), 201},
		{"POST", "/users", "application/x-www-form-urlencoded", "name=" + marker + "&email=" + marker + "@example.com", 201},
		{"PATCH", user, "application/merge-patch+json", json, 200},
		{"PUT", avatar, "image/png", string(PNG(3, 3)), 200},
		{"PUT", image, contentType, string(form), 200},
		{"DELETE", avatar, "", "", 204},
		{"DELETE", image, "", "", 204},
		{"DELETE", user, "", "", 204},
	}
	all := slices.Concat(reads, writes, changes)
	if !s.Proxied { // which has its own view of it
		reads = append(reads, request{"GET", "//users", "", "", 404}, request{"GET", "/users/../health", "", "", 404}, request{"GET", "/health/../users", "", "", 404},
			request{"GET", "/health%2f..%2fusers", "", "", 404}, request{"GET", "/%68ealth", "", "", 404})
		writes = append(writes, request{"TRACE", "/users", "", "", 405}, request{"CONNECT", "/users", "", "", 405})
		all = slices.Concat(reads, writes, changes)
	}
	do := func(t *testing.T, q request, header ...string) *Response {
		t.Helper()
		if q.contentType != "" {
			header = append(header, "Content-Type: "+q.contentType)
		}
		return s.Do(t, q.method, q.path, strings.NewReader(q.body), header...)
	}

	// Ensure probes need no token, and that a wrong one does not make a replica look ill.
	t.Run("probes need no token", func(t *testing.T) {
		for _, path := range []string{"/health", "/readyz"} {
			for _, method := range []string{"GET", "HEAD"} {
				for _, header := range []string{noToken, bearer("unknown"), bearer(s.WriteToken), "Authorization: nonsense"} {
					r := s.Do(t, method, path, nil, header)
					assert.Equal(t, http.StatusOK, r.Status, r)
					assert.Empty(t, r.Header.Values("WWW-Authenticate"), r)
				}
			}
		}
	})

	// Ensure nobody does anything, or learns what there is, without a token.
	t.Run("without a token everything is refused", func(t *testing.T) {
		for _, q := range all {
			t.Run(q.method+" "+q.path, func(t *testing.T) { do(t, q, noToken).refused(t, noCredentials) })
		}
	})

	// Ensure what is in another scheme than Bearer is no token: RFC 6750 §3.1.
	t.Run("other schemes are no token", func(t *testing.T) {
		for _, credentials := range []string{"Basic dXNlcjpwYXNz", "Digest username=\"ann\"", "Bearerr " + s.Token, "Token " + s.Token, s.Token, "Bearer=" + s.Token, ", Bearer " + s.Token} {
			s.Do(t, "GET", "/users", nil, "Authorization: "+credentials).refused(t, noCredentials)
			s.PostJSON(t, "/users", json, "Authorization: "+credentials).refused(t, noCredentials)
		}
	})

	// Ensure a token is one of those that were given out, to the character.
	t.Run("a token that is unknown or malformed is refused", func(t *testing.T) {
		for name, credentials := range map[string]string{
			"no token":                    "Bearer",
			"an unknown token":            "Bearer prima_" + strings.Repeat("A", 43),
			"a word":                      "Bearer unknown",
			"null":                        "Bearer null",
			"a token and more":            "Bearer " + s.Token + "x",
			"a token cut":                 "Bearer " + s.Token[:len(s.Token)-1],
			"a token without its start":   "Bearer " + s.Token[1:],
			"a token in capitals":         "Bearer " + strings.ToUpper(s.Token),
			"a token twice":               "Bearer " + s.Token + " " + s.Token,
			"a list of tokens":            "Bearer " + s.Token + "," + s.Token,
			"a list of schemes":           "Bearer " + s.Token + ", Bearer " + s.Token,
			"a token with a parameter":    "Bearer " + s.Token + ";x=y",
			"a token with padding":        "Bearer " + s.Token + "=",
			"a token in quotes":           `Bearer "` + s.Token + `"`,
			"a token as a parameter":      "Bearer token=" + s.Token,
			"a token encoded":             "Bearer " + strings.ReplaceAll(s.Token, s.Token[:1], fmt.Sprintf("%%%02x", s.Token[0])),
			"two tokens for two scopes":   "Bearer " + s.ReadToken + " " + s.WriteToken,
			"a byte that is no character": "Bearer " + s.Token + "\xff",
			"a character beyond ASCII":    "Bearer " + s.Token + "é",
			"a long token":                "Bearer " + strings.Repeat("x", 4000),
			"an operator":                 `Bearer {"$ne":null}`,
			"a hash":                      "Bearer " + strings.Repeat("0", 64),
		} {
			t.Run(name, func(t *testing.T) {
				for _, q := range []request{{method: "GET", path: "/users"}, {method: "HEAD", path: user}, {method: "POST", path: "/users", contentType: "application/json", body: json}, {method: "GET", path: "/nothing"}, {method: "DELETE", path: user}} {
					r := do(t, q, "Authorization: "+credentials)
					r.refused(t, invalidToken)
					for _, line := range append(slices.Concat(r.Header.Values("WWW-Authenticate"), r.Header.Values("X-Request-Id")), string(r.Body)) {
						assert.NotContains(t, line, s.Token, "an answer repeats a token")
					}
				}
			})
		}
	})

	// Ensure the name of the scheme is read as RFC 9110 §11.1 has it, in any case.
	t.Run("the scheme may be written in any case", func(t *testing.T) {
		for _, scheme := range []string{"Bearer", "bearer", "BEARER", "bEaReR"} {
			s.Do(t, "GET", user, nil, "Authorization: "+scheme+" "+s.ReadToken).User(t)
			s.Do(t, "PATCH", user, strings.NewReader(`{}`), "Authorization: "+scheme+" "+s.WriteToken, mergePatch).User(t)
		}
	})

	// Ensure a token is looked for in one place, where it is not logged.
	t.Run("a token in any other place is none", func(t *testing.T) {
		s.Do(t, "GET", "/users?access_token="+s.Token, nil, noToken).refused(t, noCredentials)
		s.Do(t, "GET", "/users?token="+s.Token, nil, noToken, "Cookie: access_token="+s.Token, "X-Authorization: Bearer "+s.Token, "X-Api-Key: "+s.Token, "Proxy-Authorization: Bearer "+s.Token).
			refused(t, noCredentials)
		s.Do(t, "POST", "/users", strings.NewReader("access_token="+s.Token+"&name="+marker+"&email="+marker+"@example.com"), noToken, urlencoded).refused(t, noCredentials)
	})

	// Ensure a token for reading reads, and changes nothing.
	t.Run("a token for reading reads and does not write", func(t *testing.T) {
		for _, q := range reads {
			r := do(t, q, bearer(s.ReadToken))
			assert.Equal(t, q.status, r.Status, r)
		}
		for _, q := range slices.Concat(writes, changes) {
			t.Run(q.method+" "+q.path, func(t *testing.T) { do(t, q, bearer(s.ReadToken)).refused(t, mayNotWrite) })
		}
	})

	// Ensure a token for writing does not read: whoever imports users need not see the others.
	t.Run("a token for writing writes and does not read", func(t *testing.T) {
		for _, q := range writes {
			r := do(t, q, bearer(s.WriteToken))
			assert.Equal(t, q.status, r.Status, r)
		}
		for _, q := range reads {
			t.Run(q.method+" "+q.path, func(t *testing.T) { do(t, q, bearer(s.WriteToken)).refused(t, mayNotRead) })
		}
		own := s.CreateForm(t, "Ann", Email(), PNG(2, 2), bearer(s.WriteToken))
		r := s.Do(t, "PATCH", "/users/"+own.ID, strings.NewReader(`{"name":"Bob"}`), bearer(s.WriteToken), mergePatch)
		assert.Equal(t, "Bob", r.User(t).Name)
		r = s.Do(t, "PUT", "/users/"+own.ID+"/avatar", bytes.NewReader(PNG(3, 3)), bearer(s.WriteToken))
		assert.NotEqual(t, own.AvatarURL, r.User(t).AvatarURL)
		for _, path := range []string{"/users/" + own.ID + "/avatar", "/users/" + own.ID} {
			r = s.Do(t, "DELETE", path, nil, bearer(s.WriteToken))
			assert.Equal(t, http.StatusNoContent, r.Status, r)
		}
	})

	// Ensure a token with both scopes does both.
	t.Run("a token for both does both", func(t *testing.T) {
		for _, q := range slices.Concat(reads, writes) {
			r := do(t, q, bearer(s.Token))
			assert.Equal(t, q.status, r.Status, r)
			assert.Empty(t, r.Header.Values("WWW-Authenticate"), r)
		}
	})

	// Ensure the scope that is asked for is that of what would be done.
	t.Run("another method by a header is not let in by the one that is written", func(t *testing.T) {
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			s.Do(t, "POST", "/users", strings.NewReader(json), bearer(s.ReadToken), name+": GET", "Content-Type: application/json").refused(t, mayNotWrite)
			s.Do(t, "GET", "/users", nil, bearer(s.WriteToken), name+": POST").refused(t, mayNotRead)
		}
		for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path"} {
			s.Do(t, "GET", "/users", nil, noToken, name+": /health").refused(t, noCredentials)
		}
	})

	// Ensure a page of a browser, which sends no token for an image, shows it.
	t.Run("avatar_url needs no token", func(t *testing.T) {
		r := s.Do(t, "GET", image, nil, noToken)
		require.Equal(t, http.StatusOK, r.Status, r)
		assert.Equal(t, PNG(2, 2), r.Body, r)
		assert.Equal(t, "image/png", r.Header.Get("Content-Type"), r)
		etag := r.Header.Get("Etag")
		assert.Equal(t, etag, s.Do(t, "GET", avatar, nil).Header.Get("Etag"))
		r = s.Do(t, "HEAD", image, nil, noToken)
		require.Equal(t, http.StatusOK, r.Status, r)
		assert.Equal(t, etag, r.Header.Get("Etag"), r)
		r = s.Do(t, "GET", image, nil, noToken, "If-None-Match: "+etag)
		require.Equal(t, http.StatusNotModified, r.Status, r)
		for _, method := range []string{"PUT", "DELETE", "POST", "PATCH", "OPTIONS"} {
			s.Do(t, method, image, nil, noToken).refused(t, noCredentials)
		}
	})

	// Ensure the URL is open as long as it is the image's, and no other URL is.
	t.Run("no other URL of an avatar is open", func(t *testing.T) {
		own := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
		without := s.CreateJSON(t, "Ann", Email()).ID
		path, first := "/users/"+own.ID+"/avatar", s.Path(t, own.AvatarURL)
		v := first[len(path+"?v="):]
		closed := []string{
			path, path + "?", path + "?v", path + "?v=", path + "?v=" + unknownID(), path + "?v=x", path + "?v=" + v + "x", path + "?v=" + v[1:], path + "?v=" + v[:len(v)-1],
			path + "?v=" + strings.ToUpper(v), path + "?V=" + v, path + "?v=*", path + "?v=%22" + v + "%22", path + "?v=" + v + "%00", path + "?v=%20" + v, path + "?v[]=" + v,
			path + "?" + v, path + "?v=" + own.ID, avatar + "?v=" + v, "/users/" + without + "/avatar?v=", "/users/" + without + "/avatar?v=" + v, unknown + "/avatar?v=" + v, unknown + "/avatar?v=",
			"/users/x/avatar?v=" + v, "/users/" + strings.ToUpper(own.ID) + "/avatar?v=" + v, "/users/" + own.ID + "?v=" + v, path + "/?v=" + v, "/users?v=" + v,
		}
		refuse := func(t *testing.T, path string) {
			t.Helper()
			for _, header := range [][]string{{noToken}, {noToken, "If-None-Match: *"}, {noToken, `If-None-Match: "` + v + `"`}} {
				s.Do(t, "GET", path, nil, header...).refused(t, noCredentials)
				s.Do(t, "HEAD", path, nil, header...).refused(t, noCredentials)
			}
		}
		for _, path := range closed {
			refuse(t, path)
		}
		u := s.PutAvatar(t, own.ID, PNG(3, 3))
		refuse(t, first)
		second := s.Path(t, u.AvatarURL)
		r := s.Do(t, "GET", second, nil, noToken)
		require.Equal(t, http.StatusOK, r.Status, r)
		r = s.Do(t, "DELETE", path, nil)
		require.Equal(t, http.StatusNoContent, r.Status, r)
		refuse(t, first)
		refuse(t, second)
		s.Delete(t, own.ID)
		refuse(t, second)
	})

	// Ensure nobody finds out who is there: not by the answer, and not by anything in it.
	t.Run("the refusal is the same whether a user is there or not", func(t *testing.T) {
		without := "/users/" + s.CreateJSON(t, "Ann", Email()).ID
		for _, rest := range []string{"", "/avatar", "/avatar?v=x", "/avatar?v=" + unknownID()} {
			for _, method := range []string{"GET", "HEAD", "DELETE"} {
				there := s.Do(t, method, user+rest, nil, noToken)
				there.refused(t, noCredentials)
				for _, path := range []string{unknown, without, "/users/x"} {
					r := s.Do(t, method, path+rest, nil, noToken)
					for _, header := range []http.Header{there.Header, r.Header} { // those that are of the time and of the request
						header.Del("Date")
						header.Del("X-Request-Id")
					}
					assert.Equal(t, there.Header, r.Header, r)
					assert.Equal(t, string(there.Body), string(r.Body), r)
				}
			}
		}
	})

	// Ensure what is refused anyway is not read, however much of it there is, and that its client sees why.
	t.Run("the body of a refused request is not looked at", func(t *testing.T) {
		large := string(PNG(1, 1)) + strings.Repeat("m", s.MaxAvatarBytes+1<<20)
		for i, row := range []struct {
			header string
			want   refusal
		}{{noToken, noCredentials}, {bearer("unknown"), invalidToken}, {bearer(s.ReadToken), mayNotWrite}} {
			for _, q := range []request{
				{method: "POST", path: "/users", contentType: contentType},
				{method: "POST", path: "/user", contentType: "application/json"},
				{method: "PUT", path: avatar, contentType: "image/png"},
				{method: "PATCH", path: user},
				{method: "POST", path: "/nothing"},
			} {
				header := []string{row.header, "Content-Type: " + q.contentType}
				if !s.Proxied { // which asks for the body itself
					s.Do(t, q.method, q.path, strings.NewReader(large), append(header, "Expect: 100-continue")...).refused(t, row.want)
				}
				s.Do(t, q.method, q.path, strings.NewReader("x"), append(header, "Content-Encoding: gzip", "Idempotency-Key: ")...).refused(t, row.want)
				if i == 0 || q.path == "/users" { // the same for each of them, and not for nothing
					s.Do(t, q.method, q.path, strings.NewReader(large), header...).refused(t, row.want)
					s.Do(t, q.method, q.path, chunked(strings.NewReader(large)), header...).refused(t, row.want)
				}
			}
		}
	})

	// Ensure pages of other origins learn nothing either: CORS is off unless it is set.
	t.Run("a preflight is refused like everything else", func(t *testing.T) {
		for _, path := range []string{"/users", "/user", user, avatar, image, "/nothing"} {
			s.Do(t, "OPTIONS", path, nil, noToken, "Origin: https://other.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization").
				refused(t, noCredentials)
		}
	})

	if !s.Proxied {
		s.accessRaw(t, created.ID)
	}

	// Ensure none of all this has done anything.
	t.Run("nothing that was refused is done", func(t *testing.T) {
		assert.Equal(t, before, s.Get(t, created.ID))
		stored, _ := s.Avatar(t, before.AvatarURL)
		assert.Equal(t, PNG(2, 2), stored)
		s.requireNotStored(t, marker)
	})
}

// accessRaw is the part of access that no client of HTTP would send, or a proxy pass on.
func (s *suite) accessRaw(t *testing.T, id string) {
	host := "Host: " + s.host() + "\r\n"
	line := func(token string) string { return bearer(token) + "\r\n" }

	// Ensure there is one reading of whose request it is, or none.
	t.Run("two headers are refused", func(t *testing.T) {
		for _, headers := range []string{
			line(s.Token) + line(s.Token),
			line(s.ReadToken) + line(s.WriteToken),
			line("unknown") + line(s.Token),
			line(s.Token) + line("unknown"),
			line(s.Token) + "Authorization: Basic dXNlcjpwYXNz\r\n",
			"Authorization: Basic dXNlcjpwYXNz\r\n" + line(s.Token),
			"Authorization: \r\n" + line(s.Token),
			line(s.Token) + "AUTHORIZATION: \r\n",
		} {
			for _, request := range []string{"GET /users HTTP/1.1\r\n", "DELETE /users/" + id + " HTTP/1.1\r\n", "GET /nothing HTTP/1.1\r\n"} {
				answers, _ := s.converse(t, request+host+headers+"\r\n")
				require.Len(t, answers, 1)
				answers[0].refused(t, invalidToken)
			}
		}
	})

	// Ensure an empty header is as good as none, and the name of a header may be written in any case.
	t.Run("a header is read as HTTP has it", func(t *testing.T) {
		for headers, want := range map[string]int{
			"Authorization: \r\n":                               401,
			"Authorization:\r\n":                                401,
			"authorization: Bearer " + s.Token + "\r\n":         200,
			"AUTHORIZATION:Bearer " + s.Token + "\r\n":          200,
			"Authorization:  \t Bearer " + s.Token + " \t \r\n": 200,
			"Authorization: Bearer   " + s.Token + "\r\n":       200, // RFC 9110 §11.4 has one space or more
			"Authorization : Bearer " + s.Token + "\r\n":        400,
			"Authorization: Bearer " + s.Token + "\x00\r\n":     400,
			"Authorization: Bearer " + s.Token + "\rx: y\r\n":   400,
			"Authorization_: Bearer " + s.Token + "\r\n":        401,
			"X-Y: z\r\n": 401,
		} {
			t.Run(s.hide(fmt.Sprintf("%q", headers)), func(t *testing.T) {
				answers, _ := s.converse(t, "GET /users/"+id+" HTTP/1.1\r\n"+host+headers+"\r\n")
				require.Len(t, answers, 1)
				assert.Equal(t, want, answers[0].Status, answers[0])
				if want == http.StatusUnauthorized {
					answers[0].refused(t, noCredentials)
				}
			})
		}
	})

	// Ensure a token of one request does not open the next on the same connection.
	t.Run("a token is that of one request", func(t *testing.T) {
		get := "GET /users/" + id + " HTTP/1.1\r\n" + host
		answers, usable := s.converse(t, get+line(s.Token)+"\r\n"+get+"\r\n"+get+line(s.WriteToken)+"\r\n"+get+line(s.ReadToken)+"\r\n"+get+line("unknown")+"\r\n")
		require.Len(t, answers, 5)
		answers[0].User(t)
		answers[1].refused(t, noCredentials)
		answers[2].refused(t, mayNotRead)
		answers[3].User(t)
		answers[4].refused(t, invalidToken)
		assert.True(t, usable)
	})

	// Ensure old clients, and those that name the whole URL, are asked for a token as well.
	t.Run("no form of a request goes round the guard", func(t *testing.T) {
		for _, request := range []string{
			"GET /users HTTP/1.0\r\n",
			"GET http://" + s.host() + "/users HTTP/1.1\r\n" + host,
			"GET http://" + s.host() + "/health/../users HTTP/1.1\r\n" + host,
			"DELETE http://" + s.host() + " HTTP/1.1\r\n" + host,
			"GET http://other.example/users?/health HTTP/1.1\r\n" + host,
			"GET /users#/health HTTP/1.1\r\n" + host,
			"GET /users;/health HTTP/1.1\r\n" + host,
			"GET //health HTTP/1.1\r\n" + host,
			"GET /./health HTTP/1.1\r\n" + host,
			"GET /users/" + id + "/avatar/../../../health HTTP/1.1\r\n" + host,
			"OPTIONS * HTTP/1.1\r\n" + host,
			"CONNECT other.example:443 HTTP/1.1\r\n" + host,
		} {
			answers, _ := s.converse(t, request+"\r\n")
			require.Len(t, answers, 1, request)
			answers[0].refused(t, noCredentials)
		}
	})

	// Ensure a body that nobody reads is not taken for the next request, which would bring a token of its own.
	t.Run("a refused request does not let its body be served", func(t *testing.T) {
		for _, padding := range []string{"", strings.Repeat("p", 4<<10), strings.Repeat("p", 100<<10)} {
			for header, want := range map[string]refusal{"": noCredentials, line("unknown"): invalidToken, line(s.ReadToken): mayNotWrite} {
				for _, request := range []string{"POST /users", "PUT /users/" + id + "/avatar", "DELETE /users/" + id, "POST /nothing"} {
					head := request + " HTTP/1.1\r\n" + host + header
					answer := s.smuggle(t, func(inner string) string {
						return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s%s", head, len(padding)+len(inner), padding, inner)
					})
					answer.refused(t, want)
					answer = s.smuggle(t, func(inner string) string {
						return head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(padding+inner) + chunk(inner) + "0\r\n\r\n"
					})
					answer.refused(t, want)
				}
			}
		}
	})

	// Ensure a body that does not end is not read for ever.
	t.Run("far too much of a body is refused", func(t *testing.T) {
		more := strings.Repeat("m", 4*s.MaxAvatarBytes)
		head := "POST /users HTTP/1.1\r\n" + host + "Content-Type: application/json\r\n"
		for _, raw := range []string{
			head + fmt.Sprintf("Content-Length: %d\r\n\r\n", 1<<50) + more,
			head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(more) + chunk(more),
			head + "Expect: 100-continue\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", 1<<50) + more,
		} {
			answers := s.exchange(t, raw)
			require.Len(t, answers, 1)
			answers[0].refused(t, noCredentials)
		}
	})
}
