package config

import (
	"slices"
	"strings"
	"time"
)

// Setting describes one variable of the contract.
type Setting struct {
	Variable string
	Default  string // as it would be written in the environment; empty means empty
	Allowed  string // what a value may be, as the end of a sentence "must be …"
	Meaning  string
	// Choices are all values that are allowed, if they are few.
	Choices []string
	// Pattern is a regular expression, of Go's and of JavaScript's, that every value that is allowed matches, but for an empty one in
	// place of the default; so may some that are not. It is for schemas and forms. Empty where there are Choices, and for secrets.
	Pattern string
	// Least and Most bound what is a whole number where it has no unit, in bytes where it may have one. Both are 0 for anything else.
	Least, Most int64
	// Formerly names the variables of the earlier chart that are still accepted for this one.
	Formerly []string
	// Secret is set where a value belongs into a Secret, and into no ConfigMap, log or error.
	Secret bool
}

// field is a setting that is tied to its place in one Config.
type field struct {
	Setting
	value
}

// fields is the contract: one entry a setting, in the order in which help and README show them.
func (c *Config) fields() []field {
	return []field{
		{
			Setting{
				Variable: "PORT", Default: "5000",
				Meaning: "TCP port that the API listens on; 0 takes any free port and logs it",
			},
			integer(&c.Port, 0, 65535),
		},
		{
			Setting{
				Variable: "ADMIN_PORT", Default: "9464",
				Meaning: "TCP port for operators and the kubelet: probes, metrics, profiles and build information, without a token; 0 takes any free port and logs it",
			},
			integer(&c.AdminPort, 0, 65535),
		},

		{
			Setting{
				Variable: "AWS_REGION", Default: "us-east-1",
				Meaning: "AWS region of the table and the bucket",
			},
			text(&c.Region, `^[a-z]{2,}(-[a-z]+)+-[0-9]+$`, "a region's name, such as us-east-1"),
		},
		{
			Setting{
				Variable: "AWS_ENDPOINT_URL", Formerly: []string{"LOCALSTACK_URL"},
				Meaning: "where DynamoDB and S3 are called; empty means AWS itself",
			},
			address(&c.Endpoint),
		},
		{
			Setting{
				Variable: "AWS_ENDPOINT_URL_DYNAMODB", Formerly: []string{"DYNAMODB_ENDPOINT"},
				Meaning: "where DynamoDB is called; empty means `AWS_ENDPOINT_URL`",
			},
			address(&c.DynamoDBEndpoint),
		},
		{
			Setting{
				Variable: "AWS_ENDPOINT_URL_S3",
				Meaning:  "where S3 is called, with the bucket in the path; empty means `AWS_ENDPOINT_URL`",
			},
			address(&c.S3Endpoint),
		},
		// Sources: the naming rules of the DynamoDB and the S3 developer guides.
		{
			Setting{
				Variable: "DYNAMODB_TABLE", Default: "users",
				Meaning: "table that the users are kept in",
			},
			text(&c.Table, `^[A-Za-z0-9_.-]{3,255}$`, "3 to 255 letters, digits, `_`, `.` or `-`"),
		},
		{
			Setting{
				Variable: "S3_BUCKET", Default: "prima-tech-challenge",
				Meaning: "bucket that the avatars are kept in",
			},
			text(&c.Bucket, `^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`, "3 to 63 lower-case letters, digits, `.` or `-`, a letter or digit at both ends"),
		},

		{
			Setting{
				Variable: "PUBLIC_BASE_URL",
				Meaning:  "what clients reach the API at, the start of every link; empty takes each request's own scheme and host",
			},
			address(&c.PublicURL),
		},
		{
			Setting{
				Variable: "CORS_ALLOWED_ORIGINS",
				Meaning:  "origins whose pages may call the API from a browser; empty allows none",
			},
			origins(&c.CORSOrigins),
		},
		{
			Setting{
				Variable: "PAGES", Default: "true",
				Meaning: "whether there are pages for people: the users at `/`, the description of the API at `/docs`. They hold no data, load without a token and ask for one where the API does",
			},
			boolean(&c.Pages),
		},
		{
			Setting{
				Variable: "ACCESS_TOKENS", Secret: true,
				Meaning: "who may call the API, each with a bearer token of their own; without it everybody is let in",
			},
			tokens(&c.AccessTokens),
		},

		{
			Setting{
				Variable: "LOG_LEVEL", Default: "info",
				Meaning: "the least severe log lines that are written",
			},
			oneOf(&c.LogLevel, "debug", "info", "warn", "error"),
		},
		{
			Setting{
				Variable: "LOG_FORMAT", Default: "json",
				Meaning: "form of the log lines on standard error",
			},
			oneOf(&c.LogFormat, "json", "text"),
		},

		{
			Setting{
				Variable: "MAX_AVATAR_BYTES", Default: "5MiB",
				Meaning: "largest avatar that is accepted",
			},
			size(&c.MaxAvatarBytes, 1<<10, 64<<20),
		},
		{
			Setting{
				Variable: "MAX_AVATAR_PIXELS", Default: "8192",
				Meaning: "longest side of an avatar that is accepted, in pixels",
			},
			integer(&c.MaxAvatarPixels, 1, 65535),
		},
		{
			Setting{
				Variable: "MAX_JSON_BYTES", Default: "64KiB",
				Meaning: "largest request body that is not an upload: JSON or a urlencoded form",
			},
			size(&c.MaxJSONBytes, 1<<10, 16<<20),
		},
		{
			Setting{
				Variable: "REQUEST_MEMORY", Default: "64MiB",
				Meaning: "memory for the contents of requests that are being served: three eighths for uploads, as much for lists on their way, the rest for other bodies and for reading lists. What finds no room waits for a fifth of `REQUEST_TIMEOUT` and is then a 503",
			},
			size(&c.RequestMemory, 1<<20, 16<<30),
		},
		{
			Setting{
				Variable: "MAX_CONNECTIONS", Default: "2048",
				Meaning: "connections that are open at once; one more is answered 503 and closed",
			},
			integer(&c.MaxConnections, 16, 1<<18),
		},

		{
			Setting{
				Variable: "LIST_CONSISTENT_READS", Default: "false",
				Meaning: "whether lists show every write that finished before they were asked for. Without, DynamoDB may leave out those of the last second; with it, a list costs twice the read capacity",
			},
			boolean(&c.ListConsistentReads),
		},

		{
			Setting{
				Variable: "REQUEST_TIMEOUT", Default: "10s",
				Meaning: "longest wait for DynamoDB and S3 on behalf of one request, retries included; in a long list, for one page",
			},
			duration(&c.RequestTimeout, 100*time.Millisecond, 10*time.Minute),
		},
		{
			Setting{
				Variable: "READ_TIMEOUT", Default: "30s",
				Meaning: "longest time that a client may take to send a request, body included",
			},
			duration(&c.ReadTimeout, 100*time.Millisecond, 10*time.Minute),
		},
		{
			Setting{
				Variable: "WRITE_TIMEOUT", Default: "1m",
				Meaning: "longest time that a client may take to receive an answer",
			},
			duration(&c.WriteTimeout, 100*time.Millisecond, time.Hour),
		},
		{
			Setting{
				Variable: "IDLE_TIMEOUT", Default: "1m15s",
				Meaning: "how long a connection is kept between requests; longer than the idle time of a load balancer in front",
			},
			duration(&c.IdleTimeout, 100*time.Millisecond, time.Hour),
		},
		{
			Setting{
				Variable: "DRAIN_TIME", Default: "5s",
				Meaning: "how long everything is still served after SIGTERM, while load balancers take the replica out",
			},
			duration(&c.DrainTime, 0, 10*time.Minute),
		},
		{
			Setting{
				Variable: "SHUTDOWN_TIMEOUT", Default: "15s",
				Meaning: "how long running requests may take to finish after the drain time",
			},
			duration(&c.ShutdownTimeout, 0, 10*time.Minute),
		},
	}
}

// Settings lists the settings of the contract.
func Settings() []Setting {
	fields := new(Config).fields()
	settings := make([]Setting, len(fields))
	for i, f := range fields {
		settings[i] = f.Setting
		settings[i].Allowed, settings[i].Choices, settings[i].Pattern, settings[i].Least, settings[i].Most = f.allowed, f.choices, f.pattern, f.least, f.most
	}
	return settings
}

// Removed returns the variables of settings that were removed. [Load] accepts them and ignores them.
func Removed() []string { return []string{"LIST_SEGMENTS", "LIST_SHARING", "TIMER_SLACK"} }

// RemovedNotice is what somebody who still sets one of [Removed] is told.
func RemovedNotice(variable string) string {
	return variable + " was removed: it has no effect; delete it from your values"
}

// A RuntimeVariable is read by something other than the API's own code, and the API depends on it.
type RuntimeVariable struct {
	Variable string
	Reader   string
	Meaning  string
	Secret   bool
}

// RuntimeVariables lists what the process reads beside its settings.
//
// Sources: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html,
// https://pkg.go.dev/runtime#hdr-Environment_Variables,
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
func RuntimeVariables() []RuntimeVariable {
	const sdk, runtime, otel = "AWS SDK", "Go runtime", "OpenTelemetry"
	return []RuntimeVariable{
		{"AWS_ACCESS_KEY_ID", sdk, "static credentials; they come before every role", true},
		{"AWS_SECRET_ACCESS_KEY", sdk, "static credentials", true},
		{"AWS_SESSION_TOKEN", sdk, "static credentials that expire", true},
		{"AWS_PROFILE", sdk, "profile of the shared configuration files, on a developer's machine", false},
		{"AWS_ROLE_ARN", sdk, "role of a service account (IRSA)", false},
		{"AWS_WEB_IDENTITY_TOKEN_FILE", sdk, "token of a service account (IRSA)", false},
		{"AWS_CONTAINER_CREDENTIALS_FULL_URI", sdk, "where EKS Pod Identity hands out credentials", false},
		{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", sdk, "token for EKS Pod Identity", false},
		{"AWS_EC2_METADATA_DISABLED", sdk, "`true` where there is no instance metadata service, so that nothing waits for it", false},
		{"AWS_CA_BUNDLE", sdk, "certificates to trust instead of the system's, for an endpoint of one's own", false},
		{"GOMEMLIMIT", runtime, "soft memory limit, below the container's; when unset, 80 % of that, or four times `REQUEST_MEMORY` where there is none", false},
		{"GOMAXPROCS", runtime, "threads that run Go code; follows the container's CPU limit when unset", false},
		{"GOGC", runtime, "how much garbage is let pile up before it is collected, in percent of what is in use and within `GOMEMLIMIT`; 400 when unset", false},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", otel, "collector that traces are sent to, by OTLP over HTTP, with `/v1/traces` behind it, such as `http://collector:4318`; without it nothing is traced", false},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", otel, "the same as a whole URL; it comes before the other", false},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", otel, "`http/protobuf`, the only one that is linked in: every other stops the start", false},
		{"OTEL_EXPORTER_OTLP_HEADERS", otel, "headers for the collector, `key=value,key=value`", true},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", otel, "longest time of an export, its repetitions included, in milliseconds; 10000 when unset", false},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", otel, "`gzip` or `none`", false},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", otel, "file with the authorities to trust instead of the system's", false},
		{"OTEL_TRACES_EXPORTER", otel, "`otlp` or `none`", false},
		{"OTEL_SDK_DISABLED", otel, "`true` turns tracing off", false},
		{"OTEL_SERVICE_NAME", otel, "name of the service in traces; `prima-api` when unset", false},
		{"OTEL_RESOURCE_ATTRIBUTES", otel, "what else traces say of the process, `key=value,key=value`", false},
		{"OTEL_TRACES_SAMPLER", otel, "which traces are recorded that begin here; `parentbased_always_on` when unset: what a caller decided counts", false},
		{"OTEL_TRACES_SAMPLER_ARG", otel, "the sampler's share, such as `0.1` with `parentbased_traceidratio`", false},
	}
}

// Markdown returns the contract as the two tables of the README.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| variable | default | must be | meaning |\n|---|---|---|---|\n")
	for _, s := range Settings() {
		meaning := s.Meaning
		if len(s.Formerly) > 0 {
			meaning += " (`" + strings.Join(s.Formerly, "`, `") + "` is still accepted)"
		}
		if s.Secret {
			meaning += " (secret)"
		}
		row(&b, code(s.Variable), code(s.Default), s.Allowed, meaning)
	}
	b.WriteString("\nRead by others than the API's own code:\n\n| variable | read by | meaning |\n|---|---|---|\n")
	for _, r := range RuntimeVariables() {
		row(&b, code(r.Variable), r.Reader, r.Meaning)
	}
	return b.String()
}

func row(b *strings.Builder, cells ...string) {
	for _, cell := range cells {
		b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// Help returns the contract as `prima-api -help` prints it.
func Help() string {
	settings := Settings()
	width := len(slices.MaxFunc(settings, func(a, b Setting) int { return len(a.Variable) - len(b.Variable) }).Variable)
	indent := strings.Repeat(" ", width+4)

	var b strings.Builder
	for _, s := range settings {
		b.WriteString("  " + s.Variable + strings.Repeat(" ", width-len(s.Variable)+2) + plain(s.Meaning) + "\n")
		b.WriteString(indent + "must be " + plain(s.Allowed))
		if s.Default != "" {
			b.WriteString("; default " + s.Default)
		}
		if s.Secret {
			b.WriteString("; secret")
		}
		b.WriteString("\n")
		if len(s.Formerly) > 0 {
			b.WriteString(indent + strings.Join(s.Formerly, ", ") + " is still accepted\n")
		}
	}
	b.WriteString("\nRead by others than the API's own code:\n")
	for _, r := range RuntimeVariables() {
		b.WriteString("  " + r.Variable + " (" + r.Reader + "): " + plain(r.Meaning) + "\n")
	}
	return b.String()
}

// plain drops the marks of Markdown.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }
