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
	fields := [][]byte{[]byte(d.Name), []byte(d.Email)}
	if d.Avatar != nil {
		fields = append(fields, d.Avatar.Data)
	}
	h := sha256.New()
	for _, field := range fields {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(field)))) // separates the fields
		h.Write(field)
	}
	return hex.EncodeToString(h.Sum(nil))
}
