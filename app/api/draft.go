package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

const (
	maxMembers    = 16 << 10 // of a JSON object, nested ones included: as many as 64 KiB hold
	maxFormFields = 10_000   // of a urlencoded form
)

// fields are the members of a request that make a user.
type fields struct {
	texts  map[string]*string // name and email, if they were given; nil if they are not strings
	avatar []byte             // nil: none
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
	json := jsonType.MatchString(mediaType)
	switch {
	case mediaType == fiber.MIMEMultipartForm:
		return s.readMultipart(c, boundary)
	case !json && mediaType != fiber.MIMEApplicationForm:
		return fields{}, errMediaType.with(
			"a user is application/json, multipart/form-data or application/x-www-form-urlencoded", nil)
	}
	body, err := s.readBody(c)
	if err != nil {
		return fields{}, err
	}
	if !json {
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

// parseObject reads the members name and email of a JSON object, and how many it has in all. A
// member that is not a string is nil. Names are case-sensitive; of two members with one name the
// last counts.
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
		given := values[name]
		if len(given) > 1 {
			return f, errTwice
		}
		if len(given) == 1 {
			f.texts[name] = &given[0]
		}
	}
	return f, nil
}
