// Package imagefile reads the containers of PNG, JPEG, GIF and WebP files: whether a file is
// complete, how large its image is, and which parts of it are metadata. It decodes no pixels.
package imagefile

import (
	"bytes"
	"errors"
	"slices"
)

// The errors of [Clean]. Their texts are for the person who chose the file.
var (
	ErrInvalid    = errors.New("the file is not a valid PNG, JPEG, GIF or WebP image")
	ErrIncomplete = errors.New("the file ends early: it is not a complete PNG, JPEG, GIF or WebP image")
	ErrHEIC       = errors.New("HEIC photos, as iPhones take them, and AVIF images are not accepted: " +
		"save the photo as JPEG first (on an iPhone: Settings, Camera, Formats, Most Compatible)")
)

// A File is a complete image without metadata.
type File struct {
	ContentType   string // image/png, image/jpeg, image/gif or image/webp
	Width, Height int    // in pixels, as the container says
	Data          []byte
}

// Clean checks that data is a complete image and removes its metadata, except for an orientation
// other than upright, and whatever follows its end. It works in place: the File shares data, whose
// content is undefined afterwards. A file without metadata stays as it is, byte for byte.
func Clean(data []byte) (File, error) {
	switch {
	case bytes.HasPrefix(data, []byte(pngSignature)):
		return cleanPNG(data)
	case bytes.HasPrefix(data, []byte(jpegSignature)):
		return cleanJPEG(data)
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return cleanGIF(data)
	case len(data) >= webPHeader && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return cleanWebP(data)
	case isHEIC(data):
		return File{}, ErrHEIC
	}
	return File{}, ErrInvalid
}

// isHEIC reports whether data begins as HEIC, HEIF and AVIF files do (ISO/IEC 23008-12, annex B;
// AV1 Image File Format, 6).
func isHEIC(data []byte) bool {
	brands := []string{
		"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "mif2", "msf1", "avif", "avis",
	}
	return len(data) >= 12 && string(data[4:8]) == "ftyp" && slices.Contains(brands, string(data[8:12]))
}
