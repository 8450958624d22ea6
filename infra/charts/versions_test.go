package charts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"prima.internal/infra/charts"
)

// exactly is what names one content: a version of three numbers, a digest, or a commit. What else there is,
// such as latest, main, v4 or 1.26, is another content tomorrow.
var exactly = regexp.MustCompile(`(:v?[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.-]+)?|@v?[0-9]+\.[0-9]+\.[0-9]+|@sha256:[0-9a-f]{64}|@[0-9a-f]{40})$`)

// Ensure that what is taken from elsewhere to build, check and run the system is by an exact version: the images of the
// Dockerfile, of the charts and of the stack, the actions of the workflows, and the tools.
func TestExactVersions(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("../..", name))
		require.NoError(t, err)
		return string(data)
	}
	matches := func(expression, text string) []string {
		var found []string
		for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
			found = append(found, strings.Trim(match[1], `"'`))
		}
		return found
	}
	taken := map[string][]string{"Dockerfile": nil, "Taskfile.yml": nil, ".ci/run": nil}

	dockerfile := read("Dockerfile")
	stages := matches(`(?mi)^FROM .*\sAS\s+(\S+)$`, dockerfile)
	for _, image := range matches(`(?mi)^FROM\s+(?:--\S+\s+)*(\S+)`, dockerfile) {
		if image != "scratch" && !slices.Contains(stages, image) { // scratch is the empty image, and has no versions
			taken["Dockerfile"] = append(taken["Dockerfile"], image)
		}
	}
	for _, from := range matches(`--from=(\S+)`, dockerfile) { // a stage or an image
		if !slices.Contains(stages, from) {
			taken["Dockerfile"] = append(taken["Dockerfile"], from)
		}
	}
	for _, file := range []string{"Taskfile.yml", ".ci/run"} {
		taken[file] = matches(`go run ([a-z]+\.[^\s'"]+)`, read(file))
	}

	workflows, err := filepath.Glob("../../.github/workflows/*.y*ml")
	require.NoError(t, err)
	require.NotEmpty(t, workflows)
	for _, file := range workflows {
		name, err := filepath.Rel("../..", file)
		require.NoError(t, err)
		text := read(name)
		// A workflow of this repository is of the commit that calls it.
		taken[name] = append(matches(`(?m)^\s*(?:- )?uses:[ \t]*([^\s.]\S*)`, text), matches(`(?m)^\s*(?:- )?image:[ \t]+([^\s$]\S*)`, text)...)
		taken[name] = append(taken[name], matches(`go run ([a-z]+\.[^\s'"]+)`, text)...)
	}

	var stack struct {
		Config map[string]any `json:"config"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read("Pulumi.local.yaml")), &stack))
	taken["Pulumi.local.yaml"] = imagesOf(stack.Config)

	emulator, ok := load(t, "localstack").Values["image"].(string)
	require.True(t, ok)
	taken["charts/localstack"] = []string{emulator}
	for _, pod := range pods(objectsOf(t, "prima-api", openAPI())) {
		for _, container := range append(pod.spec.InitContainers, pod.spec.Containers...) {
			assert.Contains(t, container.Image, charts.DefaultPrimaAPI().Image.Repository+":") // what the checkout builds
		}
	}

	for source, names := range taken {
		assert.NotEmpty(t, names, source)
		for _, name := range names {
			assert.Regexp(t, exactly, name, source)
		}
	}
}

// imagesOf returns the values under the keys image that name one with a tag: the API's own has none.
func imagesOf(settings map[string]any) []string {
	var images []string
	for key, value := range settings {
		switch v := value.(type) {
		case map[string]any:
			images = append(images, imagesOf(v)...)
		case string:
			if key == "image" && v != charts.DefaultPrimaAPI().Image.Repository {
				images = append(images, v)
			}
		}
	}
	return images
}

// Ensure what moves is told from what does not.
func TestExactVersionsAreTold(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"golang:1.26.8-bookworm", "localstack/localstack:4.14.0", "registry.example.com:5000/a:v1.2.3", "a@sha256:" + strings.Repeat("0f", 32),
		"actions/checkout@v4.2.2", "actions/checkout@" + strings.Repeat("0f", 20), "example.com/tool@v1.2.3",
	} {
		assert.Regexp(t, exactly, name)
	}
	for _, name := range []string{
		"golang", "golang:latest", "golang:1.26", "golang:1.26-bookworm", "registry.example.com:5000/a", "actions/checkout@v4", "actions/checkout@main",
		"actions/checkout@v4.2", "actions/checkout@" + strings.Repeat("0f", 4), "example.com/tool@latest", "example.com/tool",
	} {
		assert.NotRegexp(t, exactly, name)
	}
}
