package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
)

// A block of commands in a document: a script or, with prompts, a session whose output is shown.
var block = regexp.MustCompile("(?ms)^```(sh|console)\n(.*?)^```$")

// Ensure the curl commands in the documents work and print what the documents show, in which …
// stands for any text.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("skipped: no curl")
	}
	for _, file := range []string{"README.md", "docs/api.md"} {
		a := awstest.Start(t)
		p := start(t, a.Environ()...)
		text, err := os.ReadFile("../../../" + file)
		require.NoError(t, err)
		ran := 0
		for _, found := range block.FindAllStringSubmatch(string(text), -1) {
			kind, commands := found[1], found[2]
			if !strings.Contains(commands, "curl ") {
				continue
			}
			ran++
			if kind == "sh" {
				p.shell(t, `curl() { command curl -sf "$@"; }
					ID=$(curl -F name=Ada -F email=ada@example.com localhost:5000/users | grep -o '"id":"[^"]*' | cut -c7-)
					`+commands)
				continue
			}
			for session := range strings.SplitSeq(commands, "$ ") {
				if command, shown, _ := strings.Cut(session, "\n"); strings.HasPrefix(command, "curl ") {
					want := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(shown)), "…", ".*")
					assert.Regexp(t, "^"+want+"$", p.shell(t, command), "%s: %s", file, command)
				}
			}
		}
		assert.Positive(t, ran, file)
	}
}

// shell runs commands for localhost:5000 against the program and returns what they print.
func (p *process) shell(t *testing.T, commands string) string {
	t.Helper()
	host := strings.TrimPrefix(p.url, "http://")
	c := exec.CommandContext(t.Context(), "sh", "-e", "-c", strings.ReplaceAll(commands, "localhost:5000", host))
	c.Dir = "../../.."
	output, err := c.Output()
	require.NoError(t, err, commands)
	return strings.ReplaceAll(strings.TrimSpace(string(output)), host, "localhost:5000")
}
