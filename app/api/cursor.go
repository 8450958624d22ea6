package api

import (
	"crypto/sha256"
	"encoding/base64"
	"unicode/utf8"
)

// A cursor is the id of the user that a list continues after, and a check over it, in base64url. The
// check finds what was cut off, mistyped or made up. It hides nothing: ids are public.
const (
	cursorCheckBytes = 4
	// maxCursorID is the longest id in bytes: the longest partition key of DynamoDB.
	maxCursorID = 2048
)

func encodeCursor(id string) string {
	check := sha256.Sum256([]byte("users after " + id))
	return base64.RawURLEncoding.EncodeToString(append([]byte(id), check[:cursorCheckBytes]...))
}

// decodeCursor is the inverse of encodeCursor. The error is errCursor.
func decodeCursor(cursor string) (id string, err error) {
	data, _ := base64.RawURLEncoding.DecodeString(cursor)
	if n := len(data) - cursorCheckBytes; n > 0 && n <= maxCursorID {
		id = string(data[:n])
	}
	// Several texts decode to the same bytes, but only one of them is the cursor of the id.
	if id == "" || !utf8.ValidString(id) || encodeCursor(id) != cursor {
		return "", errCursor
	}
	return id, nil
}
