package apitest_test

import (
	"bytes"
	"image"
	"image/gif"
	"image/png"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "golang.org/x/image/webp"

	"prima.internal/app/apitest"
)

// Ensure every image is what its name says.
func TestImages(t *testing.T) {
	for _, row := range []struct {
		name          string
		image         []byte
		format        string
		width, height int
	}{
		{"PNG", apitest.PNG(3, 2), "png", 3, 2},
		{"PaddedPNG", apitest.PaddedPNG(4096), "png", 1, 1},
		{"JPEG", apitest.JPEG(3, 2), "jpeg", 3, 2},
		{"GIF", apitest.GIF(3, 2, 1), "gif", 3, 2},
		{"GIF, animated", apitest.GIF(3, 2, 5), "gif", 3, 2},
		{"WebP", apitest.WebP(), "webp", apitest.SampleWidth, apitest.SampleHeight},
	} {
		t.Run(row.name, func(t *testing.T) {
			decoded, format, err := image.Decode(bytes.NewReader(row.image))
			require.NoError(t, err)
			assert.Equal(t, row.format, format)
			assert.Equal(t, image.Rect(0, 0, row.width, row.height), decoded.Bounds())
		})
	}

	// Ensure the animated images say that they are.
	animated, err := gif.DecodeAll(bytes.NewReader(apitest.GIF(3, 2, 5)))
	require.NoError(t, err)
	assert.Len(t, animated.Image, 5)

	// Ensure a padded image has the length that was asked for, to the byte.
	assert.Len(t, apitest.PaddedPNG(5<<20), 5<<20)

	// Ensure the header of a bomb is valid and its pixels are not there.
	bomb := apitest.PNGBomb(60000, 50000)
	header, err := png.DecodeConfig(bytes.NewReader(bomb))
	require.NoError(t, err)
	assert.Equal(t, [2]int{60000, 50000}, [2]int{header.Width, header.Height})
	assert.Less(t, len(bomb), 200)
}
