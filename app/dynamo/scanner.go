package dynamo

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"

	"prima.internal/app/user"
)

// A scanner reads JSON, RFC 8259 to the letter. Where it meets something else than is asked for it has failed, and
// reads nothing more; whoever uses it looks at the end.
type scanner struct {
	in     []byte
	i      int
	failed bool
}

// maxDepth bounds arrays and objects within each other. DynamoDB's own bound is 32 levels of values, of which
// each is an object within an array or an object.
const maxDepth = 128

// A str is a JSON string.
type str struct {
	raw     []byte // what is between the quotes
	escaped bool   // there is a backslash in it
	foreign bool   // there is something in it that is not ASCII
}

// is reports whether the string is s, which has no quotes and no backslashes.
func (s str) is(want string) bool {
	if s.escaped {
		return s.String() == want
	}
	return string(s.raw) == want
}

// append appends the string, without quotes, as [user.AppendString] writes it: where nothing is escaped in the one's JSON,
// nothing is in the other's.
func (s str) append(dst []byte) []byte {
	if !s.escaped && (!s.foreign || utf8.Valid(s.raw)) {
		return append(dst, s.raw...)
	}
	for raw := s.raw; len(raw) > 0; {
		r, size := utf8.DecodeRune(raw)
		if r == '\\' {
			r, size = unescape(raw)
		}
		raw = raw[size:]
		dst = user.AppendRune(dst, r)
	}
	return dst
}

// String decodes the string.
func (s str) String() string {
	if !s.escaped {
		return string(s.raw)
	}
	var decoded string
	// The scanner has seen that it is a string, so that this cannot fail.
	_ = json.Unmarshal(append(append([]byte{'"'}, s.raw...), '"'), &decoded)
	return decoded
}

func (s *scanner) require(condition bool) {
	if !condition {
		s.failed = true
		s.i = len(s.in)
	}
}

// peek passes over white space and returns the byte behind it, 0 where nothing more can be read.
func (s *scanner) peek() byte {
	if s.i < len(s.in) && s.in[s.i] > ' ' {
		return s.in[s.i]
	}
	return s.behindSpace()
}

func (s *scanner) behindSpace() byte {
	for ; s.i < len(s.in); s.i++ {
		switch c := s.in[s.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// open takes the bracket that an object or an array begins with.
func (s *scanner) open(bracket byte) {
	s.require(s.peek() == bracket)
	s.i++
}

// end is the end of the document.
func (s *scanner) end() { s.require(s.peek() == 0 && s.i == len(s.in)) }

// member reads the name of an object's next member and the colon behind it. It returns false behind the last one.
func (s *scanner) member(first bool) (name str, ok bool) {
	switch c := s.peek(); {
	case c == '}':
		s.i++
		return str{}, false
	case !first && c == ',':
		s.i++
	default:
		s.require(first)
	}
	name = s.text()
	s.require(s.peek() == ':')
	s.i++
	return name, !s.failed
}

// element reads to an array's next element. It returns false behind the last one.
func (s *scanner) element(first bool) bool {
	switch c := s.peek(); {
	case c == ']':
		s.i++
		return false
	case !first && c == ',':
		s.i++
		s.require(s.peek() != ']')
	default:
		s.require(first)
	}
	return !s.failed
}

// text reads a string.
func (s *scanner) text() (value str) {
	if s.peek() != '"' {
		s.require(false)
		return str{}
	}
	in, i := s.in, s.i+1
	begin := i
	for {
		// Eight bytes at once, up to the first that is special.
		for i+8 <= len(in) {
			marks := special(binary.LittleEndian.Uint64(in[i:]))
			if marks != 0 {
				i += bits.TrailingZeros64(marks) / 8
				break
			}
			i += 8
		}
		if i >= len(in) {
			s.require(false)
			return str{}
		}
		switch c := in[i]; {
		case c == '"':
			s.i = i + 1
			value.raw = in[begin:i]
			return value
		case c == '\\':
			value.escaped = true
			n := escape(in[i:])
			if n == 0 {
				s.require(false)
				return str{}
			}
			i += n
		case c < ' ':
			s.require(false)
			return str{}
		default:
			value.foreign = value.foreign || c >= utf8.RuneSelf
			i++
		}
	}
}

// special marks, by its highest bit, the first of eight bytes that is a quote, a backslash, a control character or not
// ASCII; what it says of those behind the first means nothing. 0: there is none.
// Source: "Determine if a word has a zero byte" and "… a byte less than n", Bit Twiddling Hacks, Sean Eron Anderson.
func special(word uint64) uint64 {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	quote, backslash := word^(ones*'"'), word^(ones*'\\')
	return (word | (word - ones*' ') | (quote - ones) | (backslash - ones)) & high
}

// escape returns the length in bytes of the escape that a text begins with, 0 if it is none.
func escape(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(text) < 6 {
			return 0
		}
		for _, c := range text[2:6] {
			if digit := c >= '0' && c <= '9'; !digit && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// unescape returns the character that a text begins with an escape of, and the length of that in bytes. Half of a pair of
// surrogates is U+FFFD. The scanner has seen the escape.
func unescape(text []byte) (r rune, size int) {
	switch c := text[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return rune(c), 2
	}
	r = hex(text[2:6])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(text) >= 12 && text[6] == '\\' && text[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex(text[8:12])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hex returns the number that digits are.
func hex(digits []byte) (n rune) {
	for _, c := range digits {
		if c >= 'A' {
			c += 9 // the low half of a letter, of either case, is what it is above 9
		}
		n = n<<4 | rune(c&0xf)
	}
	return n
}

// count reads a whole number, of as many digits as a page can have items.
func (s *scanner) count() {
	s.peek()
	begin := s.i
	for s.i < len(s.in) && s.in[s.i] >= '0' && s.in[s.i] <= '9' {
		s.i++
	}
	digits := s.i - begin
	s.require(digits == 1 || digits > 1 && digits < 10 && s.in[begin] != '0')
}

// skip passes over any value.
func (s *scanner) skip(depth int) {
	s.require(depth < maxDepth)
	switch s.peek() {
	case '"':
		s.text()
	case '{':
		s.open('{')
		for first := true; ; first = false {
			if _, ok := s.member(first); !ok {
				return
			}
			s.skip(depth + 1)
		}
	case '[':
		s.open('[')
		for first := true; s.element(first); first = false {
			s.skip(depth + 1)
		}
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

func (s *scanner) literal(word string) {
	end := s.i + len(word)
	s.require(end <= len(s.in) && string(s.in[s.i:min(end, len(s.in))]) == word)
	s.i = max(s.i, min(end, len(s.in)))
}

// number reads a number: of DynamoDB's values none is one, they are strings.
func (s *scanner) number() {
	if s.i < len(s.in) && s.in[s.i] == '-' {
		s.i++
	}
	zero := s.i < len(s.in) && s.in[s.i] == '0'
	s.require(s.digits() == 1 || !zero)
	if s.i < len(s.in) && s.in[s.i] == '.' {
		s.i++
		s.digits()
	}
	if s.i < len(s.in) && s.in[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.in) && (s.in[s.i] == '+' || s.in[s.i] == '-') {
			s.i++
		}
		s.digits()
	}
}

// digits reads at least one digit and returns how many there were.
func (s *scanner) digits() int {
	begin := s.i
	for s.i < len(s.in) && s.in[s.i] >= '0' && s.in[s.i] <= '9' {
		s.i++
	}
	n := s.i - begin
	s.require(n > 0)
	return n
}
