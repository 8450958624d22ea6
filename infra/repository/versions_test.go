package repository_test

import (
	"cmp"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/infra/image"
)

// Ensure images, actions and tools have exact versions, but for the files and images of this
// repository.
func TestExactVersions(t *testing.T) {
	t.Parallel()
	const tool, from = `go run ([a-z]+\.[^\s'"]+)`, `^FROM +(?:--\S+ +)*|--from=`
	const taken = `(?m)` + tool + `|(?:` + from + `|^[ -]*(?:uses|image): +)['"]?([^\s.'"$][^\s'"]*)`
	workflows, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.y*ml"))
	require.NoError(t, err)
	require.NotEmpty(t, workflows)
	names := []string{
		"Dockerfile", "Taskfile.yml", ".ci/run", "Pulumi.local.yaml", "infra/charts/localstack/values.yaml",
	}
	for _, workflow := range workflows {
		names = append(names, path.Join(".github/workflows", filepath.Base(workflow)))
	}
	// A version of three numbers, a digest or a commit: not latest or v4, which change.
	exact := regexp.MustCompile(
		`([:@]v?[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.-]+)?|@sha256:[0-9a-f]{64}|@[0-9a-f]{40})$`)
	for _, name := range names {
		text := read(t, name)
		known := append(matches(`(?m)^FROM .* AS (\S+)$`, text), "scratch", image.Name)
		found := regexp.MustCompile(taken).FindAllStringSubmatch(text, -1)
		assert.NotEmpty(t, found, name)
		for _, match := range found {
			if taken := cmp.Or(match[1], match[2]); !slices.Contains(known, taken) {
				assert.Regexp(t, exact, taken, name)
			}
		}
	}
}

// Ensure a tool has one version wherever it is named, and that of mise.toml if it is there.
func TestOneVersion(t *testing.T) {
	t.Parallel()
	tools, modules := map[string]string{}, map[string]string{}
	pair := regexp.MustCompile(`(?m)^([a-z]+) = "([0-9.]+)"$`)
	for _, line := range pair.FindAllStringSubmatch(read(t, "mise.toml"), -1) {
		tools[line[1]] = line[2]
	}
	goTool := regexp.MustCompile(`([a-z]+\.[a-z.]+/[a-zA-Z0-9./-]+)@v([0-9.]+)`)
	for _, name := range append(files(t, ".md", ".yml"), ".ci/run") {
		for _, tool := range goTool.FindAllStringSubmatch(read(t, name), -1) {
			assert.Equal(t, tool[2], cmp.Or(modules[tool[1]], tool[2]), "%s: %s", name, tool[1])
			modules[tool[1]] = tool[2]
		}
	}
	assert.Equal(t, tools["task"], modules["github.com/go-task/task/v3/cmd/task"])
	assert.Equal(t, tools["helm"], modules["helm.sh/helm/v3/cmd/helm"])

	minor := func(version string) string { return version[:strings.LastIndex(version, ".")] }
	for _, place := range []struct{ file, expression, version string }{
		{"Dockerfile", `golang:([0-9.]+)-`, tools["go"]},
		{".devcontainer/Dockerfile", `golang:([0-9.]+)-`, tools["go"]},
		{"go.work", `(?m)^go ([0-9.]+)\.0$`, minor(tools["go"])},
		{"infra/go.mod", `helm\.sh/helm/v3 v([0-9.]+)`, tools["helm"]},
		{"infra/go.mod", `k8s\.io/api v0(\.[0-9]+)\.`, strings.TrimPrefix(minor(tools["kubectl"]), "1")},
	} {
		assert.Equal(t, []string{place.version}, matches(place.expression, read(t, place.file)), place.file)
	}
}
