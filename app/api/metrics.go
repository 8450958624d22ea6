package api

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// otherMethod is OpenTelemetry's name for a method that the API does not know.
const otherMethod = "_OTHER"

// metrics are named as OpenTelemetry's, where it has any, in the form of Prometheus:
// https://opentelemetry.io/docs/specs/semconv/http/http-metrics/. No label is a string of a request,
// whose buffer fasthttp uses again.
type metrics struct {
	duration       *prometheus.HistogramVec
	active         *prometheus.GaugeVec
	received, sent *prometheus.CounterVec

	panics          prometheus.Counter
	pages           *prometheus.CounterVec
	streams         prometheus.Counter
	streaming       prometheus.Gauge
	refused, lost   prometheus.Counter
	shared, ownRead prometheus.Counter
}

func newMetrics() *metrics {
	const route = "http_route"
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_server_request_duration_seconds",
			Help:    "Time from the header of a request to the end of its response, which for a list of several pages is when it has been sent.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"http_request_method", route, "http_response_status_code"}),
		active:    gauges("http_server_active_requests", "Requests that are being served.", route),
		received:  counters("http_server_request_body_bytes_total", "Bytes of request bodies that were read.", route),
		sent:      counters("http_server_response_body_bytes_total", "Bytes of response bodies; of a response that was cut off, those that were sent.", route),
		panics:    counter("prima_panics_total", "Panics, each of which became a 500, cut a response off or was logged."),
		pages:     counters("prima_list_page_requests_total", "Requests for a page of users, by who read it: the request itself (own) or one that it shared the read with (shared).", "read"),
		streams:   counter("prima_list_streams_total", "Lists of several pages, which are sent while they are read."),
		streaming: gauges("prima_list_streams_active", "Lists of several pages that are being sent.").WithLabelValues(),
		refused:   counter("prima_connections_refused_total", "Connections beyond MAX_CONNECTIONS."),
		lost:      counter("prima_answers_cut_off_total", "Responses that were cut off after their status was sent: the client went away, or the rest could not be read."),
	}
	m.ownRead, m.shared = m.pages.WithLabelValues("own"), m.pages.WithLabelValues("shared")
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func counter(name, help string) prometheus.Counter { return counters(name, help).WithLabelValues() }

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.duration, m.active, m.received, m.sent, m.panics, m.pages, m.streams, m.streaming, m.refused, m.lost,
	}
}

// methodLabel returns the label of a method, one of a bounded number.
func methodLabel(method string) string {
	if slices.Contains(fiber.DefaultMethods, method) {
		return method
	}
	return otherMethod
}

// recoverTo, deferred, counts a panic and makes it the error of its function. Every goroutine of the
// API has it.
func (m *metrics) recoverTo(err *error) {
	if r := recover(); r != nil {
		m.panics.Inc()
		*err = asProblem(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
	}
}

// countPage counts a request for a page, which it has read itself or shares with others.
func (m *metrics) countPage(own bool) {
	if own {
		m.ownRead.Inc()
	} else {
		m.shared.Inc()
	}
}

// count counts a request whose response has been sent. If it is traced, its trace is the exemplar.
func (m *metrics) count(r *request, status, size int) {
	m.active.WithLabelValues(r.route).Dec()
	m.sent.WithLabelValues(r.route).Add(float64(max(size, 0)))
	if r.body != nil {
		m.received.WithLabelValues(r.route).Add(float64(r.body.read.Load()))
	}
	took := time.Since(r.start).Seconds()
	series := m.duration.WithLabelValues(methodLabel(r.method), r.route, strconv.Itoa(status))
	if span := trace.SpanContextFromContext(r.context); span.IsSampled() && !span.IsRemote() {
		if observer, ok := series.(prometheus.ExemplarObserver); ok {
			observer.ObserveWithExemplar(took, prometheus.Labels{"trace_id": span.TraceID().String()})
			return
		}
	}
	series.Observe(took)
}

// Metrics that are read from the state of the server.
var (
	memoryLimitDesc    = desc("prima_request_memory_limit_bytes", "Memory of a share of REQUEST_MEMORY.", "share")
	memoryUsedDesc     = desc("prima_request_memory_used_bytes", "Memory that requests have reserved of a share.", "share")
	memoryWaitsDesc    = desc("prima_request_memory_waits_total", "Requests that had to wait for memory of a share.", "share")
	memoryRefusalsDesc = desc("prima_request_memory_refusals_total", "Requests that got a 503 because a share had no memory for them in time.", "share")
	readsDesc          = desc("prima_list_reads_total", "Reads of pages of users, by outcome.", "outcome")
	openDesc           = desc("prima_connections_open", "Connections that are open.")
	connectionsDesc    = desc("prima_connections_limit", "Connections that may be open: MAX_CONNECTIONS.")
	lingeringDesc      = desc("prima_connections_lingering", "Connections that have been refused a request and whose clients still send.")
	readyDesc          = desc("prima_ready", "1 if the replica should get requests, as /readyz says.")
	drainingDesc       = desc("prima_draining", "1 if the replica is shutting down.")
	dependencyDesc     = desc("prima_dependency_state", "1 for the state of a dependency, 0 for the other states.", "dependency", "state")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements [prometheus.Collector].
func (s *Server) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(s, descriptions)
}

// Collect implements [prometheus.Collector].
func (s *Server) Collect(into chan<- prometheus.Metric) {
	for _, c := range s.metrics.collectors() {
		c.Collect(into)
	}
	value := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		into <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	for name, share := range map[string]*share{"bodies": s.memory.bodies, "pages": s.memory.pages} {
		value(memoryLimitDesc, gauge, float64(share.size), name)
		value(memoryUsedDesc, gauge, float64(share.used.Load()), name)
		value(memoryWaitsDesc, counter, float64(share.waits.Load()), name)
		value(memoryRefusalsDesc, counter, float64(share.refusals.Load()), name)
	}
	value(readsDesc, counter, float64(s.reads.succeeded.Load()), "ok")
	value(readsDesc, counter, float64(s.reads.failed.Load()), "failed")

	var open, lingering int64
	if l := s.listener.Load(); l != nil {
		open, lingering = l.open.Load(), l.lingering.Load()
	}
	value(openDesc, gauge, float64(open))
	value(lingeringDesc, gauge, float64(lingering))
	value(connectionsDesc, gauge, float64(s.config.MaxConnections))

	ready, states := s.readiness.report()
	value(readyDesc, gauge, oneIf(ready && !s.draining.Load()))
	value(drainingDesc, gauge, oneIf(s.draining.Load()))
	for dependency, now := range states {
		for _, possible := range []state{pending, available, missing, unreachable} {
			value(dependencyDesc, gauge, oneIf(now.State == possible), dependency, string(possible))
		}
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
