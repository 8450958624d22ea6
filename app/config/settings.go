package config

import "time"

// Setting describes one variable of the contract.
type Setting struct {
	Variable string
	Default  string // as in the environment
	Meaning  string
	Allowed  string // the values, as the end of a sentence "must be …"
	// Choices are all values, if they are few.
	Choices []string
	// Pattern is a regular expression, of Go and of JavaScript, that every value matches. Other texts
	// may match too. It is empty for settings with Choices and for secrets.
	Pattern string
	// Least and Most bound a number. For a size they are in bytes. Both are 0 for all other settings.
	Least, Most int64
	// Formerly names variables of the earlier chart that are still accepted.
	Formerly []string
	// Secret values belong into a Secret, and never into a ConfigMap, a log or an error.
	Secret bool
}

// fields is the contract: one row a setting, in the order of the help and the README.
func (c *Config) fields() []field {
	const moment = 100 * time.Millisecond
	return []field{
		integer(&c.Port, 0, 65535).of("PORT", "5000",
			"TCP port that the API listens on; 0 takes any free port and logs it"),
		integer(&c.AdminPort, 0, 65535).of("ADMIN_PORT", "9464",
			"TCP port for operators and the kubelet: probes, metrics, profiles and build information, "+
				"without a token; 0 takes any free port and logs it"),
		ip(&c.AdminAddress).of("ADMIN_ADDRESS", "",
			"IP address that `ADMIN_PORT` listens on; empty means all addresses, "+
				"which the kubelet and Prometheus need in a pod"),

		text(&c.Region, `^[a-z]{2,}(-[a-z]+)+-[0-9]+$`, "a region's name, such as us-east-1").
			of("AWS_REGION", "us-east-1", "AWS region of the table and the bucket"),
		address(&c.Endpoint).of("AWS_ENDPOINT_URL", "",
			"URL of DynamoDB and S3; empty means AWS itself").formerly("LOCALSTACK_URL"),
		address(&c.DynamoDBEndpoint).of("AWS_ENDPOINT_URL_DYNAMODB", "",
			"URL of DynamoDB; empty means `AWS_ENDPOINT_URL`").formerly("DYNAMODB_ENDPOINT"),
		address(&c.S3Endpoint).of("AWS_ENDPOINT_URL_S3", "",
			"URL of S3, which is called with the bucket in the path; empty means `AWS_ENDPOINT_URL`"),
		// Sources: the naming rules in the developer guides of DynamoDB and S3.
		text(&c.Table, `^[A-Za-z0-9_.-]{3,255}$`, "3 to 255 letters, digits, `_`, `.` or `-`").
			of("DYNAMODB_TABLE", "users", "table of the users"),
		text(&c.Bucket, `^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`,
			"3 to 63 lower-case letters, digits, `.` or `-`, a letter or digit at both ends").
			of("S3_BUCKET", "prima-tech-challenge", "bucket of the avatars"),

		address(&c.PublicURL).of("PUBLIC_BASE_URL", "",
			"URL at which clients reach the API, with which every link starts; "+
				"empty takes the scheme and the host of each request"),
		hosts(&c.AllowedHosts).of("ALLOWED_HOSTS", "",
			"names under which the API may be called, beside localhost and IP addresses; requests for "+
				"other hosts get a 421. It keeps out web pages whose name was made to resolve to the API's "+
				"address (DNS rebinding). Empty allows any"),
		origins(&c.CORSOrigins).of("CORS_ALLOWED_ORIGINS", "",
			"origins whose pages may call the API from a browser; empty allows none"),
		boolean(&c.Pages).of("PAGES", "true",
			"whether to serve pages for people: the users at `/`, the description of the API at `/docs`. "+
				"They hold no data, load without a token and ask for one if the API does"),
		tokens(&c.AccessTokens).of("ACCESS_TOKENS", "",
			"who may call the API, each with their own bearer token; if unset, everybody may").secret(),

		oneOf(&c.LogLevel, "debug", "info", "warn", "error").of("LOG_LEVEL", "info",
			"least severe level that is logged"),
		oneOf(&c.LogFormat, "json", "text").of("LOG_FORMAT", "json",
			"format of the log lines on standard error"),

		size(&c.MaxAvatarBytes, 1<<10, 64<<20).of("MAX_AVATAR_BYTES", "5MiB",
			"largest avatar that is accepted"),
		integer(&c.MaxAvatarPixels, 1, 65535).of("MAX_AVATAR_PIXELS", "8192",
			"longest side of an avatar that is accepted, in pixels"),
		size(&c.MaxJSONBytes, 1<<10, 16<<20).of("MAX_JSON_BYTES", "64KiB",
			"largest request body that is not an upload: JSON or a urlencoded form"),
		size(&c.RequestMemory, 1<<20, 16<<30).of("REQUEST_MEMORY", "64MiB",
			"memory for what requests hold: three eighths for their bodies, five eighths for the users "+
				"that they list. Requests that do not fit wait up to a fifth of `REQUEST_TIMEOUT`, then "+
				"get a 503"),
		integer(&c.MaxConnections, 16, 1<<18).of("MAX_CONNECTIONS", "2048",
			"most connections that are open at once; another one gets a 503 and is closed"),
		boolean(&c.ListConsistentReads).of("LIST_CONSISTENT_READS", "false",
			"whether lists show every write that finished before the request. Otherwise DynamoDB may "+
				"leave out those of the last second. Consistent lists cost twice the read capacity"),

		duration(&c.RequestTimeout, moment, 10*time.Minute).of("REQUEST_TIMEOUT", "10s",
			"longest time that a request waits for DynamoDB and S3, retries included; "+
				"in a long list, for each page"),
		duration(&c.ReadTimeout, moment, 10*time.Minute).of("READ_TIMEOUT", "30s",
			"longest time that a client may take to send a request, body included"),
		duration(&c.WriteTimeout, moment, time.Hour).of("WRITE_TIMEOUT", "1m",
			"longest time that a client may take to receive a response"),
		duration(&c.IdleTimeout, moment, time.Hour).of("IDLE_TIMEOUT", "1m15s",
			"how long a connection is kept between requests; "+
				"set it longer than the idle timeout of a load balancer in front"),
		duration(&c.DrainTime, 0, 10*time.Minute).of("DRAIN_TIME", "5s",
			"how long requests are still served after SIGTERM, while load balancers take the replica out"),
		duration(&c.ShutdownTimeout, 0, 10*time.Minute).of("SHUTDOWN_TIMEOUT", "15s",
			"how long running requests may take to finish after `DRAIN_TIME`"),
	}
}

// Settings lists the settings of the contract.
func Settings() []Setting {
	var settings []Setting
	for _, f := range new(Config).fields() {
		settings = append(settings, f.Setting)
	}
	return settings
}

// Removed returns the variables of settings that were removed. [Load] accepts and ignores them.
func Removed() []string { return []string{"LIST_SEGMENTS", "LIST_SHARING", "TIMER_SLACK"} }

// RemovedNotice is what somebody who still sets one of [Removed] is told.
func RemovedNotice(variable string) string {
	return variable + " was removed: it has no effect; delete it from your values"
}
