package awsclient

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
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
			noteEndpoint(ctx, in.Request)
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

// Fault says what err, which a call returned, is to the domain. missing are the API's codes for a
// table or a bucket that does not exist. It returns nil for nil.
func (c *Call) Fault(err error, missing ...string) error {
	if err == nil {
		return nil
	}
	fault := &user.Error{Code: user.Unavailable, Err: err, Uncertain: c.uncertain}

	var api smithy.APIError
	if !errors.As(err, &api) {
		if _, ok := errors.AsType[*smithy.SerializationError](err); ok {
			fault.Code = user.Internal
		}
		return fault
	}
	for _, code := range missing {
		if api.ErrorCode() == code {
			fault.Err = errors.Join(user.ErrResourceMissing, err)
			return fault
		}
	}
	if status := httpStatus(err); status < http.StatusInternalServerError && !transient(api.ErrorCode()) {
		fault.Code = user.Internal
	}
	return fault
}

// transient reports whether a refusal passes: throttling, or a client that was too slow for S3.
func transient(code string) bool {
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	_, retryable := retry.DefaultRetryableErrorCodes[code]
	return throttled || retryable
}

// mayHaveTakenEffect reports whether an attempt that failed with err may have been carried out all
// the same: it was sent, and what came back is nothing or a server's own failure.
func mayHaveTakenEffect(err error) bool {
	if _, ok := errors.AsType[smithy.APIError](err); ok {
		return httpStatus(err) >= http.StatusInternalServerError
	}
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Op == "dial" {
		return false
	}
	var (
		send *smithyhttp.RequestSendError
		read *smithy.DeserializationError
		http *smithyhttp.ResponseError
	)
	return errors.As(err, &send) || errors.As(err, &read) || errors.As(err, &http)
}

func httpStatus(err error) int {
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}
