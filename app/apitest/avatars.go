package apitest

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Cache-Control of an avatar: by a URL that changes with the image, and by one that does not.
const (
	cacheForEver = "public, max-age=31536000, immutable"
	cacheChecked = "no-cache"
)

const strongETag = `^"[^"]+"$`

func (s *suite) avatar(t *testing.T) {
	image := PNG(5, 4)
	created := s.CreateForm(t, "Ann", Email(), image)
	versioned, plain := s.Path(t, created.AvatarURL), "/users/"+created.ID+"/avatar"

	// Ensure avatar_url is all that a client needs: it is the avatar's place, and it names the image.
	t.Run("its URL names the user and the image", func(t *testing.T) {
		rest, ok := strings.CutPrefix(versioned, plain+"?v=")
		assert.True(t, ok && rest != "", versioned)
		assert.Equal(t, created.AvatarURL, s.Get(t, created.ID).AvatarURL)
	})

	// Ensure a browser shows the image, as an image and nothing else.
	t.Run("it comes back as it went in, with its type", func(t *testing.T) {
		for _, path := range []string{versioned, plain} {
			r := s.Do(t, "GET", path, nil)
			require.Equal(t, http.StatusOK, r.Status, r)
			assert.Equal(t, image, r.Body, r)
			assert.Equal(t, "image/png", r.Header.Get("Content-Type"), r)
			assert.Equal(t, strconv.Itoa(len(image)), r.Header.Get("Content-Length"), r)
			assert.Regexp(t, strongETag, r.Header.Get("Etag"), r)
			assert.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"), r)
		}
	})

	// Ensure only the URL that changes with the image is kept without asking.
	t.Run("how long it may be kept depends on the URL", func(t *testing.T) {
		for path, want := range map[string]string{
			versioned: cacheForEver, plain: cacheChecked, plain + "?v=": cacheChecked, plain + "?v=" + unknownID(): cacheChecked,
			plain + "?v=x": cacheChecked, plain + "?V=" + versioned[len(plain+"?v="):]: cacheChecked,
		} {
			r := s.Do(t, "GET", path, nil)
			require.Equal(t, http.StatusOK, r.Status, r)
			assert.Equal(t, image, r.Body, r)
			assert.Equal(t, []string{want}, r.Header.Values("Cache-Control"), r)
		}
	})

	etag := s.Do(t, "GET", plain, nil).Header.Get("Etag")
	require.Regexp(t, strongETag, etag)

	// Ensure a client that has the image is not sent it again.
	t.Run("a client that has it is told so", func(t *testing.T) {
		for _, condition := range []string{
			etag, "W/" + etag, "*", `"x", ` + etag, etag + `, "x"`, `"x",` + etag + `,W/"y"`, `"a,b" , W/` + etag, ` ` + etag + ` `,
		} {
			for path, cache := range map[string]string{versioned: cacheForEver, plain: cacheChecked} {
				for _, method := range []string{"GET", "HEAD"} {
					r := s.Do(t, method, path, nil, "If-None-Match: "+condition)
					require.Equal(t, http.StatusNotModified, r.Status, r)
					assert.Equal(t, etag, r.Header.Get("Etag"), r)
					assert.Equal(t, []string{cache}, r.Header.Values("Cache-Control"), r)
				}
			}
		}
		r := s.Do(t, "GET", plain, nil, `If-None-Match: "x"`, "If-None-Match: "+etag)
		assert.Equal(t, http.StatusNotModified, r.Status, r)
	})

	// Ensure a client that has another image is sent this one.
	t.Run("a client that has another is sent it", func(t *testing.T) {
		for _, condition := range []string{
			`"x"`, `W/"x"`, `"x", "y"`, "", etag[:len(etag)-2] + `"`, `"` + etag[2:], strings.Trim(etag, `"`), `"` + strings.Trim(etag, `"`) + `x"`, `"*"`,
			`"x` + strings.Trim(etag, `"`) + `"`,
		} {
			r := s.Do(t, "GET", plain, nil, "If-None-Match: "+condition)
			require.Equal(t, http.StatusOK, r.Status, r)
			assert.Equal(t, image, r.Body, r)
		}
	})

	// Ensure HEAD tells what GET would bring.
	t.Run("it answers HEAD", func(t *testing.T) {
		s.requireHeadLikeGet(t, versioned)
		s.requireHeadLikeGet(t, plain)
		r := s.Do(t, "HEAD", plain, nil)
		assert.Equal(t, strconv.Itoa(len(image)), r.Header.Get("Content-Length"), r)
	})

	// Ensure a client can tell a user without an avatar from no user.
	t.Run("one that is not there is not found", func(t *testing.T) {
		id := s.CreateJSON(t, "Ann", Email()).ID
		for _, query := range []string{"", "?v=x", "?v=" + unknownID()} {
			for _, header := range [][]string{nil, {"If-None-Match: *"}, {"If-None-Match: " + etag}} {
				s.Do(t, "GET", "/users/"+id+"/avatar"+query, nil, header...).Problem(t, http.StatusNotFound, "Avatar not found")
			}
		}
		r := s.Do(t, "HEAD", "/users/"+id+"/avatar", nil)
		require.Equal(t, http.StatusNotFound, r.Status, r)
		for _, id := range s.idsOfNobody(t) {
			s.Do(t, "GET", "/users/"+id+"/avatar", nil).Problem(t, http.StatusNotFound, "User not found")
		}
	})

	// Ensure one user's image is not shown as another's.
	t.Run("the image of one user is not that of another", func(t *testing.T) {
		other := s.CreateForm(t, "Ann", Email(), GIF(2, 2, 1))
		got, contentType := s.Avatar(t, strings.Replace(created.AvatarURL, created.ID, other.ID, 1))
		assert.Equal(t, GIF(2, 2, 1), got)
		assert.Equal(t, "image/gif", contentType)
	})
}

func (s *suite) replaceAvatar(t *testing.T) {
	put := func(t *testing.T, id string, image []byte, header ...string) *Response {
		t.Helper()
		return s.Do(t, "PUT", "/users/"+id+"/avatar", bytes.NewReader(image), header...)
	}
	putForm := func(t *testing.T, id string, parts ...Part) *Response {
		t.Helper()
		contentType, body := Form(parts...)
		return put(t, id, body, "Content-Type: "+contentType)
	}

	// Ensure a user gets an avatar later as well as with its creation.
	t.Run("a user without one gets one", func(t *testing.T) {
		email := Email()
		created := s.CreateJSON(t, "Ann", email)
		u := s.PutAvatar(t, created.ID, PNG(2, 3))
		assert.Equal(t, User{ID: created.ID, Name: "Ann", Email: email, AvatarURL: u.AvatarURL}, u)
		assert.Equal(t, u, s.Get(t, created.ID))
		image, contentType := s.Avatar(t, u.AvatarURL)
		assert.Equal(t, PNG(2, 3), image)
		assert.Equal(t, "image/png", contentType)
		s.untilListed(t, func(users []User) bool {
			listed := byID(users, u.ID)
			return len(listed) == 1 && listed[0] == u
		})
	})

	// Ensure caches never show an old image: its URL and its ETag are of it alone.
	t.Run("a new image has a new URL and a new ETag", func(t *testing.T) {
		created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
		plain := "/users/" + created.ID + "/avatar"
		urls, etags := []string{created.AvatarURL}, []string{s.Do(t, "GET", plain, nil).Header.Get("Etag")}
		for _, image := range [][]byte{JPEG(3, 3), PNG(4, 4), GIF(5, 5, 1)} {
			u := s.PutAvatar(t, created.ID, image)
			assert.NotContains(t, urls, u.AvatarURL)
			r := s.Do(t, "GET", plain, nil, "If-None-Match: "+etags[len(etags)-1])
			require.Equal(t, http.StatusOK, r.Status, r)
			assert.Equal(t, image, r.Body, r)
			assert.NotContains(t, etags, r.Header.Get("Etag"), r)
			urls, etags = append(urls, u.AvatarURL), append(etags, r.Header.Get("Etag"))
		}
		for _, old := range urls[:3] {
			r := s.Do(t, "GET", s.Path(t, old), nil)
			require.Equal(t, http.StatusOK, r.Status, r)
			assert.Equal(t, GIF(5, 5, 1), r.Body, r)
			assert.Equal(t, cacheChecked, r.Header.Get("Cache-Control"), r)
		}
		r := s.Do(t, "GET", s.Path(t, urls[3]), nil)
		assert.Equal(t, cacheForEver, r.Header.Get("Cache-Control"), r)
	})

	// Ensure what the image is declared as decides nothing.
	t.Run("the declared type is ignored", func(t *testing.T) {
		id := s.CreateJSON(t, "Ann", Email()).ID
		for _, header := range [][]string{
			{},
			{"Content-Type: image/png"},
			{"Content-Type: image/svg+xml"},
			{"Content-Type: text/html"},
			{"Content-Type: application/json"},
			{"Content-Type: application/octet-stream"},
			{"Content-Type: application/x-www-form-urlencoded"},
			{"Content-Type: nonsense", Beyond},
		} {
			u := put(t, id, WebP(), header...).User(t)
			image, contentType := s.Avatar(t, u.AvatarURL)
			assert.Equal(t, WebP(), image, header)
			assert.Equal(t, "image/webp", contentType, header)
		}
	})

	// Ensure a client may send what it has not measured.
	t.Run("an image in chunks is read", func(t *testing.T) {
		id := s.CreateJSON(t, "Ann", Email()).ID
		u := s.Do(t, "PUT", "/users/"+id+"/avatar", chunked(bytes.NewReader(JPEG(7, 7)))).User(t)
		image, _ := s.Avatar(t, u.AvatarURL)
		assert.Equal(t, JPEG(7, 7), image)
	})

	// Ensure a form of a browser replaces an avatar, too.
	t.Run("a form may bring it", func(t *testing.T) {
		id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
		for _, parts := range [][]Part{
			{File("avatar", "a.txt", GIF(3, 3, 1))},
			{Field("name", "Bob"), File("avatar", "../a", GIF(3, 3, 1)), Field("more", "x")},
		} {
			u := putForm(t, id, parts...).User(t)
			assert.Equal(t, "Ann", u.Name)
			image, contentType := s.Avatar(t, u.AvatarURL)
			assert.Equal(t, GIF(3, 3, 1), image)
			assert.Equal(t, "image/gif", contentType)
		}
	})

	// Ensure a refused image leaves the one that is there.
	t.Run("what is not acceptable is refused and changes nothing", func(t *testing.T) {
		id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
		before := s.Get(t, id)
		tooMany, tooLarge := PNG(s.MaxAvatarPixels+1, 1), PaddedPNG(s.MaxAvatarBytes+1)

		const notAnImage, tooManyPixels, avatarTooLarge = "Avatar is not an image", "Avatar has too many pixels", "Avatar is too large"
		raw := func(image []byte, header ...string) func(*testing.T) *Response {
			return func(t *testing.T) *Response {
				t.Helper()
				return put(t, id, image, header...)
			}
		}
		form := func(parts ...Part) func(*testing.T) *Response {
			return func(t *testing.T) *Response {
				t.Helper()
				return putForm(t, id, parts...)
			}
		}
		for _, row := range []struct {
			what   string
			put    func(*testing.T) *Response
			status int
			text   string
		}{
			{"nothing", raw(nil), http.StatusUnsupportedMediaType, notAnImage},
			{"text that says that it is an image", raw([]byte("text"), "Content-Type: image/png"), http.StatusUnsupportedMediaType, notAnImage},
			{"too many pixels", raw(tooMany), http.StatusBadRequest, tooManyPixels},
			{"too many bytes", raw(tooLarge), http.StatusRequestEntityTooLarge, avatarTooLarge},
			{"too many bytes in chunks", func(t *testing.T) *Response {
				t.Helper()
				return s.Do(t, "PUT", "/users/"+id+"/avatar", chunked(bytes.NewReader(tooLarge)))
			}, http.StatusRequestEntityTooLarge, avatarTooLarge},
			{"an encoded image", raw(GIF(3, 3, 1), "Content-Encoding: gzip"), http.StatusUnsupportedMediaType, "Unsupported media type"},
			{"a form with text", form(File("avatar", "a.png", []byte("text"))), http.StatusUnsupportedMediaType, notAnImage},
			{"a form with too many pixels", form(File("avatar", "a.png", tooMany)), http.StatusBadRequest, tooManyPixels},
			{"a form with too many bytes", form(File("avatar", "a.png", tooLarge)), http.StatusRequestEntityTooLarge, avatarTooLarge},
			{"a form with two images", form(File("avatar", "a.gif", GIF(3, 3, 1)), File("avatar", "b.gif", GIF(3, 3, 1))), http.StatusBadRequest, "Invalid form"},
			{"a form that is none", raw(GIF(3, 3, 1), "Content-Type: multipart/form-data; boundary=x"), http.StatusBadRequest, "Invalid form"},
		} {
			t.Run(row.what, func(t *testing.T) { row.put(t).Problem(t, row.status, row.text) })
		}
		for what, parts := range map[string][]Part{
			"an empty form": {}, "a form with a name": {Field("name", "Bob")}, "a form with another file": {File("photo", "a.gif", GIF(3, 3, 1))},
			"a form in which no file was chosen": {File("avatar", "", nil)},
		} {
			t.Run(what, func(t *testing.T) {
				r := putForm(t, id, parts...)
				assert.GreaterOrEqual(t, r.Status, 400, r)
				assert.Less(t, r.Status, 500, r)
			})
		}

		assert.Equal(t, before, s.Get(t, id))
		image, _ := s.Avatar(t, before.AvatarURL)
		assert.Equal(t, PNG(2, 2), image)
	})

	// Ensure an avatar belongs to a user.
	t.Run("an id that nobody has is not found", func(t *testing.T) {
		for _, id := range s.idsOfNobody(t) {
			put(t, id, PNG(2, 2)).Problem(t, http.StatusNotFound, "User not found")
			s.Do(t, "GET", "/users/"+id+"/avatar", nil).Problem(t, http.StatusNotFound, "User not found")
		}
	})

	// Ensure an image is never seen half replaced, by the clients that replace it or by others.
	t.Run("it can be read while it is replaced", func(t *testing.T) {
		id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
		images := [][]byte{PNG(2, 2), JPEG(3, 3), GIF(4, 4, 1), WebP()}
		types := []string{"image/png", "image/jpeg", "image/gif", "image/webp"}
		responses := s.together(t, 24, func(i int) (*Response, error) {
			if i%3 == 0 {
				return s.send("PUT", "/users/"+id+"/avatar", bytes.NewReader(images[i%4]))
			}
			return s.send("GET", "/users/"+id+"/avatar", nil)
		})
		responses = append(responses, s.Do(t, "GET", s.Path(t, s.Get(t, id).AvatarURL), nil))
		for i, r := range responses {
			require.Equal(t, http.StatusOK, r.Status, r)
			if i < 24 && i%3 == 0 {
				continue
			}
			at := slices.IndexFunc(images, func(image []byte) bool { return bytes.Equal(image, r.Body) })
			require.GreaterOrEqual(t, at, 0, r)
			assert.Equal(t, types[at], r.Header.Get("Content-Type"), r)
		}
	})
}

func (s *suite) removeAvatar(t *testing.T) {
	// Ensure an avatar goes and the user stays.
	t.Run("the user has none afterwards", func(t *testing.T) {
		email := Email()
		created := s.CreateForm(t, "Ann", email, PNG(2, 2))
		path := "/users/" + created.ID + "/avatar"
		r := s.Do(t, "DELETE", path, nil)
		require.Equal(t, http.StatusNoContent, r.Status, r)
		want := User{ID: created.ID, Name: "Ann", Email: email}
		assert.Equal(t, want, s.Get(t, created.ID))
		s.untilListed(t, func(users []User) bool {
			listed := byID(users, created.ID)
			return len(listed) == 1 && listed[0] == want
		})
		for _, path := range []string{path, s.Path(t, created.AvatarURL)} {
			s.Do(t, "GET", path, nil).Problem(t, http.StatusNotFound, "Avatar not found")
		}

		// Ensure there is a way back.
		u := s.PutAvatar(t, created.ID, PNG(2, 2))
		assert.NotEqual(t, created.AvatarURL, u.AvatarURL)
		image, _ := s.Avatar(t, u.AvatarURL)
		assert.Equal(t, PNG(2, 2), image)
	})

	// Ensure a client learns that there was nothing to remove.
	t.Run("one that is not there is not found", func(t *testing.T) {
		never := s.CreateJSON(t, "Ann", Email()).ID
		twice := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
		r := s.Do(t, "DELETE", "/users/"+twice+"/avatar", nil)
		require.Equal(t, http.StatusNoContent, r.Status, r)
		for _, id := range []string{never, twice} {
			s.Do(t, "DELETE", "/users/"+id+"/avatar", nil).Problem(t, http.StatusNotFound, "Avatar not found")
		}
		for _, id := range s.idsOfNobody(t) {
			s.Do(t, "DELETE", "/users/"+id+"/avatar", nil).Problem(t, http.StatusNotFound, "User not found")
		}
	})
}

func (s *suite) avatarRules(t *testing.T) {
	id := s.CreateJSON(t, "Ann", Email()).ID
	put := func(t *testing.T, image []byte) *Response {
		t.Helper()
		return s.Do(t, "PUT", "/users/"+id+"/avatar", bytes.NewReader(image))
	}
	most := s.MaxAvatarPixels

	// Ensure every format is stored unchanged and served as what it is, however it was brought.
	for _, row := range []struct {
		what        string
		image       []byte
		contentType string
	}{
		{"PNG", PNG(16, 9), "image/png"},
		{"JPEG", JPEG(16, 9), "image/jpeg"},
		{"GIF", GIF(16, 9, 1), "image/gif"},
		{"animated GIF", GIF(16, 9, 3), "image/gif"},
		{"lossy WebP", WebP(), "image/webp"},
		{"lossless WebP", WebPLossless(), "image/webp"},
		{"WebP with transparency", WebPAlpha(), "image/webp"},
		{"animated WebP", WebPAnimated(), "image/webp"},
		{"PNG with a private chunk", PNGWith([]byte("private")), "image/png"},
		{"PNG of the greatest width", PNG(most, 1), "image/png"},
		{"PNG of the greatest height", PNG(1, most), "image/png"},
		{"JPEG of the greatest width", JPEG(most, 1), "image/jpeg"},
		{"GIF of the greatest height", GIF(1, most, 1), "image/gif"},
		{"image of exactly the limit of bytes", PaddedPNG(s.MaxAvatarBytes), "image/png"},
	} {
		t.Run("a "+row.what+" is accepted", func(t *testing.T) {
			created := s.CreateForm(t, "Ann", Email(), row.image)
			for _, url := range []string{put(t, row.image).User(t).AvatarURL, created.AvatarURL} {
				image, contentType := s.Avatar(t, url)
				assert.True(t, bytes.Equal(row.image, image), "%d bytes came back, not the same as went in", len(image))
				assert.Equal(t, row.contentType, contentType)
			}
		})
	}

	s.avatarSamples(t, id)
	put(t, PaddedPNG(s.MaxAvatarBytes)).User(t)
	before := s.Get(t, id)

	// Ensure nothing is served from our host that a browser might run, or that is no image after all.
	for _, row := range []struct {
		what  string
		image []byte
	}{
		{"SVG", SVG()},
		{"BMP", BMP(2, 2)},
		{"page of HTML", []byte("<!doctype html><script>alert(1)</script>")},
		{"text", []byte("hello")},
		{"JSON", []byte(`{"name":"Ann"}`)},
		{"PDF", []byte("%PDF-1.7\n")},
		{"program", []byte("\x7fELF\x02\x01\x01\x00")},
		{"ZIP", []byte("PK\x03\x04")},
		{"TIFF", []byte("II*\x00\x08\x00\x00\x00\x00\x00")},
		{"icon", []byte("\x00\x00\x01\x00\x01\x00\x01\x01\x00\x00\x01\x00\x18\x00")},
		{"PNG without a header", PNG(2, 2)[:pngSignature]},
		{"PNG with half a header", PNG(2, 2)[:pngSignature+10]},
		{"PNG with a broken header", breakAt(PNG(2, 2), pngSignature+pngIHDR-1)},
		{"JPEG without a header", JPEG(2, 2)[:2]},
		{"GIF without a header", []byte("GIF89a")},
		{"WebP without a header", WebP()[:12]},
		{"image behind something else", append([]byte(" "), PNG(2, 2)...)},
		{"image of no pixels", PNGBomb(0, 0)},
	} {
		t.Run("a "+row.what+" is refused", func(t *testing.T) {
			r := put(t, row.image)
			if row.what == "image of no pixels" { // no image, or one whose sides are out of bounds
				require.Contains(t, []int{http.StatusBadRequest, http.StatusUnsupportedMediaType}, r.Status, r)
				return
			}
			r.Problem(t, http.StatusUnsupportedMediaType, "Avatar is not an image")
		})
	}

	// Ensure nobody who looks at an avatar has to unpack more than the limit.
	for _, row := range []struct {
		what  string
		image []byte
	}{
		{"PNG that is too wide", PNG(most+1, 1)},
		{"PNG that is too high", PNG(1, most+1)},
		{"JPEG that is too wide", JPEG(most+1, 1)},
		{"JPEG that is too high", JPEG(1, most+1)},
		{"GIF that is too wide", GIF(most+1, 1, 1)},
		{"GIF that is too high", GIF(1, most+1, 1)},
		{"PNG of gigabytes in a few bytes", PNGBomb(60000, 60000)},
	} {
		t.Run("a "+row.what+" is refused", func(t *testing.T) {
			put(t, row.image).Problem(t, http.StatusBadRequest, "Avatar has too many pixels")
		})
	}

	// Ensure the limit of bytes is where it is said to be.
	t.Run("an image of one byte too many is refused", func(t *testing.T) {
		put(t, PaddedPNG(s.MaxAvatarBytes+1)).Problem(t, http.StatusRequestEntityTooLarge, "Avatar is too large")
	})

	// Ensure none of all this has touched the avatar that was there.
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		assert.Equal(t, before, s.Get(t, id))
		image, _ := s.Avatar(t, before.AvatarURL)
		assert.Len(t, image, s.MaxAvatarBytes)
	})
}

// avatarSamples uploads the files of [Samples] as the avatar of a user.
func (s *suite) avatarSamples(t *testing.T, id string) {
	put := func(t *testing.T, image []byte) *Response {
		t.Helper()
		return s.Do(t, "PUT", "/users/"+id+"/avatar", bytes.NewReader(image))
	}
	const notAnImage = "Avatar is not an image"

	// Ensure a valid file passes whatever made it, as it is unless it has metadata, of which only
	// the orientation stays.
	t.Run("a file of any encoder is accepted", func(t *testing.T) {
		for _, sample := range Samples() {
			image, contentType := s.Avatar(t, put(t, sample.Data).User(t).AvatarURL)
			assert.Equal(t, sample.ContentType, contentType, sample.Name)
			if !sample.Metadata {
				assert.True(t, bytes.Equal(sample.Data, image), sample.Name)
				continue
			}
			assert.Equal(t, sample.Orientation, Orientation(image), sample.Name)
			for _, text := range Metadata {
				assert.NotContains(t, string(image), text, sample.Name)
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

	// Ensure whoever sends a photo of an iPhone learns what to do.
	t.Run("a HEIC photo is refused with advice", func(t *testing.T) {
		for _, brand := range []string{"heic", "heix", "hevc", "mif1", "msf1", "avif"} {
			r := put(t, []byte("\x00\x00\x00\x1cftyp"+brand+"\x00\x00\x00\x00mif1miaf"))
			r.Problem(t, http.StatusUnsupportedMediaType, notAnImage)
			assert.Contains(t, string(r.Body), "save the photo as JPEG first", brand)
		}
	})
}

func breakAt(image []byte, i int) []byte {
	image[i] ^= 0xff
	return image
}

func (s *suite) links(t *testing.T) {
	// Ensure avatar_url and Location can be followed by whoever can reach the API.
	t.Run("they are absolute and lead there", func(t *testing.T) {
		created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
		assert.Regexp(t, `^https?://[^/]+/`, created.Location)
		assert.Regexp(t, `^https?://[^/]+/`, created.AvatarURL)
		assert.Equal(t, created.ID, s.Do(t, "GET", s.Path(t, created.Location), nil).User(t).ID)
		image, _ := s.Avatar(t, created.AvatarURL)
		assert.Equal(t, PNG(2, 2), image)
	})

	if s.PublicURL != "" && !s.Proxied && !s.AllowedHosts {
		// Ensure a client cannot have links made up that lead elsewhere.
		t.Run("they begin with the public URL whatever the request says", func(t *testing.T) {
			for _, header := range [][]string{{"Host: other.example"}, {"X-Forwarded-Proto: https"}, {"X-Forwarded-Proto: http"}, {"X-Forwarded-Host: other.example"}} {
				created := s.CreateForm(t, "Ann", Email(), PNG(2, 2), header...)
				s.Path(t, created.Location)
				s.Path(t, created.AvatarURL)
			}
		})
	}

	if s.PublicURL == "" && !s.Proxied && !s.AllowedHosts {
		scheme, _, _ := strings.Cut(s.base, "://")

		// Ensure links lead where the client has found the API, whatever that is called there.
		t.Run("they begin with the scheme and host of the request", func(t *testing.T) {
			for _, row := range []struct {
				header []string
				base   string
			}{
				{[]string{"Host: api.example.com"}, scheme + "://api.example.com"},
				{[]string{"Host: api.example.com:8443"}, scheme + "://api.example.com:8443"},
				{[]string{"Host: [::1]:5000"}, scheme + "://[::1]:5000"},
				{[]string{"X-Forwarded-Proto: https"}, "https://" + s.host()},
				{[]string{"X-Forwarded-Proto: http"}, "http://" + s.host()},
				{[]string{"Host: api.example.com", "X-Forwarded-Proto: https"}, "https://api.example.com"},
				{[]string{"X-Forwarded-Proto: ftp"}, s.base},
				{[]string{"X-Forwarded-Proto: javascript"}, s.base},
				{[]string{"X-Forwarded-Proto: "}, s.base},
			} {
				t.Run(fmt.Sprint(row.header), func(t *testing.T) {
					created := s.CreateForm(t, "Ann", Email(), PNG(2, 2), row.header...)
					assert.Equal(t, row.base+"/users/"+created.ID, created.Location)
					assert.True(t, strings.HasPrefix(created.AvatarURL, row.base+"/users/"+created.ID+"/avatar?v="), created.AvatarURL)

					u := s.Do(t, "GET", "/users/"+created.ID, nil, row.header...).User(t)
					assert.Equal(t, created.AvatarURL, u.AvatarURL)
					patched := s.Do(t, "PATCH", "/users/"+created.ID, strings.NewReader(`{}`), append(slices.Clone(row.header), mergePatch)...).User(t)
					assert.Equal(t, created.AvatarURL, patched.AvatarURL)
					users := s.Do(t, "GET", "/users", nil, row.header...).Users(t)
					for _, listed := range byID(users, created.ID) {
						assert.Equal(t, created.AvatarURL, listed.AvatarURL)
					}
				})
			}
		})
	}
}
