package awsclient_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
)

// Ensure that after the first check which succeeded, as many calls as come at once open no connection, and that only that check
// opens any.
func TestWarm(t *testing.T) {
	t.Parallel()
	for name, of := range clients {
		t.Run(name, func(t *testing.T) { t.Parallel(); testWarm(t, of) })
	}
}

func testWarm(t *testing.T, of func(aws.HTTPClient) aws.HTTPClient) {
	t.Helper()
	const calls = 8
	var connections atomic.Int64
	var failing atomic.Bool
	failing.Store(true)
	var together sync.WaitGroup
	together.Add(calls)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutItem") {
			together.Done()
			together.Wait()
		}
		if r.Method == http.MethodPost && failing.Load() {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c := config.Default()
	cfg, err := awsclient.Load(t.Context(), c, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg.HTTPClient, cfg.Credentials = of(cfg.HTTPClient), aws.CredentialsProviderFunc(staticCredentials)
	client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &server.URL })
	check := awsclient.Warm(cfg.HTTPClient, func(ctx context.Context) error {
		ctx, call := awsclient.Track(ctx)
		_, err := client.ListTables(ctx, &dynamodb.ListTablesInput{})
		return call.Fault(err)
	}, slog.New(slog.DiscardHandler))

	require.Error(t, check(t.Context()))
	assert.EqualValues(t, 1, connections.Load(), "nothing is opened to what does not answer as it should")
	failing.Store(false)
	require.NoError(t, check(t.Context()))
	opened := connections.Load()
	assert.GreaterOrEqual(t, opened, int64(calls))
	require.NoError(t, check(t.Context()))
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("users"), Item: map[string]types.AttributeValue{}})
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.Equal(t, opened, connections.Load())
}

// Ensure a service that does not answer what nobody asked for holds up a check for a moment and does not fail it.
func TestWarmSilence(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodGet {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	defer server.Close()
	cfg, err := awsclient.Load(t.Context(), config.Default(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg.Credentials = aws.CredentialsProviderFunc(staticCredentials)
	client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &server.URL })
	var log strings.Builder
	check := awsclient.Warm(cfg.HTTPClient, func(ctx context.Context) error {
		ctx, call := awsclient.Track(ctx)
		_, err := client.ListTables(ctx, &dynamodb.ListTablesInput{})
		return call.Fault(err)
	}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, check(ctx))
	assert.NoError(t, ctx.Err())
	assert.Contains(t, log.String(), "connections were not opened ahead")
}

// Ensure connections go to where the calls go: the bucket's own host, where nothing else is set.
func TestWarmHost(t *testing.T) {
	t.Parallel()
	cfg, err := awsclient.Load(t.Context(), config.Default(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg.Credentials = aws.CredentialsProviderFunc(staticCredentials)
	hosts := new(hosts)
	cfg.HTTPClient = hosts
	check := awsclient.Warm(hosts, func(ctx context.Context) error {
		ctx, call := awsclient.Track(ctx)
		_, err := s3.NewFromConfig(cfg).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("avatars")})
		return call.Fault(err)
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, check(t.Context()))
	assert.Equal(t, map[string]int{"HEAD https://avatars.s3.us-east-1.amazonaws.com/": 1, "GET https://avatars.s3.us-east-1.amazonaws.com/": 8}, hosts.seen)
}

// hosts is an HTTP client that answers every request and remembers where it went.
type hosts struct {
	mu   sync.Mutex
	seen map[string]int
}

func (h *hosts) Do(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil {
		h.seen = map[string]int{}
	}
	h.seen[r.Method+" "+r.URL.String()]++
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}
