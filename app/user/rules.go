package user

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a user may be.
const (
	MaxNameRunes  = 200
	MaxEmailBytes = 254 // the longest address that SMTP can carry: RFC 5321 §4.5.3.1.3, erratum 1690
)

// ParseName returns the name without the white space around it.
//
// It returns Missing for an empty string, and Invalid unless 1 to 200 characters of valid UTF-8
// are left, none of them a control character, a line or paragraph separator, or one that turns the
// direction of the text around it (an override or isolate, with which a name can disguise itself), and
// at least one of them something to see.
func ParseName(s string) (string, error) {
	if s == "" {
		return "", ErrMissing
	}
	name := strings.TrimSpace(s)
	n := utf8.RuneCountInString(name)
	if n < 1 || n > MaxNameRunes || !utf8.ValidString(name) || strings.ContainsFunc(name, disguises) || !strings.ContainsFunc(name, shows) {
		return "", errInvalidName
	}
	return name, nil
}

func disguises(r rune) bool {
	return unicode.IsControl(r) ||
		r == '\u2028' || r == '\u2029' || // separators
		(r >= '\u202A' && r <= '\u202E') || (r >= '\u2066' && r <= '\u2069') || // bidirectional controls: UAX #9
		r == utf8.RuneError // what a decoder leaves in place of what it could not read
}

// shows reports whether a character is more than space or an instruction to those that are.
func shows(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.In(r, unicode.Cf, unicode.Z)
}

// ParseEmail returns s if it is one bare address.
//
// It returns Missing for an empty string, and Invalid unless s is an addr-spec of RFC 5322 of at
// most 254 bytes: no display name, no angle brackets, no comment, no space around it, no character
// that cannot be seen.
func ParseEmail(s string) (string, error) {
	if s == "" {
		return "", ErrMissing
	}
	if len(s) > MaxEmailBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, disguises) || strings.ContainsFunc(s, hides) {
		return "", errInvalidEmail
	}
	address, err := mail.ParseAddress(s)
	if err != nil || address.Name != "" {
		return "", errInvalidEmail
	}
	// A quoted local part loses its quotes in Address and has them again in String.
	if s != address.Address && "<"+s+">" != address.String() {
		return "", errInvalidEmail
	}
	return s, nil
}

// hides reports whether a character is one that nobody sees: two addresses that look alike would differ.
func hides(r rune) bool { return unicode.Is(unicode.Cf, r) }
