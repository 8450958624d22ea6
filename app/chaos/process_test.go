package chaos_test

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// A process is the program.
type process struct {
	*exec.Cmd
	url, admin string // of its two ports
}

// startProcess starts the program on a free port, ready or not, and kills it at the end of the test.
func startProcess(t *testing.T, c config.Config) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program)}
	for _, v := range c.Environ() {
		p.Env = append(p.Env, v.Name+"="+v.Value)
	}
	p.Env = append(p.Env, "PORT=0", "ADMIN_PORT=0",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer log.Close()
	p.Stderr = log
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
		if t.Failed() {
			t.Logf("the end of the program's log, without requests that were served:\n%s", notable(log.Name()))
		}
	})
	await(t, "the program listens", func() bool {
		data, err := os.ReadFile(log.Name())
		require.NoError(t, err)
		for text := range strings.Lines(string(data)) {
			var line struct{ Msg, Address, Admin string }
			if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "listening" {
				p.url, p.admin = local(line.Address), local(line.Admin)
			}
		}
		return p.url != ""
	})
	return p
}

// local returns the URL of an address that the program listens on.
func local(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return "http://127.0.0.1:" + port
}

// notable returns the last lines of a log that are of more than a request that was served.
func notable(name string) string {
	const shown = 20
	data, _ := os.ReadFile(name) // nothing, then
	var lines []string
	for line := range strings.Lines(string(data)) {
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
