package openapi_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/speakeasy-api/openapi/linter"
	described "github.com/speakeasy-api/openapi/openapi"
	rules "github.com/speakeasy-api/openapi/openapi/linter"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/openapi"
)

// Ensure the description is valid, its examples among it.
func TestValid(t *testing.T) {
	t.Parallel()
	document, err := openapi3.NewLoader().LoadFromData(openapi.JSON)
	require.NoError(t, err)
	require.NoError(t, document.Validate(
		t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaPatternValidation()))
	document.Components.Schemas["User"].Value.Properties["name"].Value.Type = &openapi3.Types{"integer"}
	assert.Error(t, document.Validate(t.Context(), openapi3.EnableExamplesValidation()),
		"an example that is not of its schema is found")
}

// Ensure the linter reports nothing, not even a hint, except for the rules that lint.yaml turns
// off.
func TestLint(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	assert.Empty(t, lint(t, source))

	for _, row := range []struct{ from, to string }{
		{"operationId: getHealth", "operationId: getUser"},
		{"in: path\n      required: true", "in: path"},
		{"tags: [service]", "tags: [unknown]"},
		{"maxLength: 255", "maxLength: -1"},
	} {
		broken := bytes.Replace(source, []byte(row.from), []byte(row.to), 1)
		require.NotEqual(t, source, broken, row.from)
		assert.NotEmpty(t, lint(t, broken), "%s for %s", row.to, row.from)
	}
}

// lint returns what the linter finds.
func lint(t *testing.T, source []byte) []string {
	t.Helper()
	document, faults, err := described.Unmarshal(t.Context(), bytes.NewReader(source))
	require.NoError(t, err)
	config, err := linter.LoadConfigFromFile("lint.yaml")
	require.NoError(t, err)
	l, err := rules.NewLinter(config)
	require.NoError(t, err)
	output, err := l.Lint(t.Context(), linter.NewDocumentInfo(document, "openapi.yaml"), faults, nil)
	require.NoError(t, err)
	var found []string
	for _, result := range output.Results {
		found = append(found, result.Error())
	}
	return found
}
