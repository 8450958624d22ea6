package awsclient_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	"prima.internal/app/awstest"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// Ensure failures are classified by their response: an error of AWS that a retry cannot change is
// Internal; one that may pass, or that AWS did not send, is Unavailable.
func TestFailures(t *testing.T) {
	t.Parallel()
	const html = "<html><body>nobody here</body></html>"
	xml := func(code string) string { return "<Error><Code>" + code + "</Code></Error>" }
	json := func(code string) string { return `{"__type":"x#` + code + `"}` }
	for name, c := range map[string]struct {
		status             int
		id                 bool   // of the request, as AWS sends it
		dynamoDB, s3       string // bodies
		code               user.Code
		uncertain, missing bool
	}{
		"refused": {
			403, true, json("AccessDeniedException"), xml("AccessDenied"), user.Internal, false, false,
		},
		"wrong": {
			400, true, json("ValidationException"), xml("InvalidRequest"), user.Internal, false, false,
		},
		"throttled":            {400, true, json("ThrottlingException"), xml("SlowDown"), user.Unavailable, false, false},
		"too slow":             {400, true, json("RequestTimeout"), xml("RequestTimeout"), user.Unavailable, true, false},
		"429 and nothing more": {429, false, "", "", user.Unavailable, false, false},
		"429 with JSON":        {429, false, "{}", "{}", user.Unavailable, false, false},
		"429 with HTML":        {429, false, html, html, user.Unavailable, false, false},
		"429 with a code":      {429, true, json("SomethingElse"), xml("SomethingElse"), user.Unavailable, false, false},
		"a code without an id": {
			403, false, json("AccessDeniedException"), xml("AccessDenied"), user.Unavailable, true, false,
		},
		"404 of a proxy":        {404, false, html, html, user.Unavailable, true, false},
		"404 and nothing more":  {404, false, "", "", user.Unavailable, true, false},
		"404 with JSON":         {404, false, `{"detail":"x"}`, `{"detail":"x"}`, user.Unavailable, true, false},
		"403 of a proxy":        {403, false, "RBAC: access denied", "RBAC: access denied", user.Unavailable, true, false},
		"400 and nothing more":  {400, false, "", "", user.Unavailable, true, false},
		"redirected to a login": {302, false, html, html, user.Unavailable, true, false},
		"502 of a proxy":        {502, false, html, html, user.Unavailable, true, false},
		"503 and nothing more":  {503, false, "", "", user.Unavailable, true, false},
		"500": {
			500, true, json("InternalServerError"), xml("InternalError"), user.Unavailable, true, false,
		},
		"missing": {
			400, true, json("ResourceNotFoundException"), xml("NoSuchBucket"), user.Unavailable, false, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := c.s3
				if r.Header.Get("X-Amz-Target") != "" {
					body = c.dynamoDB
				}
				if c.id {
					w.Header().Set("X-Amzn-Requestid", "id")
					w.Header().Set("X-Amz-Request-Id", "id")
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, body)
			}))
			defer server.Close()
			for service, fail := range map[string]func() error{
				"DynamoDB": func() error {
					ctx, call := awsclient.Track(t.Context())
					_, err := newClient(t, server.URL).ListTables(ctx, &dynamodb.ListTablesInput{})
					return call.Fault(err)
				},
				"S3": func() error {
					ctx, call := awsclient.Track(t.Context())
					client := s3.NewFromConfig(load(t, server.URL), func(o *s3.Options) {
						o.BaseEndpoint, o.UsePathStyle = &server.URL, true
					})
					_, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
					return call.Fault(err)
				},
			} {
				var failure *user.Error
				err := fail()
				require.ErrorAs(t, err, &failure, service)
				assert.Equal(t, c.code, failure.Code, "%s: %v", service, err)
				assert.Equal(t, c.uncertain, failure.Uncertain, "%s: %v", service, err)
				assert.Equal(t, c.missing, errors.Is(err, user.ErrResourceMissing), "%s: %v", service, err)
			}
		})
	}
}

func load(t *testing.T, endpoint string) aws.Config {
	t.Helper()
	c := config.Default()
	c.Endpoint, c.RequestTimeout = endpoint, 3*time.Second
	cfg, err := awsclient.Load(t.Context(), c, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg.Credentials = aws.AnonymousCredentials{}
	return cfg
}

func newClient(t *testing.T, endpoint string) *dynamodb.Client {
	t.Helper()
	return dynamodb.NewFromConfig(load(t, endpoint), func(o *dynamodb.Options) { o.BaseEndpoint = &endpoint })
}

// Ensure a write counts as uncertain if any of its attempts was sent and not refused, whatever the
// others returned.
func TestAttempts(t *testing.T) {
	t.Parallel()
	const write = "DynamoDB.PutItem"
	for name, c := range map[string]struct {
		meet      func(a *awstest.AWS)
		calls     int
		uncertain bool
	}{
		"hung up":   {func(a *awstest.AWS) { a.HangUp(write, awstest.Always) }, 3, true},
		"throttled": {func(a *awstest.AWS) { a.Fail(write, awstest.Always, 400, "ThrottlingException") }, 3, false},
		"lost, then throttled": {func(a *awstest.AWS) {
			a.Intercede(write, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				a.Fail(write, awstest.Always, 400, "ThrottlingException")
				w.WriteHeader(http.StatusInternalServerError)
			})
		}, 3, true},
		"never sent": {func(a *awstest.AWS) { a.Config.Endpoint = "http://127.0.0.1:1" }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := awstest.Start(t)
			c.meet(a)
			ctx, call := awsclient.Track(t.Context())
			_, err := newClient(t, a.Config.Endpoint).PutItem(ctx, &dynamodb.PutItemInput{
				TableName: &a.Config.Table, Item: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "1"}},
			})
			var failure *user.Error
			require.ErrorAs(t, call.Fault(err), &failure)
			assert.Equal(t, user.Unavailable, failure.Code, "%v", err)
			assert.Equal(t, c.uncertain, failure.Uncertain, "%v", err)
			assert.Equal(t, c.calls, a.Calls(write))
		})
	}
}

// Ensure a connection that leads to a server which is not AWS is not used again.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	const table = `{"Table":{"TableStatus":"ACTIVE"}}`
	for name, c := range map[string]struct {
		status   int
		id, body string
	}{
		"a page":                   {404, "", "<html></html>"},
		"nothing":                  {404, "", ""},
		"another protocol":         {200, "", "<html></html>"},
		"another JSON":             {200, "", "{}"},
		"an emulator of yesterday": {400, "id", `{"__type":"x#ResourceNotFoundException"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var foreign atomic.Value // the address of the connection that leads there
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				foreign.CompareAndSwap(nil, r.RemoteAddr)
				if foreign.Load() != r.RemoteAddr {
					_, _ = io.WriteString(w, table)
					return
				}
				if c.id != "" {
					w.Header().Set("X-Amzn-Requestid", c.id)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			client := newClient(t, server.URL)
			check := func() error {
				ctx, call := awsclient.Track(t.Context())
				out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("users")})
				if err == nil && out.Table == nil {
					return call.Incomplete("the table")
				}
				return call.Fault(err)
			}
			require.Error(t, check())
			require.NoError(t, check())
		})
	}
}
