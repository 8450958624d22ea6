package pages_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// axeVersion is of https://github.com/dequelabs/axe-core, which the tests get from npm.
const axeVersion = "4.10.3"

// axe returns the source of axe-core, or why it cannot be had.
var axe = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "axe")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, "axe-core@"+axeVersion).Run(); err != nil {
		return "", err
	}
	source, err := os.ReadFile(filepath.Join(folder, "node_modules", "axe-core", "axe.min.js"))
	return string(source), err
})

// axe returns what has axe-core look for what is wrong with the elements of a selector as they are. Without axe-core
// it skips the test.
func (p *page) axe() func(what, selector string) {
	p.t.Helper()
	source, err := axe()
	if err != nil {
		p.t.Skipf("skipped: no axe-core: %v", err)
	}
	return func(what, selector string) {
		p.t.Helper()
		evaluate[chromedp.Void](p, source)
		assert.Empty(p.t, evaluate[[]string](p, `axe.run(`+quote(selector)+`, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html + " " + n.failureSummary).join("\n")))`), what)
	}
}

// Ensure axe-core finds nothing wrong with the page of the users: list, form with an error, question, in both schemes and narrow.
func TestAxe(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for i, name := range []string{"Ada", "Grace Hopper", "Bob", "Carol", "Dave", "Erin", "Frank", "Heidi"} {
		var drawn []byte
		if i == 0 {
			drawn = face(t, 1)
		}
		s.create(t, name, "a@example.com", drawn)
	}
	p := newPage(t, s)
	check := p.axe()
	for scheme, width := range map[string]int64{"light": 1280, "dark": 320} { // colours are the scheme's, the layout is the width's
		p.prefer(scheme)
		p.do(chromedp.EmulateViewport(width, 900))
		p.open("/")
		p.shows("#list", "Ada")
		check(scheme+" list", "html")
		p.click("#add")
		p.click("#editor-save")
		p.shows("#name-error", "Enter a name.")
		check(scheme+" form", "html")
		p.click("#editor-cancel")
		p.click("#list .delete")
		check(scheme+" question", "html")
		p.click("#confirm-cancel")
	}
	// It can find something.
	evaluate[chromedp.Void](p, q("#list .edit")+`.removeAttribute("aria-label")`)
	assert.Contains(t, evaluate[[]string](p, `axe.run().then((r) => r.violations.map((v) => v.id))`), "button-name")
}

// Ensure a screen reader is told what everything is and what it is called.
func TestRoles(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.create(t, "Ada", "ada@example.com", face(t, 1))
	p := newPage(t, s)
	p.open("/")
	p.shows("#list", "Ada")
	assert.Subset(t, p.roles(), []string{"banner ", "main ", "navigation Pages", "link Users", "link API", "heading Users", "button Add user", "list Users", "heading Ada", "button Edit Ada", "button Delete Ada", "status "})
	p.click("#add")
	p.click("#editor-save")
	p.shows("#name-error", "Enter a name.")
	assert.Subset(t, p.roles(), []string{"dialog Add a user", "textbox Name", "textbox E-mail", "button Choose a picture", "button Cancel", "button Add", "alert "})
	p.click("#editor-cancel")
	p.click("#list .delete")
	assert.Subset(t, p.roles(), []string{"alertdialog Delete Ada?", "button Keep", "button Delete"})
}

// roles returns the role and name of everything that the accessibility tree shows.
func (p *page) roles() []string {
	p.t.Helper()
	var found []string
	for _, node := range call(p, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if node.Ignored || node.Role == nil {
			continue
		}
		name := ""
		if node.Name != nil {
			name = text(node.Name.Value)
		}
		found = append(found, text(node.Role.Value)+" "+name)
	}
	return found
}

// Ensure everything can be done by the keyboard alone, and the focus is always where it can be seen.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := newPage(t, s)
	p.open("/")
	p.shows("#empty", "Nobody is here yet")
	p.do(chromedp.KeyEvent(kb.Tab))
	assert.Equal(t, "Skip to the users", evaluate[string](p, "document.activeElement.textContent"))
	p.tabTo("#add")
	assert.NotEqual(t, "none", evaluate[string](p, "getComputedStyle(document.activeElement).outlineStyle"))
	p.do(chromedp.KeyEvent(kb.Enter))
	p.until(q("#editor") + ".open")
	p.do(chromedp.KeyEvent("Ada"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("ada@example.com"), chromedp.KeyEvent(kb.Enter))
	p.shows("#list", "Ada")
	p.until("!" + q("#editor") + ".open")
	assert.Equal(t, "add", evaluate[string](p, "document.activeElement.id"))
	p.tabTo("#list .edit")
	p.do(chromedp.KeyEvent(" "))
	p.until(q("#editor") + ".open")
	p.do(chromedp.KeyEvent(kb.Escape))
	p.until("!" + q("#editor") + ".open")
	p.tabTo("#list .delete")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.until(q("#confirm") + ".open")
	assert.Equal(t, "confirm-cancel", evaluate[string](p, "document.activeElement.id"), "what does no harm comes first")
	p.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	p.shows("#empty", "Nobody is here yet")
	require.Empty(t, s.list(t, ""))
}

// tabTo presses Tab until an element has the focus.
func (p *page) tabTo(selector string) {
	p.t.Helper()
	for range 30 {
		if evaluate[bool](p, "document.activeElement === "+q(selector)) {
			return
		}
		p.do(chromedp.KeyEvent(kb.Tab))
	}
	require.FailNow(p.t, "Tab does not lead there", selector)
}

// text returns a value of the tree that is a string, "" if it is none.
func text(value []byte) string {
	var s string
	_ = json.Unmarshal(value, &s)
	return s
}

// Ensure axe-core finds nothing wrong with the description: its list, an operation that is open and the dialog for a token, in both
// schemes and narrow.
func TestAxeDocs(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := newPage(t, s)
	check := p.axe()
	for scheme, width := range map[string]int64{"light": 1280, "dark": 320} { // colours are the scheme's, the layout is the width's
		p.prefer(scheme)
		p.do(chromedp.EmulateViewport(width, 900))
		p.open("/docs")
		p.shows("#viewer", "/users")
		check(scheme+" list", "html")
		p.click(`.opblock-post:has([data-path="/users"]) .opblock-summary-control`)
		p.until(q(`.opblock-post:has([data-path="/users"]) .execute`))
		check(scheme+" operation", ".opblock.is-open")
		p.click(".btn.authorize")
		p.until(q(".dialog-ux"))
		check(scheme+" token", ".dialog-ux")
	}
}

// Ensure whoever points by a thumb hits what was meant: everything that is pressed has 44 pixels a side (WCAG 2.2, 2.5.5), but for links in a
// sentence.
func TestTargets(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.create(t, "Ada", "ada@example.com", face(t, 1))
	p := newPage(t, s)
	const small = `[...document.querySelectorAll("button, a[href], input, select, [role=button]")].filter((e) => {
		const box = e.getBoundingClientRect();
		return e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && box.bottom > 0 && box.width > 1 && (box.width < 44 || box.height < 44);
	}).map((e) => e.outerHTML.slice(0, 120) + " " + e.getBoundingClientRect().width + "x" + e.getBoundingClientRect().height)`
	for _, width := range []int64{320, 1280} {
		p.do(chromedp.EmulateViewport(width, 900))
		p.open("/")
		p.shows("#list", "Ada")
		assert.Empty(t, evaluate[[]string](p, small), width)
		p.click("#list .edit")
		assert.Empty(t, evaluate[[]string](p, small), width)
		p.click("#editor-cancel")
		p.click("#list .delete")
		assert.Empty(t, evaluate[[]string](p, small), width)
		p.click("#confirm-cancel")
	}
}
