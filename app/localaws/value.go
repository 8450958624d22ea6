package localaws

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/truora/minidyn/types"
)

// attributes are those of an item, by name.
type attributes = map[string]*types.Item

// maxDepth is DynamoDB's limit of nested lists and maps.
const maxDepth = 32

// checkValues makes sure that each value has one type and is what DynamoDB would store, and brings
// its numbers into their canonical form.
func checkValues(values attributes) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := checkValue(values[name], 1); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(v *types.Item, depth int) error {
	switch n := countTypes(v); {
	case n == 0:
		return validation("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	case n > 1:
		return validation("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	case depth > maxDepth:
		return validation("Nesting Levels have exceeded supported limits")
	}
	switch {
	case v.NULL != nil && !*v.NULL:
		return validation("One or more parameter values were invalid: Null attribute value types must have the value of true")
	case v.SS != nil && len(v.SS) == 0:
		return validation("One or more parameter values were invalid: An string set  may not be empty")
	case v.NS != nil && len(v.NS) == 0:
		return validation("One or more parameter values were invalid: An number set  may not be empty")
	case v.BS != nil && len(v.BS) == 0:
		return validation("One or more parameter values were invalid: Binary sets should not be empty")
	case v.N != nil:
		d, err := parseDecimal(*v.N)
		if err != nil {
			return err
		}
		*v.N = d.String()
	}
	for _, n := range v.NS {
		if n == nil {
			return validation("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
		}
		d, err := parseDecimal(*n)
		if err != nil {
			return err
		}
		*n = d.String()
	}
	if err := types.ValidateItemAttributeValue(v); err != nil {
		return validation(err.Error())
	}
	for _, e := range v.L {
		if err := checkValue(e, depth+1); err != nil {
			return err
		}
	}
	for _, e := range v.M {
		if err := checkValue(e, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func countTypes(v *types.Item) int {
	if v == nil {
		return 0
	}
	n := 0
	for _, set := range []bool{
		v.B != nil, v.BOOL != nil, v.BS != nil, v.L != nil, v.M != nil,
		v.N != nil, v.NS != nil, v.NULL != nil, v.S != nil, v.SS != nil,
	} {
		if set {
			n++
		}
	}
	return n
}

// typeOf returns the type of a value as the wire names it.
func typeOf(v *types.Item) string {
	switch {
	case v == nil:
		return ""
	case v.S != nil:
		return "S"
	case v.N != nil:
		return "N"
	case v.B != nil:
		return "B"
	case v.BOOL != nil:
		return "BOOL"
	case v.NULL != nil:
		return "NULL"
	case v.L != nil:
		return "L"
	case v.M != nil:
		return "M"
	case v.SS != nil:
		return "SS"
	case v.NS != nil:
		return "NS"
	default:
		return "BS"
	}
}

// itemSize returns the bytes that DynamoDB counts for an item: the UTF-8 length of each name and
// the size of its value.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func itemSize(item attributes) int {
	size := 0
	for name, v := range item {
		size += len(name) + valueSize(v)
	}
	return size
}

func valueSize(v *types.Item) int {
	size := 0
	switch typeOf(v) {
	case "S":
		return len(*v.S)
	case "N":
		return numberSize(*v.N)
	case "B":
		return len(v.B)
	case "BOOL", "NULL":
		return 1
	case "SS":
		for _, s := range v.SS {
			size += len(*s)
		}
	case "NS":
		for _, n := range v.NS {
			size += numberSize(*n)
		}
	case "BS":
		for _, b := range v.BS {
			size += len(b)
		}
	case "L":
		size = 3
		for _, e := range v.L {
			size += 1 + valueSize(e)
		}
	case "M":
		size = 3
		for name, e := range v.M {
			size += 1 + len(name) + valueSize(e)
		}
	}
	return size
}

// numberSize is a byte for two significant digits and one more, one more again for a sign.
func numberSize(n string) int {
	d, err := parseDecimal(n)
	if err != nil {
		return len(n)
	}
	size := (len(d.digits)+1)/2 + 1
	if d.negative {
		size++
	}
	return size
}

// appendItem appends the wire form of an item, names in order.
//
// encoding/json on minidyn's own types drops empty lists, maps and binaries.
func appendItem(b []byte, item attributes) []byte {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(item)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, name)
		b = append(b, ':')
		b = appendValue(b, item[name])
	}
	return append(b, '}')
}

func appendValue(b []byte, v *types.Item) []byte {
	name := typeOf(v)
	b = append(b, `{"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	switch name {
	case "S":
		b = appendString(b, *v.S)
	case "N":
		b = appendString(b, *v.N)
	case "B":
		b = appendBinary(b, v.B)
	case "BOOL":
		b = strconv.AppendBool(b, *v.BOOL)
	case "NULL":
		b = strconv.AppendBool(b, *v.NULL)
	case "SS":
		b = appendList(b, v.SS, func(b []byte, s *string) []byte { return appendString(b, *s) })
	case "NS":
		b = appendList(b, v.NS, func(b []byte, s *string) []byte { return appendString(b, *s) })
	case "BS":
		b = appendList(b, v.BS, appendBinary)
	case "L":
		b = appendList(b, v.L, appendValue)
	case "M":
		b = appendItem(b, v.M)
	}
	return append(b, '}')
}

func appendList[T any](b []byte, list []T, one func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, e := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, e)
	}
	return append(b, ']')
}

func appendBinary(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}

// appendString appends s as a JSON string without the escapes that encoding/json makes for HTML,
// which DynamoDB does not make either.
func appendString(b []byte, s string) []byte {
	plain := utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == '"' || r == '\\'
	})
	if plain {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	quoted, _ := json.Marshal(s)
	return append(b, quoted...)
}
