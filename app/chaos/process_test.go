package chaos_test

import (
	"bufio"
	"encoding/json"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// A process is the program.
type process struct {
	*exec.Cmd
	url string
	log *tail
}

// startProcess starts the program on a free port, ready or not, and kills it at the end of the test.
func startProcess(t *testing.T, c config.Config) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program), log: new(tail)}
	c.Port = 0
	for _, v := range c.Environ() {
		p.Env = append(p.Env, v.Name+"="+v.Value)
	}
	p.Env = append(p.Env, "PORT=0", "ADMIN_PORT=0", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true")
	p.Stderr = p.log
	require.NoError(t, p.Start())
	ended := make(chan struct{})
	go func() {
		_ = p.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("what the program's log says last beside the requests that went well:\n%s", p.log.notable())
		}
	})
	await(t, "the program listens", func() bool {
		p.url = listening(p.log.String())
		return p.url != ""
	})
	return p
}

// listening returns the URL that a log names, "" if it names none yet.
func listening(log string) string {
	for scanner := bufio.NewScanner(strings.NewReader(log)); scanner.Scan(); {
		var line struct{ Msg, Address string }
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Msg == "listening" {
			_, port, _ := net.SplitHostPort(line.Address)
			return "http://127.0.0.1:" + port
		}
	}
	return ""
}

// A tail keeps the end of what is written to it, to be read meanwhile.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const tailBytes = 256 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data = append(l.data, p...)
	if len(l.data) > 4*tailBytes {
		l.data = append(l.data[:0], l.data[len(l.data)-tailBytes:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.data)
}

// notable returns the last lines that tell of more than a request that went well.
func (l *tail) notable() string {
	const shown = 20
	var lines []string
	for line := range strings.Lines(l.String()) {
		if !strings.Contains(line, `"level":"INFO"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-shown):], "")
}

// await waits until a condition holds, for as long as even a slow machine may take.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 2*time.Minute, 10*time.Millisecond, what)
}
