package awsclient_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

// Ensure the answer to a call that is sent once comes whole, however large it is and however fast the
// server: the SDK closes the request while it is still read.
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
	_, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("users")})
	require.NoError(t, err)
	assert.True(t, call.Again())
}

// Ensure a call that took more than one attempt is one line in the log, whether it succeeded in the
// end or not, with the request that it was made for; and one that did not is none.
func TestRetriesAreReported(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fail func(a *awstest.AWS)
		line string
	}{
		{func(*awstest.AWS) {}, ""},
		{func(a *awstest.AWS) { a.HangUp("DynamoDB.DescribeTable", 1) }, `"operation":"DynamoDB.DescribeTable","attempts":2,"succeeded":true,"error":"`},
		{func(a *awstest.AWS) { a.HangUp("DynamoDB.DescribeTable", awstest.Always) }, `"operation":"DynamoDB.DescribeTable","attempts":3,"succeeded":false,"error":"`},
		{func(a *awstest.AWS) { a.Fail("DynamoDB.DescribeTable", 1, 400, "ThrottlingException") }, `ThrottlingException`},
	} {
		a := awstest.Start(t)
		test.fail(a)
		var log strings.Builder
		cfg, err := awsclient.Load(t.Context(), a.Config, telemetry.NewLogger(&log, a.Config))
		require.NoError(t, err)
		cfg.Credentials = a.SDK.Credentials
		client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &a.Config.Endpoint })
		ctx, _ := awsclient.Track(telemetry.WithRequestID(t.Context(), "the-request"))
		_, err = client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("users")})
		assert.Equal(t, strings.Contains(test.line, "false"), err != nil, "%v", err)
		if test.line == "" {
			assert.Empty(t, log.String())
			continue
		}
		assert.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
		for _, part := range []string{test.line, `"level":"WARN","msg":"call repeated"`, `"request_id":"the-request"`} {
			assert.Contains(t, log.String(), part)
		}
	}
}

// Ensure a call that had to get credentials first counts as one that was made once: what a call for
// credentials meets says nothing about it.
func TestCredentialsAreNoAttempts(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	a.HangUp("DynamoDB.ListTables", 2)
	var log strings.Builder
	cfg, err := awsclient.Load(t.Context(), a.Config, telemetry.NewLogger(&log, a.Config))
	require.NoError(t, err)
	client := func(credentials aws.CredentialsProvider) *dynamodb.Client {
		return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
			o.BaseEndpoint, o.Credentials = &a.Config.Endpoint, credentials
		})
	}
	inner := client(aws.CredentialsProviderFunc(staticCredentials))
	ctx, call := awsclient.Track(t.Context())
	_, err = client(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		_, err := inner.ListTables(ctx, &dynamodb.ListTablesInput{}) // as STS and the metadata service are asked
		assert.NoError(t, err)
		return staticCredentials(ctx)
	})).DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("users")})
	require.NoError(t, err)
	assert.Equal(t, 3, a.Calls("DynamoDB.ListTables"))
	assert.False(t, call.Again())
	assert.Empty(t, log.String())
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

// Ensure connections that are kept for later are dropped when a call fails, as those behind a network that has
// forgotten them all: the attempt after the next does not meet another dead one.
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
