package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// Ensure a host is allowed if the list has it or a wildcard above it, or if it is an IP address or
// localhost, and no other.
func TestHostAllowed(t *testing.T) {
	t.Parallel()
	for list, hosts := range map[string]struct{ allowed, refused []string }{
		"": {allowed: []string{"rebound.example", "api.example.com", "127.0.0.1", "", "a b"}},
		"localhost": {
			allowed: []string{
				"localhost", "LOCALHOST.", "a.localhost", "a.b.LocalHost.", "127.0.0.1", "127.0.0.1.", "192.0.2.7", "0.0.0.0",
				"::1", "2001:DB8::7", "::ffff:127.0.0.1", "fe80::1%eth0",
			},
			refused: []string{
				"rebound.example", "localhost.rebound.example", "notlocalhost", ".localhost", "localhost..", "", ".",
				"127.0.0.1.rebound.example", "127.1", "2130706433", "0x7f.0.0.1",
				"localhost:5000", "[::1]", "127.0.0.1:5000", "localhost@rebound.example", " localhost", "localhost,rebound.example",
			},
		},
		"API.example.com.,*.Internal": {
			allowed: []string{
				"api.example.com", "API.EXAMPLE.COM", "api.example.com.", "a.internal", "a.b.internal.", "A.INTERNAL",
				"localhost", "192.0.2.7",
			},
			refused: []string{
				"example.com", "a.api.example.com", "xapi.example.com", "api.example.com..", "internal", ".internal", "ainternal",
				"a.internal.rebound.example", "*", "*.example.com",
			},
		},
	} {
		c, _, err := config.Load([]string{"ALLOWED_HOSTS=" + list})
		require.NoError(t, err, list)
		for _, host := range hosts.allowed {
			assert.True(t, c.HostAllowed(host), "%q of %q", host, list)
		}
		for _, host := range hosts.refused {
			assert.False(t, c.HostAllowed(host), "%q of %q", host, list)
		}
	}
}
