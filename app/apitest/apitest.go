// Package apitest is the contract of the API as a black-box suite over HTTP. [Run] takes the base
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

	"prima.internal/app/config"
)

// Options describe the API under test. The zero value is an API with default settings, called
// directly, whose table others may use at the same time.
type Options struct {
	// PublicURL is the API's PUBLIC_BASE_URL: what every link begins with. If empty, the API has
	// none, and links begin with the scheme and host that the request was sent to.
	PublicURL string

	MaxAvatarBytes  int // the API's MAX_AVATAR_BYTES; 5 MiB if zero
	MaxAvatarPixels int // the API's MAX_AVATAR_PIXELS, a side; 8192 if zero
	MaxJSONBytes    int // the API's MAX_JSON_BYTES; 64 KiB if zero

	// Token is a bearer token with the scopes read and write, for an API that has ACCESS_TOKENS.
	// Every request carries it, unless a test is about those that do not.
	Token string
	// ReadToken and WriteToken are bearer tokens with one scope each. Together with Token they turn
	// on the tests of who may do what.
	ReadToken, WriteToken string

	// ReadTimeout is the API's READ_TIMEOUT, where it is short enough to wait for. It turns on the
	// tests of clients that are too slow.
	ReadTimeout time.Duration
	// Empty says that the table is empty and used by nobody else. It turns on the tests that can
	// only be made of a table whose whole content is known.
	Empty bool
	// Large turns on the test that lists more users than one page of DynamoDB holds. It creates
	// about a thousand.
	Large bool
	// Proxied says that something between the suite and the API reads HTTP itself, such as an
	// ingress. It turns off the tests of what that would answer, change or refuse in the API's
	// place: malformed requests, Host and X-Forwarded-Proto.
	Proxied bool
	// AllowedHosts says that the API has ALLOWED_HOSTS and refuses other hosts than that of the URL. It
	// turns off the tests of requests for hosts that are made up.
	AllowedHosts bool
	// Coverage learns what has been seen of the description; may be nil.
	Coverage *Coverage
	// Address is the host:port that is connected to in place of the URL's, for a host name that
	// only an ingress knows.
	Address string
}

func (o Options) withDefaults() Options {
	if o.MaxAvatarBytes == 0 {
		o.MaxAvatarBytes = 5 << 20
	}
	if o.MaxAvatarPixels == 0 {
		o.MaxAvatarPixels = 8192
	}
	if o.MaxJSONBytes == 0 {
		o.MaxJSONBytes = 64 << 10
	}
	return o
}

// AllowsAnyHost reports whether the API at baseURL serves requests for a host that is made up.
func AllowsAnyHost(t *testing.T, baseURL string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, baseURL+config.PathUsers+"?limit=1", http.NoBody)
	require.NoError(t, err)
	request.Host = "other.example"
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode != http.StatusMisdirectedRequest
}

// Run tests the API at baseURL, such as http://127.0.0.1:5000.
func Run(t *testing.T, baseURL string, o Options) {
	t.Helper()
	s := &suite{Client: NewClient(t, baseURL, o)}
	if s.Empty {
		t.Run("an empty table", s.emptyTable)
	}
	t.Run("health", s.health)
	t.Run("readiness", s.readiness)
	t.Run("the description", s.description)
	t.Run("the examples of the description", s.examples)
	t.Run("creating a user with JSON", s.createJSON)
	t.Run("creating a user with a form", s.createForm)
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
	t.Run("links", s.links)
	t.Run("requests for what is not there", s.notFound)
	t.Run("methods that are not allowed", s.methodNotAllowed)
	t.Run("pages of other sites", s.crossSite)
	t.Run("content types", s.contentTypes)
	t.Run("the pages", s.pagesForPeople)
	t.Run("every answer", s.everyAnswer)
	t.Run("bodies that go on", s.endlessBodies)
	t.Run("JSON that is hostile", s.hostileJSON)
	t.Run("names and emails that are hostile", s.hostileText)
	t.Run("forms that are hostile", s.hostileForms)
	t.Run("bodies that are encoded", s.encodedBodies)
	t.Run("images that are hostile", s.hostileImages)
	t.Run("headers that ask for more than there is", s.hostileHeaders)
	if s.Token == "" {
		t.Run("an API that is open", s.open)
	}
	if s.Token != "" && s.ReadToken != "" && s.WriteToken != "" {
		t.Run("who may do what", s.access)
	}
	if !s.Proxied {
		t.Run("headers that are too long", s.longHeaders)
		t.Run("requests that are malformed", s.malformed)
		t.Run("requests inside of requests", s.smuggling)
		t.Run("clients that ask before they send a body", s.expect)
		t.Run("requests that break off", s.brokenOff)
		t.Run("requests without an end", s.endlessRequests)
		t.Run("paths, ids and cursors that are made up", s.madeUp)
		t.Run("targets that are no path", s.targets)
		t.Run("hosts that are made up", s.hosts)
		t.Run("line breaks that are smuggled in", s.lineBreaks)
	}
	if s.ReadTimeout > 0 && !s.Proxied {
		t.Run("clients that are too slow", s.slow)
	}
	if s.Large {
		t.Run("a table of more than one page of DynamoDB", s.largeTable)
	}
	if s.Empty {
		t.Run("the table is empty again", s.emptyAgain)
	}
}

type suite struct {
	*Client
}
