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

// axe returns the source of https://github.com/dequelabs/axe-core, which it gets from npm.
var axe = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "axe")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	install := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefix", folder, "axe-core@4.10.3")
	if err := install.Run(); err != nil {
		return "", err
	}
	source, err := os.ReadFile(filepath.Join(folder, "node_modules", "axe-core", "axe.min.js"))
	return string(source), err
})

// violations returns what axe-core finds in an element.
func (p *page) violations(selector string) []string {
	source, err := axe()
	if err != nil {
		p.t.Skipf("skipped: no axe-core: %v", err)
	}
	if !evaluate[bool](p, "'axe' in window") {
		run(p, chromedp.Evaluate[chromedp.Void](source))
	}
	return evaluate[[]string](p, `(await axe.run(%q, { resultTypes: ["violations"] })).violations.map((v) =>
		v.id + ": " + v.nodes.map((n) => n.html + " " + n.failureSummary).join("\n"))`, selector)
}

// accessible requires that axe-core finds nothing wrong with an element, light and wide as well as
// dark and narrow. It puts pictures of both into the folder that SCREENSHOTS names, if it does.
func (p *page) accessible(name, selector string) {
	for scheme, width := range map[string]int64{"light": 1200, "dark": 320} {
		p.view(scheme, width, 780)
		p.until("document.getAnimations().length === 0") // of colors, in the viewer
		if folder := os.Getenv("SCREENSHOTS"); folder != "" {
			picture := run(p, chromedp.CaptureScreenshot())
			require.NoError(p.t, os.WriteFile(filepath.Join(folder, name+"-"+scheme+".png"), picture, 0o600))
		}
		assert.Empty(p.t, p.violations(selector), scheme)
	}
}

// Ensure axe-core finds no fault in the list, the form and the dialog before a deletion, that every
// control has a role and a name for screen readers, and a side of at least 44 pixels (WCAG 2.2,
// 2.5.5).
func TestAccessibility(t *testing.T) {
	t.Parallel()
	s := serve(t, defaults)
	const names = "Ada Alice Bob Carol Dave Erin Frank Grace Heidi Ivan Judy Mallory Niaj Olivia Peggy"
	for name := range strings.FieldsSeq(names) {
		email := strings.ToLower(name) + "@example.com"
		if face, err := os.ReadFile("testdata/faces/" + strings.ToLower(name) + ".png"); err == nil {
			s.CreateForm(t, name, email, face)
		} else {
			s.CreateJSON(t, name, email)
		}
	}
	p := newPage(t, s, "/")
	p.picturesLoaded()
	check := func(name string, roles ...string) {
		t.Helper()
		p.accessible(name, "html")
		assert.Subset(t, p.roles(), roles)
		for _, width := range []int64{1280, 320} {
			p.view("light", width, 900)
			assert.Empty(t, evaluate[[]string](p, `$$("button, a[href], input, select").filter((e) => {
				const { width, height, bottom } = e.getBoundingClientRect();
				return e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && bottom > 0 && width > 1 &&
					(width < 44 || height < 44);
			}).map((e) => e.outerHTML)`), width)
		}
	}
	check("users", "banner ", "main ", "navigation Pages", "link Users", "link API", "heading Users", "button Add user",
		"list Users", "heading Ada", "button Edit Ada", "button Delete Ada", "status ")

	p.click("#list .delete")
	p.shows("#confirm", "Delete ")
	check("delete", "alertdialog Delete "+p.texts("#list .name")[0]+"?", "button Keep", "button Delete")

	p.click("#confirm-cancel")
	p.click("#add")
	p.enter("", "", picture)
	p.click("#editor-save")
	p.shows("#name-error", "Enter a name.")
	check("add", "dialog Add a user", "textbox Name", "textbox E-mail", "button Choose a picture",
		"button Remove the picture", "button Cancel", "button Add", "alert ")

	p.click("#editor-cancel")
	evaluate[chromedp.Void](p, "$('#list .edit').removeAttribute('aria-label')")
	require.Len(t, p.violations("html"), 1, "axe-core finds what is wrong")
}

// roles returns the role and the name of everything that a screen reader reads.
func (p *page) roles() (found []string) {
	text := func(value *accessibility.Value) (s string) {
		if value != nil {
			_ = json.Unmarshal(value.Value, &s) // "" if it is no string
		}
		return s
	}
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
	s := serve(t, defaults)
	p := newPage(t, s, "/")
	p.shows("#empty", "Nobody is here yet")
	p.press(kb.Tab)
	assert.Equal(t, "Skip to the users", p.focus("textContent"))
	p.tabTo("#add")
	p.press(kb.Enter, "Ada", kb.Tab, "ada@example.com", kb.Enter)
	p.shows("#list", "Ada")
	p.until("!$('#editor').open")
	assert.Equal(t, "add", p.focus("id"))
	p.tabTo("#list .edit")
	p.press(" ", kb.Escape)
	p.until("!$('#editor').open")
	p.tabTo("#list .delete")
	p.press(kb.Enter)
	assert.Equal(t, "confirm-cancel", p.focus("id"), "the button that changes nothing comes first")
	p.press(kb.Tab, kb.Enter)
	p.shows("#empty", "Nobody is here yet")
	require.Empty(t, s.List(t))
}

// tabTo presses Tab until an element has the focus, which must be visible. It returns the places
// before it, each by its class and the operation that it is in.
func (p *page) tabTo(selector string) (stops []string) {
	for !evaluate[bool](p, "document.activeElement === $(%q)", selector) {
		require.Less(p.t, len(stops), 60, "Tab does not lead to %s", selector)
		p.press(kb.Tab)
		stops = append(stops, p.focus(`closest(".opblock")?.id + " " + document.activeElement.className`))
	}
	outline := evaluate[string](p, "getComputedStyle(document.activeElement).outlineStyle")
	assert.NotEqual(p.t, "none", outline, selector)
	return stops
}
