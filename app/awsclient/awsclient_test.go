package awsclient_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
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

// Ensure the lines of the SDK reach the log, with what they come from.
func TestLog(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	a.HangUp("DynamoDB.DescribeTable", 1)
	c := config.Default()
	c.Endpoint = a.Config.Endpoint
	var log strings.Builder
	cfg, err := awsclient.Load(t.Context(), c, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	cfg.Credentials = a.SDK.Credentials
	_, err = dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &c.Endpoint }).
		DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("users")})
	require.NoError(t, err)
	assert.Contains(t, log.String(), "source=aws-sdk")
	assert.Contains(t, log.String(), "retrying request DynamoDB/DescribeTable")
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
