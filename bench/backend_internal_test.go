package main

import (
	"bytes"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awsclient"
	"prima.internal/app/config"
)

// startTestBackend returns the URL of a backend, and clients of it.
func startTestBackend(t *testing.T) (string, *dynamodb.Client, *s3.Client) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var served sync.WaitGroup
	served.Go(func() { assert.NoError(t, serveBackend(l)) })
	t.Cleanup(func() {
		assert.NoError(t, l.Close())
		served.Wait()
	})
	url := "http://" + l.Addr().String()
	// As prima-api loads it: the SDK as it comes loses large answers of so near a server.
	cfg, err := awsclient.Load(t.Context(), config.Default(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg.BaseEndpoint, cfg.RetryMaxAttempts = &url, 1
	cfg.Credentials = credentials.NewStaticCredentialsProvider("test", "test", "")
	return url, dynamodb.NewFromConfig(cfg), s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

// scanAll returns the ids and names of what a Scan and those that follow it find.
func scanAll(t *testing.T, client *dynamodb.Client, in *dynamodb.ScanInput) (users map[string]string, pages int) {
	t.Helper()
	users = map[string]string{}
	for paginator := dynamodb.NewScanPaginator(client, in); paginator.HasMorePages(); pages++ {
		out, err := paginator.NextPage(t.Context())
		require.NoError(t, err)
		assert.EqualValues(t, len(out.Items), out.Count)
		if in.Limit != nil {
			assert.LessOrEqual(t, out.Count, *in.Limit)
		}
		var found []struct {
			ID       string `dynamodbav:"id"`
			Name     string `dynamodbav:"name"`
			Email    string `dynamodbav:"email"`
			AvatarID string `dynamodbav:"avatar_id"`
		}
		require.NoError(t, attributevalue.UnmarshalListOfMaps(out.Items, &found))
		for _, u := range found {
			if users[u.ID] != "" || u.Name == "" || u.Email == "" || u.AvatarID == "" {
				assert.Fail(t, "a user twice, or not whole", "%+v", u)
			}
			users[u.ID] = u.Name
		}
	}
	return users, pages
}

// Ensure a Scan, in pages of any size, finds each user once.
func TestScan(t *testing.T) {
	t.Parallel()
	_, client, _ := startTestBackend(t)
	for _, c := range []struct {
		table        string
		limit        int32
		users, pages int
	}{
		{"users-0", 0, 0, 1},
		{"users-1", 0, 1, 1},
		{"users-100", 0, 100, 1},
		{"users-100", 7, 100, 15},
		{"users-100", 100, 100, 1},
		{"users-3000", 0, 3000, 1},
		{"users-3001", 0, 3001, 2},
		{"users-20000", 0, 20_000, 7},
		{"users-20000", 10_000, 20_000, 7},
	} {
		in := &dynamodb.ScanInput{TableName: &c.table}
		if c.limit > 0 {
			in.Limit = &c.limit
		}
		users, pages := scanAll(t, client, in)
		assert.Len(t, users, c.users, "%+v", c)
		assert.Equal(t, c.pages, pages, "%+v", c)
	}
}

// Ensure an item is as large as the results say, as DynamoDB counts, and a page about 1 MB.
func TestSizes(t *testing.T) {
	t.Parallel()
	_, client, _ := startTestBackend(t)
	out, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("users-100")})
	require.NoError(t, err)
	size := 0
	for _, item := range out.Items {
		for name, value := range item {
			size += len(name) + len(value.(*types.AttributeValueMemberS).Value)
		}
	}
	assert.InDelta(t, 260, float64(size)/float64(len(out.Items)), 10, "bytes of an item")
	assert.InDelta(t, 1e6, len(page(0, usersPerPage, 2*usersPerPage)), 0.1e6, "bytes of a page")
}

// Ensure the other calls that the measurements make get a response that the SDK takes, and that those of readiness are not counted.
func TestCalls(t *testing.T) {
	t.Parallel()
	url, client, objects := startTestBackend(t)
	table, bucket := aws.String("users-100"), aws.String(bucketName)
	calls := func() int64 {
		s := suite{backend: url}
		n, err := s.calls(t.Context())
		require.NoError(t, err)
		return n
	}

	described, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: table})
	require.NoError(t, err)
	assert.Equal(t, types.TableStatusActive, described.Table.TableStatus)
	_, err = objects.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket})
	assert.NoError(t, err)
	assert.Zero(t, calls())

	_, err = client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: map[string]types.AttributeValue{}})
	assert.NoError(t, err)
	put, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("avatars/a/b"), Body: bytes.NewReader(apitest.PaddedPNG(5 << 20))})
	require.NoError(t, err)
	assert.NotEmpty(t, aws.ToString(put.ETag))
	assert.EqualValues(t, 2, calls())
	assert.Zero(t, calls(), "they are counted anew")
}

// Ensure a table whose name says so waits before each page, and that a call or a table that is not known is an error.
func TestWaitAndErrors(t *testing.T) {
	t.Parallel()
	_, client, _ := startTestBackend(t)
	start := time.Now()
	users, _ := scanAll(t, client, &dynamodb.ScanInput{TableName: aws.String("users-7000-wait20ms")})
	assert.Len(t, users, 7000)
	assert.GreaterOrEqual(t, time.Since(start), 60*time.Millisecond)

	_, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("customers")})
	assert.ErrorContains(t, err, "ValidationException")
	_, err = client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	assert.ErrorContains(t, err, "UnknownOperationException")
}
