package config

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"

	"prima.internal/app/contract"
)

// An AccessToken is what the API knows of a bearer token: everything but the token itself. A token
// has 256 random bits, so its hash needs no salt.
type AccessToken struct {
	Name  string // whose it is, for the log
	Read  bool   // GET and HEAD
	Write bool   // every other method
	Hash  [sha256.Size]byte
}

// The scopes of a token.
const (
	ScopeRead      = "read"
	ScopeWrite     = "write"
	ScopeReadWrite = "read+write"
)

const entryForm = `([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?):(read|write|read[+]write):([0-9a-f]{64})`

var (
	tokenForm = regexp.MustCompile(`^prima_[A-Za-z0-9_-]{43}$`)
	entry     = regexp.MustCompile("^" + entryForm + "$")
)

// NewToken returns a token: prima_ and 256 random bits in base64url.
func NewToken() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: https://pkg.go.dev/crypto/rand#Read
	return "prima_" + base64.RawURLEncoding.EncodeToString(secret)
}

// IsToken reports whether s has the form of [NewToken]. Anything else could be a password that
// somebody chose, which can be guessed from its hash.
func IsToken(s string) bool { return tokenForm.MatchString(s) }

// HashToken returns the hash of a token for its [AccessToken].
func HashToken(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// String returns the entry of ACCESS_TOKENS: name:scope:hash.
func (t AccessToken) String() string {
	scope := ScopeReadWrite
	switch {
	case !t.Write:
		scope = ScopeRead
	case !t.Read:
		scope = ScopeWrite
	}
	return t.Name + ":" + scope + ":" + hex.EncodeToString(t.Hash[:])
}

// ParseAccessToken reads an entry of ACCESS_TOKENS.
func ParseAccessToken(s string) (t AccessToken, ok bool) {
	parts := entry.FindStringSubmatch(s)
	if parts == nil {
		return AccessToken{}, false
	}
	t.Name = parts[1]
	t.Read, t.Write, ok = ParseScope(parts[3])
	_, err := hex.Decode(t.Hash[:], []byte(parts[4]))
	return t, ok && err == nil
}

// ParseScope reads read, write or read+write.
func ParseScope(s string) (read, write, ok bool) {
	read, write = s != ScopeWrite, s != ScopeRead
	return read, write, s == ScopeRead || s == ScopeWrite || s == ScopeReadWrite
}

// tokens is a list of access tokens. Names and hashes are unique: otherwise the log would not say
// whose token it was, and a token that was taken out could still be valid.
func tokens(field *[]AccessToken) contract.Row {
	return contract.List(field, entryForm,
		"entries `name:scope:hash` separated by commas, with a scope of read, write or "+
			"read+write and the SHA-256 of a token in hex, as `prima-api token` prints them",
		ParseAccessToken, AccessToken.String,
	).Hidden().Like("ci:read:" + strings.Repeat("0f", sha256.Size) +
		",ops:read+write:" + strings.Repeat("1e", sha256.Size)).
		If(func() bool {
			seen := map[any]bool{}
			for _, t := range *field {
				seen[t.Name], seen[t.Hash] = true, true
			}
			return len(seen) == 2*len(*field)
		})
}
