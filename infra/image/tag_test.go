package image_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/infra/image"
)

// checkout makes a folder with the given files.
func checkout(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	return root
}

func sources() map[string]string {
	return map[string]string{"Dockerfile": "FROM scratch", "go.work": "use ./app", "app/go.mod": "module app", "app/a/a.go": "package a", "app/b/b.go": "package b"}
}

func tag(t *testing.T, files map[string]string) string {
	t.Helper()
	tag, err := image.Tag(checkout(t, files))
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{16}$`, tag)
	return tag
}

// Ensure the tag depends on the content and the names of the sources, and on nothing else.
func TestTag(t *testing.T) {
	t.Parallel()
	want := tag(t, sources())
	assert.Equal(t, want, tag(t, sources()), "another folder")

	for name, change := range map[string]func(map[string]string){
		"a test":         func(f map[string]string) { f["app/a/a_test.go"] = "package a" },
		"test data":      func(f map[string]string) { f["app/a/testdata/x.go"] = "x" },
		"infra":          func(f map[string]string) { f["infra/main.go"] = "package main" },
		"the README":     func(f map[string]string) { f["README.md"] = "x" },
		"an empty state": func(map[string]string) {},
	} {
		files := sources()
		change(files)
		assert.Equal(t, want, tag(t, files), name)
	}
	for name, change := range map[string]func(map[string]string){
		"the Dockerfile": func(f map[string]string) { f["Dockerfile"] += " " },
		"go.work":        func(f map[string]string) { f["go.work"] += " " },
		"a source":       func(f map[string]string) { f["app/a/a.go"] += " " },
		"a new source":   func(f map[string]string) { f["app/a/c.go"] = "" },
		"a removed one":  func(f map[string]string) { delete(f, "app/b/b.go") },
		"two swapped":    func(f map[string]string) { f["app/a/a.go"], f["app/b/b.go"] = f["app/b/b.go"], f["app/a/a.go"] },
	} {
		files := sources()
		change(files)
		assert.NotEqual(t, want, tag(t, files), name)
	}
}

// Ensure a folder that is no checkout is an error.
func TestTagOfNothing(t *testing.T) {
	t.Parallel()
	_, err := image.Tag(t.TempDir())
	assert.Error(t, err)
	files := sources()
	delete(files, "Dockerfile")
	_, err = image.Tag(checkout(t, files))
	assert.ErrorContains(t, err, "Dockerfile")
}

// Ensure the tag counts what Docker is sent: whoever changes the one must look at the other.
func TestTagIsOfTheContext(t *testing.T) {
	t.Parallel()
	ignore, err := os.ReadFile("../../.dockerignore")
	require.NoError(t, err)
	assert.Equal(t, []string{"*", "!go.work", "!app", "**/*_test.go", "**/testdata"}, strings.Fields(string(ignore)))
}

// Ensure the image holds the program and the certificates of well-known authorities, and nothing else that could be a
// secret: no file, no variable, and no argument of the build that is one.
func TestImageHoldsNoSecret(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	_, final, ok := strings.Cut(string(data), "\nFROM scratch\n")
	require.True(t, ok, "the image starts from nothing")
	var copied []string
	for line := range strings.Lines(final) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		switch fields[0] {
		case "COPY":
			copied = append(copied, fields[len(fields)-1])
		case "ARG":
			assert.Equal(t, []string{"ARG", "VERSION=development", "REVISION=unknown"}, fields)
		default:
			assert.NotContains(t, []string{"ENV", "ADD", "RUN", "ONBUILD"}, fields[0], line)
		}
	}
	assert.Equal(t, []string{"/etc/ssl/certs/", "/prima-api"}, copied)
}
