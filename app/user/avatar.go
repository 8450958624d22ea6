package user

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	_ "image/gif" // the accepted formats register their decoders
	_ "image/jpeg"
	_ "image/png"
	"maps"
	"slices"

	_ "golang.org/x/image/webp"
)

// An Image is an avatar whose content has been checked.
type Image struct {
	ContentType string // image/png, image/jpeg, image/gif or image/webp
	Data        []byte
}

// Limits bound an avatar.
type Limits struct {
	Bytes  int64
	Pixels int64 // a side
}

// TooLarge is the error for an image of more bytes than the limits allow, also where a reader
// knows it before it has read them all.
func (l Limits) TooLarge() error {
	return &Error{Code: TooLarge, Message: "Avatar is too large", Detail: fmt.Sprintf("an avatar has at most %d bytes", l.Bytes)}
}

var contentTypes = map[string]string{"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}

// IsImageType reports whether a content type is one that an [Image] can have.
func IsImageType(contentType string) bool {
	return slices.Contains(slices.Collect(maps.Values(contentTypes)), contentType)
}

// ParseImage checks data by its content alone: what a client calls it does not matter. Only the
// header is decoded, so that an image that would unpack to gigabytes costs nothing.
//
// It returns NotAnImage unless data is a PNG, JPEG, GIF or WebP, TooLarge above the limit of bytes
// and Invalid where a side is longer than the limit of pixels. The Image shares data.
func ParseImage(data []byte, limits Limits) (*Image, error) {
	if int64(len(data)) > limits.Bytes {
		return nil, limits.TooLarge()
	}
	header, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err == nil && format == "gif" {
		// Browsers make the image as large as its first frame, whatever the header says.
		width, height := gifFrames(data)
		header.Width, header.Height = max(header.Width, width), max(header.Height, height)
	}
	contentType, accepted := contentTypes[format]
	if err != nil || !accepted {
		return nil, &Error{Code: NotAnImage, Message: "Avatar is not an image", Detail: "an avatar is a PNG, JPEG, GIF or WebP image", Err: err}
	}
	if int64(max(header.Width, header.Height)) > limits.Pixels || min(header.Width, header.Height) < 1 {
		return nil, &Error{
			Code: Invalid, Message: "Avatar has too many pixels", Detail: fmt.Sprintf("an avatar has 1 to %d pixels a side", limits.Pixels),
			Err: fmt.Errorf("%d × %d pixels", header.Width, header.Height),
		}
	}
	return &Image{ContentType: contentType, Data: data}, nil
}

// gifFrames returns the width and the height that the frames of a GIF take, as far as it can be read. No pixel is decoded.
// Source: https://www.w3.org/Graphics/GIF/spec-gif89a.txt, §17-25.
func gifFrames(data []byte) (width, height int) {
	const (
		signature, screen, descriptor = 6, 7, 9
		extension, frame              = 0x21, 0x2C
		tableFlag, tableSize          = 0x80, 0x07
	)
	take := func(n int) []byte {
		if n > len(data) {
			data = nil
			return nil
		}
		taken := data[:n]
		data = data[n:]
		return taken
	}
	colours := func(flags byte) {
		if flags&tableFlag != 0 {
			take(3 << (flags&tableSize + 1))
		}
	}
	blocks := func() {
		for size := take(1); size != nil && size[0] != 0; size = take(1) {
			take(int(size[0]))
		}
	}
	take(signature)
	if header := take(screen); header != nil {
		colours(header[4])
	}
	for kind := take(1); kind != nil; kind = take(1) {
		switch kind[0] {
		case extension:
			take(1)
			blocks()
		case frame:
			d := take(descriptor)
			if d == nil {
				return width, height
			}
			at := func(i int) int { return int(binary.LittleEndian.Uint16(d[i:])) }
			width, height = max(width, at(0)+at(4)), max(height, at(2)+at(6))
			colours(d[8])
			take(1) // the size of the codes
			blocks()
		default: // the end, or what is no GIF any more
			return width, height
		}
	}
	return width, height
}
