package config_test

import (
	"flag"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"prima.internal/app/config"
	"prima.internal/app/contract"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

// Ensure the defaults are those that the contract names.
func TestDefault(t *testing.T) {
	t.Parallel()
	c := config.Default()
	assert.Equal(t, 5000, c.Port)
	assert.Empty(t, c.AdminAddress)
	assert.Equal(t, "us-east-1", c.Region)
	assert.Empty(t, c.Endpoint)
	assert.Equal(t, "users", c.Table)
	assert.Equal(t, "prima-tech-challenge", c.Bucket)
	assert.Empty(t, c.PublicURL)
	assert.Empty(t, c.AllowedHosts)
	assert.Empty(t, c.CORSOrigins)
	assert.EqualValues(t, 5<<20, c.MaxAvatarBytes)
	assert.EqualValues(t, 8192, c.MaxAvatarPixels)
	assert.Equal(t, "id", config.KeyAttribute)
}

// Ensure every setting is read from its own variable and from no other, whatever a new one may be.
func TestLoadReadsEveryVariable(t *testing.T) {
	t.Parallel()
	for _, s := range config.Settings() {
		for _, value := range s.Examples {
			c, warnings, err := config.Load([]string{s.Variable + "=" + value})
			require.NoError(t, err)
			assert.Empty(t, warnings)
			for _, v := range c.Environ() {
				i := slices.IndexFunc(config.Settings(), func(s contract.Setting) bool { return s.Variable == v.Name })
				if v.Name != s.Variable {
					assert.Equal(t, config.Settings()[i].Default, v.Value, "%s after %s=%s", v.Name, s.Variable, value)
				}
			}
			assert.Equal(t, value == s.Default, reflect.DeepEqual(config.Default(), c), "%s=%s", s.Variable, value)
			again, _, err := config.Load(environ(c))
			require.NoError(t, err)
			assert.Equal(t, c, again)
		}
	}
}

// environ returns what the infrastructure gives the API.
func environ(c config.Config) []string {
	var list []string
	for _, v := range c.Environ() {
		list = append(list, v.Name+"="+v.Value)
	}
	return list
}

// Ensure a wrong environment is refused with every fault at once, each with its variable, its value
// and what is allowed.
func TestLoadNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, _, err := config.Load([]string{
		"PORT=70000", "LOG_LEVEL=loud", "AWS_ENDPOINT_URL=localstack:4566", "DRAIN_TIME=5", "S3_BUCKET=Faces",
		"DYNAMODB_TABLE=users",
	})

	var faults *contract.Error
	require.ErrorAs(t, err, &faults)
	assert.Len(t, faults.Faults, 5)
	for _, want := range []string{
		`PORT="70000" must be a whole number from 0 to 65535`,
		`LOG_LEVEL="loud" must be debug, info, warn or error`,
		`AWS_ENDPOINT_URL="localstack:4566" must be an http or https URL`,
		`DRAIN_TIME="5" must be a duration from 0s to 10m`,
		`S3_BUCKET="Faces" must be 3 to 63 lower-case letters`,
	} {
		assert.ErrorContains(t, err, want)
	}
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
			"http://a:99999", "http://a b", "http://a:",
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
		"MAX_AVATAR_BYTES": {"0", "-1", "5MB", "65MiB", "9223372036854775807MiB", "1023", "MiB"},
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

// Ensure the password of a refused URL is not printed.
func TestFaultHidesPasswords(t *testing.T) {
	t.Parallel()
	_, _, err := config.Load([]string{"AWS_ENDPOINT_URL=http://user:hunter2@localhost"})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
}

// Ensure a secret that is refused, such as a token in place of its hash, is not printed.
func TestFaultHidesSecrets(t *testing.T) {
	t.Parallel()
	token := config.NewToken()
	_, _, err := config.Load([]string{"ACCESS_TOKENS=ci:read:" + token})
	require.ErrorContains(t, err, "ACCESS_TOKENS=")
	assert.NotContains(t, err.Error(), token)
}

// Ensure a secret that somebody forgot to fill stops the start, rather than letting everybody in.
func TestLoadRefusesAnEmptySecret(t *testing.T) {
	t.Parallel()
	_, _, err := config.Load([]string{"ACCESS_TOKENS="})
	assert.ErrorContains(t, err, `ACCESS_TOKENS="" must be left out rather than empty`)
	_, _, err = config.Load([]string{"LOG_LEVEL="})
	assert.NoError(t, err)
}

// Ensure tokens are in the one form that is accepted, differ, and are told from what somebody made
// up.
func TestNewToken(t *testing.T) {
	t.Parallel()
	token := config.NewToken()
	assert.True(t, config.IsToken(token), token)
	assert.NotEqual(t, token, config.NewToken())
	for _, made := range []string{
		"", "hunter2", token[1:], token + "a", token + "\n", strings.Replace(token, "prima_", "prima-", 1),
	} {
		assert.False(t, config.IsToken(made), made)
	}
}

// Ensure an access token is read as it was written.
func TestAccessToken(t *testing.T) {
	t.Parallel()
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

// Ensure an empty variable is the same as none, and that a slash at the end of a URL does not
// matter.
func TestLoadNormalises(t *testing.T) {
	t.Parallel()
	c, _, err := config.Load([]string{
		"PORT=", "LOG_LEVEL=", "PUBLIC_BASE_URL=https://API.example.com/v1/", "ADMIN_ADDRESS=2001:DB8:0::1",
		"CORS_ALLOWED_ORIGINS=https://A.example.com, http://b.example.com",
	})
	require.NoError(t, err)
	assert.Equal(t, 5000, c.Port)
	assert.Equal(t, "info", c.LogLevel)
	assert.Equal(t, "2001:db8::1", c.AdminAddress)
	assert.Equal(t, "https://api.example.com/v1", c.PublicURL)
	assert.Equal(t, []string{"https://a.example.com", "http://b.example.com"}, c.CORSOrigins)
}

// Ensure an origin that is accepted is kept as a browser writes it, or it would match no request.
func TestOriginsAsBrowsersWriteThem(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][]string{
		"https://a.example:443":                     {"https://a.example"},
		"http://a.example:80":                       {"http://a.example"},
		"https://a.example:80,http://a.example:443": {"https://a.example:80", "http://a.example:443"},
		"https://a.example:08443":                   {"https://a.example:8443"},
		"https://a.example:00443":                   {"https://a.example"},
		"HTTPS://A.Example:443":                     {"https://a.example"},
		"https://xn--bcher-kva.example":             {"https://xn--bcher-kva.example"},
		"https://a.example.":                        {"https://a.example."}, // another origin than that without the dot
		"http://web_1:3000":                         {"http://web_1:3000"},
		"http://127.0.0.1:80":                       {"http://127.0.0.1"},
		"http://[::1]:80":                           {"http://[::1]"},
		"http://[0:0:0:0:0:0:0:1]:8080":             {"http://[::1]:8080"},
		"http://[2001:DB8::00A]":                    {"http://[2001:db8::a]"},
		" https://a ,\thttps://b:443 ":              {"https://a", "https://b"},
		" * ":                                       {"*"},
	} {
		c, _, err := config.Load([]string{"CORS_ALLOWED_ORIGINS=" + value})
		require.NoError(t, err, value)
		assert.Equal(t, want, c.CORSOrigins, value)
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

	c, warnings, err = config.Load([]string{"LOCALSTACK_URL=http://old:4566", "AWS_ENDPOINT_URL=http://new:4566"})
	require.NoError(t, err)
	assert.Equal(t, "http://new:4566", c.Endpoint)
	assert.Equal(t, []string{"LOCALSTACK_URL is ignored because AWS_ENDPOINT_URL is set; delete it"}, warnings)

	_, _, err = config.Load([]string{"LOCALSTACK_URL=localstack"})
	assert.ErrorContains(t, err, `LOCALSTACK_URL="localstack"`, "the fault names the variable that was set")
}

// Ensure a setting that was removed is reported and otherwise ignored, whatever its value.
func TestLoadIgnoresRemovedVariables(t *testing.T) {
	t.Parallel()
	for _, variable := range config.Removed() {
		assert.NotContains(t, config.Help(), variable)
		for _, value := range []string{"1", "no such value"} {
			c, warnings, err := config.Load([]string{variable + "=" + value})
			require.NoError(t, err)
			assert.Equal(t, config.Default(), c)
			assert.Equal(t, []string{variable + " was removed: it has no effect any more; delete it"}, warnings)
		}
		_, warnings, err := config.Load([]string{variable + "="})
		require.NoError(t, err)
		assert.Empty(t, warnings)
	}
}

// Ensure the endpoint of a service is its own, then the one for all, then AWS itself.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	assert.Empty(t, config.Config{}.S3())
	assert.Equal(t, "http://all", config.Config{Endpoint: "http://all"}.DynamoDB())
	assert.Equal(t, "http://own", config.Config{Endpoint: "http://all", S3Endpoint: "http://own"}.S3())
}

// Ensure that what the infrastructure writes is what the API reads, whatever the configuration.
func TestEnvironIsWhatLoadReads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var drawn []string
		for _, s := range config.Settings() {
			drawn = append(drawn, s.Variable+"="+arbitrary(s).Draw(t, s.Variable))
		}
		want, warnings, err := config.Load(drawn)
		require.NoError(t, err)
		assert.Empty(t, warnings)
		got, _, err := config.Load(environ(want))
		require.NoError(t, err)
		assert.Equal(t, want, got)
	})
}

// arbitrary draws values of a setting: any number within its bounds, or one of its examples.
func arbitrary(s contract.Setting) *rapid.Generator[string] {
	examples := rapid.SampledFrom(append(s.Examples, s.Default))
	if s.Secret {
		examples = rapid.SampledFrom(s.Examples) // an empty one is refused
	}
	if s.Most == 0 {
		return examples
	}
	return rapid.OneOf(examples, rapid.Map(rapid.Int64Range(s.Least, s.Most), func(n int64) string {
		return strconv.FormatInt(n, 10)
	}))
}

// Ensure the help names every setting, its default and what it may be, and everything else that is
// read.
func TestHelp(t *testing.T) {
	t.Parallel()
	help := config.Help()
	for _, s := range config.Settings() {
		assert.Contains(t, help, "  "+s.Variable+" ")
		assert.NotEmpty(t, s.Meaning, s.Variable)
		assert.NotEmpty(t, s.Allowed, s.Variable)
	}
	for _, r := range config.RuntimeVariables() {
		assert.Contains(t, help, r.Variable)
		assert.NotEmpty(t, r.Reader, r.Variable)
	}
}

// Ensure docs/configuration.md lists the settings as the contract has them. Written by `task
// generate`.
func TestGeneratedDocument(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/configuration.md", "<!-- written by task generate -->\n", "<!-- end -->"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(data), begin)
	got, after, ends := strings.Cut(rest, end)
	require.True(t, begins && ends, "%s has no lines %q and %q", file, begin, end)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+document()+end+after), 0o644))
		return
	}
	assert.Equal(t, document(), got, "run: task generate")
}

// document returns two lists in Markdown: the settings, and the variables that others read.
func document() string {
	var b strings.Builder
	for _, s := range config.Settings() {
		text := "- **`" + s.Variable + "`**"
		if s.Default != "" {
			text += ", default `" + s.Default + "`"
		}
		text += ": " + s.Meaning + ". It must be " + s.Allowed + "."
		if len(s.Formerly) > 0 {
			text += " `" + strings.Join(s.Formerly, "`, `") + "` is still accepted."
		}
		if s.Secret {
			text += " It is a secret."
		}
		wrap(&b, text)
	}
	b.WriteString("\n## Read by libraries\n\nThe API depends on these variables too, " +
		"which its own code does not read.\n\n")
	for _, r := range config.RuntimeVariables() {
		wrap(&b, "- `"+r.Variable+"` ("+r.Reader+"): "+r.Meaning+".")
	}
	return b.String()
}

// wrap writes an entry of a list in lines of at most 100 columns.
func wrap(b *strings.Builder, text string) {
	column := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case column == 0:
		case column+1+utf8.RuneCountInString(word) > 100:
			b.WriteString("\n  ")
			column = 2
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += utf8.RuneCountInString(word)
	}
	b.WriteString("\n")
}
