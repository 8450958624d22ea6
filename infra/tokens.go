package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"prima.internal/app/config"
)

// readTokens reads the setting tokens, an object of entries by name, sorted by name. It returns the
// hash of each token, so that no token reaches a resource or the state. No fault quotes a token.
func readTokens(ctx *pulumi.Context) (tokens []config.AccessToken, faults []error) {
	key := ctx.Project() + ":tokens"
	text, ok := ctx.GetConfig(key) // package pulumi/config would make an output of a secret
	if !ok {
		return nil, nil
	}
	entries := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(text), &entries); err != nil { // which may quote a token
		return nil, []error{errors.New("tokens must be an object: to each name a scope and a token")}
	}
	holders := map[[sha256.Size]byte]string{}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		token, err := readToken(name, entries[name])
		other, taken := holders[token.Hash]
		switch {
		case err != nil:
			faults = append(faults, err)
		case taken:
			faults = append(faults, fmt.Errorf("tokens.%s is the token of %s too: revoking one would leave it valid",
				name, other))
		default:
			holders[token.Hash] = name
			tokens = append(tokens, token)
		}
	}
	if len(entries) > 0 && !ctx.IsConfigSecret(key) {
		faults = append(faults, fmt.Errorf("tokens is no secret: they stand in the file for everybody who reads it. "+
			"Take each out by task token:revoke NAME=… STACK=%s, and make a new one by task token NAME=… SCOPE=… STACK=%[1]s",
			ctx.Stack()))
	}
	return tokens, faults
}

// readToken reads one entry of the setting tokens. Its error names the entry.
func readToken(name string, entry json.RawMessage) (config.AccessToken, error) {
	var none config.AccessToken
	if _, ok := config.ParseAccessToken(config.AccessToken{Name: name, Read: true}.String()); !ok {
		if strings.Contains(name, "prima_") { // a token in place of a name
			name = "(hidden)"
		}
		return none, fmt.Errorf("tokens: the name %q must be 1 to 63 lower-case letters, digits or hyphens, "+
			"with no hyphen at its ends", name)
	}
	var settings struct{ Scope, Token string }
	decoder := json.NewDecoder(bytes.NewReader(entry))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&settings); err != nil {
		return none, fmt.Errorf("tokens.%s must be a scope and a token, and nothing else", name)
	}
	read, write, ok := config.ParseScope(settings.Scope)
	if !ok {
		return none, fmt.Errorf("tokens.%s.scope must be read, write or read+write", name)
	}
	if !config.IsToken(settings.Token) {
		return none, fmt.Errorf("tokens.%s.token must be as task token makes it, because a chosen password can be found "+
			"from its hash", name)
	}
	return config.AccessToken{Name: name, Read: read, Write: write, Hash: config.HashToken(settings.Token)}, nil
}
