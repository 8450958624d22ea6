package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

// Bounds of what a request is parsed into. A text field that is cut off at its bound is longer than
// any value may be.
const (
	maxParts         = 32
	maxPartHeader    = 8 << 10 // bytes of the headers of a part
	maxParameters    = 64      // of a Content-Type or a Content-Disposition
	maxTextBytes     = 8 << 10
	maxMembers       = 16 << 10  // of a JSON object, nested ones included: as many as 64 KiB hold
	maxFormFields    = 10_000    // of a urlencoded form
	maxFormOverhead  = 256 << 10 // bytes of a multipart body beside the avatar
	multipartReadBuf = 8 << 10   // bytes that mime/multipart reads ahead, at most
)

// fields are the members of a request that make a user.
type fields struct {
	// texts has the members name and email that were given; nil if they are not strings.
	texts  map[string]*string
	avatar []byte // nil: none
}

// textFields are the names of texts.
var textFields = []string{"name", "email"}

var errTwice = errInvalidForm.with("a field is there twice", nil)

// draft checks fields that must make a user.
func (f fields) draft(limits user.Limits) (d user.Draft, err error) {
	name, email := f.texts["name"], f.texts["email"]
	// A missing field is reported before a wrong one.
	if name == nil || email == nil || *name == "" || *email == "" {
		return d, user.ErrMissing
	}
	if d.Name, err = user.ParseName(*name); err != nil {
		return d, err
	}
	if d.Email, err = user.ParseEmail(*email); err != nil {
		return d, err
	}
	if f.avatar != nil {
		d.Avatar, err = user.ParseImage(f.avatar, limits)
	}
	return d, err
}

// readFields reads a user from a body of any accepted type.
func (s *Server) readFields(c *fiber.Ctx) (fields, error) {
	mediaType, boundary, err := mediaType(c)
	if err != nil {
		return fields{}, err
	}
	switch {
	case mediaType == fiber.MIMEMultipartForm:
		return s.readMultipart(c, boundary)
	case !isJSON(mediaType) && mediaType != fiber.MIMEApplicationForm:
		return fields{}, errMediaType.with("a user is application/json, multipart/form-data or application/x-www-form-urlencoded", nil)
	}
	body, err := s.readBody(c)
	if err != nil {
		return fields{}, err
	}
	if !isJSON(mediaType) {
		return parseForm(body)
	}
	texts, members, err := parseObject(body)
	if err == nil && members == 0 {
		err = errInvalidJSON.with("the object is empty", nil)
	}
	return fields{texts: texts}, err
}

// readBody reads a body that is not an upload.
func (s *Server) readBody(c *fiber.Ctx) ([]byte, error) {
	body, err := s.openBody(c, s.config.MaxJSONBytes)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(body)
}

// parseObject reads the members name and email of a JSON object, and how many it has in all. A member
// that is not a string is nil. Names are case-sensitive; of two members with one name the last counts.
func parseObject(body []byte) (texts map[string]*string, members int, err error) {
	if bytes.Count(body, []byte{':'}) > maxMembers {
		return nil, 0, errInvalidJSON.with("there are too many members", nil)
	}
	if !utf8.Valid(body) { // encoding/json would replace what is not
		return nil, 0, errInvalidJSON.with("the body is not UTF-8", nil)
	}
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // a byte order mark: RFC 8259 §8.1
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil || object == nil {
		return nil, 0, errInvalidJSON.with("the body is not a JSON object", err)
	}
	texts = map[string]*string{}
	for _, name := range textFields {
		if value, given := object[name]; given {
			var text *string
			if json.Unmarshal(value, &text) != nil {
				text = nil
			}
			texts[name] = text
		}
	}
	return texts, len(object), nil
}

// parseForm reads a urlencoded form.
func parseForm(body []byte) (fields, error) {
	f := fields{texts: map[string]*string{}}
	if bytes.Count(body, []byte{'&'}) >= maxFormFields {
		return f, errInvalidForm.with("there are too many fields", nil)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return f, errInvalidForm.with("", err)
	}
	for _, name := range textFields {
		switch given := values[name]; len(given) {
		case 0:
		case 1:
			f.texts[name] = &given[0]
		default:
			return f, errTwice
		}
	}
	return f, nil
}

// readMultipart reads a multipart form.
func (s *Server) readMultipart(c *fiber.Ctx, boundary string) (fields, error) {
	body, err := s.openBody(c, s.config.MaxAvatarBytes+maxFormOverhead)
	if err != nil {
		return fields{}, err
	}
	f, err := parseMultipart(body, boundary, s.limits(), min(body.size(), s.config.MaxAvatarBytes))
	if err == nil { // what follows the last boundary is ignored, but the body must be whole
		_, _ = io.Copy(io.Discard, body)
	}
	if body.err != nil { // rather than what the parser made of it
		return fields{}, body.err
	}
	return f, err
}

// parseMultipart reads the parts name, email and avatar, in any order, and skips others. expected
// is the memory, in bytes, that is allocated for an avatar at first.
func parseMultipart(body io.Reader, boundary string, limits user.Limits, expected int64) (fields, error) {
	if boundary == "" {
		return fields{}, errInvalidForm.with("the boundary is missing", nil)
	}
	// mime/multipart takes a body that ends in the header of a part for a whole one, so the end is
	// made an error. The line break completes a last boundary that has none.
	whole := io.MultiReader(body, strings.NewReader("\r\n"), cutOffReader{})
	// It bounds the headers of a part at 10 MB, and makes many times that of them. So does FormName.
	bounded := &io.LimitedReader{R: whole}
	reader := multipart.NewReader(bounded, boundary)
	f := form{fields: fields{texts: map[string]*string{}}}
	for parts := 0; ; parts++ {
		bounded.N = maxPartHeader + multipartReadBuf
		part, err := reader.NextPart()
		switch {
		case bounded.N == 0:
			return fields{}, errInvalidForm.with("the headers of a part are too large", err)
		case err == io.EOF: // a wrapped EOF is a body that was cut off
			return f.fields, nil
		case err == nil && parts == maxParts:
			return fields{}, errInvalidForm.with(fmt.Sprintf("a form has at most %d parts", maxParts), nil)
		}
		if err != nil {
			return fields{}, errInvalidForm.with("", err)
		}
		bounded.N = math.MaxInt64
		if err := f.readPart(part, limits, expected); err != nil {
			return fields{}, err
		}
		// NextPart would skip the rest of the part within the bound of the next header.
		if _, err := io.Copy(io.Discard, part); err != nil {
			return fields{}, errInvalidForm.with("", err)
		}
	}
}

type cutOffReader struct{}

func (cutOffReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// parseMediaType is [mime.ParseMediaType] for a bounded number of parameters: it makes a map for
// each of them.
func parseMediaType(header string) (string, map[string]string, error) {
	if strings.Count(header, ";") > maxParameters {
		return "", nil, errors.New("too many parameters")
	}
	return mime.ParseMediaType(header)
}

// A form is a multipart form while it is read.
type form struct {
	fields
	avatars int // parts of that name
}

// readPart reads a part if it is one of the fields.
func (f *form) readPart(part *multipart.Part, limits user.Limits, expected int64) error {
	disposition := part.Header.Get(fiber.HeaderContentDisposition)
	kind, parameters, err := parseMediaType(disposition)
	name := parameters["name"]
	switch {
	case err != nil && disposition != "": // it may have been the avatar
		return errInvalidForm.with("the header of a part cannot be read", err)
	case kind != "form-data":
		return nil
	case name == "avatar":
		return f.readAvatar(part, parameters["filename"], limits, expected)
	case !slices.Contains(textFields, name):
		return nil
	case f.texts[name] != nil:
		return errTwice
	}
	data, err := io.ReadAll(io.LimitReader(part, maxTextBytes))
	if err != nil {
		return errInvalidForm.with("", err)
	}
	text := string(data)
	f.texts[name] = &text
	return nil
}

func (f *form) readAvatar(part io.Reader, filename string, limits user.Limits, expected int64) error {
	if f.avatars++; f.avatars > 1 {
		return errInvalidForm.with("there is more than one avatar", nil)
	}
	data, err := readImage(part, limits, expected)
	switch {
	case user.CodeOf(err) == user.TooLarge:
		return err
	case err != nil:
		return errInvalidForm.with("", err)
	case len(data) > 0 || filename != "": // otherwise a file input in which nothing was chosen
		f.avatar = data
	}
	return nil
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

func (s *Server) limits() user.Limits {
	return user.Limits{Bytes: s.config.MaxAvatarBytes, Pixels: s.config.MaxAvatarPixels}
}
