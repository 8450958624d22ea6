package user

import (
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a user may be.
const (
	MaxNameRunes  = 200
	MaxEmailBytes = 254 // the longest address that SMTP can carry: RFC 5321 §4.5.3.1.3, erratum 1690
)

// ParseName returns the name without the white space around it, and otherwise as it was sent.
//
// It returns Missing for an empty string, and Invalid unless 1 to 200 characters are left that are
// [legible].
func ParseName(s string) (string, error) {
	if s == "" {
		return "", ErrMissing
	}
	name := strings.TrimSpace(s)
	if utf8.RuneCountInString(name) > MaxNameRunes || !legible(name) {
		return "", errInvalidName
	}
	return name, nil
}

// ParseEmail returns s as it was sent if it is one bare address.
//
// It returns Missing for an empty string, and Invalid unless s is an addr-spec of RFC 5322 of at
// most 254 bytes, without comments, invisible characters, or combining marks with nothing to stand
// on.
func ParseEmail(s string) (string, error) {
	if s == "" {
		return "", ErrMissing
	}
	if len(s) > MaxEmailBytes || strings.ContainsFunc(s, hiddenInEmail) ||
		!isASCII(s) && baseless.MatchString(s) {
		return "", errInvalidEmail
	}
	address, err := mail.ParseAddress(s)
	// A quoted local part loses its quotes in Address and has them again in String.
	if err != nil || s != address.Address && "<"+s+">" != address.String() {
		return "", errInvalidEmail
	}
	return s, nil
}

// hiddenInEmail allows no white space but that of a quoted local part.
func hiddenInEmail(r rune) bool { return hidden(r) || unicode.IsSpace(r) && r != ' ' }

// baseless matches a combining mark at the beginning of a part of an address.
var baseless = regexp.MustCompile(`(^|[@." ])\pM`)
