package pages_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
)

// The operations on all users, as the viewer shows them.
const (
	listOperation   = `.opblock-get:has([data-path="/users"])`
	createOperation = `.opblock-post:has([data-path="/users"])`
)

// Ensure the viewer shows every path of the description, with what the API itself serves, and makes
// requests with the token of the tab.
func TestDocs(t *testing.T) {
	t.Parallel()
	token := config.NewToken()
	s := serve(t, func(c *config.Config) {
		c.AccessTokens = []config.AccessToken{{Name: "both", Read: true, Write: true, Hash: config.HashToken(token)}}
	})
	p := newPage(t, s)
	p.open("/docs")
	for _, path := range []string{
		config.PathHealth, config.PathReady, config.PathUser, config.PathUsers, config.PathUsers + "/{id}/avatar",
	} {
		p.until(q(`#viewer .opblock-summary-path[data-path="` + path + `"]`))
	}

	try := func() string {
		p.click(listOperation + " .opblock-summary-control")
		p.until(q(listOperation + ` [data-param-name="limit"]`)) // until then the viewer does not know the operation
		p.click(listOperation + " .execute")
		status := q(listOperation + " .live-responses-table tbody .response-col_status")
		p.until(status)
		return evaluate[string](p, status+".textContent.trim().slice(0, 3)")
	}
	assert.Equal(t, "401", try())
	evaluate[chromedp.Void](p, `sessionStorage.setItem("access token", `+quote(token)+`)`)
	p.open("/")
	p.settled()
	p.open("/docs") // a reload would open again what was open
	assert.Equal(t, "200", try(), "with the examples that it is filled with")
}

// Ensure the description fits a narrow screen. By the keyboard alone, each operation is one stop,
// and the URL of an open operation opens it again.
func TestDocsNarrowAndByKeyboard(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := newPage(t, s)
	p.view("light", 320, 900)
	p.open("/docs")
	p.shows("#viewer", "/users")
	p.fits()
	p.press(kb.Tab)
	assert.Equal(t, "Skip to the API", p.focus("textContent"))
	stops := map[string]bool{}
	p.tabTo(createOperation+" .opblock-summary-control", func() {
		stop := p.focus(`closest(".opblock")?.id + " " + document.activeElement.className`)
		assert.False(t, stops[stop] && !strings.HasPrefix(stop, "undefined"), "Tab stops twice at %s", stop)
		stops[stop] = true
	})
	p.press(kb.Enter)
	p.until(q(createOperation + " .body-param__text")) // of the operation once the viewer knows it
	p.fits()
	p.click(createOperation + " .execute")
	p.until(q(createOperation + " .live-responses-table"))
	p.fits()
	url := evaluate[string](p, "location.href")
	assert.Contains(t, url, "#/")

	again := newPage(t, s)
	again.do(chromedp.Navigate(url))
	again.until(q(createOperation + " .execute"))
}
