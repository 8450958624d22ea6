package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// margin is how much longer than REQUEST_TIMEOUT a request may take here: up to two seconds to find
// out what became of a write and to remove its image, and the rest for a machine that is busy.
const margin = 3 * time.Second

// A system is the API, an AWS of its own, and the links between them.
type system struct {
	config   config.Config
	aws      *awstest.AWS
	dynamodb *link
	s3       *link
	http     *http.Transport
	// url and admin are those of the program, once it has been started.
	url, admin string
}

// start returns a system that is ready, with the default configuration as change left it.
func start(t *testing.T, change func(*config.Config)) *system {
	t.Helper()
	s := prepare(t, change)
	s.startProcess(t)
	s.awaitReady(t)
	return s
}

// prepare returns a system whose API has not been started.
func prepare(t *testing.T, change func(*config.Config)) *system {
	t.Helper()
	a := awstest.Start(t)
	s := &system{
		config: a.Config,
		aws:    a,
		dynamodb: newLink(t, a.Config.Endpoint, "DynamoDB.GetItem", "DynamoDB.PutItem",
			"DynamoDB.UpdateItem", "DynamoDB.DeleteItem", "DynamoDB.Scan", "DynamoDB.DescribeTable"),
		s3:   newLink(t, a.Config.Endpoint, "S3.PutObject", "S3.GetObject", "S3.DeleteObject", "S3.HeadBucket"),
		http: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
	}
	t.Cleanup(s.http.CloseIdleConnections)
	s.config.Endpoint = ""
	s.config.DynamoDBEndpoint, s.config.S3Endpoint = "http://"+s.dynamodb.address, "http://"+s.s3.address
	change(&s.config)
	return s
}

func (s *system) awaitReady(t *testing.T) {
	t.Helper()
	await(t, "the API is ready", func() bool {
		return s.call(http.MethodGet, config.PathReady, nil).status == http.StatusOK
	})
}

// heal ends the faults in a place, and leaves the connections of the other as they are.
func (s *system) heal(t *testing.T, p place) {
	t.Helper()
	for _, l := range p.links(s) {
		for _, call := range l.calls {
			s.aws.Heal(call)
		}
		l.heal(t)
	}
}

// A reply is what a request came to.
type reply struct {
	status int // 0 if the connection broke before there was one
	header http.Header
	body   []byte
	err    error // of sending, or of reading the body
	took   time.Duration
}

func (a reply) String() string {
	const shown = 500
	return fmt.Sprintf("%d after %s, error %v, body %.*q", a.status, a.took, a.err, shown, a.body)
}

// call makes a request and reads the response to its end. Each header is one line, “Name: value”.
func (s *system) call(method, path string, body []byte, header ...string) (a reply) {
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	// Longer than any limit, so that a request that hangs ends. A test's own context has ended when
	// the load does.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, nil)
	if err != nil {
		return reply{err: err}
	}
	// Without GetBody, net/http does not hide a broken connection by sending the request again.
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	response, err := s.http.RoundTrip(r)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, header: response.Header, body: data, err: err}
}

// unavailable returns what makes a reply no proper 503, nil if it is one.
func (a reply) unavailable() error {
	if a.err != nil {
		return a.err
	}
	if a.status != http.StatusServiceUnavailable {
		return fmt.Errorf("the status is %d", a.status)
	}
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 {
		return fmt.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	return nil
}

// requireUnavailable requires a proper 503 within REQUEST_TIMEOUT and the margin.
func (s *system) requireUnavailable(t *testing.T, what string, got reply) {
	t.Helper()
	assert.NoError(t, got.unavailable(), "%s: %s", what, got)
	assert.LessOrEqual(t, got.took, s.config.RequestTimeout+margin, "%s: %s", what, got)
}

// create makes a user, with an avatar unless that is nil, and returns the user's path.
func (s *system) create(t *testing.T, avatar []byte) (path string) {
	t.Helper()
	got := newAccount(avatar, "").create(s)
	require.Equal(t, http.StatusCreated, got.status, got)
	return config.PathUsers + "/" + createdID(got)
}

// createdID returns the id of the user that was created, empty if there is none.
func createdID(a reply) string {
	var created apitest.Created
	_ = json.Unmarshal(a.body, &created) // its caller finds that the id is missing
	return created.ID
}

// users returns the list of all users.
func (s *system) users(t *testing.T) []apitest.User {
	t.Helper()
	got := s.call(http.MethodGet, config.PathUsers, nil)
	require.NoError(t, got.err)
	require.Equal(t, http.StatusOK, got.status, got)
	var users []apitest.User
	require.NoError(t, json.Unmarshal(got.body, &users))
	return users
}
