package pages_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// Ensure a user can be added with a picture, edited, given another picture by drag and drop, left
// without one, and deleted.
func TestLife(t *testing.T) {
	t.Parallel()
	s := serve(t, defaults)
	p := newPage(t, s, "/")
	p.shows("#empty", "Nobody is here yet")

	p.click("#add-first")
	p.enter("  Ada Lovelace ", "ada@example.com", picture)
	p.until("$('#preview img')?.naturalWidth === 192")
	p.click("#editor-save")
	p.shows("#status", "Ada Lovelace")
	p.shows("#status", "is added")
	p.until("!$('#editor').open")
	assert.Equal(t, []string{"Ada Lovelace"}, p.texts("#list .name"))
	p.picturesLoaded()
	users := s.List(t)
	require.Len(t, users, 1)
	assert.Equal(t, "Ada Lovelace", users[0].Name)
	assert.Equal(t, "ada@example.com", users[0].Email)
	assert.Len(t, s.aws.Objects(t), 1)
	assert.NotEqual(t, "BODY", p.focus("tagName"), "the focus is lost")

	// What is not touched is not sent.
	p.click("#list .edit")
	assert.Equal(t, "Ada Lovelace", evaluate[string](p, "$('#name').value"))
	p.fill("#name", "Ada Byron")
	p.save()
	assert.Equal(t, []string{"Ada Byron"}, p.texts("#list .name"))
	assert.Empty(t, p.sent("PUT "))
	p.picturesLoaded()
	assert.Equal(t, "Ada Byron", s.List(t)[0].Name)
	assert.Equal(t, "Edit Ada Byron", p.focus("ariaLabel"), "the focus is back")

	// Another picture, and no PATCH for it. A file that misses the form does not replace the page.
	before, file := s.aws.Objects(t), write(t, "another.png", apitest.PNG(191, 1))
	p.drop("h1", file)
	p.click("#list .edit")
	p.drop("#drop", file)
	p.until("$('#preview img')?.naturalWidth === 191")
	assert.False(t, evaluate[bool](p, "$('#drop').classList.contains('over')"))
	p.save()
	p.picturesLoaded()
	assert.Len(t, p.sent("PATCH "), 1)
	assert.NotEqual(t, before, s.aws.Objects(t))

	// None: initials take its place.
	p.click("#list .edit")
	p.click("#avatar-remove")
	p.save()
	p.until("!$('#list img')")
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

// drop drags a file over an element and lets it go there.
func (p *page) drop(selector, file string) {
	p.until("$(%q)?.checkVisibility()", selector)
	at := evaluate[[]float64](p, "(({ x, y }) => [x + 9, y + 9])($(%q).getBoundingClientRect())", selector)
	for _, kind := range []input.DispatchDragEventType{
		input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop,
	} {
		call(p, input.DispatchDragEvent, input.DispatchDragEventParams{
			Type: kind, X: at[0], Y: at[1],
			Data: &input.DragData{Items: []*input.DragDataItem{}, Files: []string{file}, DragOperationsMask: 1},
		})
	}
}

// enter fills in the form of a user, with a picture unless its file is "".
func (p *page) enter(name, email, file string) {
	p.fill("#name", name)
	p.fill("#email", email)
	if file != "" {
		run(p, chromedp.SetUploadFiles(chromedp.CSS("#avatar"), []string{file}))
	}
}

// save sends the form of a user and waits until it is closed.
func (p *page) save() {
	p.click("#editor-save")
	p.until("!$('#editor').open")
}

// focus returns a property of the element that has the focus.
func (p *page) focus(property string) string {
	return evaluate[string](p, "document.activeElement.%s", property)
}

// texts returns the texts of the elements of a selector.
func (p *page) texts(selector string) []string {
	return evaluate[[]string](p, "$$(%q).map((e) => e.textContent)", selector)
}

// picturesLoaded waits until every picture of the list is there.
func (p *page) picturesLoaded() {
	p.until("$('#list .face img') && [...document.images].every((i) => i.complete && i.naturalWidth > 0)")
}

// Ensure a long list is shown in pages, forwards and back, by the buttons and by those of the
// browser, and that a reload shows the same page.
func TestPaging(t *testing.T) {
	t.Parallel()
	// Links that lead elsewhere, as behind a proxy: the page asks where it is.
	s := serve(t, func(c *config.Config) { c.PublicURL = "https://users.example.com/v1" })
	const users = 24 + 24 + 2
	for i := range users - 1 {
		s.CreateJSON(t, fmt.Sprintf("User %d", i), "user@example.com")
	}
	s.CreateForm(t, "User with a picture", "user@example.com", apitest.PNG(1, 1))
	p := newPage(t, s, "/")
	step := func(button string, page, length int) []string {
		if button != "" {
			p.click(button)
		}
		p.shows("#paging", fmt.Sprint("Page ", page))
		names := p.texts("#list .name")
		assert.Len(t, names, length)
		ends := []bool{page == 1, page == 3}
		assert.Equal(t, ends, evaluate[[]bool](p, "[$('#previous').disabled, $('#next').disabled]"))
		return names
	}
	first, second, third := step("", 1, 24), step("#next", 2, 24), step("#next", 3, 2)
	all := slices.Concat(first, second, third)
	slices.Sort(all)
	assert.Len(t, slices.Compact(all), users, "each is in one part")
	assert.Equal(t, second, step("#previous", 2, 24))
	run(p, chromedp.NavigateBack())
	assert.Equal(t, third, step("", 3, 2))
	run(p, chromedp.Reload())
	assert.Equal(t, third, step("", 3, 2))
	assert.Equal(t, s.url+"/", evaluate[string](p, "location.href"), "nothing of it is in the address")

	// When the last of a page are gone, the one before it is shown.
	p.click("#list .delete")
	p.click("#confirm-delete")
	p.until("$$('#list .user').length === 1")
	p.click("#list .delete")
	p.click("#confirm-delete")
	p.shows("#paging", "Page 2")
	assert.Equal(t, second, p.texts("#list .name"))
	assert.Equal(t, first, step("#previous", 1, 24))
	p.until("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
}

// Ensure every name is shown as text and does not break the layout. Initials are shown if a picture
// cannot be loaded, and for links of the earlier service to other hosts, which are not followed.
func TestHarmless(t *testing.T) {
	t.Parallel()
	s := serve(t, defaults)
	names := []string{
		`<img src=x onerror="document.title='pwned'">`, `"><script>document.title='pwned'</script>`,
		"{{constructor.constructor('x')()}}", strings.Repeat("😀", 200), strings.Repeat("W", 200),
		"مريم بنت محمد", "עדה (abc) 12", "👩‍👩‍👧‍👦 Family",
		"Z" + strings.Repeat("\u0301", 150), "ﷺ" + strings.Repeat("﷽", 40),
	}
	for i, name := range names {
		s.CreateJSON(t, name, fmt.Sprintf("%s%d@%s.example.com", strings.Repeat("long", 15), i, strings.Repeat("x", 60)))
	}
	s.CreateForm(t, "Ada Lovelace", "ada@example.com", apitest.PNG(1, 1))
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
	names = append(names, "Ada Lovelace", "Grace Hopper")

	p := newPage(t, s, "/")
	p.shows("#list", "Grace Hopper")
	p.until("$$('#list img, #list script').length === 0")
	assert.Subset(t, p.texts("#list .face"), []string{"AL", "GH"})
	assert.NotEmpty(t, p.sent("GET "+s.url+"/users/"), "the picture of Ada was requested")
	for _, width := range []int64{1280, 320} {
		p.view("light", width, 900)
		assert.ElementsMatch(t, names, p.texts("#list .name"))
		p.fits()
		// Nothing leaves its card, and no card is much higher than one of two lines.
		assert.Empty(t, evaluate[[]string](p, `$$("#list .user").filter((card) => {
			const box = card.getBoundingClientRect();
			return box.height > 130 || [...card.children].map((part) => part.getBoundingClientRect()).some((part) =>
				part.left < box.left || part.right > box.right || part.bottom > box.bottom);
		}).map((card) => card.textContent)`))
	}
	for i := range names { // the dialogs, on the narrow screen
		p.click(fmt.Sprintf("#list .user:nth-child(%d) .delete", i+1))
		p.fits()
		p.press(kb.Escape)
		p.until("!$('#confirm').open")
	}
	p.click("#list .edit")
	p.save()
	p.fits()
	assert.Equal(t, "Users · prima-api", evaluate[string](p, "document.title"))
}

// fits requires the page and an open dialog to be no wider than the window.
func (p *page) fits() {
	assert.Empty(p.t, evaluate[[]string](p, `[document.documentElement, ...$$("dialog[open]")].filter((e) =>
		e.scrollWidth > e.clientWidth || e.getBoundingClientRect().right > innerWidth).map((e) => e.tagName + e.id)`))
}
