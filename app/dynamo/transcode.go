package dynamo

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

// transcode appends the users in the body of a response to the page, in one pass over its bytes.
// Decoding items into maps and encoding them again takes five times as long and fifteen allocations
// for an item, instead of none.
//
// It reports false, and leaves the page as it was, if the body is not what DynamoDB writes. The
// SDK then decodes the same bytes. TestTranscode and FuzzTranscode hold the two to one result.
func (s *scan) transcode(body []byte) bool {
	t := transcoder{reader: reader{in: body}, scan: *s}
	t.page.JSON = slices.Grow(t.page.JSON, len(body)+len(body)/8)
	t.avatars = bytes.TrimSuffix(user.AppendString(nil, s.url), []byte{'"'})
	t.response()
	if t.failed {
		return false
	}
	*s = t.scan
	return true
}

type transcoder struct {
	reader
	scan
	avatars []byte // the start of an avatar's URL, as the start of a JSON string
	lastID  str    // of the last user that was appended
}

// response reads the whole body.
func (t *transcoder) response() {
	var items bool
	var next str
	for t.open('{'); t.next('}'); {
		switch string(t.key()) {
		case "Items":
			t.require(!items)
			items = true
			t.items()
		case "LastEvaluatedKey":
			next = t.lastEvaluated()
		default:
			t.skip()
		}
	}
	t.require(items && t.peek() == 0)
	switch {
	case !t.more:
		t.page.Next = t.decode(next)
	case len(t.lastID) > 0:
		t.page.Next = t.decode(t.lastID)
	default:
		t.page.Next = t.last
	}
}

// lastEvaluated returns the id in a key, which is "" only if the key has no members.
func (t *transcoder) lastEvaluated() (id str) {
	empty := true
	for t.open('{'); t.next('}'); empty = false {
		name := t.key()
		if value := t.attribute(); string(name) == config.KeyAttribute {
			id = value
		}
	}
	t.require(empty || len(id) > 0)
	return id
}

func (t *transcoder) items() {
	for t.open('['); t.next(']'); {
		var id, name, email, avatar, foreign str
		for t.open('{'); t.next('}'); {
			attribute := t.key()
			value := t.attribute()
			switch string(attribute) {
			case config.KeyAttribute:
				id = value
			case nameAttribute:
				name = value
			case emailAttribute:
				email = value
			case avatarAttribute:
				avatar = value
			case foreignAttribute:
				foreign = value
			}
		}
		if t.more = t.most == 0; !t.more {
			t.most--
			t.user(id, name, email, avatar, foreign)
		}
	}
}

// user appends a user as [user.User.AppendJSON] does.
func (t *transcoder) user(id, name, email, avatar, foreign str) {
	dst := t.page.JSON
	if t.page.Users > 0 {
		dst = append(dst, ',')
	}
	t.page.Users++
	if len(id) > 0 {
		t.lastID = id
	}
	dst = t.appendText(append(dst, `{"id":"`...), id)
	dst = t.appendText(append(dst, `","name":"`...), name)
	dst = t.appendText(append(dst, `","email":"`...), email)
	dst = append(dst, `","avatar_url":`...)
	if len(avatar) > 0 {
		dst = t.appendText(append(append(dst, t.avatars...), '/'), id)
		dst = t.appendText(append(dst, "/avatar?v="...), avatar)
	} else {
		dst = t.appendText(append(dst, '"'), foreign)
	}
	dst = append(dst, `"}`...)
	t.page.JSON = dst
}

// A reader reads JSON that a server wrote. It finds where values end, and does not check what it
// skips. Once it has failed it reads nothing more.
type reader struct {
	in     []byte
	i      int
	first  bool // the next element is the first of its object or array
	failed bool
}

// A str is what stands between the quotes of a JSON string.
type str []byte

func (r *reader) require(ok bool) {
	if !ok {
		r.failed, r.i = true, len(r.in)
	}
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *reader) peek() byte {
	for ; r.i < len(r.in); r.i++ {
		if c := r.in[r.i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
	}
	return 0
}

// open reads the bracket that an object or array begins with.
func (r *reader) open(bracket byte) {
	r.require(r.peek() == bracket)
	r.i++
	r.first = true
}

// next reports whether another element follows, and reads the comma before it or the bracket at
// the end.
func (r *reader) next(end byte) bool {
	first := r.first
	r.first = false
	switch c := r.peek(); {
	case c == end:
		r.i++
		return false
	case !first:
		r.require(c == ',')
		r.i++
	}
	return !r.failed
}

// key reads the name of a member and the colon behind it.
func (r *reader) key() []byte {
	name := r.string()
	r.require(r.peek() == ':')
	r.i++
	if bytes.IndexByte(name, '\\') < 0 {
		return name
	}
	return []byte(r.decode(name))
}

// attribute reads the value of an attribute and returns the string in it, "" if it has none.
func (r *reader) attribute() (value str) {
	for r.open('{'); r.next('}'); {
		if string(r.key()) == "S" && r.peek() != 'n' { // null is no string
			value = r.string()
		} else {
			r.skip()
		}
	}
	return value
}

// string reads a string.
func (r *reader) string() str {
	r.require(r.peek() == '"')
	r.i++
	for begin := r.i; !r.failed; {
		n := bytes.IndexByte(r.in[r.i:], '"')
		if n < 0 {
			r.require(false)
			break
		}
		r.i += n + 1
		value := r.in[begin : r.i-1]
		if escapes := len(value) - len(bytes.TrimRight(value, `\`)); escapes%2 == 0 {
			return value
		}
	}
	return nil
}

// skip reads a value.
func (r *reader) skip() {
	for depth := 0; !r.failed; {
		switch r.peek() {
		case '"':
			r.string()
		case '{', '[':
			r.i++
			depth++
			continue
		case '}', ']':
			r.i++
			depth--
		case ',', ':':
			r.i++
			continue
		default: // a number, true, false or null
			n := bytes.IndexAny(r.in[r.i:], ",]}")
			r.require(n > 0)
			r.i += max(n, 0)
		}
		if depth <= 0 {
			r.require(depth == 0)
			return
		}
	}
}

// appendText appends a string without its quotes, as [user.AppendString] writes it.
func (r *reader) appendText(dst []byte, s str) []byte {
	if canonical(s) {
		return append(dst, s...)
	}
	quoted := user.AppendString(nil, r.decode(s))
	return append(dst, quoted[1:len(quoted)-1]...)
}

// canonical reports whether a string stands between its quotes as [user.AppendString] writes it. To
// decode and encode names with accents or quotes one by one would double the time of a list.
func canonical(raw str) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' {
			i++
			if bytes.IndexByte([]byte(`"\nrt`), raw[i]) < 0 {
				return false
			}
		} else if raw[i] < ' ' {
			return false
		}
	}
	return utf8.Valid(raw)
}

// decode returns the value of a string.
func (r *reader) decode(s str) (value string) {
	r.require(json.Unmarshal(slices.Concat([]byte{'"'}, s, []byte{'"'}), &value) == nil)
	return value
}
