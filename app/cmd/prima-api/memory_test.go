package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
)

// chartMemory returns what the chart gives the container, in bytes: its limit, and what it derives
// GOMEMLIMIT from.
func chartMemory(t *testing.T) (limit, goLimit int64) {
	t.Helper()
	values, err := os.ReadFile("../../../infra/charts/prima-api/values.yaml")
	require.NoError(t, err)
	number := func(pattern string) int64 {
		found := regexp.MustCompile(`(?m)` + pattern).FindSubmatch(values)
		require.Len(t, found, 2, pattern)
		n, err := strconv.ParseInt(string(found[1]), 10, 64)
		require.NoError(t, err)
		return n
	}
	memory := `:\n(?:    .*\n)*?    memory: "?([0-9]+)Mi"?$`
	requested := number(`^  requests` + memory)
	return number(`^  limits`+memory) << 20, (requested << 20) * number(`^goMemoryPercent: ([0-9]+)$`) / 100
}

// built is the program as it is deployed: the test's own may have been built with the race detector, which
// takes several times the memory.
var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "prima-api")
	if err != nil {
		return "", err
	}
	return compile(folder, "CGO_ENABLED=0", "-tags", "grpcnotrace")
})

// compile compiles the program into a folder and returns its path.
func compile(folder, environ string, flags ...string) (string, error) {
	executable := filepath.Join(folder, "prima-api")
	build := exec.Command("go", append([]string{"build", "-o", executable}, flags...)...)
	build.Env = append(os.Environ(), environ, "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return executable, nil
}

// startBuilt is start for the program as it is deployed.
func startBuilt(t *testing.T, environ ...string) *process {
	t.Helper()
	executable, err := built()
	require.NoError(t, err)
	return startAs(t, executable, environ...)
}

// peak returns the most memory that a process has had at a time, in bytes, as Linux counts it.
func (p *process) peak(t *testing.T) int64 {
	t.Helper()
	return p.status(t, "VmHWM")
}

func (p *process) status(t *testing.T, field string) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Skip("this system does not tell how much memory a process has")
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			require.NoError(t, err)
			return n << 10
		}
	}
	require.Fail(t, "no such field", field)
	return 0
}

// Ensure 200 uploads of 5 MiB at once stay within the chart's memory limit, and that each client gets
// an answer: the user, or a 503 that says when to come again.
func TestUploadsAtOnce(t *testing.T) {
	t.Parallel()
	const n, size = 200, 5 << 20
	limit, goLimit := chartMemory(t)
	a := awstest.Start(t)
	// The bucket takes what fits and answers when all others have been refused.
	var refused sync.WaitGroup
	stored := make(chan struct{})
	var storing, most atomic.Int64
	a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		now := storing.Add(1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		_, _ = io.Copy(io.Discard, r.Body)
		<-stored
		storing.Add(-1)
		w.Header().Set("ETag", `"0"`)
	})
	p := startBuilt(t, a.Environ(fmt.Sprint("GOMEMLIMIT=", goLimit), "REQUEST_TIMEOUT=30s", "READ_TIMEOUT=10m")...)
	contentType, body := apitest.Form(apitest.Field("name", "Ada"), apitest.Field("email", "ada@example.com"), apitest.File("avatar", "a.png", apitest.PaddedPNG(size)))

	// The uploads that three eighths of REQUEST_MEMORY hold.
	fit := 0
	for share := a.Config.RequestMemory / 8 * 3; share >= int64(len(body)); share -= int64(len(body)) {
		fit++
	}
	require.Positive(t, fit)
	refused.Add(n - fit)
	go func() {
		refused.Wait()
		close(stored)
	}()
	var created, busy atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			transport := new(http.Transport)
			defer transport.CloseIdleConnections()
			request, err := http.NewRequest(http.MethodPost, p.url+"/users", bytes.NewReader(body))
			if !assert.NoError(t, err) {
				return
			}
			request.Header.Set("Content-Type", contentType)
			response, err := transport.RoundTrip(request)
			if !assert.NoError(t, err, "every client gets an answer") {
				return
			}
			defer response.Body.Close()
			_, err = io.Copy(io.Discard, response.Body)
			assert.NoError(t, err)
			switch response.StatusCode {
			case http.StatusCreated:
				created.Add(1)
			case http.StatusServiceUnavailable:
				assert.NotEmpty(t, response.Header.Get("Retry-After"))
				busy.Add(1)
				refused.Done()
			default:
				assert.Fail(t, "another answer", response.Status)
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, fit, created.Load())
	assert.EqualValues(t, n-fit, busy.Load())
	assert.EqualValues(t, fit, most.Load())
	peak := p.peak(t)
	t.Logf("figure: %d uploads of 5 MiB at once: %d created, %d refused with 503, every client answered; peak memory %.1f MiB of %d MiB", n, created.Load(), busy.Load(), float64(peak)/(1<<20), limit>>20)
	assert.Less(t, peak, limit)
}

// Ensure a list of 200,000 users, to 20 clients at once of whom some read slowly, is sent to each of
// them whole and stays within the chart's memory limit.
func TestLongLists(t *testing.T) {
	t.Parallel()
	const clients, slow, pages, perPage = 20, 8, 67, 3000
	limit, goLimit := chartMemory(t)
	// A DynamoDB that costs nothing: its pages, of about 1 MB, are the same but for their number.
	var items bytes.Buffer
	for i := range perPage {
		if i > 0 {
			items.WriteByte(',')
		}
		fmt.Fprintf(&items, `{"id":{"S":"00000000-0000-4000-8000-%012d"},"name":{"S":"%s"},"email":{"S":"user%d@example.com"},"avatar_id":{"S":"10000000-0000-4000-8000-%012d"}}`,
			i, strings.Repeat("n", 120), i, i)
	}
	fake := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer []byte
		switch target := r.Header.Get("X-Amz-Target"); {
		case strings.HasSuffix(target, ".Scan"):
			var in struct {
				ExclusiveStartKey struct{ ID struct{ S string } }
			}
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&in))
			page := 1
			if key := in.ExclusiveStartKey.ID.S; key != "" {
				n, err := strconv.Atoi(key)
				assert.NoError(t, err)
				page = n + 1
			}
			next := fmt.Sprintf(`,"LastEvaluatedKey":{"id":{"S":"%d"}}`, page)
			if page == pages {
				next = ""
			}
			answer = fmt.Appendf(nil, `{"Count":%d,"ScannedCount":%d,"Items":[%s]%s}`, perPage, perPage, &items, next)
		case strings.HasSuffix(target, ".DescribeTable"):
			answer = []byte(`{"Table":{"TableStatus":"ACTIVE"}}`)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(answer)), 10))
		_, _ = w.Write(answer)
	})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: fake, ReadHeaderTimeout: time.Minute}
	defer server.Close()
	go func() { _ = server.Serve(listener) }()

	p := startBuilt(t, "AWS_ENDPOINT_URL=http://"+listener.Addr().String(), fmt.Sprint("GOMEMLIMIT=", goLimit), "REQUEST_TIMEOUT=5m", "WRITE_TIMEOUT=1h")
	var all, fast sync.WaitGroup
	fast.Add(clients - slow)
	for i := range clients {
		all.Go(func() {
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
			if !assert.NoError(t, err) {
				return
			}
			defer c.Close()
			_, err = io.WriteString(c, "GET /users HTTP/1.1\r\nHost: a\r\n\r\n")
			assert.NoError(t, err)
			response, err := http.ReadResponse(bufio.NewReaderSize(c, 4<<10), nil)
			if !assert.NoError(t, err) || !assert.Equal(t, http.StatusOK, response.StatusCode) {
				return
			}
			defer response.Body.Close()
			body := bufio.NewReaderSize(response.Body, 4<<10)
			if i < slow {
				_, err := body.Peek(1)
				assert.NoError(t, err)
				fast.Wait() // which the API must do meanwhile
			} else {
				defer fast.Done()
			}
			users := 0
			for err == nil {
				_, err = body.ReadSlice('}')
				if err == nil {
					users++
				}
			}
			assert.Equal(t, io.EOF, err, "the list is whole")
			assert.Equal(t, pages*perPage, users)
		})
	}
	all.Wait()
	peak := p.peak(t)
	t.Logf("figure: %d lists of %d users at once, %d of them read slowly; peak memory %.1f MiB of %d MiB", clients, pages*perPage, slow, float64(peak)/(1<<20), limit>>20)
	assert.Less(t, peak, limit)
}

// needConnections skips the test where the system does not allow so many.
func needConnections(t *testing.T, n uint64) {
	t.Helper()
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	if files.Cur < n+100 {
		t.Skipf("this system lets a process open %d files, and not %d connections", files.Cur, n)
	}
}

// Ensure as many idle connections as there may be, and more that want to come, leave the limit alone.
func TestConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	const n = 2300
	needConnections(t, n)
	limit, goLimit := chartMemory(t)
	a := awstest.Start(t)
	p := startBuilt(t, a.Environ(fmt.Sprint("GOMEMLIMIT=", goLimit), "IDLE_TIMEOUT=1h")...)
	served, refused := 0, 0
	for range n {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		require.NoError(t, err)
		defer c.Close()
		// A header that fills the buffer, and a body that has begun, are what a connection can hold at most.
		_, err = fmt.Fprintf(c, "GET /users HTTP/1.1\r\nHost: a\r\nX-Y: %s\r\n\r\n", strings.Repeat("x", 7<<10))
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		switch response.StatusCode {
		case http.StatusOK:
			served++
		case http.StatusServiceUnavailable:
			refused++
		default:
			require.Fail(t, "another answer", response.Status)
		}
	}
	assert.LessOrEqual(t, served, a.Config.MaxConnections)
	assert.Greater(t, served, a.Config.MaxConnections-16, "the test's own connections are among them")
	peak := p.peak(t)
	t.Logf("figure: %d connections kept, %d refused with 503; peak memory %.1f MiB of %d MiB", served, refused, float64(peak)/(1<<20), limit>>20)
	assert.Less(t, peak, limit)
}

// Ensure as many requests as there may be connections, all waiting for a DynamoDB that takes calls and does not answer, leave
// the limit alone, and each end with a 503.
func TestStalledRequestsAtOnce(t *testing.T) {
	t.Parallel()
	const n = 2000
	needConnections(t, 4*n) // of clients, of the API to its DynamoDB, and those of attempts that have just ended
	limit, goLimit := chartMemory(t)
	a := awstest.Start(t)
	p := startBuilt(t, a.Environ(fmt.Sprint("GOMEMLIMIT=", goLimit))...)
	a.Intercede("DynamoDB.PutItem", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	a.Intercede("DynamoDB.GetItem", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	transport := &http.Transport{MaxIdleConnsPerHost: n}
	defer transport.CloseIdleConnections()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			request, err := http.NewRequest(http.MethodPost, p.url+"/users", strings.NewReader(`{"name":"Ada","email":"ada@example.com"}`))
			if !assert.NoError(t, err) {
				return
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := transport.RoundTrip(request)
			if !assert.NoError(t, err) {
				return
			}
			defer response.Body.Close()
			_, _ = io.Copy(io.Discard, response.Body)
			assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		})
	}
	all.Wait()
	peak := p.peak(t)
	t.Logf("figure: %d requests at once to a DynamoDB that does not answer, each a 503; peak memory %.1f MiB of %d MiB", n, float64(peak)/(1<<20), limit>>20)
	assert.Less(t, peak, limit)
}
