package user

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// hidden reports whether a character shows nothing of its own, or turns the text around it. White
// space within a line is not hidden. A byte that is not UTF-8 is, because it reads as U+FFFD.
func hidden(r rune) bool {
	if r <= unicode.MaxASCII {
		return unicode.IsControl(r)
	}
	return strings.ContainsRune(blank, r) || !unicode.Is(unicode.Prepended_Concatenation_Mark, r) && unicode.In(r,
		unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point)
}

// blank has the characters that fonts draw as nothing, although Unicode counts them neither as
// white space nor as ignorable, and two that stand for something else: an object, and what a
// decoder could not read.
const blank = "\u2800\U00011d45\U00011d97\U00013440\U00013441\U00013442\U00016fe4\U0001d159\ufffc\ufffd"

// emojis matches the flag of a part of a country, which is spelled in tag characters, and a keycap.
// Their hidden characters are allowed nowhere else.
var emojis = regexp.MustCompile(`\x{1F3F4}[\x{E0030}-\x{E0039}\x{E0061}-\x{E007A}]+\x{E007F}|[0-9#*]\x{FE0F}\x{20E3}`)

// legible reports whether a text begins with something to see, and has hidden characters only where
// they change how their neighbors are drawn.
func legible(text string) bool {
	if isASCII(text) { // nearly every name
		return text != "" && !strings.ContainsFunc(text, hidden)
	}
	runes := []rune(emojis.ReplaceAllString(text, "x"))
	if len(runes) == 0 || unicode.IsMark(runes[0]) {
		return false
	}
	var previous, base rune // base is the last one that is not a mark for every script, such as an accent
	for i, r := range runes {
		if hidden(r) && !varies(previous, r) && !joins(base, r, runes[i+1:]) {
			return false
		}
		previous = r
		if !inherited(r) {
			base = r
		}
	}
	return true
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

func inherited(r rune) bool { return unicode.IsMark(r) && unicode.Is(unicode.Inherited, r) }

// varies reports whether a variation selector may choose another form of the character before it.
func varies(base, selector rune) bool {
	switch {
	case selector >= 0xFE00 && selector <= 0xFE0F:
		return symbol(base) || strings.ContainsRune("‼⁉〰〽ℹ", base) ||
			unicode.In(base, unicode.Han, unicode.Myanmar, unicode.Phags_Pa, unicode.Manichaean, unicode.Egyptian_Hieroglyphs)
	case selector >= 0xE0100 && selector <= 0xE01EF:
		return unicode.Is(unicode.Han, base)
	case unicode.Is(unicode.Variation_Selector, selector): // one of the Mongolian ones
		return unicode.Is(unicode.Mongolian, base) && unicode.IsLetter(base)
	}
	return false
}

// joins reports whether r may change how the characters around it are joined.
func joins(base, r rune, following []rune) bool {
	var next rune
	if i := slices.IndexFunc(following, func(r rune) bool { return !inherited(r) }); i >= 0 {
		next = following[i]
	}
	const nonJoiner, joiner = '\u200c', '\u200d'
	switch r {
	case nonJoiner, joiner:
		return virama(base) || unicode.IsLetter(base) && virama(next) || sameScript(base, next) ||
			r == joiner && (unicode.IsLetter(base) && unicode.In(base, cursive...) || symbol(base) && symbol(next))
	case '\u180e', '\U00011d45', '\U00011d97': // a separator of vowels and two viramas that join letters of their script
		return sameScript(base, r, next) && !hidden(next)
	}
	return false
}

// virama reports whether r takes the vowel of an Indic letter, which then joins the next: canonical
// combining class 9.
func virama(r rune) bool { return norm.NFC.PropertiesString(string(r)).CCC() == 9 }

// sameScript reports whether all are of one cursive script.
func sameScript(runes ...rune) bool {
	return slices.ContainsFunc(cursive, func(script *unicode.RangeTable) bool {
		return !slices.ContainsFunc(runes, func(r rune) bool { return !unicode.Is(script, r) })
	})
}

// symbol reports whether r is of the kind that emojis are made of.
func symbol(r rune) bool {
	return r > unicode.MaxASCII && unicode.In(r, unicode.So, unicode.Sm) ||
		r >= 0x1F000 && r <= 0x1FAFF // also skin tones, and those that Unicode reserves for emojis to come
}

// cursive are the scripts whose letters join, and two with a letter that is hidden between others.
var cursive = []*unicode.RangeTable{
	unicode.Adlam, unicode.Arabic, unicode.Chorasmian, unicode.Hanifi_Rohingya, unicode.Mandaic, unicode.Manichaean,
	unicode.Mongolian, unicode.Nko, unicode.Old_Uyghur, unicode.Phags_Pa, unicode.Psalter_Pahlavi, unicode.Sogdian,
	unicode.Syriac, unicode.Gunjala_Gondi, unicode.Masaram_Gondi,
}
