package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	const form, other = 4 << 20, 15 << 20
	const disposition = "Content-Disposition: form-data; name=avatar"
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

// honestBody returns a body of about this size that a client could mean.
func honestBody(contentType string, size int) string {
	filler := strings.Repeat("x", size)
	switch contentType {
	case asJSON:
		return `{"name":"Ada","email":"ada@example.com","x":"` + filler + `"}`
	case asURLEncoded:
		return "name=Ada&email=ada%40example.com&x=" + filler
	}
	const field = "--x\r\nContent-Disposition: form-data; name="
	return field + "name\r\n\r\nAda\r\n" + field + "email\r\n\r\nada@example.com\r\n" +
		field + "x; filename=x\r\n\r\n" + filler + "\r\n--x--\r\n"
}

// Ensure eight hostile bodies at once neither take the process beyond the chart's memory limit, nor
// cost many times the processor time of honest bodies of the same size.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	const clients, mostTimes = 8, 20
	p := startDeployed(t, awstest.Start(t).Environ("MAX_JSON_BYTES=16MiB")...) // as far as an operator may raise it
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
	for _, test := range hostileBodies() {
		usual := sendAll(test.contentType, honestBody(test.contentType, len(test.body)), http.StatusCreated)
		cpu := sendAll(test.contentType, test.body, http.StatusBadRequest)
		assert.Less(t, cpu, mostTimes*(usual+processorTick), test.name)
		p.requirePeak(t, 1, "%s: %d of %d bytes, %s of CPU, honest ones %s", test.name, clients, len(test.body), cpu, usual)
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
