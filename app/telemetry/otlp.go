package telemetry

import (
	"crypto/x509"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"prima.internal/app/contract"
)

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // a token

// checkOTLP checks the variables of the exporter, which reads them itself but only logs what is
// wrong. It returns the collector's URL, empty if no traces are exported, and how long an export
// may take. The error, if any, is a [*contract.Error].
//
// Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
func checkOTLP(environ []string) (endpoint string, timeout time.Duration, err error) {
	var faults []contract.Fault
	must := func(ok bool, name, value, allowed string) {
		if value != "" && !ok {
			faults = append(faults, contract.Fault{Variable: name, Value: value, Allowed: allowed})
			err = &contract.Error{Faults: faults}
		}
	}
	otlp := func(suffix string) (name, value string) { // the variable for traces comes first
		return lookup(environ, "OTEL_EXPORTER_OTLP_TRACES_"+suffix, "OTEL_EXPORTER_OTLP_"+suffix)
	}

	if _, disabled := lookup(environ, "OTEL_SDK_DISABLED"); strings.EqualFold(disabled, "true") {
		return "", 0, nil
	}
	name, value := lookup(environ, "OTEL_TRACES_EXPORTER")
	must(value == "otlp" || value == "none", name, value, "otlp or none")
	if value == "none" {
		return "", 0, nil
	}
	name, value = otlp("ENDPOINT")
	if value == "" {
		return "", 0, err
	}
	u, parseErr := url.Parse(value)
	ok := parseErr == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
	must(ok, name, value, "an http or https URL without a user")
	if endpoint = value; ok && name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		endpoint = u.JoinPath("v1/traces").String()
	}
	name, value = otlp("PROTOCOL")
	must(value == "http/protobuf", name, value, "http/protobuf, which collectors take on port 4318")
	name, value = otlp("COMPRESSION")
	must(value == "gzip" || value == "none", name, value, "gzip or none")
	if name, value = otlp("HEADERS"); !validHeaders(value) {
		must(false, name, "(hidden)", "a list key=value,key=value")
	}
	name, value = otlp("TIMEOUT")
	ms, parseErr := strconv.ParseInt(value, 10, 32)
	must(parseErr == nil && ms > 0, name, value, "a whole number of milliseconds")
	if timeout = 10 * time.Second; value != "" {
		timeout = time.Duration(ms) * time.Millisecond
	}
	if name, value = otlp("CERTIFICATE"); value != "" {
		pem, readErr := os.ReadFile(value) //nolint:gosec // the operator names it
		must(readErr == nil && x509.NewCertPool().AppendCertsFromPEM(pem), name, value,
			"a file with certificates in PEM that can be read")
	}
	return endpoint, timeout, err
}

// validHeaders reports whether a list is key=value,key=value with percent-encoded values.
func validHeaders(list string) bool {
	for pair := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(value)
		if !found || !headerName.MatchString(strings.TrimSpace(key)) || err != nil ||
			strings.ContainsAny(value, "\r\n") {
			return false
		}
	}
	return true
}

// lookup returns the first of some variables that is set and not empty, and its name.
func lookup(environ []string, names ...string) (name, value string) {
	for _, name = range names {
		for _, entry := range environ {
			value, ok := strings.CutPrefix(entry, name+"=")
			if value = strings.TrimSpace(value); ok && value != "" {
				return name, value
			}
		}
	}
	return name, ""
}
