package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/licensecheck"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// allowed are the licences, by their SPDX names, of modules that may be linked. All of them let a
// program have a licence of its own.
var allowed = []string{
	"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unicode-DFS-2016", "Unlicense", "Zlib",
}

// Ensure every module that is linked into the API or the Pulumi program has an allowed licence, as
// most of the text of its licence file says.
func TestLicences(t *testing.T) {
	t.Parallel()
	for folder, program := range map[string]string{"../..": "./cmd/prima-api", "../../../infra": "."} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Module", program)
		list.Dir = folder
		list.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := list.Output()
		require.NoError(t, err)
		type module struct {
			Path, Dir string
			Main      bool
		}
		modules := map[string]string{}
		for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
			var listed struct{ Module *module }
			require.NoError(t, decoder.Decode(&listed))
			if m := listed.Module; m != nil && !m.Main && !strings.HasPrefix(m.Path, "prima.internal/") {
				modules[m.Path] = m.Dir
			}
		}
		assert.Greater(t, len(modules), 10, program)
		for module, dir := range modules {
			found := licences(t, dir)
			for licence, covered := range found {
				assert.Contains(t, allowed, licence, "%s in %s", module, dir)
				assert.Greater(t, covered, 75.0, "%s: so much of it is %s", module, licence)
			}
			assert.NotEmpty(t, found, "%s has no licence in %s", module, dir)
		}
	}
}

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

// Ensure a module without a licence, or with an unknown one, has no allowed licence.
func TestLicencesUnknown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	assert.Empty(t, licences(t, dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "LICENSE.md"), []byte("All rights reserved."), 0o600))
	found := licences(t, dir)
	require.Len(t, found, 1)
	for licence := range found {
		assert.NotContains(t, allowed, licence)
	}
}

var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)([.-].*)?$`)

// licences returns the licences of the module in a folder, and how much of the file's text, in
// percent, is theirs.
func licences(t *testing.T, dir string) map[string]float64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	found := map[string]float64{}
	for _, entry := range entries {
		if entry.IsDir() || !licenceFile.MatchString(entry.Name()) || filepath.Ext(entry.Name()) == ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		coverage := licensecheck.Scan(text)
		if len(coverage.Match) == 0 {
			found["unknown"] = 0
		}
		for _, match := range coverage.Match {
			found[match.ID] = coverage.Percent
		}
	}
	return found
}
