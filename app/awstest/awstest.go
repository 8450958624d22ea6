// Package awstest gives a test an AWS of its own, which it can make fail: the resources of the
// contract in github.com/sivchari/kumo, behind a proxy.
package awstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/sivchari/kumo"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
	"prima.internal/app/emulator"
)

// An AWS is DynamoDB and S3 on a port of their own, with the table and the bucket of Config.
type AWS struct {
	// Config is the default configuration with the endpoint, the table and the bucket of this AWS.
	Config config.Config
	// SDK is the configuration that the API's own clients use.
	SDK aws.Config
	// DynamoDB and S3 see what is really there: faults do not reach them.
	DynamoDB *dynamodb.Client
	S3       *s3.Client

	ahead  atomic.Int64 // nanoseconds
	items  atomic.Int64 // most items of a Scan; 0: as many as it asks for
	mu     sync.Mutex
	stored map[string]time.Duration // how far ahead the time was, by the key of an object
	faults map[string]*fault
	calls  map[string]int
	guard  *Guard // nil: everybody may do everything
}

// A fault decides what becomes of a call, in place of, or around, its being carried out.
type fault struct {
	times int // that it still happens; negative: always
	act   func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

// kumoURL serves once for the process: all servers of kumo share their data.
var kumoURL = sync.OnceValue(func() *url.URL {
	u, err := url.Parse(kumo.NewServer().URL)
	if err != nil {
		panic(err)
	}
	return u
})

// Start returns an AWS that ends with the test.
func Start(tb testing.TB) *AWS {
	tb.Helper()
	a, stop, err := Serve(tb.Context())
	require.NoError(tb, err)
	tb.Cleanup(stop)
	return a
}

// Serve returns an AWS that serves until stop is called.
func Serve(ctx context.Context) (a *AWS, stop func(), err error) {
	a = &AWS{
		Config: config.Default(), stored: map[string]time.Duration{}, faults: map[string]*fault{}, calls: map[string]int{},
	}
	for _, r := range a.Config.Resources() {
		*r.Name = r.ID + "-" + strings.ToLower(rand.Text())
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	server := httptest.NewServer(a.intercept(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(kumoURL())
			r.Out.Host = r.In.Host
		},
		Transport:      transport,
		FlushInterval:  -1,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { hangUp(w) },
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ModifyResponse: a.age,
	}))
	stop = func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	}
	a.Config.Endpoint = server.URL
	if a.SDK, err = awsclient.Load(ctx, a.Config, slog.New(slog.DiscardHandler)); err != nil {
		return nil, nil, err
	}
	a.SDK.Credentials = credentials.NewStaticCredentialsProvider("test", "test", "")
	direct := a.SDK.Copy()
	direct.HTTPClient = &http.Client{Transport: remembering{a, transport}}
	a.DynamoDB, a.S3 = emulator.Clients(direct, kumoURL().String())
	if err := emulator.Create(ctx, a.DynamoDB, a.S3, a.Config.Resources()); err != nil {
		stop()
		return nil, nil, err
	}
	return a, stop, nil
}

// Environ returns the variables with which a program uses this AWS, and more.
func (a *AWS) Environ(more ...string) []string {
	own := []string{"AWS_ENDPOINT_URL=" + a.Config.Endpoint}
	for _, r := range a.Config.Resources() {
		own = append(own, r.Variable+"="+*r.Name)
	}
	return append(own, more...)
}

// Reset makes the resources anew, whatever is left of them.
func (a *AWS) Reset(tb testing.TB) {
	tb.Helper()
	a.Wipe(tb)
	require.NoError(tb, emulator.Create(tb.Context(), a.DynamoDB, a.S3, a.Config.Resources()))
}

// Wipe leaves no resource, as LocalStack does when it restarts.
func (a *AWS) Wipe(tb testing.TB) {
	tb.Helper()
	require.NoError(tb, emulator.Delete(tb.Context(), a.DynamoDB, a.S3, a.Config.Resources()))
}

// Pass adds d to the time of the bucket: what is stored earlier becomes older by d.
func (a *AWS) Pass(d time.Duration) { a.ahead.Add(int64(d)) }

// PagesOf lets a Scan read n items at most, as AWS ends one at a megabyte, which kumo does not.
func (a *AWS) PagesOf(n int64) { a.items.Store(n) }

// lower lowers the limit of a Scan.
func lower(r *http.Request, items int64) {
	body, err := io.ReadAll(r.Body)
	var in map[string]any
	if err == nil && json.Unmarshal(body, &in) == nil {
		if limit, ok := in["Limit"].(float64); !ok || int64(limit) > items {
			in["Limit"] = items
			body, _ = json.Marshal(in) // it was JSON before
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// Now returns the time of the bucket.
func (a *AWS) Now() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) }

// remember keeps the time of the bucket at which an object is stored.
func (a *AWS) remember(r *http.Request) {
	if operationOf(r) == "S3.PutObject" {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.stored[r.URL.Path] = time.Duration(a.ahead.Load())
	}
}

// remembering is a transport of calls that do not meet the proxy.
type remembering struct {
	aws *AWS
	*http.Transport
}

// RoundTrip implements [http.RoundTripper].
func (t remembering) RoundTrip(r *http.Request) (*http.Response, error) {
	t.aws.remember(r)
	return t.Transport.RoundTrip(r)
}

var listedObject = regexp.MustCompile(`(<Key>)([^<]*)(</Key>\s*<LastModified>)([^<]*)`)

// age makes what the bucket lists as old as it is by the time of the bucket.
func (a *AWS) age(r *http.Response) error {
	if operationOf(r.Request) != "S3.ListObjectsV2" {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	a.mu.Lock()
	stored := maps.Clone(a.stored)
	a.mu.Unlock()
	body = listedObject.ReplaceAllFunc(body, func(object []byte) []byte {
		m := listedObject.FindSubmatch(object)
		modified, err := time.Parse(time.RFC3339, string(m[4]))
		if err != nil {
			return object
		}
		modified = modified.Add(stored["/"+a.Config.Bucket+"/"+string(m[2])])
		return []byte(string(m[1]) + string(m[2]) + string(m[3]) + modified.UTC().Format("2006-01-02T15:04:05.000Z"))
	})
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// operationOf names the call that a request makes as the API references do, such as
// DynamoDB.PutItem and S3.HeadBucket.
func operationOf(r *http.Request) string {
	if _, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return "DynamoDB." + name
	}
	verb := r.Method[:1] + strings.ToLower(r.Method[1:])
	_, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch query := r.URL.Query(); {
	case object != "":
		return "S3." + verb + "Object"
	case query.Get("list-type") == "2":
		return "S3.ListObjectsV2"
	case query.Has("delete"):
		return "S3.DeleteObjects"
	}
	return "S3." + verb + "Bucket"
}

func (a *AWS) intercept(proxy http.Handler) http.Handler {
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Otherwise a long response closes the request and is cut off. A response without the proxy needs
		// the opposite: net/http reads the rest of the request, or the connection of the next one could
		// break.
		_ = http.NewResponseController(w).EnableFullDuplex()
		proxy.ServeHTTP(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called := operationOf(r)
		f, guard := a.meet(called)
		if guard != nil && !guard.admit(w, r) {
			return
		}
		if items := a.items.Load(); called == "DynamoDB.Scan" && items > 0 {
			lower(r, items)
		}
		a.remember(r)
		if f != nil {
			f.act(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// meet counts a call and returns what it meets: a fault and a guard, if any.
func (a *AWS) meet(operation string) (*fault, *Guard) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls[operation]++
	f := a.faults[operation]
	if f == nil || f.times == 0 {
		return nil, a.guard
	}
	if f.times > 0 {
		f.times--
	}
	return f, a.guard
}

// Calls returns how often an operation, such as "DynamoDB.PutItem", was called, with retries.
func (a *AWS) Calls(operation string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[operation]
}

// AllCalls returns what Calls does, by operation.
func (a *AWS) AllCalls() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.calls)
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

// Fail rejects an operation with an error of its API, so many times.
func (a *AWS) Fail(operation string, times, status int, code string) {
	a.set(operation, times, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		writeError(w, operation, status, code)
	})
}

// LoseReply carries out an operation and loses the response, so many times.
func (a *AWS) LoseReply(operation string, times int) {
	a.set(operation, times, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		hangUp(w)
	})
}

// HangUp closes the connection before an operation is carried out, so many times.
func (a *AWS) HangUp(operation string, times int) {
	a.set(operation, times, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { hangUp(w) })
}

// Intercede lets f handle an operation.
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
	pages := s3.NewListObjectsV2Paginator(a.S3, &s3.ListObjectsV2Input{
		Bucket: aws.String(a.Config.Bucket), Prefix: aws.String(config.AvatarPrefix),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background()) // also after the test's own context
		if _, missing := errors.AsType[*s3types.NoSuchBucket](err); missing {
			return nil
		}
		require.NoError(tb, err)
		for _, o := range page.Contents {
			keys = append(keys, aws.ToString(o.Key))
		}
	}
	return keys
}
