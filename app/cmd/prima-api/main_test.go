package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// Ensure the help lists every setting and is no error.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-help", "-h", "--help"} {
		status, stdout, stderr := runHere([]string{flag})
		assert.Equal(t, 0, status)
		for _, s := range config.Settings() {
			assert.Contains(t, stdout, s.Variable)
		}
		assert.Empty(t, stderr)
	}
}

// Ensure the version that the build stamped is printed.
func TestVersion(t *testing.T) {
	t.Parallel()
	status, stdout, _ := runHere([]string{"-version"})
	assert.Equal(t, 0, status)
	assert.Equal(t, "prima-api "+version+" ("+revision+")\n", stdout)
}

// Ensure wrong arguments and settings stop the start. The error names each fault and what is
// allowed, and hides what may be secret.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	refused := func(args, environ []string, want string) {
		t.Helper()
		status, stdout, stderr := runHere(args, environ...)
		assert.Equal(t, 2, status, want)
		assert.Contains(t, stderr, want)
		assert.NotContains(t, stderr, "s3cr3t")
		assert.Empty(t, stdout, want)
	}
	refused([]string{"serve"}, nil, `unexpected argument "serve"`)
	refused([]string{"-port=1"}, nil, `unexpected argument "-port=1"`)
	for want, setting := range map[string]string{
		`PORT="x" must be a whole number`:          "PORT=x",
		`ADMIN_PORT="y" must be a whole number`:    "PORT=x",
		`LOCALSTACK_URL="localstack:4566" must be`: "LOCALSTACK_URL=localstack:4566",
	} {
		refused(nil, []string{"ADMIN_PORT=y", setting}, want)
	}
	const otlp = "OTEL_EXPORTER_OTLP_"
	for want, setting := range map[string]string{
		otlp + `ENDPOINT="collector" must be an http or https URL`:            otlp + "ENDPOINT=collector",
		otlp + `PROTOCOL="grpc" must be http/protobuf`:                        otlp + "PROTOCOL=grpc",
		otlp + `TIMEOUT="10s" must be a whole number of milliseconds`:         otlp + "TIMEOUT=10s",
		otlp + `TIMEOUT="99999999999" must be a whole number of milliseconds`: otlp + "TIMEOUT=99999999999",
		otlp + `COMPRESSION="zstd" must be gzip or none`:                      otlp + "COMPRESSION=zstd",
		otlp + `HEADERS="(hidden)" must be a list key=value`:                  otlp + "HEADERS=s3cr3t",
		otlp + `HEADERS="(hidden)" must be a list key=value,key=value`:        otlp + "HEADERS=a s3cr3t=b",
		otlp + `CERTIFICATE="/none/here" must be a file with certificates in`: otlp + "CERTIFICATE=/none/here",
		`OTEL_TRACES_EXPORTER="zipkin" must be otlp or none`:                  "OTEL_TRACES_EXPORTER=zipkin",
	} {
		refused(nil, []string{setting, otlp + "ENDPOINT=http://127.0.0.1:1"}, want)
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
		status, _, stderr := runHere(nil, append([]string{"PORT=0"}, environ...)...)
		assert.Equal(t, 1, status)
		assert.Regexp(t, want, stderr)
	}
}

// Ensure settings that were removed do not stop the start, and that the log names each once.
func TestRemovedSettings(t *testing.T) {
	t.Parallel()
	environ := awstest.Start(t).Environ()
	for _, variable := range config.Removed() {
		environ = append(environ, variable+"=500ms")
	}
	p := start(t, environ...)
	for _, variable := range config.Removed() {
		line := `"level":"WARN","msg":"` + variable + ` was removed: it has no effect any more; delete it"`
		assert.Equal(t, 1, strings.Count(p.log.String(), line), p.log)
	}
}

// Ensure the program runs from its environment to its exit, that the variable of the earlier chart
// still leads it to AWS, with a warning, and that the log says that no token is asked for.
func TestProgram(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("AWS_ENDPOINT_URL=", "LOCALSTACK_URL="+a.Config.Endpoint)...)

	status, stdout, stderr := runHere([]string{"check", p.url})
	assert.Equal(t, 0, status, stderr)
	assert.Equal(t, 4, strings.Count(stdout, "\n"), stdout)
	assert.Empty(t, a.Objects(t))

	p.signal(t, os.Interrupt)
	assert.Equal(t, 0, p.wait(t))
	assert.Contains(t, p.log.String(), "LOCALSTACK_URL is deprecated; set AWS_ENDPOINT_URL instead")
	assert.Contains(t, p.log.String(), `"msg":"everybody may read and write: ACCESS_TOKENS is empty"`)
}

// startFake serves an API that creates and deletes a user, but for what these handlers do.
func startFake(t *testing.T, get, remove http.HandlerFunc) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":"1"}`)
	})
	mux.HandleFunc("GET /", get)
	mux.HandleFunc("DELETE /", remove)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// Ensure a check fails if there is no API and if the API fails, and that its error says why. The
// user that it created is deleted.
func TestCheckFails(t *testing.T) {
	t.Parallel()
	failing := startFake(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "broken", http.StatusServiceUnavailable)
	}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for url, want := range map[string]string{
		"localhost:5000":     "unsupported protocol scheme",
		"http://127.0.0.1:1": "connection refused",
		failing:              "503 Service Unavailable: broken",
	} {
		status, stdout, stderr := runHere([]string{"check", url})
		assert.Equal(t, 1, status)
		assert.Contains(t, stderr, want)
		assert.Equal(t, url == failing, strings.Contains(stdout, "DELETE /users/1: 204"), stdout)
	}
}

// Ensure a check ends although the API does not respond to the request to delete its user.
func TestCheckEnds(t *testing.T) {
	t.Parallel()
	stuck := startFake(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[{"id":"1"}]`) },
		func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := client{base: stuck, out: io.Discard}
	assert.ErrorIs(t, c.check(t.Context(), time.Second), context.DeadlineExceeded)
}
