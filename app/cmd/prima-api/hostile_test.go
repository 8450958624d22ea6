package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
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
		{name: "text before the first part", contentType: form, want: http.StatusBadRequest,
			body: append(bytes.Repeat([]byte("x\r\n"), 1<<20), part("Content-Disposition: form-data; name=name")...)},
		{name: "empty avatars", contentType: form, want: http.StatusBadRequest, body: append(bytes.Repeat(avatars, 7), "--x--\r\n"...)},
		{name: "members of an object", contentType: "application/json", want: http.StatusBadRequest, environ: []string{"MAX_JSON_BYTES=16MiB"},
			body: []byte("{" + repeat(15<<20, func(i int) string { return fmt.Sprintf(`"%d":0,`, i) }) + `"name":""}`)},
		{name: "depth of an object", contentType: "application/json", want: http.StatusBadRequest, environ: []string{"MAX_JSON_BYTES=16MiB"},
			body: []byte(strings.Repeat(`{"a":[`, 2<<20))},
		{name: "fields of a form", contentType: "application/x-www-form-urlencoded", want: http.StatusBadRequest, environ: []string{"MAX_JSON_BYTES=16MiB"},
			body: []byte(repeat(15<<20, func(i int) string { return fmt.Sprintf("%d&", i) }))},
	}
}

// Ensure no request body makes the process take more memory, or much more processor time, than
// an honest upload of the same size: eight at once stay within the chart's memory limit.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	const clients = 8
	limit, goLimit := chartMemory(t)
	a := awstest.Start(t)
	for _, test := range hostileBodies() {
		t.Run(test.name, func(t *testing.T) {
			p := startBuilt(t, append(test.environ, "AWS_ENDPOINT_URL="+a.Config.Endpoint, fmt.Sprint("GOMEMLIMIT=", goLimit))...)
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					transport := new(http.Transport)
					defer transport.CloseIdleConnections()
					request, err := http.NewRequest(http.MethodPost, p.url+"/users", bytes.NewReader(test.body))
					if !assert.NoError(t, err) {
						return
					}
					request.Header.Set("Content-Type", test.contentType)
					response, err := transport.RoundTrip(request)
					if !assert.NoError(t, err) {
						return
					}
					defer response.Body.Close()
					answer, _ := io.ReadAll(response.Body)
					if response.StatusCode != http.StatusServiceUnavailable { // no memory for it now
						assert.Equal(t, test.want, response.StatusCode, "%.200s", answer)
					}
				})
			}
			all.Wait()
			peak := p.peak(t)
			t.Logf("figure: %d bodies of %d bytes: peak memory %.1f MiB of %d MiB", clients, len(test.body), float64(peak)/(1<<20), limit>>20)
			assert.Less(t, peak, limit)
		})
	}
}

// Ensure clients that ask for the largest asset, uncompressed, and do not read it share one copy.
func TestSlowReadersOfAssets(t *testing.T) {
	t.Parallel()
	const readers = 500
	limit, goLimit := chartMemory(t)
	a := awstest.Start(t)
	p := startBuilt(t, "AWS_ENDPOINT_URL="+a.Config.Endpoint, fmt.Sprint("GOMEMLIMIT=", goLimit))
	for i := range readers {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4<<10))
		method := http.MethodGet
		if i%5 == 0 {
			method = http.MethodHead
		}
		_, err = fmt.Fprintf(c, "%s /assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: identity\r\n\r\n", method)
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
	p := startBuilt(t, "AWS_ENDPOINT_URL="+a.Config.Endpoint, "READ_TIMEOUT=10m")
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
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/users", bytes.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", contentType)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode == http.StatusCreated
	}, time.Minute, time.Second, "an upload is taken while others stall")
}
