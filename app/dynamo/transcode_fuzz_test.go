package dynamo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
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

// canGive reports whether DynamoDB can give the answer.
func canGive(body []byte) bool {
	var answer map[string]json.RawMessage
	if !utf8.Valid(body) || json.Unmarshal(body, &answer) != nil || !distinct(json.NewDecoder(bytes.NewReader(body))) {
		return false
	}
	for name, value := range answer {
		switch name {
		case "Items":
			var items []map[string]json.RawMessage
			if json.Unmarshal(value, &items) != nil {
				return false
			}
			for _, item := range items {
				if item == nil || !areValues(item) {
					return false
				}
			}
		case "LastEvaluatedKey":
			var key map[string]json.RawMessage
			if json.Unmarshal(value, &key) != nil || key == nil || !areValues(key) {
				return false
			}
		case "Count", "ScannedCount":
			var n int32
			if json.Unmarshal(value, &n) != nil {
				return false
			}
		case "ConsumedCapacity":
			return false
		}
	}
	return true
}

// distinct reads a value and reports whether no object in it has two members of one name.
func distinct(d *json.Decoder) bool {
	token, err := d.Token()
	if err != nil {
		return false
	}
	names := map[any]bool{}
	switch token {
	case json.Delim('{'):
		for d.More() {
			name, err := d.Token()
			if err != nil || names[name] || !distinct(d) {
				return false
			}
			names[name] = true
		}
		_, err = d.Token()
	case json.Delim('['):
		for d.More() {
			if !distinct(d) {
				return false
			}
		}
		_, err = d.Token()
	}
	return err == nil
}

func areValues(values map[string]json.RawMessage) bool {
	for _, value := range values {
		if !isValue(value) {
			return false
		}
	}
	return true
}

// isValue reports whether JSON is the value of an attribute.
func isValue(data json.RawMessage) bool {
	var value map[string]json.RawMessage
	if json.Unmarshal(data, &value) != nil || len(value) != 1 {
		return false
	}
	for kind, data := range value {
		switch kind {
		case "S", "N":
			return is[string](data) != nil
		case "B":
			return isBlob(data)
		case "BOOL", "NULL":
			return is[bool](data) != nil
		case "SS", "NS", "BS":
			list := is[[]json.RawMessage](data)
			if list == nil || *list == nil {
				return false
			}
			for _, element := range *list {
				if is[string](element) == nil || kind == "BS" && !isBlob(element) {
					return false
				}
			}
			return true
		case "L":
			list := is[[]json.RawMessage](data)
			if list == nil || *list == nil {
				return false
			}
			for _, element := range *list {
				if !isValue(element) {
					return false
				}
			}
			return true
		case "M":
			members := is[map[string]json.RawMessage](data)
			return members != nil && *members != nil && areValues(*members)
		}
	}
	return false
}

// is returns what JSON is as a T, nil if it is null or something else.
func is[T any](data json.RawMessage) *T {
	var value *T
	if json.Unmarshal(data, &value) != nil {
		return nil
	}
	return value
}

func isBlob(data json.RawMessage) bool {
	text := is[string](data)
	if text == nil {
		return false
	}
	_, err := base64.StdEncoding.DecodeString(*text)
	return err == nil
}
