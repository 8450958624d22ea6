// Package user is the domain: the [User], the rules for its fields, and the [Service] that handlers
// call. It imports neither HTTP nor AWS. Packages dynamo and bucket implement its [Store] and
// [Avatars].
package user

import (
	"fmt"
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

// AvatarURL returns the absolute URL of the user's image, "" if there is none. The id of the image
// in it keeps caches from showing an old one, and nobody can guess it. usersURL is the absolute URL
// of the users' collection.
func (u User) AvatarURL(usersURL string) string {
	if u.AvatarID == "" {
		return u.ForeignAvatarURL
	}
	return usersURL + "/" + u.ID + "/avatar?v=" + u.AvatarID
}

// AppendJSON appends the user as clients see it: {"id":…,"name":…,"email":…,"avatar_url":…}, all
// strings. avatar_url is "" without an avatar.
func (u User) AppendJSON(dst []byte, usersURL string) []byte {
	dst = AppendString(append(dst, `{"id":`...), u.ID)
	dst = AppendString(append(dst, `,"name":`...), u.Name)
	dst = AppendString(append(dst, `,"email":`...), u.Email)
	dst = AppendString(append(dst, `,"avatar_url":`...), u.AvatarURL(usersURL))
	return append(dst, '}')
}

// AppendString appends s as a JSON string (RFC 8259 §7). Bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r >= ' ':
			dst = utf8.AppendRune(dst, r)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
	}
	return append(dst, '"')
}
