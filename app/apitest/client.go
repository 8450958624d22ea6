package apitest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A Client calls the API and holds every answer to what all answers have in common. A user that it
// creates is deleted at the end of the test that created it. Its methods end the test where an
// answer is not the one that their name promises.
type Client struct {
	Options
	base  string // without a trailing slash
	links string // what absolute links in answers begin with
	http  *http.Client

	deleted sync.Map // paths of users
}

// NewClient returns a client of the API at baseURL. Its connections are closed at the end of the test.
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
		Options: o.withDefaults(),
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
	ID        string
	Name      string
	Email     string
	AvatarURL string // "" where there is none
}

// Created is the answer to a request that created a user.
type Created struct {
	ID        string
	AvatarURL string // "" where there is none
	Location  string // the header of that name
}

// A Response is an answer that has been read to its end. It prints as status, headers and body.
type Response struct {
	Method string
	Path   string
	Sent   []string // headers of the request that a test gave
	Status int
	Header http.Header
	Body   []byte
	Close  bool // the connection ends with it

	operation string // of the description; empty where it is none
	fault     error  // what is not as described
}

// String returns the answer as a failing test prints it.
func (r *Response) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.Path)
	for _, line := range r.Sent {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintf(&b, "was answered %d %s\n", r.Status, http.StatusText(r.Status))
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	const shown = 2 << 10
	body := r.Body
	if len(body) > shown {
		body = body[:shown]
	}
	if utf8.Valid(body) {
		fmt.Fprintf(&b, "\n%s", body)
	} else {
		fmt.Fprintf(&b, "\n%q", body)
	}
	if len(r.Body) > shown {
		fmt.Fprintf(&b, "… (%d bytes)", len(r.Body))
	}
	return b.String()
}

// Do sends a request and returns its answer, whatever its status. Each header is one line, "Name:
// value". Without a line for Content-Type there is none; without one for Authorization it is that of
// Options.Token. A body whose length net/http cannot tell is sent in chunks.
func (c *Client) Do(t *testing.T, method, path string, body io.Reader, header ...string) *Response {
	t.Helper()
	r, err := c.send(method, path, body, header...)
	require.NoError(t, err, "%s %s", method, path)
	c.check(t, r)
	return r
}

// send is Do for goroutines, which must not end the test. Their answers are for check.
func (c *Client) send(method, path string, body io.Reader, header ...string) (*Response, error) {
	// In memory, where it can be read twice: to be sent, and to be held against the description.
	var sent []byte
	if body != nil {
		var err error
		if sent, err = io.ReadAll(body); err != nil {
			return nil, err
		}
		switch body.(type) {
		case *bytes.Reader, *strings.Reader:
			body = bytes.NewReader(sent)
		default:
			body = chunked(bytes.NewReader(sent))
		}
	}
	// Not the context of a test: it has ended when what the test created is removed.
	req, err := http.NewRequestWithContext(context.Background(), method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.Token != "" && !slices.ContainsFunc(header, func(line string) bool { return strings.HasPrefix(line, "Authorization: ") }) {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	beyond := slices.Contains(header, Beyond)
	header = slices.DeleteFunc(slices.Clone(header), func(line string) bool { return line == Beyond })
	for _, line := range header {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("header %q is not of the form “Name: value”", line)
		}
		if line == noToken {
			continue
		}
		if name == "Host" {
			req.Host = value
		}
		req.Header.Add(name, value)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	shown := slices.Clone(header)
	for i, line := range shown {
		if strings.HasPrefix(line, bearer("")) { // also half a token is not for a log
			shown[i] = bearer("(hidden)")
		}
		shown[i] = c.hide(shown[i])
	}
	r := &Response{Method: method, Path: path, Sent: shown, Status: res.StatusCode, Header: res.Header, Close: res.Close}
	if r.Body, err = io.ReadAll(res.Body); err != nil {
		return nil, fmt.Errorf("reading the body of %s: %w", r, err)
	}
	r.fault = described().hold(req, sent, beyond, r)
	c.Coverage.saw(r)
	return r, nil
}

// noToken in place of a header has a request sent without the token.
const noToken = "Authorization: "

// bearer returns the header that carries a token.
func bearer(token string) string { return "Authorization: Bearer " + token }

// hide takes the tokens out of what a failing test prints: they may be those of an API that others use.
func (c *Client) hide(s string) string {
	for _, token := range []string{c.Token, c.ReadToken, c.WriteToken} {
		if token != "" {
			s = strings.ReplaceAll(s, token, "(token)")
		}
	}
	return s
}

// together makes n calls at once and returns their answers.
func (c *Client) together(t *testing.T, n int, call func(i int) (*Response, error)) []*Response {
	t.Helper()
	responses, errs := make([]*Response, n), make([]error, n)
	start := make(chan struct{})
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			<-start
			responses[i], errs[i] = call(i)
		})
	}
	close(start)
	calls.Wait()
	for _, r := range responses {
		if r != nil {
			c.check(t, r)
		}
	}
	require.NoError(t, errors.Join(errs...))
	return responses
}

// injected is a header that no answer has. Tests that try to put one of their own into an answer
// call it so.
const injected = "X-Injected"

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// check has a created user removed at the end of the test, also one that should not have been
// created, and holds r to what all answers have in common.
func (c *Client) check(t *testing.T, r *Response) {
	t.Helper()
	if r.Method == http.MethodDelete && r.Status == http.StatusNoContent {
		c.deleted.Store(r.Path, true)
	}
	if id := r.createdID(); id != "" {
		path := "/users/" + id
		c.deleted.Delete(path) // an idempotency key leads to the same id again
		t.Cleanup(func() {
			if _, done := c.deleted.Load(path); done {
				return
			}
			gone, err := c.send("DELETE", path, nil)
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
		assert.NoError(t, r.problem(), r)
	}
}

func (r *Response) createdID() string {
	if r.Status != http.StatusCreated {
		return ""
	}
	var created struct{ ID string }
	_ = json.Unmarshal(r.Body, &created) // Created reports what is wrong with it
	return created.ID
}

// problem returns what makes r no problem details of RFC 9457 in the API's form.
func (r *Response) problem() error {
	if got := r.mediaType(); got != "application/problem+json" {
		return fmt.Errorf("Content-Type %q is not application/problem+json", got)
	}
	var p map[string]any
	if err := json.Unmarshal(r.Body, &p); err != nil {
		return err
	}
	for name, value := range p {
		switch s, isString := value.(string); name {
		case "type":
			if s != "about:blank" {
				return fmt.Errorf("type is %v", value)
			}
		case "title":
			if s != http.StatusText(r.Status) {
				return fmt.Errorf("title is %v, not the status's text", value)
			}
		case "status":
			if value != float64(r.Status) {
				return fmt.Errorf("status is %v", value)
			}
		case "dependencies": // of /readyz
			if r.operation != "getReadiness" {
				return errors.New("dependencies is not for this answer")
			}
		case "error", "detail":
			if !isString || s == "" {
				return fmt.Errorf("%s is %v", name, value)
			}
		default:
			return fmt.Errorf("unknown member %s", name)
		}
	}
	for _, name := range []string{"type", "title", "status", "error"} {
		if _, ok := p[name]; !ok {
			return fmt.Errorf("member %s is missing", name)
		}
	}
	return nil
}

func (r *Response) mediaType() string {
	// A parameter such as charset is no matter of the contract.
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return mediaType
}

// Problem requires r to be an error of this status and with this text in its member error.
func (r *Response) Problem(t *testing.T, status int, text string) {
	t.Helper()
	require.Equal(t, status, r.Status, r)
	var p struct{ Error string }
	require.NoError(t, json.Unmarshal(r.Body, &p), r)
	require.Equal(t, text, p.Error, r)
}

// JSON requires r to be of this status and its body to be this JSON, no more and no less.
func (r *Response) JSON(t *testing.T, status int, want string) {
	t.Helper()
	require.Equal(t, status, r.Status, r)
	require.Equal(t, "application/json", r.mediaType(), r)
	require.JSONEq(t, want, string(r.Body), r)
}

// Created requires r to say that a user was created, and returns what it says.
func (r *Response) Created(t *testing.T) Created {
	t.Helper()
	require.Equal(t, http.StatusCreated, r.Status, r)
	require.Equal(t, "application/json", r.mediaType(), r)
	m, err := members(r.Body, "message", "id", "avatar_url")
	require.NoError(t, err, r)
	require.Equal(t, "User created successfully", m["message"], r)
	require.Regexp(t, uuidForm, m["id"], r)
	require.Len(t, r.Header.Values("Location"), 1, r)
	return Created{ID: m["id"], AvatarURL: m["avatar_url"], Location: r.Header.Get("Location")}
}

// User requires r to be one user, and returns it.
func (r *Response) User(t *testing.T) User {
	t.Helper()
	require.Equal(t, http.StatusOK, r.Status, r)
	require.Equal(t, "application/json", r.mediaType(), r)
	u, err := parseUser(r.Body)
	require.NoError(t, err, r)
	return u
}

// Users requires r to be an array of users, and returns them.
func (r *Response) Users(t *testing.T) []User {
	t.Helper()
	users, err := r.users()
	require.NoError(t, err, r)
	return users
}

func (r *Response) users() ([]User, error) {
	if r.Status != http.StatusOK || r.mediaType() != "application/json" {
		return nil, errors.New("not a 200 with JSON")
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(r.Body, &raw); err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, errors.New("null in place of an array")
	}
	users := make([]User, len(raw))
	for i := range raw {
		var err error
		if users[i], err = parseUser(raw[i]); err != nil {
			return nil, fmt.Errorf("user %d: %w", i, err)
		}
	}
	return users, nil
}

func parseUser(raw []byte) (User, error) {
	m, err := members(raw, "id", "name", "email", "avatar_url")
	return User{ID: m["id"], Name: m["name"], Email: m["email"], AvatarURL: m["avatar_url"]}, err
}

// members reads a JSON object that has exactly these members, all of them strings.
func members(raw []byte, names ...string) (map[string]string, error) {
	var m map[string]*string // a pointer tells null from ""
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	strings := make(map[string]string, len(m))
	for name, value := range m {
		if value == nil || !slices.Contains(names, name) {
			return nil, fmt.Errorf("member %s is null or should not be there: %s", name, raw)
		}
		strings[name] = *value
	}
	if len(strings) != len(names) {
		return nil, fmt.Errorf("not the members %v: %s", names, raw)
	}
	return strings, nil
}

// Path returns the path and query of an absolute link in an answer, to be called at the URL that
// the client was given: in a cluster the public URL may not lead there from where the test runs.
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
	return c.PostForm(t, "/users", []Part{Field("name", name), Field("email", email), File("avatar", "avatar", avatar)}, header...).Created(t)
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
	r := c.Do(t, "DELETE", "/users/"+id, nil)
	require.Equal(t, http.StatusNoContent, r.Status, r)
}

// PutAvatar replaces the avatar of a user and returns the user as it then is.
func (c *Client) PutAvatar(t *testing.T, id string, image []byte) User {
	t.Helper()
	return c.Do(t, "PUT", "/users/"+id+"/avatar", bytes.NewReader(image)).User(t)
}

// Avatar returns the image that an avatar_url leads to, and its content type.
func (c *Client) Avatar(t *testing.T, avatarURL string) (image []byte, contentType string) {
	t.Helper()
	r := c.Do(t, "GET", c.Path(t, avatarURL), nil)
	require.Equal(t, http.StatusOK, r.Status, r)
	return r.Body, r.Header.Get("Content-Type")
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
	return Part{Disposition: `name="` + name + `"; filename="` + filename + `"`, Type: "application/octet-stream", Content: content}
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
func unknownID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80 // version 4, variant 10: RFC 9562 §5.4
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

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

// lazy prints as what it returns, when a test has failed.
type lazy func() string

func (f lazy) String() string { return f() }

// untilListed waits until the list of users is as wanted: it may lag behind what was written. It
// returns that list.
func (c *Client) untilListed(t *testing.T, wanted func([]User) bool) []User {
	t.Helper()
	var mu sync.Mutex
	var last *Response
	var lastErr error
	var users []User
	require.Eventually(t, func() bool {
		r, err := c.send("GET", "/users", nil)
		var got []User
		if err == nil {
			got, err = r.users()
		}
		mu.Lock()
		defer mu.Unlock()
		last, lastErr, users = r, err, got
		return err == nil && wanted(got)
	}, 10*time.Second, 50*time.Millisecond, lazy(func() string {
		mu.Lock()
		defer mu.Unlock()
		return fmt.Sprintf("the last list: error %v\n%v", lastErr, last)
	}))
	c.check(t, last)
	return users
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
