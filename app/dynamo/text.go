package dynamo

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"prima.internal/app/jsonscan"
	"prima.internal/app/user"
)

// appendText appends the string, without quotes, as [user.AppendString] writes it: where nothing is escaped in the one's JSON,
// nothing is in the other's.
func appendText(dst []byte, s jsonscan.Str) []byte {
	if !s.Escaped && !s.Foreign {
		return append(dst, s.Raw...)
	}
	for raw := s.Raw; len(raw) > 0; {
		if raw[0] == '\\' {
			r, size := unescape(raw)
			dst = user.AppendRune(dst, r)
			raw = raw[size:]
			continue
		}
		plain := raw
		if i := bytes.IndexByte(raw, '\\'); i >= 0 {
			plain = raw[:i]
		}
		dst = appendPlain(dst, plain, s.Foreign)
		raw = raw[len(plain):]
	}
	return dst
}

// appendPlain appends text without escapes. Each byte of it that is no UTF-8 becomes U+FFFD.
func appendPlain(dst, text []byte, foreign bool) []byte {
	if !foreign || utf8.Valid(text) {
		return append(dst, text...)
	}
	for _, r := range string(text) {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// unescape returns the character that a text begins with an escape of, and the length of that in bytes. Half of a pair of
// surrogates is U+FFFD. The scanner has seen the escape.
func unescape(text []byte) (r rune, size int) {
	switch c := text[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return rune(c), 2
	}
	r = hex(text[2:6])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(text) >= 12 && text[6] == '\\' && text[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex(text[8:12])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hex returns the number that digits are.
func hex(digits []byte) (n rune) {
	for _, c := range digits {
		if c >= 'A' {
			c += 9 // the low half of a letter, of either case, is what it is above 9
		}
		n = n<<4 | rune(c&0xf)
	}
	return n
}
