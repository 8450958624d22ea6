package api

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

// A cursor is the id of the user that a list continues after, and a check over it, in base64url. The
// check finds what was cut off, mistyped or made up. It hides nothing: ids are public.
const (
	cursorCheckBytes = 4
	// maxCursorID is the longest id in bytes: the longest partition key of DynamoDB.
	maxCursorID = 2048
)

var errCursor = errors.New("not a cursor")

// cursors decodes only one of the texts that could stand for the same bytes.
var cursors = base64.RawURLEncoding.Strict()

func encodeCursor(id string) string {
	return cursors.EncodeToString(append([]byte(id), cursorCheck(id)...))
}

func decodeCursor(cursor string) (id string, err error) {
	data, err := cursors.DecodeString(cursor)
	if n := len(data) - cursorCheckBytes; err == nil && n > 0 && n <= maxCursorID {
		id = string(data[:n])
	}
	// The decoder skips line breaks, so the cursor is encoded again, with the check.
	if id == "" || !utf8.ValidString(id) || encodeCursor(id) != cursor {
		return "", errCursor
	}
	return id, nil
}

func cursorCheck(id string) []byte {
	sum := sha256.Sum256([]byte("users after " + id))
	return sum[:cursorCheckBytes]
}
