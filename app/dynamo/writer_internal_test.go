package dynamo

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// A writer writes JSON in the many ways in which the same can be written.
type writer struct {
	*rand.Rand
	bytes.Buffer
	plain bool // as short as it can be
}

func (w *writer) space() {
	for !w.plain && w.IntN(8) == 0 {
		w.WriteByte(" \t\r\n"[w.IntN(4)])
	}
}

func (w *writer) token(s string) {
	w.space()
	w.WriteString(s)
	w.space()
}

func (w *writer) text(s string) {
	w.space()
	w.WriteByte('"')
	for _, r := range s {
		switch short := strings.IndexRune("\"\\/\b\f\n\r\t", r); {
		case !w.plain && w.IntN(20) == 0 && r < 0x10000, r < ' ' && short < 0:
			_, _ = fmt.Fprintf(w, [...]string{`\u%04x`, `\u%04X`}[w.IntN(2)], r)
		case !w.plain && w.IntN(4) == 0 && r >= 0x10000:
			r -= 0x10000
			_, _ = fmt.Fprintf(w, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case short >= 0 && (r != '/' || w.IntN(2) == 0):
			w.WriteByte('\\')
			w.WriteByte(`"\/bfnrt`[short])
		default:
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
	w.space()
}

func (w *writer) object(members ...func()) {
	w.token("{")
	for i, member := range members {
		if i > 0 {
			w.token(",")
		}
		member()
	}
	w.token("}")
}

func (w *writer) array(n int, element func()) {
	w.token("[")
	for i := range n {
		if i > 0 {
			w.token(",")
		}
		element()
	}
	w.token("]")
}

func (w *writer) member(name string, value func()) func() {
	return func() {
		w.text(name)
		w.token(":")
		value()
	}
}

// someText is a text as users have it, and as nobody has it.
func (w *writer) someText() string {
	alphabets := []string{
		"abc xyz", "Zoë Grüße Ñandú", "日本語", "👩‍🚀🎉", "\"\\/\b\f\n\r\t", "\x00\x01\x1f\x7f", "{}[]:,",
		"\u2028\u2029\ufeff\ufffd",
	}
	var b strings.Builder
	for range w.IntN(1 + [...]int{0, 3, 20, 200}[w.IntN(4)]) {
		alphabet := []rune(alphabets[w.IntN(1+w.IntN(len(alphabets)))])
		b.WriteRune(alphabet[w.IntN(len(alphabet))])
	}
	return b.String()
}

// value is an attribute's value of any type that DynamoDB has.
// Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html.
func (w *writer) value(depth int) {
	text := func() { w.text(w.someText()) }
	number := func() {
		w.text([...]string{"0", "-1", "3.14159", "1E+2", "-9.9999999999999999999999999999999999999E+125"}[w.IntN(5)])
	}
	blob := func() { w.text([...]string{"", "AA==", "aGVsbG8gd29ybGQ="}[w.IntN(3)]) }
	literal := func(words ...string) func() { return func() { w.token(words[w.IntN(len(words))]) } }
	kinds := []func(){
		w.member("S", text),
		w.member("N", number),
		w.member("B", blob),
		w.member("BOOL", literal("true", "false")),
		w.member("NULL", literal("true")),
		w.member("SS", func() { w.array(1+w.IntN(3), text) }),
		w.member("NS", func() { w.array(1+w.IntN(3), number) }),
		w.member("BS", func() { w.array(1+w.IntN(3), blob) }),
	}
	if depth < 32 { // as deep as DynamoDB lets values be
		kinds = append(kinds,
			w.member("L", func() { w.array(w.IntN(3), func() { w.value(depth + 1) }) }),
			w.member("M", func() {
				var members []func()
				for i := range w.IntN(3) {
					members = append(members, w.member(fmt.Sprint(w.someText(), i), func() { w.value(depth + 1) }))
				}
				w.object(members...)
			}))
	}
	w.object(kinds[w.IntN(len(kinds))])
}

// item is an item of this service, of the earlier one, or written by hand.
func (w *writer) item() {
	var members []func()
	for _, attribute := range []string{
		"id", "name", "email", "avatar_id", "avatar_url", "idempotency_fingerprint", "extra", "Name", "", "id ",
	} {
		switch w.IntN(4) {
		case 0:
		case 1:
			members = append(members, w.member(attribute, func() { w.value(0) }))
		default:
			members = append(members, w.member(attribute, func() { w.object(w.member("S", func() { w.text(w.someText()) })) }))
		}
	}
	w.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	w.object(members...)
}

// page is a response to a Scan.
func (w *writer) page(items int) []byte {
	w.Reset()
	members := []func(){
		w.member("Count", func() { w.token(fmt.Sprint(items)) }),
		w.member("ScannedCount", func() { w.token(fmt.Sprint(items)) }),
		w.member("Items", func() { w.array(items, w.item) }),
	}
	if w.IntN(2) == 0 {
		members = append(members, w.member("LastEvaluatedKey", func() {
			w.object(w.member("id", func() { w.object(w.member("S", func() { w.text("k" + w.someText()) })) }))
		}))
	}
	if w.IntN(4) == 0 {
		members = append(members, w.member("SomethingNew", func() { w.value(30) }))
	}
	w.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	w.object(members...)
	return w.Bytes()
}
