package pages_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// Ensure the description is shown, with every path, by what the API itself serves, and a request can be made from it with a token.
func TestDocs(t *testing.T) {
	t.Parallel()
	token := config.NewToken()
	s := serve(t, func(c *config.Config) {
		c.AccessTokens = []config.AccessToken{{Name: "both", Read: true, Write: true, Hash: config.HashToken(token)}}
	})
	p := newPage(t, s)
	p.open("/docs")
	for _, path := range []string{config.PathHealth, config.PathReady, config.PathUser, config.PathUsers, config.PathUsers + "/{id}/avatar"} {
		p.until(`[...document.querySelectorAll("#viewer .opblock-summary-path")].some((e) => e.dataset.path === ` + quote(path) + `)`)
	}

	// Without a token a request is refused; that of the tab is taken over.
	list := `.opblock-get:has([data-path="/users"])`
	try := func() string {
		p.click(list + " .opblock-summary-control")
		p.click(list + " .execute")
		status := q(list + " .live-responses-table tbody .response-col_status")
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

// Ensure the description can be read on a narrow screen and is gone through by the keyboard alone, one stop an operation, which then is in the
// URL and opens from there.
func TestDocsNarrowAndByKeyboard(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := newPage(t, s)
	p.do(chromedp.EmulateViewport(320, 900))
	p.open("/docs")
	p.shows("#viewer", "/users")
	p.fits()
	p.do(chromedp.KeyEvent(kb.Tab))
	assert.Equal(t, "Skip to the API", evaluate[string](p, "document.activeElement.textContent"))
	create := `.opblock-post:has([data-path="/users"])`
	stops := map[string]bool{}
	for range 60 {
		if evaluate[bool](p, "document.activeElement === "+q(create+" .opblock-summary-control")) {
			break
		}
		p.do(chromedp.KeyEvent(kb.Tab))
		stop := evaluate[string](p, `document.activeElement.closest(".opblock")?.id + " " + document.activeElement.className`)
		assert.False(t, stops[stop] && !strings.HasPrefix(stop, "undefined"), "Tab stops twice at %s", stop)
		stops[stop] = true
	}
	require.True(t, evaluate[bool](p, "document.activeElement === "+q(create+" .opblock-summary-control")), "Tab does not lead there")
	assert.NotEqual(t, "none", evaluate[string](p, "getComputedStyle(document.activeElement).outlineStyle"))
	p.do(chromedp.KeyEvent(kb.Enter))
	p.until(q(create + " .execute"))
	p.fits()
	p.click(create + " .execute")
	p.until(q(create + " .live-responses-table"))
	p.fits()
	url := evaluate[string](p, "location.href")
	assert.Contains(t, url, "#/")

	again := newPage(t, s)
	again.do(chromedp.Navigate(url))
	again.until(q(create + " .execute"))
}
