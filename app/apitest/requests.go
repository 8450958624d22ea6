package apitest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

//go:embed testdata
var testdata embed.FS

// A rawCase is a request as it is written into a file of testdata/requests, and what the API must
// respond. README.md in that folder describes the format.
type rawCase struct {
	name, request string
	value         string // that is in the place of «each», or the only one
	statuses      []int  // one of which is expected; 0 is for no response
	text          string // the member error of the response, or the name of the user that it creates
	usable        bool   // whether the connection must be usable afterwards
	cut           bool   // whether nothing follows the request
}

// archive reads a file of testdata.
func archive(t *testing.T, name string) []txtar.File {
	t.Helper()
	data, err := testdata.ReadFile("testdata/" + name + ".txtar")
	require.NoError(t, err)
	files := txtar.Parse(data).Files
	require.NotEmpty(t, files, name)
	return files
}

// rawCases reads a file of testdata/requests. A case with «each» is one for each value.
func (s *suite) rawCases(t *testing.T, name string, values map[string]string) []rawCase {
	t.Helper()
	var cases []rawCase
	var ofAll []string
	for _, file := range archive(t, "requests/"+name) {
		if file.Name == "each" {
			ofAll = lines(t, string(file.Data), values)
			continue
		}
		request, rest, ok := strings.Cut("\n"+string(file.Data), "\n=> ")
		require.True(t, ok, "%s: %s expects nothing", name, file.Name)
		expected, rows, _ := strings.Cut(rest, "\n")
		c := rawCase{name: file.Name}
		expected, c.usable = strings.CutSuffix(expected, " (usable)")
		expected, c.text, _ = strings.Cut(expand(t, expected, values), " ")
		for status := range strings.SplitSeq(expected, "|") {
			number, err := strconv.Atoi(status)
			require.NoError(t, err, "%s: %s", name, file.Name)
			c.statuses = append(c.statuses, number)
		}
		each := lines(t, rows, values)
		if len(each) == 0 {
			each = ofAll
		}
		request, _, c.cut = strings.Cut(expand(t, crlf(strings.TrimPrefix(request, "\n")), values), "«cut»")
		if !strings.Contains(request, "«each»") {
			c.request, c.value = request, append(each, "")[0]
			cases = append(cases, c)
			continue
		}
		require.NotEmpty(t, each, "%s: %s", name, file.Name)
		for _, c.value = range each {
			c.name = fmt.Sprintf("%s/%.60q", file.Name, c.value)
			c.request = strings.ReplaceAll(request, "«each»", c.value)
			cases = append(cases, c)
		}
	}
	return cases
}

// crlf ends lines as HTTP does. A line feed at the end of a body is the file's own.
func crlf(text string) string {
	if !strings.HasSuffix(text, "\n") && strings.Contains(text, "\n\n") {
		return strings.ReplaceAll(text, "\n", "\r\n")
	}
	return strings.ReplaceAll(text+"\n", "\n", "\r\n")
}

// lines returns the lines of a text, expanded.
func lines(t *testing.T, text string, values map[string]string) []string {
	t.Helper()
	var all []string
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if line != "" {
			all = append(all, expand(t, line, values))
		}
	}
	return all
}

var placeholder = regexp.MustCompile(`«(?:(\d+)×)?([^»]*)»`)

// expand replaces each placeholder: «name» by its value, «"text"» by what it is in Go, and
// «3×"text"» by three of it. «each», «length» and «cut» are left as they are.
func expand(t *testing.T, text string, values map[string]string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(text, func(whole string) string {
		match := placeholder.FindStringSubmatch(whole)
		if match[2] == "each" || match[2] == "length" || match[2] == "cut" {
			return whole
		}
		value, known := values[match[2]]
		if !known {
			var err error
			value, err = strconv.Unquote(match[2])
			require.NoError(t, err, "the placeholder %s", whole)
		}
		if match[1] != "" {
			times, err := strconv.Atoi(match[1])
			require.NoError(t, err)
			return strings.Repeat(value, times)
		}
		return value
	})
}

// A victim is a user that the requests of a file are about, and that must be unchanged afterwards.
type victim struct {
	User
	marker string // which no user may have in the name or email
}

// victim creates a user with an avatar and returns the placeholders that stand for it.
func (s *suite) victim(t *testing.T) (v victim, values map[string]string) {
	t.Helper()
	created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
	v = victim{User: s.Get(t, created.ID), marker: Marker()}
	inner := "DELETE /users/" + v.ID + " HTTP/1.1\r\n" + s.headers() + "\r\n"
	return v, map[string]string{
		"id": v.ID, "ID": strings.ToUpper(v.ID), "nobody": unknownID(), "v": query(t, v.AvatarURL).Get("v"),
		"marker": v.marker, "host": s.host(), "headers": s.headers(), "token": s.headersOf(""), "png": string(PNG(3, 3)),
		"etag":  s.Do(t, "GET", "/users/"+v.ID+"/avatar", nil).Header.Get("Etag"),
		"inner": inner, "inner size": fmt.Sprintf("%x", len(inner)), "bomb": bomb(),
		"name": part("name", v.marker), "email": part("email", v.marker+"@example.com"),
		"avatar":  part(`avatar"; filename="a.png`, string(PNG(3, 3))),
		"without": s.CreateJSON(t, "Ann", Email()).ID,
	}
}

// part returns a part of a form whose boundary is b.
func part(name, content string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content + "\r\n"
}

// bomb is 8 MiB in a few kilobytes.
var bomb = sync.OnceValue(func() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(make([]byte, 8<<20)) // a buffer does not fail
	_ = w.Close()
	return b.String()
})

// requireUnchanged requires a user and its avatar to be as they were, and nothing to be stored.
func (s *suite) requireUnchanged(t *testing.T, v victim) {
	t.Helper()
	t.Run("nothing has changed", func(t *testing.T) {
		s.requireNotStored(t, v.marker)
		assert.Equal(t, v.User, s.Get(t, v.ID))
		s.requireAvatar(t, v.AvatarURL, PNG(2, 2), "image/png")
	})
}

// requests sends the requests of a file in testdata/requests, each on a connection of its own. Each
// must get one response, the one that is expected, and none may change or store anything but what a
// 201 says.
func (s *suite) requests(file string) func(t *testing.T) {
	return func(t *testing.T) {
		v, values := s.victim(t)
		for _, c := range s.rawCases(t, file, values) {
			t.Run(c.name, func(t *testing.T) { s.requireResponse(t, c) })
		}
		s.requireUnchanged(t, v)
	}
}

// requireResponse sends a request in each of its forms and requires what its case expects.
func (s *suite) requireResponse(t *testing.T, c rawCase) {
	t.Helper()
	for _, raw := range s.complete(c.request) {
		send := s.converse
		if c.cut {
			send = func(t *testing.T, raw string) ([]*Response, bool) { return s.exchange(t, raw), false }
		}
		responses, usable := send(t, raw)
		if len(responses) == 0 && slices.Contains(c.statuses, 0) {
			continue
		}
		require.Len(t, responses, 1, "%.300q", raw)
		r := responses[0]
		require.Contains(t, c.statuses, r.Status, r)
		switch {
		case r.Status == http.StatusCreated:
			u := s.Get(t, r.Created(t).ID)
			assert.Equal(t, c.text, u.Name)
			assert.NotContains(t, raw, u.ID)
			hasAvatar := strings.Contains(c.request, string(PNG(3, 3)))
			require.Equal(t, hasAvatar, u.AvatarURL != "", "%+v", u)
			if hasAvatar {
				s.requireHarmless(t, s.Do(t, "GET", s.Path(t, u.AvatarURL), nil), PNG(3, 3), "image/png")
			}
		case c.text != "":
			r.Problem(t, r.Status, c.text)
		case r.Status == http.StatusOK && r.mediaType() == "image/png" && r.Method == http.MethodGet:
			s.requireHarmless(t, r, PNG(2, 2), "image/png")
		}
		for name, values := range r.Header {
			assert.NotContains(t, strings.Join(values, ""), injected, "%s: %s", name, r)
		}
		assert.NotContains(t, string(r.Body), injected, r)
		if c.usable {
			assert.True(t, usable, r)
		}
	}
}

var bareLine = regexp.MustCompile(`^[A-Z]+ /\S*\r\n`)

// complete returns the requests that a text stands for. One that begins with lines of a method and
// a target is a request for each of them, with the headers that every request has; its body, if
// there is one, is sent with its length and in chunks. Any other text is a request as it is.
func (s *suite) complete(text string) []string {
	var targets []string
	for bareLine.MatchString(text) {
		target, rest, _ := strings.Cut(text, "\r\n")
		targets, text = append(targets, target), rest
	}
	head, body, _ := strings.Cut("\r\n"+text, "\r\n\r\n")
	head = strings.TrimSuffix(strings.TrimPrefix(head, "\r\n"), "\r\n")
	if len(targets) == 0 {
		return []string{strings.ReplaceAll(text, "«length»", strconv.Itoa(len(body)))}
	}
	if head != "" {
		head += "\r\n"
	}
	framings := []string{head + "\r\n"}
	if body != "" {
		framings = []string{
			fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body),
			head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(body[:len(body)/2]) + chunk(body[len(body)/2:]) + "0\r\n\r\n",
		}
	}
	var all []string
	for _, target := range targets {
		for _, framing := range framings {
			all = append(all, target+" HTTP/1.1\r\n"+s.headers()+framing)
		}
	}
	return all
}

// list returns the lines of a section of testdata/values.txtar.
func list(t *testing.T, section string) []string {
	t.Helper()
	files := archive(t, "values")
	at := slices.IndexFunc(files, func(f txtar.File) bool { return f.Name == section })
	require.GreaterOrEqual(t, at, 0, section)
	return lines(t, string(files[at].Data), map[string]string{"long email": longEmail("x"), "marker": Marker()})
}
