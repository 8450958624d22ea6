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
	"prima.internal/infra/charts"
)

// tokenSettings are one entry of the setting tokens, which has them by the names of who holds them.
type tokenSettings struct {
	Scope string `json:"scope"` // read, write or read+write
	Token string `json:"token"` // as prima-api token makes it; a secret of the stack
}

// readTokens reads the setting tokens, in the order of the names. Of a token it returns the hash, which is no
// secret, so that a token is in no resource and no state; and nothing of it is in a fault.
func readTokens(ctx *pulumi.Context) ([]config.AccessToken, []error) {
	key := ctx.Project() + ":tokens"
	// What package pulumi/config reads of a secret is an output, for the resources that it ends up in, or a
	// warning. These end up in none.
	text, ok := ctx.GetConfig(key)
	if !ok {
		return nil, nil
	}
	entries := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(text), &entries); err != nil { // which could have a part of a token in it
		return nil, []error{errors.New("tokens must be an object: to each name a scope and a token")}
	}
	var (
		tokens []config.AccessToken
		faults []error
		holder = map[[sha256.Size]byte]string{}
	)
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		token, err := readToken(name, entries[name])
		other, taken := holder[token.Hash]
		switch {
		case err != nil:
			faults = append(faults, err)
		case taken:
			faults = append(faults, fmt.Errorf("tokens.%s is the token of %s too: revoking one would leave it valid", name, other))
		default:
			holder[token.Hash] = name
			tokens = append(tokens, token)
		}
	}
	if len(entries) > 0 && !ctx.IsConfigSecret(key) {
		faults = append(faults, errors.New("tokens is no secret: they stand in the file for everybody who reads it. "+
			"Take each out by task token:revoke NAME=… STACK="+ctx.Stack()+", and make a new one by task token NAME=… SCOPE=… STACK="+ctx.Stack()))
	}
	return tokens, faults
}

// readToken reads one entry. Its error names the entry.
func readToken(name string, entry json.RawMessage) (config.AccessToken, error) {
	if _, ok := config.ParseAccessToken(config.AccessToken{Name: name, Read: true}.String()); !ok {
		if strings.Contains(name, "prima_") { // somebody took the one for the other
			name = "(hidden)"
		}
		return config.AccessToken{}, fmt.Errorf("tokens: the name %q must be 1 to 63 lower-case letters, digits or hyphens, "+
			"with no hyphen at its ends", name)
	}
	var settings tokenSettings
	decoder := json.NewDecoder(bytes.NewReader(entry))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&settings); err != nil {
		return config.AccessToken{}, fmt.Errorf("tokens.%s must be a scope and a token, and nothing else", name)
	}
	read, write, ok := config.ParseScope(settings.Scope)
	if !ok {
		return config.AccessToken{}, fmt.Errorf("tokens.%s.scope must be read, write or read+write", name)
	}
	if !config.IsToken(settings.Token) {
		return config.AccessToken{}, fmt.Errorf("tokens.%s.token must be as task token makes it, because a chosen password "+
			"can be found from its hash", name)
	}
	return config.AccessToken{Name: name, Read: read, Write: write, Hash: config.HashToken(settings.Token)}, nil
}

// accessFaults returns what is wrong between api.access and the tokens of the stack with a name.
func (s Stack) accessFaults(stack string) []error {
	switch some := len(s.AccessTokens) > 0; {
	case s.API.Access == charts.AccessToken && !some:
		return []error{fmt.Errorf("api.access = %q lets nobody in as long as there is no token: make one by task token NAME=… SCOPE=… STACK=%s, "+
			"or set api.access to %s, which lets everybody in", charts.AccessToken, stack, charts.AccessOpen)}
	case s.API.Access == charts.AccessOpen && some:
		return []error{fmt.Errorf("api.access = %q lets everybody in, token or not: set it to %s, "+
			"or take the tokens out by task token:revoke NAME=… STACK=%s", charts.AccessOpen, charts.AccessToken, stack)}
	}
	return nil
}
