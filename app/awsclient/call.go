package awsclient

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"
)

// A Call records the attempts that the SDK makes of one call. The SDK returns the error of the last
// attempt; whether a write took effect depends on all of them.
type Call struct {
	attempts  []error // nil for success
	closeIdle func()  // closes the connections that are kept for later
}

type callKey struct{}

// Track returns the context to make one call with, and the Call that records it.
func Track(ctx context.Context) (context.Context, *Call) {
	c := &Call{closeIdle: func() {}}
	return context.WithValue(ctx, callKey{}, c), c
}

// callOf returns the Call that records ctx, or an empty one.
func callOf(ctx context.Context) *Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return c
	}
	return new(Call)
}

// Again reports whether the SDK made more than one attempt.
func (c *Call) Again() bool { return len(c.attempts) > 1 }

// recordAttempts fills in the Call of each call, and logs each attempt after the first.
func recordAttempts(log *slog.Logger, closeIdle func()) func(*middleware.Stack) error {
	step := middleware.FinalizeMiddlewareFunc("prima.Attempt", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		c := callOf(ctx)
		if n := len(c.attempts); n > 0 {
			log.LogAttrs(ctx, slog.LevelWarn, "call repeated",
				slog.String("operation", middleware.GetServiceID(ctx)+"."+middleware.GetOperationName(ctx)),
				slog.Int("attempt", n+1), slog.Any("error", c.attempts[n-1]))
		}
		out, metadata, err := next.HandleFinalize(ctx, in)
		c.attempts, c.closeIdle = append(c.attempts, err), closeIdle
		// A network that has lost one idle connection in silence has lost them all. An error of
		// AWS has an id; without, the connections may lead to another server.
		if _, ok := awsmiddleware.GetRequestIDMetadata(metadata); err != nil && !ok {
			closeIdle()
		}
		return out, metadata, err
	})
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(step, "Retry", middleware.After)
	}
}

// Observe returns metrics of the calls of clients that are made with cfg from now on. Each such
// call is a span in the trace of its context.
func Observe(cfg *aws.Config) prometheus.Collector {
	registry, labels := prometheus.NewRegistry(), []string{"service", "operation", "outcome"}
	durations := promauto.With(registry).NewHistogramVec(prometheus.HistogramOpts{
		Name:    "aws_call_duration_seconds",
		Help:    "Time that calls of AWS took, with their retries, until the header of the response was there.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
	}, labels)
	attempts := promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "aws_call_attempts_total",
		Help: "Attempts of calls of AWS. Those beyond the number of calls are retries.",
	}, labels)
	active := promauto.With(registry).NewGaugeVec(prometheus.GaugeOpts{
		Name: "aws_active_calls",
		Help: "Calls of AWS that wait for a response.",
	}, []string{"service"})

	step := middleware.InitializeMiddlewareFunc("prima.Observe", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		service, operation := middleware.GetServiceID(ctx), middleware.GetOperationName(ctx)
		active.WithLabelValues(service).Inc()
		defer active.WithLabelValues(service).Dec()
		tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer("prima.internal/app/awsclient")
		ctx, span := tracer.Start(ctx, service+"."+operation, trace.WithSpanKind(trace.SpanKindClient))
		defer span.End()
		start := time.Now()
		out, metadata, err := next.HandleInitialize(ctx, in)
		took, call := time.Since(start), callOf(ctx)
		if span.IsRecording() {
			span.SetAttributes(semconv.RPCSystemNameKey.String("aws-api"), semconv.RPCMethod(service+"/"+operation))
			describe(span, call, metadata, err)
		}
		durations.WithLabelValues(service, operation, outcomeOf(err)).Observe(took.Seconds())
		for _, err := range call.attempts {
			attempts.WithLabelValues(service, operation, outcomeOf(err)).Inc()
		}
		return out, metadata, err
	})
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(step, middleware.After)
	})
	return registry
}

// describe adds to the span of a call how it ended.
func describe(span trace.Span, call *Call, metadata middleware.Metadata, err error) {
	if id, ok := awsmiddleware.GetRequestIDMetadata(metadata); ok {
		span.SetAttributes(semconv.AWSRequestID(id))
	}
	for i, failure := range call.attempts[:max(len(call.attempts)-1, 0)] {
		span.SetAttributes(semconv.HTTPRequestResendCount(i + 1))
		span.AddEvent("attempt failed", trace.WithAttributes(semconv.HTTPRequestResendCount(i),
			semconv.ErrorTypeKey.String(outcomeOf(failure)), semconv.ExceptionMessage(failure.Error())))
	}
	outcome := outcomeOf(err)
	if err != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(outcome))
	}
	if !slices.Contains([]string{"ok", "condition_failed", "not_found"}, outcome) {
		span.SetStatus(codes.Error, err.Error())
	}
}
