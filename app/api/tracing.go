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
	if len(c.Request().Header.Peek(headerTraceParent)) > 0 {
		ctx = propagation.TraceContext{}.Extract(ctx, headerCarrier{&c.Request().Header})
	}
	if s.tracer == nil {
		return ctx
	}
	// Probes would be most of the traces of a quiet service.
	if probe := r.route.name == config.PathHealth || r.route.name == config.PathReady; probe && !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	// Not the query: it may hold the id of an image, which lets its owner see it.
	ctx, r.span = s.tracer.Start(ctx, methodLabel(r.method)+" "+r.route.name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.start))
	if r.span.IsRecording() {
		host, port := addressOf(r.remote)
		r.span.SetAttributes(
			semconv.HTTPRequestMethodKey.String(methodLabel(r.method)),
			semconv.URLPath(r.path),
			semconv.URLScheme(scheme(c)),
			semconv.NetworkPeerAddress(host),
			semconv.NetworkPeerPort(port),
			semconv.UserAgentOriginal(string(c.Request().Header.UserAgent())), // a copy
			attribute.String("prima.request_id", r.id),
		)
		if methodLabel(r.method) == otherMethod {
			r.span.SetAttributes(semconv.HTTPRequestMethodOriginal(r.method))
		}
		if r.route.name != unmatched {
			r.span.SetAttributes(semconv.HTTPRoute(r.route.name))
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
		switch {
		case status >= http.StatusInternalServerError:
			r.span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
			r.span.SetStatus(codes.Error, textOf(err))
		case err != nil && status < http.StatusBadRequest: // it was cut off
			r.span.SetAttributes(semconv.ErrorTypeKey.String("cut_off"))
			r.span.SetStatus(codes.Error, textOf(err))
		}
	}
	r.span.End()
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// startRead starts the span of a read of a page. It belongs to the request that reads; requests that
// share the read link to it. The span is nil if nothing is traced.
func (s *Server) startRead(ctx context.Context) (context.Context, trace.Span) {
	if s.tracer == nil {
		return ctx, nil
	}
	return s.tracer.Start(ctx, "read users")
}

func endRead(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// link links a request to the read of another that it shares.
func (r *request) link(read trace.SpanContext) {
	if r.span != nil && r.span.IsRecording() && read.IsValid() {
		r.span.AddLink(trace.Link{SpanContext: read, Attributes: []attribute.KeyValue{attribute.String("prima.link", "shared read")}})
	}
}

func addressOf(remote string) (host string, port int) {
	host, text, err := net.SplitHostPort(remote)
	if err != nil {
		return remote, 0
	}
	port, _ = strconv.Atoi(text)
	return host, port
}

// headerCarrier reads the headers of a request as copies.
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
