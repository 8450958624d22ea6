package openapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/openapi"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

// Ensure openapi.json is generated from openapi.yaml.
func TestGeneratedJSON(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	data, err := yaml.YAMLToJSON(source) // in the order of the source
	require.NoError(t, err)
	// It writes control characters as Go does.
	data = regexp.MustCompile(`\\x[0-9a-f]{2}|\\.`).ReplaceAllFunc(data, func(escape []byte) []byte {
		if len(escape) == len(`\x00`) {
			return append([]byte(`\u00`), escape[2:]...)
		}
		return escape
	})
	var want bytes.Buffer
	data = append([]byte(`{"x-generated":"by task generate, from openapi.yaml",`), data[1:]...)
	require.NoError(t, json.Indent(&want, data, "", "  "))
	if *update {
		require.NoError(t, os.WriteFile("openapi.json", want.Bytes(), 0o644))
		return
	}
	assert.Equal(t, want.String(), string(openapi.JSON), "run: task generate")
}
