package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// A collector takes traces by OTLP over HTTP, as one of OpenTelemetry does.
type collector struct {
	url     string
	mu      sync.Mutex
	spans   []*tracepb.Span
	service string
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" ||
			proto.Unmarshal(body, &data) != nil {
			http.Error(w, "not a trace", http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range data.GetResourceSpans() {
			c.service = attribute(resource.GetResource().GetAttributes(), "service.name")
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// attribute returns a text or a whole number.
func attribute(list []*commonpb.KeyValue, key string) string {
	for _, a := range list {
		if n, ok := a.GetValue().GetValue().(*commonpb.AnyValue_IntValue); ok && a.GetKey() == key {
			return fmt.Sprint(n.IntValue)
		}
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// requireSpans returns the spans of a name in a trace, of which there must be so many.
func (c *collector) requireSpans(t *testing.T, trace, name string, n int) (found []*tracepb.Span) {
	t.Helper()
	for _, s := range c.spans {
		if fmt.Sprintf("%x", s.GetTraceId()) == trace && s.GetName() == name {
			found = append(found, s)
		}
	}
	require.Len(t, found, n, "%s in %s", name, trace)
	return found
}

// Ensure a request is a span in the trace of its caller, and each call of AWS a child span with an
// event for each failed attempt. AWS, the response and the log get the ids. If the caller does not
// record its trace, the API does not either. Probes begin no trace.
func TestTraces(t *testing.T) {
	t.Parallel()
	const (
		recorded, unrecorded = "4bf92f3577b34da6a3ce929d0e0e4736", "11111111111111111111111111111111"
		probed, caller       = "22222222222222222222222222222222", "00f067aa0ba902b7"
	)
	a, c := awstest.Start(t), startCollector(t)
	toAWS := make(chan string, 100)
	a.Intercede("DynamoDB.PutItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		toAWS <- r.Header.Get("Traceparent")
		if r.Header.Get("Amz-Sdk-Request") == "attempt=1; max=3" {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
	p := start(t, a.Environ("OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "OTEL_SERVICE_NAME=users", "DRAIN_TIME=0s")...)
	create := func(header ...string) http.Header {
		header = append(header, asJSON, "Tracestate: vendor=1")
		return send(http.MethodPost, p.url+"/users?secret=1", ada, header...).is(t, http.StatusCreated).header
	}
	response := create("Traceparent: 00-" + recorded + "-" + caller + "-01")
	sent := <-toAWS
	followed := create("Traceparent: 00-" + unrecorded + "-" + caller + "-00").Get("Traceresponse")
	assert.Regexp(t, "^00-"+unrecorded+"-[0-9a-f]{16}-00$", followed)
	own := create().Get("Traceresponse")
	require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, own)
	for _, path := range []string{config.PathHealth, config.PathReady} {
		assert.Empty(t, get(t, p.url+path).is(t, http.StatusOK).header.Get("Traceresponse"))
		r := get(t, p.url+path, "Traceparent: 00-"+probed+"-"+caller+"-01").is(t, http.StatusOK)
		assert.Regexp(t, "^00-"+probed, r.header.Get("Traceresponse"))
	}
	require.Equal(t, 0, p.stop(t), p.log())

	served := c.requireSpans(t, recorded, "POST /users", 1)[0]
	id := fmt.Sprintf("%x", served.GetSpanId())
	assert.Equal(t, caller, fmt.Sprintf("%x", served.GetParentSpanId()))
	assert.Equal(t, tracepb.Span_SPAN_KIND_SERVER, served.GetKind())
	assert.Equal(t, "vendor=1", served.GetTraceState())
	assert.Equal(t, "/users", attribute(served.GetAttributes(), "http.route"))
	assert.Equal(t, "201", attribute(served.GetAttributes(), "http.response.status_code"))
	assert.Equal(t, response.Get("X-Request-Id"), attribute(served.GetAttributes(), "prima.request_id"))
	assert.NotContains(t, served.String(), "secret")
	assert.Equal(t, "00-"+recorded+"-"+id+"-01", response.Get("Traceresponse"))
	assert.Equal(t, "users", c.service)

	call := c.requireSpans(t, recorded, "DynamoDB.PutItem", 1)[0]
	assert.Equal(t, served.GetSpanId(), call.GetParentSpanId())
	assert.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, call.GetKind())
	assert.Equal(t, "1", attribute(call.GetAttributes(), "http.request.resend_count"))
	require.Len(t, call.GetEvents(), 1)
	assert.Equal(t, "server", attribute(call.GetEvents()[0].GetAttributes(), "error.type"))
	assert.Equal(t, fmt.Sprintf("00-%s-%x-01", recorded, call.GetSpanId()), sent)

	c.requireSpans(t, strings.Split(own, "-")[1], "POST /users", 1)
	c.requireSpans(t, unrecorded, "POST /users", 0)
	c.requireSpans(t, probed, "GET "+config.PathReady, 1)
	assert.NotContains(t, fmt.Sprint(c.spans), "DynamoDB.DescribeTable", "no request needs the checks of readiness")
	assert.Regexp(t, `"msg":"request".*"trace_id":"`+recorded+`","span_id":"`+id+`"`, p.log())
	assert.Regexp(t, `"msg":"call repeated".*"trace_id":"`+recorded+`"`, p.log())
}

// Ensure requests that share a read are counted, and that their spans link to the request that
// reads.
func TestTracesOfASharedRead(t *testing.T) {
	t.Parallel()
	a, c := awstest.Start(t), startCollector(t)
	begun, goOn := make(chan struct{}, 10), make(chan struct{})
	p := start(t, a.Environ("OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "DRAIN_TIME=0s", "REQUEST_TIMEOUT=5m")...)
	a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		begun <- struct{}{}
		<-goOn
		next.ServeHTTP(w, r)
	})
	var clients sync.WaitGroup
	list := func() { clients.Go(func() { send(http.MethodGet, p.url+config.PathUsers, "") }) }
	list()
	<-begun
	for range 3 { // they share the next read
		list()
	}
	p.awaitMetric(t, `http_server_active_requests{http_route="/users"} 4`)
	close(goOn)
	clients.Wait()
	p.awaitMetric(t, `prima_list_page_requests_total{read="shared"} 2`)
	p.awaitMetric(t, `prima_list_page_requests_total{read="own"} 2`)
	p.awaitMetric(t, `prima_list_reads_total{outcome="ok"} 2`)
	require.Equal(t, 0, p.stop(t))

	reads, links := map[string]string{}, 0 // the traces of requests that read, by their spans
	for _, s := range c.spans {
		if s.GetName() == "DynamoDB.Scan" {
			reads[string(s.GetParentSpanId())] = string(s.GetTraceId())
		}
	}
	assert.Len(t, reads, 2)
	for _, s := range c.spans {
		for _, link := range s.GetLinks() {
			links++
			assert.Equal(t, reads[string(link.GetSpanId())], string(link.GetTraceId()))
			assert.NotEqual(t, s.GetTraceId(), link.GetTraceId())
		}
	}
	assert.Equal(t, 2, links)
}

// Ensure a collector that takes everything and never responds holds up no request, and the exit no
// longer than SHUTDOWN_TIMEOUT.
func TestTracesCollectorHangs(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-over
	}))
	defer server.Close()
	defer close(over)
	p := start(t, awstest.Start(t).Environ("OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL,
		"OTEL_EXPORTER_OTLP_TIMEOUT=3600000", "OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_BSP_MAX_QUEUE_SIZE=8",
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=4", "OTEL_BSP_EXPORT_TIMEOUT=3600000", "DRAIN_TIME=0s", "SHUTDOWN_TIMEOUT=1s")...)
	p.users(t)
	<-asked
	for range 100 { // more than the queue holds
		p.users(t)
	}
	assert.Equal(t, 0, p.stop(t), "lost traces are no failure: %s", p.log())
	assert.Contains(t, p.log(), "traces are lost")
}
