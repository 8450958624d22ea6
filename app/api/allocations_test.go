package api_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp/fasthttputil"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/api"
	"prima.internal/app/apitest"
	"prima.internal/app/awsclient"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/telemetry"
	"prima.internal/app/user"
)

const (
	// What a creation allocates, of which the SDK's part is seven eighths, and a tenth for an update of that.
	maxCreateAllocations = 400
	maxCreateBytes       = 33 << 10
	// What a list of 100 users allocates that is as it was, and one that is not; nearly all of it is the SDK's.
	maxListAllocations = 355
	maxUnchangedBytes  = 31 << 10
	maxListBytes       = 57 << 10
	// What an upload of 1 MiB as a form allocates, by one call of S3 and one of DynamoDB. Nothing of it grows with the image.
	maxFormBytes = 100 << 10
	// What the image alone allocates, by one call more.
	maxImageBytes = 125 << 10
	// What the spans of a request and of its call of AWS allocate.
	maxTraceAllocations = 60
	maxTraceBytes       = 10 << 10
)

// Ensure a creation allocates no more than it did.
func TestAllocationsCreate(t *testing.T) { //nolint:paralleltest // what others allocate would count
	allocations, bytes := perRequest(t, cannedAWS{}, createRequest())
	t.Logf("figure: a creation: %d allocations, %d bytes", allocations, bytes)
	assert.LessOrEqual(t, allocations, uint64(maxCreateAllocations))
	assert.LessOrEqual(t, bytes, uint64(maxCreateBytes))
}

// Ensure a list allocates no more than the call of DynamoDB does, and once the list itself where that has changed.
func TestAllocationsList(t *testing.T) { //nolint:paralleltest // what others allocate would count
	for _, test := range []struct {
		name     string
		answers  []cannedList
		maxBytes uint64
	}{
		{"as it was", listAnswers[:1], maxUnchangedBytes},
		{"that has changed", listAnswers[:], maxListBytes},
	} {
		allocations, bytes := perRequest(t, cannedAWS{lists: test.answers, scans: new(atomic.Int64)}, listRequest)
		t.Logf("figure: a list of 100 users %s: %d allocations, %d bytes", test.name, allocations, bytes)
		assert.LessOrEqual(t, allocations, uint64(maxListAllocations), test.name)
		assert.LessOrEqual(t, bytes, test.maxBytes, test.name)
	}
}

// Ensure an upload allocates nothing that grows with the image, in either form.
func TestAllocationsUpload(t *testing.T) { //nolint:paralleltest // what others allocate would count
	for _, test := range []struct {
		name     string
		request  func(size int) []byte
		maxBytes uint64
	}{
		{"a form", formRequest, maxFormBytes},
		{"the image alone", imageRequest, maxImageBytes},
	} {
		small, smallBytes := perRequest(t, cannedAWS{}, test.request(4<<10))
		allocations, bytes := perRequest(t, cannedAWS{}, test.request(1<<20))
		t.Logf("figure: an upload of 1 MiB as %s: %d allocations, %d bytes; of 4 KiB: %d, %d", test.name, allocations, bytes, small, smallBytes)
		assert.LessOrEqual(t, bytes, test.maxBytes, test.name)
		assert.LessOrEqual(t, allocations, small+small/10, test.name)
	}
}

// Ensure a trace costs no more allocations than it did: of a request's span and of that of its call, with what they carry.
func TestAllocationsTraced(t *testing.T) { //nolint:paralleltest // what others allocate would count
	for _, test := range []struct {
		name    string
		aws     func() cannedAWS
		request []byte
	}{
		{"a creation", func() cannedAWS { return cannedAWS{} }, createRequest()},
		{"a list of 100 users", func() cannedAWS { return cannedAWS{lists: listAnswers[:1], scans: new(atomic.Int64)} }, listRequest},
	} {
		plain, plainBytes := perRequest(t, test.aws(), test.request)
		allocations, bytes := perRequest(t, test.aws(), test.request, tracer(t))
		t.Logf("figure: %s that is traced: %d allocations and %d bytes more", test.name, allocations-plain, bytes-plainBytes)
		assert.Greater(t, allocations, plain, test.name)
		assert.LessOrEqual(t, allocations, plain+maxTraceAllocations, test.name)
		assert.LessOrEqual(t, bytes, plainBytes+maxTraceBytes, test.name)
	}
}

func BenchmarkCreate(b *testing.B) {
	b.Run("untraced", func(b *testing.B) { benchmark(b, cannedAWS{}, createRequest()) })
	b.Run("traced", func(b *testing.B) { benchmark(b, cannedAWS{}, createRequest(), tracer(b)) })
}

func BenchmarkList(b *testing.B) {
	b.Run("unchanged", func(b *testing.B) {
		benchmark(b, cannedAWS{lists: listAnswers[:1], scans: new(atomic.Int64)}, listRequest)
	})
	b.Run("traced", func(b *testing.B) {
		benchmark(b, cannedAWS{lists: listAnswers[:1], scans: new(atomic.Int64)}, listRequest, tracer(b))
	})
	b.Run("changed", func(b *testing.B) {
		benchmark(b, cannedAWS{lists: listAnswers[:], scans: new(atomic.Int64)}, listRequest)
	})
}

func BenchmarkUpload(b *testing.B) {
	b.SetBytes(1 << 20)
	benchmark(b, cannedAWS{}, formRequest(1<<20))
}

func benchmark(b *testing.B, aws cannedAWS, request []byte, tracers ...trace.Tracer) {
	b.Helper()
	send := canned(b, aws, tracers...)
	send(request)
	b.ReportAllocs()
	for b.Loop() {
		send(request)
	}
}

// perRequest returns how often a request makes the process allocate, and how many bytes.
func perRequest(t *testing.T, aws cannedAWS, request []byte, tracers ...trace.Tracer) (allocations, bytes uint64) {
	t.Helper()
	if awstest.RaceDetector {
		t.Skip("the race detector allocates too")
	}
	const warm, n = 20, 200
	send := canned(t, aws, tracers...)
	for range warm {
		send(request)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		send(request)
	}
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / n, (after.TotalAlloc - before.TotalAlloc) / n
}

// tracer records every span, and hands it to an exporter that does nothing: what a request pays, without what the export does meanwhile.
func tracer(tb testing.TB) trace.Tracer {
	tb.Helper()
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	tb.Cleanup(func() { assert.NoError(tb, provider.Shutdown(context.Background())) })
	return provider.Tracer("test")
}

const someUser = "d0f99d36-0dc4-44b6-bc62-b71e581b5da5"

func createRequest() []byte {
	return fmt.Appendf(nil, "POST /user HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(cannedUser), cannedUser)
}

const cannedUser = `{"name":"Ada","email":"ada@example.com"}`

var listRequest = []byte("GET /users HTTP/1.1\r\nHost: localhost\r\n\r\n")

type cannedList struct{ body, checksum string }

// listAnswers are two of a Scan, which differ in one of 100 users.
var listAnswers = func() (answers [2]cannedList) {
	for i := range answers {
		items := make([]string, 100)
		for n := range items {
			items[n] = fmt.Sprintf(`{"email":{"S":"user%d@example.com"},"id":{"S":"00000000-0000-4000-8000-%012d"},"name":{"S":"%s"}}`, n, n, strings.Repeat("n", 120))
		}
		items[50] = strings.ReplaceAll(items[50], "nn", fmt.Sprint("n", i))
		body := `{"Count":100,"Items":[` + strings.Join(items, ",") + `],"ScannedCount":100}`
		answers[i] = cannedList{body, checksumOf(body)}
	}
	return answers
}()

func formRequest(size int) []byte {
	contentType, body := apitest.Form(apitest.Field("name", "Ada"), apitest.Field("email", "ada@example.com"), apitest.File("avatar", "a.png", apitest.PaddedPNG(size)))
	return append(fmt.Appendf(nil, "POST /user HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, len(body)), body...)
}

func imageRequest(size int) []byte {
	return append(fmt.Appendf(nil, "PUT /users/%s/avatar HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n", someUser, size), apitest.PaddedPNG(size)...)
}

// canned serves the API in memory, to the SDK's clients in front of answers that cost next to nothing. It returns what sends a
// request on a connection that is kept and fails unless that succeeds. Requests are traced by the last tracer, if there is one.
func canned(tb testing.TB, answers cannedAWS, tracers ...trace.Tracer) (send func(request []byte)) {
	tb.Helper()
	c := config.Default()
	log := telemetry.NewLogger(io.Discard, c)
	cfg, err := awsclient.Load(tb.Context(), c, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	cfg.Credentials = credentials.NewStaticCredentialsProvider("test", "test", "")
	awsclient.Observe(&cfg)
	cfg.HTTPClient = answers
	c.Endpoint = "http://aws"
	server := api.New(c, &user.Directory{Users: dynamo.New(cfg, c), Avatars: bucket.New(cfg, c), Log: log}, nil, log)
	for _, tracer := range tracers {
		server.Trace(tracer)
	}
	listener := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	connection, err := listener.Dial()
	require.NoError(tb, err)
	tb.Cleanup(func() {
		_ = connection.Close()
		require.NoError(tb, server.Shutdown(context.Background()))
		assert.NoError(tb, <-served)
	})
	return sender(tb, connection)
}

func sender(tb testing.TB, connection net.Conn) func(request []byte) {
	tb.Helper()
	answers := bufio.NewReader(connection)
	return func(request []byte) {
		if _, err := connection.Write(request); err != nil {
			tb.Fatal(err)
		}
		head, err := answers.ReadSlice('\n')
		if err != nil || !bytes.HasPrefix(head, []byte("HTTP/1.1 20")) {
			tb.Fatalf("%q, %v", head, err)
		}
		length := 0
		for {
			line, err := answers.ReadSlice('\n')
			if err != nil {
				tb.Fatal(err)
			}
			if len(line) == 2 {
				break
			}
			if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
			}
		}
		if _, err := answers.Discard(length); err != nil {
			tb.Fatal(err)
		}
	}
}

// cannedAWS is the HTTP client of an AWS that says yes.
type cannedAWS struct {
	lists []cannedList // what Scans are answered, one after the other, over and over
	scans *atomic.Int64
}

// Do implements [aws.HTTPClient].
func (a cannedAWS) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{r.Body}); err != nil {
			return nil, err
		}
	}
	body, checksum := `{}`, ""
	switch target := r.Header.Get("X-Amz-Target"); {
	case target == "":
		body = ""
	case strings.HasSuffix(target, ".GetItem"):
		body = `{"Item":{"id":{"S":"` + someUser + `"},"name":{"S":"Ada"},"email":{"S":"ada@example.com"}}}`
	case strings.HasSuffix(target, ".Scan"):
		answer := a.lists[int(a.scans.Add(1))%len(a.lists)]
		body, checksum = answer.body, answer.checksum
	case strings.HasSuffix(target, ".UpdateItem"):
		body = `{"Attributes":{"id":{"S":"` + someUser + `"},"name":{"S":"Ada"},"email":{"S":"ada@example.com"}}}`
	}
	if checksum == "" {
		checksum = checksumOf(body)
	}
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{"X-Amz-Crc32": {checksum}},
	}, nil
}

func checksumOf(body string) string {
	return strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 10)
}

var _ aws.HTTPClient = cannedAWS{}
