package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// Ensure the help lists every setting and the version is what the build stamped, and that neither
// is an error.
func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-help", "-h", "--help"} {
		status, stdout, stderr := runHere(flag)
		assert.Equal(t, 0, status)
		for _, s := range config.Settings() {
			assert.Contains(t, stdout, s.Variable)
		}
		assert.Empty(t, stderr)
	}
	status, stdout, _ := runHere("-version")
	assert.Equal(t, 0, status)
	assert.Equal(t, "prima-api "+version+" ("+revision+")\n", stdout)
}

// Ensure wrong arguments and settings stop the start. The error names each fault and what is
// allowed, and hides what may be secret.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	const otlp, url = "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	for _, row := range []struct{ args, environ, want string }{
		{"serve", "", `unexpected argument "serve"`},
		{"-port=1", "", `unexpected argument "-port=1"`},
		{"", "PORT=x ADMIN_PORT=y", `PORT="x" must be a whole number`},
		{"", "PORT=x ADMIN_PORT=y", `ADMIN_PORT="y" must be a whole number`},
		{"", "LOCALSTACK_URL=localstack:4566", `LOCALSTACK_URL="localstack:4566" must be`},
		{"", otlp + "ENDPOINT=collector", otlp + `ENDPOINT="collector" must be an http or https URL`},
		{"", otlp + "PROTOCOL=grpc " + url, otlp + `PROTOCOL="grpc" must be http/protobuf`},
		{"", otlp + "TIMEOUT=10s " + url, otlp + `TIMEOUT="10s" must be a whole number of milliseconds`},
		{"", otlp + "TIMEOUT=99999999999 " + url, otlp + `TIMEOUT="99999999999" must be a whole number of milliseconds`},
		{"", otlp + "COMPRESSION=zstd " + url, otlp + `COMPRESSION="zstd" must be gzip or none`},
		{"", otlp + "HEADERS=s3cr3t " + url, otlp + `HEADERS="(hidden)" must be a list key=value`},
		{"", otlp + "HEADERS=a\vs3cr3t=b " + url, otlp + `HEADERS="(hidden)" must be a list key=value,key=value`},
		{"", otlp + "CERTIFICATE=/none/here " + url, otlp + `CERTIFICATE="/none/here" must be a file with certificates in`},
		{"", "OTEL_TRACES_EXPORTER=zipkin " + url, `OTEL_TRACES_EXPORTER="zipkin" must be otlp or none`},
	} {
		status, stdout, stderr := runHere(row.args, strings.Split(row.environ, " ")...)
		assert.Equal(t, 2, status, row)
		assert.Contains(t, stderr, row.want)
		assert.NotContains(t, stderr, "s3cr3t")
		assert.Empty(t, stdout, row)
	}
}

// Ensure a port that is taken, or an address that this machine does not have, stops the start, and
// that the error names the settings.
func TestCannotListen(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", ":0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for want, environ := range map[string][]string{
		fmt.Sprintf(`"PORT=%d: listen .*address already in use"`, port):      {fmt.Sprint("PORT=", port)},
		fmt.Sprintf(`ADMIN_PORT=%d: listen .*address already in use"`, port): {fmt.Sprint("ADMIN_PORT=", port)},
		`"ADMIN_ADDRESS=192.0.2.1 ADMIN_PORT=0: listen .*cannot assign`:      {"ADMIN_ADDRESS=192.0.2.1", "ADMIN_PORT=0"},
	} {
		status, _, stderr := runHere("", append([]string{"PORT=0"}, environ...)...)
		assert.Equal(t, 1, status)
		assert.Regexp(t, want, stderr)
	}
}

// Ensure settings that were removed do not stop the start, that the variable of the earlier chart
// still leads to AWS, and that the log says so once for each. The check passes, and removes what it
// created.
func TestOldSettings(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	environ := a.Environ("AWS_ENDPOINT_URL=", "LOCALSTACK_URL="+a.Config.Endpoint, "DRAIN_TIME=0s")
	warnings := []string{
		"LOCALSTACK_URL is deprecated; set AWS_ENDPOINT_URL instead",
		"everybody may read and write: ACCESS_TOKENS is empty",
	}
	for _, variable := range config.Removed() {
		environ = append(environ, variable+"=500ms")
		warnings = append(warnings, variable+" was removed: it has no effect any more; delete it")
	}
	p := start(t, environ...)

	status, stdout, stderr := runHere("check " + p.url)
	assert.Equal(t, 0, status, stderr)
	assert.Equal(t, 4, strings.Count(stdout, "\n"), stdout)
	assert.Empty(t, p.users(t))

	p.signal(t, os.Interrupt)
	assert.Equal(t, 0, p.wait(t))
	for _, warning := range warnings {
		assert.Equal(t, 1, strings.Count(p.log(), `"level":"WARN","msg":"`+warning+`"`), warning)
	}
}
