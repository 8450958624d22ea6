//go:build kubescore

package charts_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure kube-score finds nothing critical but what is meant to be so. It is run as a program: as a
// library it does not compile against k8s.io/apimachinery v0.34.
func TestKubeScore(t *testing.T) {
	t.Parallel()
	const (
		pulled = "an image that was loaded into the node cannot be pulled; its tag is a hash of what it is built from, so that it is never stale"
		root   = "the image of LocalStack runs as root and writes to its own folders"
	)
	meant := map[string]map[string]string{
		"prima-api": {"container-image-pull-policy": pulled},
		"localstack": {
			"container-image-pull-policy":                       "the tag names a release, which does not change",
			"container-security-context-user-group-id":          root,
			"container-security-context-readonlyrootfilesystem": root,
			"pod-probes-identical":                              "LocalStack has one health path; the probes differ in their patience",
		},
	}
	for chart, ignored := range meant {
		files := mustRender(t, chart, least(chart))
		command := exec.CommandContext(t.Context(), "go", "run", "github.com/zegl/kube-score/cmd/kube-score@v1.20.0",
			"score", "--output-format", "json", "--output-version", "v2", "-")
		command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		command.Stdin = strings.NewReader(strings.Join(documents(files), "---\n"))
		var stderr bytes.Buffer
		command.Stderr = &stderr
		output, _ := command.Output() // it also fails when it finds something
		var scored []struct {
			Name   string `json:"object_name"`
			Checks []struct {
				Check struct {
					ID string `json:"id"`
				} `json:"check"`
				Grade    int  `json:"grade"`
				Skipped  bool `json:"skipped"`
				Comments []struct {
					Path    string `json:"path"`
					Summary string `json:"summary"`
				} `json:"comments"`
			} `json:"checks"`
		}
		require.NoError(t, json.Unmarshal(output, &scored), "%s%s", output, stderr.String())
		require.NotEmpty(t, scored)

		const critical = 1
		found := map[string]bool{}
		for _, object := range scored {
			for _, check := range object.Checks {
				if check.Grade != critical || check.Skipped {
					continue
				}
				found[check.Check.ID] = true
				assert.Contains(t, ignored, check.Check.ID, "%s %s: %+v", chart, object.Name, check.Comments)
			}
		}
		for id := range ignored {
			assert.True(t, found[id], "%s: %s is ignored, and not found any more", chart, id)
		}
	}
}
