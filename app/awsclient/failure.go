package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"prima.internal/app/user"
)

// Fault returns the error of the domain for err, which a call returned, and nil for nil. A failed
// condition means that the user does not exist, a 404 that the table or the bucket does not.
func (c *Call) Fault(err error) error {
	if err == nil {
		return nil
	}
	fault := &user.Error{Code: user.Unavailable, Err: err, Uncertain: slices.ContainsFunc(c.attempts, mayHaveTakenEffect)}
	switch outcomeOf(err) {
	case "condition_failed":
		return user.ErrNoUser
	case "not_found":
		c.closeIdle() // they may lead to a server that was replaced
		fault.Err = errors.Join(user.ErrResourceMissing, err)
	case "refused":
		fault.Code = user.Internal
	}
	return fault
}

// Incomplete returns the error for a response that lacks something. A write may have taken effect.
func (c *Call) Incomplete(lacks string) error {
	c.closeIdle() // they may lead to a server that is not AWS
	return &user.Error{Code: user.Unavailable, Uncertain: true, Err: fmt.Errorf("the response lacks %s", lacks)}
}

// mayHaveTakenEffect reports whether an attempt that returned err may have been carried out: it
// was sent, and not refused.
func mayHaveTakenEffect(err error) bool {
	_, sent := errors.AsType[*awshttp.ResponseError](err) // also without a response
	network, ok := errors.AsType[*net.OpError](err)
	dialing := ok && network.Op == "dial"
	refused := slices.Contains([]string{"condition_failed", "not_found", "throttled", "refused"}, outcomeOf(err))
	return sent && !dialing && !refused
}

// outcomeOf classifies what a call or an attempt returned, for Fault, metrics and spans.
func outcomeOf(err error) string {
	code, status, fromAWS := "", 0, false
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	response, sent := errors.AsType[*awshttp.ResponseError](err)
	if sent {
		status = response.HTTPStatusCode() // 0 if there was no response
		fromAWS = response.RequestID != "" // proxies and other servers send none
	}
	_, throttle := retry.DefaultThrottleErrorCodes[code]
	network, ok := errors.AsType[net.Error](err)
	switch {
	case err == nil:
		return "ok"
	case code == "ConditionalCheckFailedException":
		return "condition_failed"
	case code == "ResourceNotFoundException", code == "NoSuchBucket", fromAWS && status == http.StatusNotFound:
		return "not_found" // no such table, bucket or object
	case throttle, status == http.StatusTooManyRequests:
		return "throttled"
	case status >= http.StatusInternalServerError:
		return "server"
	case ok && network.Timeout(), code == "RequestTimeout": // too slow for S3
		return "timeout"
	case fromAWS && code != "":
		return "refused" // no permission, or a call that is wrong
	case errors.Is(err, context.Canceled):
		return "canceled"
	case sent:
		return "network" // or a response that is not AWS's
	}
	return "other"
}
