package awsclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"prima.internal/app/user"
)

// A Call watches the attempts that the SDK makes of one operation. What the SDK returns is the last
// of them; whether a write took effect depends on all.
type Call struct {
	service, operation string // that it was made for: getting credentials for it may take calls of its own
	attempts           int
	uncertain          bool
	failure            error // of the last attempt that failed
}

// is reports whether a context is one of the call.
func (c *Call) is(ctx context.Context) bool {
	return c.operation == middleware.GetOperationName(ctx) && c.service == middleware.GetServiceID(ctx)
}

type callKey struct{}

// Track returns the context to make one call with, and the Call that watches it.
func Track(ctx context.Context) (context.Context, *Call) {
	c := new(Call)
	return context.WithValue(ctx, callKey{}, c), c
}

// Again reports whether the SDK sent the call more than once, so that what the last attempt met
// may be what an earlier one did.
func (c *Call) Again() bool { return c.attempts > 1 }

// reportRetries puts a step around the SDK's retry loop: a call that took more than one attempt is a
// line in the log, of the request that it was made for.
func reportRetries(log *slog.Logger) func(*middleware.Stack) error {
	step := middleware.InitializeMiddlewareFunc("prima.ReportRetries",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			c, ok := ctx.Value(callKey{}).(*Call)
			if !ok || c.operation != "" {
				return next.HandleInitialize(ctx, in)
			}
			c.service, c.operation = middleware.GetServiceID(ctx), middleware.GetOperationName(ctx)
			out, metadata, err := next.HandleInitialize(ctx, in)
			if c.attempts > 1 {
				attrs := []slog.Attr{
					slog.String("operation", c.service+"."+c.operation),
					slog.Int("attempts", c.attempts),
					slog.Bool("succeeded", err == nil),
				}
				if c.failure != nil {
					attrs = append(attrs, slog.String("error", c.failure.Error()))
				}
				log.LogAttrs(ctx, slog.LevelWarn, "call repeated", attrs...)
			}
			return out, metadata, err
		})
	return func(stack *middleware.Stack) error { return stack.Initialize.Add(step, middleware.After) }
}

var countStep = middleware.FinalizeMiddlewareFunc("prima.CountAttempts",
	func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleFinalize(ctx, in)
		if c, ok := ctx.Value(callKey{}).(*Call); ok && c.is(ctx) {
			c.attempts++
			if err != nil {
				c.failure = err
				c.uncertain = c.uncertain || mayHaveTakenEffect(err)
			}
		}
		return out, metadata, err
	})

// countAttempts puts a step inside of the SDK's retry loop.
func countAttempts(stack *middleware.Stack) error {
	return stack.Finalize.Insert(countStep, "Retry", middleware.After)
}

// Fault returns the error of the domain for err, which a call returned, and nil for nil. missing
// are the API's codes for a table or a bucket that does not exist.
func (c *Call) Fault(err error, missing ...string) error {
	if err == nil {
		return nil
	}
	fault := &user.Error{Code: user.Unavailable, Err: err, Uncertain: c.uncertain}
	var api smithy.APIError
	var unsent *smithy.SerializationError
	switch {
	case errors.As(err, &api) && slices.Contains(missing, api.ErrorCode()):
		fault.Err = errors.Join(user.ErrResourceMissing, err)
	case refused(err) && !throttled(err), errors.As(err, &unsent):
		fault.Code = user.Internal
	}
	return fault
}

// Incomplete returns the error for a response that lacks what was asked for. A write may have
// taken effect then.
func (c *Call) Incomplete(lacks string) error {
	err := fmt.Errorf("the response lacks %s", lacks)
	return &user.Error{Code: user.Unavailable, Err: err, Uncertain: true}
}

// refused reports whether AWS itself refused a call and did nothing. AWS sends the id of the
// request with its errors; a proxy, or a server that is not AWS, does not.
func refused(err error) bool {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	var api smithy.APIError
	return ok && response.RequestID != "" && response.HTTPStatusCode() < http.StatusInternalServerError &&
		errors.As(err, &api)
}

// throttled reports whether a refusal passes: too many calls, or a client too slow for S3.
func throttled(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	_, throttle := retry.DefaultThrottleErrorCodes[api.ErrorCode()]
	_, retryable := retry.DefaultRetryableErrorCodes[api.ErrorCode()]
	return throttle || retryable || httpStatus(err) == http.StatusTooManyRequests
}

// mayHaveTakenEffect reports whether an attempt that failed with err may have been carried out
// all the same: it was sent, and AWS did not refuse it.
func mayHaveTakenEffect(err error) bool {
	var network *net.OpError
	if refused(err) || errors.As(err, &network) && network.Op == "dial" {
		return false
	}
	_, sent := errors.AsType[*smithyhttp.ResponseError](err)
	return sent
}

func httpStatus(err error) int {
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}
