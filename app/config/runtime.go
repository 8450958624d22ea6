package config

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
		{"AWS_PROFILE", sdk, "profile of the shared configuration, for a developer's machine", false},
		{"AWS_ROLE_ARN", sdk, "role of a service account (IRSA)", false},
		{"AWS_WEB_IDENTITY_TOKEN_FILE", sdk, "token of a service account (IRSA)", false},
		{"AWS_CONTAINER_CREDENTIALS_FULL_URI", sdk, "where EKS Pod Identity has credentials", false},
		{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", sdk, "token for EKS Pod Identity", false},
		{"AWS_EC2_METADATA_DISABLED", sdk, "`true` if there is no instance metadata service, so that " +
			"nothing waits for it", false},
		{"AWS_CA_BUNDLE", sdk, "certificates to trust instead of the system's, for an endpoint of " +
			"your own", false},
		{"GOMEMLIMIT", runtime, "soft memory limit, below the container's; if unset, 80 % of that, " +
			"or four times `REQUEST_MEMORY` if there is none", false},
		{"GOMAXPROCS", runtime, "threads that run Go code; if unset, it follows the container's CPU " +
			"limit", false},
		{"GOGC", runtime, "how much garbage piles up before it is collected, in percent of the memory " +
			"in use and within `GOMEMLIMIT`; 400 if unset", false},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", otel, "collector that gets the traces, by OTLP over HTTP at " +
			"the path `/v1/traces`, such as `http://collector:4318`; if unset, nothing is traced", false},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", otel, "the same as a whole URL; it comes before the " +
			"other", false},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", otel, "`http/protobuf`, the only protocol that is supported: " +
			"every other stops the start", false},
		{"OTEL_EXPORTER_OTLP_HEADERS", otel, "headers for the collector, `key=value,key=value`", true},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", otel, "longest time of an export, retries included, in " +
			"milliseconds; 10000 if unset", false},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", otel, "`gzip` or `none`", false},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", otel, "file of certificates to trust instead of the " +
			"system's", false},
		{"OTEL_TRACES_EXPORTER", otel, "`otlp` or `none`", false},
		{"OTEL_SDK_DISABLED", otel, "`true` turns tracing off", false},
		{"OTEL_SERVICE_NAME", otel, "name of the service in traces; `prima-api` if unset", false},
		{"OTEL_RESOURCE_ATTRIBUTES", otel, "more attributes of traces, `key=value,key=value`", false},
		{"OTEL_TRACES_SAMPLER", otel, "which traces are recorded, unless the caller decided it; " +
			"`parentbased_always_on` if unset", false},
		{"OTEL_TRACES_SAMPLER_ARG", otel, "share of the sampler, such as `0.1` for " +
			"`parentbased_traceidratio`", false},
	}
}
