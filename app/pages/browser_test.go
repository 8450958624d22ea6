package pages_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/api"
	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

// timeout bounds everything that a test waits for, on however slow a machine.
const timeout = 2 * time.Minute

// picture is the file of a face.
var picture, _ = filepath.Abs("testdata/faces/ada.png")

// chromium is one process for all tests. errBrowser is why it did not start.
var (
	chromium   context.Context
	errBrowser error
)

func TestMain(m *testing.M) {
	options := []chromedp.ExecAllocatorOption{
		chromedp.DisableGPU,
		// No page gets anything from another host, wherever the tests run.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("lang", "en"),
	}
	if path := os.Getenv("CHROMIUM"); path != "" { // otherwise one that is installed
		options = append(options, chromedp.ExecPath(path))
	}
	var end context.CancelFunc
	//nolint:fatcontext // it is the parent of every tab
	chromium, end = chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(options...))
	errBrowser = chromedp.Do(chromium)
	status := m.Run()
	end()
	os.Exit(status)
}

// A server is an API on a port of its own, in front of an AWS of its own, with a client.
type server struct {
	*apitest.Client
	url string
	aws *awstest.AWS
}

// serve serves until the test ends, with the default configuration as change left it.
func serve(t *testing.T, change func(*config.Config)) *server {
	t.Helper()
	a := awstest.Start(t)
	change(&a.Config)
	users, avatars := dynamo.New(a.SDK, a.Config), bucket.New(a.SDK, a.Config)
	logger := slog.New(slog.DiscardHandler)
	s := api.New(a.Config, &user.Service{Users: users, Avatars: avatars, Log: logger}, nil, logger)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() {
		assert.NoError(t, s.Shutdown(context.Background()))
		assert.NoError(t, <-served)
	})
	url := "http://" + listener.Addr().String()
	return &server{apitest.NewClient(t, url, apitest.Options{PublicURL: a.Config.PublicURL}), url, a}
}

func defaults(*config.Config) {}

// A page is a tab of the browser.
type page struct {
	context.Context //nolint:containedctx // it is what chromedp calls the tab
	t               *testing.T
	server          *server

	mu       sync.Mutex
	faults   []string // errors of the console and of scripts, and what the policy forbids
	requests []string // METHOD URL of each request
}

// newPage opens a path in a tab of 1280 by 900. At its end, the test fails if the browser found
// fault with the page.
func newPage(t *testing.T, s *server, path string) *page {
	t.Helper()
	if errors.Is(errBrowser, exec.ErrNotFound) {
		t.Skipf("skipped: no Chromium is installed, and CHROMIUM names none: %v", errBrowser)
	}
	require.NoError(t, errBrowser)
	tab, end := chromedp.NewContext(chromium)
	t.Cleanup(end)
	p := &page{Context: tab, t: t, server: s}
	require.NoError(t, chromedp.Do(tab))
	require.NoError(t, chromedp.Listen(tab, p.observe))
	call(p, network.Enable, network.EnableParams{})
	call(p, runtime.Enable, cdp.Empty{})
	call(p, log.Enable, cdp.Empty{})
	call(p, audits.Enable, cdp.Empty{})
	// Otherwise no tab of several has the focus.
	call(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	p.view("light", 1280, 900)
	p.open(path)
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		assert.Empty(t, p.faults)
	})
	return p
}

func (p *page) observe(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fault := func(what string, about any) {
		text, _ := json.Marshal(about)
		p.faults = append(p.faults, what+": "+string(text))
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault("exception", e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			fault("console", e.Args)
		}
	case *log.EventEntryAdded:
		serious := e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning
		// The browser logs each response that is an error, which some tests are about.
		if serious && e.Entry.Source != log.EntrySourceNetwork {
			fault("log", e.Entry)
		}
	case *audits.EventIssueAdded:
		if violation := e.Issue.Details.ContentSecurityPolicyIssueDetails; violation != nil {
			fault("policy", violation)
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.Method+" "+e.Request.URL)
		own := strings.TrimPrefix(e.Request.URL, "blob:")
		if !strings.HasPrefix(own, p.server.url+"/") && !strings.HasPrefix(own, "data:") {
			fault("a request to elsewhere", e.Request.URL)
		}
	}
}

// sent returns the requests, "METHOD URL", that begin so.
func (p *page) sent(start string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.requests), func(r string) bool { return !strings.HasPrefix(r, start) })
}

// run does something in the page. If that fails, the test says what the page shows.
func run[T any](p *page, action chromedp.Action[T]) T {
	ctx, cancel := context.WithTimeout(p.Context, timeout)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		text, _ := chromedp.Run(p.Context, chromedp.Evaluate[string]("document.body.innerText"))
		require.NoError(p.t, err, "%s\n%s", p.server.url, text)
	}
	return value
}

// call sends a command of the DevTools protocol.
func call[P, R any](p *page, command cdp.Command[P, R], params P) R {
	result, err := chromedp.Call(p.Context, command, params)
	require.NoError(p.t, err, command.Method)
	return result
}

// evaluate returns the value of an expression in the page, in which $ and $$ find one element and
// all elements of a selector.
func evaluate[T any](p *page, expression string, args ...any) T {
	const find = "const $ = (s) => document.querySelector(s), $$ = (s) => [...document.querySelectorAll(s)]; "
	script := "(async () => { " + find + "return " + fmt.Sprintf(expression, args...) + "; })()"
	return run(p, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// until waits until an expression is true in the page.
func (p *page) until(expression string, args ...any) {
	wait := "(async () => { while (!(%s)) await new Promise((next) => setTimeout(next, 30)); })()"
	evaluate[chromedp.Void](p, wait, fmt.Sprintf(expression, args...))
}

// open goes to a path of the server.
func (p *page) open(path string) {
	run(p, chromedp.Navigate(p.server.url+path))
}

// view sets the color scheme that the system asks for, and the size of the window.
func (p *page) view(scheme string, width, height int64) {
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	run(p, chromedp.EmulateViewport(width, height))
}

// shows waits until an element shows a text, among others.
func (p *page) shows(selector, text string) {
	p.until("$(%[1]q)?.checkVisibility() && $(%[1]q).innerText.includes(%[2]q)", selector, text)
}

// click presses the left button of the mouse over an element that is enabled, does not move and is
// not covered.
func (p *page) click(selector string) {
	at := evaluate[[]float64](p, `(async () => {
		for (let at, before; ; before = String(at), await new Promise((next) => setTimeout(next, 20))) {
			const e = $(%q);
			if (!e || e.disabled) continue;
			e.scrollIntoView({ block: "nearest" });
			const { left, top, width, height } = e.getBoundingClientRect();
			at = [left + width / 2, top + height / 2];
			if (String(at) === before && e.contains(document.elementFromPoint(...at))) return at;
		}
	})()`, selector)
	run(p, chromedp.MouseClickXY(at[0], at[1]))
}

// press presses keys, or types text.
func (p *page) press(keys ...string) {
	for _, key := range keys {
		run(p, chromedp.KeyEvent(key))
	}
}

// fill puts a text in place of what an input has.
func (p *page) fill(selector, text string) {
	p.until("$(%q)?.checkVisibility()", selector)
	evaluate[chromedp.Void](p, "($(%[1]q).focus(), $(%[1]q).select())", selector)
	call(p, input.InsertText, input.InsertTextParams{Text: text})
	require.Equal(p.t, text, evaluate[string](p, "$(%q).value", selector))
}

// write puts a file where the browser can pick it up.
func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}
