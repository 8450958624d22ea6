package imagefile_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/imagefile"
)

// Ensure that no file crashes Clean, that its result is never longer, and that it has nothing to
// remove from its own result.
func FuzzClean(f *testing.F) {
	for _, sample := range apitest.Samples() {
		f.Add(sample.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := imagefile.Clean(bytes.Clone(data))
		if err != nil {
			return
		}
		assert.LessOrEqual(t, len(once.Data), len(data))
		twice, err := imagefile.Clean(bytes.Clone(once.Data))
		require.NoError(t, err)
		assert.Equal(t, once, twice)
	})
}
