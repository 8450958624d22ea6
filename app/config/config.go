// Package config is the contract between the API and whatever deploys it: every setting with its
// environment variable, default and meaning, the key of the table, the permissions in AWS, and the
// paths that others rely on. The infrastructure fills a [Config] and gives the API the variables of
// [Config.Environ]; the API reads them with [Load].
package config

import "time"

// Config is every setting of the API. The zero value is not valid: start from [Default] or [Load].
// [Settings] has the variable, default, bounds and meaning of each field.
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

// Default returns the configuration of an empty environment.
func Default() Config {
	c, _, err := Load(nil)
	if err != nil {
		panic(err) // a default in settings.go breaks its own rule
	}
	return c
}

// DynamoDB returns the URL of DynamoDB; empty means AWS itself.
func (c Config) DynamoDB() string {
	if c.DynamoDBEndpoint != "" {
		return c.DynamoDBEndpoint
	}
	return c.Endpoint
}

// S3 returns the URL of S3; empty means AWS itself.
func (c Config) S3() string {
	if c.S3Endpoint != "" {
		return c.S3Endpoint
	}
	return c.Endpoint
}
