package api

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/trace"
)

// otherMethod is OpenTelemetry's name for a method that the API does not know.
const otherMethod = "_OTHER"

// metrics have OpenTelemetry's names where it has any, in the form of Prometheus:
// https://opentelemetry.io/docs/specs/semconv/http/http-metrics/. No label is a string of a
// request, because fasthttp reuses the buffer of those.
type metrics struct {
	*prometheus.Registry

	duration       *prometheus.HistogramVec
	active         *prometheus.GaugeVec
	received, sent *prometheus.CounterVec

	memoryLimit, memoryUsed     *prometheus.GaugeVec
	memoryWaits, memoryRefusals *prometheus.CounterVec

	pages, reads                   *prometheus.CounterVec
	streaming                      prometheus.Gauge
	panics, refused, lost, streams prometheus.Counter
}

func newMetrics() *metrics {
	registry := prometheus.NewRegistry()
	factory := promauto.With(registry)
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return factory.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return factory.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	const route, share = "http_route", "share"
	m := &metrics{
		Registry: registry,
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_server_request_duration_seconds",
			Help: "Time from the header of a request to the end of its response, " +
				"which for a list of several pages is when it has been sent.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"http_request_method", route, "http_response_status_code"}),
		active: gauges("http_server_active_requests", "Requests that are being served.", route),
		received: counters("http_server_request_body_bytes_total",
			"Bytes of request bodies that were read.", route),
		sent: counters("http_server_response_body_bytes_total",
			"Bytes of response bodies; of a response that was cut off, those that were sent.", route),

		memoryLimit: gauges("prima_request_memory_limit_bytes", "Memory of a share of REQUEST_MEMORY.", share),
		memoryUsed:  gauges("prima_request_memory_used_bytes", "Memory that requests have reserved.", share),
		memoryWaits: counters("prima_request_memory_waits_total", "Requests that had to wait for memory.", share),
		memoryRefusals: counters("prima_request_memory_refusals_total",
			"Requests that got a 503 because no memory was free in time.", share),

		pages: counters("prima_list_page_requests_total", "Requests for a page of users, by who read it: "+
			"the request itself (own) or one that it shared the read with (shared).", "read"),
		reads: counters("prima_list_reads_total", "Reads of pages of users, by outcome.", "outcome"),
		streaming: gauges("prima_list_streams_active",
			"Lists of several pages that are being sent.").WithLabelValues(),
		streams: counters("prima_list_streams_total",
			"Lists of several pages, which are sent while they are read.").WithLabelValues(),
		panics: counters("prima_panics_total",
			"Panics. Each became a 500, cut off a response or was logged.").WithLabelValues(),
		refused: counters("prima_connections_refused_total",
			"Connections beyond MAX_CONNECTIONS.").WithLabelValues(),
		lost: counters("prima_answers_cut_off_total", "Responses that were cut off after their status was sent: "+
			"the client went away, or the rest could not be read.").WithLabelValues(),
	}
	m.pages.WithLabelValues("own") // these series exist from the start
	m.pages.WithLabelValues("shared")
	m.reads.WithLabelValues("ok")
	m.reads.WithLabelValues("failed")
	return m
}

// methodLabel returns the label of a method, one of a bounded number.
func methodLabel(method string) string {
	if slices.Contains(fiber.DefaultMethods, method) {
		return method
	}
	return otherMethod
}

// recoverTo, deferred, counts a panic and makes it the error of its function. Goroutines of the API
// defer it, so that a panic does not end the process.
func (m *metrics) recoverTo(err *error) {
	if r := recover(); r != nil {
		m.panics.Inc()
		*err = asProblem(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
	}
}

// count counts a request whose response has been sent. If it is traced, its trace is the exemplar.
func (m *metrics) count(r *request, status, size int) {
	m.active.WithLabelValues(r.route).Dec()
	m.sent.WithLabelValues(r.route).Add(float64(max(size, 0)))
	if r.body != nil {
		m.received.WithLabelValues(r.route).Add(float64(r.body.read.Load()))
	}
	var exemplar prometheus.Labels
	if span := trace.SpanContextFromContext(r.context); span.IsSampled() && !span.IsRemote() {
		exemplar = prometheus.Labels{"trace_id": span.TraceID().String()}
	}
	series := m.duration.WithLabelValues(methodLabel(r.method), r.route, strconv.Itoa(status))
	observer, _ := series.(prometheus.ExemplarObserver) // as every histogram is
	observer.ObserveWithExemplar(time.Since(r.start).Seconds(), exemplar)
}

// registerState registers the metrics that are read from the state of the server.
func (s *Server) registerState() {
	gauge := func(name, help string, labels prometheus.Labels, value func() float64) {
		opts := prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}
		s.metrics.MustRegister(prometheus.NewGaugeFunc(opts, value))
	}
	gauge("prima_connections_limit", "Connections that may be open: MAX_CONNECTIONS.", nil,
		func() float64 { return float64(s.config.MaxConnections) })
	gauge("prima_connections_open", "Connections that are open.", nil,
		func() float64 { return float64(s.connections.open.Load()) })
	gauge("prima_connections_lingering",
		"Connections that have been refused a request and whose clients still send.", nil,
		func() float64 { return float64(s.connections.lingering.Load()) })
	gauge("prima_draining", "1 if the replica is shutting down.", nil,
		func() float64 { return oneIf(s.draining.Load()) })
	gauge("prima_ready", "1 if the replica should get requests, as /readyz says.", nil, func() float64 {
		ready, _ := s.readiness.report()
		return oneIf(ready && !s.draining.Load())
	})
	for _, d := range s.readiness.dependencies {
		for _, possible := range []state{pending, available, missing, unreachable} {
			labels := prometheus.Labels{"dependency": d.Name, "state": string(possible)}
			gauge("prima_dependency_state", "1 for the state of a dependency, 0 for the other states.", labels,
				func() float64 {
					_, states := s.readiness.report()
					return oneIf(states[d.Name].State == possible)
				})
		}
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
