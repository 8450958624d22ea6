package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

// Bounds of a multipart form. A text field that is cut off at its bound is longer than any value
// may be.
const (
	maxParts         = 32
	maxPartHeader    = 8 << 10 // bytes of the headers of a part
	maxParameters    = 64      // of a Content-Disposition
	maxTextBytes     = 8 << 10
	maxFormOverhead  = 256 << 10 // bytes of the body beside the avatar
	multipartReadBuf = 8 << 10   // bytes that mime/multipart reads ahead, at most
)

// readMultipart reads a multipart form.
func (s *Server) readMultipart(c *fiber.Ctx, boundary string) (fields, error) {
	body, err := s.openBody(c, s.config.MaxAvatarBytes+maxFormOverhead)
	if err != nil {
		return fields{}, err
	}
	f, err := parseMultipart(body, boundary, s.limits, min(body.size, s.config.MaxAvatarBytes))
	if err == nil { // what follows the last boundary is ignored, but the body must be whole
		_, _ = io.Copy(io.Discard, body)
	}
	if body.err != nil { // rather than what the parser made of it
		return fields{}, body.err
	}
	return f, err
}

// A form is a multipart form while it is read.
type form struct {
	fields
	limits   user.Limits
	expected int64 // bytes that are allocated for an avatar at first
	avatars  int   // parts of that name
}

// parseMultipart reads the parts name, email and avatar, in any order, and skips others.
func parseMultipart(body io.Reader, boundary string, limits user.Limits, expected int64) (fields, error) {
	f := form{fields: fields{texts: map[string]*string{}}, limits: limits, expected: expected}
	err := f.read(body, boundary)
	if _, ok := errors.AsType[*problem](err); !ok && user.CodeOf(err) == user.Internal {
		err = errInvalidForm.with("", err)
	}
	return f.fields, err
}

func (f *form) read(body io.Reader, boundary string) error {
	if boundary == "" {
		return errInvalidForm.with("the boundary is missing", nil)
	}
	// mime/multipart takes a body that ends in the header of a part for a whole one, so the end is
	// made an error. The line break completes a last boundary that has none.
	whole := io.MultiReader(body, strings.NewReader("\r\n"), cutOffReader{})
	// mime/multipart takes headers of 10 MB, and makes many times that of them.
	bounded := &io.LimitedReader{R: whole}
	reader := multipart.NewReader(bounded, boundary)
	for parts := 0; ; parts++ {
		bounded.N = maxPartHeader + multipartReadBuf
		part, err := reader.NextPart()
		switch {
		case bounded.N == 0:
			return errInvalidForm.with("the headers of a part are too large", err)
		case err == io.EOF: // a wrapped EOF is a body that was cut off
			return nil
		case err != nil:
			return err
		case parts == maxParts:
			return errInvalidForm.with(fmt.Sprintf("a form has at most %d parts", maxParts), nil)
		}
		bounded.N = math.MaxInt64
		if err := f.readPart(part); err != nil {
			return err
		}
		// NextPart would skip the rest of the part within the bound of the next header.
		if _, err := io.Copy(io.Discard, part); err != nil {
			return err
		}
	}
}

type cutOffReader struct{}

func (cutOffReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// readPart reads a part if it is one of the fields.
func (f *form) readPart(part *multipart.Part) error {
	disposition := part.Header.Get(fiber.HeaderContentDisposition)
	if strings.Count(disposition, ";") > maxParameters { // package mime makes a map of each
		return errPartHeader
	}
	kind, parameters, err := mime.ParseMediaType(disposition)
	name := parameters["name"]
	switch {
	case err != nil && disposition != "": // it may have been the avatar
		return errPartHeader.with(errPartHeader.detail, err)
	case kind != "form-data":
		return nil
	case name == "avatar":
		return f.readAvatar(part, parameters["filename"])
	case !slices.Contains(textFields, name):
		return nil
	case f.texts[name] != nil:
		return errTwice
	}
	data, err := io.ReadAll(io.LimitReader(part, maxTextBytes))
	text := string(data)
	f.texts[name] = &text
	return err
}

var errPartHeader = errInvalidForm.with("the header of a part cannot be read", nil)

func (f *form) readAvatar(part io.Reader, filename string) error {
	if f.avatars++; f.avatars > 1 {
		return errInvalidForm.with("there is more than one avatar", nil)
	}
	data, err := readImage(part, f.limits, f.expected)
	if len(data) > 0 || filename != "" { // otherwise a file input in which nothing was chosen
		f.avatar = data
	}
	return err
}

// readImage reads an image to its end, or to just above the limit. What it returns is not nil.
func readImage(r io.Reader, limits user.Limits, expected int64) ([]byte, error) {
	buffer := bytes.NewBuffer(make([]byte, 0, expected+bytes.MinRead))
	_, err := buffer.ReadFrom(io.LimitReader(r, limits.Bytes+1))
	if err == nil && int64(buffer.Len()) > limits.Bytes {
		err = limits.TooLarge()
	}
	return buffer.Bytes(), err
}
