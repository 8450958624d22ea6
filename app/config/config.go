// Package config is the contract between the API and whatever deploys it: every setting, the
// resources in AWS and what the programs may do with them, and the paths that others rely on. The
// infrastructure fills a [Config] and gives the API the variables of [Config.Environ]; the API
// reads them with [Load].
package config

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"prima.internal/app/contract"
)

// Config is every setting of the API. The zero value is not valid: start from [Default] or [Load].
// Its rows, in rows.go, have the variable, default, bounds and meaning of each field.
type Config struct {
	Port         int
	AdminPort    int
	AdminAddress string // an IP address; empty: all addresses

	Region           string
	Endpoint         string // of AWS for every service; empty means AWS itself
	DynamoDBEndpoint string // overrides Endpoint for DynamoDB
	S3Endpoint       string // overrides Endpoint for S3
	Table            string
	Bucket           string

	PublicURL    string   // without a slash at the end; empty: each request's own
	AllowedHosts []string // names in lower case, or *. and a name; none: any, see HostAllowed
	CORSOrigins  []string
	Pages        bool

	AccessTokens []AccessToken // none: everybody may do everything

	LogLevel  string
	LogFormat string

	MaxAvatarBytes  int64 // bytes
	MaxAvatarPixels int64 // pixels a side
	MaxJSONBytes    int64 // bytes
	RequestMemory   int64 // bytes
	MaxConnections  int

	ListConsistentReads bool

	RequestTimeout  time.Duration
	ReadTimeout     time.Duration
	WriteTimeout    time.Duration
	IdleTimeout     time.Duration
	DrainTime       time.Duration
	ShutdownTimeout time.Duration
}

// Load reads a configuration from an environment: see [contract.Load].
func Load(environ []string) (c Config, warnings []string, err error) {
	return contract.Load(environ, (*Config).rows, Removed())
}

// Default returns the configuration of an empty environment.
func Default() Config {
	c, _, err := Load(nil)
	if err != nil {
		panic(err) // a default in rows.go breaks its own rule
	}
	return c
}

// Environ returns the variables that [Load] reads as c.
func (c Config) Environ() []contract.Variable { return contract.Environ(c.rows()) }

// Settings lists the settings, in the order of the help.
func Settings() []contract.Setting { return contract.Settings(new(Config).rows()) }

// Resources returns the resources in AWS, with the names that c gives them.
func (c *Config) Resources() []contract.Resource { return contract.Resources(c.rows()) }

// DynamoDB returns the URL of DynamoDB; empty means AWS itself.
func (c Config) DynamoDB() string { return cmp.Or(c.DynamoDBEndpoint, c.Endpoint) }

// S3 returns the URL of S3; empty means AWS itself.
func (c Config) S3() string { return cmp.Or(c.S3Endpoint, c.Endpoint) }

// HostAllowed reports whether the API may be called under a host: a name, or an IP address without
// brackets, in either case without a port. IP addresses and localhost are always allowed, because
// no DNS server decides where they lead.
func (c Config) HostAllowed(host string) bool {
	if len(c.AllowedHosts) == 0 {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(host); err == nil || matches("localhost", host) || matches("*.localhost", host) {
		return true
	}
	return slices.ContainsFunc(c.AllowedHosts, func(entry string) bool { return matches(entry, host) })
}

// matches reports whether a host is that of an entry, or below that of an entry with *. in front.
func matches(entry, host string) bool {
	if domain, ok := strings.CutPrefix(entry, "*"); ok {
		return len(host) > len(domain) && strings.HasSuffix(host, domain)
	}
	return host == entry
}
