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
)

// startProcess starts the program on a free port, ready or not, and kills it at the end of the
// test.
func (s *system) startProcess(t *testing.T) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer log.Close()
	p := exec.Command(program)
	for _, v := range s.config.Environ() {
		p.Env = append(p.Env, v.Name+"="+v.Value)
	}
	p.Env = append(p.Env, "PORT=0", "ADMIN_PORT=0",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true")
	p.Stderr = log
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
		if t.Failed() {
			const shown = 8 << 10
			data, _ := os.ReadFile(log.Name()) // nothing, then
			t.Logf("the end of the program's log:\n%s", data[max(0, len(data)-shown):])
		}
	})
	await(t, "the program listens", func() bool {
		data, err := os.ReadFile(log.Name())
		require.NoError(t, err)
		for text := range strings.Lines(string(data)) {
			var line struct{ Msg, Address, Admin string }
			if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "listening" {
				_, port, _ := net.SplitHostPort(line.Address)
				_, adminPort, _ := net.SplitHostPort(line.Admin)
				s.url, s.admin = "http://127.0.0.1:"+port, "http://127.0.0.1:"+adminPort
			}
		}
		return s.url != ""
	})
}

// await waits until a condition holds, for as long as even a slow machine may take.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 2*time.Minute, 10*time.Millisecond, what)
}
