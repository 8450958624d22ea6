package apitest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/bmp"
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

// BMP returns a BMP image of this size in pixels: an image, but of none of the accepted formats.
func BMP(width, height int) []byte {
	return encode(func(b *bytes.Buffer) error { return bmp.Encode(b, gradient(width, height)) })
}

// The smallest WebP images, all of one pixel but the animated one's canvas. The standard library
// and x/image cannot encode WebP.
//
// Source: https://developers.google.com/speed/webp/faq, “How can I detect browser support for WebP?”
const (
	webPLossy    = "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"
	webPLossless = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
	webPAlpha    = "UklGRkoAAABXRUJQVlA4WAoAAAAQAAAAAAAAAAAAQUxQSAwAAAARBxAR/Q9ERP8DAABWUDggGAAAABQBAJ0BKgEAAQAAAP4AAA3AAP7mtQAAAA=="
	webPAnimated = "UklGRlIAAABXRUJQVlA4WAoAAAASAAAAAAAAAAAAQU5JTQYAAAD/////AABBTk1GJgAAAAAAAAAAAAAAAAAAAGQAAABWUDhMDQAAAC8AAAAQBxAREYiI/gcA"
)

// WebP returns a lossy WebP image of one pixel.
func WebP() []byte { return decode(webPLossy) }

// WebPLossless returns a lossless WebP image of one pixel.
func WebPLossless() []byte { return decode(webPLossless) }

// WebPAlpha returns a lossy WebP image of one pixel with transparency, in the extended form.
func WebPAlpha() []byte { return decode(webPAlpha) }

// WebPAnimated returns an animated WebP image of one pixel and one frame.
func WebPAnimated() []byte { return decode(webPAnimated) }

// SVG returns a drawing that runs a script where a browser shows it as a document.
func SVG() []byte {
	return []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><script>alert(1)</script></svg>`)
}

// Lengths in a PNG: its signature, a chunk without data, and IHDR with its data.
const (
	pngSignature  = 8
	pngEmptyChunk = 12
	pngIHDR       = pngEmptyChunk + 13
)

// PaddedPNG returns a PNG image of exactly this many bytes. It panics below what the smallest takes.
func PaddedPNG(size int) []byte {
	return PNGWith(make([]byte, size-len(PNGWith(nil))))
}

// PNGWith returns a PNG image of one pixel that holds this content in a chunk which decoders skip,
// as its name says: ancillary, private, safe to copy.
func PNGWith(content []byte) []byte {
	return withPNGChunk(PNG(1, 1), "paDd", content)
}

// withPNGChunk returns a PNG with this chunk behind its header.
func withPNGChunk(image []byte, name string, content []byte) []byte {
	const header = pngSignature + pngIHDR
	b := make([]byte, 0, len(image)+pngEmptyChunk+len(content))
	b = append(b, image[:header]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(content)))
	b = append(append(b, name...), content...)
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

func decode(encoded string) []byte {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		panic(err)
	}
	return raw
}
