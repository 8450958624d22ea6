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

// load runs Load with scripts as docker and minikube, and returns the commands that it ran.
func load(t *testing.T, docker, minikube string) (commands []string, err error) {
	t.Helper()
	folder := t.TempDir()
	log := filepath.Join(folder, "log")
	for name, script := range map[string]string{"docker": docker, "minikube": minikube, "git": "exit 1"} {
		text := "#!/bin/sh\ncd " + folder + "\necho \"" + name + " $*\" >> log\n" + script + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o755))
	}
	t.Setenv("PATH", folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
	err = image.Load(t.Context(), folder, "prima", "abc", func(string) {})
	data, readErr := os.ReadFile(log)
	require.NoError(t, readErr)
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); !strings.HasSuffix(line, "image ls") && !strings.HasPrefix(line, "git") {
			commands = append(commands, line)
		}
	}
	return commands, err
}

// listed is the beginning of a minikube that lists the image once a file called loaded exists.
const listed = `case "$*" in *"image ls") [ ! -e loaded ] || echo docker.io/library/prima-api:abc ;; *"image load"*) `

// Ensure an image is built and loaded unless the cluster has it, loaded from a file if minikube
// reports a success and the image is still missing, and that the oldest images are removed.
func TestLoad(t *testing.T) { //nolint:paralleltest // it sets PATH
	commands, err := load(t, "exit 1", "echo prima-api:abc")
	require.NoError(t, err)
	assert.Empty(t, commands)

	const tags = `[ "$1" != images ] || printf 'abc\nb\nc\nold\n'`
	commands, err = load(t, tags, listed+`touch loaded ;; esac`)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"docker build --progress plain --build-arg VERSION=abc --build-arg REVISION=unknown -t prima-api:abc .",
		"minikube -p prima image load prima-api:abc",
		"docker images prima-api --format {{.Tag}}",
		"docker image rm prima-api:old",
		"minikube -p prima image rm prima-api:old",
	}, commands)

	commands, err = load(t, "", listed+`case "$*" in *.tar) touch loaded ;; esac ;; esac`)
	require.NoError(t, err)
	require.Len(t, commands, 5)
	assert.Contains(t, commands[2], "docker save -o ")
	assert.Contains(t, commands[3], "image.tar")
	_, err = load(t, "", listed+"true ;; esac")
	assert.ErrorContains(t, err, "the image prima-api:abc could not be loaded into the profile prima")
}

// Ensure an error has the last lines of the command, and says how to start a profile.
func TestLoadFails(t *testing.T) { //nolint:paralleltest // it sets PATH
	_, err := load(t, "{ for i in $(seq 100); do echo line $i; done; echo no space left; } >&2; exit 1", "")
	require.ErrorContains(t, err, "docker build --progress plain")
	require.ErrorContains(t, err, "line 100\nno space left")
	assert.NotContains(t, err.Error(), "line 50")
	_, err = load(t, "", `echo 'Profile "prima" not found' >&2; exit 85`)
	require.ErrorContains(t, err, `Profile "prima" not found`)
	assert.ErrorContains(t, err, "`task up` starts it")
}
