package chaos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// A link is the way from the API to one service, with a proxy on it.
type link struct {
	address  string // of the proxy
	upstream string // of the service

	mu    sync.Mutex
	proxy *toxiproxy.Proxy
}

// newLink returns a link in good order that ends with the test.
func newLink(t *testing.T, endpoint string) *link {
	t.Helper()
	l := &link{upstream: strings.TrimPrefix(endpoint, "http://")}
	var err error
	for range 100 { // ports, each of which somebody else may have
		l.address = freshAddress()
		if err = l.open(); err == nil {
			break
		}
	}
	require.NoError(t, err)
	t.Cleanup(l.refuse)
	return l
}

var lastPort atomic.Int64

// freshAddress returns an address that no link has had. Its port is below those that the system hands
// out, and those of a cluster's node, so that nobody takes it while a proxy does not listen.
func freshAddress() string {
	const first, ports = 16_000, 12_000
	lastPort.CompareAndSwap(0, rand.Int64N(ports)+1) // not those of the last run, which may still close
	return fmt.Sprint("127.0.0.1:", first+lastPort.Add(1)%ports)
}

func (l *link) url() string { return "http://" + l.address }

func (l *link) open() error {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, l.address, l.address, l.upstream)
	if err := proxy.Start(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy = proxy
	return nil
}

func (l *link) current() *toxiproxy.Proxy {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proxy
}

// refuse ends every connection and has the port refuse new ones.
func (l *link) refuse() { l.current().Stop() }

// poison has toxics, which are JSON as toxiproxy's API takes it, work on the connections that there
// are and on those to come.
func (l *link) poison(t *testing.T, added ...string) {
	t.Helper()
	for _, toxic := range added {
		_, err := l.current().Toxics.AddToxicJson(strings.NewReader(toxic))
		require.NoError(t, err, toxic)
	}
}

// heal puts the link in good order and ends the connections that were not. toxiproxy v2.12.0 can
// also take a toxic out of running connections, but waits for ever where one of them has a chunk
// that nobody takes any more.
func (l *link) heal(t *testing.T) {
	t.Helper()
	l.refuse()
	// A program that another test starts meanwhile has a copy of the listener until it runs, and with it the port.
	var err error
	await(t, l.address+" is free again", func() bool {
		err = l.open()
		return !errors.Is(err, syscall.EADDRINUSE)
	})
	require.NoError(t, err)
}
