package pages_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// people are on the pictures.
var people = []struct {
	name, email string
	face        uint64 // 0: none
}{
	{"Ada Lovelace", "ada@example.com", 1},
	{"Grace Hopper", "grace@example.com", 2},
	{"Katherine Johnson", "katherine@example.com", 3},
	{"Alan Turing", "alan@example.com", 4},
	{"Barbara Liskov", "barbara.liskov@example.com", 0},
	{"Edsger Dijkstra", "edsger@example.com", 5},
	{"Frances Allen", "frances@example.com", 6},
	{"Tony Hoare", "tony@example.com", 0},
	{"Radia Perlman", "radia@example.com", 7},
	{"Donald Knuth", "don@example.com", 8},
	{"Hedy Lamarr", "hedy@example.com", 9},
	{"Ken Thompson", "ken@example.com", 0},
	{"Margaret Hamilton", "margaret@example.com", 10},
	{"Dennis Ritchie", "dmr@example.com", 11},
	{"Karen Spärck Jones", "karen@example.com", 0},
}

// Ensure there is a picture of each page to look at. They are written where SCREENSHOTS names a folder.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := newPage(t, s)
	for _, person := range people {
		var drawn []byte
		if person.face > 0 {
			drawn = face(t, person.face)
		}
		s.create(t, person.name, person.email, drawn)
	}
	folder := os.Getenv("SCREENSHOTS")
	take := func(name string) {
		picture, err := chromedp.Run(p.Context, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		decoded, err := png.Decode(bytes.NewReader(picture))
		require.NoError(t, err)
		require.False(t, blank(decoded), "%s shows nothing", name)
		if folder != "" {
			require.NoError(t, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600))
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		p.prefer(scheme)
		p.do(chromedp.EmulateViewport(1200, 780))
		p.open("/")
		p.settled()
		p.facesLoaded()
		take("users-" + scheme)
		p.click("#add")
		p.fill("#name", "Ada Byron")
		p.fill("#email", "ada@@example.com")
		p.pick(write(t, "ada.png", face(t, 12)))
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
