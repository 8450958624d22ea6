package repository_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(data)
}

// files returns the names of the files with an ending, from the root, those of hidden and built folders left out.
func files(t *testing.T, ending string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || name == ".pulumi" || name == "bin" || name == "tmp" || entry.Name() == "node_modules"):
			return filepath.SkipDir
		case !entry.IsDir() && strings.HasSuffix(name, ending):
			names = append(names, name)
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, names, ending)
	return names
}

func matches(expression, text string) []string {
	var found []string
	for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// tasks returns the names of the tasks, with their aliases.
func tasks(t *testing.T) map[string]string {
	t.Helper()
	var taskfile struct {
		Tasks map[string]struct {
			Desc    string   `json:"desc"`
			Aliases []string `json:"aliases"`
		} `json:"tasks"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "Taskfile.yml")), &taskfile))
	names := map[string]string{}
	for name, task := range taskfile.Tasks {
		names[name] = task.Desc
		for _, alias := range task.Aliases {
			names[alias] = task.Desc
		}
	}
	return names
}

// Ensure every task that a document, a workflow or a script names is one that exists, and that the list of tasks says what each does.
func TestTasksExist(t *testing.T) {
	t.Parallel()
	known := tasks(t)
	for name, description := range known {
		if name != "default" {
			assert.Regexp(t, `^[A-Z][a-z]+s,? .*[^.]$`, description, "%s: what it does, as a sentence without its subject", name)
		}
	}
	documents := append(files(t, ".md"), files(t, ".tmpl")...)
	for _, name := range append(documents, ".ci/run", "scripts/stack", ".devcontainer/devcontainer.json") {
		text := read(t, name)
		// In prose a task is in backticks; in code it begins a line, or a command.
		named := append(matches("`task ([a-z][a-z0-9:]*)", text), matches(`(?m)^(?:\$ )?task ([a-z][a-z0-9:]*)`, text)...)
		for _, task := range named {
			assert.Contains(t, known, task, name)
		}
	}
	for _, name := range files(t, ".yml") {
		if !strings.HasPrefix(name, ".github/") {
			continue
		}
		for _, task := range matches(`run: (?:go run \S+/cmd/)?task(?:@\S+)? ([a-z][a-z0-9:]*)`, read(t, name)) {
			assert.Contains(t, known, task, name)
		}
	}
}

// Ensure a link from one document to another file leads somewhere, and to a heading that is there.
func TestLinksLead(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, ".md") {
		for _, link := range matches(`\]\(([^)\s]+)\)`, read(t, name)) {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			path, fragment, _ := strings.Cut(link, "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			_, err := os.Stat(filepath.Join(root, target))
			if assert.NoError(t, err, "%s: %s", name, link) && fragment != "" {
				assert.Contains(t, headings(read(t, target)), fragment, "%s: %s", name, link)
			}
		}
	}
}

// headings returns the fragments of a document's headings, as GitHub makes them.
func headings(text string) []string {
	var all []string
	for _, heading := range matches(`(?m)^#+ +(.+)$`, text) {
		heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading), "")
		all = append(all, strings.ReplaceAll(heading, " ", "-"))
	}
	return all
}

// Ensure what AGENTS.md and CONTRIBUTING.md name as a file or folder is one.
func TestPathsExist(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AGENTS.md", "CONTRIBUTING.md"} {
		paths := matches("`((?:app|infra|bench|docs|scripts|\\.github|\\.devcontainer|\\.ci)/[A-Za-z0-9_./*-]*|[A-Z][A-Za-z]+\\.(?:yml|yaml|md)|[.a-z-]+\\.(?:toml|yml))`", read(t, name))
		require.NotEmpty(t, paths)
		for _, path := range paths {
			found, err := filepath.Glob(filepath.Join(root, path))
			require.NoError(t, err)
			assert.NotEmpty(t, found, "%s: %s", name, path)
		}
	}
}

// Ensure a test that a document names is one that exists.
func TestTestsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, name := range files(t, "_test.go") {
		for _, test := range matches(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`, read(t, name)) {
			known[test] = true
		}
	}
	for _, name := range files(t, ".md") {
		for _, test := range matches("`((?:Test|Fuzz|Benchmark)[A-Z]\\w+)", read(t, name)) {
			assert.True(t, known[test], "%s: %s", name, test)
		}
	}
}

// Ensure a tool has one version, wherever it is named.
func TestOneVersion(t *testing.T) {
	t.Parallel()
	tools := map[string]string{}
	for _, match := range regexp.MustCompile(`(?m)^([a-z]+) = "([0-9.]+)"$`).FindAllStringSubmatch(read(t, "mise.toml"), -1) {
		tools[match[1]] = match[2]
	}
	assert.Subset(t, slices.Collect(maps.Keys(tools)), []string{"go", "task", "pulumi", "minikube", "kubectl", "helm"})

	module := read(t, "infra/go.mod")
	one := func(expression, text string) string {
		found := matches(expression, text)
		require.NotEmpty(t, found, expression)
		return found[0]
	}
	assert.Equal(t, tools["go"], one(`golang:([0-9.]+)-`, read(t, "Dockerfile")), "Dockerfile")
	assert.Equal(t, tools["go"], one(`golang:([0-9.]+)-`, read(t, ".devcontainer/Dockerfile")), "devcontainer")
	assert.True(t, strings.HasPrefix(tools["go"], strings.TrimSuffix(one(`(?m)^go ([0-9.]+)$`, read(t, "go.work")), "0")), "go.work")
	assert.Equal(t, tools["helm"], one(`helm\.sh/helm/v3 v([0-9.]+)`, module), "the charts are tested with this Helm")
	assert.Equal(t, tools["helm"], one(`helm/v3/cmd/helm@v([0-9.]+)`, read(t, "scripts/release")))
	minor := one(`k8s\.io/api v0\.([0-9]+)\.`, module)
	assert.Regexp(t, `^1\.`+minor+`\.`, tools["kubectl"], "the charts are tested with this Kubernetes")

	named := 0
	for _, name := range slices.Concat(files(t, ".md"), files(t, ".yml"), []string{".ci/run"}) {
		for _, version := range matches(`go-task/task/v3/cmd/task@v([0-9.]+)`, read(t, name)) {
			named++
			assert.Equal(t, tools["task"], version, name)
		}
	}
	assert.Greater(t, named, 4)
}

type workflow struct {
	On          any               `json:"on"`
	Permissions map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		Permissions map[string]string `json:"permissions"`
		Uses        string            `json:"uses"`
		Steps       []struct {
			Uses string            `json:"uses"`
			With map[string]any    `json:"with"`
			Run  string            `json:"run"`
			Env  map[string]string `json:"env"`
		} `json:"steps"`
	} `json:"jobs"`
}

// Ensure a workflow may read the code and no more, but for the jobs of a release, each of which may do what it is for; that
// what it runs of others is of one commit; and that nothing from outside is pasted into a script.
func TestWorkflowsMayDoLittle(t *testing.T) {
	t.Parallel()
	mayWrite := map[string][]string{
		"release.yml/publish":  {"attestations", "id-token", "packages"},
		"release.yml/announce": {"contents"},
	}
	names, err := filepath.Glob(filepath.Join(root, ".github/workflows/*"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, file := range names {
		name := filepath.Base(file)
		var w workflow
		require.NoError(t, yaml.Unmarshal([]byte(read(t, ".github/workflows/"+name)), &w), name)
		require.NotNil(t, w.Permissions, "%s: without, a job may do whatever the repository's settings say", name)
		for _, level := range w.Permissions {
			assert.Equal(t, "read", level, name)
		}
		for job, j := range w.Jobs {
			var writes []string
			for scope, level := range j.Permissions {
				if level != "read" {
					writes = append(writes, scope)
				}
			}
			slices.Sort(writes)
			assert.Equal(t, mayWrite[name+"/"+job], writes, "%s: %s", name, job)
			for _, step := range j.Steps {
				where := fmt.Sprintf("%s: %s: %s%s", name, job, step.Uses, step.Run)
				if step.Uses != "" {
					assert.Regexp(t, `^[^@]+@[0-9a-f]{40}$`, step.Uses, where)
				}
				if strings.HasPrefix(step.Uses, "actions/checkout@") {
					assert.Equal(t, false, step.With["persist-credentials"], where)
				}
				assert.NotContains(t, step.Run, "${{", "%s: what others name can hold a command", where)
			}
		}
	}
}

// Ensure the versions behind commits are written beside them, for whoever reads and for what proposes newer ones.
func TestCommitsHaveVersions(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, ".yml") {
		for line := range strings.Lines(read(t, name)) {
			if strings.HasPrefix(name, ".github/") && regexp.MustCompile(`@[0-9a-f]{40}`).MatchString(line) {
				assert.Regexp(t, `@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+`, line, name)
			}
		}
	}
}
