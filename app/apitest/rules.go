package apitest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const notAnImage = "Avatar is not an image"

// uploads sends an image in each way that there is, as what a browser would show or run.
func (s *suite) uploads(t *testing.T, id, marker string, image []byte, check func(r *Response)) {
	t.Helper()
	path := "/users/" + id + "/avatar"
	for _, declared := range []string{"image/png", "text/html"} {
		check(s.Do(t, "PUT", path, bytes.NewReader(image), "Content-Type: "+declared))
	}
	file := Part{Disposition: `name="avatar"; filename="a.svg"`, Type: "image/svg+xml", Content: image}
	contentType, form := Form(file)
	check(s.Do(t, "PUT", path, bytes.NewReader(form), "Content-Type: "+contentType))
	check(s.PostForm(t, "/users", []Part{file, Field("name", marker), Field("email", marker+"@example.com")}))
}

func (s *suite) avatarRules(t *testing.T) {
	id := s.CreateJSON(t, "Ann", Email()).ID
	const script = "<script>alert(document.domain)</script>"

	// Ensure every format is served as what it is, however it was brought, and as an image alone.
	for _, row := range []struct {
		what, contentType string
		image, stored     []byte // stored: nil for the image as it is
	}{
		{"PNG of the greatest width", "image/png", PNG(maxAvatarPixels, 1), nil},
		{"PNG of the greatest height", "image/png", PNG(1, maxAvatarPixels), nil},
		{"JPEG of the greatest width", "image/jpeg", JPEG(maxAvatarPixels, 1), nil},
		{"GIF of the greatest height", "image/gif", GIF(1, maxAvatarPixels, 1), nil},
		{"image of exactly the limit of bytes", "image/png", PaddedPNG(maxAvatarBytes), nil},
		{"PNG with a script in a private chunk", "image/png", PNGWith([]byte(script)), nil},
		{"PNG with HTML behind it", "image/png", append(PNG(2, 2), "<!doctype html>"+script...), PNG(2, 2)},
		{"PNG with SVG behind it", "image/png", append(PNG(2, 2), "<svg/>"...), PNG(2, 2)},
		{"PNG with a ZIP behind it", "image/png", append(PNG(2, 2), "PK\x05\x06"+strings.Repeat("\x00", 18)...), PNG(2, 2)},
		{"JPEG with PHP behind it", "image/jpeg", append(JPEG(2, 2), "<?php system($_GET['c']); ?>"...), JPEG(2, 2)},
		{"GIF with HTML behind it", "image/gif", append(GIF(2, 2, 1), script...), GIF(2, 2, 1)},
		{"WebP with HTML behind it", "image/webp", append(WebP(), "<!doctype html>"+script...), WebP()},
	} {
		t.Run("a "+row.what+" is accepted", func(t *testing.T) {
			if row.stored == nil {
				row.stored = row.image
			}
			s.uploads(t, id, Marker(), row.image, func(r *Response) {
				u := User{ID: r.createdID()}
				if u.ID == "" {
					u = r.User(t)
				}
				u = s.Get(t, u.ID)
				for _, path := range []string{s.Path(t, u.AvatarURL), "/users/" + u.ID + "/avatar?v=x.html"} {
					s.requireHarmless(t, s.Do(t, "GET", path, nil, "Accept: text/html"), row.stored, row.contentType)
				}
			})
		})
	}
	s.avatarSamples(t, id)

	// Ensure nothing is stored that a browser might run, that is no image after all, or that takes
	// too much to show.
	v, _ := s.victim(t)
	type refusal struct {
		what   string
		image  []byte
		status int
		text   string
	}
	refused := []refusal{
		{"empty file", nil, http.StatusUnsupportedMediaType, notAnImage},
		{"file of one byte too many", PaddedPNG(maxAvatarBytes + 1), http.StatusRequestEntityTooLarge, "Avatar is too large"},
	}
	for _, content := range list(t, "no images") {
		refused = append(refused, refusal{content, []byte(content), http.StatusUnsupportedMediaType, notAnImage})
	}
	for name, image := range files("testdata/no-images") {
		refused = append(refused, refusal{name, image, http.StatusUnsupportedMediaType, notAnImage})
	}
	for name, image := range files("testdata/too-many-pixels") {
		refused = append(refused, refusal{name, image, http.StatusBadRequest, "Avatar has too many pixels"})
	}
	for _, row := range refused {
		t.Run(fmt.Sprintf("no avatar: %.60q", row.what), func(t *testing.T) {
			s.uploads(t, v.ID, v.marker, row.image, func(r *Response) { r.Problem(t, row.status, row.text) })
		})
	}
	s.requireUnchanged(t, v)
}

// avatarSamples uploads the files of [Samples] as the avatar of a user.
func (s *suite) avatarSamples(t *testing.T, id string) {
	put := func(t *testing.T, image []byte) *Response {
		t.Helper()
		return s.Do(t, "PUT", "/users/"+id+"/avatar", bytes.NewReader(image))
	}

	// Ensure a valid file passes whatever made it, as it is unless it has metadata, of which only
	// the orientation stays.
	t.Run("a file of any encoder is accepted", func(t *testing.T) {
		for _, sample := range Samples() {
			r := s.Do(t, "GET", s.Path(t, put(t, sample.Data).User(t).AvatarURL), nil)
			if !sample.Metadata {
				s.requireHarmless(t, r, sample.Data, sample.ContentType)
				continue
			}
			assert.Equal(t, sample.ContentType, r.Header.Get("Content-Type"), sample.Name)
			assert.Equal(t, sample.Orientation, Orientation(r.Body), sample.Name)
			for _, text := range Metadata {
				assert.NotContains(t, string(r.Body), text, sample.Name)
			}
		}
	})

	// Ensure a file that was cut off is refused, and that its sender learns why.
	t.Run("a file that ends early is refused", func(t *testing.T) {
		for _, sample := range Samples() {
			if sample.Trailing {
				continue
			}
			for _, cut := range [][]byte{sample.Data[:len(sample.Data)/2], sample.Data[:len(sample.Data)-1]} {
				r := put(t, cut)
				r.Problem(t, http.StatusUnsupportedMediaType, notAnImage)
				assert.Contains(t, string(r.Body), "the file ends early", sample.Name)
			}
		}
	})

	// Ensure the error for an iPhone's HEIC photo says what to do.
	t.Run("a HEIC photo is refused with advice", func(t *testing.T) {
		for _, brand := range []string{"heic", "heix", "hevc", "mif1", "msf1", "avif"} {
			r := put(t, []byte("\x00\x00\x00\x1cftyp"+brand+"\x00\x00\x00\x00mif1miaf"))
			r.Problem(t, http.StatusUnsupportedMediaType, notAnImage)
			assert.Contains(t, string(r.Body), "save the photo as JPEG first", brand)
		}
	})
}

// requireHarmless requires r to be this image, and no browser to take it for anything else.
func (s *suite) requireHarmless(t *testing.T, r *Response, image []byte, contentType string) {
	t.Helper()
	require.Equal(t, http.StatusOK, r.Status, r)
	require.Equal(t, image, r.Body, r)
	require.Equal(t, []string{contentType}, r.Header.Values("Content-Type"), r)
	require.Empty(t, r.Header.Values("Content-Range"), r)
	require.NotContains(t, r.Header.Get("Accept-Ranges"), "bytes", r)
	require.Equal(t, []string{"inline"}, r.Header.Values("Content-Disposition"), r)
	directives := strings.Split(r.Header.Get("Content-Security-Policy"), "; ")
	require.Subset(t, directives, []string{"sandbox", "default-src 'none'", "frame-ancestors 'none'"}, r)
}
