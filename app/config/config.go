// Package config is the contract between the API and whatever deploys it: every setting with its
// environment variable, default and meaning, the key schema of the table, and the paths that
// probes and services use. The API reads it with [Load]; the infrastructure fills a [Config] with
// what it has made and hands the API the variables of [Config.Environ]. What one writes the other
// reads: both are made from the same table of settings, in settings.go.
package config

import "time"

// Config is everything that a deployment tells the API. The zero value is not valid: start from
// [Default] or [Load]. Each field's variable, default, bounds and meaning stand in [Settings].
type Config struct {
	Port      int
	AdminPort int

	Region           string
	Endpoint         string // of AWS for every service; empty means AWS itself
	DynamoDBEndpoint string // overrides Endpoint for DynamoDB
	S3Endpoint       string // overrides Endpoint for S3
	Table            string
	Bucket           string

	PublicURL   string // without a trailing slash; empty: taken from each request
	CORSOrigins []string
	Pages       bool

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

// DynamoDB returns the URL that DynamoDB is called at; empty means AWS itself.
func (c Config) DynamoDB() string {
	if c.DynamoDBEndpoint != "" {
		return c.DynamoDBEndpoint
	}
	return c.Endpoint
}

// S3 returns the URL that S3 is called at; empty means AWS itself.
func (c Config) S3() string {
	if c.S3Endpoint != "" {
		return c.S3Endpoint
	}
	return c.Endpoint
}
