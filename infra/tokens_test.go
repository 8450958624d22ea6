package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// guarded returns the settings of a stack whose API lets in the holders of the tokens.
func guarded(tokens any) settings {
	return settings{"api": map[string]any{"tag": "abc"}, "tokens": tokens}
}

// Ensure the API gets the names, scopes and hashes of the tokens, sorted, because another order
// would roll out the pods. No token is in any resource.
func TestTokens(t *testing.T) {
	t.Parallel()
	tokens, known := map[string]any{}, []any{}
	var secrets []string
	for _, client := range []config.AccessToken{
		{Name: "admin", Write: true},
		{Name: "ci", Read: true, Write: true},
		{Name: "ci-2", Read: true},
		{Name: "mobile", Read: true},
		{Name: "reader", Read: true},
	} {
		token := config.NewToken()
		client.Hash = config.HashToken(token)
		scope := strings.Split(client.String(), ":")[1]
		tokens[client.Name], secrets, known = entry(scope, token), append(secrets, token), append(known, client.String())
	}
	d := mustUp(t, guarded(tokens))
	want := map[string]any{"mode": "token", "tokens": known, "existingSecret": "", "checkSecret": ""}
	assert.Equal(t, want, d.values(t, apiRelease)["access"])
	assert.NotContains(t, d.config(t), "ACCESS_TOKENS")
	assert.False(t, d.find(t, chartType, apiRelease).Inputs["values"].ContainsSecrets(), "a preview shows the hashes")
	for _, r := range d.resources {
		data, err := json.Marshal(inputs(r))
		require.NoError(t, err)
		for _, token := range secrets {
			assert.NotContains(t, string(data), strings.TrimPrefix(token, "prima_"), r.Name)
			assert.NotContains(t, string(data), base64.StdEncoding.EncodeToString([]byte(token)), r.Name)
		}
	}
}

// Ensure the faults of the tokens are reported with their keys, all at once and before anything is
// registered, and that no fault quotes a token.
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	secret := strings.TrimPrefix(token, "prima_")
	type m = map[string]any
	for want, s := range map[string]settings{
		`api.access is "token", must be open, which lets everybody in, unless the stack has a token: task token`: guarded(m{}),
		`api.access is "open", must be token while the stack has tokens`: guarded(m{"ci": entry("read", token)}).
			set("api.access", "open"),
		`tokens must be an object`:                                 guarded(token),
		`tokens: the name "CI" must be 1 to 63 lower-case letters`: guarded(m{"CI": entry("read", token)}),
		`tokens: the name "" must be`:                              guarded(m{"": entry("read", token)}),
		`tokens: the name "a:read" must be`:                        guarded(m{"a:read": entry("read", token)}),
		`tokens: the name "(hidden)" must be`:                      guarded(m{token: entry("read", "ci")}),
		`tokens.ci.scope must be read, write or read+write`:        guarded(m{"ci": entry("admin", token)}),
		`tokens.a.scope must be read, write or read+write`:         guarded(m{"a": m{"token": token}}),
		`tokens.b.scope must be read, write or read+write`:         guarded(m{"b": entry(token, token)}),
		`tokens.ci.token must be as task token makes it`:           guarded(m{"ci": entry("read", secret)}),
		`tokens.d.token must be as task token makes it`:            guarded(m{"d": m{"scope": "read"}}),
		`tokens.ci must be a scope and a token, and nothing else`:  guarded(m{"ci": token}),
		`tokens.e must be a scope and a token, and nothing else`:   guarded(m{"e": m{"scope": "read", "token": true}}),
		`tokens.us is the token of ci too: revoking one would`: guarded(m{
			"ci": entry("read", token), "us": entry("write", token),
		}),
	} {
		d, err := up(t, s)
		require.ErrorContains(t, err, "prima-api:"+want)
		assert.Empty(t, d.resources, want)
		assert.NotContains(t, err.Error(), secret, want)
	}

	d := &deployment{plain: true}
	tokens := map[string]any{"CI": entry("read", token), "us": entry("all", token)}
	err := d.run(t, guarded(tokens).set("storage.billing", "free"))
	for _, want := range []string{`the name "CI"`, "tokens.us.scope", "tokens is no secret", "storage.billing"} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), secret)
	mustUp(t, local(t).set("tokens", map[string]any{})) // what task token:revoke leaves
}
