package imagefile

import (
	"encoding/binary"
	"slices"
)

// cleanGIF drops comments and application extensions, except for the number of loops and the color
// profile. The size is that of the largest frame if the screen is smaller, because browsers enlarge
// it. Source: GIF89a Specification, 17 to 27; ICC.1:2022, B.6.
func cleanGIF(data []byte) (File, error) {
	const (
		header, descriptor, tableFlag, tableSize = 13, 10, 0x80, 0x07
		frame, extension, trailer                = 0x2C, 0x21, 0x3B
		comment, application                     = 0xFE, 0xFF
	)
	if len(data) < header {
		return File{}, ErrIncomplete
	}
	f := File{ContentType: "image/gif"}
	f.Width, f.Height = int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:]))
	table := func(flags byte) int { // the length of a color table
		if flags&tableFlag == 0 {
			return 0
		}
		return 3 << (flags&tableSize + 1)
	}
	at := header + table(data[10])
	if at > len(data) {
		return File{}, ErrIncomplete
	}
	out, hasFrame := data[:at], false
	for at < len(data) {
		start, keep := at, true
		switch data[at] {
		case trailer:
			if !hasFrame {
				return File{}, ErrInvalid
			}
			out = append(out, trailer)
			f.Data = out
			return f, nil
		case frame:
			if at+descriptor > len(data) {
				return File{}, ErrIncomplete
			}
			hasFrame = true
			side := func(i int) int { return int(binary.LittleEndian.Uint16(data[at+i:])) }
			f.Width, f.Height = max(f.Width, side(1)+side(5)), max(f.Height, side(3)+side(7))
			at += descriptor + table(data[at+9]) + 1 // and the size of the codes
		case extension:
			if at+2 > len(data) {
				return File{}, ErrIncomplete
			}
			switch data[at+1] {
			case comment:
				keep = false
			case application:
				names := []string{"\x0bNETSCAPE2.0", "\x0bANIMEXTS1.0", "\x0bICCRGBG1012"} // behind their length
				keep = at+14 <= len(data) && slices.Contains(names, string(data[at+2:at+14]))
			}
			at += 2
		default:
			return File{}, ErrInvalid
		}
		for at < len(data) && data[at] != 0 { // blocks of data, and one without any
			at += 1 + int(data[at])
		}
		if at++; at > len(data) {
			break
		}
		if keep {
			out = append(out, data[start:at]...)
		}
	}
	return File{}, ErrIncomplete
}
