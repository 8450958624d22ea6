package api

import (
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// otherMethod is the name of every method that the API does not know, as OpenTelemetry has it.
const otherMethod = "_OTHER"

// statusText are the codes of answers as labels.
var statusText = func() (text [600]string) {
	for code := range text {
		text[code] = strconv.Itoa(code)
	}
	return text
}()

// metrics count what is not kept anywhere else. Names and labels are those of OpenTelemetry, where it has any, as Prometheus writes them:
// https://opentelemetry.io/docs/specs/semconv/http/http-metrics/.
//
// The labels of a request are strings of the program and none of the request, whose memory is used again; looked up by them, a
// series costs no allocation.
type metrics struct {
	duration       *prometheus.HistogramVec
	active         *prometheus.GaugeVec
	received, sent *prometheus.CounterVec

	panics          prometheus.Counter
	pages           *prometheus.CounterVec
	streams         *prometheus.CounterVec
	streaming       prometheus.Gauge
	refused, lost   prometheus.Counter // connections
	shared, ownRead prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_server_request_duration_seconds",
			Help:    "Time from the header of a request to the end of its answer, which for a long list is when the last of it has been sent.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"http_request_method", "http_route", "http_response_status_code"}),
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "http_server_active_requests",
			Help: "Requests that are being served.",
		}, []string{"http_route"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_server_request_body_bytes_total",
			Help: "Bytes that were read of the bodies of requests.",
		}, []string{"http_route"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_server_response_body_bytes_total",
			Help: "Bytes of the bodies of answers, which of an answer that broke off are those that were sent.",
		}, []string{"http_route"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prima_panics_total",
			Help: "Panics that became a 500 or broke an answer off.",
		}),
		pages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prima_list_page_requests_total",
			Help: "Requests for a page of users, by who read it: the request itself (own) or another, with which it shared that (shared).",
		}, []string{"read"}),
		streams: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prima_list_streams_total",
			Help: "Long lists, which are sent while they are read: page after page (sequence) or several at the same time (segments).",
		}, []string{"source"}),
		streaming: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prima_list_streams_active",
			Help: "Long lists that are being sent.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prima_connections_refused_total",
			Help: "Connections beyond MAX_CONNECTIONS, which got one answer or none.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prima_answers_cut_off_total",
			Help: "Answers that broke off after their status was sent: the client went away, or what was left could not be read.",
		}),
	}
	m.ownRead, m.shared = m.pages.WithLabelValues("own"), m.pages.WithLabelValues("shared")
	return m
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.duration, m.active, m.received, m.sent, m.panics, m.pages, m.streams, m.streaming, m.refused, m.lost,
	}
}

// methods are those that the API knows, as labels.
var methods = slices.Clone(fiber.DefaultMethods)

// methodLabel returns a method as a label, whose values are bounded.
func methodLabel(method string) string {
	if i := slices.Index(methods, method); i >= 0 {
		return methods[i]
	}
	return otherMethod
}

// count counts a request that has been answered to its end. One of a trace that is recorded leaves its id with the time that it took.
func (m *metrics) count(e *exchange, status, size int) {
	if status < 0 || status >= len(statusText) {
		status = http.StatusInternalServerError
	}
	e.route.active.Dec()
	e.route.sent.Add(float64(max(size, 0)))
	if e.body != nil {
		e.route.received.Add(float64(e.body.read))
	}
	took := time.Since(e.start).Seconds()
	series := m.duration.WithLabelValues(methodLabel(e.method), e.route.name, statusText[status])
	if span := trace.SpanContextFromContext(e.context); span.IsSampled() && !span.IsRemote() {
		if observer, ok := series.(prometheus.ExemplarObserver); ok {
			observer.ObserveWithExemplar(took, prometheus.Labels{"trace_id": span.TraceID().String()})
			return
		}
	}
	series.Observe(took)
}

// What is known of the server without being counted.
var (
	memoryLimitDesc    = desc("prima_request_memory_limit_bytes", "Memory of a share of REQUEST_MEMORY.", "share")
	memoryUsedDesc     = desc("prima_request_memory_used_bytes", "Memory that requests have taken of a share.", "share")
	memoryWaitsDesc    = desc("prima_request_memory_waits_total", "Requests that found no room in a share and waited for it.", "share")
	memoryRefusalsDesc = desc("prima_request_memory_refusals_total", "Requests that were refused because there was no room in a share in time.", "share")
	buffersDesc        = desc("prima_upload_buffers_bytes", "Memory that uploads are read into: lent to requests, or kept for the next ones.", "state")
	readsDesc          = desc("prima_list_reads_total", "Reads of pages of users that requests may share, by what became of them.", "outcome")
	openDesc           = desc("prima_connections_open", "Connections that are open.")
	connectionsDesc    = desc("prima_connections_limit", "Connections that may be open: MAX_CONNECTIONS.")
	lingeringDesc      = desc("prima_connections_lingering", "Connections that have been answered and whose clients still send.")
	readyDesc          = desc("prima_ready", "Whether the replica should get requests: what /readyz says.")
	drainingDesc       = desc("prima_draining", "Whether the replica is shutting down.")
	dependencyDesc     = desc("prima_dependency_state", "1 for the state that a dependency is in, 0 for the others.", "dependency", "state")
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
	for name, share := range map[string]share{"uploads": s.budget.uploads, "lists": s.budget.lists, "bodies": s.budget.bodies, "reads": s.budget.reads} {
		value(memoryLimitDesc, gauge, float64(share.size), name)
		value(memoryUsedDesc, gauge, float64(share.state.used.Load()), name)
		value(memoryWaitsDesc, counter, float64(share.state.waits.Load()), name)
		value(memoryRefusalsDesc, counter, float64(share.state.refusals.Load()), name)
	}
	lent, kept := s.buffers.sizes()
	value(buffersDesc, gauge, float64(lent), "lent")
	value(buffersDesc, gauge, float64(kept), "kept")
	value(readsDesc, counter, float64(s.shared.succeeded.Load()), "ok")
	value(readsDesc, counter, float64(s.shared.failed.Load()), "failed")

	var open, lingering int64
	if l := s.listener.Load(); l != nil {
		open, lingering = l.open.Load(), l.lingering.Load()
	}
	value(openDesc, gauge, float64(open))
	value(lingeringDesc, gauge, float64(lingering))
	value(connectionsDesc, gauge, float64(s.config.MaxConnections))

	ok, _ := s.readiness.report()
	value(readyDesc, gauge, oneIf(ok && !s.draining.Load()))
	value(drainingDesc, gauge, oneIf(s.draining.Load()))
	for dependency, now := range s.readiness.all() {
		for _, possible := range []state{pending, available, missing, unreachable} {
			value(dependencyDesc, gauge, oneIf(now == possible), dependency, string(possible))
		}
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// shareState is what is known of a share beside what it has.
type shareState struct {
	used            atomic.Int64 // bytes
	waits, refusals atomic.Int64
}
