package apitest

import (
	"bytes"
	"io"
	"maps"
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

	// Ensure the image comes back with its type, and is cached only by the URL that changes with it.
	t.Run("it comes back as it went in", func(t *testing.T) {
		v := versioned[len(plain+"?v="):]
		for query, cache := range map[string]string{
			"?v=" + v: cacheForEver, "": cacheChecked, "?v=": cacheChecked, "?v=x": cacheChecked,
			"?v=" + unknownID(): cacheChecked, "?V=" + v: cacheChecked,
		} {
			r := s.Do(t, "GET", plain+query, nil)
			s.requireHarmless(t, r, image, "image/png")
			assert.Equal(t, strconv.Itoa(len(image)), r.Header.Get("Content-Length"), r)
			assert.Equal(t, cache, r.Header.Get("Cache-Control"), r)
		}
	})

	etag := s.Do(t, "GET", plain, nil).Header.Get("Etag")

	// Ensure a client that has the image is told so, and how long it may keep it.
	t.Run("conditions", func(t *testing.T) {
		for path, cache := range map[string]string{versioned: cacheForEver, plain: cacheChecked} {
			for _, header := range [][]string{{"If-None-Match: " + etag}, {`If-None-Match: "x"`, "If-None-Match: " + etag}} {
				r := s.Do(t, "GET", path, nil, header...).Is(t, http.StatusNotModified)
				assert.Equal(t, etag, r.Header.Get("Etag"), r)
				assert.Equal(t, cache, r.Header.Get("Cache-Control"), r)
			}
		}
	})

	// Ensure HEAD tells what GET would bring.
	t.Run("HEAD", func(t *testing.T) {
		s.requireHeadLikeGet(t, versioned)
		s.requireHeadLikeGet(t, plain)
		r := s.Do(t, "HEAD", plain, nil)
		assert.Equal(t, strconv.Itoa(len(image)), r.Header.Get("Content-Length"), r)
	})

	// Ensure one user's image is not shown as another's.
	t.Run("the image of one user is not that of another", func(t *testing.T) {
		other := s.CreateForm(t, "Ann", Email(), GIF(2, 2, 1))
		s.requireAvatar(t, strings.Replace(created.AvatarURL, created.ID, other.ID, 1), GIF(2, 2, 1), "image/gif")
	})
}

func (s *suite) replaceAvatar(t *testing.T) {
	// Ensure a user gets an avatar later as well as with its creation.
	t.Run("a user without one gets one", func(t *testing.T) {
		email := Email()
		created := s.CreateJSON(t, "Ann", email)
		u := s.PutAvatar(t, created.ID, PNG(2, 3))
		assert.Equal(t, User{ID: created.ID, Name: "Ann", Email: email, AvatarURL: u.AvatarURL}, u)
		assert.Equal(t, u, s.Get(t, created.ID))
		s.requireAvatar(t, u.AvatarURL, PNG(2, 3), "image/png")
		s.requireListed(t, u)
	})

	// Ensure caches never show an old image: its URL and its ETag are of it alone.
	t.Run("a new image has a new URL and a new ETag", func(t *testing.T) {
		created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
		plain := "/users/" + created.ID + "/avatar"
		urls, etags := []string{created.AvatarURL}, []string{s.Do(t, "GET", plain, nil).Header.Get("Etag")}
		for _, image := range [][]byte{JPEG(3, 3), PNG(4, 4), GIF(5, 5, 1)} {
			u := s.PutAvatar(t, created.ID, image)
			assert.NotContains(t, urls, u.AvatarURL)
			r := s.Do(t, "GET", plain, nil, "If-None-Match: "+etags[len(etags)-1]).Is(t, http.StatusOK)
			assert.Equal(t, image, r.Body, r)
			assert.NotContains(t, etags, r.Header.Get("Etag"), r)
			urls, etags = append(urls, u.AvatarURL), append(etags, r.Header.Get("Etag"))
		}
		for _, old := range urls[:3] {
			r := s.Do(t, "GET", s.Path(t, old), nil).Is(t, http.StatusOK)
			assert.Equal(t, GIF(5, 5, 1), r.Body, r)
			assert.Equal(t, cacheChecked, r.Header.Get("Cache-Control"), r)
		}
		r := s.Do(t, "GET", s.Path(t, urls[3]), nil)
		assert.Equal(t, cacheForEver, r.Header.Get("Cache-Control"), r)
	})

	// Ensure the declared type decides nothing, also in a form and in chunks.
	t.Run("the declared type is ignored", func(t *testing.T) {
		id := s.CreateJSON(t, "Ann", Email()).ID
		_, form := Form(Field("name", "Bob"), File("avatar", "a.png", WebP()))
		for _, header := range [][]string{
			{},
			{"Content-Type: image/png"},
			{"Content-Type: image/svg+xml"},
			{"Content-Type: application/json"},
			{"Content-Type: application/x-www-form-urlencoded"},
			{"Content-Type: nonsense"},
			{"Content-Type: multipart/form-data; boundary=" + boundary},
		} {
			body := WebP()
			if len(header) > 0 && strings.Contains(header[0], "multipart") {
				body = form
			}
			for _, reader := range []io.Reader{bytes.NewReader(body), chunked(bytes.NewReader(body))} {
				u := s.Do(t, "PUT", "/users/"+id+"/avatar", reader, header...).User(t)
				assert.Equal(t, "Ann", u.Name)
				s.requireAvatar(t, u.AvatarURL, WebP(), "image/webp")
			}
		}
	})

	// Ensure an image is never seen half replaced, by the clients that replace it or by others.
	t.Run("it can be read while it is replaced", func(t *testing.T) {
		id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
		images := map[string][]byte{
			"image/png": PNG(2, 2), "image/jpeg": JPEG(3, 3), "image/gif": GIF(4, 4, 1), "image/webp": WebP(),
		}
		types := slices.Sorted(maps.Keys(images))
		for i, r := range s.together(t, 24, func(i int) (*Response, error) {
			if i%3 == 0 {
				return s.send("PUT", "/users/"+id+"/avatar", bytes.NewReader(images[types[i/3%4]]))
			}
			return s.send("GET", "/users/"+id+"/avatar", nil)
		}) {
			require.Equal(t, http.StatusOK, r.Status, r)
			if i%3 != 0 {
				assert.Equal(t, images[r.mediaType()], r.Body, r)
			}
		}
	})
}

func (s *suite) removeAvatar(t *testing.T) {
	// Ensure an avatar goes and the user stays.
	t.Run("the user has none afterwards", func(t *testing.T) {
		email := Email()
		created := s.CreateForm(t, "Ann", email, PNG(2, 2))
		path := "/users/" + created.ID + "/avatar"
		s.Do(t, "DELETE", path, nil).Is(t, http.StatusNoContent)
		want := User{ID: created.ID, Name: "Ann", Email: email}
		assert.Equal(t, want, s.Get(t, created.ID))
		s.requireListed(t, want)
		for _, path := range []string{path, s.Path(t, created.AvatarURL)} {
			s.Do(t, "GET", path, nil).Problem(t, http.StatusNotFound, "Avatar not found")
		}

		// Ensure there is a way back.
		u := s.PutAvatar(t, created.ID, PNG(2, 2))
		assert.NotEqual(t, created.AvatarURL, u.AvatarURL)
		s.requireAvatar(t, u.AvatarURL, PNG(2, 2), "image/png")
	})

	// Ensure a client learns that there was nothing to remove.
	t.Run("one that is not there is not found", func(t *testing.T) {
		never := s.CreateJSON(t, "Ann", Email()).ID
		twice := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
		s.Do(t, "DELETE", "/users/"+twice+"/avatar", nil).Is(t, http.StatusNoContent)
		for _, id := range []string{never, twice} {
			s.Do(t, "DELETE", "/users/"+id+"/avatar", nil).Problem(t, http.StatusNotFound, "Avatar not found")
		}
	})
}
