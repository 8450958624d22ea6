package repository_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// maxColumns is how wide a line of Markdown or of a comment may be.
const maxColumns = 100

var (
	comment   = regexp.MustCompile(`^\s*//\s`)
	generated = regexp.MustCompile(`(?m)^// Code generated|^<!-- Generated`)
)

// Ensure documents and comments are narrow. Tables, code, links and generated files may be wider.
func TestWidth(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, ".md", ".go") {
		text, code := read(t, name), false
		if generated.MatchString(text) {
			continue
		}
		markdown := strings.HasSuffix(name, ".md")
		for i, line := range strings.Split(text, "\n") {
			code = code != strings.HasPrefix(strings.TrimSpace(line), "```")
			prose := comment.MatchString(line)
			if markdown {
				prose = !code && !strings.HasPrefix(line, "|")
			}
			if prose && !strings.Contains(line, "](") && !strings.Contains(line, "://") {
				assert.LessOrEqual(t, utf8.RuneCountInString(line), maxColumns, "%s:%d is too wide", name, i+1)
			}
		}
	}
}
