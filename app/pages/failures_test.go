package pages_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// Ensure the page says what failed, and that trying again makes one user, also if the first
// response was lost, and sends only what was not stored.
func TestTryAgain(t *testing.T) {
	t.Parallel()
	const status, code = http.StatusInternalServerError, "InternalServerError"
	s := serve(t, defaults)
	s.aws.Fail("DynamoDB.Scan", awstest.Always, status, code)
	p := newPage(t, s, "/")
	p.shows("#failure", "The users cannot be shown")
	p.shows("#failure", "Failed to list users.")
	p.shows("#failure", "in the log")
	s.aws.Heal("DynamoDB.Scan")
	p.click("#retry")
	p.shows("#empty", "Nobody is here yet")
	assert.False(t, evaluate[bool](p, "$('#failure').checkVisibility()"))

	// The user is stored and the response is a 503, however often the API tries.
	stored := 0
	s.aws.Intercede("DynamoDB.PutItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if stored++; stored == 1 {
			next.ServeHTTP(httptest.NewRecorder(), r)
			s.aws.Fail("DynamoDB.GetItem", awstest.Always, status, code)
		}
		http.Error(w, "{}", status)
	})
	p.click("#add")
	p.enter("Ada", "ada@example.com", "")
	p.click("#editor-save")
	p.shows("#editor-error", "Failed to save user.")
	p.shows("#editor-error", "in the log")
	require.Len(t, s.List(t), 1)
	s.aws.Heal("DynamoDB.PutItem")
	s.aws.Heal("DynamoDB.GetItem")
	p.fill("#name", "Grace")
	p.click("#editor-save")
	p.shows("#editor-error", "An earlier attempt has added this user already")
	p.fill("#name", "Ada")
	run(p, chromedp.DoubleClick(chromedp.CSS("#editor-save")))
	p.until("!$('#editor').open")
	assert.Len(t, s.List(t), 1)
	assert.Equal(t, []string{"Ada"}, p.texts("#list .name"))

	// The next one is another.
	p.click("#add")
	p.enter("Grace", "grace@example.com", "")
	run(p, chromedp.DoubleClick(chromedp.CSS("#editor-save")))
	p.until("!$('#editor').open")
	assert.Len(t, s.List(t), 2)

	// The name is stored, the picture is not.
	p.click("#list .edit")
	p.enter("Joan", "joan@example.com", picture)
	s.aws.Fail("S3.PutObject", awstest.Always, status, code)
	p.click("#editor-save")
	p.shows("#editor-error", "Failed to save avatar.")
	assert.Equal(t, []string{"Joan", "Ada"}, p.texts("#list .name"))
	s.aws.Heal("S3.PutObject")
	p.save()
	p.picturesLoaded()
	assert.Len(t, p.sent("PATCH "), 1)
	assert.Len(t, p.sent("PUT "), 2)

	// The API cannot be reached.
	p.network(&network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	p.click("#list .edit")
	p.fill("#name", "Radia")
	p.click("#editor-save")
	p.shows("#editor-error", "The API did not respond.")
	p.network()
	p.save()
	assert.Equal(t, []string{"Radia", "Ada"}, p.texts("#list .name"))
}

// network puts every request under these conditions; none takes them away.
func (p *page) network(conditions ...*network.Conditions) {
	call(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: append([]*network.Conditions{}, conditions...),
	})
}

// Ensure an upload shows its progress, can be stopped without losing what was entered, and makes
// one user however often it is sent.
func TestProgress(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *config.Config) { c.ReadTimeout = timeout })
	p := newPage(t, s, "/")
	p.click("#add")
	p.enter("Ada", "ada@example.com", write(t, "large.png", apitest.PaddedPNG(4<<20)))
	evaluate[chromedp.Void](p, `(window.seen = [], new MutationObserver(() => seen.push($("#upload-bar").value)).observe(
		$("#upload-bar"), { attributes: true }))`)
	rate := func(bytes float64) { p.network(&network.Conditions{DownloadThroughput: -1, UploadThroughput: bytes}) }

	rate(100 << 10)
	for _, stop := range []func(){func() { p.click("#editor-cancel") }, func() { p.press(kb.Escape) }} {
		evaluate[chromedp.Void](p, "seen.length = 0")
		p.click("#editor-save")
		p.until("seen.some((v) => v > 0 && v < 100)")
		p.shows("#upload", "Sending the picture")
		stop()
		p.shows("#editor-error", "Stopped. What you entered is still here.")
		assert.True(t, evaluate[bool](p, "$('#editor').open"))
		assert.Equal(t, "Ada", evaluate[string](p, "$('#name').value"))
		assert.True(t, evaluate[bool](p, "$('#preview img').naturalWidth === 1"))
		assert.Empty(t, s.List(t))
	}

	rate(4 << 20)
	evaluate[chromedp.Void](p, "seen.length = 0")
	p.save()
	seen := evaluate[[]float64](p, "seen")
	assert.True(t, slices.IsSorted(seen), "%v", seen)
	assert.True(t, slices.ContainsFunc(seen, func(v float64) bool { return v > 0 && v < 100 }), "%v", seen)
	assert.Contains(t, seen, 100.0)
	assert.Len(t, s.List(t), 1)
}

// Ensure each error is shown beside its field, which gets the focus.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *config.Config) { c.MaxAvatarBytes, c.MaxAvatarPixels = 64<<10, 300 })
	p := newPage(t, s, "/")
	heic := []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
	for _, row := range []struct {
		name, email, file string
		picture           []byte
		field, text       string
	}{
		{"", "ada@example.com", "", nil, "name", "Enter a name."},
		{"Ada", " ", "", nil, "email", "Enter an e-mail address."},
		{strings.Repeat("x", 201), "ada@example.com", "", nil, "name", "A name has 1 to 200 characters"},
		{"Ada", "ada@@example.com", "", nil, "email", "An email is one bare address such as jane@example.com"},
		{"Ada", "ada@example.com", "large.png", apitest.PaddedPNG(65 << 10), "avatar", "An avatar has at most 65536 bytes."},
		{"Ada", "ada@example.com", "wide.png", apitest.PNG(301, 1), "avatar", "An avatar has 1 to 300 pixels a side."},
		{"Ada", "ada@example.com", "a.txt", []byte("text"), "avatar", "The file is not a valid PNG, JPEG, GIF or WebP"},
		{"Ada", "ada@example.com", "a.heic", heic, "avatar", "save the photo as JPEG first (on an iPhone: Settings,"},
	} {
		p.click("#add")
		file := ""
		if row.file != "" {
			file = write(t, row.file, row.picture)
		}
		p.enter(row.name, row.email, file)
		if row.file == "a.heic" { // it stays chosen, so that the API can say what is wrong with it
			p.shows("#avatar-error", "This browser cannot show a.heic.")
			assert.False(t, evaluate[bool](p, "$('#avatar-remove').hidden"))
		}
		p.click("#editor-save")
		p.shows("#"+row.field+"-error", row.text)
		assert.Equal(t, row.field, p.focus("id"))
		assert.Equal(t, []string{row.field}, evaluate[[]string](p, "$$('[aria-invalid=true]').map((e) => e.id)"))
		assert.Contains(t, p.focus("getAttribute('aria-describedby')"), row.field+"-error")
		p.click("#editor-cancel")
	}
	assert.Empty(t, s.List(t))

	// Somebody else has deleted the user meanwhile.
	id := s.CreateJSON(t, "Ada", "ada@example.com").ID
	p.open("/")
	p.click("#list .edit")
	s.Delete(t, id)
	p.fill("#name", "Grace")
	p.click("#editor-save")
	p.shows("#editor-error", "User not found.")
	p.click("#editor-cancel")
	p.click("#list .delete")
	p.click("#confirm-delete")
	p.shows("#empty", "Nobody is here yet")
}

// Ensure the page loads without a token, asks for one, tells unknown tokens from those that lack a
// scope, and forgets the token on demand.
func TestTokens(t *testing.T) {
	t.Parallel()
	both, reader := config.NewToken(), config.NewToken()
	s := serve(t, func(c *config.Config) {
		c.AccessTokens = []config.AccessToken{
			{Name: "both", Read: true, Write: true, Hash: config.HashToken(both)},
			{Name: "reader", Read: true, Hash: config.HashToken(reader)},
		}
	})
	p := newPage(t, s, "/")
	give := func(token string) {
		p.fill("#token-value", token)
		p.press(kb.Enter)
	}
	p.shows("#token", "Where the API asks for a token")
	p.press(kb.Escape)
	p.shows("#failure", "An access token is needed")
	p.click("#failure-token")
	give("a b")
	p.shows("#token-value-error", "without a space")
	give(config.NewToken())
	p.shows("#token-value-error", "The API does not know this token.")
	give(reader)
	p.shows("#empty", "Nobody is here yet")

	// A token that may only read.
	p.click("#add")
	p.enter("Ada", "ada@example.com", picture)
	p.click("#editor-save")
	p.shows("#editor-error", "The access token lacks the scope “write”.")

	// One that becomes invalid is asked for in the middle of the work, which then goes on.
	evaluate[chromedp.Void](p, "sessionStorage.setItem('access token', 'revoked')")
	p.click("#editor-save")
	p.shows("#token-value-error", "The API does not know this token.")
	give(both)
	p.until("!$('#editor').open")
	p.picturesLoaded()
	s.Token = both
	assert.Len(t, s.List(t), 1)

	// It outlasts a reload of the tab, is in no address, and is forgotten on demand.
	run(p, chromedp.Reload())
	p.shows("#list", "Ada")
	for _, request := range p.sent("") {
		assert.NotContains(t, request, both)
		assert.NotContains(t, request, reader)
	}
	assert.Empty(t, evaluate[string](p, "document.cookie"))
	assert.Zero(t, evaluate[int](p, "localStorage.length"))
	p.click("#token-open")
	assert.Empty(t, evaluate[string](p, "$('#token-value').value"))
	p.click("#token-forget")
	p.shows("#token", "Where the API asks for a token")
	assert.Zero(t, evaluate[int](p, "sessionStorage.length"))
	p.click("#token-cancel")
	p.shows("#failure", "An access token is needed")
	assert.Empty(t, p.texts("#list .name"))
}
