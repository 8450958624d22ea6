package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

// Ensure docs/configuration.md lists the settings as the contract has them. Written by `task
// generate`.
func TestGeneratedDocument(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/configuration.md", "<!-- written by task generate -->\n", "<!-- end -->"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(data), begin)
	got, after, ends := strings.Cut(rest, end)
	require.True(t, begins && ends, "%s has no lines %q and %q", file, begin, end)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+document()+end+after), 0o644))
		return
	}
	assert.Equal(t, document(), got, "run: task generate")
}

// document returns two lists in Markdown: the settings, and the variables that others read.
func document() string {
	var b strings.Builder
	for _, s := range config.Settings() {
		text := "- **`" + s.Variable + "`**"
		if s.Default != "" {
			text += ", default `" + s.Default + "`"
		}
		text += ": " + s.Meaning + ". It must be " + s.Allowed + "."
		if len(s.Formerly) > 0 {
			text += " `" + strings.Join(s.Formerly, "`, `") + "` is still accepted."
		}
		if s.Secret {
			text += " It is a secret."
		}
		wrap(&b, text)
	}
	b.WriteString("\n## Read by libraries\n\nThe API depends on these variables too, " +
		"which its own code does not read.\n\n")
	for _, r := range config.RuntimeVariables() {
		wrap(&b, "- `"+r.Variable+"` ("+r.Reader+"): "+r.Meaning+".")
	}
	return b.String()
}

// wrap writes an entry of a list in lines of at most 100 columns.
func wrap(b *strings.Builder, text string) {
	column := 0
	for i, word := range strings.Fields(text) {
		width := utf8.RuneCountInString(word)
		switch {
		case i > 0 && column+1+width > 100:
			b.WriteString("\n  ")
			column = 2
		case i > 0:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += width
	}
	b.WriteString("\n")
}
