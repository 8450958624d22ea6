//go:build emulators

package apitest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/sivchari/kumo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/app/emulator"
)

// A target is an emulator of AWS. gaps has the subtests in which it differs from AWS, with what AWS
// documents. A gap that no longer exists fails the test.
type target struct {
	name, version string
	command       []string          // {port} stands for the port; nil is kumo, in this process
	dynamoDB      string            // the emulator of DynamoDB, if it is another
	gaps          map[string]string // by the name of the subtest
}

var emulators = []target{
	{name: "kumo", version: "0.33.1"},
	{name: "moto", version: "5.2.5", command: []string{"emulators/bin/moto_server", "-H", "127.0.0.1", "-p", "{port}"}},
	{name: "ministack", version: "1.5.33", command: []string{"emulators/bin/ministack"}},
	{
		name: "localstack", version: "4.14.0", dynamoDB: "kumo",
		command: []string{"localstack/bin/python", "-m", "localstack.runtime.main"},
	},
}

// Ensure the API passes the suite on emulators that others wrote; or on the one at
// AWS_ENDPOINT_URL, if it is set. EMULATORS is the folder with prima-api and what runs them.
func TestEmulators(t *testing.T) {
	table := new(strings.Builder)
	w := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "emulator\tversion\tpassed\tfailed\tseconds")
	for _, e := range emulators {
		t.Run(e.name, func(t *testing.T) {
			endpoint := os.Getenv("AWS_ENDPOINT_URL")
			if endpoint != "" && e.name != "localstack" {
				t.Skip("AWS_ENDPOINT_URL is LocalStack")
			}
			if _, err := os.Stat(folder(first(e.command))); endpoint == "" && err != nil {
				_, _ = fmt.Fprintf(w, "%s\t%s\tskipped\t\t\n", e.name, e.version)
				t.Skip(err)
			}
			start := time.Now()
			storage := endpoint
			if storage == "" {
				storage = e.start(t)
			}
			database := storage
			if e.dynamoDB == "kumo" && endpoint == "" {
				database = target{}.start(t)
			}
			prepare(t, storage, database)
			passed, failed := runSuite(t, serve(t, storage, database))
			seconds := time.Since(start).Seconds()
			_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.0f\n", e.name, e.version, passed, len(failed), seconds)
			for name, output := range failed {
				if reason, known := e.gaps[name]; known {
					t.Logf("a gap of the emulator: %s: %s", name, reason)
				} else {
					t.Errorf("%s:\n%s", name, output)
				}
			}
			for name := range e.gaps {
				assert.Contains(t, slices.Collect(maps.Keys(failed)), name, "the gap is closed: take it from the list")
			}
		})
	}
	require.NoError(t, w.Flush())
	fmt.Println(table)
}

func first(command []string) string { return append(command, "")[0] }

func folder(name string) string { return filepath.Join(os.Getenv("EMULATORS"), name) }

// start runs the emulator until the test ends and returns its URL.
func (e target) start(t *testing.T) string {
	t.Helper()
	if e.command == nil {
		server := kumo.NewServer()
		t.Cleanup(server.Close)
		return server.URL
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, port, _ := net.SplitHostPort(address)
	var args []string
	for _, arg := range e.command[1:] {
		args = append(args, strings.ReplaceAll(arg, "{port}", port))
	}
	run(t, nil, folder(e.command[0]), args, "GATEWAY_PORT="+port, "BIND_HOST=127.0.0.1", "GATEWAY_LISTEN="+address,
		"SERVICES=s3,dynamodb", "DNS_ADDRESS=0", "SKIP_SSL_CERT_DOWNLOAD=1", "DISABLE_EVENTS=1",
		"OVERRIDE_IN_DOCKER=0", "FILESYSTEM_ROOT="+t.TempDir(), "TMPDIR="+t.TempDir())
	return "http://" + address
}

// run runs a program until the test ends. line gets its output; a failure shows the end of it.
func run(t *testing.T, line func(string), program string, args []string, environ ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Env = append(slices.Clone(environ), "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(),
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_DEFAULT_REGION="+config.Default().Region, "AWS_EC2_METADATA_DISABLED=true")
	c.WaitDelay = 5 * time.Second
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	c.Stderr = c.Stdout
	require.NoError(t, c.Start())
	var last []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			last = append(last, lines.Text())[max(0, len(last)-50):]
			if line != nil {
				line(lines.Text())
			}
		}
	}()
	t.Cleanup(func() { // after t.Context() is done, which interrupts the program
		<-done
		_ = c.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", program, strings.Join(last, "\n"))
		}
	})
}

// prepare makes the resources of the contract, once the emulators respond.
func prepare(t *testing.T, storage, database string) {
	t.Helper()
	c := config.Default()
	sdk := aws.Config{Region: c.Region, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	db, _ := emulator.Clients(sdk, database)
	_, objects := emulator.Clients(sdk, storage)
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		// All of the kumos in a process share their tables, so one may exist.
		require.NoError(collect, emulator.Create(t.Context(), db, objects, c.Resources()))
	}, 2*time.Minute, time.Second)
}

var listening = regexp.MustCompile(`"msg":"listening","address":"[^"]*:(\d+)"`)

// serve runs the API and returns its URL once it is ready.
func serve(t *testing.T, storage, database string) string {
	t.Helper()
	ports := make(chan string, 1)
	run(t, func(line string) {
		if found := listening.FindStringSubmatch(line); found != nil {
			select {
			case ports <- found[1]:
			default:
			}
		}
	}, folder("prima-api"), nil, "PORT=0", "ADMIN_PORT=0", "DRAIN_TIME=0s",
		"AWS_ENDPOINT_URL="+storage, "AWS_ENDPOINT_URL_DYNAMODB="+database)
	var url string
	select {
	case port := <-ports:
		url = "http://127.0.0.1:" + port
	case <-time.After(time.Minute):
		require.Fail(t, "the API does not listen")
	}
	require.Eventually(t, func() bool {
		response, err := http.Get(url + config.PathReady)
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, time.Minute, 100*time.Millisecond)
	return url
}

// runSuite runs the suite against the API. It returns how many subtests passed, and what those that
// failed have printed, without those that failed because of a subtest of theirs.
func runSuite(t *testing.T, url string) (passed int, failed map[string]string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-json", "-tags", "url", "-run", "^TestURL$", ".")
	c.Env = append(os.Environ(), "API_URL="+url)
	out, _ := c.Output() // the events say what failed
	outputs := map[string]string{}
	failed = map[string]string{}
	for event := range bytes.Lines(out) {
		var e struct{ Action, Test, Output string }
		require.NoError(t, json.Unmarshal(event, &e), "%s", event)
		name := strings.TrimPrefix(e.Test, "TestURL/")
		switch outputs[name] += e.Output; e.Action {
		case "pass":
			passed++
		case "fail":
			if !slices.ContainsFunc(slices.Collect(maps.Keys(failed)), func(sub string) bool {
				return strings.HasPrefix(sub, name+"/") || name == "TestURL" || name == ""
			}) {
				failed[name] = outputs[name]
			}
		}
	}
	require.Positive(t, passed, "%s", out)
	return passed, failed
}
