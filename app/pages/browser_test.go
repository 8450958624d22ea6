package pages_test

import (
	"context"
	"encoding/json"
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

// browsers are the names that a Chromium goes by.
var browsers = []string{
	"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell", "chrome",
}

// findBrowser returns the path of a Chromium: the one that CHROMIUM names, or the first that is
// installed.
var findBrowser = sync.OnceValues(func() (string, error) {
	if named := os.Getenv("CHROMIUM"); named != "" {
		return exec.LookPath(named)
	}
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("none of %s is installed, and CHROMIUM names none", strings.Join(browsers, ", "))
})

// chromium is one process for all tests, each of which has a profile of its own in it.
var chromium context.Context

func TestMain(m *testing.M) {
	path, err := findBrowser()
	if err != nil {
		os.Exit(m.Run()) // newPage says so for each test
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Flag("disable-dev-shm-usage", true),
		// No page gets anything from another host, wherever the tests run.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("lang", "en"),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	var end context.CancelFunc
	chromium, end = chromedp.NewContext(allocator) //nolint:fatcontext // it is the parent of every tab
	if err := chromedp.Do(chromium); err != nil {
		fmt.Fprintln(os.Stderr, "start", path+":", err)
		os.Exit(1)
	}
	status := m.Run()
	end()
	stop()
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
	if change != nil {
		change(&a.Config)
	}
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

// create makes a user, with a face unless its seed is 0, and returns the id.
func (s *server) create(t *testing.T, name, email string, seed uint64) string {
	t.Helper()
	if seed == 0 {
		return s.CreateJSON(t, name, email).ID
	}
	return s.CreateForm(t, name, email, face(t, seed)).ID
}

// A page is a tab of a browser in a profile of its own.
type page struct {
	context.Context //nolint:containedctx // it is what chromedp calls the tab
	t               *testing.T
	server          *server

	mu       sync.Mutex
	faults   []string // errors of the console and of scripts, and what the policy forbids
	requests []string // METHOD URL of each request
}

// newPage opens an empty tab, 1280 by 900. At its end, the test fails if the browser found fault
// with the page.
func newPage(t *testing.T, s *server) *page {
	t.Helper()
	if _, err := findBrowser(); err != nil {
		t.Skipf("skipped: %v", err)
	}
	tab, end := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
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
	fault := func(format string, args ...any) { p.faults = append(p.faults, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		fault("exception: %s", text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text, _ := json.Marshal(e.Args)
			fault("console: %s", text)
		}
	case *log.EventEntryAdded:
		serious := e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning
		// The browser logs each response that is an error, which some tests are about.
		if serious && e.Entry.Source != log.EntrySourceNetwork {
			fault("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if v := e.Issue.Details.ContentSecurityPolicyIssueDetails; v != nil {
			fault("violates %s: %s %s", v.ViolatedDirective, v.ContentSecurityPolicyViolationType, v.BlockedURL)
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.Method+" "+e.Request.URL)
		own := strings.TrimPrefix(e.Request.URL, "blob:")
		if !strings.HasPrefix(own, p.server.url+"/") && !strings.HasPrefix(own, "data:") {
			fault("a request to elsewhere: %s", e.Request.URL)
		}
	}
}

// sent returns the requests, "METHOD URL", that begin so.
func (p *page) sent(start string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.requests), func(r string) bool { return !strings.HasPrefix(r, start) })
}

func (p *page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.Context, timeout)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		require.NoError(p.t, err, "%s", p.state())
	}
}

// call sends a command of the DevTools protocol.
func call[P, R any](p *page, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.Context, timeout)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	require.NoError(p.t, err, command.Method)
	return result
}

// open goes to a path of the server.
func (p *page) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.server.url + path))
}

// view sets the colour scheme that the system asks for, and the size of the window.
func (p *page) view(scheme string, width, height int64, options ...chromedp.EmulateViewportOption) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	p.do(chromedp.EmulateViewport(width, height, options...))
}

// evaluate returns the value of an expression in the page.
func evaluate[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.Context, timeout)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, expression)
	return value
}

// until waits until an expression is true in the page.
func (p *page) until(expression string) {
	p.t.Helper()
	end := time.Now().Add(timeout)
	for ; !evaluate[bool](p, "!!("+expression+")"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(p.t, "it does not come true", "%s\n%s", expression, p.state())
		}
	}
}

// state is what the page shows, for a test that fails.
func (p *page) state() string {
	ctx, cancel := context.WithTimeout(p.Context, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		`[...document.querySelectorAll("dialog[open]"), document.body].map((e) => e.innerText).join("\n--\n")`))
	if err != nil {
		return err.Error()
	}
	return text
}

// q makes an element of a selector in an expression.
func q(selector string) string { return "document.querySelector(" + quote(selector) + ")" }

func quote(s string) string {
	text, _ := json.Marshal(s) // of a string
	return string(text)
}

// shows waits until an element shows a text, among others.
func (p *page) shows(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("%[1]s?.checkVisibility() && %[1]s.innerText.includes(%[2]s)", q(selector), quote(text)))
}

// click presses the left button of the mouse over an element, once that is where it can be.
func (p *page) click(selector string) {
	p.t.Helper()
	p.until(q(selector) + "?.checkVisibility() && !" + q(selector) + ".disabled")
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// fill puts a text in place of what an input has.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.until(q(selector) + "?.checkVisibility()")
	p.do(chromedp.Focus(chromedp.CSS(selector)))
	evaluate[chromedp.Void](p, q(selector)+".select()")
	call(p, input.InsertText, input.InsertTextParams{Text: text})
	require.Equal(p.t, text, evaluate[string](p, q(selector)+".value"))
}

// texts returns the texts of the elements of a selector.
func (p *page) texts(selector string) []string {
	p.t.Helper()
	return evaluate[[]string](p, "[...document.querySelectorAll("+quote(selector)+")].map((e) => e.textContent)")
}

// names returns the names of the users that are shown.
func (p *page) names() []string {
	p.t.Helper()
	return p.texts("#list .name")
}

// enter fills in the form of a user.
func (p *page) enter(name, email string) {
	p.t.Helper()
	p.fill("#name", name)
	p.fill("#email", email)
}

// save sends the form of a user and waits until it is closed.
func (p *page) save() {
	p.t.Helper()
	p.click("#editor-save")
	p.closes("#editor")
}

// closes waits until a dialog is closed.
func (p *page) closes(selector string) {
	p.t.Helper()
	p.until("!" + q(selector) + ".open")
}

// focus returns a property of the element that has the focus.
func (p *page) focus(property string) string {
	p.t.Helper()
	return evaluate[string](p, "document.activeElement."+property)
}

// settled waits until a list is shown, or that there is none.
func (p *page) settled() {
	p.t.Helper()
	p.until(q("#list") + `?.getAttribute("aria-busy") === "false"`)
}

// write puts a file where the browser can pick it up.
func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// pick chooses a file for the input of the picture.
func (p *page) pick(file string) {
	p.t.Helper()
	p.do(chromedp.SetUploadFiles(chromedp.CSS("#avatar"), []string{file}))
}
