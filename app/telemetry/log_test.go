package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/config"
	"prima.internal/app/telemetry"
)

// Ensure each record is one line of JSON with the id of its request, also behind attributes and
// groups.
func TestNewLogger(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := telemetry.NewLogger(&b, config.Default())
	log.With("part", "x").WarnContext(telemetry.WithRequestID(t.Context(), "r1"), "a\nmessage", "n", 1)
	var line map[string]any
	require.NoError(t, json.Unmarshal(b.Bytes(), &line), "%s", &b)
	assert.Equal(t, 1, bytes.Count(b.Bytes(), []byte{'\n'}))
	delete(line, "time")
	assert.Equal(t, map[string]any{"level": "WARN", "msg": "a\nmessage", "part": "x", "n": 1.0, "request_id": "r1"}, line)

	b.Reset()
	log.WithGroup("g").InfoContext(context.Background(), "m", "k", "v")
	assert.Contains(t, b.String(), `"g":{"k":"v"}`)
	assert.NotContains(t, b.String(), "request_id")
}

// Ensure a record that is made in a trace has the ids of the trace and of the span, but not the id
// of a span of the caller.
func TestNewLoggerInATrace(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := telemetry.NewLogger(&b, config.Default())
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	log.InfoContext(trace.ContextWithSpanContext(t.Context(), span), "own")
	assert.Contains(t, b.String(), `"trace_id":"01000000000000000000000000000000","span_id":"0200000000000000"`)
	b.Reset()
	log.InfoContext(trace.ContextWithRemoteSpanContext(t.Context(), span), "of a caller")
	assert.Contains(t, b.String(), `"trace_id":"01000000000000000000000000000000"}`)
}

// Ensure the level and the form are those of the configuration.
func TestNewLoggerSettings(t *testing.T) {
	t.Parallel()
	for level, enabled := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		var b bytes.Buffer
		c := config.Default()
		c.LogLevel, c.LogFormat = level, "text"
		log := telemetry.NewLogger(&b, c)
		log.Log(t.Context(), enabled, "yes")
		log.Log(t.Context(), enabled-1, "no")
		assert.Contains(t, b.String(), "msg=yes", level)
		assert.NotContains(t, b.String(), "msg=no", level)
	}
}
