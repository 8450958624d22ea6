package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure every build of the deployed program has the tag with which gRPC, which the exporter of
// traces links, leaves out html/template. Otherwise the linker keeps every method of every type,
// and the image has 33 MB.
func TestTagOfTheBuilds(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"Dockerfile", "Taskfile.yml"} {
		text, err := os.ReadFile(filepath.Join("../../..", file))
		require.NoError(t, err)
		assert.Contains(t, string(text), "go build -tags grpcnotrace -trimpath", file)
	}
	linked, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "grpcnotrace", ".").Output()
	require.NoError(t, err)
	assert.Contains(t, string(linked), "google.golang.org/grpc\n")
	assert.NotContains(t, string(linked), "html/template")
}
