package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/app/contract"
)

// Ensure that whatever the environment holds, the outcome is either a list of faults or a
// configuration that writes itself as an environment which reads as the same.
func FuzzLoad(f *testing.F) {
	for _, s := range config.Settings() {
		f.Add(s.Variable, s.Default)
		for _, former := range s.Formerly {
			f.Add(former, "http://localhost:4566/")
		}
	}
	f.Add("ALLOWED_HOSTS", "API.example.com., *.internal")
	f.Add("CORS_ALLOWED_ORIGINS", "https://a, http://b:80, HTTP://[0::1]:080")
	f.Add("PUBLIC_BASE_URL", "http://[::1%25en0]:80/%2f//")
	f.Add("ADMIN_ADDRESS", "::ffff:1.2.3.4")
	f.Add("MAX_JSON_BYTES", "+64KiB")
	f.Add("PORT", "+80")
	f.Add("IDLE_TIMEOUT", "+1s")
	f.Add("IDLE_TIMEOUT", "1.s")
	f.Add("ACCESS_TOKENS", "ci:read:"+strings.Repeat("0f", 32)+", ops:read+write:"+strings.Repeat("1e", 32))
	f.Add("IDLE_TIMEOUT", "1h0m0.5s")

	f.Fuzz(func(t *testing.T, variable, value string) {
		c, _, err := config.Load([]string{variable + "=" + value})
		if err != nil {
			var faults *contract.Error
			require.ErrorAs(t, err, &faults)
			require.NotEmpty(t, faults.Faults)
			return
		}
		for _, s := range config.Settings() {
			if s.Secret || value == "" || (s.Variable != variable && !slices.Contains(s.Formerly, variable)) {
				continue
			}
			if len(s.Choices) > 0 {
				require.Contains(t, s.Choices, value, variable)
				continue
			}
			require.Regexp(t, s.Pattern, value, variable)
		}
		for _, v := range c.Environ() {
			require.False(t, strings.ContainsAny(v.Value, "\n\r\x00"), "%s=%q", v.Name, v.Value)
		}
		again, _, err := config.Load(environ(c))
		require.NoError(t, err)
		assert.Equal(t, c, again)
	})
}
