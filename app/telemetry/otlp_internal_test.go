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

// Ensure an export is made again when a collector is busy, with its headers and compressed as it is set, and that what it refuses
// or redirects is given up, counted and a line in the log: one for failures in a row.
func TestExport(t *testing.T) {
	t.Parallel()
	var (
		attempts atomic.Int64
		status   atomic.Int64
		received atomic.Pointer[tracepb.TracesData]
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempts.Add(1)
		if status.Load() == http.StatusServiceUnavailable && attempts.Load() < 3 || status.Load() == http.StatusBadRequest || status.Load() == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
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
	settings, err := readOTLP([]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL + "/base/", "OTEL_EXPORTER_OTLP_HEADERS=x-team=a%20b, other=c",
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TIMEOUT=60000",
	})
	require.NoError(t, err)
	assert.Equal(t, time.Minute, settings.timeout)
	var log bytes.Buffer
	client, err := newOTLPClient(settings, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)

	status.Store(http.StatusServiceUnavailable)
	require.NoError(t, client.UploadTraces(t.Context(), spans(2)))
	assert.EqualValues(t, 3, attempts.Load())
	assert.Len(t, received.Load().GetResourceSpans()[0].GetScopeSpans()[0].GetSpans(), 2)
	assert.EqualValues(t, 2, client.exported.Load())
	for _, refused := range []int64{http.StatusBadRequest, http.StatusFound} {
		status.Store(refused)
		attempts.Store(0)
		require.Error(t, client.UploadTraces(t.Context(), spans(3)))
		assert.EqualValues(t, 1, attempts.Load())
	}
	assert.EqualValues(t, 6, client.failed.Load())
	assert.Equal(t, 1, strings.Count(log.String(), "traces are not exported"))
	status.Store(0)
	require.NoError(t, client.UploadTraces(t.Context(), spans(1)))
	assert.Equal(t, 1, strings.Count(log.String(), "traces are exported again"))
}

// Ensure tracing is on where an endpoint is named, that the one of traces comes first and is whole, and that two variables turn it off.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"":                    "",
		"OTEL_SERVICE_NAME=x": "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318":                                                    "http://a:4318/v1/traces",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://b/t":     "https://b/t",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318 OTEL_SDK_DISABLED=TRUE":                             "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318 OTEL_TRACES_EXPORTER=none":                          "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318 OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf":   "http://a:4318/v1/traces",
		"OTEL_EXPORTER_OTLP_ENDPOINT= OTEL_EXPORTER_OTLP_TRACES_ENDPOINT= OTEL_EXPORTER_OTLP_TIMEOUT=": "",
	} {
		settings, err := readOTLP(strings.Fields(environ))
		require.NoError(t, err, environ)
		assert.Equal(t, want, settings.endpoint, environ)
	}
}
