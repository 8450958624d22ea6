package pages_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// people are on the pictures.
var people = []struct {
	name string
	face uint64 // 0: none
}{
	{"Ada", 1},
	{"Alice", 3},
	{"Bob", 4},
	{"Carol", 0},
	{"Dave", 8},
	{"Erin", 5},
	{"Frank", 2},
	{"Grace", 7},
	{"Heidi", 9},
	{"Ivan", 0},
	{"Judy", 11},
	{"Mallory", 10},
	{"Niaj", 6},
	{"Olivia", 0},
	{"Peggy", 13},
}

// Ensure there is a picture of each page to look at, in the folder that SCREENSHOTS names.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		t.Skip("skipped: SCREENSHOTS names no folder; task screenshots does")
	}
	s := serve(t, nil)
	p := newPage(t, s)
	for _, person := range people {
		var drawn []byte
		if person.face > 0 {
			drawn = face(t, person.face)
		}
		s.create(t, person.name, strings.ToLower(person.name)+"@example.com", drawn)
	}
	take := func(name string) {
		picture, err := chromedp.Run(p.Context, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		decoded, err := png.Decode(bytes.NewReader(picture))
		require.NoError(t, err)
		require.False(t, blank(decoded), "%s shows nothing", name)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600))
	}
	for _, scheme := range []string{"light", "dark"} {
		p.prefer(scheme)
		p.do(chromedp.EmulateViewport(1200, 780))
		p.open("/")
		p.settled()
		p.facesLoaded()
		take("users-" + scheme)
		p.click("#add")
		p.fill("#name", "Trent")
		p.fill("#email", "trent@@example.com")
		p.pick(write(t, "trent.png", face(t, 14)))
		p.until(q("#preview img") + "?.naturalWidth > 0")
		p.click("#editor-save")
		p.shows("#email-error", "one bare address")
		take("add-" + scheme)
		p.click("#editor-cancel")
		p.click("#list .delete")
		take("delete-" + scheme)
		p.click("#confirm-cancel")

		p.do(chromedp.EmulateViewport(320, 640, chromedp.EmulateScale(2)))
		p.open("/")
		p.settled()
		p.facesLoaded()
		take("narrow-" + scheme)
		p.click("#add")
		take("narrow-add-" + scheme)
		p.click("#editor-cancel")

		p.do(chromedp.EmulateViewport(1200, 780))
		p.open("/docs")
		p.shows("#viewer", "/users")
		take("docs-" + scheme)
		p.do(chromedp.EmulateViewport(320, 640, chromedp.EmulateScale(2)))
		take("narrow-docs-" + scheme)
		p.click(`.opblock-post:has([data-path="/users"]) .opblock-summary-control`)
		p.until(q(`.opblock-post:has([data-path="/users"]) .execute`))
		evaluate[chromedp.Void](p, q(`.opblock-post:has([data-path="/users"])`)+".scrollIntoView()")
		take("narrow-docs-operation-" + scheme)
		p.do(chromedp.EmulateViewport(1200, 780))
		evaluate[chromedp.Void](p, q(`.opblock-post:has([data-path="/users"])`)+".scrollIntoView()")
		take("docs-operation-" + scheme)
	}
}

// facesLoaded waits until every face of the list is there.
func (p *page) facesLoaded() {
	p.t.Helper()
	p.until(`[...document.images].every((i) => i.complete && i.naturalWidth > 0) && document.querySelectorAll("#list .face img").length > 0`)
}

// blank reports whether a picture is of one colour.
func blank(picture image.Image) bool {
	bounds := picture.Bounds()
	first := picture.At(bounds.Min.X, bounds.Min.Y)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			if picture.At(x, y) != first {
				return false
			}
		}
	}
	return true
}
