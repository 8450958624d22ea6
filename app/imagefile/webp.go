package imagefile

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/image/webp"
)

const webPHeader = 12 // RIFF, the size of what follows, and WEBP

// cleanWebP keeps the chunks that show the image, its color profile and its orientation.
// Source: RFC 9649, 2.
func cleanWebP(data []byte) (File, error) {
	const overhead = 8 // the type and the length of a chunk
	const flagXMP, flagEXIF = 0x04, 0x08
	size := int64(binary.LittleEndian.Uint32(data[4:]))
	if size > int64(len(data)-8) {
		return File{}, ErrIncomplete
	}
	data = data[:max(8+int(size), webPHeader)]
	out, hasPixels, flags := data[:webPHeader], false, byte(flagXMP|flagEXIF)
	for at := webPHeader; at < len(data); {
		if at+overhead > len(data) {
			return File{}, ErrIncomplete
		}
		length := int64(binary.LittleEndian.Uint32(data[at+4:]))
		if length > int64(len(data)-at-overhead) {
			return File{}, ErrIncomplete
		}
		content := data[at+overhead : at+overhead+int(length)]
		chunk := data[at:min(at+overhead+int(length+length%2), len(data))] // of an even length
		at += len(chunk)
		switch string(chunk[:4]) {
		case "VP8 ", "VP8L", "ANMF":
			hasPixels = true
		case "VP8X", "ANIM", "ALPH", "ICCP":
		case "EXIF":
			tiff := orientationOnly(content)
			if tiff == nil {
				continue
			}
			binary.LittleEndian.PutUint32(chunk[4:], uint32(tiffLength))
			chunk = chunk[:overhead+copy(content, tiff)]
			flags &^= flagEXIF
		default:
			continue
		}
		out = append(out, chunk...)
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8)) //nolint:gosec // at most the size that was here
	header, err := webp.DecodeConfig(bytes.NewReader(out))
	if err != nil || !hasPixels {
		return File{}, ErrInvalid
	}
	if string(out[webPHeader:webPHeader+4]) == "VP8X" {
		out[webPHeader+overhead] &^= flags
	}
	return File{"image/webp", header.Width, header.Height, out}, nil
}
