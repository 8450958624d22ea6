package pages_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// axeVersion is that of https://github.com/dequelabs/axe-core, which the tests get from npm.
const axeVersion = "4.10.3"

// axe returns the source of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "axe")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	install := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefix", folder, "axe-core@"+axeVersion)
	if err := install.Run(); err != nil {
		return "", err
	}
	source, err := os.ReadFile(filepath.Join(folder, "node_modules", "axe-core", "axe.min.js"))
	return string(source), err
})

// tour opens the page of the users, of whom Ada is the first, and calls visit with what it shows:
// the list, the form with an error, and the question before a user is deleted.
func (p *page) tour(visit func(state string)) {
	p.t.Helper()
	p.open("/")
	p.shows("#list", "Ada")
	visit("list")
	p.click("#add")
	p.click("#editor-save")
	p.shows("#name-error", "Enter a name.")
	visit("form")
	p.click("#editor-cancel")
	p.click("#list .delete")
	p.until(q("#confirm") + ".open")
	visit("question")
	p.click("#confirm-cancel")
}

// Ensure axe-core finds nothing wrong with the pages, in both schemes, wide and narrow: the users,
// their form and question, and the description with an open operation and the dialog for a token.
func TestAxe(t *testing.T) {
	t.Parallel()
	source, err := axe()
	if err != nil {
		t.Skipf("skipped: no axe-core: %v", err)
	}
	s := serve(t, nil)
	s.create(t, "Ada", "a@example.com", 1)
	for _, name := range []string{"Grace Hopper", "Bob", "Carol", "Dave", "Erin", "Frank", "Heidi"} {
		s.create(t, name, "a@example.com", 0)
	}
	p := newPage(t, s)
	const violations = `.then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) =>
		n.html + " " + n.failureSummary).join("\n")))`
	check := func(what, selector string) {
		t.Helper()
		evaluate[chromedp.Void](p, source)
		run := `axe.run(` + quote(selector) + `, {resultTypes: ["violations"]})`
		assert.Empty(t, evaluate[[]string](p, run+violations), what)
	}
	for scheme, width := range map[string]int64{"light": 1280, "dark": 320} {
		p.view(scheme, width, 900)
		p.tour(func(state string) { check(scheme+" "+state, "html") })

		p.open("/docs")
		p.shows("#viewer", "/users")
		check(scheme+" description", "html")
		p.click(createOperation + " .opblock-summary-control")
		p.until(q(createOperation + " .execute"))
		check(scheme+" operation", ".opblock.is-open")
		p.click(".btn.authorize")
		p.until(q(".dialog-ux"))
		check(scheme+" token", ".dialog-ux")
	}

	// Ensure axe-core can find something.
	p.open("/")
	p.shows("#list", "Ada")
	evaluate[chromedp.Void](p, source)
	evaluate[chromedp.Void](p, q("#list .edit")+`.removeAttribute("aria-label")`)
	assert.Contains(t, strings.Join(evaluate[[]string](p, "axe.run()"+violations), "\n"), "button-name")
}

// Ensure a screen reader learns the role and the name of everything.
func TestRoles(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.create(t, "Ada", "ada@example.com", 1)
	p := newPage(t, s)
	want := map[string][]string{
		"list": {
			"banner ", "main ", "navigation Pages", "link Users", "link API", "heading Users", "button Add user",
			"list Users", "heading Ada", "button Edit Ada", "button Delete Ada", "status ",
		},
		"form": {
			"dialog Add a user", "textbox Name", "textbox E-mail", "button Choose a picture", "button Cancel",
			"button Add", "alert ",
		},
		"question": {"alertdialog Delete Ada?", "button Keep", "button Delete"},
	}
	p.tour(func(state string) { assert.Subset(t, p.roles(), want[state]) })
}

// roles returns the role and the name of everything in the accessibility tree.
func (p *page) roles() []string {
	p.t.Helper()
	text := func(value *accessibility.Value) (s string) {
		if value != nil {
			_ = json.Unmarshal(value.Value, &s) // "" if it is no string
		}
		return s
	}
	var found []string
	for _, node := range call(p, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if !node.Ignored {
			found = append(found, text(node.Role)+" "+text(node.Name))
		}
	}
	return found
}

// Ensure everything can be done by the keyboard alone, and that the focus is always visible.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := newPage(t, s)
	p.open("/")
	p.shows("#empty", "Nobody is here yet")
	p.press(kb.Tab)
	assert.Equal(t, "Skip to the users", p.focus("textContent"))
	p.tabTo("#add", func() {})
	p.press(kb.Enter)
	p.until(q("#editor") + ".open")
	p.press("Ada", kb.Tab, "ada@example.com", kb.Enter)
	p.shows("#list", "Ada")
	p.closes("#editor")
	assert.Equal(t, "add", p.focus("id"))
	p.tabTo("#list .edit", func() {})
	p.press(" ")
	p.until(q("#editor") + ".open")
	p.press(kb.Escape)
	p.closes("#editor")
	p.tabTo("#list .delete", func() {})
	p.press(kb.Enter)
	p.until(q("#confirm") + ".open")
	assert.Equal(t, "confirm-cancel", p.focus("id"), "the button that changes nothing comes first")
	p.press(kb.Tab, kb.Enter)
	p.shows("#empty", "Nobody is here yet")
	require.Empty(t, s.List(t))
}

// press presses keys, or types text.
func (p *page) press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		p.do(chromedp.KeyEvent(key))
	}
}

// tabTo presses Tab until an element has the focus, which must be visible. It calls stop after
// each.
func (p *page) tabTo(selector string, stop func()) {
	p.t.Helper()
	reached := "document.activeElement === " + q(selector)
	for range 60 {
		if evaluate[bool](p, reached) {
			break
		}
		p.press(kb.Tab)
		stop()
	}
	require.True(p.t, evaluate[bool](p, reached), "Tab does not lead to %s", selector)
	outline := evaluate[string](p, "getComputedStyle(document.activeElement).outlineStyle")
	assert.NotEqual(p.t, "none", outline, selector)
}

// Ensure everything that is pressed has at least 44 pixels a side for a thumb (WCAG 2.2, 2.5.5).
func TestTargets(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.create(t, "Ada", "ada@example.com", 1)
	p := newPage(t, s)
	const small = `[...document.querySelectorAll("button, a[href], input, select, [role=button]")].filter((e) => {
		const {width, height, bottom} = e.getBoundingClientRect();
		return e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && bottom > 0 && width > 1 &&
			(width < 44 || height < 44);
	}).map((e) => e.outerHTML.slice(0, 120))`
	for _, width := range []int64{320, 1280} {
		p.view("light", width, 900)
		p.tour(func(state string) { assert.Empty(t, evaluate[[]string](p, small), "%s, %d", state, width) })
		p.click("#list .edit") // the form of a user with a picture has a button to remove it
		assert.Empty(t, evaluate[[]string](p, small), width)
	}
}
