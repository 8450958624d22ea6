// Package user is the domain: the [User], the rules for its fields, and the [Service] that handlers
// call. It imports neither HTTP nor AWS. Packages dynamo and bucket implement its [Store] and
// [Avatars].
package user

import (
	"unicode/utf8"
)

// A User is one person in the directory.
type User struct {
	ID    string // a UUID
	Name  string
	Email string
	// AvatarID is the id of the current image, random and new with each image; empty if there is none.
	AvatarID string
	// ForeignAvatarURL is an image that the earlier service linked to. The API returns it and never
	// fetches it. It is empty if AvatarID is set.
	ForeignAvatarURL string
}

// HasAvatar reports whether there is an image or a foreign link to remove.
func (u User) HasAvatar() bool { return u.AvatarID != "" || u.ForeignAvatarURL != "" }

// AvatarURL returns the absolute URL of the user's image, or "" if there is none. It contains the
// id of the image, so caches never show an old one, and nobody can guess it. usersURL is the
// absolute URL of the users' collection.
func (u User) AvatarURL(usersURL string) string {
	if u.AvatarID == "" {
		return u.ForeignAvatarURL
	}
	return usersURL + "/" + u.ID + "/avatar?v=" + u.AvatarID
}

// AppendJSON appends the user as clients see it: {"id":…,"name":…,"email":…,"avatar_url":…}, all
// strings. avatar_url is "" without an avatar.
func (u User) AppendJSON(dst []byte, usersURL string) []byte {
	dst = append(dst, `{"id":`...)
	dst = AppendString(dst, u.ID)
	dst = append(dst, `,"name":`...)
	dst = AppendString(dst, u.Name)
	dst = append(dst, `,"email":`...)
	dst = AppendString(dst, u.Email)
	dst = append(dst, `,"avatar_url":`...)
	dst = AppendString(dst, u.AvatarURL(usersURL))
	return append(dst, '}')
}

// AppendString appends s as a JSON string (RFC 8259 §7). Bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if size == 1 { // not one of several bytes, which stand for themselves
			dst = append(dst, s[start:i]...)
			dst = AppendRune(dst, r)
			start = i + size
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// AppendRune appends a character as AppendString does, without quotes.
func AppendRune(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch {
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r))
	case r >= ' ':
		return utf8.AppendRune(dst, r)
	case r == '\n':
		return append(dst, '\\', 'n')
	case r == '\r':
		return append(dst, '\\', 'r')
	case r == '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xf])
	}
}
