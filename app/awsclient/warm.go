package awsclient

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	// warmConnections is how many connections are open to each service before the first request: what a balancer sends at
	// once to a replica that has just become ready. More are opened by the requests that need them.
	warmConnections = 8
	// warmTimeout bounds how long that holds up the start. Within a region it takes a few milliseconds.
	warmTimeout = 500 * time.Millisecond
	// maxWarmBytes is what is read of an answer that nobody asked for, so that its connection can be kept.
	maxWarmBytes = 64 << 10
)

// warmKey marks the context of a call whose endpoint is wanted.
type warmKey struct{}

// Warm returns check, whose first success now also opens connections to where its call went: names are resolved and TLS is
// done when the first requests come. A failure to is in the log at level debug and nowhere else. client is that of the
// configuration that check calls with.
func Warm(client aws.HTTPClient, check func(context.Context) error, log *slog.Logger) func(context.Context) error {
	var warm atomic.Bool
	return func(ctx context.Context) error {
		if warm.Load() {
			return check(ctx)
		}
		endpoint := new(atomic.Pointer[url.URL])
		if err := check(context.WithValue(ctx, warmKey{}, endpoint)); err != nil {
			return err
		}
		if to := endpoint.Load(); to != nil && warm.CompareAndSwap(false, true) {
			if err := connect(ctx, client, to.String(), warmConnections); err != nil {
				log.DebugContext(ctx, "connections were not opened ahead", "endpoint", to.String(), "error", err)
			}
		}
		return nil
	}
}

// noteEndpoint keeps the scheme and the host that the SDK has found for a call, if they are wanted: of the region, the
// bucket and the account, as it may be.
func noteEndpoint(ctx context.Context, request any) {
	wanted, ok := ctx.Value(warmKey{}).(*atomic.Pointer[url.URL])
	if !ok {
		return
	}
	if sent, ok := request.(*smithyhttp.Request); ok && sent.URL != nil && sent.URL.Host != "" {
		wanted.Store(&url.URL{Scheme: sent.URL.Scheme, Host: sent.URL.Host, Path: "/"})
	}
}

// connect makes n requests to a URL at once, each on a connection of its own, which is then kept for others. What is
// answered does not matter.
func connect(ctx context.Context, client aws.HTTPClient, to string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	var (
		connected atomic.Int64
		all       = make(chan struct{})
		requests  sync.WaitGroup
		errs      = make([]error, n)
	)
	// None goes on before each has a connection: the next would take that of one which has its answer.
	trace := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if connected.Add(1) == int64(n) {
			close(all)
		}
		select {
		case <-all:
		case <-ctx.Done():
		}
	}})
	for i := range n {
		requests.Go(func() {
			errs[i] = get(trace, client, to)
			if errs[i] != nil {
				cancel()
			}
		})
	}
	requests.Wait()
	return errors.Join(errs...)
}

func get(ctx context.Context, client aws.HTTPClient, from string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxWarmBytes))
	return errors.Join(err, response.Body.Close())
}
