package chaos_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
)

// program is where the program under test is. It is built as for deployment, without the race
// detector: that would be most of its memory.
var program string

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's own lines

	dir, err := os.MkdirTemp("", "prima-api")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "prima-api")
	build := exec.Command("go", "build", "-o", program, "prima.internal/app/cmd/prima-api")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the program: %w\n%s", err, out)
	}

	// These tests wait far more than they compute. A -parallel of the caller's goes before this.
	if err := flag.Set("test.parallel", "16"); err != nil {
		return 0, err
	}
	flag.Parse()
	return m.Run(), nil
}
