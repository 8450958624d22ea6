package pages_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// openUsers serves an API with users of these names and opens their page.
func openUsers(t *testing.T, change func(*config.Config), names ...string) (*server, *page) {
	t.Helper()
	s := serve(t, change)
	for _, name := range names {
		s.create(t, name, "user@example.com", 0)
	}
	p := newPage(t, s)
	p.open("/")
	p.settled()
	return s, p
}

// Ensure the page shows a user's whole life: added with a face, changed, without the face, deleted.
func TestLife(t *testing.T) {
	t.Parallel()
	s, p := openUsers(t, nil)
	p.shows("#empty", "Nobody is here yet")

	p.click("#add-first")
	p.enter("  Ada Lovelace ", "ada@example.com")
	p.pick(write(t, "ada.png", face(t, 1)))
	p.until(q("#preview img") + "?.naturalWidth === 192")
	p.click("#editor-save")
	p.shows("#status", "Ada Lovelace")
	p.shows("#status", "is added")
	p.closes("#editor")
	assert.Equal(t, []string{"Ada Lovelace"}, p.names())
	p.facesLoaded()
	users := s.List(t)
	require.Len(t, users, 1)
	assert.Equal(t, "Ada Lovelace", users[0].Name)
	assert.Equal(t, "ada@example.com", users[0].Email)
	assert.Len(t, s.aws.Objects(t), 1)
	assert.NotEqual(t, "BODY", p.focus("tagName"), "the focus is lost")

	// What is not touched is not sent.
	p.click("#list .edit")
	assert.Equal(t, "Ada Lovelace", evaluate[string](p, q("#name")+".value"))
	p.fill("#name", "Ada Byron")
	p.save()
	assert.Equal(t, []string{"Ada Byron"}, p.names())
	assert.Empty(t, p.sent("PUT "))
	p.facesLoaded()
	assert.Equal(t, "Ada Byron", s.List(t)[0].Name)
	assert.Equal(t, "Edit Ada Byron", p.focus("ariaLabel"), "the focus is back")

	// Another face, and no PATCH for it.
	before := s.aws.Objects(t)
	p.click("#list .edit")
	p.pick(write(t, "another.png", face(t, 2)))
	p.save()
	p.facesLoaded()
	assert.Len(t, p.sent("PATCH "), 1)
	assert.NotEqual(t, before, s.aws.Objects(t))

	// None: initials take its place.
	p.click("#list .edit")
	p.click("#avatar-remove")
	p.save()
	p.until("!" + q("#list img"))
	assert.Equal(t, []string{"AB"}, p.texts("#list .face"))
	assert.Empty(t, s.aws.Objects(t))

	// Deleting asks, names the user, and does nothing before that is confirmed.
	p.click("#list .delete")
	p.shows("#confirm", "Delete Ada Byron?")
	p.click("#confirm-cancel")
	require.Len(t, s.List(t), 1)
	p.click("#list .delete")
	p.click("#confirm-delete")
	p.shows("#empty", "Nobody is here yet")
	assert.Empty(t, s.List(t))
	assert.NotEqual(t, "BODY", p.focus("tagName"), "the focus is lost")
}

// Ensure a file that is dropped on the form is shown and sent, and that one that misses it does not
// replace the page.
func TestDrop(t *testing.T) {
	t.Parallel()
	s, p := openUsers(t, nil)
	file := write(t, "grace.png", face(t, 7))

	p.drop("h1", file)
	p.until(q("#add") + "?.checkVisibility() && !" + q("#editor") + ".open")
	assert.Equal(t, s.url+"/", evaluate[string](p, "location.href"))

	p.click("#add")
	p.drop("#drop", file)
	p.until(q("#preview img") + "?.naturalWidth === 192")
	assert.False(t, evaluate[bool](p, q("#drop")+`.classList.contains("over")`))
	p.enter("Grace", "grace@example.com")
	p.click("#editor-save")
	p.facesLoaded()
	assert.Len(t, s.aws.Objects(t), 1)

	// A file that the browser cannot show stays chosen, so that the API can say what is wrong with it.
	p.click("#add")
	p.drop("#drop", write(t, "notes.png", []byte("no picture at all")))
	p.shows("#avatar-error", "This browser cannot show notes.png.")
	assert.Equal(t, "true", evaluate[string](p, q("#avatar")+`.getAttribute("aria-invalid")`))
	assert.False(t, evaluate[bool](p, q("#avatar-remove")+".hidden"))
	p.enter("Ada", "ada@example.com")
	p.click("#editor-save")
	p.shows("#avatar-error", "The file is not a valid PNG, JPEG, GIF or WebP image.")
}

// drop drags a file over an element and lets it go there.
func (p *page) drop(selector, file string) {
	p.t.Helper()
	at := evaluate[[]float64](p, `(({left, top, width, height}) => [left + width / 2, top + height / 2])(`+
		q(selector)+`.getBoundingClientRect())`)
	for _, kind := range []input.DispatchDragEventType{
		input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop,
	} {
		call(p, input.DispatchDragEvent, input.DispatchDragEventParams{
			Type: kind, X: at[0], Y: at[1],
			Data: &input.DragData{Items: []*input.DragDataItem{}, Files: []string{file}, DragOperationsMask: 1},
		})
	}
}

// Ensure an upload shows its progress, can be stopped without losing what was entered, and makes
// one user however often it is sent.
func TestProgress(t *testing.T) {
	t.Parallel()
	s, p := openUsers(t, func(c *config.Config) { c.ReadTimeout = timeout })
	p.click("#add")
	p.enter("Ada", "ada@example.com")
	p.pick(write(t, "large.png", noise(t, 1000)))
	bar := q("#upload-bar")
	evaluate[chromedp.Void](p, "window.seen = []; new MutationObserver(() => seen.push("+bar+".value)).observe("+bar+
		", {attributes: true})")

	p.throttle(100 << 10)
	p.click("#editor-save")
	p.until(q("#upload") + ".checkVisibility() && " + bar + ".value > 0 && " + bar + ".value < 100")
	p.shows("#upload", "Sending the picture")
	p.click("#editor-cancel")
	p.shows("#editor-error", "Stopped. What you entered is still here.")
	assert.True(t, evaluate[bool](p, q("#editor")+".open"))
	assert.Equal(t, "Ada", evaluate[string](p, q("#name")+".value"))
	assert.True(t, evaluate[bool](p, q("#preview img")+".naturalWidth === 1000"))
	assert.Empty(t, s.List(t))

	// Escape stops it too, and does not close the form.
	p.click("#editor-save")
	p.until(bar + ".value > 0")
	p.press(kb.Escape)
	p.shows("#editor-error", "Stopped.")
	assert.True(t, evaluate[bool](p, q("#editor")+".open"))

	p.throttle(4 << 20)
	evaluate[chromedp.Void](p, "seen.length = 0")
	p.save()
	seen := evaluate[[]float64](p, "seen")
	assert.True(t, slices.IsSorted(seen), "%v", seen)
	assert.True(t, slices.ContainsFunc(seen, func(v float64) bool { return v > 0 && v < 100 }), "%v", seen)
	assert.Contains(t, seen, 100.0)
	assert.Len(t, s.List(t), 1)
}

// throttle lets the page send so many bytes a second.
func (p *page) throttle(rate float64) {
	p.t.Helper()
	p.network(&network.Conditions{DownloadThroughput: -1, UploadThroughput: rate})
}

// network puts every request under these conditions; nil takes them away.
func (p *page) network(conditions *network.Conditions) {
	p.t.Helper()
	params := network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{}}
	if conditions != nil {
		params.MatchedNetworkConditions = append(params.MatchedNetworkConditions, conditions)
	}
	call(p, network.EmulateNetworkConditionsByRule, params)
}

// Ensure a repeated attempt makes one user, also if the first response was lost, and that a changed
// attempt says that the user was added.
func TestAddOnce(t *testing.T) {
	t.Parallel()
	s, p := openUsers(t, nil)

	// The user is stored and the response is a 503, however often the API tries.
	stored := 0
	s.aws.Intercede("DynamoDB.PutItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if stored++; stored == 1 {
			next.ServeHTTP(httptest.NewRecorder(), r)
			s.aws.Fail("DynamoDB.GetItem", awstest.Always, http.StatusInternalServerError, "InternalServerError")
		}
		http.Error(w, "{}", http.StatusInternalServerError)
	})
	p.click("#add")
	p.enter("Ada", "ada@example.com")
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
	p.do(chromedp.DoubleClick(chromedp.CSS("#editor-save")))
	p.closes("#editor")
	assert.Len(t, s.List(t), 1)
	assert.Equal(t, []string{"Ada"}, p.names())

	// The next one is another.
	p.click("#add")
	p.enter("Grace", "grace@example.com")
	p.do(chromedp.DoubleClick(chromedp.CSS("#editor-save")))
	p.closes("#editor")
	assert.Len(t, s.List(t), 2)
}

// Ensure each error is shown beside its field, which gets the focus.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s, p := openUsers(t, func(c *config.Config) { c.MaxAvatarBytes, c.MaxAvatarPixels = 256<<10, 300 })
	bitmap := append([]byte("BM\x3a\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"+
		"\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x18\x00"), make([]byte, 28)...)
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
		{"Ada", "ada@example.com", "large.png", noise(t, 300), "avatar", "An avatar has at most 262144 bytes."},
		{"Ada", "ada@example.com", "wide.png", apitest.PNG(301, 1), "avatar", "An avatar has 1 to 300 pixels a side."},
		{"Ada", "ada@example.com", "a.bmp", bitmap, "avatar", "The file is not a valid PNG, JPEG, GIF or WebP image."},
		{"Ada", "ada@example.com", "a.heic", heic, "avatar", "save the photo as JPEG first (on an iPhone: Settings,"},
	} {
		p.click("#add")
		p.enter(row.name, row.email)
		if row.file != "" {
			p.pick(write(t, row.file, row.picture))
		}
		p.click("#editor-save")
		p.shows("#"+row.field+"-error", row.text)
		assert.Equal(t, row.field, p.focus("id"))
		invalid := evaluate[[]string](p, `[...document.querySelectorAll("[aria-invalid=true]")].map((e) => e.id)`)
		assert.Equal(t, []string{row.field}, invalid)
		assert.Contains(t, evaluate[string](p, q("#"+row.field)+`.getAttribute("aria-describedby")`), row.field+"-error")
		p.click("#editor-cancel")
	}
	assert.Empty(t, s.List(t))

	// Somebody else has deleted the user meanwhile.
	id := s.create(t, "Ada", "ada@example.com", 0)
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

// Ensure the part of a change that was stored is not sent again with the rest.
func TestHalfAChange(t *testing.T) {
	t.Parallel()
	s, p := openUsers(t, nil, "Ada")
	p.click("#list .edit")
	p.fill("#name", "Grace")
	p.pick(write(t, "grace.png", face(t, 7)))
	s.aws.Fail("S3.PutObject", awstest.Always, http.StatusInternalServerError, "InternalError")
	p.click("#editor-save")
	p.shows("#editor-error", "Failed to save avatar.")
	assert.Equal(t, []string{"Grace"}, p.names())
	s.aws.Heal("S3.PutObject")
	p.save()
	p.facesLoaded()
	assert.Len(t, p.sent("PATCH "), 1)
	assert.Len(t, p.sent("PUT "), 2)
}

// Ensure a long list is shown in pages, forwards and back, by the buttons and by those of the
// browser, and that a reload shows the same page.
func TestPaging(t *testing.T) {
	t.Parallel()
	// Links that lead elsewhere, as behind a proxy: the page asks where it is.
	s := serve(t, func(c *config.Config) { c.PublicURL = "https://users.example.com/v1" })
	const users = 24 + 24 + 2
	for i := range users {
		seed := uint64(0)
		if i%10 == 0 {
			seed = uint64(i + 1)
		}
		s.create(t, fmt.Sprintf("User %d", i), fmt.Sprintf("user%d@example.com", i), seed)
	}
	p := newPage(t, s)
	p.open("/")
	p.shows("#paging", "Page 1")
	first := p.names()
	require.Len(t, first, 24)
	assert.True(t, evaluate[bool](p, q("#previous")+".disabled"))
	p.click("#next")
	p.shows("#paging", "Page 2")
	second := p.names()
	require.Len(t, second, 24)
	p.click("#next")
	p.shows("#paging", "Page 3")
	third := p.names()
	require.Len(t, third, 2)
	assert.True(t, evaluate[bool](p, q("#next")+".disabled"))
	all := slices.Concat(first, second, third)
	slices.Sort(all)
	assert.Len(t, slices.Compact(all), users, "each is in one part")

	p.click("#previous")
	p.shows("#paging", "Page 2")
	assert.Equal(t, second, p.names())
	p.do(chromedp.NavigateBack())
	p.shows("#paging", "Page 3")
	p.do(chromedp.Reload())
	p.shows("#paging", "Page 3")
	assert.Equal(t, third, p.names())
	assert.Equal(t, s.url+"/", evaluate[string](p, "location.href"), "nothing of it is in the address")

	// When the last of a part are gone, the one before it is shown.
	for range 2 {
		p.click("#list .delete")
		left := len(p.names()) - 1
		p.click("#confirm-delete")
		p.until(fmt.Sprintf(`document.querySelectorAll("#list .user:not(.ghost)").length !== %d`, left+1))
		p.settled()
	}
	p.shows("#paging", "Page 2")
	assert.Equal(t, second, p.names())
	p.click("#previous")
	p.shows("#paging", "Page 1")
	assert.Equal(t, first, p.names())
	p.facesLoaded()
}

// Ensure a list that cannot be read is an error with a button to try again.
func TestRetry(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.create(t, "Ada", "ada@example.com", 0)
	s.aws.Fail("DynamoDB.Scan", awstest.Always, http.StatusInternalServerError, "InternalServerError")
	p := newPage(t, s)
	p.open("/")
	p.shows("#failure", "The users cannot be shown")
	p.shows("#failure", "Failed to list users.")
	p.shows("#failure", "in the log")
	s.aws.Heal("DynamoDB.Scan")
	p.click("#retry")
	p.shows("#list", "Ada")
	assert.False(t, evaluate[bool](p, q("#failure")+".checkVisibility()"))
}

// Ensure the page goes on after an API that could not be reached.
func TestOffline(t *testing.T) {
	t.Parallel()
	s, p := openUsers(t, nil, "Ada")
	p.network(&network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	p.click("#list .edit")
	p.fill("#name", "Grace")
	p.click("#editor-save")
	p.shows("#editor-error", "The API did not respond.")
	p.network(nil)
	p.save()
	assert.Equal(t, "Grace", s.List(t)[0].Name)
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
	p := newPage(t, s)
	p.open("/")
	p.shows("#token", "Where the API asks for a token")
	p.press(kb.Escape)
	p.shows("#failure", "An access token is needed")
	p.click("#failure-token")
	p.giveToken("a b")
	p.shows("#token-value-error", "without a space")
	p.giveToken(config.NewToken())
	p.shows("#token-value-error", "The API does not know this token.")
	p.giveToken(reader)
	p.shows("#empty", "Nobody is here yet")

	// A token that may only read.
	p.click("#add")
	p.enter("Ada", "ada@example.com")
	p.pick(write(t, "ada.png", face(t, 1)))
	p.click("#editor-save")
	p.shows("#editor-error", "The access token lacks the scope “write”.")
	p.click("#editor-cancel")

	// One that becomes invalid is asked for in the middle of the work, which then goes on.
	evaluate[chromedp.Void](p, `sessionStorage.setItem("access token", "revoked")`)
	p.click("#add")
	p.enter("Ada", "ada@example.com")
	p.pick(write(t, "ada.png", face(t, 1)))
	p.click("#editor-save")
	p.shows("#token-value-error", "The API does not know this token.")
	p.giveToken(both)
	p.closes("#editor")
	p.facesLoaded()
	s.Token = both
	assert.Len(t, s.List(t), 1)

	// It outlasts a reload of the tab, is in no address, and is forgotten on demand.
	p.do(chromedp.Reload())
	p.shows("#list", "Ada")
	for _, request := range p.sent("") {
		assert.NotContains(t, request, both)
		assert.NotContains(t, request, reader)
	}
	assert.Empty(t, evaluate[string](p, "document.cookie"))
	assert.Zero(t, evaluate[int](p, "localStorage.length"))
	p.click("#token-open")
	assert.Empty(t, evaluate[string](p, q("#token-value")+".value"))
	p.click("#token-forget")
	p.shows("#token", "Where the API asks for a token")
	assert.Zero(t, evaluate[int](p, "sessionStorage.length"))
	p.click("#token-cancel")
	p.shows("#failure", "An access token is needed")
	assert.Empty(t, p.names())
}

// giveToken enters an access token.
func (p *page) giveToken(token string) {
	p.t.Helper()
	p.fill("#token-value", token)
	p.press(kb.Enter)
}

// Ensure every name is shown as text and does not break the layout.
func TestHarmless(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	names := []string{
		`<img src=x onerror="document.title='pwned'">`, `"><script>document.title='pwned'</script>`,
		"{{constructor.constructor('x')()}}", strings.Repeat("😀", 200), strings.Repeat("W", 200),
		"مريم بنت محمد", "עדה (abc) 12", "👩‍👩‍👧‍👦 Family",
		"Z" + strings.Repeat("\u0301", 150), "ﷺ" + strings.Repeat("﷽", 40),
	}
	for i, name := range names {
		s.create(t, name, fmt.Sprintf("%s%d@%s.example.com", strings.Repeat("long", 15), i, strings.Repeat("x", 60)), 0)
	}
	for _, width := range []int64{320, 1280} {
		p := newPage(t, s)
		p.view("light", width, 900)
		p.open("/")
		p.until(fmt.Sprintf(`document.querySelectorAll("#list .user:not(.ghost)").length === %d`, len(names)))
		assert.ElementsMatch(t, names, p.names())
		assert.Equal(t, "Users · prima-api", evaluate[string](p, "document.title"))
		assert.Zero(t, evaluate[int](p, `document.querySelectorAll("#list img, #list script").length`))
		p.fits()
		// Nothing leaves its card, and no card is much higher than one of two lines.
		assert.Empty(t, evaluate[[]string](p, `[...document.querySelectorAll("#list .user")].filter((card) => {
			const box = card.getBoundingClientRect();
			return box.height > 130 || [...card.children].map((part) => part.getBoundingClientRect()).some((part) =>
				part.left < box.left || part.right > box.right || part.bottom > box.bottom);
		}).map((card) => card.textContent)`))
		for i := range names {
			p.click(fmt.Sprintf("#list .user:nth-child(%d) .delete", i+1))
			p.fits()
			p.press(kb.Escape)
			p.closes("#confirm")
		}
		p.click("#list .edit")
		p.save()
		p.fits()
	}
}

// fits requires the page and an open dialog to be no wider than the window.
func (p *page) fits() {
	p.t.Helper()
	assert.LessOrEqual(p.t, evaluate[int](p, "document.documentElement.scrollWidth"), evaluate[int](p, "innerWidth"))
	assert.Empty(p.t, evaluate[[]string](p, `[...document.querySelectorAll("dialog[open]")].filter((d) =>
		d.scrollWidth > d.clientWidth || d.getBoundingClientRect().right > innerWidth).map((d) => d.id)`))
}

// Ensure initials are shown for an image that cannot be loaded, and for the link of the earlier
// service to another host, which is not followed.
func TestInitials(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.create(t, "Ada Lovelace", "ada@example.com", 1)
	s.aws.Fail("S3.GetObject", awstest.Always, http.StatusInternalServerError, "InternalError")
	item := map[string]types.AttributeValue{}
	for name, value := range map[string]string{
		"id": "9b2d4c1e-7a63-4d0f-8c55-0123456789ab", "name": "Grace Hopper", "email": "grace@example.com",
		"avatar_url": "http://elsewhere.example.com/avatars/9b2d4c1e-7a63-4d0f-8c55-0123456789ab.png",
	} {
		item[name] = &types.AttributeValueMemberS{Value: value}
	}
	_, err := s.aws.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &s.aws.Config.Table, Item: item})
	require.NoError(t, err)
	p := newPage(t, s)
	p.open("/")
	p.shows("#list", "Grace Hopper")
	p.until("!" + q("#list img"))
	assert.ElementsMatch(t, []string{"AL", "GH"}, p.texts("#list .face"))
	assert.NotEmpty(t, p.sent("GET "+s.url+"/users/"), "the image of Ada was requested")
}
