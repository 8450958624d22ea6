package dynamo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	primaconfig "prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

// perPage is how many users of 260 bytes are in the megabyte of a page.
const perPage = 3000

// canned is an HTTP client whose every answer is the same page.
type canned struct {
	body   []byte
	header http.Header
}

func (c canned) Do(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, ContentLength: int64(len(c.body)), Header: c.header,
		Body: io.NopCloser(bytes.NewReader(c.body)),
	}, nil
}

func cannedPage(users int) canned {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"Count":%d,"Items":[`, users)
	for i := range users {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"email":{"S":"user%d@example.com"},"avatar_id":{"S":"10000000-0000-4000-8000-%012d"},`+
			`"id":{"S":"00000000-0000-4000-8000-%012d"},"name":{"S":"%s"}}`,
			i, i, i, strings.Repeat("n", 120))
	}
	fmt.Fprintf(&b, `],"ScannedCount":%d}`, users)
	return canned{b.Bytes(), http.Header{
		"Content-Type": {"application/x-amz-json-1.0"},
		"X-Amz-Crc32":  {strconv.FormatUint(uint64(crc32.ChecksumIEEE(b.Bytes())), 10)},
	}}
}

var staticCredentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
})

// ours returns the users as the API reads them.
func ours(t testing.TB, answer canned) *dynamo.Users {
	t.Helper()
	c := primaconfig.Default()
	cfg, err := awsclient.Load(t.Context(), c, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg.HTTPClient, cfg.Credentials = answer, staticCredentials
	return dynamo.New(cfg, c)
}

// idiomatic returns a function that reads a page and writes its JSON as the SDK's documentation has
// it.
func idiomatic(t testing.TB, answer canned) func() ([]byte, error) {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(),
		config.WithRegion("us-east-1"), config.WithCredentialsProvider(staticCredentials))
	require.NoError(t, err)
	cfg.HTTPClient = answer
	client := dynamodb.NewFromConfig(cfg)
	return func() ([]byte, error) {
		out, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("users")})
		if err != nil {
			return nil, err
		}
		var items []struct {
			ID       string `dynamodbav:"id"`
			Name     string `dynamodbav:"name"`
			Email    string `dynamodbav:"email"`
			AvatarID string `dynamodbav:"avatar_id"`
		}
		if err := attributevalue.UnmarshalListOfMaps(out.Items, &items); err != nil {
			return nil, err
		}
		list := make([]listed, len(items))
		for i, item := range items {
			list[i] = listed{item.ID, item.Name, item.Email, usersURL + "/" + item.ID + "/avatar?v=" + item.AvatarID}
		}
		return json.Marshal(list)
	}
}

// BenchmarkPage reads a page of 3,000 users and makes it the JSON that clients see.
func BenchmarkPage(b *testing.B) {
	answer := cannedPage(perPage)
	b.Run("by=prima-api", func(b *testing.B) {
		users := ours(b, answer)
		buffer := make([]byte, 0, 1<<20)
		measure(b, len(answer.body), func() {
			p, err := users.Page(b.Context(), buffer[:0], usersURL, user.PageQuery{})
			if err != nil || p.Users != perPage {
				b.Fatal(p.Users, err)
			}
		})
	})
	b.Run("by=SDK", func(b *testing.B) {
		read := idiomatic(b, answer)
		measure(b, len(answer.body), func() {
			if list, err := read(); err != nil || len(list) == 0 {
				b.Fatal(err)
			}
		})
	})
}

// measure runs work and reports, beside what b does, the processor time of an operation: that of
// the garbage collector is in it, which other threads do meanwhile.
func measure(b *testing.B, size int, work func()) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(size))
	before := processorTime(b)
	for b.Loop() {
		work()
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// processorTime is what the process has taken, in nanoseconds.
func processorTime(t testing.TB) int64 {
	t.Helper()
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return used.Utime.Nano() + used.Stime.Nano()
}

// Ensure the page that is measured is the same both ways.
func TestBenchmarkIsFair(t *testing.T) {
	t.Parallel()
	answer := cannedPage(10)
	want, err := idiomatic(t, answer)()
	require.NoError(t, err)
	got, err := ours(t, answer).Page(t.Context(), nil, usersURL, user.PageQuery{})
	require.NoError(t, err)
	assert.JSONEq(t, string(want), "["+string(got.JSON)+"]")
}
