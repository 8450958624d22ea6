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

// Ensure any value of a variable is either a fault or changes only its own setting, and that the
// configuration survives Environ and Load unchanged.
func FuzzLoad(f *testing.F) {
	for _, s := range config.Settings() {
		for _, value := range append(s.Examples, s.Default) {
			f.Add(s.Variable, value)
		}
		for _, former := range s.Formerly {
			f.Add(former, "http://localhost:4566/")
		}
	}
	f.Add("PUBLIC_BASE_URL", "http://[::1%25en0]:80/%2f//")
	f.Add("AWS_ENDPOINT_URL_S3", "\xf10")
	f.Add("S3_BUCKET", "000aa.a\xae")
	f.Add("MAX_JSON_BYTES", "+64KiB")
	f.Add("MAX_AVATAR_BYTES", "1234567")
	f.Add("PORT", "+80")
	f.Add("IDLE_TIMEOUT", "+1s")
	f.Add("IDLE_TIMEOUT", "1.s")
	f.Add("IDLE_TIMEOUT", "10m0.5s")

	f.Fuzz(func(t *testing.T, variable, value string) {
		c, _, err := config.Load([]string{variable + "=" + value})
		if err != nil {
			var faults *contract.Error
			require.ErrorAs(t, err, &faults)
			require.NotEmpty(t, faults.Faults)
			return
		}
		written := map[string]string{}
		var environ []string
		for _, v := range c.Environ() {
			require.False(t, strings.ContainsAny(v.Value, "\n\r\x00"), "%s=%q", v.Name, v.Value)
			written[v.Name] = v.Value
			environ = append(environ, v.Name+"="+v.Value)
		}
		again, _, err := config.Load(environ)
		require.NoError(t, err)
		require.Equal(t, c, again)
		for _, s := range config.Settings() {
			if s.Variable == variable && value != s.Default && slices.Contains(s.Examples, value) {
				require.NotEqual(t, config.Default(), c, "%s is not read", variable)
			}
			switch {
			case s.Variable != variable && !slices.Contains(s.Formerly, variable):
				require.Equal(t, s.Default, written[s.Variable], s.Variable)
			case value == "":
			case len(s.Choices) > 0:
				require.Contains(t, s.Choices, value, variable)
			default:
				require.Regexp(t, s.Pattern, value, variable)
			}
		}
	})
}

// Ensure a wrong environment is refused with every fault at once, each with its variable, its value
// and what is allowed, but without passwords and secrets.
func TestLoadNamesEveryFault(t *testing.T) {
	t.Parallel()
	token := config.NewToken() // in place of its hash
	_, _, err := config.Load([]string{
		"PORT=70000", "LOG_LEVEL=loud", "AWS_ENDPOINT_URL=localstack:4566", "DRAIN_TIME=5", "S3_BUCKET=Faces",
		"PUBLIC_BASE_URL=http://user:hunter2@localhost", "ACCESS_TOKENS=ci:read:" + token, "DYNAMODB_TABLE=users",
	})
	var faults *contract.Error
	require.ErrorAs(t, err, &faults)
	assert.Len(t, faults.Faults, 7)
	for _, want := range []string{
		`PORT="70000" must be a whole number from 0 to 65535`,
		`LOG_LEVEL="loud" must be debug, info, warn or error`,
		`AWS_ENDPOINT_URL="localstack:4566" must be an http or https URL`,
		`DRAIN_TIME="5" must be a duration from 0s to 10m`,
		`S3_BUCKET="Faces" must be 3 to 63 lower-case letters`,
		`PUBLIC_BASE_URL="http://user:xxxxx@localhost" must be an http or https URL`,
		`ACCESS_TOKENS="(hidden)" must be entries name:scope:hash`,
	} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), token)

	// A secret that somebody forgot to fill stops the start, rather than letting everybody in.
	_, _, err = config.Load([]string{"ACCESS_TOKENS=", "LOG_LEVEL="})
	assert.EqualError(t, err, `ACCESS_TOKENS="" must be left out rather than empty, if that is what is meant`)
}

// Ensure each kind of setting refuses what it must.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("0f", 32)
	for variable, values := range map[string][]string{
		"PORT": {"-1", "65536", "5000.0", "0x10", " 5000", "five", "99999999999999999999"},
		"ADMIN_ADDRESS": {
			"localhost", "127.0.0.1:9464", "[::1]", "fe80::1%eth0", "127.1", "127.0.0.256", "1:2", " 127.0.0.1", "*",
			"127.0.0.1,::1",
		},
		"AWS_REGION": {"us east 1", "US-EAST-1", "us-east", "-1"},
		"AWS_ENDPOINT_URL": {
			"ftp://a", "http://", "http://a?b", "http://a#", "http://a#b", "//a", "http://u:p@a", "http://a:0",
			"http://a:99999", "http://a b", "http://a:", "http://:80", "http://a,b", "http://*",
		},
		"DYNAMODB_TABLE":  {"ab", "a b c", strings.Repeat("a", 256), "users/"},
		"S3_BUCKET":       {"ab", "-abc", "abc-", "a_b", strings.Repeat("a", 64)},
		"PUBLIC_BASE_URL": {"api.example.com", "https://api.example.com/?x"},
		"ALLOWED_HOSTS": {
			"*", "*.", "*a.example.com", "a.*.example.com", "*.*.example.com", "a.example.com:443", "https://a.example.com",
			"a.example.com/", "a b", "a..b", ".a", ".", "a,", ",a", ",", " ",
			"127.0.0.1", "[::1]", "::1", "127.1", "a.0x7f", "a.1.", "*.1", "bücher.example", "a@b", strings.Repeat("a", 64),
		},
		"CORS_ALLOWED_ORIGINS": {
			"example.com", "https://a.example.com/path", "https://a/", "*,https://a", "https://a,*", "https://a,", ",", " ",
			"https://*.a", "null", "ftp://a", "https://u:p@a", "https://a?b", "https://a#",
			"https://a:", "https://a:0", "https://a:65536", "https://bücher.example", "https://b%C3%BCcher.example",
			"https://a..b", "https://.a", "https://a;b", "https://" + strings.Repeat("a", 64),
			"http://127.1", "http://0x7f.0.0.1", "http://2130706433", "http://127.0.0.1.", "http://[::1", "http://[1]",
			"http://[fe80::1%25en0]", "http://[::ffff:7f00:1]",
		},
		"LOG_LEVEL":        {"INFO", "trace"},
		"MAX_AVATAR_BYTES": {"0", "-1", "5MB", "65MiB", "9223372036854775807MiB", "17592186044417MiB", "1023", "MiB"},
		"ACCESS_TOKENS": {
			config.NewToken(), "ci", "ci:read", "ci:read:" + digest[1:], "ci:read:" + strings.ToUpper(digest),
			"ci:admin:" + digest,
			":read:" + digest, "CI:read:" + digest, "ci:read:" + digest + ",", "ci:read:" + digest + ",ops:write:" + digest,
			"ci::" + digest, "ci:read:" + digest + ":",
		},
		"MAX_CONNECTIONS": {"0", "15"},
		"PAGES":           {"yes", "1", "on"},
		"REQUEST_MEMORY":  {"0", "1KiB"},
		"REQUEST_TIMEOUT": {"0", "1", "-1s", "99ms", "11m", "soon", "NaN"},
	} {
		for _, value := range values {
			_, _, err := config.Load([]string{variable + "=" + value})
			assert.ErrorContains(t, err, variable+"=", "%s=%q", variable, value)
		}
	}
}

// Ensure values are normalized to the form in which they are compared; origins, to the form that
// browsers send.
func TestLoadNormalises(t *testing.T) {
	t.Parallel()
	for variable, values := range map[string]map[string]string{
		"PORT":            {"": "5000", "0080": "80"},
		"LOG_LEVEL":       {"": "info"},
		"ADMIN_ADDRESS":   {"2001:DB8:0::1": "2001:db8::1"},
		"PUBLIC_BASE_URL": {"https://API.example.com/v1/": "https://api.example.com/v1"},
		"MAX_JSON_BYTES":  {"65536": "64KiB", "1024KiB": "1MiB", "1025": "1025"},
		"IDLE_TIMEOUT":    {"3600s": "1h", "60s": "1m", "90s": "1m30s", "10m0.5s": "10m0.5s"},
		"ALLOWED_HOSTS": {
			"API.Example.com.": "api.example.com", "a ,\tb.c, *.Example.com.": "a,b.c,*.example.com",
			"web_1,xn--bcher-kva.example,1a,a1": "web_1,xn--bcher-kva.example,1a,a1",
		},
		"CORS_ALLOWED_ORIGINS": {
			"https://a.example:443":                     "https://a.example",
			"http://a.example:80":                       "http://a.example",
			"https://a.example:80,http://a.example:443": "https://a.example:80,http://a.example:443",
			"https://a.example:08443":                   "https://a.example:8443",
			"https://a.example:00443":                   "https://a.example",
			"HTTPS://A.Example:443":                     "https://a.example",
			"https://xn--bcher-kva.example":             "https://xn--bcher-kva.example",
			"https://a.example.":                        "https://a.example.", // another origin than without the dot
			"http://web_1:3000":                         "http://web_1:3000",
			"http://127.0.0.1:80":                       "http://127.0.0.1",
			"http://[::1]:80":                           "http://[::1]",
			"http://[0:0:0:0:0:0:0:1]:8080":             "http://[::1]:8080",
			"http://[2001:DB8::00A]":                    "http://[2001:db8::a]",
			" https://a ,\thttps://b:443 ":              "https://a,https://b",
			" * ":                                       "*",
		},
	} {
		for value, want := range values {
			c, _, err := config.Load([]string{variable + "=" + value})
			require.NoError(t, err, value)
			assert.Contains(t, c.Environ(), contract.Variable{Name: variable, Value: want}, value)
		}
	}
}

// Ensure the variables of the earlier chart still work, are reported, and give way to today's.
func TestLoadAcceptsFormerVariables(t *testing.T) {
	t.Parallel()
	c, warnings, err := config.Load([]string{
		"LOCALSTACK_URL=http://localstack:4566", "DYNAMODB_ENDPOINT=http://dynamodb:8000",
	})
	require.NoError(t, err)
	assert.Equal(t, "http://localstack:4566", c.S3())
	assert.Equal(t, "http://dynamodb:8000", c.DynamoDB())
	assert.Equal(t, []string{
		"LOCALSTACK_URL is deprecated; set AWS_ENDPOINT_URL instead",
		"DYNAMODB_ENDPOINT is deprecated; set AWS_ENDPOINT_URL_DYNAMODB instead",
	}, warnings)

	c, warnings, err = config.Load([]string{
		"LOCALSTACK_URL=http://old:4566", "AWS_ENDPOINT_URL=http://new:4566", "AWS_ENDPOINT_URL_S3=http://s3",
	})
	require.NoError(t, err)
	assert.Equal(t, "http://new:4566", c.DynamoDB())
	assert.Equal(t, "http://s3", c.S3())
	assert.Equal(t, []string{"LOCALSTACK_URL is ignored because AWS_ENDPOINT_URL is set; delete it"}, warnings)

	_, _, err = config.Load([]string{"LOCALSTACK_URL=localstack"})
	assert.ErrorContains(t, err, `LOCALSTACK_URL="localstack"`, "the fault names the variable that was set")
}

// Ensure new tokens differ and have the accepted form, that made-up ones are refused, and that
// entries survive writing and reading.
func TestTokens(t *testing.T) {
	t.Parallel()
	token := config.NewToken()
	assert.True(t, config.IsToken(token), token)
	assert.NotEqual(t, token, config.NewToken())
	for _, made := range []string{
		"", "hunter2", token[1:], token[:48], token + "a", token + "\n", strings.Replace(token, "prima_", "prima-", 1),
	} {
		assert.False(t, config.IsToken(made), made)
	}
	for _, want := range []config.AccessToken{
		{Name: "ci", Read: true, Hash: config.HashToken("a")},
		{Name: "import-2026", Write: true, Hash: config.HashToken("b")},
		{Name: "o", Read: true, Write: true, Hash: config.HashToken("c")},
	} {
		got, ok := config.ParseAccessToken(want.String())
		assert.True(t, ok, want)
		assert.Equal(t, want, got)
	}
}
