package dynamo

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzTranscode compares both ways of reading a response. Whatever the bytes are, the transcoder
// accepts only JSON and writes only JSON. For a response that DynamoDB can send, it writes what the
// SDK's reading gives.
//
// For others the two may differ: the SDK (seen in service/dynamodb v1.73.1) takes a null, or a
// value of an unknown type, for the value before it.
func FuzzTranscode(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2)) // the same corpus each time
	for range 50 {
		w := &writer{Rand: random}
		f.Add(w.page(random.IntN(4)), random.IntN(5))
	}
	for _, body := range []string{
		`{}`, `{"Items":[]}`, `{"Items":[{}]}`, `{"Items":[{"id":{"S":"a"},"id":{"S":"b"}}]}`,
		`{"Items":[{"id":{"S":"\ud83d"}}]}`, `{"Items":[{"id":{"S":"\udc69\ud83d"}}]}`,
		"{\"Items\":[{\"id\":{\"S\":\"\xff\xc0\xaf\xed\xa0\x80\"},\"avatar_id\":{\"S\":\"\xe2\x82\"}}]}",
		"{\"Items\":[{\"id\":{\"S\":\"\\n\xff\"}}]}",
	} {
		f.Add([]byte(body), 0)
	}
	f.Fuzz(func(t *testing.T, body []byte, limit int) {
		limit = max(limit%8, 0)
		got, ok := transcoded(body, "[", limit)
		valid := canGive(body)
		if !ok {
			return
		}

		require.True(t, json.Valid(append(got.JSON, ']')), "written: %q", got.JSON)
		if !valid {
			return
		}
		want, err := theSDK(body, "[", limit)
		require.NoError(t, err)
		require.Equal(t, string(want.JSON), string(got.JSON))
		want.JSON, got.JSON = nil, nil
		assert.Equal(t, want, got)
	})
}

// canGive reports whether DynamoDB can give the response: written again as what it means, it has
// the same members.
func canGive(body []byte) bool {
	var meant struct {
		Items            *[]map[string]value `json:",omitempty"`
		LastEvaluatedKey *map[string]value   `json:",omitempty"`
		Count            *int32              `json:",omitempty"`
		ScannedCount     *int32              `json:",omitempty"`
	}
	if !utf8.Valid(body) || json.Unmarshal(body, &meant) != nil {
		return false
	}
	written, err := json.Marshal(meant)
	var want, got any
	return err == nil && json.Unmarshal(body, &want) == nil && json.Unmarshal(written, &got) == nil &&
		reflect.DeepEqual(want, got) && tokens(body) == tokens(written) // otherwise a name comes twice
}

// A value is that of an attribute, of exactly one type.
type value struct {
	S    *string           `json:",omitempty"`
	N    *string           `json:",omitempty"`
	B    *[]byte           `json:",omitempty"`
	BOOL *bool             `json:",omitempty"`
	NULL *bool             `json:",omitempty"`
	SS   *[]string         `json:",omitempty"`
	NS   *[]string         `json:",omitempty"`
	BS   *[][]byte         `json:",omitempty"`
	L    *[]value          `json:",omitempty"`
	M    *map[string]value `json:",omitempty"`
}

func (v *value) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || len(members) != 1 {
		return errors.New("not a value of one type")
	}
	type plain value
	return json.Unmarshal(data, (*plain)(v))
}

// tokens returns how many tokens a JSON text has.
func tokens(text []byte) (n int) {
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return n
		}
		n++
	}
}
