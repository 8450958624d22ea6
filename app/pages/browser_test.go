package pages_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

// patience is how long a condition may take to come about. Nothing passes or fails by how soon it does.
const patience = 2 * time.Minute

// browsers are the names that a Chromium goes by.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell", "chrome"}

// findBrowser returns the path of a Chromium: what CHROMIUM names, or the first that is installed.
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
		// A page that asked another host for anything would not get it, wherever the tests run.
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

// A server is an API on a port of its own, in front of an AWS of its own.
type server struct {
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
	return &server{url: "http://" + listener.Addr().String(), aws: a}
}

// A page is a tab of a browser in a profile of its own.
type page struct {
	context.Context //nolint:containedctx // it is what chromedp calls the tab
	t               *testing.T
	server          *server

	mu       sync.Mutex
	faults   []string // console errors, exceptions, violations of the Content-Security-Policy, requests to elsewhere
	requests []string // METHOD URL of each request
}

// newPage opens an empty tab, 1280 by 900. When the test ends, it fails if the browser found fault with the page.
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
	call(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}) // no tab of several has the focus otherwise
	p.do(chromedp.EmulateViewport(1280, 900))
	p.prefer("light")
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
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		p.faults = append(p.faults, "exception: "+string(text))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text, _ := json.Marshal(e.Args)
			p.faults = append(p.faults, "console: "+string(text))
		}
	case *log.EventEntryAdded:
		// The browser logs every answer that is an error, which some tests are about.
		if e.Entry.Source != log.EntrySourceNetwork && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			p.faults = append(p.faults, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *audits.EventIssueAdded:
		if violation := e.Issue.Details.ContentSecurityPolicyIssueDetails; violation != nil {
			p.faults = append(p.faults, fmt.Sprintf("violates %s: %s %s", violation.ViolatedDirective, violation.ContentSecurityPolicyViolationType, violation.BlockedURL))
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.Method+" "+e.Request.URL)
		if !strings.HasPrefix(e.Request.URL, p.server.url+"/") && !strings.HasPrefix(e.Request.URL, "blob:"+p.server.url+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			p.faults = append(p.faults, "asks elsewhere: "+e.Request.URL)
		}
	}
}

// sent returns the requests that begin so.
func (p *page) sent(start string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []string
	for _, request := range p.requests {
		if strings.HasPrefix(request, start) {
			found = append(found, request)
		}
	}
	return found
}

func (p *page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.Context, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		require.NoError(p.t, err, "%s", p.state())
	}
}

// call sends a command of the DevTools protocol.
func call[P, R any](p *page, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.Context, patience)
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

// prefer sets the colour scheme that the system asks for.
func (p *page) prefer(scheme string) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// evaluate returns what an expression is worth in the page, as JSON has it.
func evaluate[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.Context, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, expression)
	return value
}

// until waits until an expression is true in the page.
func (p *page) until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); !evaluate[bool](p, "!!("+expression+")"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(p.t, "it does not come true", "%s\n%s", expression, p.state())
		}
	}
}

// state is what the page shows, for a test that fails.
func (p *page) state() string {
	ctx, cancel := context.WithTimeout(p.Context, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`[...document.querySelectorAll("dialog[open]"), document.body].map((e) => e.innerText).join("\n--\n")`))
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

// names returns the names of the users that are shown.
func (p *page) names() []string {
	p.t.Helper()
	return evaluate[[]string](p, `[...document.querySelectorAll("#list .name")].map((e) => e.textContent)`)
}

// settled waits until a list is shown, or that there is none.
func (p *page) settled() {
	p.t.Helper()
	p.until(q("#list") + `?.getAttribute("aria-busy") === "false"`)
}

// do makes a request and requires its success.
func (s *server) do(t *testing.T, method, path, contentType, body, token string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Less(t, response.StatusCode, 300, "%s %s", method, path)
	return response
}

// create makes a user and returns the id.
func (s *server) create(t *testing.T, name, email string, face []byte) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"name": name, "email": email})
	require.NoError(t, err)
	id := filepath.Base(s.do(t, http.MethodPost, "/users", "application/json", string(body), "").Header.Get("Location"))
	if face != nil {
		s.do(t, http.MethodPut, "/users/"+id+"/avatar", "image/png", string(face), "")
	}
	return id
}

// list returns the users that the API has.
func (s *server) list(t *testing.T, token string) []listed {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/users", nil)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	var users []listed
	require.NoError(t, json.NewDecoder(response.Body).Decode(&users))
	return users
}

type listed struct {
	ID, Name, Email string
	AvatarURL       string `json:"avatar_url"`
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
