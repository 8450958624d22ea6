package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
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

// Ensure a Scan, in pages of any size and in segments, finds each user once.
func TestScan(t *testing.T) {
	t.Parallel()
	_, client, _ := startTestBackend(t)
	for _, c := range []struct {
		table        string
		limit, total int32
		users, pages int
	}{
		{"users-0", 0, 0, 0, 1},
		{"users-1", 0, 0, 1, 1},
		{"users-100", 0, 0, 100, 1},
		{"users-100", 7, 0, 100, 15},
		{"users-100", 100, 0, 100, 1},
		{"users-3000", 0, 0, 3000, 1},
		{"users-3001", 0, 0, 3001, 2},
		{"users-20000", 0, 0, 20_000, 7},
		{"users-20000", 5000, 0, 20_000, 7},
		{"users-20000", 0, 1, 20_000, 7},
		{"users-20000", 0, 4, 20_000, 7},
		{"users-20000", 999, 4, 20_000, 24},
		{"users-100", 0, 4, 100, 4},
	} {
		users, pages := map[string]string{}, 0
		for segment := range max(c.total, 1) {
			in := &dynamodb.ScanInput{TableName: &c.table}
			if c.limit > 0 {
				in.Limit = &c.limit
			}
			if c.total > 0 {
				in.TotalSegments, in.Segment = &c.total, &segment
			}
			found, n := scanAll(t, client, in)
			pages += n
			n = len(users) + len(found)
			maps.Copy(users, found)
			assert.Len(t, users, n, "no user is in two segments")
		}
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

// Ensure the other calls that the sides make are answered as the SDK expects, and counted.
func TestCalls(t *testing.T) {
	t.Parallel()
	url, client, objects := startTestBackend(t)
	table, bucket, name := aws.String("users-100"), aws.String(bucketName), aws.String("avatars/a/b")
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: userID(0)}}

	_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: key})
	assert.NoError(t, err)
	_, err = client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: table, Key: key})
	assert.NoError(t, err)
	_, err = client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: table, Key: key})
	assert.NoError(t, err)
	item, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: table, Key: key})
	require.NoError(t, err)
	assert.Equal(t, key["id"], item.Item["id"])
	described, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: table})
	require.NoError(t, err)
	assert.Equal(t, types.TableStatusActive, described.Table.TableStatus)

	_, err = objects.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket})
	assert.NoError(t, err)
	put, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: name, Body: bytes.NewReader(apitest.PaddedPNG(5 << 20))})
	require.NoError(t, err)
	assert.NotEmpty(t, aws.ToString(put.ETag))
	got, err := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: name})
	require.NoError(t, err)
	content, err := io.ReadAll(got.Body)
	assert.NoError(t, err)
	assert.Equal(t, image(), content)
	_, err = objects.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: name})
	assert.NoError(t, err)

	each := map[string]int{
		"PutItem": 1, "UpdateItem": 1, "DeleteItem": 1, "GetItem": 1, "DescribeTable": 1, "HeadBucket": 1, "PutObject": 1, "GetObject": 1, "DeleteObject": 1,
	}
	assert.Equal(t, each, callsOf(t, url))
	response, err := http.Post(url+"/calls/reset", "", nil)
	require.NoError(t, err)
	assert.NoError(t, response.Body.Close())
	assert.Empty(t, callsOf(t, url))
}

func callsOf(t *testing.T, url string) map[string]int {
	t.Helper()
	response, err := http.Get(url + "/calls")
	require.NoError(t, err)
	defer response.Body.Close()
	var calls map[string]int
	require.NoError(t, json.NewDecoder(response.Body).Decode(&calls))
	return calls
}

// Ensure a table whose name says so answers the same Scan with other bytes each time, of the same users.
func TestChanging(t *testing.T) {
	t.Parallel()
	_, client, _ := startTestBackend(t)
	var before map[string]string
	for range 5 {
		users, pages := scanAll(t, client, &dynamodb.ScanInput{TableName: aws.String("users-100-changing")})
		assert.Len(t, users, 100)
		assert.Equal(t, 1, pages)
		changed := 0
		for id, name := range before {
			if require.Contains(t, users, id); users[id] != name {
				changed++
			}
		}
		assert.Equal(t, min(len(before), 1), changed)
		before = users
	}
	users, _ := scanAll(t, client, &dynamodb.ScanInput{TableName: aws.String("users-0-changing")})
	assert.Empty(t, users)
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
