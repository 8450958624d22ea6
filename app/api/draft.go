package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/jsonscan"
	"prima.internal/app/user"
)

// Bounds of a form. A text field that is cut off at its bound is longer than any value may be.
const (
	maxParts          = 32
	maxTextBytes      = 8 << 10
	maxMultipartExtra = 256 << 10 // of a multipart body beside the avatar: texts, headers, boundaries
)

// fields are the members of a request as they came. A nil string was not there, or was no string.
type fields struct {
	name, email *string
	avatar      []byte // nil: none; the request's, until that has been answered
}

// draft checks fields that must make a user.
func (f fields) draft(limits user.Limits) (user.Draft, error) {
	var (
		d   user.Draft
		err error
	)
	// Both before either is judged: that one is missing says more than that the other is wrong.
	if f.name == nil || f.email == nil || *f.name == "" || *f.email == "" {
		return d, user.ErrMissing
	}
	if d.Name, err = user.ParseName(*f.name); err != nil {
		return d, err
	}
	if d.Email, err = user.ParseEmail(*f.email); err != nil {
		return d, err
	}
	if f.avatar != nil {
		d.Avatar, err = user.ParseImage(f.avatar, limits)
	}
	return d, err
}

// readFields reads a user from a body in any of the accepted forms.
func (s *Server) readFields(c *fiber.Ctx) (fields, error) {
	mediaType, parameters, err := mediaType(c)
	if err != nil {
		return fields{}, err
	}
	switch {
	case mediaType == fiber.MIMEMultipartForm:
		return s.readMultipart(c, parameters["boundary"])
	case mediaType == fiber.MIMEApplicationForm:
		return s.readForm(c)
	case isJSON(mediaType):
		o, err := s.readObject(c)
		if err != nil {
			return fields{}, err
		}
		if o.members == 0 {
			return fields{}, errInvalidJSON.with("the object is empty", nil)
		}
		return fields{name: o.name.text, email: o.email.text}, nil
	}
	return fields{}, errMediaType.with("a user is application/json, multipart/form-data or application/x-www-form-urlencoded", nil)
}

// mediaType returns the type of the body and its parameters; JSON where none is named.
func mediaType(c *fiber.Ctx) (string, map[string]string, error) {
	header := c.Get(fiber.HeaderContentType)
	if header == "" || header == fiber.MIMEApplicationJSON {
		return fiber.MIMEApplicationJSON, nil, nil
	}
	mediaType, parameters, err := mime.ParseMediaType(header)
	if err != nil {
		return "", nil, errMediaType.with("", err)
	}
	return mediaType, parameters, nil
}

func isJSON(mediaType string) bool {
	return mediaType == fiber.MIMEApplicationJSON || strings.HasSuffix(mediaType, "+json")
}

// An object is what matters of a JSON object. Names of members are told apart by case; of two members with one name the last
// counts.
type object struct {
	members     int
	name, email member
}

// A member is a member of an object, if it is there.
type member struct {
	given bool
	text  *string // nil: no string
}

func (s *Server) readObject(c *fiber.Ctx) (object, error) {
	body, err := newBody(c, s.config.MaxJSONBytes, s.budget.bodies)
	if err != nil {
		return object{}, err
	}
	data, err := body.all()
	if err != nil {
		return object{}, err
	}
	return parseObject(data)
}

func parseObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return object{}, errInvalidJSON.with("the body is not UTF-8", nil)
	}
	var o object
	scanner := jsonscan.New(data)
	scanner.Bracket('{')
	for first := true; ; first = false {
		name, ok := scanner.Member(first)
		if !ok {
			break
		}
		o.members++
		switch {
		case name.Is("name"):
			o.name = readMember(&scanner)
		case name.Is("email"):
			o.email = readMember(&scanner)
		default:
			scanner.Skip()
		}
	}
	scanner.End()
	if scanner.Failed() {
		return object{}, errInvalidJSON.with("the body is not a JSON object", nil)
	}
	return o, nil
}

func readMember(scanner *jsonscan.Scanner) member {
	if scanner.Peek() != '"' {
		scanner.Skip()
		return member{given: true}
	}
	text := scanner.Text().String()
	return member{given: true, text: &text}
}

// readForm reads an urlencoded form.
func (s *Server) readForm(c *fiber.Ctx) (fields, error) {
	body, err := newBody(c, s.config.MaxJSONBytes, s.budget.bodies)
	if err != nil {
		return fields{}, err
	}
	data, err := body.all()
	if err != nil {
		return fields{}, err
	}
	values, err := url.ParseQuery(string(data))
	if err != nil {
		return fields{}, errInvalidForm.with("", err)
	}
	var f fields
	for name, field := range map[string]**string{"name": &f.name, "email": &f.email} {
		switch v := values[name]; len(v) {
		case 0:
		case 1:
			*field = &v[0]
		default:
			return fields{}, errInvalidForm.with("a field is there twice", nil)
		}
	}
	return f, nil
}

// readMultipart reads a multipart form.
func (s *Server) readMultipart(c *fiber.Ctx, boundary string) (fields, error) {
	body, err := newBody(c, s.config.MaxAvatarBytes+maxMultipartExtra, s.budget.uploads)
	if err != nil {
		return fields{}, err
	}
	// In large pieces: the connection has a buffer for headers, and package multipart one of 4 KiB.
	pieces := pieceReaders.Get().(*bufio.Reader) //nolint:forcetypeassert // nothing else is put there
	pieces.Reset(body)
	defer func() {
		pieces.Reset(nil)
		pieceReaders.Put(pieces)
	}()
	f, err := parseMultipart(pieces, boundary, s.limits(), func() []byte { return body.lend(&s.buffers, s.config.MaxAvatarBytes+1) })
	if err == nil { // what follows the last boundary means nothing, but that it came says that the body is whole
		_, _ = io.Copy(io.Discard, body)
	}
	if body.err != nil { // what ended the body, rather than what the parser made of that
		return fields{}, body.err
	}
	return f, err
}

// pieceReaders are what bodies with an image are read through.
var pieceReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

// parseMultipart reads the parts name, email and avatar, in any order, and skips others. lend returns the memory
// for an avatar, as readImage takes it.
func parseMultipart(body io.Reader, boundary string, limits user.Limits, lend func() []byte) (fields, error) {
	if boundary == "" {
		return fields{}, errInvalidForm.with("the boundary is missing", nil)
	}
	// Package multipart takes a body that breaks off in the header of a part for one that ends there. Behind
	// a line break, which completes a last boundary that has none, the end is made an error.
	reader := multipart.NewReader(io.MultiReader(body, strings.NewReader("\r\n"), brokenOff{}), boundary)
	var f fields
	for parts := 0; ; parts++ {
		part, err := reader.NextPart()
		if err == io.EOF { //nolint:errorlint // a wrapped EOF is a body that broke off
			return f, nil
		}
		if err != nil {
			return fields{}, errInvalidForm.with("", err)
		}
		if parts == maxParts {
			return fields{}, errInvalidForm.with("there are too many parts", nil)
		}
		switch part.FormName() {
		case "":
			// Without a name it is one of those that are skipped; with one that cannot be read, it may have
			// been the avatar.
			if _, _, wrong := mime.ParseMediaType(part.Header.Get(fiber.HeaderContentDisposition)); wrong != nil {
				err = errInvalidForm.with("the header of a part cannot be read", wrong)
			}
		case "name":
			err = readText(part, &f.name)
		case "email":
			err = readText(part, &f.email)
		case "avatar":
			err = readAvatar(part, &f.avatar, limits, lend)
		}
		if err != nil {
			return fields{}, err
		}
	}
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func readText(part *multipart.Part, field **string) error {
	if *field != nil {
		return errInvalidForm.with("a field is there twice", nil)
	}
	data, err := io.ReadAll(io.LimitReader(part, maxTextBytes))
	if err != nil {
		return errInvalidForm.with("", err)
	}
	value := string(data)
	*field = &value
	return nil
}

func readAvatar(part *multipart.Part, avatar *[]byte, limits user.Limits, lend func() []byte) error {
	if *avatar != nil {
		return errInvalidForm.with("there is more than one avatar", nil)
	}
	data, err := readImage(part, limits, lend())
	switch {
	case err != nil:
		return errInvalid(err)
	case len(data) == 0 && part.FileName() == "": // a file input in which nothing was chosen
		return nil
	}
	*avatar = data
	return nil
}

// errInvalid returns err as it is if it has an answer of its own.
func errInvalid(err error) error {
	if _, ok := errors.AsType[*user.Error](err); ok {
		return err
	}
	return errInvalidForm.with("", err)
}

// readImage reads an image to its end, or to just above the limit, into memory, or into more if that is not enough. What
// it returns is not nil.
func readImage(r io.Reader, limits user.Limits, memory []byte) ([]byte, error) {
	buffer := bytes.NewBuffer(memory[:0])
	_, err := buffer.ReadFrom(io.LimitReader(r, limits.Bytes+1))
	if err == nil && int64(buffer.Len()) > limits.Bytes {
		err = limits.TooLarge()
	}
	return buffer.Bytes(), err
}

func (s *Server) limits() user.Limits {
	return user.Limits{Bytes: s.config.MaxAvatarBytes, Pixels: s.config.MaxAvatarPixels}
}
