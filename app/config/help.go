package config

import "strings"

// Markdown returns the contract as the two tables of the README.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| variable | default | must be | meaning |\n|---|---|---|---|\n")
	for _, s := range Settings() {
		meaning := s.Meaning
		if len(s.Formerly) > 0 {
			meaning += " (`" + strings.Join(s.Formerly, "`, `") + "` is still accepted)"
		}
		if s.Secret {
			meaning += " (secret)"
		}
		row(&b, code(s.Variable), code(s.Default), s.Allowed, meaning)
	}
	b.WriteString("\nRead by others than the API's own code:\n\n")
	b.WriteString("| variable | read by | meaning |\n|---|---|---|\n")
	for _, r := range RuntimeVariables() {
		row(&b, code(r.Variable), r.Reader, r.Meaning)
	}
	return b.String()
}

func row(b *strings.Builder, cells ...string) {
	for _, cell := range cells {
		b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// Help returns the contract as `prima-api -help` prints it.
func Help() string {
	settings := Settings()
	width := 0
	for _, s := range settings {
		width = max(width, len(s.Variable)+2)
	}
	indent := strings.Repeat(" ", width+2)
	var b strings.Builder
	for _, s := range settings {
		padding := strings.Repeat(" ", width-len(s.Variable))
		b.WriteString("  " + s.Variable + padding + plain(s.Meaning) + "\n")
		b.WriteString(indent + "must be " + plain(s.Allowed))
		if s.Default != "" {
			b.WriteString("; default " + s.Default)
		}
		if s.Secret {
			b.WriteString("; secret")
		}
		b.WriteString("\n")
		if len(s.Formerly) > 0 {
			b.WriteString(indent + strings.Join(s.Formerly, ", ") + " is still accepted\n")
		}
	}
	b.WriteString("\nRead by others than the API's own code:\n")
	for _, r := range RuntimeVariables() {
		b.WriteString("  " + r.Variable + " (" + r.Reader + "): " + plain(r.Meaning) + "\n")
	}
	return b.String()
}

// plain drops the marks of Markdown.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }
