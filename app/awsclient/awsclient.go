// Package awsclient configures the clients of DynamoDB and S3, counts their calls, and tells the
// domain what a failure of a call means.
package awsclient

import (
	"bytes"
	"context"
	"errors"
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
	"go.opentelemetry.io/otel/propagation"

	"prima.internal/app/config"
)

// A connection within a region takes milliseconds. The SDK waits 30 s.
const dialTimeout = 2 * time.Second

// Load returns the configuration that all clients share. It makes no request: credentials are
// fetched by the first call.
func Load(ctx context.Context, c config.Config, log *slog.Logger) (aws.Config, error) {
	pool := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 512, 256 // by default, the eleventh call dials
			t.TLSHandshakeTimeout = dialTimeout
			// A server that never responds leaves time for another attempt.
			t.ResponseHeaderTimeout = c.RequestTimeout / time.Duration(retry.DefaultMaxAttempts)
		})
	cfg, err := awsconfig.LoadDefaultConfig(ctx,
		awsconfig.WithRegion(c.Region),
		awsconfig.WithHTTPClient(pool),
		awsconfig.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(backoff)
			})
		}),
		awsconfig.WithLogger(logging.LoggerFunc(func(class logging.Classification, format string, args ...any) {
			if class == logging.Warn {
				log.WarnContext(ctx, fmt.Sprintf(format, args...), "source", "aws-sdk")
			}
		})),
	)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the AWS configuration: %w", err)
	}
	loaded, ok := cfg.HTTPClient.(*awshttp.BuildableClient) // the pool, with AWS_CA_BUNDLE
	if !ok {
		return aws.Config{}, fmt.Errorf("load the AWS configuration: the client is a %T", cfg.HTTPClient)
	}
	client := httpClient{loaded.GetTransport()}
	cfg.HTTPClient = client
	cfg.APIOptions = append(cfg.APIOptions, recordAttempts(log, client.CloseIdleConnections))
	return cfg, nil
}

// backoff returns how long to wait after an attempt, of which the first is 1: a random time up to
// a bound that doubles, from 100 ms to a second. The SDK's (v1.47.7) is random only once.
// Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
func backoff(attempt int, _ error) (time.Duration, error) {
	bound := min(time.Second, 50*time.Millisecond<<min(attempt, 10))
	return rand.N(bound), nil //nolint:gosec // no secret
}

// httpClient sends requests without an [http.Client]: AWS neither redirects nor sets cookies.
type httpClient struct{ *http.Transport }

// Do implements [aws.HTTPClient]. It adds the span of the call, as W3C Trace Context, behind the
// signature: a proxy may change it.
//
// smithy-go (v1.28.8) closes the body of a request when it has the header of the response. If
// net/http looks for the end of the body after that, WriteTo returns io.EOF, which net/http takes
// for a failed write, and it closes the connection. So a small body is copied, which net/http sends
// in one piece with the header, and a large one loses its WriteTo: Read returns io.EOF without
// harm.
func (c httpClient) Do(r *http.Request) (*http.Response, error) {
	const smallBody = 64 << 10
	if r.ContentLength > 0 && r.ContentLength <= smallBody {
		data, err := io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(data))
	} else if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	propagation.TraceContext{}.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	return c.RoundTrip(r)
}
