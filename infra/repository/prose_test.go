// Package repository tests the documents, and the versions of tools.
package repository_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(data)
}

// files returns the names of the files that have an ending.
func files(t *testing.T, endings ...string) (names []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", ".pulumi", "bin", "tmp"}, name):
			return fs.SkipDir
		case !entry.IsDir() && slices.Contains(endings, path.Ext(name)):
			names = append(names, name)
		}
		return nil
	}))
	require.NotEmpty(t, names)
	return names
}

// matches returns what the first group of an expression matches.
func matches(expression, text string) (found []string) {
	for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// Ensure a link from one document to another file leads somewhere, and to a heading that is there.
func TestLinks(t *testing.T) {
	t.Parallel()
	punctuation := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, name := range files(t, ".md") {
		for _, link := range matches(`\]\(([^)\s:]+)\)`, read(t, name)) {
			file, fragment, _ := strings.Cut(link, "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			_, err := os.Stat(filepath.Join(root, target))
			if !assert.NoError(t, err, "%s: %s", name, link) || fragment == "" {
				continue
			}
			var headings []string // as GitHub makes fragments of them
			for _, heading := range matches(`(?m)^#+ +(.+)$`, read(t, target)) {
				heading = punctuation.ReplaceAllString(strings.ToLower(heading), "")
				headings = append(headings, strings.ReplaceAll(heading, " ", "-"))
			}
			assert.Contains(t, headings, fragment, "%s: %s", name, link)
		}
	}
}

// Ensure the tests and files that documents name exist. A file may be named without its folder.
func TestNames(t *testing.T) {
	t.Parallel()
	code, all := "", "\n"
	for _, name := range files(t, ".go", ".md", ".yaml", ".yml", ".toml", ".json") {
		all += "/" + name + "\n"
		if path.Ext(name) == ".go" {
			code += read(t, name)
		}
	}
	for _, name := range files(t, ".md") {
		text := read(t, name)
		for _, test := range matches(`\b((?:Test|Fuzz)[A-Z]\w*…?)`, text) {
			begin, more := strings.CutSuffix(test, "…") // TestSweep… is several
			assert.True(t, strings.Contains(code, "\nfunc "+begin+"(") || more && strings.Contains(code, "\nfunc "+begin),
				"%s: there is no %s", name, test)
		}
		const folder, ending = `(?:app|infra|bench|docs|scripts|\.github|\.ci)/[\w./-]+`, `\w[\w./-]*\.(?:go|md|ya?ml|toml|json)`
		for _, file := range matches("`("+folder+"|"+ending+")`", text) {
			_, err := os.Stat(filepath.Join(root, file))
			assert.True(t, err == nil || strings.Contains(all, "/"+file+"\n"), "%s: there is no %s", name, file)
		}
	}
}

// Ensure documents and comments have at most 100 columns. Tables, code, links and generated files
// may be wider.
func TestWidth(t *testing.T) {
	t.Parallel()
	comment := regexp.MustCompile(`^\s*//\s`)
	generated := regexp.MustCompile(`(?m)^// Code generated|^<!-- Generated`)
	for _, name := range files(t, ".md", ".go") {
		text, code := read(t, name), false
		if generated.MatchString(text) {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			code = code != strings.HasPrefix(strings.TrimSpace(line), "```")
			prose := comment.MatchString(line)
			if path.Ext(name) == ".md" {
				prose = !code && !strings.HasPrefix(line, "|")
			}
			wide := utf8.RuneCountInString(line) > 100 && !strings.Contains(line, "](") && !strings.Contains(line, "://")
			assert.False(t, prose && wide, "%s:%d is too wide", name, i+1)
		}
	}
}
