package imagefile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image/png"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// cleanPNG drops text, the time of the last change, C2PA manifests and all of EXIF but the
// orientation. It keeps every other chunk. Source: PNG Specification (Third Edition), 5 and 11.
func cleanPNG(data []byte) (File, error) {
	const overhead = 12 // the length, the type and the checksum of a chunk
	out := data[:len(pngSignature)]
	hasPixels, ended := false, false
	for at := len(pngSignature); !ended; {
		if at+overhead > len(data) {
			return File{}, ErrIncomplete
		}
		length := int64(binary.BigEndian.Uint32(data[at:]))
		if length > int64(len(data)-at-overhead) {
			return File{}, ErrIncomplete
		}
		chunk := data[at : at+overhead+int(length)]
		at += len(chunk)
		switch string(chunk[4:8]) {
		case "tEXt", "zTXt", "iTXt", "tIME", "caBX":
			continue
		case "eXIf":
			tiff := orientationOnly(chunk[8 : 8+length])
			if tiff == nil {
				continue
			}
			binary.BigEndian.PutUint32(chunk, uint32(tiffLength))
			copy(chunk[8:], tiff)
			binary.BigEndian.PutUint32(chunk[8+tiffLength:], crc32.ChecksumIEEE(chunk[4:8+tiffLength]))
			chunk = chunk[:overhead+tiffLength]
		case "IDAT":
			hasPixels = true
		case "IEND":
			ended = true
		}
		out = append(out, chunk...)
	}
	header, err := png.DecodeConfig(bytes.NewReader(out))
	if err != nil || !hasPixels {
		return File{}, ErrInvalid
	}
	return File{"image/png", header.Width, header.Height, out}, nil
}
