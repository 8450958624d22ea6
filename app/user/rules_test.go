package user_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/user"
)

// Ensure a name is trimmed and kept as it is otherwise.
func TestParseName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Ada":                    "Ada",
		" \tAda Lovelace\u00a0 ": "Ada Lovelace",
		"Žofie Ω 李":              "Žofie Ω 李",
		"👩‍💻":                    "👩‍💻", // with a zero-width joiner
		strings.Repeat("é", 200): strings.Repeat("é", 200),
	} {
		got, err := user.ParseName(in)
		assert.NoError(t, err, "%q", in)
		assert.Equal(t, want, got)
	}
}

// Ensure each name that breaks a rule is refused, and an empty one is missing.
func TestParseNameRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]user.Code{
		"":                          user.Missing,
		"   ":                       user.Invalid,
		strings.Repeat("é", 201):    user.Invalid,
		"a\x00b":                    user.Invalid,
		"a\nb":                      user.Invalid,
		"a\u0085b":                  user.Invalid,
		"a\u2028b":                  user.Invalid,
		"\u202egnp.exe":             user.Invalid,
		"a\u2066b":                  user.Invalid,
		"a\xffb":                    user.Invalid,
		"a\ufffdb":                  user.Invalid,
		"\u200b":                    user.Invalid,
		" \u200d\u2060\u3000\ufeff": user.Invalid,
	} {
		_, err := user.ParseName(in)
		assert.Equal(t, want, user.CodeOf(err), "%q: %v", in, err)
	}
}

// Ensure one bare address is an e-mail address.
func TestParseEmail(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"ada@example.com", "a.b+c_d@sub.example.co.uk", "!#$%&'*+-/=?^_`{|}~@example.com", "user@localhost",
		`"a b"@example.com`, "žofie@příklad.cz", "a@[127.0.0.1]", strings.Repeat("a", 64) + "@" + strings.Repeat("b", 185) + ".com",
	} {
		got, err := user.ParseEmail(in)
		assert.NoError(t, err, "%q", in)
		assert.Equal(t, in, got)
	}
}

// Ensure everything else is not, and an empty one is missing.
func TestParseEmailRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]user.Code{
		"":                              user.Missing,
		" ":                             user.Invalid,
		"ada":                           user.Invalid,
		"@example.com":                  user.Invalid,
		"ada@":                          user.Invalid,
		"ada@a@b":                       user.Invalid,
		"Ada <ada@example.com>":         user.Invalid,
		"<ada@example.com>":             user.Invalid,
		" ada@example.com":              user.Invalid,
		"ada@example.com ":              user.Invalid,
		"ada@example.com (work)":        user.Invalid,
		"a@example.com, b@example.com":  user.Invalid,
		"ada@exam\r\nple.com":           user.Invalid,
		"ada@example.com\r\nBcc: x@y.z": user.Invalid,
		"a\u202eda@example.com":         user.Invalid,
		"a\xff@example.com":             user.Invalid,
		"ada @example.com":              user.Invalid,
		".ada@example.com":              user.Invalid,
		"\u200bada@example.com":         user.Invalid,
		strings.Repeat("a", 64) + "@" + strings.Repeat("b", 186) + ".com": user.Invalid,
	} {
		_, err := user.ParseEmail(in)
		assert.Equal(t, want, user.CodeOf(err), "%q: %v", in, err)
	}
}
