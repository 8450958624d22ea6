package imagefile

import (
	"bytes"
	"encoding/binary"
)

const jpegSignature = "\xff\xd8" // the marker SOI

// cleanJPEG keeps the JFIF header, the color profile, Adobe's color transform and the orientation
// of a JPEG. It drops every other APPn segment and the comments. Source: ITU T.81, annex B.
func cleanJPEG(data []byte) (File, error) {
	const (
		fill, stuffed, tem  = 0xFF, 0x00, 0x01
		rst0, rst7          = 0xD0, 0xD7
		soi, eoi, sos, app1 = 0xD8, 0xD9, 0xDA, 0xE1
	)
	f := File{ContentType: "image/jpeg"}
	out := data[:0]
	scanned := false
	for copied, at := 0, len(jpegSignature); at < len(data); {
		// Compressed pixels come before a marker, or bytes between segments, which decoders skip.
		pixels := bytes.IndexByte(data[at:], fill)
		if pixels < 0 {
			break
		}
		at += pixels
		start := at
		for at < len(data) && data[at] == fill {
			at++
		}
		if at == len(data) {
			break
		}
		marker := data[at]
		at++
		switch {
		case marker == stuffed, marker == tem, marker >= rst0 && marker <= rst7: // part of the pixels
			continue
		case marker == eoi && scanned:
			out = append(out, data[copied:at]...)
			f.Data = out
			return f, nil
		case marker == eoi, marker == soi:
			return File{}, ErrInvalid
		}
		if at+2 > len(data) {
			break
		}
		length := int(binary.BigEndian.Uint16(data[at:])) // includes itself
		if length < 2 {
			return File{}, ErrInvalid
		}
		if at+length > len(data) {
			break
		}
		segment := data[at+2 : at+length]
		at += length
		switch {
		case isFrame(marker):
			if len(segment) < 6 {
				return File{}, ErrInvalid
			}
			f.Height = max(f.Height, int(binary.BigEndian.Uint16(segment[1:])))
			f.Width = max(f.Width, int(binary.BigEndian.Uint16(segment[3:])))
		case marker == sos:
			scanned = f.Width > 0
		case isMetadata(marker, segment):
			out = append(out, data[copied:start]...)
			copied = at
			if marker != app1 || !bytes.HasPrefix(segment, []byte(exifHeader)) {
				continue
			}
			if tiff := orientationOnly(segment); tiff != nil {
				out = append(out, fill, app1, 0, byte(2+len(exifHeader)+tiffLength))
				out = append(append(out, exifHeader...), tiff...)
			}
		}
	}
	return File{}, ErrIncomplete
}

// isFrame reports whether a marker is one of SOF0 to SOF15, among which DHT, JPG and DAC have
// codes.
func isFrame(marker byte) bool {
	const dht, jpg, dac = 0xC4, 0xC8, 0xCC
	return marker >= 0xC0 && marker <= 0xCF && marker != dht && marker != jpg && marker != dac
}

// isMetadata reports whether a segment can go without a change to the pixels that are shown.
func isMetadata(marker byte, segment []byte) bool {
	const app0, app2, app14, app15, comment = 0xE0, 0xE2, 0xEE, 0xEF, 0xFE
	switch marker {
	case app0:
		return !bytes.HasPrefix(segment, []byte("JFIF\x00"))
	case app2:
		return !bytes.HasPrefix(segment, []byte("ICC_PROFILE\x00"))
	case app14:
		return !bytes.HasPrefix(segment, []byte("Adobe"))
	}
	return marker >= app0 && marker <= app15 || marker == comment
}
