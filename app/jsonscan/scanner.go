// Package jsonscan reads JSON where it lies, without making values of it.
package jsonscan

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

// A Scanner reads JSON, RFC 8259 to the letter but for one: bytes that are no UTF-8 pass. Where it meets something else than is
// asked for it has failed, and reads nothing more; whoever uses it asks at the end. What it returns is a part of what it reads.
type Scanner struct {
	in     []byte
	i      int
	failed bool
}

// New returns a scanner at the start of a document.
func New(document []byte) Scanner { return Scanner{in: document} }

// MaxDepth is how many arrays and objects may be within each other in a value that is skipped: as many as encoding/json takes.
const MaxDepth = 10_000

// A Str is a JSON string.
type Str struct {
	Raw     []byte // what is between the quotes
	Escaped bool   // there is a backslash in it
	Foreign bool   // there is something in it that is not ASCII
}

// Is reports whether the string is want, which has no quotes and no backslashes.
func (s Str) Is(want string) bool {
	if s.Escaped {
		return s.String() == want
	}
	return string(s.Raw) == want
}

// String decodes the string.
func (s Str) String() string {
	if !s.Escaped {
		return string(s.Raw)
	}
	var decoded string
	// The scanner has seen that it is a string, so that this cannot fail.
	_ = json.Unmarshal(append(append([]byte{'"'}, s.Raw...), '"'), &decoded)
	return decoded
}

// Require makes the scanner fail unless a condition holds.
func (s *Scanner) Require(condition bool) {
	if !condition {
		s.failed = true
		s.i = len(s.in)
	}
}

// Peek passes over white space and returns the byte behind it, 0 where nothing more can be read.
func (s *Scanner) Peek() byte {
	if s.i < len(s.in) && s.in[s.i] > ' ' {
		return s.in[s.i]
	}
	return s.behindSpace()
}

func (s *Scanner) behindSpace() byte {
	for ; s.i < len(s.in); s.i++ {
		switch c := s.in[s.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// Bracket takes a bracket.
func (s *Scanner) Bracket(bracket byte) {
	s.Require(s.Peek() == bracket)
	s.i++
}

// Take takes text and reports true, if that is what is next, to the letter.
func (s *Scanner) Take(text string) bool {
	if len(s.in)-s.i < len(text) || string(s.in[s.i:s.i+len(text)]) != text {
		return false
	}
	s.i += len(text)
	return true
}

// End is the end of the document.
func (s *Scanner) End() { s.Require(s.Peek() == 0 && s.i == len(s.in)) }

// Failed reports whether there was something else than was asked for.
func (s *Scanner) Failed() bool { return s.failed }

// Offset returns how many bytes have been read, all of them after a failure.
func (s *Scanner) Offset() int { return min(s.i, len(s.in)) }

// Member reads the name of an object's next member and the colon behind it. It returns false behind the last one.
func (s *Scanner) Member(first bool) (name Str, ok bool) {
	switch c := s.Peek(); {
	case c == '}':
		s.i++
		return Str{}, false
	case !first && c == ',':
		s.i++
	default:
		s.Require(first)
	}
	name = s.Text()
	s.Require(s.Peek() == ':')
	s.i++
	return name, !s.failed
}

// Element reads to an array's next element. It returns false behind the last one.
func (s *Scanner) Element(first bool) bool {
	switch c := s.Peek(); {
	case c == ']':
		s.i++
		return false
	case !first && c == ',':
		s.i++
		s.Require(s.Peek() != ']')
	default:
		s.Require(first)
	}
	return !s.failed
}

// Text reads a string.
func (s *Scanner) Text() (value Str) {
	if s.Peek() != '"' {
		s.Require(false)
		return Str{}
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
			s.Require(false)
			return Str{}
		}
		switch c := in[i]; {
		case c == '"':
			s.i = i + 1
			value.Raw = in[begin:i]
			return value
		case c == '\\':
			value.Escaped = true
			n := escape(in[i:])
			if n == 0 {
				s.Require(false)
				return Str{}
			}
			i += n
		case c < ' ':
			s.Require(false)
			return Str{}
		case c < utf8.RuneSelf:
			i++
		default:
			value.Foreign = true
			for i < len(in) && in[i] >= utf8.RuneSelf {
				i++
			}
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

// Count reads a whole number, of as many digits as a page can have items.
func (s *Scanner) Count() {
	s.Peek()
	begin := s.i
	for s.i < len(s.in) && s.in[s.i] >= '0' && s.in[s.i] <= '9' {
		s.i++
	}
	digits := s.i - begin
	s.Require(digits == 1 || digits > 1 && digits < 10 && s.in[begin] != '0')
}

// Skip passes over any value.
func (s *Scanner) Skip() { s.skip(1) }

func (s *Scanner) skip(depth int) {
	s.Require(depth <= MaxDepth)
	switch s.Peek() {
	case '"':
		s.Text()
	case '{':
		s.Bracket('{')
		for first := true; ; first = false {
			if _, ok := s.Member(first); !ok {
				return
			}
			s.skip(depth + 1)
		}
	case '[':
		s.Bracket('[')
		for first := true; s.Element(first); first = false {
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

func (s *Scanner) literal(word string) {
	end := s.i + len(word)
	s.Require(end <= len(s.in) && string(s.in[s.i:min(end, len(s.in))]) == word)
	s.i = max(s.i, min(end, len(s.in)))
}

// number reads a number: of DynamoDB's values none is one, they are strings.
func (s *Scanner) number() {
	if s.i < len(s.in) && s.in[s.i] == '-' {
		s.i++
	}
	zero := s.i < len(s.in) && s.in[s.i] == '0'
	s.Require(s.digits() == 1 || !zero)
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
func (s *Scanner) digits() int {
	begin := s.i
	for s.i < len(s.in) && s.in[s.i] >= '0' && s.in[s.i] <= '9' {
		s.i++
	}
	n := s.i - begin
	s.Require(n > 0)
	return n
}
