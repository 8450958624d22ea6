package user_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"prima.internal/app/user"
)

// Ensure encoding/json reads every appended string, valid UTF-8 or not, as it reads its own
// encoding.
func TestAppendString(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		anyByte := rapid.OneOf(rapid.Byte(), rapid.ByteRange(0, 0x22), rapid.Just(byte('\\')))
		s := string(rapid.SliceOf(anyByte).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "text") {
			s = rapid.String().Draw(t, "string")
		}
		encoded, err := json.Marshal(s)
		require.NoError(t, err)
		var want, got string
		require.NoError(t, json.Unmarshal(encoded, &want))
		ours := user.AppendString(nil, s)
		require.NoError(t, json.Unmarshal(ours, &got), "%q", ours)
		assert.Equal(t, want, got)
	})
}

// Ensure nothing that a browser might run counts as an image.
func TestIsImageType(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]bool{"image/webp": true, "image/svg+xml": false, "text/html": false, "": false} {
		assert.Equal(t, want, user.IsImageType(contentType), contentType)
	}
}
