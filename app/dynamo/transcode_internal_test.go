package dynamo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/user"
)

const testURL = "https://api.example.com/users"

// canned is an HTTP client whose every answer is the same.
type canned []byte

func (c canned) Do(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, ContentLength: int64(len(c)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:   io.NopCloser(bytes.NewReader(c)),
	}, nil
}

// theSDK returns the page that is made of a body by the SDK's own way of reading it, untouched by
// ours.
func theSDK(body []byte, begin string, limit int) (user.Page, error) {
	client := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", HTTPClient: canned(body), Credentials: aws.AnonymousCredentials{}, Retryer: aws.NopRetryer{},
	})
	out, err := client.Scan(context.Background(), &dynamodb.ScanInput{TableName: aws.String("users")})
	if err != nil {
		return user.Page{}, err
	}
	s := newScan(begin, limit)
	if !s.append(out) {
		return user.Page{}, errors.New("not a response to a Scan")
	}
	return s.page, nil
}

// transcoded returns the page that is made of the bytes.
func transcoded(body []byte, begin string, limit int) (user.Page, bool) {
	s := newScan(begin, limit)
	ok := s.transcode(body)
	return s.page, ok
}

// newScan returns a scan of at most limit users, 0: all, behind a user with the id "before".
func newScan(begin string, limit int) *scan {
	if limit == 0 {
		limit = math.MaxInt
	}
	return &scan{page: user.Page{JSON: []byte(begin)}, url: testURL, most: limit, last: "before"}
}

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

// item is an item of this service, of the earlier one, or of somebody's hand.
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

// page is a Scan's answer.
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

// Ensure whatever DynamoDB can return, in whichever way it is written, is read without the SDK and
// gives exactly what the SDK's own reading gives.
func TestTranscode(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		w := &writer{Rand: random, plain: random.IntN(2) == 0}
		body := w.page(random.IntN(6))
		require.True(t, json.Valid(body), "%s", body)
		begin, limit := [...]string{"", "[", `[{"id":"1"},`}[random.IntN(3)], random.IntN(7)
		got, ok := transcoded(body, begin, limit)
		require.True(t, ok, "not read: %s", body)
		want, err := theSDK(body, begin, limit)
		require.NoError(t, err, "%s", body)
		require.Equal(t, string(want.JSON), string(got.JSON), "of %s", body)
		want.JSON, got.JSON = nil, nil
		require.Equal(t, want, got, "of %s", body)
	}
}

// Ensure what is cut off, or not what DynamoDB writes of users, is left to the SDK, and that
// nothing of it stays. What is skipped is not looked at.
func TestTranscodeDeclines(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, ` `, `null`, `[]`, `"Items"`, `{`, `{"Items"`, `{"Items":`, `{"Items":[`, `{"Items":[{`, `{"Items":[{}`,
		`{"Items":[{}]`,
		`{"Items":[]}x`, `{"Items":[]}{}`, `{"Items":[],}`, `{,"Items":[]}`, `{"Items":[,]}`, `{"Items":[{},]}`,
		`{"Items":[{}{}]}`, `{"Items":[{},,{}]}`,
		`{"Items":null}`, `{"Items":{}}`, `{"Items":[null]}`, `{"Items":[[]]}`, `{"Items":[],"Items":[]}`, `{Items:[]}`,
		`{'Items':[]}`,
		`{"Items":[{"id":"1"}]}`, `{"Items":[{"id":null}]}`, `{"Items":[{"id":{"S":1}}]}`,
		`{"Items":[{"id":{"S":"1"},}]}`, `{"Items":[{"id" {"S":"1"}}]}`, `{"Items":[{"id":{"S" "1"}}]}`,
		`{"Items":[{"id":{"S":"1"}"name":{"S":"1"}}]}`,
		`{"Items":[{"id":{"S":"` + "\n" + `"}}]}`, `{"Items":[{"id":{"S":"` + "\x00" + `"}}]}`,
		`{"Items":[{"id":{"S":"\x"}}]}`, `{"Items":[{"id":{"S":"\u12"}}]}`, `{"Items":[{"id":{"S":"\u12G4"}}]}`,
		`{"Items":[{"id":{"S":"abc}}]}`, `{"Items":[{"id":{"S":"abc\`,
		`{"Items":[{"x":{"NULL":nul`,
		`{"Items":[{"x":{"L":[}}]}`,
		`{"Items":[{"x":` + strings.Repeat(`{"M":{"a":`, 1_000_000),
		`{"Count":"1"}`, `{"Count":1.5}`, `{"Count":-1}`, `{"Count":01}`, `{"Count":12345678901}`, `{"Count":null}`,
		`{"Count":}`,
		`{"LastEvaluatedKey":null}`, `{"LastEvaluatedKey":[]}`, `{"LastEvaluatedKey":{"id":"1"}}`,
		`{"LastEvaluatedKey":{},"LastEvaluatedKey":{}}`,
		`{"ConsumedCapacity":{"TableName":"users"}}`,
	} {
		s := newScan("[", 0)
		before := *s
		assert.False(t, s.transcode([]byte(body)), "%.100s", body)
		assert.Equal(t, before, *s, "%.100s", body)
	}
}

// Ensure a null, or a value of an unknown type, counts as no value. The SDK (seen in
// service/dynamodb v1.73.1) takes it for the value before it, which may be another attribute's, or
// another user's.
func TestTranscodeLeavesOut(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		`{"S":null}`, `{ "S" : null }`, `{"N":null}`, `{"NEW":"x"}`, `{"NEW":{"S":"x"}}`, `{}`,
	} {
		items := `{"id":{"S":"1"},"name":{"S":"Ada"},"email":` + value + `},{"id":{"S":"2"},"name":` + value + `}`
		page, ok := transcoded([]byte(`{"Items":[`+items+`]}`), "", 0)
		require.True(t, ok, value)
		want := `{"id":"1","name":"Ada","email":"","avatar_url":""},{"id":"2","name":"","email":"","avatar_url":""}`
		assert.Equal(t, want, string(page.JSON), value)
	}
}

// Ensure every cut of a good answer is seen.
func TestTranscodeCutShort(t *testing.T) {
	t.Parallel()
	body := []byte(`{"Count":1,"Items":[{"id":{"S":"a\u00e9"},"x":{"L":[{"N":"1"},{"NULL":true}]}}],` +
		`"LastEvaluatedKey":{"id":{"S":"a"}}}`)
	_, ok := transcoded(body, "", 0)
	require.True(t, ok)
	for n := range body {
		_, ok := transcoded(body[:n], "", 0)
		assert.False(t, ok, "%s", body[:n])
	}
}
