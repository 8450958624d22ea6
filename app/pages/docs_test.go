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
