package awsclient_test

import (
	"context"
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

// Ensure the answer to a call that is sent once comes whole, however large it is and however fast
// the server: the SDK closes the request while it is still read.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	page := `{"Count":1,"ScannedCount":1,"Items":[{"id":{"S":"` + strings.Repeat("x", 1<<18) + `"}}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, page)
	}))
	defer server.Close()
	client := newClient(t, func(c *config.Config) { c.Endpoint = server.URL })
	for range 200 {
		ctx, call := awsclient.Track(t.Context())
		_, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("users")})
		require.NoError(t, err)
		require.False(t, call.Again(), "an attempt was lost")
	}
}

// Ensure a call whose first attempt is met by silence is made again in time.
func TestSilence(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	var first atomic.Bool
	a.Intercede("DynamoDB.DescribeTable", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if first.CompareAndSwap(false, true) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	})
	client := newClient(t, func(c *config.Config) { c.Endpoint, c.RequestTimeout = a.Config.Endpoint, 3*time.Second })
	ctx, call := awsclient.Track(t.Context())
	_, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &a.Config.Table})
	require.NoError(t, err)
	assert.True(t, call.Again())
}

// Ensure each attempt after the first is one line in the log, with the request that the call was
// made for.
func TestRetriesAreReported(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fail  func(a *awstest.AWS)
		lines int
		part  string
	}{
		{func(*awstest.AWS) {}, 0, ""},
		{
			func(a *awstest.AWS) { a.HangUp("DynamoDB.DescribeTable", 1) }, 1,
			`"operation":"DynamoDB.DescribeTable","attempt":2,"error":"`,
		},
		{
			func(a *awstest.AWS) { a.HangUp("DynamoDB.DescribeTable", awstest.Always) }, 2,
			`"operation":"DynamoDB.DescribeTable","attempt":3,"error":"`,
		},
		{func(a *awstest.AWS) { a.Fail("DynamoDB.DescribeTable", 1, 400, "ThrottlingException") }, 1, `ThrottlingException`},
	} {
		a := awstest.Start(t)
		test.fail(a)
		var log strings.Builder
		cfg, err := awsclient.Load(t.Context(), a.Config, telemetry.NewLogger(&log, a.Config))
		require.NoError(t, err)
		cfg.Credentials = a.SDK.Credentials
		client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &a.Config.Endpoint })
		ctx, _ := awsclient.Track(telemetry.WithRequestID(t.Context(), "the-request"))
		_, err = client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &a.Config.Table})
		assert.Equal(t, test.lines == 2, err != nil, "%v", err)
		assert.Equal(t, test.lines, strings.Count(log.String(), `"level":"WARN","msg":"call repeated"`), log.String())
		assert.Equal(t, test.lines, strings.Count(log.String(), `"request_id":"the-request"`), log.String())
		assert.Contains(t, log.String(), test.part)
	}
}

// Ensure attempts to get credentials are none of the call that needs them.
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

// Ensure the SDK's own lines reach the log at their level, with what they come from.
func TestLog(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	cfg, err := awsclient.Load(t.Context(), config.Default(), slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	cfg.Logger.Logf(logging.Debug, "a %s", "detail")
	assert.Empty(t, log.String())
	cfg.Logger.Logf(logging.Warn, "a %s", "warning")
	assert.Contains(t, log.String(), `level=WARN msg="a warning" source=aws-sdk`)
}

func newClient(t *testing.T, change func(*config.Config)) *dynamodb.Client {
	t.Helper()
	c := config.Default()
	change(&c)
	cfg, err := awsclient.Load(t.Context(), c, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.BaseEndpoint = aws.String(c.DynamoDB())
		o.Credentials = aws.CredentialsProviderFunc(staticCredentials)
	})
}

func staticCredentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
}

// Ensure connections that are kept for later are dropped when a call fails, as those behind a
// network that has forgotten them all: the attempt after the next does not meet another dead one.
func TestFreshConnections(t *testing.T) {
	t.Parallel()
	const kept = 16
	var connections, silent atomic.Int64
	var begun sync.WaitGroup
	begun.Add(kept)
	var dead sync.Map // connections that say nothing any more
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, `{}`)
	}))
	server.Start()
	defer server.Close()
	client := newClient(t, func(c *config.Config) { c.Endpoint, c.RequestTimeout = server.URL, 3*time.Second })
	var calls sync.WaitGroup
	for range kept {
		calls.Go(func() {
			_, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
			assert.NoError(t, err)
		})
	}
	calls.Wait()
	_, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	require.NoError(t, err)
	assert.EqualValues(t, 1, silent.Load(), "attempts that met a dead connection")
}

// Ensure clients whose calls failed together do not come back together: each wait is drawn anew, up
// to a bound that doubles.
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
