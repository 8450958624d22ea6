package awsclient_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// Ensure that what a response says of the failure of a call is told apart: a refusal of AWS that no
// later try changes is Internal; what passes, and what AWS did not send, is Unavailable.
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
		"throttled": {
			400, true, json("ThrottlingException"), xml("SlowDown"), user.Unavailable, false, false,
		},
		"429 and nothing more": {429, false, "", "", user.Unavailable, false, false},
		"429 with JSON":        {429, false, "{}", "{}", user.Unavailable, false, false},
		"429 with HTML":        {429, false, html, html, user.Unavailable, false, false},
		"429 with a code":      {429, true, json("SomethingElse"), xml("SomethingElse"), user.Unavailable, false, false},
		"a code without an id": {
			403, false, json("AccessDeniedException"), xml("AccessDenied"), user.Unavailable, true, false,
		},
		"404 of a proxy":       {404, false, html, html, user.Unavailable, true, false},
		"404 and nothing more": {404, false, "", "", user.Unavailable, true, false},
		"404 with JSON": {
			404, false, `{"detail":"not found"}`, `{"detail":"not found"}`, user.Unavailable, true, false,
		},
		"403 of a proxy": {
			403, false, "RBAC: access denied", "RBAC: access denied", user.Unavailable, true, false,
		},
		"400 and nothing more":  {400, false, "", "", user.Unavailable, true, false},
		"redirected to a login": {302, false, html, html, user.Unavailable, true, false},
		"502 of a proxy":        {502, false, html, html, user.Unavailable, true, false},
		"503 and nothing more":  {503, false, "", "", user.Unavailable, true, false},
		"500": {
			500, true, json("InternalServerError"), xml("InternalError"), user.Unavailable, true, false,
		},
		"the resource is not there": {
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
			cfg := load(t, server.URL)
			for service, fail := range map[string]func() error{
				"DynamoDB": func() error {
					ctx, call := awsclient.Track(t.Context())
					client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &server.URL })
					_, err := client.ListTables(ctx, &dynamodb.ListTablesInput{})
					return call.Fault(err)
				},
				"S3": func() error {
					ctx, call := awsclient.Track(t.Context())
					client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &server.URL, true })
					_, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
					return call.Fault(err)
				},
			} {
				var failure *user.Error
				err := fail()
				require.ErrorAs(t, err, &failure, service)
				assert.Equal(t, c.code, failure.Code, "%s: %v", service, err)
				assert.Equal(t, c.uncertain, failure.Uncertain, "%s: %v", service, err)
				if c.missing {
					assert.ErrorIs(t, err, user.ErrResourceMissing, service)
				} else {
					assert.NotErrorIs(t, err, user.ErrResourceMissing, service)
				}
			}
		})
	}
}

func load(t *testing.T, endpoint string) aws.Config {
	t.Helper()
	c := config.Default()
	c.Endpoint = endpoint
	cfg, err := awsclient.Load(t.Context(), c, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg.Credentials = aws.CredentialsProviderFunc(staticCredentials)
	return cfg
}

// Ensure a connection that leads to a server which is not AWS is not used again.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	const table = `{"Table":{"TableStatus":"ACTIVE"}}`
	for name, c := range map[string]struct {
		status int
		id     string
		body   string
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
			client := dynamodb.NewFromConfig(load(t, server.URL), func(o *dynamodb.Options) { o.BaseEndpoint = &server.URL })
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
