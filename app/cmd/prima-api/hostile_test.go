package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
)

// A hostileBody is a request body that costs its sender little and a careless parser much.
type hostileBody struct {
	name        string
	contentType string
	body        []byte
	want        int // status
	// environ raises the limits as far as an operator may.
	environ []string
}

func hostileBodies() []hostileBody {
	const form = "multipart/form-data; boundary=x"
	part := func(header string) []byte { return []byte("--x\r\n" + header + "\r\n\r\n\r\n--x--\r\n") }
	repeat := func(size int, piece func(i int) string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			b.WriteString(piece(i))
		}
		return b.String()
	}
	image := func(i int) string {
		return fmt.Sprintf("--x\r\nContent-Disposition: form-data; name=avatar; filename=\"\"\r\nX: %d\r\n\r\n\r\n", i)
	}
	avatars := []byte(strings.Join([]string{image(0), image(1), image(2), image(3)}, ""))
	return []hostileBody{
		{name: "parameters of a part", contentType: form, want: http.StatusBadRequest, body: part("Content-Disposition: form-data; name=avatar" +
			repeat(4<<20, func(i int) string { return fmt.Sprintf("; a%d*0=b", i) }))},
		{name: "headers of a part", contentType: form, want: http.StatusBadRequest, body: part("Content-Disposition: form-data; name=avatar\r\n" +
			strings.TrimSuffix(repeat(4<<20, func(i int) string { return fmt.Sprintf("a%d: b\r\n", i) }), "\r\n"))},
		{name: "one long header of a part", contentType: form, want: http.StatusBadRequest, body: part("X: " + strings.Repeat("x", 4<<20))},
		{name: "text before the first part", contentType: form, want: http.StatusBadRequest, body: append(bytes.Repeat([]byte("x\r\n"), 1<<20), part("Content-Disposition: form-data; name=name")...)},
		{name: "empty avatars", contentType: form, want: http.StatusBadRequest, body: append(bytes.Repeat(avatars, 7), "--x--\r\n"...)},
		{
			name: "members of an object", contentType: "application/json", want: http.StatusBadRequest, environ: []string{"MAX_JSON_BYTES=16MiB"},
			body: []byte("{" + repeat(15<<20, func(i int) string { return fmt.Sprintf(`"%d":0,`, i) }) + `"name":""}`),
		},
		{
			name: "depth of an object", contentType: "application/json", want: http.StatusBadRequest, environ: []string{"MAX_JSON_BYTES=16MiB"},
			body: []byte(strings.Repeat(`{"a":[`, 2<<20)),
		},
		{
			name: "fields of a form", contentType: "application/x-www-form-urlencoded", want: http.StatusBadRequest, environ: []string{"MAX_JSON_BYTES=16MiB"},
			body: []byte(repeat(15<<20, func(i int) string { return fmt.Sprintf("%d&", i) })),
		},
	}
}

// honestBody returns a body of about the same size that a client could mean, and its Content-Type.
func honestBody(contentType string, size int) (honestType string, body []byte) {
	filler := strings.Repeat("x", size)
	switch contentType {
	case "application/json":
		return contentType, fmt.Appendf(nil, `{"name":"Ada","email":"ada@example.com","x":%q}`, filler)
	case "application/x-www-form-urlencoded":
		return contentType, []byte("name=Ada&email=ada%40example.com&x=" + filler)
	}
	return apitest.Form(apitest.Field("name", "Ada"), apitest.Field("email", "ada@example.com"), apitest.File("x", "x", []byte(filler)))
}

// Ensure no request body makes the process take more memory than the chart allows, or many times the
// processor time of an honest body of the same size, for eight of them at once.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	const clients, mostTimes = 8, 20
	limit, goLimit := chartMemory(t)
	a := awstest.Start(t)
	for _, test := range hostileBodies() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startBuilt(t, a.Environ(append(test.environ, fmt.Sprint("GOMEMLIMIT=", goLimit))...)...)
			send := func(contentType string, body []byte, want int) (cpu time.Duration) {
				before := p.processorTime(t)
				var all sync.WaitGroup
				for range clients {
					all.Go(func() {
						// One that finds no memory is a 503.
						assert.Contains(t, []int{want, http.StatusServiceUnavailable}, post(t, p.url+"/users", contentType, body))
					})
				}
				all.Wait()
				return p.processorTime(t) - before
			}
			honestType, honest := honestBody(test.contentType, len(test.body))
			usual := send(honestType, honest, http.StatusCreated)
			cpu := send(test.contentType, test.body, test.want)
			peak := p.peak(t)
			t.Logf("figure: %d bodies of %d bytes: peak memory %.1f MiB of %d MiB, %s of CPU, honest ones %s", clients, len(test.body), float64(peak)/(1<<20), limit>>20, cpu, usual)
			assert.Less(t, peak, limit)
			assert.Less(t, cpu, mostTimes*(usual+processorTick))
		})
	}
}

// post sends a body on a connection of its own and returns the status of the response.
func post(t *testing.T, url, contentType string, body []byte) int {
	t.Helper()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if !assert.NoError(t, err) {
		return 0
	}
	request.Header.Set("Content-Type", contentType)
	response, err := transport.RoundTrip(request)
	if !assert.NoError(t, err) {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// processorTick is what Linux counts processor time in.
const processorTick = 10 * time.Millisecond

// processorTime returns what a process has taken, user and system.
func (p *process) processorTime(t *testing.T) time.Duration {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		t.Skip("this system does not tell how much processor time a process has taken")
	}
	_, rest, _ := strings.Cut(string(data), ") ") // the name of the program may have spaces
	values := strings.Fields(rest)
	user, err := strconv.Atoi(values[11])
	require.NoError(t, err)
	system, err := strconv.Atoi(values[12])
	require.NoError(t, err)
	return time.Duration(user+system) * processorTick
}

// Ensure clients that ask for the largest asset, uncompressed, and do not read it share one copy.
func TestSlowReadersOfAssets(t *testing.T) {
	t.Parallel()
	const readers = 500
	limit, goLimit := chartMemory(t)
	a := awstest.Start(t)
	p := startBuilt(t, a.Environ(fmt.Sprint("GOMEMLIMIT=", goLimit))...)
	for i := range readers {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4<<10))
		method := http.MethodGet
		if i%5 == 0 {
			method = http.MethodHead
		}
		// More of them than the kernel takes from the API.
		request := method + " /assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: identity\r\n\r\n"
		_, err = io.WriteString(c, strings.Repeat(request, 8))
		require.NoError(t, err)
		line, err := bufio.NewReaderSize(c, 16).ReadString('\n')
		require.NoError(t, err)
		assert.Contains(t, line, "200")
	}
	peak := p.peak(t)
	t.Logf("figure: %d slow readers of the viewer's script: peak memory %.1f MiB of %d MiB", readers, float64(peak)/(1<<20), limit>>20)
	assert.Less(t, peak, limit/2)
}

// Ensure clients that have sent a part of an upload and then say nothing do not keep others out.
func TestStalledUploads(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := startBuilt(t, a.Environ("READ_TIMEOUT=10m")...)
	for _, framing := range []string{"Transfer-Encoding: chunked\r\n\r\n10000\r\n", fmt.Sprintf("Content-Length: %d\r\n\r\n", 5<<20)} {
		for range 40 {
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
			require.NoError(t, err)
			defer c.Close()
			_, err = fmt.Fprintf(c, "POST /users HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n%s--x\r\n"+
				"Content-Disposition: form-data; name=avatar; filename=a\r\n\r\n%s", framing, strings.Repeat("x", 16<<10))
			require.NoError(t, err)
		}
	}
	contentType, body := apitest.Form(apitest.Field("name", "Ada"), apitest.Field("email", "ada@example.com"),
		apitest.File("avatar", "a.png", apitest.PaddedPNG(5<<20)))
	require.Eventually(t, func() bool {
		return post(t, p.url+"/users", contentType, body) == http.StatusCreated
	}, time.Minute, time.Second, "an upload is taken while others stall")
}
