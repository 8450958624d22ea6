package api

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/app/openapi"
	"prima.internal/app/user"
)

// Ensure every route is described, and nothing else. HEAD is described as what GET is without a
// body.
func TestDescriptionHasEveryRoute(t *testing.T) {
	t.Parallel()
	document := description(t)
	var described, served []string
	for path, item := range document.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
			if method == http.MethodGet {
				described = append(described, http.MethodHead+" "+path)
			}
		}
	}
	c := config.Default()
	c.Pages = false // they are for people, and not described
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, route := range New(c, nil, nil, slog.New(slog.DiscardHandler)).app.GetRoutes(true) {
		served = append(served, route.Method+" "+parameter.ReplaceAllString(route.Path, "{$1}"))
	}
	assert.ElementsMatch(t, served, described)
}

// Ensure the description has the limits that the code enforces.
func TestDescriptionHasTheLimits(t *testing.T) {
	t.Parallel()
	document := description(t)
	schemas, list := document.Components.Schemas, document.Paths.Value(config.PathUsers).Get
	name, email := schemas["Name"].Value, schemas["Email"].Value
	key := document.Components.Parameters["IdempotencyKey"].Value.Schema.Value
	limit := list.Parameters.GetByInAndName("query", "limit").Schema.Value
	cursor := list.Parameters.GetByInAndName("query", "cursor").Schema.Value

	assert.EqualValues(t, 1, name.MinLength)
	assert.EqualValues(t, user.MaxNameRunes, *name.MaxLength)
	assert.EqualValues(t, user.MaxEmailBytes, *email.MaxLength)
	assert.EqualValues(t, 1, key.MinLength)
	longest := strings.Repeat("k", int(*key.MaxLength))
	assert.True(t, idempotencyKeyPattern.MatchString(longest) && !idempotencyKeyPattern.MatchString(longest+"k"))
	assert.InDelta(t, 1, *limit.Min, 0)
	assert.InDelta(t, maxLimit, *limit.Max, 0)
	assert.EqualValues(t, base64.RawURLEncoding.EncodedLen(maxCursorID+cursorCheckBytes), *cursor.MaxLength)
	assert.Contains(t, list.Description, "pages of 100.")
	assert.Equal(t, 100, defaultLimit)
	assert.Equal(t, 16<<10, maxHeaderBytes)
	assert.Contains(t, *document.Components.Responses["HeaderTooLarge"].Value.Description, "16 KiB")
	c := config.Default()
	assert.Equal(t, []int64{5 << 20, 8192, 64 << 10}, []int64{c.MaxAvatarBytes, c.MaxAvatarPixels, c.MaxJSONBytes})
	assert.Contains(t, schemas["Image"].Value.Description, "5 MiB and 8192 pixels")
	assert.Contains(t, *document.Components.Responses["TooLarge"].Value.Description, "64 KiB, or 5 MiB for an avatar")

	accepted := 0
	avatar := document.Paths.Value(config.PathUsers + "/{id}/avatar").Get.Responses.Value("200").Value
	for mediaType := range avatar.Content {
		if strings.HasPrefix(mediaType, "image/") {
			accepted++
			assert.True(t, user.IsImageType(mediaType), mediaType)
		}
	}
	assert.Equal(t, 4, accepted)
}

func description(t *testing.T) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(openapi.JSON)
	require.NoError(t, err)
	return document
}
