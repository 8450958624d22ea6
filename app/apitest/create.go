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

// Content types of requests, as header lines.
const (
	mergePatch = "Content-Type: application/merge-patch+json"
	urlencoded = "Content-Type: application/x-www-form-urlencoded"
)

// ways are those in which a name and an email come to the API.
var ways = []string{"JSON", "a change", "a form with an avatar", "a urlencoded form"}

// sendUser creates a user in one of the ways, or changes the user with this id.
func (s *suite) sendUser(t *testing.T, way, id, name, email string) *Response {
	t.Helper()
	body := object("name", name, "email", email)
	switch way {
	case "JSON":
		return s.PostJSON(t, "/users", body)
	case "a change":
		return s.Do(t, "PATCH", "/users/"+id, strings.NewReader(body), mergePatch)
	case "a form with an avatar":
		avatar := File("avatar", "a.png", PNG(2, 2))
		return s.PostForm(t, "/users", []Part{avatar, Field("name", name), Field("email", email)})
	}
	form := url.Values{"name": {name}, "email": {email}, "more": {"x"}}.Encode()
	return s.Do(t, "POST", "/users", strings.NewReader(form), urlencoded)
}

// values sends names and emails in every way that there is.
func (s *suite) values(t *testing.T) {
	v, _ := s.victim(t)
	refuse := func(t *testing.T, name, email, text string) {
		t.Helper()
		for _, way := range ways {
			t.Run(way, func(t *testing.T) {
				s.sendUser(t, way, v.ID, name, email).Problem(t, http.StatusBadRequest, text)
			})
		}
	}
	// take requires a name and an email to come back as they went in.
	take := func(t *testing.T, name, email string) {
		t.Helper()
		other := s.CreateJSON(t, "Ann", Email()).ID
		for _, way := range ways {
			t.Run(way, func(t *testing.T) {
				r := s.sendUser(t, way, other, name, email)
				id := r.createdID()
				if id == "" {
					id = r.User(t).ID
				}
				u := s.Get(t, id)
				assert.Equal(t, []string{name, email}, []string{u.Name, u.Email})
			})
		}
	}
	email := v.marker + "@example.com"

	// Ensure text of every language, and text that means something elsewhere, is a name.
	for _, name := range list(t, "names") {
		t.Run(fmt.Sprintf("the name %.60q", name), func(t *testing.T) { take(t, name, Email()) })
	}

	// Ensure an address is kept as it is written.
	for _, email := range list(t, "emails") {
		t.Run(fmt.Sprintf("the email %.60q", email), func(t *testing.T) { take(t, "Ann", email) })
	}

	// Ensure a name can neither be blank, nor too long, nor hide characters.
	for _, name := range list(t, "refused names") {
		t.Run(fmt.Sprintf("no name: %.60q", name), func(t *testing.T) { refuse(t, name, email, "Invalid 'name'") })
	}

	// Ensure an email is one bare address.
	for _, email := range list(t, "refused emails") {
		t.Run(fmt.Sprintf("no email: %.60q", email), func(t *testing.T) {
			refuse(t, v.marker, email, "Invalid 'email'")
		})
	}

	// Ensure a name or an email cannot hide characters, change the direction of text or break a
	// line.
	for _, c := range list(t, "refused characters") {
		t.Run(fmt.Sprintf("the character %q", c), func(t *testing.T) {
			refuse(t, v.marker+c+"Lee", email, "Invalid 'name'")
			for _, format := range []string{"%s@example.com", "ann%s@example.com", "ann@%sexample.com"} {
				refuse(t, v.marker, fmt.Sprintf(format, c), "Invalid 'email'")
			}
		})
	}

	s.requireUnchanged(t, v)
}

func (s *suite) createJSON(t *testing.T) {
	// Ensure existing clients, which post to /user, find the response that they rely on.
	for _, path := range []string{"/user", "/users"} {
		t.Run("POST "+path, func(t *testing.T) {
			email := Email()
			r := s.PostJSON(t, path, object("name", "Ann", "email", email))
			created := r.Created(t)
			r.JSON(t, http.StatusCreated, `{"message":"User created successfully","id":"`+created.ID+`","avatar_url":""}`)
			assert.Equal(t, "/users/"+created.ID, s.Path(t, created.Location))
			want := User{ID: created.ID, Name: "Ann", Email: email}
			assert.Equal(t, want, s.Do(t, "GET", s.Path(t, created.Location), nil).User(t))
			s.PostJSON(t, path, `{}`).Problem(t, http.StatusBadRequest, "Invalid JSON")
			withAvatar := []Part{Field("name", "Ann"), Field("email", email), File("avatar", "a.png", PNG(2, 2))}
			s.requireAvatar(t, s.PostForm(t, path, withAvatar).Created(t).AvatarURL, PNG(2, 2), "image/png")
		})
	}

	// Ensure only an idempotency key makes two requests one user.
	t.Run("the same content makes another user each time", func(t *testing.T) {
		email := Email()
		first := s.CreateJSON(t, "Ann", email)
		assert.NotEqual(t, first.ID, s.CreateJSON(t, "Ann", email).ID)
	})

	// Ensure members and values that the API does not know change nothing, whatever they are called.
	t.Run("unknown members are ignored", func(t *testing.T) {
		id := unknownID()
		for _, more := range []string{
			`"id":"` + id + `","avatar_url":"http://example.com/a.png","NAME":7,"Email":null,"fingerprint":"x","admin":true`,
			`"more":{"name":[null,1.5e3,"\u00e9"]}`,
			`"more":1e999,"less":-1e999,"small":1e-999`,
			`"more":` + strings.Repeat("9", 10_000),
			`"more":0.` + strings.Repeat("3", 10_000) + "e99999999999999999999",
			`"more":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
			`"__proto__":{"name":"Bob","admin":true},"constructor":{"prototype":{"name":"Bob"}}`,
			`"$set":{"name":"Bob"},"$where":"sleep(1000)","name.$ne":"Bob","name[$ne]":"Bob"`,
			`"avatar_id":{"S":"x"},"S":{"name":{"S":"Bob"}},"Item":{"id":{"S":"1"}},":name":"Bob","#name":"email"`,
			`"more":"\ud800","\udc00":1`,
			`"":1` + strings.Repeat(`,"":1`, maxJSONBytes/6),
			`"` + strings.Repeat("m", maxJSONBytes/2) + `":1`,
			`"name\u0000":"Bob","\u0000email":"bob@example.com"`,
			`"n\u0430me":"Bob","\uff4eame":"Bob","email\u200b":"bob@example.com"`,
			`"more":1,"more":{"more":1,"more":2}`,
		} {
			t.Run(fmt.Sprintf("%.40s", more), func(t *testing.T) {
				email := Email()
				created := s.PostJSON(t, "/users", `{"name":"Ann",`+more+`,"email":"`+email+`"}`).Created(t)
				want := User{ID: created.ID, Name: "Ann", Email: email}
				assert.Equal(t, want, s.Get(t, created.ID))
				assert.Equal(t, want, s.Patch(t, created.ID, "{"+more+"}"))
				assert.Equal(t, want, s.Get(t, created.ID))
			})
		}
		s.Do(t, "GET", "/users/"+id, nil).Problem(t, http.StatusNotFound, "User not found")
	})

	// Ensure escapes mean what they stand for, and the last of two equal members counts.
	t.Run("members are read as JSON has them", func(t *testing.T) {
		for _, format := range []string{
			`{"na\u006de":"\u0041\u00f6\ud83d\ude00\/\"","email":%q}`,
			`{"name":"Bob","email":"bob@example.com","email":%q,"name":"Aö😀/\""}`,
			`{"name":null,"name":"Aö😀/\"","email":[],"email":%q}`,
			`{"name":"Bob","na\u006de":"Aö😀/\"","email":"","email":%q}`,
		} {
			email := Email()
			body := fmt.Sprintf(format, email)
			created := s.PostJSON(t, "/users", body).Created(t)
			assert.Equal(t, User{ID: created.ID, Name: `Aö😀/"`, Email: email}, s.Get(t, created.ID))
			again := s.CreateJSON(t, "Ann", Email()).ID
			assert.Equal(t, User{ID: again, Name: `Aö😀/"`, Email: email}, s.Patch(t, again, body))
		}
	})
}

// limits is about bodies of exactly as many bytes as they may have, and of one more.
func (s *suite) limits(t *testing.T) {
	v, _ := s.victim(t)
	email := v.marker + "@example.com"
	fill := func(size int, start, end string) string {
		return start + strings.Repeat("m", size-len(start+end)) + end
	}
	for _, row := range []struct{ method, path, contentType, start, end string }{
		{"POST", "/users", "Content-Type: application/json", `{"name":"Ann","email":%q,"more":"`, `"}`},
		{"PATCH", "/users/" + s.CreateJSON(t, "Ann", Email()).ID, mergePatch, `{"name":"Ann","email":%q,"more":"`, `"}`},
		{"POST", "/users", urlencoded, "name=Ann&email=%s&more=", ""},
	} {
		// Ensure the limit holds to the byte, whether the client tells the length or not.
		t.Run(row.method+" "+row.contentType, func(t *testing.T) {
			body := fill(maxJSONBytes, fmt.Sprintf(row.start, Email()), row.end)
			require.Less(t, s.Do(t, row.method, row.path, strings.NewReader(body), row.contentType).Status, 300)
			body = fill(maxJSONBytes+1, fmt.Sprintf(row.start, email), row.end)
			for _, r := range []*Response{
				s.Do(t, row.method, row.path, strings.NewReader(body), row.contentType),
				s.Do(t, row.method, row.path, chunked(strings.NewReader(body)), row.contentType),
			} {
				r.Problem(t, http.StatusRequestEntityTooLarge, "Request body is too large")
			}
		})
	}

	s.requireUnchanged(t, v)
}

func (s *suite) createForm(t *testing.T) {
	v, _ := s.victim(t)
	name, email := Field("name", v.marker), Field("email", v.marker+"@example.com")

	// Ensure no cut leaves what could be taken for a form with less in it.
	t.Run("a form that is cut anywhere is refused", func(t *testing.T) {
		contentType, whole := Form(name, email, Field("more", "x"), File("avatar", "a.png", PNG(2, 2)))
		for at := range len(whole) - len("--\r\n") {
			r := s.Do(t, "POST", "/users", bytes.NewReader(whole[:at]), "Content-Type: "+contentType)
			require.Equal(t, http.StatusBadRequest, r.Status, "cut behind %q: %s", whole[:at], r)
			r.Problem(t, http.StatusBadRequest, "Invalid form")
		}
	})

	// Ensure a header with a thousand parameters is refused.
	t.Run("a part with many parameters is no form", func(t *testing.T) {
		var parameters strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&parameters, "; a%d*0=b", i)
		}
		many := Part{Disposition: `name="avatar"` + parameters.String()}
		s.PostForm(t, "/users", []Part{name, email, many}).Problem(t, http.StatusBadRequest, "Invalid form")
	})
	s.requireUnchanged(t, v)
}
