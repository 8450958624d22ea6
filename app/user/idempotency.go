package user

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/google/uuid"
)

// keyedIDs is the namespace of ids that are derived from idempotency keys.
var keyedIDs = uuid.MustParse("5b0a4f0e-6a3c-4b57-9d86-1f6d6c1a4f0d")

// keyedID derives a user's id from an idempotency key and its caller, so that every replica writes
// the same item. It is a UUID of version 8 (RFC 9562 §5.8).
func keyedID(caller, key string) string {
	if caller != "" {
		key = caller + "\n" + key // no key has a line break
	}
	return uuid.NewHash(sha256.New(), keyedIDs, []byte(key), 8).String()
}

// fingerprint identifies the content of a draft, however the request encoded it.
func fingerprint(d Draft) string {
	h := sha256.New()
	field := func(b []byte) {
		var length [8]byte // separates the fields
		binary.BigEndian.PutUint64(length[:], uint64(len(b)))
		h.Write(length[:])
		h.Write(b)
	}
	field([]byte(d.Name))
	field([]byte(d.Email))
	if d.Avatar != nil {
		field(d.Avatar.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}
