package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime/multipart"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"prima.internal/app/user"
)

// Ensure a cursor is refused unless it is, byte for byte, one that the API has issued.
func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("1")
	f.Add("9f8b0c1e-5a59-4b3c-8f0e-2f6f8f9d1a11")
	f.Add(encodeCursor("9f8b0c1e-5a59-4b3c-8f0e-2f6f8f9d1a11"))
	f.Add(encodeCursor("é") + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := decodeCursor(s); err == nil {
			require.Equal(t, s, encodeCursor(id))
			require.NotEmpty(t, id)
		}
		if s != "" && len(s) <= maxCursorID && strings.ToValidUTF8(s, "") == s {
			id, err := decodeCursor(encodeCursor(s))
			require.NoError(t, err)
			require.Equal(t, s, id)
		}
	})
}

// Ensure the JSON reader accepts what encoding/json accepts as an object in UTF-8, and reads the
// strings by their exact names.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"name":"Ada","email":"a@b.c"}`, `{"Name":"Ada","EMAIL":"x"}`, `{"name":null,"email":5}`, `null`, `[]`, `{}`,
		``, `{"name":"a","name":"b"}`, `{"name":"\ud800"}`, "{\"name\":\"\xff\"}", `{"name":"a"} x`,
		`{"a":` + strings.Repeat("[", 200), `{"name":1e999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		texts, members, err := parseObject(data)
		var want map[string]any
		valid := utf8.Valid(data) && json.Unmarshal(data, &want) == nil && want != nil
		if err != nil {
			var p *problem
			require.ErrorAs(t, err, &p)
			require.Equal(t, errInvalidJSON.error, p.error)
			require.False(t, valid && json.Valid(data))
			return
		}
		require.True(t, json.Valid(data))
		if !valid { // a number that fits no float64, which nobody asks for
			return
		}
		require.Equal(t, len(want) == 0, members == 0)
		for _, name := range []string{"name", "email"} {
			value, there := want[name]
			text, given := texts[name]
			require.Equal(t, there, given)
			if s, ok := value.(string); ok {
				require.NotNil(t, text)
				require.Equal(t, s, *text)
			} else {
				require.Nil(t, text)
			}
		}
	})
}

// Ensure any bytes of a form, in any chunks, are either fields within their bounds or an error, and
// that a form written by mime/multipart is read as it was meant.
func FuzzMultipart(f *testing.F) {
	const named = "--b\r\nContent-Disposition: form-data; name="
	f.Add([]byte("--b--"), "b")
	f.Add([]byte(named+"name\r\n\r\nAda\r\n"+named+"avatar; filename=a.png\r\n\r\n\x89PNG\r\n\x1a\n\r\n\r\n--\r\n"+
		named+"email\r\n\r\na@b.c\r\n--b--"), "b")
	f.Add([]byte(strings.Repeat(named+"x\r\n\r\ny\r\n", maxParts+1)+"--b--"), "b")
	f.Add([]byte(named+"name\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nA=64a=\r\n\r\n--b--"), "b")
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"\"\r\n\r\n\r\n--b--"), "b")
	f.Add([]byte("--b\r\nX: "+strings.Repeat("y", 10000)), "b")
	f.Add([]byte("preamble\r\n--b \r\n\r\n\r\n--b--epilogue"), "b")

	limits := user.Limits{Bytes: 64, Pixels: 8}
	f.Fuzz(func(t *testing.T, data []byte, boundary string) {
		whole, err := parseMultipart(bytes.NewReader(data), boundary, limits, int64(len(data)))
		slowly, slowErr := parseMultipart(iotest.OneByteReader(bytes.NewReader(data)), boundary, limits, 0)
		require.Equal(t, err == nil, slowErr == nil, "%v and byte by byte %v", err, slowErr)
		if err != nil {
			var p *problem
			var domain *user.Error
			require.True(t, errors.As(err, &p) || errors.As(err, &domain), "%v", err)
			return
		}
		require.Equal(t, whole, slowly)
		for _, text := range whole.texts {
			require.LessOrEqual(t, len(*text), maxTextBytes)
		}
		require.LessOrEqual(t, int64(len(whole.avatar)), limits.Bytes)

		// What a client would write of the same fields is read as the same fields.
		var again bytes.Buffer
		w := multipart.NewWriter(&again)
		for name, text := range whole.texts {
			require.NoError(t, w.WriteField(name, *text))
		}
		if whole.avatar != nil {
			part, err := w.CreateFormFile("avatar", "a")
			require.NoError(t, err)
			_, err = part.Write(whole.avatar)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		read, err := parseMultipart(&again, w.Boundary(), limits, 1)
		require.NoError(t, err)
		require.Equal(t, whole, read)
	})
}
