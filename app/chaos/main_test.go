package chaos_test

import (
	"flag"
	"log"
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
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's own lines
	dir, err := os.MkdirTemp("", "prima-api")
	if err != nil {
		log.Fatal(err)
	}
	program = filepath.Join(dir, "prima-api")
	build := exec.Command("go", "build", "-o", program, "prima.internal/app/cmd/prima-api")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		log.Fatalf("build the program: %v\n%s", err, out)
	}
	// These tests wait far more than they compute. A -parallel of the caller's takes precedence.
	_ = flag.Set("test.parallel", "16")
	flag.Parse()
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}
