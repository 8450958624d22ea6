package imagefile

import (
	"bytes"
	"encoding/binary"
)

// exifHeader precedes the TIFF data of EXIF in a JPEG, and with some encoders also in a WebP.
const exifHeader = "Exif\x00\x00"

// The parts of TIFF data with one entry: its header, the number of entries, the tag, type and count
// of an orientation, and what follows its value. Source: TIFF 6.0, section 2; EXIF 2.3, 4.6.4.
const (
	tiffBefore = "MM\x00*\x00\x00\x00\x08" + "\x00\x01" + "\x01\x12\x00\x03\x00\x00\x00\x01\x00"
	tiffAfter  = "\x00\x00" + "\x00\x00\x00\x00"
	tiffLength = len(tiffBefore) + 1 + len(tiffAfter)
)

// orientationOnly returns TIFF data of tiffLength that holds only the orientation of the EXIF data,
// which is never shorter. It returns nil if the image is upright, and if the EXIF data is
// malformed.
func orientationOnly(exif []byte) []byte {
	const entrySize, orientation, short = 12, 0x0112, 3
	tiff := bytes.TrimPrefix(exif, []byte(exifHeader))
	if len(tiff) < tiffLength {
		return nil
	}
	var order binary.ByteOrder = binary.BigEndian
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
	default:
		return nil
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return nil
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < entrySize {
			return nil
		}
		if order.Uint16(entries) == orientation {
			value := order.Uint16(entries[8:])
			if order.Uint16(entries[2:]) != short || order.Uint32(entries[4:]) != 1 || value < 2 || value > 8 {
				return nil
			}
			return append(append([]byte(tiffBefore), byte(value)), tiffAfter...)
		}
		entries = entries[entrySize:]
	}
	return nil
}
