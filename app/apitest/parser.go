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

func (s *suite) malformed(t *testing.T) {
	host := s.headers()

	// Ensure errors of the parser are problems like every error, and come on a connection that then ends or goes on well.
	for _, row := range []struct {
		what, raw string
		statuses  []int
	}{
		{"a line that is no request", "GARBAGE\r\n" + host + "\r\n", []int{400}},
		{"binary garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},
		{"a request without a path", "GET\r\n" + host + "\r\n", []int{400}},
		{"a header without a colon", "GET /health HTTP/1.1\r\n" + host + "Nonsense\r\n\r\n", []int{400}},
		{"a header without a name", "GET /health HTTP/1.1\r\n" + host + ": x\r\n\r\n", []int{400}},
		{"a space before the colon", "GET /health HTTP/1.1\r\n" + host + "X-Y : x\r\n\r\n", []int{400}},
		{"a NUL in a header", "GET /health HTTP/1.1\r\n" + host + "X-Y: x\x00y\r\n\r\n", []int{400}},
		{"no host", "GET /health HTTP/1.1\r\n\r\n", []int{400}},
		{"two hosts", "GET /health HTTP/1.1\r\n" + host + "Host: other.example\r\n\r\n", []int{400}},
		{"a header above 16 KiB", "GET /health HTTP/1.1\r\n" + host + "X-Y: " + strings.Repeat("x", 17<<10) + "\r\n\r\n", []int{431}},
		{"headers above 16 KiB", "GET /health HTTP/1.1\r\n" + host + strings.Repeat("X-Y: "+strings.Repeat("x", 90)+"\r\n", 200) + "\r\n", []int{431}},
		{"a path above 16 KiB", "GET /" + strings.Repeat("x", 17<<10) + " HTTP/1.1\r\n" + host + "\r\n", []int{414, 431}},
		{"a version of another protocol", "GET /health HTTP/2.0\r\n" + host + "\r\n", []int{505}},
		{"a version that there is not", "GET /health HTTP/9.9\r\n" + host + "\r\n", []int{505}},
		{"a method that nobody knows", "BREW /users HTTP/1.1\r\n" + host + "\r\n", []int{501}},
		{"a method in small letters", "get /users HTTP/1.1\r\n" + host + "\r\n", []int{501}},
		{"a method that nobody knows, on no path", "BREW /nothing HTTP/1.1\r\n" + host + "\r\n", []int{501}},
	} {
		t.Run(row.what+" is refused", func(t *testing.T) {
			answers, _ := s.converse(t, row.raw)
			require.Len(t, answers, 1)
			assert.Contains(t, row.statuses, answers[0].Status, answers[0])
		})
	}

	// Ensure whoever types a request gets a response, and does not wait for a timeout.
	t.Run("lines that end in bare line feeds are refused", func(t *testing.T) {
		for _, raw := range []string{"GET /health HTTP/1.1\nHost: a\n\n", "GET /health HTTP/1.1\r\n" + host + "\n", "GET /health HTTP/1.1\r\nHost: a\n\r\n"} {
			conn := s.dial(t)
			_, err := io.WriteString(conn, raw)
			require.NoError(t, err)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			assert.Equal(t, http.StatusBadRequest, res.StatusCode, "%q", raw)
		}
	})

	// Ensure the bounds are no tighter than they must be.
	t.Run("headers of 15 KiB are read", func(t *testing.T) {
		answers, usable := s.converse(t, "GET /health HTTP/1.1\r\n"+host+"X-Y: "+strings.Repeat("x", 15<<10)+"\r\n\r\n")
		require.Len(t, answers, 1)
		assert.Equal(t, http.StatusOK, answers[0].Status, answers[0])
		assert.True(t, usable, answers[0])
	})

	// Ensure old clients, and those that send ahead, are served.
	t.Run("requests that are well formed are served", func(t *testing.T) {
		answers := s.exchange(t, "GET /health HTTP/1.0\r\n\r\n")
		require.Len(t, answers, 1)
		answers[0].JSON(t, http.StatusOK, `{"status":"ok"}`)

		answers = s.exchange(t, "GET /health HTTP/1.1\r\n"+host+"Connection: close\r\n\r\n")
		require.Len(t, answers, 1)
		answers[0].JSON(t, http.StatusOK, `{"status":"ok"}`)

		answers, usable := s.converse(t, strings.Repeat("GET /health HTTP/1.1\r\n"+host+"\r\n", 3)+"GET /nothing HTTP/1.1\r\n"+host+"\r\n")
		require.Len(t, answers, 4)
		for i, status := range []int{200, 200, 200, 404} {
			assert.Equal(t, status, answers[i].Status, answers[i])
		}
		assert.True(t, usable)
	})

	// Ensure the API answers no more after a malformed request than before it.
	t.Run("the API goes on", func(t *testing.T) {
		s.Do(t, "GET", "/health", nil).JSON(t, http.StatusOK, `{"status":"ok"}`)
	})
}

// expect is about requests with Expect: 100-continue, whose bodies are sent when the API asks for them.
func (s *suite) expect(t *testing.T) {
	nobody := "/users/" + unknownID()
	json := "Content-Type: application/json\r\n"
	user := object("name", "Ann", "email", Email())
	for _, row := range []struct {
		what, line, header string
		status             int // 100: the body is asked for
	}{
		{"a user", "POST /users", json, 100},
		{"a patch", "PATCH " + nobody, json, 100},
		{"an image", "PUT " + nobody + "/avatar", "", 100},
		{"a path that is not there", "POST /nothing", json, 404},
		{"a method that is not allowed", "PUT /users", json, 405},
		{"a method that nobody knows", "BREW /users", json, 501},
		{"an id that is none", "PATCH /users/x", json, 404},
		{"a media type that is refused", "POST /users", "Content-Type: text/plain\r\n", 415},
		{"two media types", "POST /users", json + json, 415},
		{"an encoding that is refused", "POST /users", json + "Content-Encoding: gzip\r\n", 415},
		{"a key that is none", "POST /users", json + "Idempotency-Key: \r\n", 400},
		{"a page of another site", "POST /users", json + "Sec-Fetch-Site: cross-site\r\n", 403},
		{"a condition that does not hold", "PATCH " + nobody, json + "If-Match: \"x\"\r\n", 412},
		{"a body that nobody reads", "DELETE " + nobody, "", 404},
		{"a body on GET", "GET /health", "", 200},
	} {
		for _, length := range []string{"Transfer-Encoding: chunked\r\n", fmt.Sprintf("Content-Length: %d\r\n", len(user))} {
			t.Run(row.what+", "+length, func(t *testing.T) {
				conn := s.dial(t)
				_, err := io.WriteString(conn, row.line+" HTTP/1.1\r\n"+s.headers()+row.header+length+"Expect: 100-continue\r\n\r\n")
				require.NoError(t, err)
				reader := bufio.NewReader(conn)
				res, err := http.ReadResponse(reader, nil)
				require.NoError(t, err)
				require.Equal(t, row.status, res.StatusCode)
				if res.StatusCode == http.StatusContinue {
					return
				}
				require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
				body, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				if res.StatusCode >= 400 {
					assert.Contains(t, string(body), `"error":`)
				}
				_, err = reader.ReadByte()
				assert.ErrorIs(t, err, io.EOF, "the connection ends, since the body may come all the same")
			})
		}
	}
	t.Run("a body that is too large", func(t *testing.T) {
		answers, _ := s.converse(t, "POST /users HTTP/1.1\r\n"+s.headers()+json+"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
		require.Len(t, answers, 1)
		answers[0].Problem(t, http.StatusRequestEntityTooLarge, "Request body is too large")
	})

	// Ensure the body that was asked for is read once, and the connection goes on.
	t.Run("the body is read when it has been asked for", func(t *testing.T) {
		conn := s.dial(t)
		reader := bufio.NewReader(conn)
		for range 2 {
			body := object("name", "Ann", "email", Email())
			_, err := fmt.Fprintf(conn, "POST /users HTTP/1.1\r\n%s%sContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", s.headers(), json, len(body))
			require.NoError(t, err)
			res, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusContinue, res.StatusCode)
			_, err = io.WriteString(conn, body)
			require.NoError(t, err)
			res, err = http.ReadResponse(reader, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusCreated, res.StatusCode)
			location := res.Header.Get("Location")
			_, err = io.Copy(io.Discard, res.Body)
			require.NoError(t, err)
			s.Delete(t, location[strings.LastIndex(location, "/")+1:])
		}
	})
}

// smuggling is about bodies that look like requests. To take one for a request would let a client
// put words into the mouth of the next one on a connection that a proxy shares among them.
func (s *suite) smuggling(t *testing.T) {
	nobody := unknownID()
	for _, row := range []struct {
		what, line, header string
		statuses           []int
	}{
		{"a path that is not there", "POST /nothing", "", []int{404}},
		{"a method that is not allowed", "PUT /users", "", []int{405}},
		{"OPTIONS", "OPTIONS /users", "", []int{405}},
		{"a media type that is refused", "POST /users", "Content-Type: text/plain\r\n", []int{415}},
		{"a media type that is refused, asking first", "POST /users", "Content-Type: text/plain\r\nExpect: 100-continue\r\n", []int{415}},
		{"a path that is not there, asking first", "POST /nothing", "Expect: 100-continue\r\n", []int{404}},
		{"an encoding that is refused", "POST /user", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", []int{415}},
		{"a key that is refused", "POST /user", "Content-Type: application/json\r\nIdempotency-Key: \r\n", []int{400}},
		{"a body that is no JSON", "POST /users", "Content-Type: application/json\r\n", []int{400, 413}},
		{"a body that is no form", "POST /users", "Content-Type: multipart/form-data; boundary=x\r\n", []int{400}},
		{"a form without a boundary", "POST /users", "Content-Type: multipart/form-data\r\n", []int{400}},
		{"a patch of nobody", "PATCH /users/" + nobody, "Content-Type: application/merge-patch+json\r\n", []int{400, 404, 413}},
		{"an avatar for nobody", "PUT /users/" + nobody + "/avatar", "", []int{404, 413, 415}},
		{"an id that is none", "PUT /users/x/avatar", "", []int{404, 413, 415}},
		{"a body on DELETE", "DELETE /users/" + nobody, "", []int{400, 404}},
		{"a body on GET", "GET /health", "", []int{200, 400}},
		{"a body on GET of a list", "GET /users?limit=0", "", []int{400}},
		{"a method that nobody knows", "BREW /users", "", []int{501}},
	} {
		head := row.line + " HTTP/1.1\r\n" + s.headers() + row.header
		// Longer than any buffer that a body is read through, longer than what JSON may be, and longer than what fasthttp still reads of a body that is left.
		for what, padding := range map[string]string{"": "", " behind 4 KiB": strings.Repeat("p", 4<<10), " behind 100 KiB": strings.Repeat("p", 100<<10), " behind 300 KiB": strings.Repeat("p", 300<<10)} {
			// Ensure the body of a request that is answered before it has been read is never taken for the next request.
			t.Run(row.what+what+" does not let its body be served", func(t *testing.T) {
				answer := s.smuggle(t, func(inner string) string {
					return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s%s", head, len(padding)+len(inner), padding, inner)
				})
				assert.Contains(t, row.statuses, answer.Status, answer)
				answer = s.smuggle(t, func(inner string) string {
					return head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(padding+inner) + chunk(inner) + "0\r\n\r\n"
				})
				assert.Contains(t, row.statuses, answer.Status, answer)
			})
		}
	}

	post := "POST /users HTTP/1.1\r\n" + s.headers() + "Content-Type: application/json\r\n"
	get := "GET /health HTTP/1.1\r\n" + s.headers()
	hex := func(s string) string { return fmt.Sprintf("%x", len(s)) }
	for _, row := range []struct {
		what string
		raw  func(inner string) string
	}{
		{"two lengths that differ", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: 0\r\nContent-Length: %d\r\n\r\n%s", post, len(inner), inner)
		}},
		{"two lengths that differ, the longer first", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: %d\r\nContent-Length: 0\r\n\r\n%s", post, len(inner), inner)
		}},
		{"two lengths that are the same", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: %[2]d\r\nContent-Length: %[2]d\r\n\r\n%s", post, len(inner), inner)
		}},
		{"a list of lengths", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: 0, %d\r\n\r\n%s", post, len(inner), inner)
		}},
		{"a length with a sign", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: +%d\r\n\r\n%s", post, len(inner), inner)
		}},
		{"a negative length", func(inner string) string { return post + "Content-Length: -1\r\n\r\n" + inner }},
		{"a length that is no number", func(inner string) string { return post + "Content-Length: 0x0\r\n\r\n" + inner }},
		{"an empty length", func(inner string) string { return post + "Content-Length: \r\n\r\n" + inner }},
		{"a length that overflows", func(inner string) string { return post + "Content-Length: 18446744073709551616\r\n\r\n" + inner }},
		{"a length with a space before the colon", func(inner string) string {
			return fmt.Sprintf("%sContent-Length : %d\r\n\r\n%s", post, len(inner), inner)
		}},
		{"chunks and a length behind them", func(inner string) string {
			return fmt.Sprintf("%sTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n%s", post, len("0\r\n\r\n")+len(inner), inner)
		}},
		{"a length and chunks behind it", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", post, inner)
		}},
		{"chunks and a length on GET", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", get, len("0\r\n\r\n")+len(inner), inner)
		}},
		{"chunks and a length, with a space before the colon", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: %d\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n%s", post, len("0\r\n\r\n")+len(inner), inner)
		}},
		{"chunks and a length, folded", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: %d\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n%s", post, len("0\r\n\r\n")+len(inner), inner)
		}},
		{"chunks and a length behind a bare carriage return", func(inner string) string {
			return fmt.Sprintf("%sContent-Length: %d\r\nX-Y: x\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", post, len("0\r\n\r\n")+len(inner), inner)
		}},
		{"chunks twice", func(inner string) string {
			return post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(inner) + "0\r\n\r\n"
		}},
		{"an encoding of transfer that nobody knows", func(inner string) string {
			return fmt.Sprintf("%sTransfer-Encoding: xchunked\r\nContent-Length: %d\r\n\r\n%s", post, len(inner), inner)
		}},
		{"an encoding of transfer that is not chunked", func(inner string) string {
			return fmt.Sprintf("%sTransfer-Encoding: identity\r\nContent-Length: %d\r\n\r\n%s", post, len(inner), inner)
		}},
		{"chunks that are not the last encoding", func(inner string) string {
			return post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner
		}},
		{"chunks of HTTP/1.0", func(inner string) string {
			return strings.Replace(post, "HTTP/1.1", "HTTP/1.0", 1) + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner
		}},
		{"a folded header", func(inner string) string {
			return fmt.Sprintf("%sX-Y: x\r\n Content-Length: 0\r\nContent-Length: %d\r\n\r\n%s", post, len(inner), inner)
		}},
		{"a folded first header", func(inner string) string {
			return fmt.Sprintf("POST /users HTTP/1.1\r\n X-Y: x\r\n%sContent-Length: %d\r\n\r\n%s", s.headers(), len(inner), inner)
		}},
		{"a chunk with an extension", func(inner string) string {
			return post + "Transfer-Encoding: chunked\r\n\r\n" + hex(inner) + ";x=y\r\n" + inner + "\r\n0;last\r\n\r\n"
		}},
		{"a chunk with an extension that has a line feed", func(inner string) string {
			return post + "Transfer-Encoding: chunked\r\n\r\n" + hex(inner) + ";\n" + inner + "\r\n0\r\n\r\n"
		}},
		{"a chunk with a size that is negative", func(inner string) string {
			return post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + inner + "\r\n0\r\n\r\n"
		}},
		{"a chunk with a size of another base", func(inner string) string {
			return post + "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + inner
		}},
		{"a chunk with a size that overflows", func(inner string) string {
			return post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n" + inner + "\r\n0\r\n\r\n"
		}},
		{"a chunk that is longer than its size", func(inner string) string {
			return post + "Transfer-Encoding: chunked\r\n\r\n1\r\nxx0\r\n\r\n" + inner
		}},
		{"a chunk without a size", func(inner string) string {
			return post + "Transfer-Encoding: chunked\r\n\r\n\r\n\r\n" + inner
		}},
		{"a trailer that is a length", func(inner string) string {
			return post + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n" + chunk(inner) + "0\r\nContent-Length: 0\r\n\r\n"
		}},
	} {
		// Ensure there is one reading of where a request ends, or none.
		t.Run(row.what+" makes one answer and no more", func(t *testing.T) {
			answer := s.smuggle(t, row.raw)
			assert.Contains(t, []int{200, 400, 501, 505}, answer.Status, answer)
		})
	}

	// Ensure the care taken with bodies does not cost those who send good ones.
	t.Run("what is well formed is served once and the connection goes on", func(t *testing.T) {
		body := object("name", "Ann", "email", Email())
		for what, raw := range map[string]string{
			"length":    fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(body), body),
			"chunks":    post + "Transfer-Encoding: chunked\r\n\r\n" + chunk(body[:9]) + chunk(body[9:]) + "0\r\n\r\n",
			"extension": post + "Transfer-Encoding: chunked\r\n\r\n" + hex(body) + ";x=y\r\n" + body + "\r\n0\r\n\r\n",
			"trailer":   post + "Transfer-Encoding: chunked\r\n\r\n" + chunk(body) + "0\r\nX-Y: x\r\n\r\n",
		} {
			t.Run(what, func(t *testing.T) {
				answers, usable := s.converse(t, raw)
				require.Len(t, answers, 1)
				answers[0].Created(t)
				assert.True(t, usable, answers[0])
			})
		}
	})
}

// smuggle sends a request in which inner stands for another, which deletes a user, and requires at
// most one answer, and the user to be there still.
func (s *suite) smuggle(t *testing.T, raw func(inner string) string) *Response {
	t.Helper()
	const innerID = "inner-request"
	victim := s.CreateJSON(t, "Ann", Email()).ID
	answers, _ := s.converse(t, raw("DELETE /users/"+victim+" HTTP/1.1\r\n"+s.headers()+"X-Request-Id: "+innerID+"\r\n\r\n"))
	for _, r := range answers {
		assert.NotEqual(t, innerID, r.Header.Get("X-Request-Id"), r)
	}
	s.Get(t, victim)
	require.Len(t, answers, 1)
	return answers[0]
}

func (s *suite) brokenOff(t *testing.T) {
	marker := Marker()
	email := marker + "@example.com"
	json := object("name", marker, "email", email)
	contentType, form := Form(Field("name", marker), Field("email", email), File("avatar", "a.png", PNG(2, 2)))
	head := func(line, contentType, framing string) string {
		return line + " HTTP/1.1\r\n" + s.headers() + "Content-Type: " + contentType + "\r\n" + framing + "\r\n\r\n"
	}

	// Ensure what has not wholly arrived is not stored, even where it would do.
	for what, raw := range map[string]string{
		"JSON one byte short":         head("POST /users", "application/json", fmt.Sprintf("Content-Length: %d", len(json)+1)) + json,
		"JSON cut":                    head("POST /user", "application/json", fmt.Sprintf("Content-Length: %d", len(json))) + json[:len(json)-5],
		"JSON without a last chunk":   head("POST /users", "application/json", "Transfer-Encoding: chunked") + chunk(json),
		"JSON in half a chunk":        head("POST /user", "application/json", "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n", len(json)+10) + json,
		"a form one byte short":       head("POST /users", contentType, fmt.Sprintf("Content-Length: %d", len(form)+1)) + string(form),
		"a form cut in its avatar":    head("POST /user", contentType, fmt.Sprintf("Content-Length: %d", len(form))) + string(form[:len(form)-60]),
		"a form without a last chunk": head("POST /users", contentType, "Transfer-Encoding: chunked") + chunk(string(form)),
		"a urlencoded form cut":       head("POST /users", "application/x-www-form-urlencoded", "Content-Length: 1000") + "name=" + marker + "&email=" + email,
		"a header cut":                "POST /users HTTP/1.1\r\n" + s.headers() + "Content-Type: appl",
		"nothing but a connection":    "",
	} {
		t.Run(what+" is not stored", func(t *testing.T) {
			for _, r := range s.exchange(t, raw) {
				assert.Contains(t, []int{http.StatusBadRequest, http.StatusRequestTimeout}, r.Status, r)
			}
			s.requireNotStored(t, marker)
		})
	}

	// Ensure the same for what replaces something.
	t.Run("an avatar and a patch that break off change nothing", func(t *testing.T) {
		id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
		before := s.Get(t, id)
		image := string(PNG(3, 3))
		for _, raw := range []string{
			head("PUT /users/"+id+"/avatar", "image/png", fmt.Sprintf("Content-Length: %d", len(image)+1)) + image,
			head("PUT /users/"+id+"/avatar", "image/png", "Transfer-Encoding: chunked") + chunk(image),
			head("PUT /users/"+id+"/avatar", contentType, fmt.Sprintf("Content-Length: %d", len(form)+1)) + string(form),
			head("PATCH /users/"+id, "application/json", fmt.Sprintf("Content-Length: %d", len(json)+1)) + json,
			head("PATCH /users/"+id, "application/json", "Transfer-Encoding: chunked") + chunk(json),
		} {
			for _, r := range s.exchange(t, raw) {
				assert.Contains(t, []int{http.StatusBadRequest, http.StatusRequestTimeout}, r.Status, r)
			}
		}
		assert.Equal(t, before, s.Get(t, id))
		stored, _ := s.Avatar(t, before.AvatarURL)
		assert.Equal(t, PNG(2, 2), stored)
	})
}

func (s *suite) slow(t *testing.T) {
	marker := Marker()
	body := object("name", marker, "email", marker+"@example.com")
	contentType, form := Form(Field("name", marker), Field("email", marker+"@example.com"))
	head := func(line string) string { return line + " HTTP/1.1\r\n" + s.headers() }
	id := s.CreateJSON(t, "Ann", Email()).ID
	post := head("POST /users") + "Content-Type: application/json\r\n"

	// A client sends start at once. Behind it comes drip, again and again, or nothing.
	type client struct {
		what, start, drip string
		cut               bool // the API may end the connection without a word
		conn              net.Conn
	}
	clients := []*client{
		{what: "a body that does not come", start: post + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body)+1, body)},
		{what: "a chunk that does not come", start: post + "Transfer-Encoding: chunked\r\n\r\n" + chunk(body)},
		{what: "a form that does not come", start: head("POST /user") + fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, len(form)+1, form)},
		{what: "an avatar that does not come", start: head("PUT /users/"+id+"/avatar") + "Content-Length: 1000\r\n\r\n" + string(PNG(1, 1))},
		{what: "a patch that does not come", start: head("PATCH /users/"+id) + "Content-Length: 1000\r\n\r\n" + body},
		{what: "a body that drips", start: post + "Content-Length: 60000\r\n\r\n" + body, drip: " "},
		{what: "chunks that drip", start: post + "Transfer-Encoding: chunked\r\n\r\n" + chunk(body), drip: chunk(" ")},
		{what: "a request line that does not come", start: "GET /hea", cut: true},
		{what: "a header that does not come", start: head("GET /health") + "X-Y: ", cut: true},
		{what: "a header that drips", start: head("GET /health") + "X-Y: ", drip: "x", cut: true},
		{what: "headers that drip", start: head("GET /health"), drip: "X: y\r\n", cut: true},
	}
	for _, c := range clients { // all at once, so that their time is spent once
		c.conn = s.dial(t)
		go func() {
			for _, err := io.WriteString(c.conn, c.start); err == nil && c.drip != ""; _, err = io.WriteString(c.conn, c.drip) {
				time.Sleep(s.ReadTimeout / 100)
			}
		}()
	}
	for _, c := range clients {
		// Ensure a client cannot hold a connection by sending no end of a request, neither by a pause nor little by little.
		t.Run(c.what+" ends the connection", func(t *testing.T) {
			method, _, _ := strings.Cut(c.start, " ")
			answers := s.readAnswers(t, c.conn, method, c.start)
			if c.cut && len(answers) == 0 {
				return
			}
			require.Len(t, answers, 1)
			assert.Equal(t, http.StatusRequestTimeout, answers[0].Status, answers[0])
		})
	}

	// Ensure none of it has been taken for a request.
	t.Run("nothing of it is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
		assert.Equal(t, "Ann", s.Get(t, id).Name)
	})
}

// host returns what a request to the API says in Host.
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

// dial opens a connection that sends what no client of HTTP would.
func (c *Client) dial(t *testing.T) net.Conn {
	t.Helper()
	base, err := url.Parse(c.base)
	require.NoError(t, err)
	port := base.Port()
	if port == "" {
		port = base.Scheme // net knows the ports of http and https
	}
	address := net.JoinHostPort(base.Hostname(), port)
	ctx, cancel := context.WithTimeout(context.Background(), rawTimeout)
	defer cancel()
	var conn net.Conn
	if base.Scheme == "https" {
		conn, err = (&tls.Dialer{}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(rawTimeout)))
	return conn
}

// exchange sends raw on a connection of its own, ends its side of it, and returns all answers.
func (c *Client) exchange(t *testing.T, raw string) []*Response {
	t.Helper()
	conn := c.dial(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// The API may have ended the connection in the middle, and rightly so.
		_, _ = io.WriteString(conn, raw)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	method, _, _ := strings.Cut(raw, " ")
	answers := c.readAnswers(t, conn, method, raw)
	conn.Close()
	<-sent
	return answers
}

// converse is exchange of raw and, behind it, a request that is known to be good. It returns the
// answers to raw, and whether the good request was answered as well. Where it was not, the last
// answer must say that the connection ends: a client would lose its next request on it otherwise.
func (c *Client) converse(t *testing.T, raw string) (answers []*Response, usable bool) {
	t.Helper()
	const id = "the-request-behind"
	answers = c.exchange(t, raw+"GET /health HTTP/1.1\r\n"+c.headers()+"X-Request-Id: "+id+"\r\nConnection: close\r\n\r\n")
	if n := len(answers); n > 0 && answers[n-1].Header.Get("X-Request-Id") == id {
		answers[n-1].JSON(t, http.StatusOK, `{"status":"ok"}`)
		return answers[:n-1], true
	} else if n > 0 {
		assert.True(t, answers[n-1].Close, "a connection that is not kept, and an answer that does not say so: %s", answers[n-1])
	}
	return answers, false
}

// readAnswers reads answers until the connection ends. The first is to a request of this method.
func (c *Client) readAnswers(t *testing.T, conn io.Reader, method, raw string) []*Response {
	t.Helper()
	var answers []*Response
	for in := bufio.NewReader(conn); ; {
		if _, err := in.Peek(1); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return answers
		} else if err != nil {
			require.NoError(t, err, "waiting for an answer or the end of the connection, after %v", answers)
		}
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		require.NoError(t, err, "what came is no answer, after %v", answers)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err, "the body of an answer has no end, after %v", answers)
		if res.StatusCode == http.StatusContinue {
			continue
		}
		r := &Response{Method: method, Path: fmt.Sprintf("(raw) %.300q", c.hide(raw)), Status: res.StatusCode, Header: res.Header, Body: body, Close: res.Close}
		if len(answers) == 0 {
			r.fault = described().holdRaw(raw, r)
			c.Coverage.saw(r)
		}
		c.check(t, r)
		answers = append(answers, r)
		method = http.MethodGet
	}
}
