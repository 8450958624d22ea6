package user_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/user"
)

var limits = user.Limits{Bytes: 5 << 20, Pixels: 8192}

// Ensure the type of an image is read from its content.
func TestParseImage(t *testing.T) {
	t.Parallel()
	for want, images := range map[string][][]byte{
		"image/png":  {apitest.PNG(1, 1), apitest.PNG(8192, 1)},
		"image/jpeg": {apitest.JPEG(3, 4)},
		"image/gif":  {apitest.GIF(2, 2, 1), apitest.GIF(2, 2, 3)},
		"image/webp": {apitest.WebP()},
	} {
		for i, data := range images {
			image, err := user.ParseImage(data, limits)
			require.NoError(t, err, "%s %d", want, i)
			assert.Equal(t, want, image.ContentType)
			assert.Equal(t, data, image.Data)
			assert.True(t, user.IsImageType(want))
		}
	}
	assert.False(t, user.IsImageType("image/svg+xml"))
}

// Ensure everything else is refused for what it is, and that no image is unpacked to find out.
func TestParseImageRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		want user.Code
	}{
		"empty":             {[]byte{}, user.NotAnImage},
		"text":              {[]byte("hello"), user.NotAnImage},
		"SVG":               {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), user.NotAnImage},
		"a PNG's magic":     {[]byte("\x89PNG\r\n\x1a\n"), user.NotAnImage},
		"too wide":          {apitest.PNG(8193, 1), user.Invalid},
		"too high":          {apitest.PNG(1, 8193), user.Invalid},
		"50 gigapixels":     {apitest.PNGBomb(225000, 225000), user.Invalid},
		"one byte too many": {apitest.PaddedPNG(5<<20 + 1), user.TooLarge},
	} {
		_, err := user.ParseImage(c.data, limits)
		assert.Equal(t, c.want, user.CodeOf(err), "%s: %v", name, err)
	}
	_, err := user.ParseImage(apitest.PaddedPNG(5<<20), limits)
	assert.NoError(t, err, "as many bytes as are allowed")
}

// Ensure the metadata of an avatar is removed, and that a refusal says why.
func TestParseImageMetadata(t *testing.T) {
	t.Parallel()
	for _, sample := range apitest.Samples() {
		image, err := user.ParseImage(sample.Data, limits)
		require.NoError(t, err, sample.Name)
		assert.Equal(t, sample.Orientation, apitest.Orientation(image.Data), sample.Name)
		assert.NotContains(t, string(image.Data), "PLANTED", sample.Name)
	}
	_, err := user.ParseImage([]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), limits)
	refusal, ok := errors.AsType[*user.Error](err)
	require.True(t, ok)
	assert.Equal(t, user.NotAnImage, refusal.Code)
	assert.Contains(t, refusal.Detail, "save the photo as JPEG first")
}
