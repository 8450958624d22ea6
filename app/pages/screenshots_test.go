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

// people are on the pictures, each with the seed of a face, or 0.
var people = map[string]uint64{
	"Ada": 1, "Alice": 3, "Bob": 4, "Carol": 0, "Dave": 8, "Erin": 5, "Frank": 2, "Grace": 7, "Heidi": 9, "Ivan": 0,
	"Judy": 11, "Mallory": 10, "Niaj": 6, "Olivia": 0, "Peggy": 13,
}

// Ensure the folder that SCREENSHOTS names gets a picture of each page that shows something.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		t.Skip("skipped: SCREENSHOTS names no folder; task screenshots does")
	}
	s := serve(t, nil)
	p := newPage(t, s)
	for name, seed := range people {
		s.create(t, name, strings.ToLower(name)+"@example.com", seed)
	}
	for _, scheme := range []string{"light", "dark"} {
		take := func(name string) {
			picture, err := chromedp.Run(p.Context, chromedp.CaptureScreenshot())
			require.NoError(t, err)
			decoded, err := png.Decode(bytes.NewReader(picture))
			require.NoError(t, err)
			require.False(t, blank(decoded), "%s shows nothing", name)
			require.NoError(t, os.WriteFile(filepath.Join(folder, name+"-"+scheme+".png"), picture, 0o600))
		}
		wide := func() { p.view(scheme, 1200, 780) }
		narrow := func() { p.view(scheme, 320, 640, chromedp.EmulateScale(2)) }
		users := func() {
			p.open("/")
			p.settled()
			p.facesLoaded()
		}
		operation := func() { evaluate[chromedp.Void](p, q(createOperation)+".scrollIntoView()") }

		wide()
		users()
		take("users")
		p.click("#add")
		p.enter("Trent", "trent@@example.com")
		p.pick(write(t, "trent.png", face(t, 14)))
		p.until(q("#preview img") + "?.naturalWidth > 0")
		p.click("#editor-save")
		p.shows("#email-error", "one bare address")
		take("add")
		p.click("#editor-cancel")
		p.click("#list .delete")
		take("delete")
		p.click("#confirm-cancel")

		narrow()
		users()
		take("narrow")
		p.click("#add")
		take("narrow-add")
		p.click("#editor-cancel")

		wide()
		p.open("/docs")
		p.shows("#viewer", "/users")
		take("docs")
		narrow()
		take("narrow-docs")
		p.click(createOperation + " .opblock-summary-control")
		p.until(q(createOperation + " .execute"))
		operation()
		take("narrow-docs-operation")
		wide()
		operation()
		take("docs-operation")
	}
}

// facesLoaded waits until every face of the list is there.
func (p *page) facesLoaded() {
	p.t.Helper()
	p.until(q("#list .face img") + " && [...document.images].every((i) => i.complete && i.naturalWidth > 0)")
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
