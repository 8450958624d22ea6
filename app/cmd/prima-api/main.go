// Command prima-api serves the directory of users over HTTP. Its settings are environment
// variables. prima-api -help lists them and the other commands.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"prima.internal/app/config"
)

// Stamped by the build: see Dockerfile and Taskfile.yml.
var (
	version  = "development"
	revision = "unknown"
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

const usage = `prima-api serves the directory of users over HTTP.

Usage:
  prima-api              serve
  prima-api check URL    create, read, list and delete a user of the API at URL, with the
                         access token in the variable API_TOKEN, if any
  prima-api sweep        remove the avatars that no user names and that are older than an hour,
                         which only a crash leaves behind; -help lists its flags
  prima-api token NAME SCOPE
                         make an access token with a scope of read, write or read+write, and the
                         entry of ACCESS_TOKENS that accepts it
  prima-api -version     print the version

Settings, from the environment:

`

// run returns the exit status: 0, 2 if the arguments or settings are wrong, 1 for other failures.
func run(args, environ []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		return serve(environ, stderr)
	}
	switch command, args := args[0], args[1:]; {
	case command == "check" && len(args) == 1:
		return runCheck(args[0], environ, stdout, stderr)
	case command == "sweep":
		return runSweep(args, environ, stdout, stderr)
	case command == "token":
		return runToken(args, stdout, stderr)
	case command == "-h" || command == "-help" || command == "--help":
		_, _ = fmt.Fprint(stdout, usage, config.Help())
		return 0
	case command == "-version" || command == "--version":
		_, _ = fmt.Fprintf(stdout, "prima-api %s (%s)\n", version, revision)
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "prima-api: unexpected argument %q; see prima-api -help\n", args[0])
	return 2
}

func wrongSettings(stderr io.Writer, err error) int {
	_, _ = fmt.Fprintf(stderr, "prima-api: wrong settings; see prima-api -help\n%v\n", err)
	return 2
}

// runToken prints a new access token. It returns the exit status.
func runToken(args []string, stdout, stderr io.Writer) int {
	if len(args) == 2 {
		token := config.NewToken()
		entry := fmt.Sprintf("%s:%x", strings.Join(args, ":"), config.HashToken(token))
		if _, valid := config.ParseAccessToken(entry); valid {
			_, _ = fmt.Fprintf(stdout, "token          %s\nACCESS_TOKENS  %s\n", token, entry)
			return 0
		}
	}
	_, _ = fmt.Fprintf(stderr, `prima-api token: the arguments %q must be NAME SCOPE:
NAME 1 to 63 lower-case letters, digits or hyphens, with no hyphen at its ends
SCOPE read, write or read+write
`, args)
	return 2
}
