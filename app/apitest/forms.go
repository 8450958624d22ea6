package apitest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const urlencoded = "Content-Type: application/x-www-form-urlencoded"

func (s *suite) createForm(t *testing.T) {
	for _, path := range createPaths {
		t.Run("POST "+path, func(t *testing.T) {
			s.createFormAt(t, path)
			s.refuseFormAt(t, path)
			s.urlencodedAt(t, path)
		})
	}
}

func (s *suite) createFormAt(t *testing.T, path string) {
	// Ensure a form makes the user that JSON makes.
	t.Run("a name and an email make a user", func(t *testing.T) {
		email := Email()
		r := s.PostForm(t, path, []Part{Field("name", "  Zoë\t"), Field("email", email)})
		created := r.Created(t)
		r.JSON(t, http.StatusCreated, `{"message":"User created successfully","id":"`+created.ID+`","avatar_url":""}`)
		assert.Equal(t, "/users/"+created.ID, s.Path(t, created.Location))
		assert.Equal(t, User{ID: created.ID, Name: "Zoë", Email: email}, s.Get(t, created.ID))
	})

	// Ensure a client may send the parts as it likes, the image before the rest is known among it.
	t.Run("the avatar may be the first part, the last, or between", func(t *testing.T) {
		for at := range 3 {
			email, image := Email(), PNG(3, 4)
			parts := []Part{Field("name", "Ann"), Field("email", email)}
			parts = append(parts[:at:at], append([]Part{File("avatar", "a.png", image)}, parts[at:]...)...)
			created := s.PostForm(t, path, parts).Created(t)
			require.NotEmpty(t, created.AvatarURL, "the avatar as part %d", at)
			stored, contentType := s.Avatar(t, created.AvatarURL)
			assert.Equal(t, image, stored)
			assert.Equal(t, "image/png", contentType)
			assert.Equal(t, User{ID: created.ID, Name: "Ann", Email: email, AvatarURL: created.AvatarURL}, s.Get(t, created.ID))
		}
	})

	// Ensure neither what a file is called nor what it is declared as decides anything.
	t.Run("an avatar may have any name and declared type", func(t *testing.T) {
		for _, disposition := range []string{
			`name="avatar"; filename="photo.jpg"`,
			`name="avatar"; filename="../../../etc/passwd"`,
			`name="avatar"; filename="/users/1/avatar?v=x#y"`,
			`name="avatar"; filename="C:\\Users\\ann\\photo.exe"`,
			`name="avatar"; filename="a \"b\" c.png"`,
			`name="avatar"; filename="Ж – 😀.png"`,
			`name="avatar"; filename="a.png"; filename*=UTF-8''%e2%82%ac.png`,
			`name="avatar"; filename=x`,
			`name=avatar; filename=x`,
			`filename="x.svg"; name="avatar"`,
			`name="avatar"; filename="` + strings.Repeat("x", 300) + `"`,
		} {
			t.Run(fmt.Sprintf("%.80s", disposition), func(t *testing.T) {
				for _, declared := range []string{"", "image/png", "image/svg+xml", "text/html", "nonsense"} {
					created := s.PostForm(t, path, []Part{
						Field("name", "Ann"), Field("email", Email()), {Disposition: disposition, Type: declared, Content: GIF(2, 2, 1)},
					}).Created(t)
					image, contentType := s.Avatar(t, created.AvatarURL)
					assert.Equal(t, GIF(2, 2, 1), image)
					assert.Equal(t, "image/gif", contentType)
					assert.NotContains(t, created.AvatarURL, "passwd")
				}
			})
		}
	})

	// Ensure a form of a browser in which no file was chosen is a form without one.
	t.Run("an empty file without a name is no avatar", func(t *testing.T) {
		created := s.PostForm(t, path, []Part{Field("name", "Ann"), Field("email", Email()), File("avatar", "", nil)}).Created(t)
		assert.Empty(t, created.AvatarURL)
		assert.Empty(t, s.Get(t, created.ID).AvatarURL)
	})

	// Ensure text fields may say what they are.
	t.Run("fields may declare their charset", func(t *testing.T) {
		email := Email()
		created := s.PostForm(t, path, []Part{
			{Disposition: `name="name"`, Type: "text/plain; charset=utf-8", Content: []byte("Zoë")},
			{Disposition: `name="email"`, Type: "text/plain; charset=UTF-8", Content: []byte(email)},
		}).Created(t)
		assert.Equal(t, User{ID: created.ID, Name: "Zoë", Email: email}, s.Get(t, created.ID))
	})

	// Ensure clients may send more than we know.
	t.Run("unknown fields are ignored", func(t *testing.T) {
		email, id := Email(), unknownID()
		created := s.PostForm(t, path, []Part{
			Field("id", id), Field("avatar_url", "http://example.com/a.png"), File("photo", "photo.png", PNG(9, 9)), Field("Name", "Bob"),
			Field("name", "Ann"), Field("csrf", "x"), Field("email", email), Field("csrf", "x"), Field("", ""), File("photo", "", nil),
		}).Created(t)
		assert.NotEqual(t, id, created.ID)
		assert.Equal(t, User{ID: created.ID, Name: "Ann", Email: email}, s.Get(t, created.ID))
	})

	// Ensure the number of parts is bounded where it is said to be.
	t.Run("a form may have 32 parts", func(t *testing.T) {
		parts := []Part{Field("name", "Ann"), Field("email", Email())}
		for len(parts) < 32 {
			parts = append(parts, Field("more", "x"))
		}
		s.PostForm(t, path, parts).Created(t)
	})

	// Ensure a client may send a form that it has not measured.
	t.Run("a form in chunks is read", func(t *testing.T) {
		contentType, body := Form(Field("name", "Ann"), Field("email", Email()), File("avatar", "a.png", PNG(2, 2)))
		created := s.Do(t, "POST", path, chunked(bytes.NewReader(body)), "Content-Type: "+contentType).Created(t)
		assert.NotEmpty(t, created.AvatarURL)
	})

	// Ensure what RFC 2046 lets stand around the parts is not read as one.
	t.Run("text before the first part and behind the last is skipped", func(t *testing.T) {
		contentType, body := Form(Field("name", "Ann"), Field("email", Email()))
		body = []byte("a preamble\r\n" + string(body) + "an epilogue\r\n")
		s.Do(t, "POST", path, bytes.NewReader(body), "Content-Type: "+contentType).Created(t)
	})
}

func (s *suite) refuseFormAt(t *testing.T, path string) {
	// A marker in what is refused shows, at the end, that nothing of it was stored.
	marker := Marker()
	name, email, avatar := Field("name", marker), Field("email", marker+"@example.com"), File("avatar", "a.png", PNG(2, 2))

	// Ensure a form is held to the rules of JSON, also where the avatar is valid.
	t.Run("a name or email that is missing or empty is refused", func(t *testing.T) {
		for _, parts := range [][]Part{
			{},
			{name},
			{email},
			{avatar},
			{name, avatar},
			{avatar, email},
			{name, Field("email", "")},
			{Field("name", ""), email, avatar},
			{Field("name", ""), Field("email", "")},
			{Field("NAME", marker), email},
		} {
			s.PostForm(t, path, parts).Problem(t, http.StatusBadRequest, "Missing 'name' or 'email'")
		}
	})

	// Ensure a form is held to the rules of JSON, also where the avatar is valid.
	t.Run("a name that is not acceptable is refused", func(t *testing.T) {
		for _, name := range append(unacceptableNames(marker), strings.Repeat("n", 9<<10), marker+"\xff") {
			t.Run(fmt.Sprintf("%.60q", name), func(t *testing.T) {
				s.PostForm(t, path, []Part{avatar, Field("name", name), email}).Problem(t, http.StatusBadRequest, "Invalid 'name'")
			})
		}
	})

	// Ensure a form is held to the rules of JSON, also where the avatar is valid.
	t.Run("an email that is not acceptable is refused", func(t *testing.T) {
		for _, email := range append(unacceptableEmails(), "\xff@example.com") {
			t.Run(fmt.Sprintf("%.60q", email), func(t *testing.T) {
				s.PostForm(t, path, []Part{name, Field("email", email), avatar}).Problem(t, http.StatusBadRequest, "Invalid 'email'")
			})
		}
	})

	// Ensure an avatar is held to its rules, and that a refused one leaves no user behind.
	t.Run("an avatar that is not acceptable is refused", func(t *testing.T) {
		for _, row := range []struct {
			what   string
			avatar []byte
			status int
			text   string
		}{
			{"no image", []byte("text"), http.StatusUnsupportedMediaType, "Avatar is not an image"},
			{"an empty file", nil, http.StatusUnsupportedMediaType, "Avatar is not an image"},
			{"SVG", SVG(), http.StatusUnsupportedMediaType, "Avatar is not an image"},
			{"too many pixels", PNG(s.MaxAvatarPixels+1, 1), http.StatusBadRequest, "Avatar has too many pixels"},
			{"too many bytes", PaddedPNG(s.MaxAvatarBytes + 1), http.StatusRequestEntityTooLarge, "Avatar is too large"},
		} {
			t.Run(row.what, func(t *testing.T) {
				file := File("avatar", "a.png", row.avatar)
				s.PostForm(t, path, []Part{name, email, file}).Problem(t, row.status, row.text)
				s.PostForm(t, path, []Part{file, name, email}).Problem(t, row.status, row.text)
			})
		}
	})

	// Ensure the limit is that of the avatar, whatever the form adds to it.
	t.Run("an avatar of exactly the limit is stored", func(t *testing.T) {
		image := PaddedPNG(s.MaxAvatarBytes)
		created := s.PostForm(t, path, []Part{Field("name", strings.Repeat("😀", 200)), Field("email", Email()), File("avatar", "a.png", image)}).Created(t)
		stored, _ := s.Avatar(t, created.AvatarURL)
		assert.True(t, bytes.Equal(image, stored), "%d bytes came back, not the same as went in", len(stored))
	})

	// Ensure it is never left open which of two avatars is meant.
	t.Run("two avatars are refused", func(t *testing.T) {
		s.PostForm(t, path, []Part{avatar, name, email, avatar}).Problem(t, http.StatusBadRequest, "Invalid form")
		s.PostForm(t, path, []Part{name, email, avatar, File("avatar", "b.gif", GIF(2, 2, 1))}).Problem(t, http.StatusBadRequest, "Invalid form")
	})

	// Ensure parts are not counted for ever.
	t.Run("a form of 33 parts is refused", func(t *testing.T) {
		parts := []Part{name, email}
		for len(parts) < 33 {
			parts = append(parts, Field("more", "x"))
		}
		s.PostForm(t, path, parts).Problem(t, http.StatusBadRequest, "Invalid form")
	})

	// Ensure half a form is not taken for a whole one.
	t.Run("a form that is broken is refused", func(t *testing.T) {
		contentType, whole := Form(name, email, avatar)
		closing := bytes.LastIndex(whole, []byte("\r\n--"))
		for _, row := range []struct{ what, contentType, body string }{
			{"no boundary", "multipart/form-data", string(whole)},
			{"an empty boundary", `multipart/form-data; boundary=""`, string(whole)},
			{"another boundary", "multipart/form-data; boundary=another", string(whole)},
			{"no body", contentType, ""},
			{"no form", contentType, object("name", marker, "email", marker+"@example.com")},
			{"no closing boundary", contentType, string(whole[:closing])},
			{"half a closing boundary", contentType, string(whole[:closing+len(boundary)])},
			{"an end in the avatar", contentType, string(whole[:closing-10])},
			{"an end in a header", contentType, string(whole[:len(boundary)+20])},
			{"a part without a header", contentType, "--" + boundary + "\r\n" + marker + "\r\n--" + boundary + "--\r\n"},
			{"a header that never ends", contentType, "--" + boundary + "\r\nContent-Disposition: form-data; name=\"name\"\r\nX: " + strings.Repeat("x", 60<<10)},
		} {
			t.Run(row.what, func(t *testing.T) {
				s.Do(t, "POST", path, strings.NewReader(row.body), "Content-Type: "+row.contentType).Problem(t, http.StatusBadRequest, "Invalid form")
			})
		}
	})

	// Ensure no cut leaves what could be taken for a form with less in it.
	t.Run("a form that is cut anywhere is refused", func(t *testing.T) {
		contentType, whole := Form(name, email, Field("more", "x"), avatar)
		var taken []string // one line a cut, rather than one failure each
		for at := range len(whole) - len("--\r\n") {
			r := s.Do(t, "POST", path, bytes.NewReader(whole[:at]), "Content-Type: "+contentType)
			if r.Status != http.StatusBadRequest || !strings.Contains(string(r.Body), `"Invalid form"`) {
				taken = append(taken, fmt.Sprintf("cut behind %q: %d %s", whole[max(0, at-30):at], r.Status, r.Body))
			}
		}
		require.Empty(t, taken, "%d of %d", len(taken), len(whole))
	})

	// Ensure a few bytes cannot unpack to many.
	t.Run("a form that is encoded is refused", func(t *testing.T) {
		s.PostForm(t, path, []Part{name, email}, "Content-Encoding: gzip").Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
	})

	// Ensure none of all this has left a user behind.
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
	})
}

func (s *suite) urlencodedAt(t *testing.T, path string) {
	marker := Marker()
	email := marker + "@example.com"
	form := func(namesAndValues ...string) string {
		values := url.Values{}
		for i := 0; i < len(namesAndValues); i += 2 {
			values.Add(namesAndValues[i], namesAndValues[i+1])
		}
		return values.Encode()
	}

	// Ensure a urlencoded form makes the user that JSON makes.
	t.Run("a urlencoded form makes a user", func(t *testing.T) {
		for _, contentType := range []string{urlencoded, urlencoded + "; charset=utf-8", strings.ToUpper(urlencoded)} {
			email := "ann+1" + Email()
			r := s.Do(t, "POST", path, strings.NewReader(form("name", " Zoë & Co = 100% ", "email", email, "more", "x", "id", unknownID())), contentType)
			created := r.Created(t)
			r.JSON(t, http.StatusCreated, `{"message":"User created successfully","id":"`+created.ID+`","avatar_url":""}`)
			assert.Equal(t, "/users/"+created.ID, s.Path(t, created.Location))
			assert.Equal(t, User{ID: created.ID, Name: "Zoë & Co = 100%", Email: email}, s.Get(t, created.ID))
		}
	})

	// Ensure a urlencoded form is held to the rules of JSON.
	t.Run("a urlencoded form that is not acceptable is refused", func(t *testing.T) {
		for _, row := range []struct{ body, text string }{
			{"", "Missing 'name' or 'email'"},
			{form("name", marker), "Missing 'name' or 'email'"},
			{form("email", email), "Missing 'name' or 'email'"},
			{form("name", "", "email", email), "Missing 'name' or 'email'"},
			{form("name", marker, "email", ""), "Missing 'name' or 'email'"},
			{object("name", marker, "email", email), "Missing 'name' or 'email'"},
			{form("name", " ", "email", email), "Invalid 'name'"},
			{form("name", marker+"\nLee", "email", email), "Invalid 'name'"},
			{form("name", marker+"\xff", "email", email), "Invalid 'name'"},
			{form("name", strings.Repeat("n", 201), "email", email), "Invalid 'name'"},
			{form("name", marker, "email", "ann"), "Invalid 'email'"},
			{form("name", marker, "email", email+" "), "Invalid 'email'"},
			{"name=" + marker + "&email=" + email + "&more=%zz", "Invalid form"},
			{"name=" + marker + "%2&email=" + email, "Invalid form"},
		} {
			t.Run(fmt.Sprintf("%.60q", row.body), func(t *testing.T) {
				s.Do(t, "POST", path, strings.NewReader(row.body), urlencoded).Problem(t, http.StatusBadRequest, row.text)
			})
		}
	})

	// Ensure a urlencoded form has the limit of JSON, to the byte.
	t.Run("a urlencoded form has a limit", func(t *testing.T) {
		fill := func(size int, email string) string {
			start := form("email", email, "name", "Ann") + "&more="
			return start + strings.Repeat("m", size-len(start))
		}
		s.Do(t, "POST", path, strings.NewReader(fill(s.MaxJSONBytes, Email())), urlencoded).Created(t)
		s.Do(t, "POST", path, strings.NewReader(fill(s.MaxJSONBytes+1, email)), urlencoded).
			Problem(t, http.StatusRequestEntityTooLarge, "Request body is too large")
	})

	// Ensure none of all this has left a user behind.
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
	})
}

// contentTypes is about how leniently a Content-Type is read.
func (s *suite) contentTypes(t *testing.T) {
	// Ensure a broken parameter beside a type that is understood does no harm.
	for _, contentType := range []string{
		"application/json; charset", "application/json; charset=", "application/json;", "application/json; =", "Application/JSON ; charset=utf-8",
		`application/json; charset="utf-8`, "application/json; charset=a; charset=b",
	} {
		t.Run(contentType, func(t *testing.T) {
			s.Do(t, "POST", "/users", strings.NewReader(object("name", "Ann", "email", Email())), "Content-Type: "+contentType).Created(t)
		})
	}
	t.Run("a form", func(t *testing.T) {
		s.Do(t, "POST", "/users", strings.NewReader("name=Ann&email="+Email()), urlencoded+"; charset").Created(t)
	})

	// Ensure boundaries are read that ought to be in quotes, as the earlier service did.
	for _, parameters := range []string{
		"boundary=----=_Part_1_2.3", "boundary=a:b", "boundary=a/b?c(d)'e'", "charset; boundary=abc", "Boundary=----=_Part_1; charset=utf-8", `x; boundary="a b"`,
	} {
		t.Run(parameters, func(t *testing.T) {
			_, value, _ := strings.Cut(parameters, "oundary=")
			value, _, _ = strings.Cut(value, ";")
			value = strings.Trim(value, `"`)
			for path, method := range map[string]string{"/users": "POST", "/users/" + s.CreateJSON(t, "Ann", Email()).ID + "/avatar": "PUT"} {
				_, form := Form(Field("name", "Ann"), Field("email", Email()), File("avatar", "a.png", PNG(3, 3)))
				body := strings.ReplaceAll(string(form), boundary, value)
				r := s.Do(t, method, path, strings.NewReader(body), "Content-Type: multipart/form-data; "+parameters, Beyond)
				require.Less(t, r.Status, 300, r)
			}
		})
	}

	// Ensure two readers of a request do not find two types in it.
	t.Run("two of them are refused", func(t *testing.T) {
		_, form := Form(Field("name", "Ann"), Field("email", Email()))
		for _, header := range [][]string{
			{"Content-Type: application/json", "Content-Type: application/json"},
			{"Content-Type: text/plain", "Content-Type: application/json"},
			{"Content-Type: application/json", "content-type: text/plain"},
		} {
			s.Do(t, "POST", "/users", strings.NewReader(object("name", "Ann", "email", Email())), header...).Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
			s.Do(t, "PUT", "/users/"+unknownID()+"/avatar", bytes.NewReader(form), header...).Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
		}
	})

	// Ensure what is no type is not taken for one.
	for _, contentType := range []string{"application/json, text/plain", "application/jsonp", "json", "text/json", "application/ json", "x y+json", "+json", "multipart/form-data, text/plain; boundary=x"} {
		t.Run(contentType+" is refused", func(t *testing.T) {
			s.Do(t, "POST", "/users", strings.NewReader(object("name", "Ann", "email", Email())), "Content-Type: "+contentType).
				Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
		})
	}

	// Ensure a byte order mark, which some editors and libraries write, does no harm: RFC 8259 §8.1.
	t.Run("a byte order mark is skipped", func(t *testing.T) {
		created := s.PostJSON(t, "/users", "\ufeff"+object("name", "Ann", "email", Email()), Beyond).Created(t)
		r := s.Do(t, "PATCH", "/users/"+created.ID, strings.NewReader("\ufeff"+`{"name":"Bob"}`), mergePatch, Beyond)
		assert.Equal(t, "Bob", r.User(t).Name)
	})
}
