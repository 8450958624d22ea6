package awsclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"
)

// The outcomes of a call or of an attempt, as metrics and spans name them.
const (
	outcomeOK        = "ok"
	outcomeCondition = "condition_failed" // a write that was not to be made
	outcomeNotFound  = "not_found"        // a table, a bucket or an object that is not there
	outcomeThrottled = "throttled"
	outcomeTimeout   = "timeout"
	outcomeCanceled  = "canceled" // nobody waited for it any more
	outcomeNetwork   = "network"  // no connection, or one that broke
	outcomeServer    = "server"   // AWS failed
	outcomeRefused   = "refused"  // AWS would not: no permission, or a call that is wrong
	outcomeOther     = "other"
)

// Calls counts the calls of an [aws.Config], and makes a span of each that is made in a trace. It is a [prometheus.Collector].
type Calls struct {
	duration *prometheus.HistogramVec
	attempts *prometheus.CounterVec
	active   *prometheus.GaugeVec
	step     middleware.InitializeMiddleware // call, made once and not for every call
}

var propagateStep = middleware.FinalizeMiddlewareFunc("prima.Propagate", propagate)

// Observe makes calls by cfg, and by clients made of it from now on, countable. What is told apart is bounded: the operations of our
// own, and ten outcomes.
func Observe(cfg *aws.Config) *Calls {
	c := &Calls{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "aws_call_duration_seconds",
			Help:    "Time that calls of AWS took, their repetitions included, until the header of the answer was there.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
		}, []string{"service", "operation", "outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aws_call_attempts_total",
			Help: "Attempts that were made of calls of AWS: what is more than calls are repetitions.",
		}, []string{"service", "operation", "outcome"}),
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "aws_active_calls",
			Help: "Calls of AWS that wait for an answer.",
		}, []string{"service"}),
	}
	c.step = middleware.InitializeMiddlewareFunc("prima.Observe", c.call)
	cfg.APIOptions = append(cfg.APIOptions, c.observe)
	return c
}

// Describe implements [prometheus.Collector].
func (c *Calls) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, descriptions)
}

// Collect implements [prometheus.Collector].
func (c *Calls) Collect(metrics chan<- prometheus.Metric) {
	c.duration.Collect(metrics)
	c.attempts.Collect(metrics)
	c.active.Collect(metrics)
}

func (c *Calls) observe(stack *middleware.Stack) error {
	if err := stack.Initialize.Add(c.step, middleware.After); err != nil {
		return err
	}
	// At the end, and so behind the signature, which need not cover it: a proxy in between may put its own in its place.
	return stack.Finalize.Add(propagateStep, middleware.After)
}

// call is around a call, with all its attempts.
func (c *Calls) call(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	service, name := middleware.GetServiceID(ctx), middleware.GetOperationName(ctx)
	active := c.active.WithLabelValues(service)
	active.Inc()
	defer active.Dec()
	ctx, span := begin(ctx, service, name)
	start := time.Now()
	out, metadata, err := next.HandleInitialize(ctx, in)
	outcome := outcomeOf(err)
	c.duration.WithLabelValues(service, name, outcome).Observe(time.Since(start).Seconds())
	results, _ := retry.GetAttemptResults(metadata)
	for _, attempt := range results.Results {
		c.attempts.WithLabelValues(service, name, outcomeOf(attempt.Err)).Inc()
	}
	if span != nil {
		end(span, metadata, results.Results, outcome, err)
	}
	return out, metadata, err
}

// begin begins the span of a call that is made in a trace which is recorded; otherwise it returns a nil span, and costs nothing.
func begin(ctx context.Context, service, operation string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nil
	}
	return parent.TracerProvider().Tracer("prima.internal/app/awsclient").Start(ctx, service+"."+operation,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.RPCSystemNameKey.String("aws-api"), semconv.RPCMethod(service+"/"+operation), semconv.CloudRegion(awsmiddleware.GetRegion(ctx))))
}

func end(span trace.Span, metadata middleware.Metadata, attempts []retry.AttemptResult, outcome string, err error) {
	for i, attempt := range attempts {
		if attempt.Err != nil && i < len(attempts)-1 {
			span.AddEvent("attempt failed", trace.WithAttributes(attribute.Int("attempt", i+1), semconv.ErrorTypeKey.String(outcomeOf(attempt.Err)), semconv.ExceptionMessage(attempt.Err.Error())))
		}
	}
	if n := len(attempts); n > 1 {
		span.SetAttributes(semconv.HTTPRequestResendCount(n - 1))
	}
	if id, ok := awsmiddleware.GetRequestIDMetadata(metadata); ok {
		span.SetAttributes(semconv.AWSRequestID(id))
	}
	if response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok && response.Response != nil {
		span.SetAttributes(semconv.HTTPResponseStatusCode(response.StatusCode))
		if response.Request != nil && response.Request.URL != nil {
			span.SetAttributes(semconv.ServerAddress(response.Request.URL.Hostname()))
		}
	}
	if outcome != outcomeOK {
		span.SetAttributes(semconv.ErrorTypeKey.String(outcome))
	}
	if failed(outcome) {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// failed reports whether an outcome is a failure, rather than an answer.
func failed(outcome string) bool {
	return outcome != outcomeOK && outcome != outcomeCondition && outcome != outcomeNotFound
}

// propagate tells the other side the span of the call, by the W3C's headers. Baggage stays here.
func propagate(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	if trace.SpanFromContext(ctx).IsRecording() {
		if request, ok := in.Request.(*smithyhttp.Request); ok {
			propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(request.Header))
		}
	}
	return next.HandleFinalize(ctx, in)
}

// outcomeOf returns what became of a call or of an attempt.
func outcomeOf(err error) string {
	if err == nil {
		return outcomeOK
	}
	var (
		api     smithy.APIError
		network net.Error
		send    *smithyhttp.RequestSendError
		read    *smithy.DeserializationError
	)
	if errors.As(err, &api) {
		code, status := api.ErrorCode(), httpStatus(err)
		_, throttled := retry.DefaultThrottleErrorCodes[code]
		switch {
		case code == "ConditionalCheckFailedException":
			return outcomeCondition
		case throttled, status == http.StatusTooManyRequests:
			return outcomeThrottled
		case code == "ResourceNotFoundException", status == http.StatusNotFound:
			return outcomeNotFound
		case status >= http.StatusInternalServerError:
			return outcomeServer
		}
		return outcomeRefused
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return outcomeTimeout
	case errors.Is(err, context.Canceled):
		return outcomeCanceled
	case errors.As(err, &network) && network.Timeout():
		return outcomeTimeout
	case errors.As(err, &send), errors.As(err, &read):
		return outcomeNetwork
	}
	return outcomeOther
}
