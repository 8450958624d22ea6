package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"
)

// serviceName is what traces say the service is called, unless the environment says otherwise.
const serviceName = "prima-api"

// Tracing exports the traces of a process. The zero value is tracing that is off.
type Tracing struct {
	provider *sdktrace.TracerProvider
	client   *otlpClient
}

// NewTracing starts to export traces, if environ, which has the form of [os.Environ], names a collector to send them to. Which
// variables count stands in [config.RuntimeVariables]; those of the sampler, the resource, the batches and the limits the SDK reads
// by itself. A value that cannot be followed is an error that names its variable.
func NewTracing(environ []string, build Build, log *slog.Logger) (*Tracing, error) {
	settings, err := readOTLP(environ)
	if err != nil || settings.endpoint == "" {
		return new(Tracing), err
	}
	client, err := newOTLPClient(settings, log)
	if err != nil {
		return new(Tracing), err
	}
	described, err := resource.New(context.Background(),
		resource.WithAttributes(semconv.ServiceName(serviceName), semconv.ServiceVersion(build.Version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessRuntimeName(), resource.WithProcessRuntimeVersion(),
		resource.WithFromEnv(), // last, so that it comes first
	)
	if err != nil {
		return new(Tracing), fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	// What the SDK itself has to say: a failed export, which the client has counted and logged, or a variable that it ignores.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Debug("tracing", "error", err) }))
	// Spans wait in a queue of limited length, and those that find no room are dropped: no request waits for a collector.
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(otlptrace.NewUnstarted(client)),
		sdktrace.WithResource(described),
	)
	return &Tracing{provider: provider, client: client}, nil
}

// Tracer returns what spans are begun with, nil if tracing is off.
func (t *Tracing) Tracer() trace.Tracer {
	if t.provider == nil {
		return nil
	}
	return t.provider.Tracer("prima.internal/app")
}

// Shutdown exports what is left, for as long as ctx lasts.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("export the last traces: %w", err)
	}
	return nil
}

// Endpoint returns where traces go, empty if nowhere.
func (t *Tracing) Endpoint() string {
	if t.client == nil {
		return ""
	}
	return t.client.settings.endpoint
}

var exportsDesc = prometheus.NewDesc("prima_trace_spans_total",
	"Spans that were handed to the collector (outcome exported) or given up because it did not take them (failed).", []string{"outcome"}, nil)

// Describe implements [prometheus.Collector].
func (t *Tracing) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- exportsDesc }

// Collect implements [prometheus.Collector].
func (t *Tracing) Collect(metrics chan<- prometheus.Metric) {
	var exported, failed int64
	if t.client != nil {
		exported, failed = t.client.exported.Load(), t.client.failed.Load()
	}
	metrics <- prometheus.MustNewConstMetric(exportsDesc, prometheus.CounterValue, float64(exported), "exported")
	metrics <- prometheus.MustNewConstMetric(exportsDesc, prometheus.CounterValue, float64(failed), "failed")
}

// lookup returns the first of some variables that is set and not empty, and its name.
func lookup(environ []string, names ...string) (name, value string) {
	for _, name := range names {
		for _, entry := range environ {
			if value, ok := strings.CutPrefix(entry, name+"="); ok && strings.TrimSpace(value) != "" {
				return name, strings.TrimSpace(value)
			}
		}
	}
	return names[0], ""
}
