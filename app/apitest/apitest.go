// Package apitest is the black-box suite of the API over HTTP. [Run] takes the base
// URL of an API that is running anywhere: in the test's own process, on a developer's machine, in
// a cluster. It assumes neither that it is alone nor that the table is empty, and it removes what
// it creates.
//
// What cannot be brought about from outside is not here: a store that fails, a dependency that is
// missing, draining and shutdown, a panic, items of the earlier service.
//
// [Client] and the images are exported for other tests that call the API or need an avatar.
package apitest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Options describe the API under test. The zero value is an API with default settings and without
// tokens, called directly, whose table others may use at the same time.
type Options struct {
	PublicURL string // its PUBLIC_BASE_URL; if empty, links begin with the scheme and host of the request

	Token                 string // which may read and write, for every request that is not about tokens
	ReadToken, WriteToken string // which may do one of it; with Token they turn on the tests of access

	ReadTimeout time.Duration // its READ_TIMEOUT, if the tests may wait for it
	Empty       bool          // nobody else uses the table, so that its whole content is known
	Large       bool          // create a thousand users, more than a page of DynamoDB holds
	Proxied     bool          // something between reads HTTP itself, which malformed requests would not pass
	Coverage    *Coverage     // learns what was seen of the description; may be nil
	Address     string        // the host:port to connect to in place of the URL's
}

// The limits of an API with default settings, in bytes and in pixels a side.
const (
	maxAvatarBytes  = 5 << 20
	maxAvatarPixels = 8192
	maxJSONBytes    = 64 << 10
)

// Run tests the API at baseURL, such as http://127.0.0.1:5000.
func Run(t *testing.T, baseURL string, o Options) {
	t.Helper()
	s := &suite{Client: NewClient(t, baseURL, o)}
	if !s.Proxied {
		r, err := s.send("GET", "/users?limit=1", nil, "Host: other.example")
		require.NoError(t, err)
		s.anyHost = r.Status == http.StatusOK
	}
	if s.Empty {
		t.Run("an empty table", s.emptyTable)
	}
	t.Run("health", s.health)
	t.Run("readiness", s.readiness)
	t.Run("the description", s.description)
	t.Run("the examples of the description", s.examples)
	t.Run("creating a user with JSON", s.createJSON)
	t.Run("creating a user with a form", s.createForm)
	t.Run("names and emails", s.values)
	t.Run("limits of bodies", s.limits)
	t.Run("creating a user once by an idempotency key", s.idempotency)
	t.Run("the list of users", s.list)
	t.Run("the list of users in pages", s.pages)
	t.Run("one user", s.user)
	t.Run("changing a user", s.patch)
	t.Run("deleting a user", s.delete)
	t.Run("the avatar of a user", s.avatar)
	t.Run("replacing an avatar", s.replaceAvatar)
	t.Run("removing an avatar", s.removeAvatar)
	t.Run("conditions on an avatar", s.conditions)
	t.Run("what an avatar may be", s.avatarRules)
	t.Run("pages of other sites", s.crossSite)
	t.Run("the pages", s.pagesForPeople)
	t.Run("every response", s.everyResponse)
	files := []string{"json", "forms", "accepted", "encodings"}
	if !s.Proxied {
		files = append(files, "headers", "line-breaks", "paths", "methods", "targets", "hosts", "bodies", "unread",
			"smuggling", "broken-off")
	}
	for _, file := range files {
		t.Run(file, s.requests(file))
	}
	if s.Token == "" {
		t.Run("an API that is open", s.requests("open"))
	}
	if s.Token != "" && s.ReadToken != "" && s.WriteToken != "" {
		t.Run("who may do what", s.access)
	}
	if !s.Proxied {
		t.Run("links", s.links)
		t.Run("requests without an end", s.endless)
		t.Run("pipelined requests", s.pipelining)
		t.Run("lines that end in bare line feeds", s.bareLineFeeds)
		t.Run("clients that ask before they send a body", s.expect)
	}
	if s.ReadTimeout > 0 && !s.Proxied {
		t.Run("clients that are too slow", s.slow)
	}
	if s.Large {
		t.Run("a table of more than one page of DynamoDB", s.largeTable)
	}
	if s.Empty {
		// Ensure the suite has removed what it created.
		t.Run("the table is empty again", func(t *testing.T) {
			s.untilListed(t, func(users []User) bool { return len(users) == 0 })
		})
	}
}

type suite struct {
	*Client
	anyHost bool // whether the API serves requests for a host that is made up
}
