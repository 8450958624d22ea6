package user_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"prima.internal/app/user"
)

// Ensure the JSON form is exactly what the earlier service's clients read.
func TestAppendJSON(t *testing.T) {
	t.Parallel()
	const users = "https://api.example.com/users"
	for want, u := range map[string]user.User{
		`{"id":"1","name":"Ada","email":"a@b.c","avatar_url":""}`: {ID: "1", Name: "Ada", Email: "a@b.c"},
		`{"id":"1","name":"Ada","email":"a@b.c","avatar_url":"https://api.example.com/users/1/avatar?v=2"}`: {
			ID: "1", Name: "Ada", Email: "a@b.c", AvatarID: "2",
		},
		`{"id":"1","name":"Ada","email":"a@b.c","avatar_url":"http://old/a.png"}`: {
			ID: "1", Name: "Ada", Email: "a@b.c", ForeignAvatarURL: "http://old/a.png",
		},
	} {
		assert.Equal(t, want, string(u.AppendJSON(nil, users)))
	}
}

// Ensure any string, valid or not, becomes the JSON string that encoding/json reads as it does its
// own.
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
