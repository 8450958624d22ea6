package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// built is the program as it is deployed. The race detector, which the test's own may have, takes
// several times the memory.
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

// startBuilt starts the program as it is deployed, with the GOMEMLIMIT that the chart sets.
func startBuilt(t *testing.T, environ ...string) *process {
	t.Helper()
	executable, err := built()
	require.NoError(t, err)
	_, goLimit := chartMemory(t)
	return startAs(t, executable, append(environ, fmt.Sprint("GOMEMLIMIT=", goLimit))...)
}

// chartMemory returns what the chart gives the container, in bytes: its memory limit, and the
// GOMEMLIMIT that the chart derives.
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

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// requirePeak requires that the most memory which the process has had at a time is below the
// chart's limit divided by a number. It logs both.
func (p *process) requirePeak(t *testing.T, divisor int64, load string, args ...any) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Skip("this system does not tell how much memory a process has")
	}
	found := peakLine.FindSubmatch(status)
	require.NotNil(t, found, "%s", status)
	peak, err := strconv.ParseInt(string(found[1]), 10, 64)
	require.NoError(t, err)
	peak <<= 10
	limit, _ := chartMemory(t)
	t.Logf("figure: %s: peak memory %.1f MiB of %d MiB", fmt.Sprintf(load, args...), float64(peak)/(1<<20), limit>>20)
	assert.Less(t, peak, limit/divisor)
}

// Ensure 200 uploads of 5 MiB at once stay within the chart's memory limit, and that each client
// gets a response: the user, or a 503 with Retry-After.
func TestUploadsAtOnce(t *testing.T) {
	t.Parallel()
	const n, size = 200, 5 << 20
	a := awstest.Start(t)
	fit := int(a.Config.RequestMemory/8*3) / size // uploads hold three eighths of REQUEST_MEMORY
	require.Positive(t, fit)
	// The bucket takes what fits, and responds when all others have been refused.
	var refused sync.WaitGroup
	refused.Add(n - fit)
	var stored sync.Map // by key, for the API tries again where this takes long
	a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		stored.Store(r.URL.Path, true)
		_, _ = io.Copy(io.Discard, r.Body)
		refused.Wait()
		w.Header().Set("ETag", `"0"`)
	})
	p := startBuilt(t, a.Environ("REQUEST_TIMEOUT=1m", "READ_TIMEOUT=10m")...)
	image := apitest.PaddedPNG(size)
	var created, busy atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			r := p.upload("Ada", image)
			assert.NoError(t, r.err, "every client gets a response")
			if r.status == http.StatusCreated {
				created.Add(1)
				return
			}
			assert.Equal(t, http.StatusServiceUnavailable, r.status, r.body)
			assert.NotEmpty(t, r.header.Get("Retry-After"))
			busy.Add(1)
			refused.Done()
		})
	}
	all.Wait()
	assert.EqualValues(t, fit, created.Load())
	assert.EqualValues(t, n-fit, busy.Load())
	keys := 0
	stored.Range(func(any, any) bool { keys++; return true })
	assert.Equal(t, fit, keys, "nothing of a refused upload is stored")
	p.requirePeak(t, 1, "%d uploads of 5 MiB at once, %d created, %d refused with 503", n, created.Load(), busy.Load())
}

// A longTable is a DynamoDB that costs nothing. Its pages, of 1 MB each, differ only in their
// number.
type longTable struct {
	pages, perPage int
	items          string
}

func newLongTable(pages, perPage int) *longTable {
	items := make([]string, perPage)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id":{"S":"00000000-0000-4000-8000-%012d"},"name":{"S":"%s"},`+
			`"email":{"S":"user%d@example.com"},"avatar_id":{"S":"10000000-0000-4000-8000-%012d"}}`,
			i, strings.Repeat("n", 120), i, i)
	}
	return &longTable{pages, perPage, strings.Join(items, ",")}
}

func (l *longTable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := `{"Table":{"TableStatus":"ACTIVE"}}`
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".Scan") {
		var in struct {
			ExclusiveStartKey struct{ ID struct{ S string } }
		}
		_ = json.NewDecoder(r.Body).Decode(&in) // the API's own
		page, _ := strconv.Atoi(in.ExclusiveStartKey.ID.S)
		next := ""
		if page++; page < l.pages {
			next = fmt.Sprintf(`,"LastEvaluatedKey":{"id":{"S":"%d"}}`, page)
		}
		body = fmt.Sprintf(`{"Count":%d,"ScannedCount":%[1]d,"Items":[%s]%s}`, l.perPage, l.items, next)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 10))
	_, _ = io.WriteString(w, body)
}

// Ensure a list of 200,000 users, sent to 20 clients at once of whom some read slowly, is whole for
// each of them and stays within the chart's memory limit.
func TestLongLists(t *testing.T) {
	t.Parallel()
	const clients, slow, pages, perPage = 20, 8, 67, 3000
	table := httptest.NewServer(newLongTable(pages, perPage))
	t.Cleanup(table.Close)
	p := startBuilt(t, "AWS_ENDPOINT_URL="+table.URL, "REQUEST_TIMEOUT=5m", "WRITE_TIMEOUT=1h")
	var all, fast sync.WaitGroup
	fast.Add(clients - slow)
	for i := range clients {
		c := p.dial(t, "GET /users HTTP/1.1\r\nHost: a\r\n\r\n")
		all.Go(func() {
			if i >= slow {
				defer fast.Done()
			}
			response, err := http.ReadResponse(bufio.NewReaderSize(c, 4<<10), nil)
			if !assert.NoError(t, err) || !assert.Equal(t, http.StatusOK, response.StatusCode) {
				return
			}
			body, users := bufio.NewReaderSize(response.Body, 4<<10), 0
			_, err = body.Peek(1)
			if i < slow {
				fast.Wait() // the API serves the others meanwhile
			}
			for err == nil {
				if _, err = body.ReadSlice('}'); err == nil {
					users++
				}
			}
			assert.Equal(t, io.EOF, err, "the list is whole")
			assert.Equal(t, pages*perPage, users)
		})
	}
	all.Wait()
	p.requirePeak(t, 1, "%d lists of %d users at once, %d of them read slowly", clients, pages*perPage, slow)
}

// needConnections skips the test if the system does not allow so many.
func needConnections(t *testing.T, n uint64) {
	t.Helper()
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	if files.Cur < n+100 {
		t.Skipf("this system lets a process open %d files, and not %d connections", files.Cur, n)
	}
}

// Ensure MAX_CONNECTIONS idle connections, and more that are refused, stay within the chart's
// memory limit.
func TestConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	const n = 2300
	needConnections(t, n)
	a := awstest.Start(t)
	p := startBuilt(t, a.Environ("IDLE_TIMEOUT=1h")...)
	statuses := map[int]int{}
	for range n {
		// A connection keeps the buffer that this header fills.
		c := p.dial(t, "GET /users HTTP/1.1\r\nHost: a\r\nX-Y: "+strings.Repeat("x", 7<<10)+"\r\n\r\n")
		statuses[statusOf(t, c)]++
	}
	served, refused := statuses[http.StatusOK], statuses[http.StatusServiceUnavailable]
	assert.Equal(t, n, served+refused, statuses)
	assert.LessOrEqual(t, served, a.Config.MaxConnections)
	assert.Greater(t, served, a.Config.MaxConnections-16, "the test's own connections are among them")
	p.requirePeak(t, 1, "%d connections kept, %d refused with 503", served, refused)
}

// Ensure 2,000 requests at once to a DynamoDB that takes calls and does not respond stay within the
// chart's memory limit, and that each is a 503.
func TestStalledRequestsAtOnce(t *testing.T) {
	t.Parallel()
	const n = 2000
	needConnections(t, 4*n) // of clients, to DynamoDB, and of attempts that have just ended
	a := awstest.Start(t)
	p := startBuilt(t, a.Environ()...)
	hang(a, false, "DynamoDB.PutItem", "DynamoDB.GetItem")
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			r := send(http.MethodPost, p.url+config.PathUsers, ada, asJSON)
			assert.NoError(t, r.err)
			assert.Equal(t, http.StatusServiceUnavailable, r.status)
		})
	}
	all.Wait()
	p.requirePeak(t, 1, "%d requests at once to a DynamoDB that does not respond, each a 503", n)
}
