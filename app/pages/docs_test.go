package pages_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
)

// createOperation is that of POST /users, as the viewer shows it.
const createOperation = `.opblock-post:has([data-path="/users"])`

// Ensure the viewer shows every path of the description, fits a narrow screen, can be used by the
// keyboard alone, with one stop an operation, and makes requests with the token of the tab, and
// that axe-core finds nothing wrong with it, an open operation and the dialog for a token.
func TestDocs(t *testing.T) {
	t.Parallel()
	token := config.NewToken()
	s := serve(t, func(c *config.Config) {
		c.AccessTokens = []config.AccessToken{{Name: "both", Read: true, Write: true, Hash: config.HashToken(token)}}
	})
	p := newPage(t, s, "/docs")
	for _, path := range []string{
		config.PathHealth, config.PathReady, config.PathUser, config.PathUsers, config.PathUsers + "/{id}/avatar",
	} {
		p.until("$('#viewer .opblock-summary-path[data-path=%q]')", path)
	}
	p.view("light", 320, 900)
	p.fits()
	p.press(kb.Tab)
	assert.Equal(t, "Skip to the API", p.focus("textContent"))
	stops := p.tabTo(createOperation + " .opblock-summary-control")
	stops = slices.DeleteFunc(stops, func(s string) bool { return strings.HasPrefix(s, "undefined") }) // outside of them
	assert.NotEmpty(t, stops)
	distinct := slices.Compact(slices.Sorted(slices.Values(stops)))
	assert.Len(t, distinct, len(stops), "Tab stops twice at an operation")
	p.press(kb.Enter)
	p.until("$(%q)", createOperation+" .body-param__text") // until then the viewer does not know the operation
	p.accessible("docs", "html")
	p.click(".btn.authorize")
	p.until("$('.dialog-ux')")
	p.accessible("docs-token", ".dialog-ux")
	p.click(".close-modal")

	p.view("light", 320, 900)
	execute := func() string {
		// By the keyboard, because the viewer scrolls to an operation that the URL opens.
		evaluate[chromedp.Void](p, "$(%q).focus()", createOperation+" .execute")
		p.press(kb.Enter)
		status := createOperation + " .live-responses-table tbody .response-col_status"
		p.until("$(%q)", status)
		return evaluate[string](p, "$(%q).textContent.trim().slice(0, 3)", status)
	}
	assert.Equal(t, "401", execute())
	p.fits()

	// The URL of an open operation opens it again.
	url := evaluate[string](p, "location.href")
	assert.Contains(t, url, "#/")
	evaluate[chromedp.Void](p, "sessionStorage.setItem('access token', %q)", token)
	p.open("/")
	p.shows("#empty", "Nobody is here yet")
	run(p, chromedp.Navigate(url))
	p.until("$(%q)", createOperation+" .body-param__text")
	assert.Equal(t, "201", execute(), "with the examples that it is filled with")
	p.fits()
}
