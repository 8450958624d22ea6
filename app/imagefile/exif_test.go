package imagefile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/imagefile"
)

// Ensure an orientation is found in EXIF data, and that malformed EXIF data is dropped.
func TestCleanEXIF(t *testing.T) {
	t.Parallel()
	const (
		big    = "MM\x00*\x00\x00\x00\x08"
		little = "II*\x00\x08\x00\x00\x00"
		end    = "\x00\x00\x00\x00"
		mirror = "\x01\x12\x00\x03\x00\x00\x00\x01\x00\x02\x00\x00" // orientation 2
		other  = "\x01\x0f\x00\x02\x00\x00\x00\x04abc\x00"
	)
	for name, c := range map[string]struct {
		tiff string
		want int
	}{
		"big-endian":                 {big + "\x00\x01" + mirror + end, 2},
		"little-endian":              {little + "\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x08\x00\x00\x00" + end, 8},
		"behind another entry":       {big + "\x00\x02" + other + mirror + end, 2},
		"behind a gap":               {"MM\x00*\x00\x00\x00\x0bgap\x00\x01" + mirror + end, 2},
		"without a next directory":   {big + "\x00\x02" + other + mirror, 2},
		"in too little room":         {big + "\x00\x01" + mirror, 0},
		"upright":                    {big + "\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x01\x00\x00" + end, 0},
		"0":                          {big + "\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00" + end, 0},
		"9":                          {big + "\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x09\x00\x00" + end, 0},
		"of another type":            {big + "\x00\x01\x01\x12\x00\x04\x00\x00\x00\x01\x00\x02\x00\x00" + end, 0},
		"two of them":                {big + "\x00\x01\x01\x12\x00\x03\x00\x00\x00\x02\x00\x02\x00\x00" + end, 0},
		"nothing":                    {"", 0},
		"half a header":              {"MM\x00", 0},
		"a header":                   {big, 0},
		"text":                       {strings.Repeat("text", 10), 0},
		"no entry":                   {big + "\x00\x00" + end + mirror, 0},
		"fewer entries than it says": {big + "\xff\xff" + other + other, 0},
		"half an entry":              {big + "\x00\x02" + other + mirror[:11], 0},
		"a directory behind the end": {"MM\x00*\x00\x00\x00\x40\x00\x01" + mirror + end, 0},
		"a directory far away":       {"MM\x00*\xff\xff\xff\xff\x00\x01" + mirror + end, 0},
		"a directory at the end":     {"MM\x00*\x00\x00\x00\x19\x00\x01" + mirror + end, 0},
		"a directory in the header":  {"MM\x00*\x00\x00\x00\x00\x00\x01" + mirror + end, 0},
	} {
		plain, exif := string(apitest.JPEG(2, 2)), "Exif\x00\x00"+c.tiff
		jpeg := plain[:2] + "\xff\xe1\x00" + string(rune(len(exif)+2)) + exif + plain[2:]
		require.Less(t, len(exif), 100, name)

		file, err := imagefile.Clean([]byte(jpeg))
		require.NoError(t, err, name)
		assert.Equal(t, c.want, apitest.Orientation(file.Data), name)
		if c.want == 0 {
			assert.Equal(t, plain, string(file.Data), name)
		} else {
			assert.Len(t, file.Data, len(plain)+36, name) // a segment with one entry
		}
	}
}
