package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Tracing exports the traces of a process. As a collector it counts their spans.
type Tracing struct {
	prometheus.Collector
	provider *sdktrace.TracerProvider // nil: tracing is off
	endpoint string
}

// NewTracing starts to export traces if environ, which is [os.Environ], names a collector.
// [config.RuntimeVariables] lists the variables. The error, if any, names the one that is wrong.
func NewTracing(environ []string, build Build, log *slog.Logger) (*Tracing, error) {
	endpoint, timeout, err := checkOTLP(environ)
	e := newExports(endpoint, timeout, log)
	if err != nil || endpoint == "" {
		return &Tracing{Collector: e.spans}, err
	}
	described, err := resource.New(context.Background(),
		resource.WithAttributes(semconv.ServiceName("prima-api"), semconv.ServiceVersion(build.Version)),
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithProcessRuntimeName(), resource.WithProcessRuntimeVersion(),
		resource.WithFromEnv(), // the last one wins
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Debug("tracing", "error", err) }))
	// The batcher drops spans when its queue is full, so no request waits for a collector.
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(otlptrace.NewUnstarted(e)), sdktrace.WithResource(described))
	return &Tracing{Collector: e.spans, provider: provider, endpoint: endpoint}, nil
}

// Tracer returns what begins spans. They are not recorded if tracing is off.
func (t *Tracing) Tracer() trace.Tracer {
	if t.provider == nil {
		return noop.Tracer{}
	}
	return t.provider.Tracer("prima.internal/app")
}

// Shutdown exports the spans that are left, until ctx ends.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Endpoint returns the collector's URL. It is empty if tracing is off.
func (t *Tracing) Endpoint() string { return t.endpoint }

// exports is a client of a collector that counts spans, bounds the time of each export, and logs
// when exports begin to fail and when they succeed again.
type exports struct {
	otlptrace.Client
	endpoint string
	timeout  time.Duration // retries included
	spans    *prometheus.CounterVec
	log      *slog.Logger
	failing  atomic.Bool // the last export failed
}

func newExports(endpoint string, timeout time.Duration, log *slog.Logger) *exports {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "prima_trace_spans_total",
		Help: "Spans that the collector took (outcome exported), or that were given up (failed).",
	}, []string{"outcome"})
	spans.WithLabelValues("exported")
	spans.WithLabelValues("failed")
	client := otlptracehttp.NewClient(otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
		Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 5 * time.Second,
		MaxElapsedTime: timeout,
	}))
	return &exports{Client: client, endpoint: endpoint, timeout: timeout, spans: spans, log: log}
}

// UploadTraces implements [otlptrace.Client].
func (e *exports) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	n := 0.0
	for _, resource := range spans {
		for _, scope := range resource.GetScopeSpans() {
			n += float64(len(scope.GetSpans()))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	err := e.Client.UploadTraces(ctx, spans)
	if err != nil {
		e.spans.WithLabelValues("failed").Add(n)
		if !e.failing.Swap(true) {
			e.log.Warn("traces are not exported", "endpoint", e.endpoint, "error", err)
		}
		return err
	}
	e.spans.WithLabelValues("exported").Add(n)
	if e.failing.Swap(false) {
		e.log.Info("traces are exported again", "endpoint", e.endpoint)
	}
	return nil
}
