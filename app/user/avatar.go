package user

import (
	"bytes"
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
