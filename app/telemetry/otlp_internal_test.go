package telemetry

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

func spans(n int) []*tracepb.ResourceSpans {
	scope := &tracepb.ScopeSpans{}
	for range n {
		scope.Spans = append(scope.Spans, &tracepb.Span{Name: "a"})
	}
	return []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{scope}}}
}

// Ensure exports are what the variables of the environment say, that a busy collector is called
// again, and that refused spans are counted and make one line in the log for failures in a row.
func TestExport(t *testing.T) { //nolint:paralleltest // the exporter reads the real environment
	var attempts, status atomic.Int64
	var received atomic.Pointer[tracepb.TracesData]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		busy := status.Load() == http.StatusServiceUnavailable
		if n := attempts.Add(1); busy && n < 3 || status.Load() == http.StatusBadRequest {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(int(status.Load()))
			return
		}
		unzipped, err := gzip.NewReader(r.Body)
		if !assert.NoError(t, err) {
			return
		}
		body, err := io.ReadAll(unzipped)
		assert.NoError(t, err)
		data := new(tracepb.TracesData)
		assert.NoError(t, proto.Unmarshal(body, data))
		received.Store(data)
		assert.Equal(t, "a b", r.Header.Get("X-Team"))
		assert.Equal(t, "/base/v1/traces", r.URL.Path)
	}))
	defer server.Close()
	var environ []string
	for name, value := range map[string]string{
		"ENDPOINT": server.URL + "/base/", "HEADERS": "x-team=a%20b, other=c",
		"COMPRESSION": "gzip", "TIMEOUT": "60000",
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
		environ = append(environ, "OTEL_EXPORTER_OTLP_"+name+"="+value)
	}
	endpoint, timeout, err := checkOTLP(environ)
	require.NoError(t, err)
	assert.Equal(t, time.Minute, timeout)
	var log bytes.Buffer
	e := newExports(endpoint, timeout, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, e.Start(t.Context()))
	count := func(outcome string) int {
		m := new(dto.Metric)
		require.NoError(t, e.spans.WithLabelValues(outcome).Write(m))
		return int(m.GetCounter().GetValue())
	}

	status.Store(http.StatusServiceUnavailable)
	require.NoError(t, e.UploadTraces(t.Context(), spans(2)))
	assert.EqualValues(t, 3, attempts.Load())
	assert.Len(t, received.Load().GetResourceSpans()[0].GetScopeSpans()[0].GetSpans(), 2)
	assert.Equal(t, 2, count("exported"))
	status.Store(http.StatusBadRequest)
	for range 2 {
		attempts.Store(0)
		require.Error(t, e.UploadTraces(t.Context(), spans(3)))
		assert.EqualValues(t, 1, attempts.Load())
	}
	assert.Equal(t, 6, count("failed"))
	assert.Equal(t, 1, strings.Count(log.String(), "traces are not exported"))
	status.Store(0)
	require.NoError(t, e.UploadTraces(t.Context(), spans(1)))
	assert.Equal(t, 1, strings.Count(log.String(), "traces are exported again"))
}

// Ensure tracing is on if an endpoint is named, that the one for traces comes first and is whole,
// and that two variables turn it off.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	const base = "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318"
	for environ, want := range map[string]string{
		"":                                  "",
		"OTEL_SERVICE_NAME=x":               "",
		base:                                "http://a:4318/v1/traces",
		base + " OTEL_SDK_DISABLED=TRUE":    "",
		base + " OTEL_TRACES_EXPORTER=none": "",
		base + " OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://b/t":   "https://b/t",
		base + " OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf": "http://a:4318/v1/traces",

		"OTEL_EXPORTER_OTLP_ENDPOINT= OTEL_EXPORTER_OTLP_TRACES_ENDPOINT= OTEL_EXPORTER_OTLP_TIMEOUT=": "",
	} {
		endpoint, _, err := checkOTLP(strings.Fields(environ))
		require.NoError(t, err, environ)
		assert.Equal(t, want, endpoint, environ)
	}
}
