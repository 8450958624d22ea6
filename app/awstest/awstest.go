// Package awstest gives a test an AWS of its own, which it can make fail.
package awstest

import (
	"context"
	"hash/crc32"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/localaws"
)

// An AWS is DynamoDB and S3 on a port of their own, with the table and the bucket of Config.
type AWS struct {
	*localaws.AWS
	// Config is the default configuration with the endpoint of this AWS.
	Config config.Config
	// SDK is the configuration that the API's own clients use.
	SDK aws.Config
	// DynamoDB and S3 see what is really there: faults do not reach them.
	DynamoDB *dynamodb.Client
	S3       *s3.Client

	ahead  atomic.Int64 // nanoseconds
	mu     sync.Mutex
	faults map[string]*fault
	calls  map[string]int
	guard  *Guard // nil: everybody may do everything
	meter  *Meter // nil: nothing is measured
}

// A fault decides what becomes of a call, in place of, or around, its being carried out.
type fault struct {
	times int // that it still happens; negative: always
	act   func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

// behindFaults marks the calls of DynamoDB and S3 of an [AWS].
const behindFaults = "X-Behind-Faults"

// Start returns an AWS that ends with the test.
func Start(tb testing.TB) *AWS {
	tb.Helper()
	c := config.Default()
	a := &AWS{faults: map[string]*fault{}, calls: map[string]int{}}
	local, err := localaws.New(localaws.Options{Table: c.Table, Bucket: c.Bucket, Region: c.Region, Now: a.Now})
	require.NoError(tb, err)
	server, err := local.Listen("127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = server.Close() })

	a.AWS = local
	local.Intercept(a.intercept)
	a.Config = c
	a.Config.Endpoint = server.URL()
	a.SDK, err = awsclient.Load(tb.Context(), a.Config, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	a.SDK.Credentials = credentials.NewStaticCredentialsProvider("test", "test", "")

	direct := a.SDK.Copy()
	direct.HTTPClient = &http.Client{Transport: markBehindFaults{new(http.Transport)}}
	a.DynamoDB = dynamodb.NewFromConfig(direct, func(o *dynamodb.Options) { o.BaseEndpoint = aws.String(server.URL()) })
	a.S3 = s3.NewFromConfig(direct, func(o *s3.Options) {
		o.BaseEndpoint = aws.String(server.URL())
		o.UsePathStyle = true
	})
	return a
}

// Pass lets time pass for the bucket: what is stored from now on is younger than what was by d more.
func (a *AWS) Pass(d time.Duration) { a.ahead.Add(int64(d)) }

// Now returns the time of the bucket.
func (a *AWS) Now() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) }

type markBehindFaults struct{ *http.Transport }

func (m markBehindFaults) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(behindFaults, "true")
	return m.Transport.RoundTrip(r)
}

func (a *AWS) intercept(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(behindFaults) != "" {
			next.ServeHTTP(w, r)
			return
		}
		f, guard, meter := a.meet(localaws.Operation(r))
		if guard != nil && !guard.admit(w, r) {
			return
		}
		does := next
		if meter != nil {
			does = meter.around(next)
		}
		if f != nil {
			f.act(w, r, does)
			return
		}
		does.ServeHTTP(w, r)
	})
}

// meet counts a call and returns what it meets: a fault, a guard and a meter, if any.
func (a *AWS) meet(operation string) (*fault, *Guard, *Meter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls[operation]++
	f := a.faults[operation]
	if f == nil || f.times == 0 {
		return nil, a.guard, a.meter
	}
	if f.times > 0 {
		f.times--
	}
	return f, a.guard, a.meter
}

// Calls returns how often an operation, such as "DynamoDB.PutItem", was called, repeated attempts included.
func (a *AWS) Calls(operation string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[operation]
}

// Always is the number of times of a fault that does not end by itself.
const Always = -1

// Heal ends the fault of an operation.
func (a *AWS) Heal(operation string) { a.set(operation, 0, nil) }

func (a *AWS) set(operation string, times int, act func(http.ResponseWriter, *http.Request, http.Handler)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults[operation] = &fault{times: times, act: act}
}

// Fail has an operation answered with an error of the API and nothing done, so many times.
func (a *AWS) Fail(operation string, times, status int, code string) {
	a.set(operation, times, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { writeError(w, operation, status, code) })
}

// LoseReply has an operation carried out and its answer lost, so many times.
func (a *AWS) LoseReply(operation string, times int) {
	a.set(operation, times, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		hangUp(w)
	})
}

// HangUp has the connection closed before an operation is carried out, so many times.
func (a *AWS) HangUp(operation string, times int) {
	a.set(operation, times, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { hangUp(w) })
}

// Intercede has f decide what becomes of an operation.
func (a *AWS) Intercede(operation string, f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	a.set(operation, Always, f)
}

func hangUp(w http.ResponseWriter) {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = connection.Close()
	}
}

func writeError(w http.ResponseWriter, operation string, status int, code string) {
	w.Header().Set("X-Amzn-Requestid", "id") // without it, it is no error of AWS
	w.Header().Set("X-Amz-Request-Id", "id")
	body := `{"__type":"com.amazonaws.dynamodb.v20120810#` + code + `","message":"arn:aws:secret"}`
	if operation[:2] == "S3" {
		w.Header().Set("Content-Type", "application/xml")
		body = `<?xml version="1.0"?><Error><Code>` + code + `</Code><Message>arn:aws:secret</Message></Error>`
	} else {
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 10))
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// Objects returns the keys of the avatars in the bucket.
func (a *AWS) Objects(tb testing.TB) []string {
	tb.Helper()
	var keys []string
	pages := s3.NewListObjectsV2Paginator(a.S3, &s3.ListObjectsV2Input{Bucket: aws.String(a.Config.Bucket), Prefix: aws.String(bucket.Prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background()) // also after the test's own context
		require.NoError(tb, err)
		for _, o := range page.Contents {
			keys = append(keys, aws.ToString(o.Key))
		}
	}
	return keys
}
