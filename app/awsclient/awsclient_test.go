package awsclient_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
	"prima.internal/app/telemetry"
)

// Ensure a call succeeds at the first attempt, however large the response is and however fast the
// server, although the SDK closes the request while the transport may still read it.
func TestLargeResponses(t *testing.T) {
	t.Parallel()
	page := `{"Count":1,"ScannedCount":1,"Items":[{"id":{"S":"` + strings.Repeat("x", 1<<18) + `"}}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, page)
	}))
	defer server.Close()
	client := newClient(t, server.URL)
	for range 200 {
		ctx, call := awsclient.Track(t.Context())
		_, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("users")})
		require.NoError(t, err)
		require.False(t, call.Again(), "an attempt was lost")
	}
}

// Ensure each attempt after the first is one line in the log, with the request that the call was
// made for, and that the SDK's warnings are in the log.
func TestLog(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	a.HangUp("DynamoDB.ListTables", awstest.Always)
	var log strings.Builder
	cfg, err := awsclient.Load(t.Context(), a.Config, telemetry.NewLogger(&log, a.Config))
	require.NoError(t, err)
	cfg.Credentials = a.SDK.Credentials
	client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &a.Config.Endpoint })
	ctx, _ := awsclient.Track(telemetry.WithRequestID(t.Context(), "the-request"))
	_, err = client.ListTables(ctx, &dynamodb.ListTablesInput{})
	require.Error(t, err)
	assert.Equal(t, 2, strings.Count(log.String(), `"level":"WARN","msg":"call repeated"`), log.String())
	assert.Equal(t, 2, strings.Count(log.String(), `"request_id":"the-request"`), log.String())
	assert.Contains(t, log.String(), `"operation":"DynamoDB.ListTables","attempt":3,"error":"`)
	cfg.Logger.Logf(logging.Warn, "a %s", "warning")
	assert.Contains(t, log.String(), `"level":"WARN","msg":"a warning","source":"aws-sdk"`)
}

// Ensure attempts to get credentials do not count as attempts of the call that needs them.
func TestCredentialsAreNoAttempts(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Amz-Target") != "":
			_, _ = io.WriteString(w, "{}")
		case asked.Add(1) < 3:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			_, _ = io.WriteString(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
				<AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey><SessionToken>c</SessionToken>
				<Expiration>2100-01-01T00:00:00Z</Expiration>
			</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
		}
	}))
	defer server.Close()
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("token"), 0o600))
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/api")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
	cfg, err := awsclient.Load(t.Context(), config.Default(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &server.URL })
	ctx, call := awsclient.Track(t.Context())
	_, err = client.ListTables(ctx, &dynamodb.ListTablesInput{})
	require.NoError(t, err)
	assert.EqualValues(t, 3, asked.Load())
	assert.False(t, call.Again())
}

// Ensure a call without a response is retried in time, and that all idle connections are closed
// then, because a network that has dropped one has dropped them all.
func TestFreshConnections(t *testing.T) {
	t.Parallel()
	const kept = 16
	var connections, silent atomic.Int64
	var begun sync.WaitGroup
	begun.Add(kept)
	var dead sync.Map // connections that say nothing any more
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if _, ok := dead.Load(r.RemoteAddr); ok {
			silent.Add(1)
			<-r.Context().Done()
			return
		}
		if connections.Add(1) <= kept {
			begun.Done()
			begun.Wait() // so that each takes a connection of its own
			dead.Store(r.RemoteAddr, true)
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	defer server.Close()
	client := newClient(t, server.URL)
	call := func() {
		_, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
		assert.NoError(t, err)
	}
	var calls sync.WaitGroup
	for range kept {
		calls.Go(call)
	}
	calls.Wait()
	call()
	assert.EqualValues(t, 1, silent.Load(), "attempts that met a dead connection")
}

// Ensure clients that fail together do not retry together: each wait is random, up to a bound that
// doubles.
func TestBackoffIsJittered(t *testing.T) {
	t.Parallel()
	cfg, err := awsclient.Load(t.Context(), config.Default(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	retryer := cfg.Retryer()
	require.Equal(t, 3, retryer.MaxAttempts())
	for attempt, bound := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond} {
		waits := map[time.Duration]bool{}
		for range 30 {
			wait, err := retryer.RetryDelay(attempt, io.ErrUnexpectedEOF)
			require.NoError(t, err)
			assert.Less(t, wait, bound)
			waits[wait] = true
		}
		assert.Greater(t, len(waits), 20, "attempt %d: %v", attempt, waits)
	}
}
