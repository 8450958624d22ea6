package apitest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A Client calls the API and holds every response to what all responses have in common. A user that
// it creates is deleted at the end of the test that created it. Its methods end the test if a
// response is not the one that their name promises.
type Client struct {
	Options
	base  string // without a trailing slash
	links string // what absolute links begin with
	http  *http.Client
}

// NewClient returns a client of the API at baseURL. Its connections end with the test.
func NewClient(t *testing.T, baseURL string, o Options) *Client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 32,
		// A test that sends or expects an encoding says so itself.
		DisableCompression: true,
		// Longer than any test waits, so that a body is sent only when the API has asked for it.
		ExpectContinueTimeout: time.Minute,
	}
	if o.Address != "" {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, o.Address)
		}
	}
	t.Cleanup(transport.CloseIdleConnections)
	c := &Client{
		Options: o,
		base:    strings.TrimRight(baseURL, "/"),
		links:   strings.TrimRight(o.PublicURL, "/"),
		http: &http.Client{
			Transport:     transport,
			Timeout:       time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if c.links == "" {
		c.links = c.base
	}
	return c
}

// A User is what the API shows of a user.
type User struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	AvatarURL string `json:"avatar_url"` // "" if there is none
}

// Created is the response to a request that created a user.
type Created struct {
	ID        string `json:"id"`
	AvatarURL string `json:"avatar_url"` // "" if there is none
	Location  string `json:"-"`          // the header
}

// A Response has been read to its end. It prints as status, headers and body.
type Response struct {
	Method string
	Path   string
	Sent   []string // headers of the request that a test gave
	Status int
	Header http.Header
	Body   []byte
	Close  bool // the connection ends with it

	operation string // of the description; empty if it is none
	fault     error  // what is not as described
}

// String returns the response as a failing test prints it.
func (r *Response) String() string {
	var headers strings.Builder
	_ = r.Header.Write(&headers) // in the order of their names; a builder does not fail
	body := string(r.Body[:min(len(r.Body), 2<<10)])
	if !utf8.ValidString(body) {
		body = strconv.Quote(body)
	}
	return fmt.Sprintf("%s %s\n%s\ngot %d %s\n%s\n%s\n(%d bytes)", r.Method, r.Path, strings.Join(r.Sent, "\n"),
		r.Status, http.StatusText(r.Status), &headers, body, len(r.Body))
}

// Do sends a request and returns its response, whatever its status. Each header is one line, "Name:
// value". Without a line for Content-Type there is none; without one for Authorization it is that
// of Options.Token. A body whose length net/http cannot tell is sent in chunks.
func (c *Client) Do(t *testing.T, method, path string, body io.Reader, header ...string) *Response {
	t.Helper()
	r, err := c.send(method, path, body, header...)
	require.NoError(t, err, "%s %s", method, path)
	c.check(t, r)
	return r
}

// send is Do for goroutines, which must not end the test. Their responses are for check.
func (c *Client) send(method, path string, body io.Reader, header ...string) (*Response, error) {
	// Not the context of a test: it has ended when what the test created is removed.
	req, err := http.NewRequestWithContext(context.Background(), method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	r := &Response{Method: method, Path: path}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	replaced := false
	for _, line := range header {
		name, value, ok := strings.Cut(line, ": ")
		switch {
		case !ok:
			return nil, fmt.Errorf("header %q is not of the form “Name: value”", line)
		case name == "Host":
			req.Host = value
		case name == "Authorization" && !replaced:
			req.Header.Del(name)
			replaced = true
		}
		if line != noToken {
			req.Header.Add(name, value)
		}
		if strings.HasPrefix(line, bearer("")) {
			line = bearer("(hidden)") // also half a token is not for a log
		}
		r.Sent = append(r.Sent, c.hide(line))
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	r.Status, r.Header, r.Close = res.StatusCode, res.Header, res.Close
	if r.Body, err = io.ReadAll(res.Body); err != nil {
		return nil, fmt.Errorf("reading the body of %s: %w", r, err)
	}
	r.fault = described().hold(req, r)
	c.Coverage.saw(r)
	return r, nil
}

// noToken in place of a header has a request sent without the token.
const noToken = "Authorization: "

// bearer returns the header that carries a token.
func bearer(token string) string { return "Authorization: Bearer " + token }

// hide takes the tokens out of what a failing test prints, because others may use the API.
func (c *Client) hide(s string) string {
	for _, token := range []string{c.Token, c.ReadToken, c.WriteToken} {
		if token != "" {
			s = strings.ReplaceAll(s, token, "(token)")
		}
	}
	return s
}

// together makes n calls at once and returns their responses.
func (c *Client) together(t *testing.T, n int, call func(i int) (*Response, error)) []*Response {
	t.Helper()
	responses, errs := make([]*Response, n), make([]error, n)
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() { responses[i], errs[i] = call(i) })
	}
	calls.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, r := range responses {
		c.check(t, r)
	}
	return responses
}

// injected is the header that requests try to put into a response.
const injected = "X-Injected"

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// check has a created user removed at the end of the test, also one that should not have been
// created, and holds r to what all responses have in common.
func (c *Client) check(t *testing.T, r *Response) {
	t.Helper()
	if id := r.createdID(); id != "" {
		t.Cleanup(func() {
			gone, err := c.send("DELETE", "/users/"+id, nil)
			if assert.NoError(t, err, "removing what the test created") {
				assert.Contains(t, []int{http.StatusNoContent, http.StatusNotFound}, gone.Status, gone)
			}
		})
	}

	assert.NoError(t, r.fault, r)
	assert.Equal(t, []string{"nosniff"}, r.Header.Values("X-Content-Type-Options"), r)
	assert.Len(t, r.Header.Values("Cache-Control"), 1, r)
	assert.Empty(t, r.Header.Values(injected), r)
	assert.Len(t, r.Header.Values("X-Request-Id"), 1, r)
	assert.Regexp(t, requestID, r.Header.Get("X-Request-Id"), r)
	switch {
	case r.Method == http.MethodHead || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified:
		assert.Empty(t, r.Body, r)
	case r.Status >= 400:
		assert.Equal(t, "application/problem+json", r.mediaType(), r)
		var p struct {
			Title  string
			Status int
		}
		assert.NoError(t, json.Unmarshal(r.Body, &p), r)
		assert.Equal(t, http.StatusText(r.Status), p.Title, r)
		assert.Equal(t, r.Status, p.Status, r)
	}
}

// createdID returns the ID of the user that was created, "" if none was.
func (r *Response) createdID() string {
	var created struct{ ID string }
	if r.Status == http.StatusCreated {
		_ = json.Unmarshal(r.Body, &created) // Created reports what is wrong with it
	}
	return created.ID
}

func (r *Response) mediaType() string {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return mediaType
}

// Is requires r to have this status, and returns r.
func (r *Response) Is(t *testing.T, status int) *Response {
	t.Helper()
	require.Equal(t, status, r.Status, r)
	return r
}

// decode requires r to have this status, and decodes its JSON, which check has held to the schema.
func (r *Response) decode(t *testing.T, status int, to any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(r.Is(t, status).Body, to), r)
}

// Problem requires r to be an error of this status and with this text in its member error. The
// response to HEAD has no text.
func (r *Response) Problem(t *testing.T, status int, text string) {
	t.Helper()
	if r.Method == http.MethodHead {
		r.Is(t, status)
		return
	}
	var p struct{ Error string }
	r.decode(t, status, &p)
	require.Equal(t, text, p.Error, r)
}

// JSON requires r to have this status and this JSON, no more and no less.
func (r *Response) JSON(t *testing.T, status int, want string) {
	t.Helper()
	require.JSONEq(t, want, string(r.Is(t, status).Body), r)
}

// Created requires r to say that a user was created, and returns what it says.
func (r *Response) Created(t *testing.T) Created {
	t.Helper()
	created := Created{Location: r.Header.Get("Location")}
	r.decode(t, http.StatusCreated, &created)
	require.Regexp(t, uuidForm, created.ID, r)
	return created
}

// User requires r to be one user, and returns it.
func (r *Response) User(t *testing.T) (u User) {
	t.Helper()
	r.decode(t, http.StatusOK, &u)
	return u
}

// Users requires r to be an array of users, and returns them.
func (r *Response) Users(t *testing.T) (users []User) {
	t.Helper()
	r.decode(t, http.StatusOK, &users)
	return users
}

// Path returns the path and query of an absolute link in a response, to be called at the client's
// URL: in a cluster the public URL may not lead there from where the test runs.
func (c *Client) Path(t *testing.T, link string) string {
	t.Helper()
	path, ours := strings.CutPrefix(link, c.links)
	require.True(t, ours && strings.HasPrefix(path, "/"), "the link %q does not begin with %s/", link, c.links)
	return path
}

// PostJSON posts a body as application/json.
func (c *Client) PostJSON(t *testing.T, path, body string, header ...string) *Response {
	t.Helper()
	return c.Do(t, "POST", path, strings.NewReader(body), append(header, "Content-Type: application/json")...)
}

// PostForm posts a multipart form.
func (c *Client) PostForm(t *testing.T, path string, parts []Part, header ...string) *Response {
	t.Helper()
	contentType, body := Form(parts...)
	return c.Do(t, "POST", path, bytes.NewReader(body), append(header, "Content-Type: "+contentType)...)
}

// CreateJSON creates a user.
func (c *Client) CreateJSON(t *testing.T, name, email string, header ...string) Created {
	t.Helper()
	return c.PostJSON(t, "/users", object("name", name, "email", email), header...).Created(t)
}

// CreateForm creates a user with an avatar.
func (c *Client) CreateForm(t *testing.T, name, email string, avatar []byte, header ...string) Created {
	t.Helper()
	parts := []Part{Field("name", name), Field("email", email), File("avatar", "avatar", avatar)}
	return c.PostForm(t, "/users", parts, header...).Created(t)
}

// Get returns a user.
func (c *Client) Get(t *testing.T, id string) User {
	t.Helper()
	return c.Do(t, "GET", "/users/"+id, nil).User(t)
}

// List returns every user.
func (c *Client) List(t *testing.T) []User {
	t.Helper()
	return c.Do(t, "GET", "/users", nil).Users(t)
}

// Patch merges a JSON object into a user and returns the user as it then is.
func (c *Client) Patch(t *testing.T, id, object string) User {
	t.Helper()
	return c.Do(t, "PATCH", "/users/"+id, strings.NewReader(object), "Content-Type: application/merge-patch+json").User(t)
}

// Delete deletes a user.
func (c *Client) Delete(t *testing.T, id string) {
	t.Helper()
	c.Do(t, "DELETE", "/users/"+id, nil).Is(t, http.StatusNoContent)
}

// PutAvatar replaces the avatar of a user and returns the user as it then is.
func (c *Client) PutAvatar(t *testing.T, id string, image []byte) User {
	t.Helper()
	return c.Do(t, "PUT", "/users/"+id+"/avatar", bytes.NewReader(image)).User(t)
}

// requireAvatar requires an avatar_url to lead to this image.
func (c *Client) requireAvatar(t *testing.T, avatarURL string, image []byte, contentType string) {
	t.Helper()
	r := c.Do(t, "GET", c.Path(t, avatarURL), nil).Is(t, http.StatusOK)
	assert.Equal(t, image, r.Body, r)
	assert.Equal(t, contentType, r.Header.Get("Content-Type"), r)
}

// A Part is one part of a multipart form. What it says goes out as it is, so that a test can send
// what a library would not.
type Part struct {
	Disposition string // the parameters of Content-Disposition
	Type        string // Content-Type; no such line if empty
	Content     []byte
}

// Field returns a text field.
func Field(name, value string) Part {
	return Part{Disposition: `name="` + name + `"`, Content: []byte(value)}
}

// File returns a file, declared as no type in particular.
func File(name, filename string, content []byte) Part {
	disposition := `name="` + name + `"; filename="` + filename + `"`
	return Part{Disposition: disposition, Type: "application/octet-stream", Content: content}
}

const boundary = "boundary-of-apitest"

// Form returns a multipart form with these parts in this order, and its Content-Type.
func Form(parts ...Part) (contentType string, body []byte) {
	for _, p := range parts {
		body = append(body, "--"+boundary+"\r\nContent-Disposition: form-data; "+p.Disposition+"\r\n"...)
		if p.Type != "" {
			body = append(body, "Content-Type: "+p.Type+"\r\n"...)
		}
		body = append(body, "\r\n"...)
		body = append(body, p.Content...)
		body = append(body, "\r\n"...)
	}
	return "multipart/form-data; boundary=" + boundary, append(body, "--"+boundary+"--\r\n"...)
}

// Marker returns a word that stands nowhere else, to find a user by.
func Marker() string { return strings.ToLower(rand.Text()) }

// Email returns an address that nobody else has.
func Email() string { return Marker() + "@example.com" }

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// unknownID returns a UUID that no user has.
func unknownID() string { return uuid.NewString() }

// object returns a JSON object of names and values that alternate.
func object(namesAndValues ...string) string {
	m := map[string]string{}
	for i := 0; i < len(namesAndValues); i += 2 {
		m[namesAndValues[i]] = namesAndValues[i+1]
	}
	return quote(m)
}

// quote returns v as JSON.
func quote(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and maps of strings do not fail
	}
	return string(raw)
}

// chunked hides from net/http how long a body is.
func chunked(r io.Reader) io.Reader { return io.MultiReader(r) }

// untilListed waits until the list of users is as wanted: it may lag behind what was written. It
// returns that list.
func (c *Client) untilListed(t *testing.T, wanted func([]User) bool) []User {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		users := c.List(t)
		if wanted(users) {
			return users
		}
		require.True(t, time.Now().Before(deadline), "the list stays as it is: %v", users)
	}
}

// requireListed waits until the list has a user as it is here.
func (c *Client) requireListed(t *testing.T, want User) {
	t.Helper()
	c.untilListed(t, func(users []User) bool { return slices.Equal([]User{want}, byID(users, want.ID)) })
}

// byID returns the users of the list with this id.
func byID(users []User, id string) []User {
	return slices.DeleteFunc(slices.Clone(users), func(u User) bool { return u.ID != id })
}

// requireNotStored requires that no user has the marker in name or email.
func (c *Client) requireNotStored(t *testing.T, marker string) {
	t.Helper()
	for _, u := range c.List(t) {
		if strings.Contains(u.Name, marker) || strings.Contains(u.Email, marker) {
			c.Delete(t, u.ID)
			require.Fail(t, "a user was stored that should not have been", "%+v", u)
		}
	}
}
