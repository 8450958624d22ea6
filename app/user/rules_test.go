package user_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/user"
)

// Ensure names in every script are accepted, and returned as they were sent, without the white
// space around them.
func TestParseName(t *testing.T) {
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
		got, err := user.ParseName(" \t" + name + "\u00a0 ")
		assert.NoError(t, err, "%+q", name)
		assert.Equal(t, name, got)
	}
}

// Ensure an invisible character is refused unless it changes how its neighbors look.
func TestParseNameRefuses(t *testing.T) {
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
		"A\U00011d45da", "A\U00011d97da", "A\U00013440da", "A\U00013441da", "A\U00013442da", "A\ufdd0da", "a\xffb", " ",
	} {
		_, err := user.ParseName(name)
		assert.Equal(t, user.Invalid, user.CodeOf(err), "%+q", name)
	}
}

// Ensure an email is one bare address without invisible characters, and is returned as it was sent.
func TestParseEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]user.Code{
		"user@localhost": "", "a@[127.0.0.1]": "", "\u0627\u064e@example.com": "", "zoe\u0308@pr\u030ci\u0301klad.cz": "",
		strings.Repeat("a", 64) + "@" + strings.Repeat("b", 185) + ".com": "",
		strings.Repeat("a", 64) + "@" + strings.Repeat("b", 186) + ".com": user.Invalid,
		"": user.Missing, "a\xff@example.com": user.Invalid, "\"a \u0301\"@example.com": user.Invalid,
		"ada@\u0301example.com": user.Invalid, "👩\u200d💻@example.com": user.Invalid, "a\u3164@example.com": user.Invalid,
	} {
		got, err := user.ParseEmail(in)
		assert.Equal(t, want, user.CodeOf(err), "%q: %v", in, err)
		assert.True(t, err != nil || got == in, "%q: %q", in, got)
	}
}
