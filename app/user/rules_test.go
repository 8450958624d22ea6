package user_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/user"
)

// Ensure a name is trimmed and kept as it is otherwise.
func TestParseName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Ada":                    "Ada",
		" \tAda Lovelace\u00a0 ": "Ada Lovelace",
		"Žofie Ω 李":              "Žofie Ω 李",
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
		" \u200d\u2060\u3000\ufeff": user.Invalid,
	} {
		_, err := user.ParseName(in)
		assert.Equal(t, want, user.CodeOf(err), "%q: %v", in, err)
	}
}

// Ensure a name may have what people write names with, and comes back in the form that it was sent
// in.
func TestParseNameShows(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Zo\u00eb", "Zoe\u0308", "Nguye\u0302\u0303n", "O'Brien", "O’Brien", "ʻOkina", "Anne-Marie", "Anne‐Marie",
		"Ada\u00a0King", "Ada\u1680King",
		"李\u3000小龍", "葛\U000e0100城", "邉\U000e0101", "神\ufe00", "สมชาย", "አበበ፡በቀለ",
		"שָׁלוֹם", "مُحَمَّد", "\u0601٣",
		"علی\u200cرضا", "می\u200cخواهم", "عَ\u200cلی", "ܫ\u200dܡ", "ߞ\u200cߟ", "ᠪ\u180bᠠ\u180fᠳ",
		"ᠬᠠᠷ\u180eᠠ", "ᠠ\u200dᠡ", "ꡀ\ufe00", "က\ufe00",
		"അവന\u0d4d\u200d", "ශ\u0dca\u200dරී", "ক\u09cd\u200cষ", "ত\u09cd\u200d রায়",
		"র\u200d\u09cdয", "क\u094d\u200dष", "𑴌\U00011d45𑴌",
		"👩\u200d💻", "👩🏽\u200d🚀", "👩🏽\u200d🤝\u200d👨🏿", "👩\u200d👩\u200d👧\u200d👦",
		"🏳\ufe0f\u200d🌈", "❤\ufe0f\u200d🔥", "🙂\u200d↔\ufe0f", "🧑\u200d\U0001faef\u200d🧑",
		"🇨🇿", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "1\ufe0f\u20e3#\ufe0f\u20e3",
		"☎\ufe0e", "‼\ufe0f", "ℹ\ufe0f", "∩\ufe00",
		"ه\u200d. الف سایه", "\ue000", "\U000f0000", "\U0001faff", "\U0001fc00",
	} {
		got, err := user.ParseName(name)
		assert.NoError(t, err, "%+q", name)
		assert.Equal(t, name, got)
	}
}

// Ensure a character that does not show is refused where it changes nothing that does.
func TestParseNameRefusesHidden(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"\u0301", "\u0301Ada", " \u0301Ada", "\u20e3", "\u094dक",
		"A\u200d\u200dda", "Ada\u200d", "\u200cAda", "Zoe\u0308\u200d", "शa\u200dश", "क\u200d", "क\u200dष",
		"क\u200dক", "ক\u09cd\u200c\u200d",
		"ع\u200c", "\u200cع", "ع\u200cA", "ع\u200cש", "ش\u200c\u200dش", "א\u200dב", "ส\u200dม",
		"\u200fשלום\u200f",
		"👩\u200d", "\u200d👩", "👩\u200dA", "+\u200d+", "👩\u200d\u200d💻", "👩\u200c💻", "👩\ufe0f\ufe0f",
		"👩\u200d\ufe0f💻", "1\ufe0f\u200d💻", "1\ufe0f\u20e3\ufe0f", "1\ufe0f\u20e3\u200d💻",
		"\ufe0f", "A\ufe0f", "1\ufe0f", "1\ufe0e\u20e3", "A\ufe0f\u20e3", "+\ufe0f", "ع\ufe00", "李\ufe00\U000e0100",
		"A\U000e0100", "ᠠ\ufe00", "李\u180b", "ᠠ\u180b\u180b",
		"ᠠ\u180e", "ᠠ\u180eA", "ᠠ\u180e\u180eᠠ", "ᠠ\u180e\u180bᠠ", "क\U00011d45ष",
		"𑴌\U00011d45\U00011d45𑴌", "𑴌\U00011d45",
		"🏴\U000e0067", "🏴\U000e007f", "🏴\U000e0047\U000e007f", "🏁\U000e0067\U000e007f",
		"🏴A\U000e0067\U000e007f", "🏴\U000e0067\U000e007f\U000e007f",
	} {
		_, err := user.ParseName(name)
		assert.Equal(t, user.Invalid, user.CodeOf(err), "%+q", name)
	}
}

// Ensure a name and an address reject every character of Unicode that does not show, between
// letters, and a name accepts every other. Of the planes 4 to 13, 15 and 16 it tries one character
// of a hundred, and the last two.
func TestParseCharacters(t *testing.T) {
	t.Parallel()
	tables := []*unicode.RangeTable{
		unicode.Cc, unicode.Cf, unicode.Cs, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point,
	}
	const blank = "\u115f\u1160\u2800\u3164\uffa0\ufffc\ufffd\U00011d45\U00011d97\U00013440\U00013441\U00013442" +
		"\U00016fe4\U0001d159"
	for r := range unicode.MaxRune + 1 {
		if plane := r >> 16; plane >= 4 && plane != 14 && r%100 != 0 && r&0xffff < 0xfffe {
			continue
		}
		c := string(r)
		_, err := user.ParseName("A" + c + "da")
		if !unicode.In(r, tables...) && !strings.Contains(blank, c) || unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
			if err != nil {
				t.Errorf("%U in a name: %v", r, err)
			}
			continue
		}
		if user.CodeOf(err) != user.Invalid {
			t.Errorf("%U in a name: %v", r, err)
		}
		if _, err := user.ParseName(c); user.CodeOf(err) != user.Invalid {
			t.Errorf("%U as a name: %v", r, err)
		}
		for _, email := range []string{
			"a" + c + "da@example.com", "ada@exam" + c + "ple.com", `"a` + c + `da"@example.com`,
			"👩" + c + "💻@example.com",
		} {
			if _, err := user.ParseEmail(email); user.CodeOf(err) != user.Invalid {
				t.Errorf("%+q: %v", email, err)
			}
		}
	}
}

// Ensure a name that was accepted is accepted again as it is, and without its joiners.
func FuzzParseName(f *testing.F) {
	f.Add(" Zoe\u0308\u00a0")
	f.Add("👩🏽\u200d🚀 1\ufe0f\u20e3")
	f.Add("क\u094d\u200dष علی\u200cرضا")
	f.Fuzz(func(t *testing.T, s string) {
		name, err := user.ParseName(s)
		if err != nil {
			return
		}
		again, err := user.ParseName(name)
		require.NoError(t, err)
		require.Equal(t, name, again)
		_, err = user.ParseName(strings.NewReplacer("\u200c", "", "\u200d", "").Replace(name))
		require.NoError(t, err)
	})
}

// Ensure one bare address is an e-mail address.
func TestParseEmail(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"ada@example.com", "a.b+c_d@sub.example.co.uk", "!#$%&'*+-/=?^_`{|}~@example.com", "user@localhost",
		`"a b"@example.com`, "žofie@příklad.cz", "a@[127.0.0.1]", "zoe\u0308@pr\u030ci\u0301klad.cz",
		"\u0627\u064e@example.com", strings.Repeat("a", 64) + "@" + strings.Repeat("b", 185) + ".com",
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
		"\u0301ada@example.com":         user.Invalid,
		"ada@\u0301example.com":         user.Invalid,
		"ada.\u0301b@example.com":       user.Invalid,
		"ada@example.\u0301com":         user.Invalid,
		"\"a \u0301\"@example.com":      user.Invalid,
		"a\u3000da@example.com":         user.Invalid,
		"❤\ufe0f@example.com":           user.Invalid,
		strings.Repeat("a", 64) + "@" + strings.Repeat("b", 186) + ".com": user.Invalid,
	} {
		_, err := user.ParseEmail(in)
		assert.Equal(t, want, user.CodeOf(err), "%q: %v", in, err)
	}
}
