package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/telemetry"
)

// The headers of https://www.w3.org/TR/trace-context/; traceresponse is of its second level and
// tells a client which trace its request belongs to.
const (
	headerTraceParent   = "traceparent"
	headerTraceState    = "tracestate"
	headerTraceResponse = "traceresponse"
)

// Trace makes the server trace requests. It is called before Serve.
func (s *Server) Trace(tracer trace.Tracer) { s.tracer = tracer }

// startSpan sets the context of a request, which has the caller's trace or a new one, and its span.
// Nothing is recorded of a probe without a trace: that would be most of the traces of a quiet
// service.
func (s *Server) startSpan(c *fiber.Ctx, r *request) {
	ctx := telemetry.WithRequestID(context.Background(), r.id)
	if parents := c.Request().Header.PeekAll(headerTraceParent); len(parents) == 1 { // two parents are none
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{
			headerTraceParent: string(parents[0]),
			headerTraceState:  string(bytes.Join(c.Request().Header.PeekAll(headerTraceState), []byte{','})),
		})
	}
	r.context, r.span = ctx, trace.SpanFromContext(ctx)
	if isProbe(r.path) && !r.span.SpanContext().IsValid() {
		return
	}
	// Not the query: it may hold the id of an image, which lets its owner see it.
	r.context, r.span = s.tracer.Start(ctx, methodLabel(r.method)+" "+r.route,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.start))
	if span := r.span.SpanContext(); span.IsValid() && !span.IsRemote() {
		c.Set(headerTraceResponse, fmt.Sprintf("00-%s-%s-%s", span.TraceID(), span.SpanID(), span.TraceFlags()))
	}
	if !r.span.IsRecording() {
		return
	}
	peer, _ := netip.ParseAddrPort(r.remote)
	r.span.SetAttributes(
		semconv.HTTPRequestMethodKey.String(methodLabel(r.method)),
		semconv.URLPath(r.path),
		semconv.URLScheme(scheme(c)),
		semconv.NetworkPeerAddress(peer.Addr().String()),
		semconv.NetworkPeerPort(int(peer.Port())),
		semconv.UserAgentOriginal(string(c.Request().Header.UserAgent())), // a copy
		attribute.String("prima.request_id", r.id),
	)
	if methodLabel(r.method) == otherMethod {
		r.span.SetAttributes(semconv.HTTPRequestMethodOriginal(r.method))
	}
	if r.route != unmatched {
		r.span.SetAttributes(semconv.HTTPRoute(r.route))
	}
}

// endSpan ends the span of a request.
func (r *request) endSpan(status, size int, err error) {
	defer r.span.End()
	if !r.span.IsRecording() {
		return
	}
	r.span.SetAttributes(semconv.HTTPResponseStatusCode(status), semconv.HTTPResponseBodySize(size))
	if r.body != nil {
		r.span.SetAttributes(semconv.HTTPRequestBodySize(int(r.body.read.Load())))
	}
	kind := "cut_off"
	switch {
	case status >= http.StatusInternalServerError:
		kind = strconv.Itoa(status)
	case err == nil || status >= http.StatusBadRequest:
		return
	}
	r.span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	r.span.SetStatus(codes.Error, fmt.Sprint(err))
}

// link links a request to another, whose read of a page it shares.
func (r *request) link(reader trace.SpanContext) {
	if reader.IsValid() {
		shared := attribute.String("prima.link", "shared read")
		r.span.AddLink(trace.Link{SpanContext: reader, Attributes: []attribute.KeyValue{shared}})
	}
}
