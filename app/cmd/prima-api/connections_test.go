package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// statusOf reads a response, with its body, and returns its status.
func statusOf(t *testing.T, c net.Conn) int {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	return response.StatusCode
}

// Ensure MAX_CONNECTIONS concurrent requests that wait for DynamoDB, and refused clients that stay,
// need no more memory than the chart's limit, and do not block probes on the operators' port. Every
// request succeeds once DynamoDB responds.
func TestConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	const refused = 1030
	a := awstest.Start(t)
	limit := a.Config.MaxConnections
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	if need := uint64(2*limit + refused + 500); files.Cur < need {
		t.Skipf("this system lets a process open %d files of %d", files.Cur, need)
	}
	p := startDeployed(t, a.Environ("REQUEST_TIMEOUT=10m", "READ_TIMEOUT=10m", "IDLE_TIMEOUT=1h")...)
	responds := make(chan struct{})
	respond := sync.OnceFunc(func() { close(responds) })
	defer respond() // also if the test ends early
	a.Intercede("DynamoDB.PutItem", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		<-responds
		_, _ = io.WriteString(w, "{}")
	})
	http.DefaultClient.CloseIdleConnections()
	p.awaitMetric(t, "prima_connections_open 0")
	connections := make([]net.Conn, limit)
	for i := range connections {
		connections[i] = p.dial(t, fmt.Sprintf("POST /users HTTP/1.1\r\nHost: a\r\n%s\r\nContent-Length: %d\r\n\r\n%s",
			asJSON, len(ada), ada))
		if i%64 == 63 || i == limit-1 { // the API gives each of its own connections 2 s to open
			eventually(t, "all requests wait for DynamoDB", func() bool { return a.Calls("DynamoDB.PutItem") == i+1 })
		}
	}
	for range refused {
		p.dial(t, "POST /users HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
	}
	p.awaitMetric(t, fmt.Sprint("prima_connections_refused_total ", refused))
	for _, path := range []string{config.PathHealth, config.PathReady} {
		get(t, p.admin+path).is(t, http.StatusOK)
	}
	respond()
	for _, c := range connections {
		assert.Equal(t, http.StatusCreated, statusOf(t, c))
		// The connection keeps the buffer that this header fills.
		_, err := fmt.Fprintf(c, "GET /health HTTP/1.1\r\nHost: a\r\nX-Y: %s\r\n\r\n", strings.Repeat("x", 7<<10))
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, statusOf(t, c))
	}
	p.requirePeak(t, 1, "%d requests at once that wait for DynamoDB, %d refused", limit, refused)
}

// Ensure clients that request the largest asset, uncompressed, and do not read it share one copy.
func TestSlowReadersOfAssets(t *testing.T) {
	t.Parallel()
	const readers = 500
	p := startDeployed(t, awstest.Start(t).Environ()...)
	for i := range readers {
		method := http.MethodGet
		if i%5 == 0 {
			method = http.MethodHead
		}
		c := p.dial(t, "")
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4<<10))
		// More responses than the kernel takes from the API.
		request := method + " /assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: identity\r\n\r\n"
		_, err := io.WriteString(c, strings.Repeat(request, 8))
		require.NoError(t, err)
		line, err := bufio.NewReaderSize(c, 16).ReadString('\n')
		require.NoError(t, err)
		assert.Contains(t, line, "200")
	}
	p.requirePeak(t, 2, "%d slow readers of the viewer's script", readers)
}

// Ensure clients that stall in the middle of an upload do not keep others out.
func TestStalledUploads(t *testing.T) {
	t.Parallel()
	p := startDeployed(t, awstest.Start(t).Environ("READ_TIMEOUT=10m")...)
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
