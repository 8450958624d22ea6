package imagefile_test

import (
	"bytes"
	"image"
	"image/gif"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/imagefile"
)

// Ensure a valid file passes whatever encoder made it, with the size that its container says. Its
// metadata goes, except for the orientation, and everything else stays, in the buffer that was
// given. FuzzClean holds that a clean file stays as it is.
func TestCleanSamples(t *testing.T) {
	t.Parallel()
	for _, sample := range apitest.Samples() {
		given := bytes.Clone(sample.Data)
		file, err := imagefile.Clean(given)
		require.NoError(t, err, sample.Name)
		assert.Equal(t, sample.ContentType, file.ContentType, sample.Name)
		assert.Equal(t, [2]int{apitest.SampleWidth, apitest.SampleHeight}, [2]int{file.Width, file.Height}, sample.Name)
		assert.Same(t, &given[0], &file.Data[0], sample.Name)
		if !sample.Metadata {
			assert.Equal(t, sample.Data, file.Data, sample.Name)
			continue
		}
		for _, text := range apitest.Metadata {
			assert.NotContains(t, string(file.Data), text, sample.Name)
		}
		assert.Equal(t, sample.Orientation, apitest.Orientation(file.Data), sample.Name)
		assert.Equal(t, frames(sample.Data), frames(file.Data), sample.Name)

		const extended, flags, exif, xmp = "VP8X\x0a\x00\x00\x00", 20, 0x08, 0x04
		if sample.ContentType == "image/webp" && string(file.Data[12:flags]) == extended {
			want := byte(0)
			if sample.Orientation != 0 {
				want = exif
			}
			assert.Equal(t, want, file.Data[flags]&(exif|xmp), sample.Name)
		}
	}
}

// frames decodes an image as far as the standard library and x/image can.
func frames(data []byte) any {
	if animation, err := gif.DecodeAll(bytes.NewReader(data)); err == nil {
		return animation
	}
	decoded, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return decoded
}

// Ensure a file is refused wherever it was cut off.
func TestCleanCutOff(t *testing.T) {
	t.Parallel()
	for _, sample := range apitest.Samples() {
		if sample.Trailing {
			continue
		}
		for length := range sample.Data {
			_, err := imagefile.Clean(bytes.Clone(sample.Data[:length]))
			require.Error(t, err, "%s, %d bytes", sample.Name, length)
			if length >= 12 { // the longest name of a format
				require.ErrorIs(t, err, imagefile.ErrIncomplete, "%s, %d bytes", sample.Name, length)
			}
		}
	}
}

// Ensure each error says what is wrong with the file.
func TestCleanRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data string
		want error
	}{
		"nothing":              {"", imagefile.ErrInvalid},
		"text":                 {"hello", imagefile.ErrInvalid},
		"a BMP":                {"BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00", imagefile.ErrInvalid},
		"HEIC":                 {"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", imagefile.ErrHEIC},
		"HEIF":                 {"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", imagefile.ErrHEIC},
		"AVIF":                 {"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00avifmif1", imagefile.ErrHEIC},
		"a film":               {"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp41", imagefile.ErrInvalid},
		"a JPEG of nothing":    {"\xff\xd8\xff\xd9", imagefile.ErrInvalid},
		"a JPEG in a JPEG":     {"\xff\xd8\xff\xd8\xff\xd9", imagefile.ErrInvalid},
		"a JPEG without frame": {"\xff\xd8\xff\xda\x00\x02\xff\xd9", imagefile.ErrInvalid},
		"a JPEG without scan":  {"\xff\xd8\xff\xc0\x00\x08\x08\x00\x01\x00\x01\x01\xff\xd9", imagefile.ErrInvalid},
		"half a JPEG's frame":  {"\xff\xd8\xff\xc0\x00\x03\x08\xff\xd9", imagefile.ErrInvalid},
		"a negative segment":   {"\xff\xd8\xff\xfe\x00\x01\xff\xd9", imagefile.ErrInvalid},
		"a PNG without pixels": {string(pngWithout("IDAT")), imagefile.ErrInvalid},
		"a PNG without end":    {string(pngWithout("IEND")), imagefile.ErrIncomplete},
		"a PNG without header": {string(pngWithout("IHDR")), imagefile.ErrInvalid},
		"a GIF without frame":  {"GIF89a\x01\x00\x01\x00\x00\x00\x00;", imagefile.ErrInvalid},
		"a GIF of something":   {"GIF89a\x01\x00\x01\x00\x00\x00\x00<", imagefile.ErrInvalid},
		"a WebP of nothing":    {"RIFF\x04\x00\x00\x00WEBP", imagefile.ErrInvalid},
		"a WebP of a negative": {"RIFF\x00\x00\x00\x00WEBP", imagefile.ErrInvalid},
		"a WebP's long chunk":  {"RIFF\x0c\x00\x00\x00WEBPVP8L\xff\xff\xff\xff", imagefile.ErrIncomplete},
		"a WebP's half chunk":  {"RIFF\x08\x00\x00\x00WEBPVP8L", imagefile.ErrIncomplete},
		"a WebP of a canvas": {
			"RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", imagefile.ErrInvalid,
		},
	} {
		_, err := imagefile.Clean([]byte(c.data))
		assert.Equal(t, c.want, err, name)
	}
}

// pngWithout returns a PNG that lacks a chunk.
func pngWithout(name string) []byte {
	image := apitest.PNG(1, 1)
	at := bytes.Index(image, []byte(name)) - 4
	return append(image[:at:at], image[at+12+int(image[at+3]):]...)
}

// Ensure the size of a GIF is that of its frames too, because browsers enlarge it to them.
func TestCleanGIFFrames(t *testing.T) {
	t.Parallel()
	frame := func(left, top, width, height uint16) string {
		f := []byte{0x2C, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 2, 3, 4, 5, 6, 2, 1, 'x', 0}
		for i, v := range []uint16{left, top, width, height} {
			f[1+2*i], f[2+2*i] = byte(v), byte(v>>8)
		}
		return string(f)
	}
	const header = "GIF89a\x09\x00\x08\x00\x80\x00\x00\x01\x02\x03\x04\x05\x06"
	for blocks, want := range map[string][2]int{
		frame(0, 0, 9, 8):                                    {9, 8},
		frame(0, 0, 256, 9):                                  {256, 9},
		frame(0, 0, 9, 256):                                  {9, 256},
		frame(250, 300, 9, 9):                                {259, 309},
		frame(0, 0, 9, 9) + frame(0, 0, 256, 9):              {256, 9},
		frame(0, 0, 9, 9) + ";" + frame(0, 0, 256, 9):        {9, 9},
		"\x21\xfe\x03\x2c\xff\xff\x00" + frame(0, 0, 256, 9): {256, 9}, // behind a comment
	} {
		file, err := imagefile.Clean([]byte(header + blocks + ";"))
		require.NoError(t, err, "%q", blocks)
		assert.Equal(t, want, [2]int{file.Width, file.Height}, "%q", blocks)
	}
}

// Ensure extensions that show the image of a GIF stay, and that all others go.
func TestCleanGIFExtensions(t *testing.T) {
	t.Parallel()
	plain := apitest.GIF(2, 2, 1)
	at := bytes.Index(plain, []byte("\x21\xf9")) // the graphic control extension
	require.Positive(t, at)
	for extension, stays := range map[string]bool{
		"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00": true,
		"\x21\xff\x0bANIMEXTS1.0\x03\x01\x00\x00\x00": true,
		"\x21\xff\x0bICCRGBG1012\x02ab\x00":           true,
		"\x21\xff\x0bXMP DataXMP\x02ab\x00":           false,
		"\x21\xff\x0bMGKIPTC0000\x02ab\x00":           false,
		"\x21\xff\x0bC2PA_GIF\x01\x00\x00\x02ab\x00":  false,
		"\x21\xff\x0cNETSCAPE2.0x\x00":                false,
		"\x21\xff\x02ab\x00":                          false,
		"\x21\xff\x00":                                false,
		"\x21\xfe\x02ab\x00":                          false,
	} {
		with := string(plain[:at]) + extension + string(plain[at:])
		want := string(plain)
		if stays {
			want = with
		}
		file, err := imagefile.Clean([]byte(with))
		require.NoError(t, err, "%q", extension)
		assert.Equal(t, want, string(file.Data), "%q", extension)
	}
}

// Ensure a chunk goes if it is known to be metadata or, in a WebP, does not show the image.
func TestCleanChunks(t *testing.T) {
	t.Parallel()
	webP := apitest.WebP()
	with := append(bytes.Clone(webP), "C2PA\x02\x00\x00\x00ab"...)
	with[4] += 10
	file, err := imagefile.Clean(with)
	require.NoError(t, err)
	assert.Equal(t, webP, file.Data)

	unknown := apitest.PNGWith([]byte("content"))
	for name, want := range map[string][]byte{
		"tEXt": apitest.PNG(1, 1), "zTXt": apitest.PNG(1, 1), "iTXt": apitest.PNG(1, 1), "tIME": apitest.PNG(1, 1),
		"caBX": apitest.PNG(1, 1), "eXIf": apitest.PNG(1, 1), "paDd": unknown,
	} {
		file, err := imagefile.Clean(bytes.Replace(unknown, []byte("paDd"), []byte(name), 1))
		require.NoError(t, err, name)
		assert.Equal(t, want, file.Data, name)
	}
}

// Ensure a segment of a JPEG goes with the bytes that fill the space before it, so that none of
// them becomes part of what follows.
func TestCleanJPEG(t *testing.T) {
	t.Parallel()
	plain := string(apitest.JPEG(2, 2))
	for name, c := range map[string]struct{ segment, want string }{
		"a comment":                       {"\xff\xfe\x00\x04ab", ""},
		"a comment behind fill bytes":     {"\xff\xff\xff\xfe\x00\x04ab", ""},
		"what decoders skip":              {"\xff\xff\xfe\x00\x04ab\xe1\x00\x04", "\xe1\x00\x04"},
		"JFIF":                            {"\xff\xe0\x00\x07JFIF\x00", "\xff\xe0\x00\x07JFIF\x00"},
		"JFIF's second thumbnail":         {"\xff\xe0\x00\x07JFXX\x00", ""},
		"the last of the APPn":            {"\xff\xef\x00\x04ab", ""},
		"a segment that shows the pixels": {"\xff\xdd\x00\x04\x00\x00", "\xff\xdd\x00\x04\x00\x00"},
	} {
		file, err := imagefile.Clean([]byte(plain[:2] + c.segment + plain[2:]))
		require.NoError(t, err, name)
		assert.Equal(t, plain[:2]+c.want+plain[2:], string(file.Data), name)
	}
}
