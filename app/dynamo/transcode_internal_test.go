package dynamo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// canned is an HTTP client that sends the same response to every request.
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

// Ensure every response that DynamoDB can send is transcoded, however it is written, and gives
// exactly the page that the SDK's decoding gives.
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

// Ensure a response that is cut off, or has a form that DynamoDB does not send, is left to the SDK,
// and leaves nothing on the page. Skipped values are not checked.
func TestTranscodeDeclines(t *testing.T) {
	t.Parallel()
	const whole = `{"Count":1,"Items":[{"id":{"S":"a\u00e9"},"x":{"L":[{"N":"1"},{"NULL":true}]}}],` +
		`"LastEvaluatedKey":{"id":{"S":"a"}}}`
	_, ok := transcoded([]byte(whole), "", 0)
	require.True(t, ok)
	bodies := []string{
		` `, `null`, `[]`, `"Items"`,
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
	}
	for n := range whole {
		bodies = append(bodies, whole[:n])
	}
	for _, body := range bodies {
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
