package localaws_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/app/localaws"
)

const (
	table  = "users"
	bucket = "prima-tech-challenge"
	region = "us-east-1"
)

// start serves an AWS with the table and the bucket on a free port until the test ends.
func start(t testing.TB) (*localaws.AWS, string) {
	t.Helper()
	a, err := localaws.New(localaws.Options{Table: table, Bucket: bucket, Region: region})
	require.NoError(t, err)
	server, err := a.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	return a, server.URL()
}

func awsConfig() aws.Config {
	return aws.Config{
		Region:      region,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "a-session-token"),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient:  &http.Client{Transport: readOnly{&http.Transport{MaxIdleConnsPerHost: 100}}},
		// What config.LoadDefaultConfig sets.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
}

// readOnly hides the WriteTo of the SDK's request bodies. That answers io.EOF once the SDK has closed
// the body, for which net/http closes a connection whose answer has not been read yet; its Read
// answers the same without harm. Without retries, tests on a busy machine would meet that.
type readOnly struct{ http.RoundTripper }

func (t readOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r = r.Clone(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return t.RoundTripper.RoundTrip(r)
}

func dynamoClient(url string) *dynamodb.Client {
	return dynamodb.NewFromConfig(awsConfig(), func(o *dynamodb.Options) { o.BaseEndpoint = &url })
}

func s3Client(url string) *s3.Client {
	return s3.NewFromConfig(awsConfig(), func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &url, true })
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }

type item = map[string]types.AttributeValue

func id(s string) item { return item{config.KeyAttribute: text(s)} }

// requireCode makes sure that err is an answer of the API with an error's code.
func requireCode(t testing.TB, code string, err error) interface{ ErrorMessage() string } {
	t.Helper()
	var e smithy.APIError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.ErrorCode(), e.ErrorMessage())
	return e
}

// lines collects what an SDK logs.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Logf(_ logging.Classification, format string, _ ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, format)
}

// Ensure the table and the bucket of the options exist, and Operation names each call.
func TestNew(t *testing.T) {
	t.Parallel()
	a, url := start(t)
	var seen []string
	a.Intercept(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, localaws.Operation(r))
			next.ServeHTTP(w, r)
		})
	})
	_, err := dynamoClient(url).DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(table)})
	require.NoError(t, err)
	_, err = s3Client(url).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)})
	require.NoError(t, err)
	_, err = s3Client(url).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/b"), Body: strings.NewReader("x")})
	require.NoError(t, err)
	assert.Equal(t, []string{"DynamoDB.DescribeTable", "S3.HeadBucket", "S3.PutObject"}, seen)
}

// Ensure names that AWS would refuse are refused.
func TestNew_WrongNames(t *testing.T) {
	t.Parallel()
	_, err := localaws.New(localaws.Options{Table: "no"})
	assert.ErrorContains(t, err, `create table "no"`)
	_, err = localaws.New(localaws.Options{Bucket: "No"})
	assert.ErrorContains(t, err, `create bucket "No"`)
}

// Ensure a wiped AWS has neither table nor bucket, that both can be made, and that Reset makes them.
func TestAWS_WipeAndReset(t *testing.T) {
	t.Parallel()
	a, url := start(t)
	db, objects := dynamoClient(url), s3Client(url)
	get := func() error {
		_, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: id("1")})
		return err
	}
	a.Wipe()
	e := requireCode(t, "ResourceNotFoundException", get())
	assert.Equal(t, "Requested resource not found", e.ErrorMessage())
	_, err := objects.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)})
	requireCode(t, "NotFound", err)

	require.NoError(t, a.Reset())
	require.NoError(t, get())
	_, err = objects.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)})
	require.NoError(t, err)
}

// Ensure a middleware can fail a call, lose the reply of one that was made, and be taken away.
func TestAWS_Intercept(t *testing.T) {
	t.Parallel()
	a, url := start(t)
	db := dynamoClient(url)
	put := func(key string) error {
		_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: id(key)})
		return err
	}
	a.Intercept(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	})
	require.Error(t, put("failed"))
	a.Intercept(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		})
	})
	require.ErrorContains(t, put("lost"), "EOF")
	a.Intercept(nil)
	require.NoError(t, put("answered"))

	out, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(table)})
	require.NoError(t, err)
	var keys []string
	for _, i := range out.Items {
		keys = append(keys, i[config.KeyAttribute].(*types.AttributeValueMemberS).Value)
	}
	assert.ElementsMatch(t, []string{"lost", "answered"}, keys)
}

// Ensure middlewares can be changed while requests are served.
func TestAWS_InterceptConcurrently(t *testing.T) {
	t.Parallel()
	a, url := start(t)
	db := dynamoClient(url)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				_, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: id("1")})
				assert.NoError(t, err)
			}
		})
	}
	for range 100 {
		a.Intercept(func(next http.Handler) http.Handler { return next })
		a.Intercept(nil)
	}
	wg.Wait()
}

// Ensure a handler that nobody listens for serves both services too.
func TestAWS_ServeHTTP(t *testing.T) {
	t.Parallel()
	a, err := localaws.New(localaws.Options{Table: table})
	require.NoError(t, err)
	w := do(a, "POST", "/", `{}`, map[string]string{"X-Amz-Target": "DynamoDB_20120810.ListTables"})
	assert.JSONEq(t, `{"TableNames":["users"]}`, w.Body.String())
	w = do(a, "GET", "/", "", nil)
	assert.Contains(t, w.Body.String(), "<ListAllMyBucketsResult")
}

// do sends a request to a handler.
func do(h http.Handler, method, target, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	for k, v := range header {
		r.Header.Set(k, v)
	}
	// gofakes3 reads the length from the header, where a server leaves it.
	if body != "" {
		r.Header.Set("Content-Length", itoa(len(body)))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func readAll(t testing.TB, r io.ReadCloser) string {
	t.Helper()
	var b bytes.Buffer
	_, err := b.ReadFrom(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return b.String()
}
