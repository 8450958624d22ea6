package main

import (
	"bufio"
	"fmt"
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
	"prima.internal/app/config"
)

const (
	asForm       = "Content-Type: multipart/form-data; boundary=x"
	asURLEncoded = "Content-Type: application/x-www-form-urlencoded"
)

// A hostileBody is a request body that costs its sender little and a careless parser much. The API
// refuses it with 400.
type hostileBody struct {
	name, contentType, body string
}

func hostileBodies() []hostileBody {
	const form, disposition = 4 << 20, "Content-Disposition: form-data; name=avatar"
	const other = 15 << 20
	const avatar = "--x\r\n" + disposition + "; filename=\"\"\r\nX: %d\r\n\r\n\r\n"
	part := func(header string) string { return "--x\r\n" + header + "\r\n\r\n\r\n--x--\r\n" }
	// repeat returns at least size bytes, in which format is given numbers from 0 on.
	repeat := func(size int, format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			_, _ = fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	return []hostileBody{
		{"parameters of a part", asForm, part(disposition + repeat(form, "; a%d*0=b"))},
		{"headers of a part", asForm, part(disposition + repeat(form, "\r\na%d: b"))},
		{"one long header of a part", asForm, part("X: " + strings.Repeat("x", form))},
		{"text before the first part", asForm, strings.Repeat("x\r\n", 1<<20) + part(disposition)},
		{"empty avatars", asForm, repeat(3<<10, avatar) + "--x--\r\n"},
		{"members of an object", asJSON, "{" + repeat(other, `"%d":0,`) + `"name":""}`},
		{"depth of an object", asJSON, strings.Repeat(`{"a":[`, 2<<20)},
		{"fields of a form", asURLEncoded, repeat(other, "%d&")},
	}
}

// honestBody returns a body of about this size that a client could mean, and its Content-Type.
func honestBody(contentType string, size int) (honestType, body string) {
	filler := strings.Repeat("x", size)
	switch contentType {
	case asJSON:
		return contentType, fmt.Sprintf(`{"name":"Ada","email":"ada@example.com","x":%q}`, filler)
	case asURLEncoded:
		return contentType, "name=Ada&email=ada%40example.com&x=" + filler
	}
	honestType, form := apitest.Form(apitest.Field("name", "Ada"), apitest.Field("email", "ada@example.com"),
		apitest.File("x", "x", []byte(filler)))
	return "Content-Type: " + honestType, string(form)
}

// Ensure eight hostile bodies at once neither take the process beyond the chart's memory limit, nor
// cost many times the processor time of honest bodies of the same size.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	const clients, mostTimes = 8, 20
	a := awstest.Start(t)
	for _, test := range hostileBodies() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			environ := a.Environ()
			if test.contentType != asForm {
				environ = append(environ, "MAX_JSON_BYTES=16MiB") // as far as an operator may raise it
			}
			p := startBuilt(t, environ...)
			sendAll := func(contentType, body string, want int) (cpu time.Duration) {
				before := p.processorTime(t)
				var all sync.WaitGroup
				for range clients {
					all.Go(func() {
						r := send(http.MethodPost, p.url+config.PathUsers, body, contentType)
						assert.NoError(t, r.err)
						assert.Contains(t, []int{want, http.StatusServiceUnavailable}, r.status) // 503: no memory is free
					})
				}
				all.Wait()
				return p.processorTime(t) - before
			}
			honestType, honest := honestBody(test.contentType, len(test.body))
			usual := sendAll(honestType, honest, http.StatusCreated)
			cpu := sendAll(test.contentType, test.body, http.StatusBadRequest)
			p.requirePeak(t, 1, "%d bodies of %d bytes, %s of CPU, honest ones %s", clients, len(test.body), cpu, usual)
			assert.Less(t, cpu, mostTimes*(usual+processorTick))
		})
	}
}

// processorTick is the unit in which Linux counts processor time.
const processorTick = 10 * time.Millisecond

// processorTime returns the user and system time that a process has taken.
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

// Ensure clients that request the largest asset, uncompressed, and do not read it share one copy.
func TestSlowReadersOfAssets(t *testing.T) {
	t.Parallel()
	const readers = 500
	p := startBuilt(t, awstest.Start(t).Environ()...)
	for i := range readers {
		method := http.MethodGet
		if i%5 == 0 {
			method = http.MethodHead
		}
		c := p.dial(t, "")
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4<<10))
		// More responses than the kernel takes from the API.
		request := method + " /assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: identity\r\n\r\n"
		_, err := fmt.Fprint(c, strings.Repeat(request, 8))
		require.NoError(t, err)
		line, err := bufio.NewReaderSize(c, 16).ReadString('\n')
		require.NoError(t, err)
		assert.Contains(t, line, "200")
	}
	p.requirePeak(t, 2, "%d slow readers of the viewer's script", readers)
}

// Ensure clients that have sent a part of an upload and then pause do not keep others out.
func TestStalledUploads(t *testing.T) {
	t.Parallel()
	p := startBuilt(t, awstest.Start(t).Environ("READ_TIMEOUT=10m")...)
	for _, framing := range []string{"Transfer-Encoding: chunked\r\n\r\n10000\r\n", "Content-Length: 5242880\r\n\r\n"} {
		for range 40 {
			p.dial(t, "POST /users HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"+framing+
				"--x\r\nContent-Disposition: form-data; name=avatar; filename=a\r\n\r\n"+strings.Repeat("x", 16<<10))
		}
	}
	image := apitest.PaddedPNG(5 << 20)
	eventually(t, "an upload is taken while others stall", func() bool {
		return p.upload("Ada", image).status == http.StatusCreated
	})
}
