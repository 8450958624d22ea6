package pages_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"

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

	// The token of the tab is taken over.
	evaluate[chromedp.Void](p, `sessionStorage.setItem("access token", `+quote(token)+`)`)
	p.do(chromedp.Reload())
	list := `.opblock-get:has([data-path="/users"])`
	p.click(list + " .opblock-summary-control")
	p.until(q("#viewer .btn.authorize.locked, #viewer .btn.authorize svg") + "?.checkVisibility()")
	p.click(list + " .execute")
	p.until(q(list+" .live-responses-table .response-col_status") + `?.textContent.startsWith("200")`)
	assert.NotEmpty(t, p.sent("GET "+s.url+"/users"))
}
