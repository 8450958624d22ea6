package apitest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// createPaths are two names of the same: the first is what existing clients call.
var createPaths = []string{"/user", "/users"}

func (s *suite) createJSON(t *testing.T) {
	for _, path := range createPaths {
		t.Run("POST "+path, func(t *testing.T) {
			s.createJSONAt(t, path)
			s.refuseJSONAt(t, path)
		})
	}

	// Ensure only an idempotency key makes two requests one user.
	t.Run("the same content makes another user each time", func(t *testing.T) {
		email := Email()
		first, second := s.CreateJSON(t, "Ann", email), s.CreateJSON(t, "Ann", email)
		assert.NotEqual(t, first.ID, second.ID)
		assert.Equal(t, s.Get(t, first.ID).Email, s.Get(t, second.ID).Email)
	})
}

func (s *suite) createJSONAt(t *testing.T, path string) {
	// Ensure existing clients find the answer that they rely on.
	t.Run("a name and an email make a user", func(t *testing.T) {
		email := Email()
		r := s.PostJSON(t, path, object("name", "Ann", "email", email))
		created := r.Created(t)
		r.JSON(t, http.StatusCreated, `{"message":"User created successfully","id":"`+created.ID+`","avatar_url":""}`)
		assert.Equal(t, User{ID: created.ID, Name: "Ann", Email: email}, s.Get(t, created.ID))
	})

	// Ensure the answer says where the user is, absolutely.
	t.Run("the Location is the URL of the user", func(t *testing.T) {
		created := s.PostJSON(t, path, object("name", "Ann", "email", Email())).Created(t)
		assert.Equal(t, "/users/"+created.ID, s.Path(t, created.Location))
		assert.Equal(t, created.ID, s.Do(t, "GET", s.Path(t, created.Location), nil).User(t).ID)
	})

	// Ensure everything that calls itself JSON is read as such, and what does not say what it is.
	for _, contentType := range []string{
		"application/json; charset=utf-8", "Application/JSON", "application/vnd.example.user+json", "application/ld+json;profile=x", "",
	} {
		t.Run(fmt.Sprintf("the content type %q is read as JSON", contentType), func(t *testing.T) {
			var header []string
			if contentType != "" {
				header = []string{"Content-Type: " + contentType}
			}
			if !strings.HasPrefix(strings.ToLower(contentType), "application/json") {
				header = append(header, Beyond)
			}
			s.Do(t, "POST", path, strings.NewReader(object("name", "Ann", "email", Email())), header...).Created(t)
		})
	}

	// Ensure a client may send what it has not measured.
	t.Run("a body in chunks is read", func(t *testing.T) {
		s.Do(t, "POST", path, chunked(strings.NewReader(object("name", "Ann", "email", Email()))), "Content-Type: application/json").Created(t)
	})

	// Ensure a client that asks first is told to go on. curl does so with larger bodies.
	t.Run("a client that expects 100 Continue gets it", func(t *testing.T) {
		s.PostJSON(t, path, object("name", "Ann", "email", Email()), "Expect: 100-continue").Created(t)
	})

	// Ensure clients may send more than we know, as they always could, and that it changes nothing.
	t.Run("unknown members are ignored", func(t *testing.T) {
		id, email := unknownID(), Email()
		created := s.PostJSON(t, path, `{"id":"`+id+`","avatar_url":"http://example.com/a.png","name":"Ann","NAME":7,"Email":null,
			"fingerprint":"x","admin":true,"more":{"name":[null,1.5e3,"\u00e9"]},"email":"`+email+`"}`).Created(t)
		assert.NotEqual(t, id, created.ID)
		assert.Empty(t, created.AvatarURL)
		assert.Equal(t, User{ID: created.ID, Name: "Ann", Email: email}, s.Get(t, created.ID))
		s.Do(t, "GET", "/users/"+id, nil).Problem(t, http.StatusNotFound, "User not found")
	})

	// Ensure a name comes back as it went in, without the white space around it.
	for _, row := range []struct {
		what, name, stored string
		header             []string
	}{
		{"one character", "A", "A", nil},
		{"200 characters", strings.Repeat("n", 200), strings.Repeat("n", 200), nil},
		{"200 characters of four bytes", strings.Repeat("😀", 200), strings.Repeat("😀", 200), nil},
		{"white space around it", " \t\r\n\u00a0 Ann Lee \u2003\n", "Ann Lee", nil},
		{"200 characters and white space around them", "   " + strings.Repeat("é", 200) + "   ", strings.Repeat("é", 200), []string{Beyond}},
		{"markup and quotes", `<script>alert("x")</script> & 'y' \ / `, `<script>alert("x")</script> & 'y' \ /`, nil},
		{"right-to-left letters", "שלום", "שלום", nil},
		{"combined characters", "👩‍👩‍👧 e\u0301", "👩‍👩‍👧 e\u0301", nil},
		{"what looks like JSON", `","email":"`, `","email":"`, nil},
		{"a format verb", "%s %d %!", "%s %d %!", nil},
	} {
		t.Run("a name may have "+row.what, func(t *testing.T) {
			created := s.PostJSON(t, path, object("name", row.name, "email", Email()), row.header...).Created(t)
			assert.Equal(t, row.stored, s.Get(t, created.ID).Name)
		})
	}

	// Ensure escapes of JSON mean what they stand for.
	t.Run("escapes are resolved", func(t *testing.T) {
		email := Email()
		created := s.PostJSON(t, path, `{"na\u006de":"\u0041\u00f6\ud83d\ude00\/\"","email":"\u0061`+email+`"}`).Created(t)
		assert.Equal(t, User{ID: created.ID, Name: `Aö😀/"`, Email: "a" + email}, s.Get(t, created.ID))
	})

	// Ensure an address comes back as it went in.
	for _, row := range []struct{ what, email string }{
		{"a plus and dots", "ann.b+" + Email()},
		{"capital letters", "Ann" + strings.ToUpper(Email())},
		{"every special character of an atom", "!#$%&'*+/=?^_`{|}~-" + Email()},
		{"no dot in its domain", "ann@localhost"},
		{"a quoted local part", `"ann lee"@example.com`},
		{"254 bytes", longEmail(Marker())},
		{"a composed and a decomposed accent", "zo\u00eb.zoe\u0308" + Email()},
	} {
		t.Run("an email may have "+row.what, func(t *testing.T) {
			created := s.PostJSON(t, path, object("name", "Ann", "email", row.email)).Created(t)
			assert.Equal(t, row.email, s.Get(t, created.ID).Email)
		})
	}

	// Ensure the limit of a body is where it is said to be, to the byte.
	t.Run("a body of exactly the limit is read", func(t *testing.T) {
		s.PostJSON(t, path, s.jsonOf(s.MaxJSONBytes, Email())).Created(t)
	})
}

// jsonOf returns a valid body of exactly this many bytes.
func (s *suite) jsonOf(size int, email string) string {
	start, end := `{"name":"Ann","email":"`+email+`","more":"`, `"}`
	return start + strings.Repeat("m", size-len(start)-len(end)) + end
}

func (s *suite) refuseJSONAt(t *testing.T, path string) {
	// A marker in what is refused shows, at the end, that nothing of it was stored.
	marker := Marker()
	email := marker + "@example.com"
	refuse := func(t *testing.T, body, text string) {
		t.Helper()
		s.PostJSON(t, path, body).Problem(t, http.StatusBadRequest, text)
	}

	// Ensure existing clients find the text that they rely on, wherever a name or an email is not a string with something in it.
	t.Run("a name or email that is missing, empty or no string is refused", func(t *testing.T) {
		const text = "Missing 'name' or 'email'"
		for _, value := range []string{`""`, `null`, `0`, `42`, `-1.5`, `true`, `false`, `[]`, `["Ann"]`, `{}`, `{"name":"Ann"}`} {
			t.Run(value, func(t *testing.T) {
				refuse(t, `{"name":`+value+`,"email":"`+email+`"}`, text)
				refuse(t, `{"name":"`+marker+`","email":`+value+`}`, text)
				refuse(t, `{"name":`+value+`,"email":`+value+`}`, text)
			})
		}
		for _, body := range []string{
			`{"email":"` + email + `"}`,
			`{"name":"` + marker + `"}`,
			`{"more":"` + marker + `"}`,
			`{"Name":"` + marker + `","email":"` + email + `"}`,
			`{"name":"` + marker + `","EMAIL":"` + email + `"}`,
			`{"user":{"name":"` + marker + `","email":"` + email + `"}}`,
		} {
			t.Run(body, func(t *testing.T) { refuse(t, body, text) })
		}
	})

	// Ensure existing clients find the text that they rely on, where the body is not an object with something in it.
	t.Run("a body that is no JSON object, or an empty one, is refused", func(t *testing.T) {
		valid := object("name", marker, "email", email)
		for _, body := range []string{
			``, ` `, "\n", `{}`, ` { } `, `[]`, `[` + valid + `]`, `null`, `true`, `42`, `"` + marker + `"`, marker,
			`{`, `}`, valid[:len(valid)-1], valid[1:], valid + `}`, valid + `]`, valid + `x`, valid + `,`, valid + valid, valid + ` {}`, valid + ` null`,
			`{'name':'` + marker + `','email':'` + email + `'}`,
			`{name:"` + marker + `",email:"` + email + `"}`,
			`{"name":"` + marker + `","email":"` + email + `",}`,
			`{"name":"` + marker + `" "email":"` + email + `"}`,
			`{"name":"` + marker + `","email":"` + email + `","more":NaN}`,
			`{"name":"` + marker + `","email":"` + email + `","more":01}`,
			`{"name":"` + marker + `","email":"` + email + `","more":"\x"}`,
			`{"name":"` + marker + `","email":"` + email + `"} // more`,
			"{\"name\":\"" + marker + "\n\",\"email\":\"" + email + "\"}",
			"name=" + marker + "&email=" + email,
		} {
			t.Run(fmt.Sprintf("%.40q", body), func(t *testing.T) { refuse(t, body, "Invalid JSON") })
		}
	})

	// Ensure nothing is stored that cannot be given back as it came.
	t.Run("a body that is no UTF-8 is refused", func(t *testing.T) {
		for _, body := range []string{
			"{\"name\":\"" + marker + "\xff\",\"email\":\"" + email + "\"}",
			"{\"name\":\"" + marker + "\xc0\xaf\",\"email\":\"" + email + "\"}",
			"{\"name\":\"" + marker + "\xed\xa0\x80\",\"email\":\"" + email + "\"}",
			"{\"name\":\"" + marker + "\",\"email\":\"\xfc" + email + "\"}",
			"{\"name\":\"" + marker + "\",\"email\":\"" + email + "\",\"more\":\"\x80\"}",
			`{"name":"` + marker + `\ud800","email":"` + email + `"}`, // half of a pair, which no UTF-8 has
		} {
			r := s.PostJSON(t, path, body)
			require.Equal(t, http.StatusBadRequest, r.Status, r)
		}
	})

	// Ensure a name can neither be blank, nor break lines, nor disguise itself.
	t.Run("a name that is not acceptable is refused", func(t *testing.T) {
		for _, name := range unacceptableNames(marker) {
			t.Run(fmt.Sprintf("%.60q", name), func(t *testing.T) {
				refuse(t, object("name", name, "email", email), "Invalid 'name'")
			})
		}
	})

	// Ensure an email is one bare address and nothing else.
	t.Run("an email that is not acceptable is refused", func(t *testing.T) {
		for _, email := range unacceptableEmails() {
			t.Run(fmt.Sprintf("%.60q", email), func(t *testing.T) {
				refuse(t, object("name", marker, "email", email), "Invalid 'email'")
			})
		}
	})

	// Ensure a body is not read on for ever, measured or not.
	t.Run("a body above the limit is refused", func(t *testing.T) {
		body := s.jsonOf(s.MaxJSONBytes+1, email)
		s.PostJSON(t, path, body).Problem(t, http.StatusRequestEntityTooLarge, "Request body is too large")
		s.Do(t, "POST", path, chunked(strings.NewReader(body)), "Content-Type: application/json").
			Problem(t, http.StatusRequestEntityTooLarge, "Request body is too large")
	})

	// Ensure what is neither JSON nor a form is not guessed at.
	t.Run("any other media type is refused", func(t *testing.T) {
		for _, contentType := range []string{
			"text/plain", "text/json", "text/html", "application/xml", "application/octet-stream", "application/jsonp", "application/json5",
			"image/png", "multipart/mixed; boundary=x", "json", "*/*",
		} {
			t.Run(contentType, func(t *testing.T) {
				s.Do(t, "POST", path, strings.NewReader(object("name", marker, "email", email)), "Content-Type: "+contentType).
					Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
			})
		}
	})

	// Ensure a few bytes cannot unpack to many.
	t.Run("a body that is encoded is refused", func(t *testing.T) {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := w.Write([]byte(object("name", marker, "email", email)))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "gzip, gzip", "unknown"} {
			t.Run(encoding, func(t *testing.T) {
				s.PostJSON(t, path, packed.String(), "Content-Encoding: "+encoding).
					Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
			})
		}
	})

	// Ensure none of all this has left a user behind.
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
	})
}

func unacceptableNames(marker string) []string {
	names := []string{
		" ", "\t", "\r\n", "\u00a0", "\u3000\u2003", strings.Repeat("n", 201), strings.Repeat("😀", 201), marker + strings.Repeat(" n", 100),
		"\u0301" + marker, marker + "\u200d", "\u200c" + marker, "क" + marker + "\u200d", "👩\u200d\u200d💻", "👩\ufe0f\ufe0f", "1\ufe0f", "🏴\U000e0067", "🏴\U000e007f",
	}
	for _, r := range "\x00\x01\a\b\t\n\v\f\r\x1b\x1f\x7f\u0080\u0085\u009f" + // control characters
		"\u2028\u2029" + // separators of lines and paragraphs
		"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" { // overrides and isolates of direction
		names = append(names, marker+string(r)+"Lee")
	}
	return names
}

func unacceptableEmails() []string {
	return []string{
		"ann", "@", "ann@", "@example.com", "ann@@example.com", "ann@b@example.com", "ann@example..com", "ann@.example.com", "ann@example.com.",
		"ann..lee@example.com", ".ann@example.com", "ann.@example.com", "ann lee@example.com", "ann@exam ple.com", "ann@example.com ", " ann@example.com",
		"\tann@example.com", "ann@example.com\n", "ann@example.com\r\nBcc: bob@example.com", "ann\x00@example.com", "ann@example.com\x7f",
		"<ann@example.com>", "Ann <ann@example.com>", `"Ann" <ann@example.com>`, "ann@example.com (Ann)", "ann(Ann)@example.com", "(Ann)ann@example.com",
		"ann@example.com,bob@example.com", "ann@example.com;bob@example.com", "ann@example.com bob@example.com", "mailto:ann@example.com",
		"Friends: ann@example.com;", `"ann@example.com`, `ann"@example.com`, `ann\@example.com`, "ann@[192.0.2.1", "ann@exa[mple.com",
		"ann\u202e@example.com", "ann@example\u2028.com", "❤\ufe0f@example.com", "ann@exa\u3000mple.com", "\u0301ann@example.com", "ann.\u0301@example.com", "ann@\u0301example.com",
		" ", "x" + longEmail("x"), longEmail("x") + "x", strings.Repeat("a", 9000) + "@example.com",
	}
}
