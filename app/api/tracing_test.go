package api_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"prima.internal/app/config"
)

// Ensure a span holds copies of what a request said: the next request on the connection, with a
// token in it, is read into the same buffer before the span is exported.
func TestSpansHoldNoLaterRequest(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	s.Trace(provider.Tracer("test"))
	token := config.NewToken()
	filler := strings.Repeat("f", len("Bearer "+token))
	request := "GET /users/" + filler + " HTTP/1.1\nHost: a\n" +
		"Traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\n"
	for _, header := range []string{
		"X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Url-Scheme", "X-Forwarded-Ssl", "User-Agent", "X-Request-Id",
		"Tracestate",
	} {
		r := bufio.NewReader(s.dial(t, request+header+": "+filler+"\n\n"+
			request+"Authorization: Bearer "+token+"\n\n"+request+"Authorization:  Bearer "+token+"\n\n"))
		for range 3 {
			read(t, r, http.MethodGet)
		}
	}
	s.do(t, http.MethodGet, "/users", "")
	require.NotEmpty(t, spans.GetSpans())
	for _, span := range spans.GetSpans() {
		state := span.SpanContext.TraceState().String()
		text := fmt.Sprint(span.Name, span.Attributes, state, span.Status, span.Events)
		assert.NotContains(t, text, token[:20])
		for _, attribute := range span.Attributes {
			if attribute.Key == "url.scheme" {
				assert.Contains(t, []string{"http", "https"}, attribute.Value.AsString())
			}
		}
	}
}
