package main

import (
	"fmt"
	"io"

	"prima.internal/app/config"
)

// runToken makes an access token. It returns the exit status.
func runToken(args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 {
		_, _ = fmt.Fprintln(stderr, "prima-api token: usage: prima-api token NAME SCOPE, with a scope of read, write or read+write")
		return 2
	}
	token := config.NewToken()
	read, write, ok := config.ParseScope(args[1])
	entry := config.AccessToken{Name: args[0], Read: read, Write: write, Hash: config.HashToken(token)}
	if !ok {
		_, _ = fmt.Fprintf(stderr, "prima-api token: the scope %q must be read, write or read+write\n", args[1])
		return 2
	}
	if _, ok := config.ParseAccessToken(entry.String()); !ok {
		_, _ = fmt.Fprintf(stderr, "prima-api token: the name %q must be 1 to 63 lower-case letters, digits or hyphens, with no hyphen at its ends\n", args[0])
		return 2
	}
	_, _ = fmt.Fprintf(stdout, "token          %s\nACCESS_TOKENS  %s\n", token, entry)
	return 0
}
