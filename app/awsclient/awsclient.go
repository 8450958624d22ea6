// Package awsclient holds what the clients of DynamoDB and S3 share: their configuration, and what
// the domain is told of their failures.
package awsclient

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"prima.internal/app/config"
)

// MaxBackoff bounds the wait between two attempts. The SDK's own bound is 20 s, longer than any
// request may take.
const MaxBackoff = time.Second

const (
	maxAttempts = 3 // of one call, the first included
	// A connection within a region is made in milliseconds. The SDK's own bound is 30 s.
	dialTimeout = 2 * time.Second
	// Connections kept for reuse. The SDK keeps 10 for each host: the eleventh of as many
	// concurrent calls would close its connection and the next make one anew, with TLS.
	maxIdleConns = 256
)

// Load makes the configuration that every client shares. It calls nobody: credentials are
// looked for at the first call.
func Load(ctx context.Context, c config.Config, log *slog.Logger) (aws.Config, error) {
	client := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = 2 * maxIdleConns
			t.MaxIdleConnsPerHost = maxIdleConns
			t.TLSHandshakeTimeout = dialTimeout
			// A server that took the call and says nothing leaves time for another attempt.
			t.ResponseHeaderTimeout = c.RequestTimeout / maxAttempts
		})
	cfg, err := awsconfig.LoadDefaultConfig(ctx,
		awsconfig.WithRegion(c.Region),
		awsconfig.WithHTTPClient(client),
		awsconfig.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = maxAttempts
				o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return Backoff(attempt), nil })
			})
		}),
		awsconfig.WithLogger(sdkLogger{log}),
		awsconfig.WithAPIOptions([]func(*middleware.Stack) error{countAttempts, reportRetries(log)}),
	)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the AWS configuration: %w", err)
	}
	// What Load has made of the client: with the certificates of AWS_CA_BUNDLE, for one.
	loaded, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return aws.Config{}, fmt.Errorf("load the AWS configuration: a client of type %T", cfg.HTTPClient)
	}
	cfg.HTTPClient = plainBodies{freshConnections{loaded.GetTransport()}}
	return cfg, nil
}

// firstBackoff is the longest wait before the second attempt; each one after that is twice as long.
const firstBackoff = 50 * time.Millisecond

// Backoff returns how long to wait after an attempt, of which the first is 0: a random time up to a bound that doubles, so
// that clients whose calls failed together do not come again together. The SDK's own wait is random only before the second
// attempt, where the most that it may be is a second: seen in v1.47.7.
// Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
func Backoff(attempt int) time.Duration {
	return rand.N(min(MaxBackoff, firstBackoff<<min(attempt, 10))) //nolint:gosec // nobody gains by guessing it
}

// freshConnections drops the connections that are kept for later when a call fails. A network that has forgotten
// one in silence has forgotten them all, and each would cost a call that takes it a third of its time.
//
// It is the transport without an [http.Client] around it: AWS redirects nobody and sets no cookies, and a context bounds each call.
type freshConnections struct {
	transport *http.Transport
}

// Do implements [aws.HTTPClient].
func (c freshConnections) Do(r *http.Request) (*http.Response, error) {
	response, err := c.transport.RoundTrip(r)
	if err != nil {
		c.transport.CloseIdleConnections()
	}
	return response, err
}

// plainBodies hides the WriteTo of request bodies from net/http. smithy-go (seen in v1.28.8) closes a body
// as soon as the header of the answer is there. If net/http comes to look for the end of the body
// only then, WriteTo tells it io.EOF, which it takes for a failed write, and it closes the
// connection under an answer that is still being read. Read says the same without harm. Of large
// answers from a near server several in a hundred were lost.
type plainBodies struct {
	aws.HTTPClient
}

// Do implements [aws.HTTPClient].
func (c plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.HTTPClient.Do(r)
}

// sdkLogger passes the SDK's lines on to slog.
type sdkLogger struct {
	log *slog.Logger
}

func (l sdkLogger) Logf(classification logging.Classification, format string, args ...any) {
	level := slog.LevelDebug
	if classification == logging.Warn {
		level = slog.LevelWarn
	}
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprintf(format, args...), "source", "aws-sdk")
	}
}
