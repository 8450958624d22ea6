package config

import "prima.internal/app/contract"

// RuntimeVariables lists what the process reads beside its settings.
//
// Sources: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html,
// https://pkg.go.dev/runtime#hdr-Environment_Variables,
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
func RuntimeVariables() []contract.RuntimeVariable {
	var list []contract.RuntimeVariable
	readBy := func(reader string, secret bool) func(variable, meaning string) {
		return func(variable, meaning string) {
			v := contract.RuntimeVariable{Variable: variable, Reader: reader, Meaning: meaning, Secret: secret}
			list = append(list, v)
		}
	}
	sdk, sdkSecret := readBy("AWS SDK", false), readBy("AWS SDK", true)
	runtime := readBy("Go runtime", false)
	otel, otelSecret := readBy("OpenTelemetry", false), readBy("OpenTelemetry", true)

	sdkSecret("AWS_ACCESS_KEY_ID", "static credentials; they come before every role")
	sdkSecret("AWS_SECRET_ACCESS_KEY", "static credentials")
	sdkSecret("AWS_SESSION_TOKEN", "static credentials that expire")
	sdk("AWS_PROFILE", "profile of the shared configuration, for a developer's machine")
	sdk("AWS_ROLE_ARN", "role of a service account (IRSA)")
	sdk("AWS_WEB_IDENTITY_TOKEN_FILE", "token of a service account (IRSA)")
	sdk("AWS_CONTAINER_CREDENTIALS_FULL_URI", "where EKS Pod Identity has credentials")
	sdk("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token for EKS Pod Identity")
	sdk("AWS_EC2_METADATA_DISABLED", "`true` if there is no instance metadata service, so that nothing waits for it")
	sdk("AWS_CA_BUNDLE", "certificates to trust instead of the system's, for an endpoint of your own")
	runtime("GOMEMLIMIT",
		"soft memory limit; if unset, 80 % of the container's, or four times `REQUEST_MEMORY` if there is none")
	runtime("GOMAXPROCS", "threads that run Go code; if unset, it follows the container's CPU limit")
	runtime("GOGC",
		"garbage that piles up before it is collected, in percent of the memory in use; 400 if unset")
	otel("OTEL_EXPORTER_OTLP_ENDPOINT", "collector that gets the traces at `/v1/traces`, by OTLP over HTTP, such as "+
		"`http://collector:4318`; if unset, nothing is traced")
	otel("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "the same as a whole URL; it comes before the other")
	otel("OTEL_EXPORTER_OTLP_PROTOCOL", "`http/protobuf`; the API does not start with any other protocol")
	otelSecret("OTEL_EXPORTER_OTLP_HEADERS", "headers for the collector, `key=value,key=value`")
	otel("OTEL_EXPORTER_OTLP_TIMEOUT", "longest time of an export, retries included, in milliseconds; 10000 if unset")
	otel("OTEL_EXPORTER_OTLP_COMPRESSION", "`gzip` or `none`")
	otel("OTEL_EXPORTER_OTLP_CERTIFICATE", "file of certificates to trust instead of the system's")
	otel("OTEL_TRACES_EXPORTER", "`otlp` or `none`")
	otel("OTEL_SDK_DISABLED", "`true` turns tracing off")
	otel("OTEL_SERVICE_NAME", "name of the service in traces; `prima-api` if unset")
	otel("OTEL_RESOURCE_ATTRIBUTES", "more attributes of traces, `key=value,key=value`")
	otel("OTEL_TRACES_SAMPLER",
		"which traces are recorded, unless the caller decided it; `parentbased_always_on` if unset")
	otel("OTEL_TRACES_SAMPLER_ARG", "share of the sampler, such as `0.1` for `parentbased_traceidratio`")
	return list
}

// Help returns the settings as `prima-api -help` prints them.
func Help() string { return contract.Help(Settings(), RuntimeVariables()) }
