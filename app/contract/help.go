package contract

import (
	"fmt"
	"strings"
)

// Help returns the settings, and the variables that others read, as a program prints them.
func Help(settings []Setting, runtime []RuntimeVariable) string {
	width := 0
	for _, s := range settings {
		width = max(width, len(s.Variable)+2)
	}
	var b strings.Builder
	for _, s := range settings {
		lines := []string{plain(s.Meaning), "must be " + plain(s.Allowed)}
		if s.Default != "" {
			lines[1] += "; default " + s.Default
		}
		if s.Secret {
			lines[1] += "; secret"
		}
		if len(s.Formerly) > 0 {
			lines = append(lines, strings.Join(s.Formerly, ", ")+" is still accepted")
		}
		name := s.Variable
		for _, line := range lines {
			fmt.Fprintf(&b, "  %-*s%s\n", width, name, line)
			name = ""
		}
	}
	b.WriteString("\nRead by others than the API's own code:\n")
	for _, r := range runtime {
		fmt.Fprintf(&b, "  %s (%s): %s\n", r.Variable, r.Reader, plain(r.Meaning))
	}
	return b.String()
}

// plain drops the marks of Markdown.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }
