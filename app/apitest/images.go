package apitest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// PNG returns a PNG image of this size in pixels.
func PNG(width, height int) []byte {
	return encode(func(b *bytes.Buffer) error { return png.Encode(b, gradient(width, height)) })
}

// JPEG returns a JPEG image of this size in pixels.
func JPEG(width, height int) []byte {
	return encode(func(b *bytes.Buffer) error { return jpeg.Encode(b, gradient(width, height), nil) })
}

// GIF returns a GIF image of this size in pixels, with one frame or, animated, more.
func GIF(width, height, frames int) []byte {
	g := &gif.GIF{}
	for i := range frames {
		frame := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.Black, color.White})
		frame.SetColorIndex(i%width, 0, 1) // frames differ
		g.Image, g.Delay = append(g.Image, frame), append(g.Delay, 10)
	}
	return encode(func(b *bytes.Buffer) error { return gif.EncodeAll(b, g) })
}

// WebP returns a lossy WebP image.
func WebP() []byte { return files("testdata/images")["webp-lossy.webp"] }

// Lengths in a PNG: its signature, and the chunk IHDR with its 13 bytes of data.
const (
	pngSignature = 8
	pngIHDR      = 12 + 13
)

// PaddedPNG returns a PNG image of exactly this many bytes. It panics if they are too few.
func PaddedPNG(size int) []byte {
	return PNGWith(make([]byte, size-len(PNGWith(nil))))
}

// PNGWith returns a PNG image of one pixel that holds this content in a chunk which decoders skip,
// as its name says: ancillary, private, safe to copy.
func PNGWith(content []byte) []byte {
	const header = pngSignature + pngIHDR
	image := PNG(1, 1)
	b := binary.BigEndian.AppendUint32(slices.Clone(image[:header]), uint32(len(content)))
	b = append(append(b, "paDd"...), content...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[header+4:]))
	return append(b, image[header:]...)
}

// PNGBomb returns a few bytes that claim to be a PNG image of this size in pixels. The header is
// valid; the pixels are not there.
func PNGBomb(width, height uint32) []byte {
	bomb := PNG(1, 1)
	header := bomb[pngSignature : pngSignature+pngIHDR]
	binary.BigEndian.PutUint32(header[8:], width)
	binary.BigEndian.PutUint32(header[12:], height)
	binary.BigEndian.PutUint32(header[pngIHDR-4:], crc32.ChecksumIEEE(header[4:pngIHDR-4]))
	return bomb
}

func gradient(width, height int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetRGBA(x, y, color.RGBA{R: uint8(x), G: uint8(y), B: uint8(width + height), A: 255})
		}
	}
	return m
}

func encode(to func(*bytes.Buffer) error) []byte {
	var b bytes.Buffer
	if err := to(&b); err != nil {
		panic(err) // a buffer does not fail, and sizes are the caller's
	}
	return b.Bytes()
}

// The size of the image in every [Sample], in pixels.
const (
	SampleWidth  = 16
	SampleHeight = 12
)

// Metadata has texts that the samples with metadata contain, and that no avatar may contain.
var Metadata = []string{
	"PLANTED", "GPS", "\x88\x25\x00\x04", "\x25\x88\x04\x00", "XMP", "adobe.com/xap", "MPF", "jumb", "Photoshop",
	"tEXt", "zTXt", "iTXt", "tIME", "Software",
}

// A Sample is a valid image file as some encoder makes it: libjpeg-turbo, ImageMagick, libwebp,
// gifsicle, apngasm or imagecodecs. Its metadata is from exiftool.
type Sample struct {
	Name        string // what is special about it
	ContentType string
	Data        []byte
	Metadata    bool // whether it has metadata, or bytes behind its end
	Trailing    bool // whether it has bytes behind its end
	Orientation int  // that its metadata tells, 2 to 8; 0 if the image is upright
}

var orientationName = regexp.MustCompile(`orientation-(\d)`)

// Samples returns a file of each variant of the accepted formats.
func Samples() []Sample {
	var all []Sample
	for name, data := range files("testdata/images") {
		format, _, _ := strings.Cut(name, "-")
		sample := Sample{Name: name, ContentType: "image/" + format, Data: data}
		sample.Metadata = strings.Contains(name, "metadata")
		sample.Trailing = strings.Contains(name, "trailing")
		if match := orientationName.FindStringSubmatch(name); match != nil {
			sample.Orientation, _ = strconv.Atoi(match[1])
		}
		all = append(all, sample)
	}
	return all
}

// files returns the files of an embedded folder by their names.
func files(folder string) map[string][]byte {
	entries, err := testdata.ReadDir(folder)
	all := make(map[string][]byte, len(entries))
	for i := 0; i < len(entries) && err == nil; i++ {
		all[entries[i].Name()], err = testdata.ReadFile(path.Join(folder, entries[i].Name()))
	}
	if err != nil {
		panic(err) // they are embedded
	}
	return all
}

// Orientation returns the value of the first entry of EXIF data in an image that has the tag of
// an orientation, and 0 if there is none.
func Orientation(image []byte) int {
	for _, entry := range []string{"\x01\x12\x00\x03\x00\x00\x00\x01\x00", "\x12\x01\x03\x00\x01\x00\x00\x00"} {
		if at := bytes.Index(image, []byte(entry)); at >= 0 && at+len(entry) < len(image) {
			return int(image[at+len(entry)])
		}
	}
	return 0
}
