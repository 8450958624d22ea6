package charts_test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/infra/charts"
)

var (
	// taken finds images, actions and compiled tools, but for files of this repository.
	taken = regexp.MustCompile(`(?m)go run ([a-z]+\.[^\s'"]+)|` +
		`(?:^FROM +(?:--\S+ +)*|--from=|^[ -]*(?:uses|image): +)['"]?([^\s.'"$][^\s'"]*)`)
	stage = regexp.MustCompile(`(?m)^FROM .* AS (\S+)$`)
	// exactly is a version of three numbers, a digest or a commit: not latest or v4, which change.
	exactly = regexp.MustCompile(`([:@]v?[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.-]+)?|@sha256:[0-9a-f]{64}|@[0-9a-f]{40})$`)
)

// Ensure images, actions and tools have exact versions.
func TestExactVersions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../.github/workflows/*.y*ml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	files = append(files, "../../Dockerfile", "../../Taskfile.yml", "../../.ci/run", "../../Pulumi.local.yaml",
		"localstack/values.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		known := []string{"scratch", charts.DefaultPrimaAPI().Image.Repository} // the empty image, and the API's own
		for _, match := range stage.FindAllStringSubmatch(string(text), -1) {
			known = append(known, match[1])
		}
		found := taken.FindAllStringSubmatch(string(text), -1)
		assert.NotEmpty(t, found, file)
		for _, match := range found {
			if name := cmp.Or(match[1], match[2]); !slices.Contains(known, name) {
				assert.Regexp(t, exactly, name, file)
			}
		}
	}
}
