package apitest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attack runs a test, behind which whoever calls next, on a connection of their own, must be served.
func (s *suite) attack(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		test(t)
		NewClient(t, s.base, s.Options).Do(t, "GET", "/health", nil).JSON(t, http.StatusOK, `{"status":"ok"}`)
	})
}

// mergePatch is the content type of a change.
const mergePatch = "Content-Type: application/merge-patch+json"

func (s *suite) hostileJSON(t *testing.T) {
	id := s.CreateJSON(t, "Ann", Email()).ID
	before := s.Get(t, id)
	marker := Marker()
	email := marker + "@example.com"
	// with returns an object with a name, an email and more members behind them, as they are written.
	with := func(email, more string) string {
		return `{"name":"` + marker + `","email":"` + email + `"` + more + `}`
	}
	nested := func(open, end string, depth int) string {
		return strings.Repeat(open, depth) + "1" + strings.Repeat(end, depth)
	}
	encoded := func(order binary.AppendByteOrder, mark bool) string {
		text := with(email, "")
		if mark {
			text = "\ufeff" + text
		}
		var b []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, unit)
		}
		return string(b)
	}

	// Ensure what a reader might stumble over, or take for something else than the next reader, is refused.
	// Package encoding/json reads 10,000 levels.
	valid := with(email, "")
	for _, row := range []struct{ what, body string }{
		{"arrays nested 15,000 deep", nested("[", "]", 15_000)},
		{"arrays nested 15,000 deep that never close", strings.Repeat("[", 15_000)},
		{"objects nested 10,001 deep", nested(`{"":`, "}", 10_001)},
		{"a member of arrays nested 15,000 deep", with(email, `,"more":`+nested("[", "]", 15_000))},
		{"a member of objects nested 10,001 deep", with(email, `,"more":`+nested(`{"":`, "}", 10_001))},
		{"a name of arrays nested 15,000 deep", `{"email":"` + email + `","name":` + nested("[", "]", 15_000) + `}`},
		{"two byte order marks", "\ufeff\ufeff" + valid},
		{"UTF-16", encoded(binary.BigEndian, true)},
		{"UTF-16, little end first", encoded(binary.LittleEndian, true)},
		{"UTF-16 without a mark", encoded(binary.LittleEndian, false)},
		{"two documents", valid + valid},
		{"two documents on two lines", valid + "\n" + valid},
		{"two documents with separators", "\x1e" + valid + "\x1e" + valid},
		{"a NUL behind it", valid + "\x00"},
		{"garbage behind it", valid + "\r\n\r\nGET / HTTP/1.1\r\n\r\n"},
		{"a comment in it", strings.Replace(valid, ",", ",/* */", 1)},
		{"a prefix against inclusion", ")]}',\n" + valid},
		{"a number that is none", with(email, `,"more":Infinity`)},
		{"a number in hex", with(email, `,"more":0x10`)},
		{"a number without an end", with(email, `,"more":1e`)},
		{"a name of a member that is no UTF-8", with(email, ",\"\xff\":1")},
		{"a name of a member that is no string", with(email, `,more:1`)},
	} {
		s.attack(t, row.what+" is no JSON", func(t *testing.T) {
			s.PostJSON(t, "/users", row.body).Problem(t, http.StatusBadRequest, "Invalid JSON")
			s.Do(t, "PATCH", "/users/"+id, strings.NewReader(row.body), mergePatch).Problem(t, http.StatusBadRequest, "Invalid JSON")
		})
	}

	// Ensure depth costs no more than length does.
	s.attack(t, "arrays nested 100,000 deep are too long", func(t *testing.T) {
		body := nested("[", "]", max(100_000, s.MaxJSONBytes/2))
		for _, body := range []string{body, with(email, `,"more":`+body)} {
			for _, reader := range []io.Reader{strings.NewReader(body), chunked(strings.NewReader(body))} {
				s.Do(t, "POST", "/users", reader, "Content-Type: application/json").Problem(t, http.StatusRequestEntityTooLarge, "Request body is too large")
			}
			s.Do(t, "PATCH", "/users/"+id, strings.NewReader(body), mergePatch).Problem(t, http.StatusRequestEntityTooLarge, "Request body is too large")
		}
	})

	// Ensure what is not looked at cannot do anything, whatever it is called or however large it is.
	for _, row := range []struct{ what, more string }{
		{"a number beyond float64", `,"more":1e999,"less":-1e999,"small":1e-999`},
		{"a number of 10,000 digits", `,"more":` + strings.Repeat("9", 10_000)},
		{"a fraction of 10,000 digits", `,"more":0.` + strings.Repeat("3", 10_000) + "e99999999999999999999"},
		{"arrays nested 1,000 deep", `,"more":` + nested("[", "]", 1000)},
		{"__proto__", `,"__proto__":{"name":"Bob","email":"bob@example.com","admin":true},"constructor":{"prototype":{"name":"Bob"}}`},
		{"operators", `,"$set":{"name":"Bob"},"$where":"sleep(1000)","name.$ne":"Bob","name[$ne]":"Bob","Name":{"$gt":""}`},
		{"attributes of DynamoDB", `,"fingerprint":{"S":"x"},"avatar_id":{"S":"x"},"S":{"name":{"S":"Bob"}},"Item":{"id":{"S":"1"}},":name":"Bob","#name":"email"`},
		{"half a pair of surrogates", `,"more":"\ud800","\udc00":1`},
		{"thousands of members", strings.Repeat(`,"":1`, s.MaxJSONBytes/6)},
		{"a name of a member as long as half the limit", `,"` + strings.Repeat("m", s.MaxJSONBytes/2) + `":1`},
		{"a NUL in the name of a member", `,"name\u0000":"Bob","\u0000email":"bob@example.com"`},
		{"letters that only look like ours", `,"nаme":"Bob","ｎame":"Bob","email\u200b":"bob@example.com"`},
		{"one member twice", `,"more":1,"more":{"more":1,"more":2}`},
	} {
		s.attack(t, row.what+" in members that nobody knows is ignored", func(t *testing.T) {
			email := Email()
			created := s.PostJSON(t, "/users", with(email, row.more)).Created(t)
			want := User{ID: created.ID, Name: marker, Email: email}
			assert.Equal(t, want, s.Get(t, created.ID))
			assert.Equal(t, want, s.Patch(t, created.ID, "{"+row.more[1:]+"}"))
			assert.Equal(t, want, s.Get(t, created.ID))
			s.Delete(t, created.ID)
		})
	}

	// Ensure a proxy that reads the last of two members and the API that does so too agree.
	s.attack(t, "of a member that is there twice the last counts", func(t *testing.T) {
		email := Email()
		for _, body := range []string{
			`{"name":"Bob","email":"bob@example.com","email":"` + email + `","name":"Zoë"}`,
			`{"name":null,"name":"Zoë","email":[],"email":"` + email + `"}`,
			`{"name":"Bob","na\u006de":"Zoë","email":"","email":"` + email + `"}`,
		} {
			created := s.PostJSON(t, "/users", body).Created(t)
			assert.Equal(t, User{ID: created.ID, Name: "Zoë", Email: email}, s.Get(t, created.ID))
			again := s.CreateJSON(t, "Ann", Email()).ID
			assert.Equal(t, User{ID: again, Name: "Zoë", Email: email}, s.Patch(t, again, body))
		}
		for _, body := range []string{with(email, `,"name":null`), with(email, `,"email":""`), with(email, `,"name":{"$ne":null}`), with(email, `,"n\u0061me":1e999`)} {
			s.PostJSON(t, "/users", body).Problem(t, http.StatusBadRequest, "Missing 'name' or 'email'")
			s.Do(t, "PATCH", "/users/"+id, strings.NewReader(body), mergePatch).Problem(t, http.StatusBadRequest, "Missing 'name' or 'email'")
		}
	})

	// Ensure a value that a careless reader would turn into text, or into a question to a store, is no name and no email.
	s.attack(t, "a value that is no text is missing", func(t *testing.T) {
		for _, value := range []string{
			`1e999`, `-1e999`, strings.Repeat("9", 10_000), `{"$ne":null}`, `{"$gt":""}`, `{"S":"` + marker + `"}`, `{"toString":"` + marker + `"}`, `["` + marker + `"]`, nested("[", "]", 1000),
		} {
			for _, body := range []string{`{"name":` + value + `,"email":"` + email + `"}`, `{"name":"` + marker + `","email":` + value + `}`} {
				s.PostJSON(t, "/users", body).Problem(t, http.StatusBadRequest, "Missing 'name' or 'email'")
				s.Do(t, "PATCH", "/users/"+id, strings.NewReader(body), mergePatch).Problem(t, http.StatusBadRequest, "Missing 'name' or 'email'")
			}
		}
	})

	// Ensure what JSON is called makes no other bytes of it: RFC 8259 §8.1 has UTF-8 alone.
	s.attack(t, "a charset that is declared is ignored", func(t *testing.T) {
		for _, charset := range []string{"utf-16", "iso-8859-1", "utf-7", "nonsense"} {
			email := Email()
			created := s.Do(t, "POST", "/users", strings.NewReader(object("name", "Zoë", "email", email)), "Content-Type: application/json; charset="+charset).Created(t)
			assert.Equal(t, User{ID: created.ID, Name: "Zoë", Email: email}, s.Get(t, created.ID))
			s.Do(t, "POST", "/users", strings.NewReader(encoded(binary.BigEndian, true)), "Content-Type: application/json; charset="+charset).
				Problem(t, http.StatusBadRequest, "Invalid JSON")
		}
	})

	// Ensure none of all this has left anything behind.
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
		assert.Equal(t, before, s.Get(t, id))
	})
}

func (s *suite) hostileText(t *testing.T) {
	id := s.CreateJSON(t, "Ann", Email()).ID
	before := s.Get(t, id)
	marker := Marker()
	valid := marker + "@example.com"

	// send brings a name and an email in each of the forms that the API reads, as bytes, and requires each to be refused.
	send := func(t *testing.T, name, email, text string) {
		t.Helper()
		s.PostForm(t, "/users", []Part{Field("name", name), Field("email", email)}).Problem(t, http.StatusBadRequest, text)
		s.Do(t, "POST", "/user", strings.NewReader(url.Values{"name": {name}, "email": {email}}.Encode()), urlencoded).Problem(t, http.StatusBadRequest, text)
		s.Do(t, "POST", "/user", strings.NewReader("name="+url.PathEscape(name)+"&email="+url.PathEscape(email)), urlencoded+"; charset=utf-16").Problem(t, http.StatusBadRequest, text)
	}
	sendJSON := func(t *testing.T, body, text string) {
		t.Helper()
		s.PostJSON(t, "/users", body).Problem(t, http.StatusBadRequest, text)
		s.Do(t, "PATCH", "/users/"+id, strings.NewReader(body), mergePatch).Problem(t, http.StatusBadRequest, text)
	}

	// Ensure what is no text is refused, rather than stored as something else.
	for _, row := range []struct{ what, bytes string }{
		{"a byte that is no UTF-8", "\xff"},
		{"UTF-8 that is cut", "\xe2\x82"},
		{"UTF-8 that is longer than it must be", "\xc0\xaf"},
		{"a NUL in two bytes", "\xc0\x80"},
		{"half a pair of surrogates", "\xed\xa0\x80"},
		{"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80"},
		{"a character beyond Unicode", "\xf4\x90\x80\x80"},
	} {
		s.attack(t, row.what+" is refused", func(t *testing.T) {
			for _, bytes := range []string{row.bytes, marker + row.bytes, row.bytes + marker} {
				send(t, bytes, valid, "Invalid 'name'")
				send(t, marker, bytes+"@example.com", "Invalid 'email'")
				send(t, marker, valid+bytes, "Invalid 'email'")
				sendJSON(t, `{"name":"`+bytes+`","email":"`+valid+`"}`, "Invalid JSON")
				sendJSON(t, `{"name":"`+marker+`","email":"`+bytes+valid+`"}`, "Invalid JSON")
			}
		})
	}

	// Ensure the same of what JSON can write and UTF-8 cannot.
	s.attack(t, "half a pair of surrogates in JSON is refused", func(t *testing.T) {
		for _, half := range []string{`\ud800`, `\udc00`, `\ud83d`, `\ude00\ud83d`, `\ud800\u0041`, `\uD800\uD800`} {
			for _, text := range []string{half, marker + half, half + marker} {
				sendJSON(t, `{"name":"`+text+`","email":"`+valid+`"}`, "Invalid 'name'")
				sendJSON(t, `{"name":"`+marker+`","email":"`+text+`@example.com"}`, "Invalid 'email'")
				sendJSON(t, `{"name":"`+marker+`","email":"`+marker+`@`+text+`.example.com"}`, "Invalid 'email'")
			}
		}
	})

	// Ensure nobody disguises a name or an address, or writes a line of their own where it is printed, and that both show.
	s.attack(t, "characters that turn, end or hide text are refused", func(t *testing.T) {
		for _, c := range "\x00\b\n\r\x1b\x7f\u0085\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffd" +
			"\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2800\u3164\ufe0f\ufeff\uffa0\ufffc\U00016fe4\U0001d159\U0001d173\U000e0041\U000e007f\U000e0100\U0010ffff" {
			for _, text := range []string{string(c), marker + string(c) + "gpj.exe"} {
				send(t, text, valid, "Invalid 'name'")
				send(t, marker, text+"@example.com", "Invalid 'email'")
				sendJSON(t, object("name", text, "email", valid), "Invalid 'name'")
				sendJSON(t, object("name", marker, "email", text+"@example.com"), "Invalid 'email'")
			}
			sendJSON(t, object("name", marker, "email", marker+"@"+string(c)+"example.com"), "Invalid 'email'")
		}
	})

	// keep requires each way to write a name to take and return it as it is.
	keep := func(t *testing.T, names ...string) {
		for _, name := range names {
			email := Email()
			for _, id := range []string{s.CreateJSON(t, name, email).ID, s.CreateForm(t, name, email, PNG(1, 1)).ID} {
				assert.Equal(t, name, s.Get(t, id).Name)
				assert.Equal(t, name, s.Patch(t, id, object("name", name)).Name)
			}
		}
	}

	// Ensure those who write with joiners, selectors, tags and accents may do so, and get back the form that they sent.
	s.attack(t, "characters that do not show are kept where they change those that do", func(t *testing.T) {
		keep(t, "👩\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈", "👩🏽\u200d💻", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "1\ufe0f\u20e3", "می\u200cخواهم", "क्\u200dष", "അവന്\u200d",
			"葛\U000e0100\u3000城", "ᠬᠠᠷ\u180eᠠ", "שָׁלוֹם", "Zo\u00eb", "Zoe\u0308")
	})

	// Ensure text that means something somewhere else is text here.
	s.attack(t, "text that is meant for others is text", func(t *testing.T) {
		keep(t,
			`'; DROP TABLE users; --`, `" OR 1=1 --`, `{"$ne":null}`, `{{7*7}}`, `${jndi:ldap://example.com/x}`, `<img src=x onerror=alert(1)>`, `=HYPERLINK("http://example.com")`, `../../../etc/passwd`,
			`%00%0d%0aX-Injected: 1`, `\u0000\ud800`, `__proto__`, `null`, `undefined`, `NaN`, `true`, `-`, `%s%n%x`, `$(sleep 9)`, "`id`", `&lt;b&gt;`, `attribute_exists(id)`, `#name = :name`,
		)
	})

	// Ensure none of all this has left anything behind.
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
		assert.Equal(t, before, s.Get(t, id))
	})
}

func (s *suite) hostileForms(t *testing.T) {
	id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
	before := s.Get(t, id)
	marker := Marker()
	name, email, avatar := Field("name", marker), Field("email", marker+"@example.com"), File("avatar", "a.png", PNG(3, 3))
	valid := []Part{name, email, avatar}
	formType, whole := Form(valid...)
	const start = "--" + boundary + "\r\n"
	const end = "--" + boundary + "--\r\n"
	open := strings.TrimSuffix(string(whole), end)
	more := func(header, content string) string {
		return start + `Content-Disposition: form-data; name="more"` + "\r\n" + header + "\r\n" + content + "\r\n"
	}
	inner := "--inner\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nBob\r\n--inner--\r\n"
	inBoundary := strings.Repeat("b", 5000)

	// Ensure a form costs what its bytes cost, and no more: it is refused where that is not so.
	for _, row := range []struct{ what, contentType, body string }{
		{"10,000 parts", formType, open + strings.Repeat(more("", "x"), 10_000) + end},
		{"10,000 parts without a name", formType, open + strings.Repeat(start+"\r\n\r\n", 10_000) + end},
		{"10,000 files", formType, open + strings.Repeat(start+"Content-Disposition: form-data; name=\"more\"; filename=\"x\"\r\n\r\n\r\n", 10_000) + end},
		{"nothing but boundaries", formType, strings.Repeat(start, 10_000) + end},
		{"nothing but boundaries on no lines", formType, strings.Repeat("--"+boundary, 10_000)},
		{"megabytes of boundaries", formType, strings.Repeat(start, s.MaxAvatarBytes/len(start))},
		{"megabytes of dashes", formType, strings.Repeat("-", s.MaxAvatarBytes)},
		{"megabytes of what is nearly a boundary", formType, start + "Content-Disposition: form-data; name=\"more\"\r\n\r\n" + strings.Repeat("\r\n--"+boundary[1:], s.MaxAvatarBytes/(len(boundary)+3))},
		{"a header of a part without an end", formType, open + start + "X: " + strings.Repeat("x", s.MaxAvatarBytes-1<<10)},
		{"headers of a part without an end", formType, open + start + strings.Repeat("X: x\r\n", (s.MaxAvatarBytes-1<<10)/6)},
		{"20,000 headers of a part", formType, open + more(strings.Repeat("X: x\r\n", 20_000), "x") + end},
		{"a header of a part that breaks off its line", formType, open + more("X: x\rY: y\r\n", "x") + end},
		{"a header of a part with a NUL in its name", formType, open + more("X\x00: x\r\n", "x") + end},
		{"a header of a part that cannot be read", formType, string(formOf(name, email)) + start + `Content-Disposition: form-data; name="avatar"; filename="a\"` + "\r\n\r\nx\r\n" + end},
		{"a header of a part that is folded from nothing", formType, open + start + " X: x\r\n\r\nx\r\n" + end},
		{"a name of a file with a NUL", formType, string(formOf(name, email, File("avatar", "a.png\x00.html", PNG(3, 3)))) + end},
		{"a name of a file with a carriage return", formType, string(formOf(name, email, File("avatar", "a\rX-Injected: 1", PNG(3, 3)))) + end},
		{"a form within a form with the same boundary", formType, open + more("Content-Type: "+formType+"\r\n", string(whole)) + end},
		{"a name twice", formType, string(whole[:len(whole)-len(end)]) + string(formOf(name)) + end},
		{"an email twice", formType, string(whole[:len(whole)-len(end)]) + string(formOf(email)) + end},
		{"a boundary of 5,000 characters", "multipart/form-data; boundary=" + inBoundary, strings.ReplaceAll(string(whole), boundary, inBoundary)},
		{"a boundary that is not the body's", "multipart/form-data; boundary=-" + boundary, string(whole)},
	} {
		s.attack(t, row.what+" is no form", func(t *testing.T) {
			s.Do(t, "POST", "/users", strings.NewReader(row.body), "Content-Type: "+row.contentType).Problem(t, http.StatusBadRequest, "Invalid form")
			s.Do(t, "POST", "/user", chunked(strings.NewReader(row.body)), "Content-Type: "+row.contentType).Problem(t, http.StatusBadRequest, "Invalid form")
			s.Do(t, "PUT", "/users/"+id+"/avatar", strings.NewReader(row.body), "Content-Type: "+row.contentType).Problem(t, http.StatusBadRequest, "Invalid form")
		})
	}

	// Ensure the headers of a part are bounded before they are parsed, and the form that they are in.
	s.attack(t, "a header of a part above the limit is too long", func(t *testing.T) {
		body := open + start + "X: " + strings.Repeat("x", s.MaxAvatarBytes+1<<20)
		s.Do(t, "POST", "/users", strings.NewReader(body), "Content-Type: "+formType).Problem(t, http.StatusRequestEntityTooLarge, "Request body is too large")
		s.Do(t, "POST", "/users", chunked(strings.NewReader(body)), "Content-Type: "+formType).Problem(t, http.StatusBadRequest, "Invalid form")
	})
	s.attack(t, "a part with many parameters is no form", func(t *testing.T) {
		var parameters strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&parameters, "; a%d*0=b", i)
		}
		_, form := Form(name, Field("email", Email()), Part{Disposition: `name="avatar"` + parameters.String()})
		s.Do(t, "POST", "/users", bytes.NewReader(form), "Content-Type: "+formType).Problem(t, http.StatusBadRequest, "Invalid form")
	})

	// Ensure a second avatar is refused, also where neither has a file in it.
	s.attack(t, "two avatars are no form", func(t *testing.T) {
		for _, second := range []Part{File("avatar", "", nil), File("avatar", "a.png", PNG(1, 1))} {
			_, form := Form(name, Field("email", Email()), File("avatar", "", nil), second)
			s.Do(t, "POST", "/users", bytes.NewReader(form), "Content-Type: "+formType).Problem(t, http.StatusBadRequest, "Invalid form")
		}
	})

	if !s.Proxied { // which has a bound of its own
		// Ensure the header of a request bounds a boundary.
		s.attack(t, "a boundary of 17 KB is too long", func(t *testing.T) {
			long := strings.Repeat("b", 17_000)
			r := s.Do(t, "POST", "/users", strings.NewReader(strings.ReplaceAll(string(whole), boundary, long)), "Content-Type: multipart/form-data; boundary="+long)
			r.Problem(t, http.StatusRequestHeaderFieldsTooLarge, "Request Header Fields Too Large")
		})
	}

	// Ensure a boundary is a text, of which nothing goes anywhere.
	s.attack(t, "a boundary may be any text", func(t *testing.T) {
		for _, b := range []string{"../../x", "%0d%0aX-Injected: 1", "<script>", "a'b", "Ж", "a b", "--", strings.Repeat("b", 71), strings.Repeat("b", 2000)} {
			_, form := Form(name, Field("email", Email()))
			created := s.Do(t, "POST", "/users", strings.NewReader(strings.ReplaceAll(string(form), boundary, b)), `Content-Type: multipart/form-data; boundary="`+b+`"`).Created(t)
			s.Delete(t, created.ID)
		}
	})

	// Ensure two readers of a header do not find two boundaries in it.
	s.attack(t, "a boundary that is not well formed is refused", func(t *testing.T) {
		for _, parameters := range []string{"; boundary=a; boundary=b", "; boundary=a; boundary=a?b", "; x; boundary=a; boundary=a", `; boundary="a`, "; boundary=a b", `; boundary="a\"`, ", text/plain; boundary=a", `; boundary="a"b`, "; boundary=a,b"} {
			s.Do(t, "POST", "/users", bytes.NewReader(whole), "Content-Type: multipart/form-data"+parameters).Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
		}
	})

	// Ensure a form in a form is content, not a form.
	s.attack(t, "a form within a form is not read", func(t *testing.T) {
		for _, mediaType := range []string{"multipart/mixed", "multipart/form-data", "multipart/alternative", "message/rfc822"} {
			header := "Content-Type: " + mediaType + "; boundary=inner\r\n"
			address := Email()
			fields := string(formOf(name, Field("email", address)))
			created := s.Do(t, "POST", "/users", strings.NewReader(fields+more(header, inner)+end), "Content-Type: "+formType).Created(t)
			assert.Equal(t, User{ID: created.ID, Name: marker, Email: address}, s.Get(t, created.ID))
			s.Delete(t, created.ID)

			nested := func(field string) string {
				return start + `Content-Disposition: form-data; name="` + field + `"; filename="x"` + "\r\n" + header + "\r\n" + inner + "\r\n"
			}
			s.Do(t, "POST", "/users", strings.NewReader(nested("name")+string(formOf(email))+end), "Content-Type: "+formType).Problem(t, http.StatusBadRequest, "Invalid 'name'")
			s.Do(t, "POST", "/users", strings.NewReader(nested("email")+string(formOf(name))+end), "Content-Type: "+formType).Problem(t, http.StatusBadRequest, "Invalid 'email'")
			s.Do(t, "POST", "/users", strings.NewReader(nested("avatar")+string(formOf(name, email))+end), "Content-Type: "+formType).
				Problem(t, http.StatusUnsupportedMediaType, "Avatar is not an image")
		}
	})

	// Ensure what a part says of its encoding does not have a few bytes unpack to many.
	s.attack(t, "a part that says that it is encoded is not unpacked", func(t *testing.T) {
		packed := string(gzipped(make([]byte, 1<<20)))
		for _, header := range []string{"Content-Encoding: gzip", "Content-Transfer-Encoding: gzip", "Content-Transfer-Encoding: base64"} {
			part := start + "Content-Disposition: form-data; name=\"avatar\"; filename=\"a.png\"\r\n" + header + "\r\n\r\n" + packed + "\r\n"
			s.Do(t, "POST", "/users", strings.NewReader(string(formOf(name, email))+part+end), "Content-Type: "+formType).
				Problem(t, http.StatusUnsupportedMediaType, "Avatar is not an image")
		}
	})

	// Ensure what a file is called goes nowhere, and so not into a header or a path.
	s.attack(t, "a file may be called anything", func(t *testing.T) {
		for _, filename := range []string{
			"a%0d%0aX-Injected: 1.png", "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", `..\\..\\windows\\win.ini`, "/dev/null", "a\u202egpj.exe", "a.png%00.html", "\xff\xfe", "CON", strings.Repeat("../", 1000),
		} {
			created := s.Do(t, "POST", "/users", strings.NewReader(string(formOf(name, Field("email", Email()), File("avatar", filename, PNG(3, 3))))+end), "Content-Type: "+formType).Created(t)
			r := s.Do(t, "GET", s.Path(t, created.AvatarURL), nil)
			s.requireHarmless(t, r, PNG(3, 3), "image/png")
			assert.Equal(t, []string{"inline"}, r.Header.Values("Content-Disposition"), r)
			s.Delete(t, created.ID)
		}
	})

	// Ensure a urlencoded form has one reading, and no more fields than package net/url reads: 10,000.
	s.attack(t, "a urlencoded form that is hostile is refused", func(t *testing.T) {
		address := "email=" + marker + "@example.com"
		for body, text := range map[string]string{
			"name=" + marker + "&name=Bob&" + address:                       "Invalid form",
			"name=" + marker + "&na%6De=Bob&" + address:                     "Invalid form",
			"name=" + marker + "&" + address + "&" + address:                "Invalid form",
			"name=" + marker + ";" + address:                                "Invalid form",
			"name=" + marker + "&" + address + ";x=1":                       "Invalid form",
			"name=" + marker + "&" + address + "&%":                         "Invalid form",
			"name=" + marker + "&" + address + "&%00%0":                     "Invalid form",
			"name[]=" + marker + "&" + address:                              "Missing 'name' or 'email'",
			"name[$ne]=" + marker + "&" + address:                           "Missing 'name' or 'email'",
			"name.$ne=" + marker + "&" + address:                            "Missing 'name' or 'email'",
			"name%00=" + marker + "&" + address:                             "Missing 'name' or 'email'",
			"name&" + address:                                               "Missing 'name' or 'email'",
			strings.Repeat("&", 60_000):                                     "Invalid form",
			strings.Repeat("p=&", 20_000):                                   "Invalid form",
			strings.Repeat("name[", 10_000) + strings.Repeat("]", 10_000):   "Missing 'name' or 'email'",
			"name=" + marker + "%0d%0aX-Injected:%201&" + address:           "Invalid 'name'",
			"name=" + marker + "&" + address + "%0d%0aX-Injected:%201":      "Invalid 'email'",
			"name=" + marker + "\r\nX-Injected: 1&" + address:               "Invalid 'name'",
			"name=" + marker + "&" + address + "\r\nBcc: bob%40example.com": "Invalid 'email'",
		} {
			s.Do(t, "POST", "/users", strings.NewReader(body), urlencoded).Problem(t, http.StatusBadRequest, text)
		}
	})

	// Ensure none of all this has left anything behind.
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
		assert.Equal(t, before, s.Get(t, id))
		image, _ := s.Avatar(t, before.AvatarURL)
		assert.Equal(t, PNG(2, 2), image)
	})
}

// formOf returns these parts without the end of a form.
func formOf(parts ...Part) []byte {
	_, body := Form(parts...)
	return body[:len(body)-len("--"+boundary+"--\r\n")]
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data) // a buffer does not fail
	_ = w.Close()
	return b.Bytes()
}

func (s *suite) encodedBodies(t *testing.T) {
	id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
	before := s.Get(t, id)
	marker := Marker()
	bomb := gzipped(make([]byte, 8<<20))
	deflated := bomb[10 : len(bomb)-8] // without the header and the checksum of gzip: RFC 1952 §2.3
	contentType, form := Form(Field("name", marker), Field("email", marker+"@example.com"))

	// Ensure a few bytes cannot unpack to many, by whatever name and in however many layers. What they would unpack to is not looked at.
	for _, row := range []struct {
		what   string
		header []string
		body   []byte
	}{
		{"gzip", []string{"gzip"}, bomb},
		{"gzip by its old name", []string{"x-gzip"}, bomb},
		{"gzip in capitals", []string{"GZIP"}, bomb},
		{"deflate", []string{"deflate"}, deflated},
		{"br", []string{"br"}, bomb},
		{"zstd", []string{"zstd"}, bomb},
		{"compress", []string{"compress"}, bomb},
		{"gzip twice", []string{"gzip, gzip"}, gzipped(bomb)},
		{"gzip on two lines", []string{"gzip", "gzip"}, gzipped(bomb)},
		{"identity and gzip", []string{"identity, gzip"}, bomb},
		{"gzip and identity", []string{"gzip, identity"}, bomb},
		{"identity and gzip on two lines", []string{"identity", "gzip"}, bomb},
		{"gzip and identity on two lines", []string{"gzip", "identity"}, bomb},
		{"nothing and gzip on two lines", []string{"", "gzip"}, bomb},
		{"an encoding that nobody knows", []string{"x-nobody"}, bomb},
		{"a list of nothing", []string{",,,"}, bomb},
		{"gzip on what is not packed", []string{"gzip"}, form},
		{"identity and gzip on two lines, on what is not packed", []string{"identity", "gzip"}, form},
	} {
		s.attack(t, "a body in "+row.what+" is refused", func(t *testing.T) {
			var encoding []string
			for _, value := range row.header {
				encoding = append(encoding, "Content-Encoding: "+value)
			}
			for _, request := range []struct{ method, path, contentType string }{
				{"POST", "/users", "Content-Type: application/json"},
				{"POST", "/user", "Content-Type: " + contentType},
				{"POST", "/users", urlencoded},
				{"PATCH", "/users/" + id, mergePatch},
				{"PUT", "/users/" + id + "/avatar", "Content-Type: image/png"},
				{"PUT", "/users/" + id + "/avatar", "Content-Type: " + contentType},
			} {
				for _, reader := range []io.Reader{bytes.NewReader(row.body), chunked(bytes.NewReader(row.body))} {
					s.Do(t, request.method, request.path, reader, append(encoding, request.contentType)...).
						Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
				}
			}
		})
	}

	// Ensure a body that is packed and does not say so is not unpacked either.
	s.attack(t, "a body that is packed in secret is not unpacked", func(t *testing.T) {
		s.PostJSON(t, "/users", string(bomb)).Problem(t, http.StatusBadRequest, "Invalid JSON")
		s.Do(t, "POST", "/users", bytes.NewReader(bomb), "Content-Type: "+contentType).Problem(t, http.StatusBadRequest, "Invalid form")
		s.Do(t, "PUT", "/users/"+id+"/avatar", bytes.NewReader(bomb)).Problem(t, http.StatusUnsupportedMediaType, "Avatar is not an image")
	})

	// Ensure a body that says that it is not encoded is read.
	s.attack(t, "a body in identity is read", func(t *testing.T) {
		s.PostJSON(t, "/users", object("name", "Ann", "email", Email()), "Content-Encoding: identity").Created(t)
		s.PostForm(t, "/users", []Part{Field("name", "Ann"), Field("email", Email())}, "Content-Encoding: identity").Created(t)
	})

	if !s.Proxied {
		// Ensure the transfer of a body does not unpack it either.
		s.attack(t, "a body whose transfer is encoded is refused", func(t *testing.T) {
			for _, encoding := range []string{"gzip, chunked", "gzip,chunked", "deflate, chunked", "gzip", "chunked, gzip", "identity, chunked", "chunked;x=y"} {
				answers, _ := s.converse(t, "POST /users HTTP/1.1\r\n"+s.headers()+"Content-Type: application/json\r\nTransfer-Encoding: "+encoding+"\r\n\r\n"+chunk(string(bomb))+"0\r\n\r\n")
				require.Len(t, answers, 1)
				assert.Contains(t, []int{http.StatusBadRequest, http.StatusNotImplemented}, answers[0].Status, answers[0])
			}
		})
	}

	// Ensure none of all this has left anything behind.
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
		assert.Equal(t, before, s.Get(t, id))
	})
}

// jpegOf returns a JPEG that says that it has this size in pixels.
func jpegOf(width, height uint16) []byte {
	image := JPEG(8, 8)
	at := bytes.Index(image, []byte{0xff, 0xc0}) // the start of the frame: marker, length, precision, height, width
	binary.BigEndian.PutUint16(image[at+5:], height)
	binary.BigEndian.PutUint16(image[at+7:], width)
	return image
}

// gifOf returns a GIF of one frame, with these sizes of its screen and of its frame.
func gifOf(screenWidth, screenHeight, frameWidth, frameHeight uint16) []byte {
	image := GIF(1, 1, 1)
	binary.LittleEndian.PutUint16(image[6:], screenWidth)
	binary.LittleEndian.PutUint16(image[8:], screenHeight)
	at := bytes.LastIndex(image, []byte{0x2c, 0, 0, 0, 0, 1, 0, 1, 0}) // a frame of one pixel
	binary.LittleEndian.PutUint16(image[at+5:], frameWidth)
	binary.LittleEndian.PutUint16(image[at+7:], frameHeight)
	return image
}

func (s *suite) hostileImages(t *testing.T) {
	created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
	marker := Marker()
	const script = "<script>alert(document.domain)</script>"
	// bring sends an image in every way that there is, as what a browser would show or run, and gives each answer to check.
	bring := func(t *testing.T, image []byte, check func(t *testing.T, r *Response)) {
		t.Helper()
		path := "/users/" + created.ID + "/avatar"
		for _, declared := range []string{"image/png", "image/svg+xml", "text/html"} {
			check(t, s.Do(t, "PUT", path, bytes.NewReader(image), "Content-Type: "+declared))
			file := Part{Disposition: `name="avatar"; filename="a.` + declared[len(declared)-3:] + `"`, Type: declared, Content: image}
			contentType, form := Form(file)
			check(t, s.Do(t, "PUT", path, bytes.NewReader(form), "Content-Type: "+contentType))
			check(t, s.PostForm(t, "/users", []Part{Field("name", marker), Field("email", Email()), file}))
		}
	}

	// Ensure nobody who looks at an avatar has to unpack more than the limit, however few bytes it has.
	for _, row := range []struct {
		what  string
		image []byte
	}{
		{"a PNG of 50 gigapixels", PNGBomb(223607, 223607)},
		{"a PNG of one line of 2 gigapixels", PNGBomb(1<<31-1, 1)},
		{"a JPEG of the greatest size that there is", jpegOf(65535, 65535)},
		{"a GIF of the greatest size that there is", gifOf(65535, 65535, 65535, 65535)},
		{"a GIF with a greater frame than it says", gifOf(1, 1, 65535, 65535)},
		{"a lossy WebP of the greatest size that there is", webPOf(WebP(), 16383, 16383)},
		{"a lossless WebP of the greatest size that there is", webPOf(WebPLossless(), 16384, 16384)},
		{"an extended WebP of 2 gigapixels", webPOf(WebPAlpha(), 1<<24, 127)},
		{"an animated WebP of 2 gigapixels", webPOf(WebPAnimated(), 127, 1<<24)},
	} {
		s.attack(t, row.what+" has too many pixels", func(t *testing.T) {
			require.Less(t, len(row.image), 1<<10)
			bring(t, row.image, func(t *testing.T, r *Response) {
				t.Helper()
				r.Problem(t, http.StatusBadRequest, "Avatar has too many pixels")
			})
		})
	}

	// Ensure sizes that a decoder could multiply to something small are not taken for that.
	for _, row := range []struct {
		what  string
		image []byte
	}{
		{"a PNG of the greatest size that its header holds", PNGBomb(1<<32-1, 1<<32-1)},
		{"a PNG whose pixels overflow", PNGBomb(1<<31-1, 1<<31-1)},
		{"an extended WebP whose pixels overflow", webPOf(WebPAlpha(), 1<<24, 1<<24)},
	} {
		s.attack(t, row.what+" is no image", func(t *testing.T) {
			bring(t, row.image, func(t *testing.T, r *Response) {
				t.Helper()
				r.Problem(t, http.StatusUnsupportedMediaType, "Avatar is not an image")
			})
		})
	}

	// Ensure what a browser would run is no image, whatever it is called and declared as.
	for _, row := range []struct{ what, content string }{
		{"SVG", string(SVG())},
		{"SVG without a declaration", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`},
		{"SVG behind a byte order mark", "\ufeff" + string(SVG())},
		{"SVG behind a comment", "<!-- PNG -->" + string(SVG())},
		{"HTML", "<!doctype html>" + script},
		{"HTML with the name of a PNG in it", "<html><!--\x89PNG\r\n\x1a\n-->" + script},
		{"a script", "alert(1)//"},
		{"XHTML", `<html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>`},
		{"a PDF with a script", "%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj"},
		{"a Flash film", "CWS\x0a\x00\x00\x00\x00"},
		{"a PostScript program", "%!PS\n(%pipe%id) (w) file"},
		{"a drawing of ImageMagick", "push graphic-context\nfill 'url(https://example.com/\"|id\")'\npop graphic-context"},
		{"a list of frames for FFmpeg", "#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd"},
		{"the start of a PNG and HTML", "\x89PNG\r\n\x1a\n" + script},
		{"the start of a JPEG and HTML", "\xff\xd8\xff\xe0" + script},
		{"a WebP of nothing but its name", "RIFF\xff\xff\xff\xffWEBP" + script},
		{"a script with the name of a GIF", "GIF89a" + script},
		{"a script with the name of an old GIF", "GIF87a" + script},
		{"a script with the name of a GIF and a comment", "GIF89a/*" + strings.Repeat("x", 100) + "*/=1;alert(1)"},
		{"a script that assigns to the name of a GIF", "GIF89a=1;alert(document.domain)"},
		{"a GIF of a header and a script", "GIF89a\x01\x00\x01\x00\x00\x00\x00" + script},
	} {
		s.attack(t, row.what+" is no image", func(t *testing.T) {
			bring(t, []byte(row.content), func(t *testing.T, r *Response) {
				t.Helper()
				r.Problem(t, http.StatusUnsupportedMediaType, "Avatar is not an image")
			})
		})
	}

	before := s.Get(t, created.ID)
	t.Run("nothing that was refused is stored", func(t *testing.T) {
		s.requireNotStored(t, marker)
		assert.Equal(t, created.AvatarURL, before.AvatarURL)
	})

	// Ensure what is an image and something else as well is stored and served as the image alone.
	for _, row := range []struct {
		what, contentType string
		image, stored     []byte
	}{
		{"a PNG with HTML behind it", "image/png", append(PNG(2, 2), "<!doctype html>"+script...), PNG(2, 2)},
		{"a PNG with SVG behind it", "image/png", append(PNG(2, 2), SVG()...), PNG(2, 2)},
		{"a PNG with a ZIP behind it", "image/png", append(PNG(2, 2), zipOfNothing...), PNG(2, 2)},
		{"a PNG with a script in a comment", "image/png", withPNGChunk(PNG(2, 2), "tEXt", []byte("Comment\x00"+script)), PNG(2, 2)},
		{"a PNG with a script in a private chunk", "image/png", PNGWith([]byte(script)), PNGWith([]byte(script))},
		{"a JPEG with a script in a comment", "image/jpeg", withJPEGComment(JPEG(2, 2), script), JPEG(2, 2)},
		{"a JPEG with PHP behind it", "image/jpeg", append(JPEG(2, 2), "<?php system($_GET['c']); ?>"...), JPEG(2, 2)},
		{"a GIF with HTML behind it", "image/gif", append(GIF(2, 2, 1), script...), GIF(2, 2, 1)},
		{"a WebP with HTML behind it", "image/webp", append(WebP(), "<!doctype html>"+script...), WebP()},
	} {
		s.attack(t, row.what+" is served as an image and nothing else", func(t *testing.T) {
			bring(t, row.image, func(t *testing.T, r *Response) {
				t.Helper()
				var u User
				if r.Status == http.StatusCreated {
					u = s.Get(t, r.Created(t).ID)
				} else {
					u = r.User(t)
				}
				for _, path := range []string{s.Path(t, u.AvatarURL), "/users/" + u.ID + "/avatar", "/users/" + u.ID + "/avatar?v=x.html"} {
					s.requireHarmless(t, s.Do(t, "GET", path, nil, "Accept: text/html"), row.stored, row.contentType)
				}
				if u.ID != created.ID {
					s.Delete(t, u.ID)
				}
			})
		})
	}
}

// requireHarmless requires r to be this image, and no browser to take it for anything else.
func (s *suite) requireHarmless(t *testing.T, r *Response, image []byte, contentType string) {
	t.Helper()
	require.Equal(t, http.StatusOK, r.Status, r)
	require.Equal(t, image, r.Body, r)
	require.Equal(t, []string{contentType}, r.Header.Values("Content-Type"), r)
	require.Equal(t, []string{"nosniff"}, r.Header.Values("X-Content-Type-Options"), r)
	policies := r.Header.Values("Content-Security-Policy")
	require.Len(t, policies, 1, r)
	var directives []string
	for directive := range strings.SplitSeq(policies[0], ";") {
		directives = append(directives, strings.TrimSpace(directive))
	}
	require.Contains(t, directives, "sandbox", r) // with no allowance behind it
	require.Contains(t, directives, "default-src 'none'", r)
	require.Contains(t, directives, "frame-ancestors 'none'", r)
}

// zipOfNothing is an archive without files.
var zipOfNothing = append([]byte("PK\x05\x06"), make([]byte, 18)...)

// webPOf returns a copy of one of the WebP images with another size of its canvas in pixels.
func webPOf(image []byte, width, height uint32) []byte {
	const chunk = 12 // behind RIFF, the length and WEBP
	data := image[chunk+8:]
	switch string(image[chunk : chunk+4]) {
	case "VP8 ": // 14 bits a side, behind three bytes of the frame and three that are always the same
		binary.LittleEndian.PutUint16(data[6:], uint16(width))
		binary.LittleEndian.PutUint16(data[8:], uint16(height))
	case "VP8L": // 14 bits a side, one less than it is, behind one byte; then transparency and version
		bits := binary.LittleEndian.Uint32(data[1:])
		binary.LittleEndian.PutUint32(data[1:], bits&^(1<<28-1)|(width-1)|(height-1)<<14)
	case "VP8X": // 24 bits a side, one less than it is, behind four bytes
		data[4], data[5], data[6] = byte(width-1), byte((width-1)>>8), byte((width-1)>>16)
		data[7], data[8], data[9] = byte(height-1), byte((height-1)>>8), byte((height-1)>>16)
	}
	return image
}

// withJPEGComment returns a JPEG with this comment in front of everything else.
func withJPEGComment(image []byte, comment string) []byte {
	b := append([]byte(nil), image[:2]...)
	b = append(b, 0xff, 0xfe)
	b = binary.BigEndian.AppendUint16(b, uint16(len(comment)+2))
	b = append(b, comment...)
	return append(b, image[2:]...)
}

func (s *suite) hostileHeaders(t *testing.T) {
	created := s.CreateForm(t, "Ann", Email(), PNG(5, 4))
	before := s.Get(t, created.ID)
	path, image := "/users/"+created.ID+"/avatar", PNG(5, 4)
	etag := s.Do(t, "GET", path, nil).Header.Get("Etag")

	// Ensure an image comes whole: parts of it, many of them or none that exist, are not made.
	s.attack(t, "a range of an avatar is not made", func(t *testing.T) {
		for _, ranges := range []string{
			"bytes=0-0", "bytes=0-", "bytes=-1", "bytes=1-2,4-5", "bytes=" + strings.Repeat("0-,", 1500) + "0-", "bytes=99999999-", "bytes=5-1", "bytes=0-18446744073709551616", "bytes=--1", "bytes=", "nonsense", "chunks=0-1",
		} {
			for _, header := range [][]string{{"Range: " + ranges}, {"Range: " + ranges, "If-Range: " + etag}, {"Range: " + ranges, "Range: bytes=0-0"}} {
				r := s.Do(t, "GET", path, nil, header...)
				require.Equal(t, http.StatusOK, r.Status, r)
				assert.Equal(t, image, r.Body, r)
				assert.Empty(t, r.Header.Values("Content-Range"), r)
				assert.NotContains(t, r.Header.Get("Accept-Ranges"), "bytes", r)
			}
		}
	})

	// Ensure a condition costs what its bytes cost.
	s.attack(t, "a condition of 1,500 ETags is read", func(t *testing.T) {
		many := strings.Repeat(`"x",`, 1500)
		for condition, status := range map[string]int{many: 200, many + etag: 304, etag + "," + many: 304, many + `W/` + etag: 304, many + "*": 200, `"a,*,b"`: 200, `"a` + etag: 200, strings.Repeat(",", 6000): 200, strings.Repeat(`"`, 6000): 200} {
			r := s.Do(t, "GET", path, nil, "If-None-Match: "+condition)
			require.Equal(t, status, r.Status, r)
			if status == http.StatusOK {
				assert.Equal(t, image, r.Body, r)
			}
		}
	})

	if !s.Proxied { // which has a bound of its own
		// Ensure conditions are bounded as all headers are.
		s.attack(t, "a condition of 10,000 ETags is too long", func(t *testing.T) {
			for _, name := range []string{"If-None-Match", "If-Match"} {
				s.Do(t, "GET", path, nil, name+": "+strings.Repeat(`"x",`, 10_000)+etag).Problem(t, http.StatusRequestHeaderFieldsTooLarge, "Request Header Fields Too Large")
			}
		})
	}

	// Ensure a request does what its first line says.
	s.attack(t, "another method than the one that is written is not taken", func(t *testing.T) {
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Method"} {
			for _, method := range []string{"DELETE", "PATCH", "PUT"} {
				s.Do(t, "GET", "/users/"+created.ID, nil, name+": "+method).User(t)
				s.Do(t, "POST", "/users/"+created.ID, strings.NewReader(`{"name":"Bob"}`), name+": "+method, "Content-Type: application/json").
					Problem(t, http.StatusMethodNotAllowed, "Method not allowed")
				s.PostJSON(t, "/users", object("name", "Ann", "email", Email()), name+": "+method).Created(t)
			}
		}
		s.Do(t, "GET", "/users/"+created.ID+"?_method=DELETE", nil).User(t)
		s.Do(t, "POST", "/users/"+created.ID+"?_method=DELETE", strings.NewReader("_method=DELETE"), urlencoded).Problem(t, http.StatusMethodNotAllowed, "Method not allowed")
		s.Do(t, "POST", "/users", strings.NewReader("_method=DELETE&name=Ann&email="+Email()), urlencoded).Created(t)
	})

	// Ensure a request goes where its first line says.
	s.attack(t, "another path than the one that is written is not taken", func(t *testing.T) {
		for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Original-URI"} {
			s.Do(t, "DELETE", "/nothing", nil, name+": /users/"+created.ID).Problem(t, http.StatusNotFound, "Not found")
			s.Do(t, "GET", "/nothing", nil, name+": /health").Problem(t, http.StatusNotFound, "Not found")
		}
	})

	// Ensure none of all this has changed anything.
	t.Run("nothing is changed", func(t *testing.T) {
		assert.Equal(t, before, s.Get(t, created.ID))
		stored, _ := s.Avatar(t, before.AvatarURL)
		assert.Equal(t, image, stored)
	})
}

// enough is how much of a request that has no end is sent, in bytes. The API answers after a few
// thousand; what is sent until the client sees that stands in the buffers of two kernels.
const enough = 64 << 20

// pour sends start and behind it more, again and again, until the API answers or ends the connection.
// It returns the answers, and how many bytes were sent.
func (s *suite) pour(t *testing.T, start, more string) (answers []*Response, sent int64) {
	t.Helper()
	conn := s.dial(t)
	var answered atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for piece := start; sent < enough && !answered.Load(); piece = more {
			n, err := io.WriteString(conn, piece)
			sent += int64(n)
			if err != nil {
				return
			}
		}
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	in := bufio.NewReader(conn)
	_, _ = in.Peek(1)
	answered.Store(true)
	method, _, _ := strings.Cut(start, " ")
	answers = s.readAnswers(t, in, method, start)
	conn.Close()
	<-done
	return answers, sent
}

func (s *suite) endlessRequests(t *testing.T) {
	health, post := "GET /health HTTP/1.1\r\n"+s.headers(), "POST /users HTTP/1.1\r\n"+s.headers()+"Content-Type: application/json\r\n"
	inChunks := post + "Transfer-Encoding: chunked\r\n\r\n"
	id := s.CreateJSON(t, "Ann", Email()).ID
	const much = 16 << 10
	for _, row := range []struct {
		what, start, more string
		statuses          []int // of the answer, if there is one: a client that is still sending may miss it
	}{
		{"a header", health + "X-Y: ", strings.Repeat("x", much), []int{431}},
		{"the name of a header", health, strings.Repeat("x", much), []int{431}},
		{"headers", health, strings.Repeat("X-Y: z\r\n", much/8), []int{431}},
		{"headers of nothing", health, strings.Repeat("X:\r\n", much/4), []int{431}},
		{"a folded header", health + "X-Y: z\r\n", strings.Repeat(" z\r\n", much/4), []int{400, 431}},
		{"cookies", health + "Cookie: ", strings.Repeat("a=b; ", much/5), []int{431}},
		{"a path", "GET /", strings.Repeat("x", much), []int{414, 431}},
		{"a path of slashes", "GET /users", strings.Repeat("/", much), []int{414, 431}},
		{"a path of dots", "GET /users", strings.Repeat("/..", much/3), []int{414, 431}},
		{"a path of percents", "GET /users/", strings.Repeat("%00", much/3), []int{414, 431}},
		{"a query", "GET /users?", strings.Repeat("a=b&", much/4), []int{414, 431}},
		{"a query of limits", "GET /users?", strings.Repeat("limit=1&", much/8), []int{414, 431}},
		{"a cursor", "GET /users?limit=1&cursor=", strings.Repeat("A", much), []int{414, 431}},
		{"an id", "GET /users/", strings.Repeat("a", much), []int{414, 431}},
		{"the v of an avatar", "GET /users/" + id + "/avatar?v=", strings.Repeat("a", much), []int{414, 431}},
		{"a version", "GET /health HTTP/1.", strings.Repeat("1", much), []int{400, 431}},
		{"a method", "G", strings.Repeat("E", much), []int{400, 431, 501}},
		{"blank lines", "", strings.Repeat("\r\n", much/2), []int{400, 431}},
		{"nothing but NUL", "", strings.Repeat("\x00", much), []int{400, 431}},
		{"random noise", "", Marker() + strings.Repeat("\x16\x03\xff\x80", much/4), []int{400, 431}},
		{"the size of a chunk", inChunks, strings.Repeat("0", much), []int{400}},
		{"an extension of a chunk", inChunks + "1;x=", strings.Repeat("y", much), []int{400, 413}},
		{"extensions of chunks", inChunks, "1;" + strings.Repeat("y", much) + "\r\nx\r\n", []int{400, 413}},
		{"a trailer", inChunks + "2\r\n{}\r\n0\r\nX-Y: ", strings.Repeat("x", much), []int{400, 431}},
		{"trailers", inChunks + "2\r\n{}\r\n0\r\n", strings.Repeat("X-Y: z\r\n", much/8), []int{400, 431}},
	} {
		// Ensure a client that never stops is stopped, after few bytes, and not by its time alone.
		s.attack(t, row.what+" without an end is not read on", func(t *testing.T) {
			answers, sent := s.pour(t, row.start, row.more)
			assert.Less(t, sent, int64(enough), "all of it was read: %v", answers)
			require.LessOrEqual(t, len(answers), 1)
			for _, r := range answers {
				assert.Contains(t, row.statuses, r.Status, r)
			}
		})
	}
}

func (s *suite) madeUp(t *testing.T) {
	created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
	id, before := created.ID, s.Get(t, created.ID)
	v := strings.TrimPrefix(s.Path(t, created.AvatarURL), "/users/"+id+"/avatar?v=")

	// Ensure an id is one of those that the API gave out, in the letters that it gave it out in, and nothing of it goes anywhere else.
	for _, made := range []string{
		"..%2f", "..%2f..%2f..%2fetc%2fpasswd", "..%5c..%5cwindows", "%2e%2e", "%2e%2e%2fhealth", ".%2e", "%252e%252e%252f", "..;", "..%00", "%c0%ae%c0%ae%c0%af", "%e2%80%a5", "%ef%bc%8f",
		id + "%2favatar", id + "%2f", "%2f" + id, "users%2f" + id, id + "%00", "%00" + id, id + "%0a", id + "%23x", id + "%3fx", id + ";x=1", id + ",", id + ".json", id + "%ff", id + "%",
		strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), strings.ReplaceAll(id, "-", "%2d"), strings.ReplaceAll(id, "-", "_"), strings.ReplaceAll(id, "-", "\u2010"), "%" + strconv.FormatInt(int64(id[0]), 16) + id[1:],
		"{" + id + "}", "%7b" + id + "%7d", "(" + id + ")", "urn:uuid:" + id, "URN:UUID:" + strings.ToUpper(id), "0x" + strings.ReplaceAll(id, "-", ""), "%20" + id, id + "%20", "+" + id, "%EF%BB%BF" + id, id[:35] + "%D9%A1",
		"'%20OR%20'1'='1", "1;DROP%20TABLE%20users", `%7B"$ne":null%7D`, "[$ne]", "id[$gt]=", "$where", "attribute_exists(id)", ":id", "%23id", "*", "null", "undefined", "NaN", "-1", "0", "1e999", "__proto__", "constructor",
		"%F0%9F%98%80", "\u202e" + id, "%ed%a0%80", "%zz", "%", "%u0000", "${jndi:ldap:x}", "{{7*7}}", "<script>", "%3Cscript%3E", "%0d%0aX-Injected:%201", "%E5%98%8D%E5%98%8AX-Injected:%201",
		strings.Repeat("a", 7000), strings.Repeat("%00", 2000), strings.Repeat("..%2f", 1000), strings.Repeat("😀", 500),
	} {
		s.attack(t, fmt.Sprintf("the id %.40q is nobody's", made), func(t *testing.T) {
			requests := []struct{ method, rest, body string }{
				{"GET", "", ""},
				{"GET", "/avatar", ""},
				{"GET", "/avatar?v=" + v, ""},
				{"DELETE", "", ""},
				{"DELETE", "/avatar", ""},
				{"PATCH", "", `{"name":"Bob"}`},
				{"PUT", "/avatar", string(PNG(3, 3))},
			}
			var raw strings.Builder
			for _, q := range requests {
				fmt.Fprintf(&raw, "%s /users/%s%s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", q.method, made, q.rest, s.headers(), len(q.body), q.body)
			}
			answers, usable := s.converse(t, raw.String())
			require.Len(t, answers, len(requests))
			for _, r := range answers {
				r.Problem(t, http.StatusNotFound, "User not found")
				if len(made) > 9 { // shorter ones may well stand in what is always said
					assert.NotContains(t, string(r.Body), made)
				}
			}
			assert.True(t, usable)
		})
	}

	// Ensure a path has one name, and that none leads out of where it seems to be.
	for _, made := range []string{
		"/..", "/../", "/../../etc/passwd", "/..%2f", "/%2e%2e/", "/.", "/./users", "//", "//users", "//other.example/users", "///", "/users//", "/users/./" + id, "/users/../users", "/users/" + id + "/../" + id, "/users/" + id + "/./avatar",
		"/users%2f" + id, "/%75sers", "/users%00", "/users;x=1", "/users.json", "/users%20", "/users%3flimit=1", "/users%", "/%", "/%zz", "/\\users", "/users\\" + id, "/.git/config", "/WEB-INF/web.xml", "/static/..%2f..%2f", "/users/" + id + "/avatar%2f",
		"/users/" + id + "/avatar/", "/users/" + id + "/avatar.html", "/users/" + id + "/avatar/x.html", "/users/" + id + "//avatar", "/health/..", "/health;/users", "/health%00", "/%0d%0aX-Injected:%201", "/users/" + id + "/%0d%0aX-Injected:%201",
		"/\u202euse", "/\xff", "/" + strings.Repeat("a", 7000), strings.Repeat("/", 7000), strings.Repeat("/..", 2000), "/users" + strings.Repeat("/x", 3000),
	} {
		s.attack(t, fmt.Sprintf("the path %.40q is not there", made), func(t *testing.T) {
			request := " " + made + " HTTP/1.1\r\n" + s.headers() + "\r\n"
			answers, usable := s.converse(t, "GET"+request+"DELETE"+request+"PUT"+request)
			require.Len(t, answers, 3)
			for _, r := range answers {
				r.Problem(t, http.StatusNotFound, "Not found")
			}
			assert.True(t, usable)
		})
	}

	// Ensure a cursor is one that the API gave out.
	for _, made := range []string{
		"..%2f", "..%2f..%2fetc%2fpasswd", "%00", "%0d%0aX-Injected:%201", "%E5%98%8D%E5%98%8AX-Injected:%201", "'%20OR%201=1", "%7B%22$gt%22:%22%22%7D", `{"id":{"S":"x"}}`, "eyJpZCI6eyJTIjoiIn19", "[]", "null", "undefined", "NaN", "-1", "1e999",
		"%F0%9F%98%80", "%ff", "%ed%a0%80", "%zz", "%", "+", "/", "=", "==", "AAAA", "AAAAAAAA", id, strings.ToUpper(id), "{" + id + "}", "%7b" + id + "%7d", strings.Repeat("A", 7000), strings.Repeat("=", 7000), strings.Repeat("%00", 2000), "<script>", "${jndi:x}", "&cursor=x", "x&cursor=y",
	} {
		s.attack(t, fmt.Sprintf("the cursor %.40q is none", made), func(t *testing.T) {
			request := "cursor=" + made + " HTTP/1.1\r\n" + s.headers() + "\r\n"
			answers, usable := s.converse(t, "GET /users?"+request+"GET /users?limit=2&"+request)
			require.Len(t, answers, 2)
			for _, r := range answers {
				r.Problem(t, http.StatusBadRequest, "Invalid 'cursor'")
				assert.Empty(t, r.Header.Values("Link"), r)
			}
			assert.True(t, usable)
		})
	}

	// Ensure a query means what it says, and nothing that it says goes back.
	s.attack(t, "a query of thousands of parameters is read as one of few", func(t *testing.T) {
		for _, query := range []string{"limit=1&" + strings.Repeat("x&", 3000), strings.Repeat("x=y&", 1500) + "limit=1", "limit=1&" + strings.Repeat("%00", 2000), "limit=1&%0d%0aX-Injected:%201", "limit=1&limit[]=5&LIMIT=7&limit%00=9", "%6Cimit=1", "limit=1#&limit=0"} {
			answers, _ := s.converse(t, "GET /users?"+query+" HTTP/1.1\r\n"+s.headers()+"\r\n")
			require.Len(t, answers, 1)
			assert.LessOrEqual(t, len(answers[0].Users(t)), 1)
			for _, link := range answers[0].Header.Values("Link") {
				assert.Regexp(t, `/users\?limit=1&cursor=[A-Za-z0-9._~-]+>; rel="next"$`, link)
			}
		}
	})

	// Ensure the query of an avatar decides how long it may be kept and nothing else.
	s.attack(t, "what an avatar_url asks for besides its image is ignored", func(t *testing.T) {
		for _, query := range []string{"v=%0d%0aX-Injected:%201", "v=..%2f..%2fetc%2fpasswd", "v=%00", "v=" + strings.Repeat("a", 7000), "v=" + strings.ToUpper(v), "v=" + v + "%00", "v[]=" + v, "%", "response-content-type=text/html", "versionId=null&acl"} {
			answers, _ := s.converse(t, "GET /users/"+id+"/avatar?"+query+" HTTP/1.1\r\n"+s.headers()+"\r\n")
			require.Len(t, answers, 1)
			s.requireHarmless(t, answers[0], PNG(2, 2), "image/png")
			assert.Equal(t, cacheChecked, answers[0].Header.Get("Cache-Control"), answers[0])
		}
	})

	// Ensure none of all this has changed anything.
	t.Run("nothing is changed", func(t *testing.T) {
		assert.Equal(t, before, s.Get(t, id))
		image, _ := s.Avatar(t, before.AvatarURL)
		assert.Equal(t, PNG(2, 2), image)
	})
}

func (s *suite) targets(t *testing.T) {
	id := s.CreateJSON(t, "Ann", Email()).ID
	s.CreateJSON(t, "Ann", Email()) // so that there is a next page
	marker := Marker()
	headers := s.headers()

	// Ensure the API is neither a proxy nor a mirror, and speaks HTTP/1 alone.
	for _, row := range []struct {
		what, request, text string
		status              int
	}{
		{"TRACE", "TRACE /users HTTP/1.1\r\n" + headers, "Method not allowed", 405},
		{"TRACE of what is not there", "TRACE /nothing HTTP/1.1\r\n" + headers, "Not found", 404},
		{"CONNECT", "CONNECT other.example:443 HTTP/1.1\r\n" + headers, "Not found", 404},
		{"CONNECT to an address", "CONNECT 169.254.169.254:80 HTTP/1.1\r\n" + headers, "Not found", 404},
		{"CONNECT to a path", "CONNECT /users HTTP/1.1\r\n" + headers, "Method not allowed", 405},
		{"OPTIONS of everything", "OPTIONS * HTTP/1.1\r\n" + headers, "Not found", 404},
		{"GET of everything", "GET * HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"an authority", "GET other.example:443 HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"an authority with a user", "GET user@other.example HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a path without a slash", "GET users HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a path that goes up", "GET ../users HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a backslash", "GET \\users HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a space in a path", "GET /users /x HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a tab for a space", "GET\t/users\tHTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a NUL in a path", "GET /users/\x00 HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a carriage return in a path", "GET /users/\rX-Injected: 1 HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a line feed in a path", "GET /users/\nX-Injected: 1 HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a URL with a port that is none", "GET http://other.example:x/users HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a URL without a host", "GET http:///users HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a URL of what is no host", "GET http://a..b/users HTTP/1.1\r\n" + headers, "Bad Request", 400},
		{"a URL of another host", "GET http://other.example/nothing HTTP/1.1\r\n" + headers, "Not found", 404},
		{"a URL of what is not there", "GET http://169.254.169.254/latest/meta-data/ HTTP/1.1\r\n" + headers, "Not found", 404},
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n", "Bad Request", 400},
		{"a version that is none", "GET /health HTTP/x\r\n" + headers, "Bad Request", 400},
		{"another protocol", "GET /health SIP/2.0\r\n" + headers, "Bad Request", 400},
		{"a request of HTTP/0.9", "GET /users\r\n", "Bad Request", 400},
		{"a mail", "EHLO example.com\r\n", "Bad Request", 400},
		{"a greeting of SSH", "SSH-2.0-OpenSSH_9.9\r\n", "Bad Request", 400},
		{"a command of Redis", "*1\r\n$7\r\nCOMMAND\r\n", "Bad Request", 400},
		{"a greeting of a proxy", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /health HTTP/1.1\r\n" + headers, "Bad Request", 400},
	} {
		if s.AllowedHosts && row.what == "a URL of another host" {
			continue
		}
		s.attack(t, row.what+" is refused", func(t *testing.T) {
			answers, _ := s.converse(t, row.request+"X-Marker: "+marker+"\r\n\r\n")
			require.Len(t, answers, 1)
			answers[0].Problem(t, row.status, row.text)
			assert.NotContains(t, string(answers[0].Body), marker)
		})
	}

	// Ensure a client that names the whole URL, as one of a proxy does, is served; and that no link leads where it says but to a host.
	s.attack(t, "a whole URL is read as its path", func(t *testing.T) {
		targets := []string{"http://" + s.host() + "/users/" + id, "http://[::1]/users/" + id}
		if !s.AllowedHosts {
			targets = append(targets, "http://other.example/users/"+id, "HTTP://OTHER.EXAMPLE:80/users/"+id, "https://other.example/users/"+id, "http://user:password@other.example/users/"+id, "ftp://other.example/users/"+id)
		}
		for _, target := range targets {
			answers, _ := s.converse(t, "GET "+target+" HTTP/1.1\r\n"+headers+"\r\n")
			require.Len(t, answers, 1, target)
			assert.Equal(t, id, answers[0].User(t).ID)
			answers, _ = s.converse(t, "GET "+strings.Replace(target, "/users/"+id, "/users?limit=1", 1)+" HTTP/1.1\r\n"+headers+"\r\n")
			require.Len(t, answers, 1, target)
			s.requirePlainNext(t, answers[0])
		}
	})

	// Ensure nobody leaves HTTP/1 on a connection that a proxy takes for one of it.
	s.attack(t, "no other protocol is changed to", func(t *testing.T) {
		for _, upgrade := range []string{
			"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
			"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n",
		} {
			answers, usable := s.converse(t, "GET /health HTTP/1.1\r\n"+headers+upgrade+"\r\n")
			require.Len(t, answers, 1)
			answers[0].JSON(t, http.StatusOK, `{"status":"ok"}`)
			assert.Empty(t, answers[0].Header.Values("Upgrade"), answers[0])
			assert.True(t, usable)
		}
	})
}

func (s *suite) hosts(t *testing.T) {
	s.CreateJSON(t, "Ann", Email()) // so that there is a next page
	// create makes a user with an avatar, and whatever stands for Host.
	create := func(t *testing.T, headers string) []*Response {
		t.Helper()
		contentType, form := Form(Field("name", "Ann"), Field("email", Email()), File("avatar", "a.png", PNG(2, 2)))
		answers, _ := s.converse(t, fmt.Sprintf("POST /users HTTP/1.1\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", s.headersOf(headers), contentType, len(form), form))
		return answers
	}

	// Ensure what can be no host makes no answer but that: RFC 9112 §3.2.
	for _, host := range []string{
		"other.example/path", "other.example?x", "other.example#x", "a b", "other.example:port", "other.example:-1", "other.example:80:80", "a:b:c", "::1", "[::1", "[::1]x", "[nonsense]:80", "[]", "[fe80::1%en0]", `other\example`,
		"%0d%0aX-Injected:%201", "other.example\x00", "other\x01example", "other\rexample", "other.example\rX-Injected: 1", "\x7f", "{other}", "%6Fther.example", "http://other.example", "",
		"user@other.example", "user:password@other.example", ":80", ":", "other.example:0", "other.example:99999", "other.example:65536", "other.example:" + strings.Repeat("9", 100), strings.Repeat("a", 1000), strings.Repeat("a.", 500) + "example",
		strings.Repeat("a", 64) + ".example", "..", ".", "other..example", ".other.example", "other.example,127.0.0.1", "<script>", `"other"`, "'other'", "other.example;x", "other.example=x", "óther.example", "\xff", "\u202eexample", "*", "[fe80::1%25en0]:80", "[::1]:99999",
	} {
		s.attack(t, fmt.Sprintf("the host %q is refused", host), func(t *testing.T) {
			answers := create(t, "Host: "+host+"\r\n")
			require.Len(t, answers, 1)
			answers[0].Problem(t, http.StatusBadRequest, "Bad Request")
		})
	}

	// Ensure a host is taken for what it is: a dot at its end makes it no other, and neither does a port that is not there.
	s.attack(t, "a host with a dot at its end is the same host", func(t *testing.T) {
		for host, link := range map[string]string{
			"other.example.": "http://other.example", "other.example.:8080": "http://other.example:8080", "other.example:": "http://other.example",
			"OTHER_1.example": "http://other_1.example", "[2001:DB8::1]:80": "http://[2001:db8::1]:80", "192.0.2.1": "http://192.0.2.1", "[::1]:": "http://[::1]",
		} {
			answers := create(t, "Host: "+host+"\r\n")
			require.Len(t, answers, 1)
			if s.AllowedHosts && strings.Contains(host, "example") {
				answers[0].Problem(t, http.StatusMisdirectedRequest, "Misdirected request")
				continue
			}
			created := answers[0].Created(t)
			if s.PublicURL != "" {
				link = s.PublicURL
			}
			assert.Equal(t, link+"/users/"+created.ID, created.Location)
		}
	})

	// Ensure nobody but the host of the request decides where links lead.
	s.attack(t, "other headers are in no link", func(t *testing.T) {
		for _, header := range []string{
			"X-Forwarded-Host: other.example", "X-Forwarded-Server: other.example", "X-Host: other.example", "X-Original-Host: other.example", "Forwarded: host=other.example;proto=javascript", "X-Forwarded-Port: 99999", "X-Forwarded-Prefix: //other.example",
			"X-Forwarded-Proto: javascript", "X-Forwarded-Proto: https://other.example/?", "X-Forwarded-Proto: http\r\nX-Forwarded-Proto: javascript", "X-Forwarded-Scheme: javascript", "X-Url-Scheme: javascript", "Referer: http://other.example/",
		} {
			answers := create(t, "Host: "+s.host()+"\r\n"+header+"\r\n")
			require.Len(t, answers, 1)
			created := answers[0].Created(t)
			assert.Equal(t, "/users/"+created.ID, s.Path(t, created.Location), header)
			assert.True(t, strings.HasPrefix(s.Path(t, created.AvatarURL), "/users/"+created.ID+"/avatar?v="), header)
		}
	})
}

// label is a part of a host's name between its dots: RFC 1035 §2.3.4, and underscores, which clusters have.
var label = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)

// requirePlainLink requires a link of an answer to be a scheme, a host with or without a port, and a
// path of the API.
func (s *suite) requirePlainLink(t *testing.T, link string, r *Response) {
	t.Helper()
	u, err := url.Parse(link)
	require.NoError(t, err, r)
	require.Contains(t, []string{"http", "https"}, u.Scheme, r)
	require.Nil(t, u.User, r)
	require.Regexp(t, `/users($|/)`, u.Path, r)
	require.Empty(t, u.Fragment, r)
	if s.PublicURL != "" {
		s.Path(t, link)
		return
	}
	host := u.Hostname()
	if plain := host; u.Host != plain && u.Host != "["+plain+"]" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		require.NoError(t, err, r)
		require.Positive(t, port, r)
	}
	if strings.HasPrefix(u.Host, "[") {
		address, err := netip.ParseAddr(host)
		require.NoError(t, err, r)
		require.Empty(t, address.Zone(), r)
		return
	}
	require.LessOrEqual(t, len(host), 253, r)
	for part := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		require.Regexp(t, label, part, r)
	}
}

// requirePlainNext is requirePlainLink of the link to the next page, which must be there.
func (s *suite) requirePlainNext(t *testing.T, r *Response) {
	t.Helper()
	require.Equal(t, http.StatusOK, r.Status, r)
	links := r.Header.Values("Link")
	require.Len(t, links, 1, r)
	match := linkForm.FindStringSubmatch(links[0])
	require.NotNil(t, match, r)
	s.requirePlainLink(t, match[1], r)
}

func (s *suite) lineBreaks(t *testing.T) {
	id := s.CreateForm(t, "Ann", Email(), PNG(2, 2)).ID
	// harmless requires r to have nothing in it of what was to be smuggled in.
	harmless := func(t *testing.T, r *Response) {
		t.Helper()
		for _, values := range r.Header {
			for _, value := range values {
				assert.NotContains(t, value, injected, r)
			}
		}
		assert.NotContains(t, string(r.Body), injected, r)
	}
	// What some server has taken for the end of a line, and what is behind it for a header of its own.
	for _, b := range []struct {
		what, text string
		refused    bool // in a header: where it ends none, the parser has it in none
	}{
		{"a line break", "\r\n", false}, // which makes a header of the request, that nobody asks for
		{"a line feed", "\n", false},
		{"a carriage return", "\r", true},
		{"a carriage return and a NUL", "\r\x00", true},
		{"a NUL", "\x00", true},
		{"a vertical tab", "\v", true},
		{"a form feed", "\f", true},
		{"a line break that is encoded", "%0d%0a", false},
		{"a line break that is encoded twice", "%250d%250a", false},
		{"a line break that is escaped", `\r\n`, false},
		{"a line separator", "\u2028", false},
		{"characters whose last bytes are a line break", "\u560d\u560a", false},
		{"a next line of Latin-1", "\x85", false},
	} {
		evil := "a" + b.text + injected + ": 1"

		// Ensure no header that a client sends becomes one of the answer, or a request.
		s.attack(t, b.what+" in a header makes no header", func(t *testing.T) {
			for _, name := range []string{
				"X-Request-Id", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-For", "Origin", "Referer", "User-Agent", "Accept", "Accept-Language", "If-None-Match", "Range", "Cookie", "Access-Control-Request-Headers", "Access-Control-Request-Method",
			} {
				answers, _ := s.converse(t, "GET /users/"+id+" HTTP/1.1\r\n"+s.headers()+name+": "+evil+"\r\n\r\n")
				require.Len(t, answers, 1, name)
				harmless(t, answers[0])
				if b.refused {
					answers[0].Problem(t, http.StatusBadRequest, "Bad Request")
					continue
				}
				answers[0].User(t)
			}
		})

		// Ensure the same where the answer has headers of what was asked: its Location, and its own X-Request-Id.
		s.attack(t, b.what+" in a header of a creation makes no header", func(t *testing.T) {
			for _, name := range []string{"X-Request-Id", "X-Forwarded-Proto", "X-Forwarded-Host", "Idempotency-Key"} {
				body := object("name", "Ann", "email", Email())
				answers, _ := s.converse(t, fmt.Sprintf("POST /users HTTP/1.1\r\n%s%s: %s\r\nContent-Length: %d\r\n\r\n%s", s.headers(), name, Marker()+evil, len(body), body))
				require.Len(t, answers, 1, name)
				harmless(t, answers[0])
				switch {
				case b.refused:
					answers[0].Problem(t, http.StatusBadRequest, "Bad Request")
				case name == "Idempotency-Key" && b.text[0] >= 0x80:
					answers[0].Problem(t, http.StatusBadRequest, "Invalid 'Idempotency-Key'")
				default:
					created := answers[0].Created(t)
					assert.True(t, strings.HasSuffix(created.Location, "/users/"+created.ID), answers[0])
				}
			}
		})

		// Ensure the same of what a form is said to be.
		s.attack(t, b.what+" in a boundary makes no header", func(t *testing.T) {
			answers, _ := s.converse(t, "POST /users HTTP/1.1\r\n"+s.headers()+`Content-Type: multipart/form-data; boundary="`+evil+`"`+"\r\nContent-Length: 1\r\n\r\nx")
			require.Len(t, answers, 1)
			harmless(t, answers[0])
			switch {
			case b.refused:
				answers[0].Problem(t, http.StatusBadRequest, "Bad Request")
			case strings.HasSuffix(b.text, "\n"): // what is left of the header has no second quote
				answers[0].Problem(t, http.StatusUnsupportedMediaType, "Unsupported media type")
			default:
				answers[0].Problem(t, http.StatusBadRequest, "Invalid form")
			}
		})

		// Ensure the same of what is in a URL, where a line break is encoded.
		s.attack(t, b.what+" in a URL makes no header", func(t *testing.T) {
			encoded := url.PathEscape(evil)
			for path, status := range map[string]int{
				"/" + encoded: 404, "/users/" + encoded: 404, "/users/" + id + encoded: 404, "/users/" + id + "/avatar/" + encoded: 404, "/users?limit=" + encoded: 400, "/users?limit=1&cursor=" + encoded: 400,
				"/users/" + id + "?" + encoded: 200, "/users/" + id + "/avatar?v=" + encoded: 200, "/users/" + id + "/avatar?" + encoded + "=x": 200, "/users?limit=1&" + encoded: 200,
			} {
				answers, _ := s.converse(t, "GET "+path+" HTTP/1.1\r\n"+s.headers()+"\r\n")
				require.Len(t, answers, 1, path)
				require.Equal(t, status, answers[0].Status, answers[0])
				harmless(t, answers[0])
			}
		})

		// Ensure the same of what is in a form.
		s.attack(t, b.what+" in a form makes no header", func(t *testing.T) {
			for _, parts := range [][]Part{
				{Field("name", "Ann"), Field("email", Email()), File("avatar", url.PathEscape(evil), PNG(2, 2))},
				{Field("name", "Ann"), Field("email", Email()), Field(url.PathEscape(evil), "x")},
				{Field("name", "Ann"), Field("email", Email()), {Disposition: `name="avatar"; filename="a"`, Type: "image/png; x=" + url.PathEscape(evil), Content: PNG(2, 2)}},
			} {
				r := s.PostForm(t, "/users", parts)
				r.Created(t)
				harmless(t, r)
			}
		})
	}
}
