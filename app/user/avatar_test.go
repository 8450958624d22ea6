package user_test

import (
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
		"image/webp": {apitest.WebP(), apitest.WebPLossless(), apitest.WebPAlpha(), apitest.WebPAnimated()},
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
		"BMP":               {apitest.BMP(2, 2), user.NotAnImage},
		"SVG":               {apitest.SVG(), user.NotAnImage},
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

// Ensure the size of a GIF is that of its frames too, which a browser shows, and that what is no GIF
// any more behind its header is not read beyond its end.
func TestParseImageFrames(t *testing.T) {
	t.Parallel()
	gif := func(width, height byte, more ...byte) []byte {
		return append([]byte{'G', 'I', 'F', '8', '9', 'a', width, 0, height, 0, 0x80, 0, 0, 1, 2, 3, 4, 5, 6}, more...)
	}
	comment := []byte{0x21, 0xFE, 3, 0x2C, 0xFF, 0xFF, 0}
	small := user.Limits{Bytes: 1 << 10, Pixels: 255}
	frame := func(left, top, width, height uint16) []byte {
		f := []byte{0x2C, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 2, 3, 4, 5, 6, 2, 1, 'x', 0}
		for i, v := range []uint16{left, top, width, height} {
			f[1+2*i], f[2+2*i] = byte(v), byte(v>>8)
		}
		return f
	}
	for name, c := range map[string]struct {
		image []byte
		fits  bool
	}{
		"no frame":                      {gif(9, 9), true},
		"a frame that fits":             {gif(9, 9, frame(0, 0, 9, 9)...), true},
		"a frame that is larger":        {gif(9, 9, frame(0, 0, 256, 9)...), false},
		"a frame that is higher":        {gif(9, 9, frame(0, 0, 9, 256)...), false},
		"a frame that is set off":       {gif(9, 9, frame(250, 0, 9, 9)...), false},
		"behind a comment":              {gif(9, 9, append(comment, frame(0, 0, 256, 9)...)...), false},
		"behind another frame":          {gif(9, 9, append(frame(0, 0, 9, 9), frame(0, 0, 256, 9)...)...), false},
		"behind the end":                {gif(9, 9, append([]byte{0x3B}, frame(0, 0, 256, 9)...)...), true},
		"a frame that breaks off":       {gif(9, 9, frame(0, 0, 256, 9)[:8]...), true},
		"a comment that breaks off":     {gif(9, 9, 0x21, 0xFE, 200, 1), true},
		"a comment that does not end":   {gif(9, 9, 0x21, 0xFE, 1, 1), true},
		"a frame whose data breaks off": {gif(9, 9, frame(0, 0, 9, 9)[:18]...), true},
	} {
		_, err := user.ParseImage(c.image, small)
		if c.fits {
			assert.NoError(t, err, name)
		} else {
			assert.Equal(t, user.Invalid, user.CodeOf(err), "%s: %v", name, err)
		}
	}
}
