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
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
)

// deployed compiles the program as it is deployed. This test binary takes 20 MiB more, and many
// times that with the race detector.
var deployed = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "prima-api")
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// startDeployed starts the program with the GOMEMLIMIT that the chart sets.
func startDeployed(t *testing.T, environ ...string) *process {
	t.Helper()
	path, err := deployed()
	require.NoError(t, err)
	_, goLimit := chartMemory(t)
	return startAs(t, exec.Command(path), append(environ, fmt.Sprint("GOMEMLIMIT=", goLimit))...)
}

// chartMemory returns what the chart gives the container, in bytes: its memory limit, and the
// GOMEMLIMIT that the chart derives.
func chartMemory(t *testing.T) (limit, goLimit int64) {
	t.Helper()
	text, err := os.ReadFile("../../../infra/charts/prima-api/values.yaml")
	require.NoError(t, err)
	var values struct {
		GoMemoryPercent int64 `yaml:"goMemoryPercent"`
		Resources       struct {
			Requests, Limits struct{ Memory string }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &values))
	var requested int64
	_, err = fmt.Sscanf(values.Resources.Limits.Memory+values.Resources.Requests.Memory, "%dMi%dMi", &limit, &requested)
	require.NoError(t, err)
	return limit << 20, (requested << 20) * values.GoMemoryPercent / 100
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
	limit, _ := chartMemory(t)
	t.Logf("%s: peak memory %d MiB of %d MiB", fmt.Sprintf(load, args...), peak>>10, limit>>20)
	assert.Less(t, peak<<10, limit/divisor)
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
	var stored sync.Map // by key, because the API tries again if this takes long
	a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		stored.Store(r.URL.Path, true)
		_, _ = io.Copy(io.Discard, r.Body)
		refused.Wait()
		w.Header().Set("ETag", `"0"`)
	})
	p := startDeployed(t, a.Environ("REQUEST_TIMEOUT=1m", "READ_TIMEOUT=10m")...)
	image := apitest.PaddedPNG(size)
	var created atomic.Int64
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
			refused.Done()
		})
	}
	all.Wait()
	assert.EqualValues(t, fit, created.Load())
	keys := 0
	stored.Range(func(any, any) bool { keys++; return true })
	assert.Equal(t, fit, keys, "nothing of a refused upload is stored")
	p.requirePeak(t, 1, "%d uploads of 5 MiB at once, %d created", n, fit)
}

// longTable returns a DynamoDB that costs nothing. Its pages, of 1 MB each, differ only in their
// number.
func longTable(pages, perPage int) http.HandlerFunc {
	var items strings.Builder
	for i := range perPage {
		_, _ = fmt.Fprintf(&items, `,{"id":{"S":"00000000-0000-4000-8000-%012d"},"name":{"S":"%s"},`+
			`"email":{"S":"user%d@example.com"},"avatar_id":{"S":"10000000-0000-4000-8000-%012d"}}`,
			i, strings.Repeat("n", 120), i, i)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body := `{"Table":{"TableStatus":"ACTIVE"}}`
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".Scan") {
			var in struct {
				ExclusiveStartKey struct{ ID struct{ S string } }
			}
			_ = json.NewDecoder(r.Body).Decode(&in) // the API's own
			page, _ := strconv.Atoi(in.ExclusiveStartKey.ID.S)
			next := ""
			if page++; page < pages {
				next = fmt.Sprintf(`,"LastEvaluatedKey":{"id":{"S":"%d"}}`, page)
			}
			body = fmt.Sprintf(`{"Count":%d,"ScannedCount":%[1]d,"Items":[%s]%s}`, perPage, items.String()[1:], next)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 10))
		_, _ = w.Write([]byte(body))
	}
}

// Ensure a list of 200,000 users, sent to 20 clients at once of whom some read slowly, is whole for
// each of them and stays within the chart's memory limit.
func TestLongLists(t *testing.T) {
	t.Parallel()
	const clients, slow, pages, perPage = 20, 8, 67, 3000
	table := httptest.NewServer(longTable(pages, perPage))
	t.Cleanup(table.Close)
	p := startDeployed(t, "AWS_ENDPOINT_URL="+table.URL, "REQUEST_TIMEOUT=5m", "WRITE_TIMEOUT=1h")
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
			if i < slow {
				fast.Wait() // the API serves the others meanwhile
			}
			users, body := 0, bufio.NewReaderSize(response.Body, 4<<10)
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
