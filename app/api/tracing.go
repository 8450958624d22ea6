package api

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/config"
)

// The headers of a trace: those of https://www.w3.org/TR/trace-context/, and the one of its second level that tells a client in which
// trace its request was served.
const (
	headerTraceParent   = "traceparent"
	headerTraceState    = "tracestate"
	headerTraceResponse = "traceresponse"
)

// Trace makes a span of every request by tracer. It is called before Serve.
func (s *Server) Trace(tracer trace.Tracer) { s.tracer = tracer }

// traced returns the context of a request with the trace that it belongs to: that of the caller or, where requests are traced,
// of a span of its own.
func (s *Server) traced(ctx context.Context, c *fiber.Ctx, e *exchange) context.Context {
	if len(c.Request().Header.Peek(headerTraceParent)) > 0 {
		ctx = propagation.TraceContext{}.Extract(ctx, headerCarrier{&c.Request().Header})
	}
	if s.tracer == nil {
		return ctx
	}
	// Probes come every other second and say nothing that a metric does not; in a quiet service they would be all of its traces.
	if probe := e.route.name == config.PathHealth || e.route.name == config.PathReady; probe && !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	// Of the URL nothing but the path: a query may hold what lets its owner see an image.
	ctx, e.span = s.tracer.Start(ctx, methodLabel(e.method)+" "+e.route.name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(e.start))
	if e.span.IsRecording() {
		host, port := addressOf(e.remote)
		e.span.SetAttributes(
			semconv.HTTPRequestMethodKey.String(methodLabel(e.method)),
			semconv.URLPath(e.path),
			semconv.URLScheme(c.Protocol()),
			semconv.NetworkPeerAddress(host),
			semconv.NetworkPeerPort(port),
			semconv.UserAgentOriginal(string(c.Request().Header.UserAgent())), // a copy
			attribute.String("prima.request_id", e.id),
		)
		if methodLabel(e.method) == otherMethod {
			e.span.SetAttributes(semconv.HTTPRequestMethodOriginal(e.method))
		}
		if e.route.name != unmatched {
			e.span.SetAttributes(semconv.HTTPRoute(e.route.name))
		}
	}
	if span := e.span.SpanContext(); span.IsValid() {
		c.Response().Header.Set(headerTraceResponse, "00-"+span.TraceID().String()+"-"+span.SpanID().String()+"-"+span.TraceFlags().String())
	}
	return ctx
}

// endSpan ends the span of a request, if it has one, with what it was answered.
func (e *exchange) endSpan(status, size int, err error) {
	if e.span == nil {
		return
	}
	if e.span.IsRecording() {
		e.span.SetAttributes(semconv.HTTPResponseStatusCode(status), semconv.HTTPResponseBodySize(size))
		if e.body != nil {
			e.span.SetAttributes(semconv.HTTPRequestBodySize(int(e.body.read)))
		}
		switch {
		case status >= http.StatusInternalServerError:
			e.span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
			e.span.SetStatus(codes.Error, textOf(err))
		case err != nil && status < http.StatusBadRequest: // it broke off
			e.span.SetAttributes(semconv.ErrorTypeKey.String("cut_off"))
			e.span.SetStatus(codes.Error, textOf(err))
		}
	}
	e.span.End()
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// traceRead begins the span of a read that requests may share. It belongs to the request that makes it; the others get a link to it.
func (s *Server) traceRead(ctx context.Context) (context.Context, trace.Span) {
	if s.tracer == nil {
		return ctx, nil
	}
	return s.tracer.Start(ctx, "read users")
}

// endRead ends such a span, and leaves its name on the page.
func endRead(span trace.Span, p *page, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	if p != nil {
		p.span = span.SpanContext()
	}
	span.End()
}

// link links a request to the read that its page comes from, if another made that.
func (e *exchange) link(p *page) {
	if e.span == nil || !e.span.IsRecording() || !p.span.IsValid() || p.reader == e {
		return
	}
	e.span.AddLink(trace.Link{SpanContext: p.span, Attributes: []attribute.KeyValue{attribute.String("prima.link", "shared read")}})
}

func addressOf(remote string) (host string, port int) {
	host, text, err := net.SplitHostPort(remote)
	if err != nil {
		return remote, 0
	}
	port, _ = strconv.Atoi(text)
	return host, port
}

// headerCarrier reads the headers of a request as copies: its memory is used again.
type headerCarrier struct{ *fasthttp.RequestHeader }

// Get implements [propagation.TextMapCarrier].
func (h headerCarrier) Get(key string) string {
	values := h.PeekAll(key)
	switch {
	case len(values) == 0, len(values) > 1 && key == headerTraceParent: // two parents are none
		return ""
	}
	return string(bytes.Join(values, []byte{','}))
}

// Set implements [propagation.TextMapCarrier].
func (h headerCarrier) Set(key, value string) { h.RequestHeader.Set(key, value) }

// Keys implements [propagation.TextMapCarrier].
func (h headerCarrier) Keys() []string { return []string{headerTraceParent, headerTraceState} }
