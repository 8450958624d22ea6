package image_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/infra/image"
)

// tag returns the tag of a folder with these files by their names.
func tag(t *testing.T, files map[string]string) (string, error) {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	return image.Tag(root)
}

// Ensure the tag depends on the content and the names of the sources, and on nothing else.
// .dockerignore lets through what the tag depends on: both change together.
func TestTag(t *testing.T) {
	t.Parallel()
	sources := map[string]string{
		"Dockerfile": "FROM scratch", "go.work": "use ./app", "app/a/a.go": "package a", "app/b/b.go": "package b",
	}
	want, err := tag(t, sources)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{16}$`, want)
	for _, test := range []struct {
		changed map[string]string // the content of files; empty removes one
		same    bool
	}{
		{map[string]string{}, true},
		{map[string]string{"app/a/a_test.go": "package a", "app/a/testdata/x.go": "x", "README.md": "x"}, true},
		{map[string]string{"Dockerfile": "FROM  scratch"}, false},
		{map[string]string{"go.work": "use  ./app"}, false},
		{map[string]string{"app/a/c.go": "package a"}, false},
		{map[string]string{"app/b/b.go": ""}, false},
		{map[string]string{"app/a/a.go": "package b", "app/b/b.go": "package a"}, false},
	} {
		files := maps.Clone(sources)
		maps.Copy(files, test.changed)
		maps.DeleteFunc(files, func(_, content string) bool { return content == "" })
		got, err := tag(t, files)
		require.NoError(t, err)
		assert.Equal(t, test.same, got == want, "%v", test.changed)
	}
	_, err = tag(t, map[string]string{"app/go.mod": "module app", "go.work": "use ./app"})
	require.ErrorContains(t, err, "Dockerfile")
	_, err = tag(t, nil)
	require.Error(t, err)

	ignore, err := os.ReadFile("../../.dockerignore")
	require.NoError(t, err)
	assert.Equal(t, []string{"*", "!go.work", "!app", "**/*_test.go", "**/testdata"}, strings.Fields(string(ignore)))
}

// Ensure the image holds the program and the certificates of public authorities, and no other file,
// variable or argument of the build that could be a secret.
func TestImageHoldsNoSecret(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	_, final, ok := strings.Cut(string(data), "\nFROM scratch\n")
	require.True(t, ok, "the image starts from nothing")
	assert.NotRegexp(t, `(?m)^ *(ENV|ADD|RUN|ONBUILD) `, final)
	assert.Equal(t, []string{"ARG VERSION=development REVISION=unknown"}, regexp.MustCompile(`(?m)^ARG .*`).FindAllString(final, -1))
	var copied []string
	for _, line := range regexp.MustCompile(`(?m)^COPY .* (\S+)$`).FindAllStringSubmatch(final, -1) {
		copied = append(copied, line[1])
	}
	assert.Equal(t, []string{"/etc/ssl/certs/", "/prima-api"}, copied)
}
