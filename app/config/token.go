package config

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
)

// An AccessToken is what the API knows of a bearer token that it accepts: everything but the token.
// A token is 256 random bits, so that its hash needs no salt and cannot be turned back.
type AccessToken struct {
	Name  string // who has it, for the log: lower-case letters, digits and hyphens
	Read  bool   // GET and HEAD
	Write bool   // every other method
	Hash  [sha256.Size]byte
}

// The scopes of a token as they are written.
const (
	ScopeRead      = "read"
	ScopeWrite     = "write"
	ScopeReadWrite = "read+write"
)

var (
	tokenName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	tokenForm = regexp.MustCompile(`^prima_[A-Za-z0-9_-]{43}$`)
)

// NewToken makes a token: prima_ and 256 random bits in base64url.
func NewToken() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: https://pkg.go.dev/crypto/rand#Read
	return "prima_" + base64.RawURLEncoding.EncodeToString(secret)
}

// IsToken reports whether s is in the form that [NewToken] gives. What is not could be a password
// that somebody chose, which its hash would give away.
func IsToken(s string) bool { return tokenForm.MatchString(s) }

// HashToken returns the hash that an [AccessToken] holds of a token.
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

// ParseAccessToken reads what String writes. ok is false for everything else.
func ParseAccessToken(entry string) (t AccessToken, ok bool) {
	name, rest, _ := strings.Cut(entry, ":")
	scope, digest, _ := strings.Cut(rest, ":")
	t.Name = name
	if t.Read, t.Write, ok = ParseScope(scope); !ok || !tokenName.MatchString(name) {
		return AccessToken{}, false
	}
	hash, err := hex.DecodeString(digest)
	if err != nil || len(hash) != len(t.Hash) || digest != strings.ToLower(digest) {
		return AccessToken{}, false
	}
	copy(t.Hash[:], hash)
	return t, true
}

// ParseScope reads read, write or read+write.
func ParseScope(s string) (read, write, ok bool) {
	switch s {
	case ScopeRead:
		return true, false, true
	case ScopeWrite:
		return false, true, true
	case ScopeReadWrite:
		return true, true, true
	}
	return false, false, false
}

// tokens is a list of access tokens, separated by commas. No two have one name or one hash: the log
// would not say who it was, or one who was taken out would still get in.
func tokens(p *[]AccessToken) value {
	return value{
		allowed: "entries `name:scope:hash` separated by commas, with a scope of read, write or read+write and the SHA-256 of a token in hex, as `prima-api token` prints them",
		parse: func(s string) error {
			var list []AccessToken
			seen := map[any]bool{}
			for entry := range strings.SplitSeq(s, ",") {
				if s == "" {
					break
				}
				t, ok := ParseAccessToken(strings.TrimSpace(entry))
				if !ok || seen[t.Name] || seen[t.Hash] {
					return errValue
				}
				seen[t.Name], seen[t.Hash] = true, true
				list = append(list, t)
			}
			*p = list
			return nil
		},
		format: func() string {
			entries := make([]string, len(*p))
			for i, t := range *p {
				entries[i] = t.String()
			}
			return strings.Join(entries, ",")
		},
	}
}
