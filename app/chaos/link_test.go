package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// A link is the way from the API to one service, with a proxy on it.
type link struct {
	address  string // of the proxy
	upstream string // of the service
	calls    []string
	proxy    atomic.Pointer[toxiproxy.Proxy]
}

// newLink returns a link for these calls, in good order, that ends with the test.
func newLink(t *testing.T, endpoint string, calls ...string) *link {
	t.Helper()
	l := &link{upstream: strings.TrimPrefix(endpoint, "http://"), calls: calls}
	await(t, "a port is free", func() bool {
		l.address = freshAddress()
		return l.open() == nil
	})
	t.Cleanup(l.refuse)
	return l
}

var lastPort atomic.Int64

// freshAddress returns an address that no link has had. Its port is below those that the system
// hands out, and those of a cluster's node, so that nobody takes it while a proxy does not listen.
func freshAddress() string {
	const first, ports = 16_000, 12_000
	lastPort.CompareAndSwap(0, rand.Int64N(ports)+1) // not those of the last run, which may still close
	return fmt.Sprint("127.0.0.1:", first+lastPort.Add(1)%ports)
}

func (l *link) open() error {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, l.address, l.address, l.upstream)
	if err := proxy.Start(); err != nil {
		return err
	}
	l.proxy.Store(proxy)
	return nil
}

// refuse ends every connection and has the port refuse new ones.
func (l *link) refuse() { l.proxy.Load().Stop() }

// poison has toxics, which are JSON as toxiproxy's API takes it, work on the connections that there
// are and on those to come.
func (l *link) poison(t *testing.T, added ...string) {
	t.Helper()
	for _, toxic := range added {
		_, err := l.proxy.Load().Toxics.AddToxicJson(strings.NewReader(toxic))
		require.NoError(t, err, toxic)
	}
}

// heal puts the link in good order and ends the connections that were not. toxiproxy v2.12.0 can
// also take a toxic out of running connections, but waits for ever where one of them has a chunk
// that nobody takes any more.
func (l *link) heal(t *testing.T) {
	t.Helper()
	l.refuse()
	// A program that another test starts meanwhile has a copy of the listener until it runs, and with
	// it the port.
	await(t, l.address+" is free again", func() bool { return l.open() == nil })
}
