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
		limits := "must be " + plain(s.Allowed)
		if s.Default != "" {
			limits += "; default " + s.Default
		}
		if s.Secret {
			limits += "; secret"
		}
		fmt.Fprintf(&b, "  %-*s%s\n  %*s%s\n", width, s.Variable, plain(s.Meaning), width, "", limits)
		if len(s.Formerly) > 0 {
			fmt.Fprintf(&b, "  %*s%s is still accepted\n", width, "", strings.Join(s.Formerly, ", "))
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
