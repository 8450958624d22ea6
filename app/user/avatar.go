package user

import (
	"fmt"
	"slices"

	"prima.internal/app/imagefile"
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

// TooLarge returns the error for an image of too many bytes.
func (l Limits) TooLarge() error {
	return &Error{
		Code: TooLarge, Message: "Avatar is too large", Detail: fmt.Sprintf("an avatar has at most %d bytes", l.Bytes),
	}
}

// IsImageType reports whether a content type is one that an [Image] can have.
func IsImageType(contentType string) bool {
	return slices.Contains([]string{"image/png", "image/jpeg", "image/gif", "image/webp"}, contentType)
}

// ParseImage checks an image by its content and removes its metadata in place. It decodes no
// pixels, and the Image shares data.
//
// It returns NotAnImage unless data is a complete PNG, JPEG, GIF or WebP, and Invalid if a side is
// longer than the limit. Whoever read the data has bounded the bytes.
func ParseImage(data []byte, limits Limits) (*Image, error) {
	file, err := imagefile.Clean(data)
	if err != nil {
		return nil, &Error{Code: NotAnImage, Message: "Avatar is not an image", Detail: err.Error(), Err: err}
	}
	if int64(max(file.Width, file.Height)) > limits.Pixels || min(file.Width, file.Height) < 1 {
		return nil, &Error{
			Code: Invalid, Message: "Avatar has too many pixels",
			Detail: fmt.Sprintf("an avatar has 1 to %d pixels a side", limits.Pixels),
			Err:    fmt.Errorf("%d × %d pixels", file.Width, file.Height),
		}
	}
	return &Image{ContentType: file.ContentType, Data: file.Data}, nil
}
