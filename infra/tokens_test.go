package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// guarded returns the settings of a stack whose API lets in who has one of the tokens.
func guarded(tokens any) settings {
	return settings{"api": map[string]any{"tag": "abc"}, "tokens": tokens}
}

func entry(scope, token string) map[string]any {
	return map[string]any{"scope": scope, "token": token}
}

// Ensure the API is told who has a token, in an order that does not change, and not the tokens: of them there is
// nothing but the hash in any resource.
func TestTokensStayWithWhoeverHasThem(t *testing.T) {
	t.Parallel()
	ci, admin, reader := config.NewToken(), config.NewToken(), config.NewToken()
	var want []any
	for _, known := range []config.AccessToken{
		{Name: "admin", Write: true, Hash: config.HashToken(admin)},
		{Name: "ci", Read: true, Write: true, Hash: config.HashToken(ci)},
		{Name: "reader-2", Read: true, Hash: config.HashToken(reader)},
	} {
		want = append(want, known.String())
	}
	d, err := up(t, guarded(map[string]any{"reader-2": entry("read", reader), "ci": entry("read+write", ci), "admin": entry("write", admin)}))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"mode": "token", "tokens": want, "existingSecret": "", "checkSecret": ""}, d.values(t, "prima-api")["access"])
	assert.NotContains(t, d.values(t, "prima-api")["config"], "ACCESS_TOKENS")
	raw := d.find(t, "kubernetes:helm.sh/v4:Chart", "prima-api").Inputs["values"]
	assert.False(t, raw.ContainsSecrets(), "a hash is none, and what is none can be seen in a preview")

	require.NotEmpty(t, d.resources)
	for _, r := range d.resources {
		inputs, err := json.Marshal(plain(resource.NewObjectProperty(r.Inputs)))
		require.NoError(t, err)
		for _, token := range []string{ci, admin, reader} {
			assert.NotContains(t, string(inputs), token, r.Name)
			assert.NotContains(t, string(inputs), strings.TrimPrefix(token, "prima_"), r.Name)
			assert.NotContains(t, string(inputs), base64.StdEncoding.EncodeToString([]byte(token)), r.Name)
		}
	}
}

// Ensure the same settings are the same values, however often they are read: another order would roll the pods out.
func TestTokensAreInOneOrder(t *testing.T) {
	t.Parallel()
	tokens := map[string]any{}
	for i := range 20 {
		tokens[fmt.Sprintf("client-%d", i)] = entry("read", config.NewToken())
	}
	first, err := up(t, guarded(tokens))
	require.NoError(t, err)
	second, err := up(t, guarded(tokens))
	require.NoError(t, err)
	assert.Equal(t, first.values(t, "prima-api")["access"], second.values(t, "prima-api")["access"])
}

// Ensure everybody is let in where the stack says so, and nowhere else.
func TestOpen(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"mode": "open", "existingSecret": "", "checkSecret": ""}, d.values(t, "prima-api")["access"])

	s := local()
	s["tokens"] = map[string]any{} // what is left after the last is taken out
	_, err = up(t, s)
	require.NoError(t, err)

	s = local()
	delete(s["api"].(map[string]any), "access")
	_, err = up(t, s)
	require.ErrorContains(t, err, `prima-api:api.access = "token" lets nobody in`)
}

// Ensure what is wrong with the tokens is said with its key, all of it at once and before anything is registered, and
// that no token is in what is said.
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	token := config.NewToken()
	secret := strings.TrimPrefix(token, "prima_")
	for want, s := range map[string]settings{
		`prima-api:api.access = "token" lets nobody in as long as there is no token: make one by task token NAME=… SCOPE=… STACK=local, or set api.access to open`: guarded(map[string]any{}),
		`prima-api:api.access = "open" lets everybody in, token or not`: {
			"api": map[string]any{"tag": "abc", "access": "open"}, "tokens": map[string]any{"ci": entry("read", token)},
		},
		`prima-api:tokens is no secret`:                                        guarded(plainly{map[string]any{"ci": entry("read", token)}}),
		`prima-api:tokens must be an object`:                                   guarded(token),
		`prima-api:tokens: the name "CI" must be 1 to 63 lower-case letters`:   guarded(map[string]any{"CI": entry("read", token)}),
		`prima-api:tokens: the name "" must be`:                                guarded(map[string]any{"": entry("read", token)}),
		`prima-api:tokens: the name "a:read" must be`:                          guarded(map[string]any{"a:read": entry("read", token)}),
		`prima-api:tokens: the name "(hidden)" must be`:                        guarded(map[string]any{token: entry("read", "ci")}),
		`prima-api:tokens.ci.scope must be read, write or read+write`:          guarded(map[string]any{"ci": entry("admin", token)}),
		`prima-api:tokens.a.scope must be read, write or read+write`:           guarded(map[string]any{"a": map[string]any{"token": token}}),
		`prima-api:tokens.b.scope must be read, write or read+write`:           guarded(map[string]any{"b": entry(token, token)}),
		`prima-api:tokens.ci.token must be as task token makes it`:             guarded(map[string]any{"ci": entry("read", secret)}),
		`prima-api:tokens.d.token must be as task token makes it`:              guarded(map[string]any{"d": map[string]any{"scope": "read"}}),
		`prima-api:tokens.ci must be a scope and a token, and nothing else`:    guarded(map[string]any{"ci": token}),
		`prima-api:tokens.e must be a scope and a token, and nothing else`:     guarded(map[string]any{"e": map[string]any{"scope": "read", token: true}}),
		`prima-api:tokens.us is the token of ci too: revoking one would leave`: guarded(map[string]any{"ci": entry("read", token), "us": entry("write", token)}),
	} {
		d, err := up(t, s)
		require.ErrorContains(t, err, want)
		assert.Empty(t, d.resources, want)
		assert.NotContains(t, err.Error(), secret, want)
	}

	s := guarded(plainly{map[string]any{"CI": entry("read", token), "us": entry("all", token)}})
	s["storage"] = map[string]any{"billing": "free"}
	_, err := up(t, s)
	for _, want := range []string{`the name "CI"`, "tokens.us.scope", "tokens is no secret", "storage.billing"} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), secret)
}
