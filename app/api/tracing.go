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
)

// The headers of https://www.w3.org/TR/trace-context/; traceresponse is of its second level and tells
// a client which trace its request belongs to.
const (
	headerTraceParent   = "traceparent"
	headerTraceState    = "tracestate"
	headerTraceResponse = "traceresponse"
)

// Trace makes the server trace requests. It is called before Serve.
func (s *Server) Trace(tracer trace.Tracer) { s.tracer = tracer }

// traced returns the context of a request with the caller's trace or, if requests are traced, with a
// span of its own.
func (s *Server) traced(ctx context.Context, c *fiber.Ctx, r *request) context.Context {
	if parents := c.Request().Header.PeekAll(headerTraceParent); len(parents) == 1 { // two parents are none
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{
			headerTraceParent: string(parents[0]),
			headerTraceState:  string(bytes.Join(c.Request().Header.PeekAll(headerTraceState), []byte{','})),
		})
	}
	if s.tracer == nil {
		return ctx
	}
	// Probes would be most of the traces of a quiet service.
	if isProbe(r.path) && !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	// Not the query: it may hold the id of an image, which lets its owner see it.
	ctx, r.span = s.tracer.Start(ctx, methodLabel(r.method)+" "+r.route, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.start))
	if r.span.IsRecording() {
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
	if span := r.span.SpanContext(); span.IsValid() {
		c.Response().Header.Set(headerTraceResponse, "00-"+span.TraceID().String()+"-"+span.SpanID().String()+"-"+span.TraceFlags().String())
	}
	return ctx
}

// endSpan ends the span of a request, if it has one.
func (r *request) endSpan(status, size int, err error) {
	if r.span == nil {
		return
	}
	if r.span.IsRecording() {
		r.span.SetAttributes(semconv.HTTPResponseStatusCode(status), semconv.HTTPResponseBodySize(size))
		if r.body != nil {
			r.span.SetAttributes(semconv.HTTPRequestBodySize(int(r.body.read.Load())))
		}
		kind := ""
		switch {
		case status >= http.StatusInternalServerError:
			kind = strconv.Itoa(status)
		case err != nil && status < http.StatusBadRequest:
			kind = "cut_off"
		}
		if kind != "" {
			r.span.SetAttributes(semconv.ErrorTypeKey.String(kind))
			r.span.SetStatus(codes.Error, fmt.Sprint(err))
		}
	}
	r.span.End()
}

// link links a request to another, whose read of a page it shares.
func (r *request) link(reader trace.SpanContext) {
	if r.span != nil && r.span.IsRecording() && reader.IsValid() {
		r.span.AddLink(trace.Link{SpanContext: reader, Attributes: []attribute.KeyValue{attribute.String("prima.link", "shared read")}})
	}
}
