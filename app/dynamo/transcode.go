package dynamo

import (
	"slices"

	"prima.internal/app/config"
	"prima.internal/app/jsonscan"
	"prima.internal/app/user"
)

// transcode makes the page of the body of a Scan's answer, in one pass and without a copy of what it reads. It reports
// false, having made nothing, where the body is not what it knows: JSON that is wrong, or that DynamoDB does not
// write. Then the SDK has the last word.
//
// What it writes is, byte for byte, what [listing.typed] writes.
func (l *listing) transcode(body []byte) bool {
	// Room for all of it at once: our JSON is about as long as DynamoDB's.
	t := transcoder{Scanner: jsonscan.New(body), listing: l, page: user.Page{JSON: slices.Grow(l.begin, len(body)+len(body)/8)}}
	// The start of every avatar's URL: a JSON string that is still open.
	t.prefix = user.AppendString(t.array[:0], l.url)
	t.prefix[len(t.prefix)-1] = '/'
	t.answer()
	if t.Failed() {
		return false
	}
	l.page = t.page
	return true
}

type transcoder struct {
	jsonscan.Scanner
	*listing
	page   user.Page
	last   jsonscan.Str // id of the last user who was written
	prefix []byte
	array  [256]byte // of prefix, unless that is longer
}

// The attributes of a user, as places in an item.
const (
	idField = iota
	nameField
	emailField
	avatarField
	foreignField
	fields
)

// An item is what a user is made of. Attributes that are not there, or are no strings, are zero.
type item [fields]jsonscan.Str

// answer reads the body.
func (t *transcoder) answer() {
	var items, key bool // have been there: a second of the same name is not for us to judge
	var next jsonscan.Str
	t.Bracket('{')
	for first := true; ; first = false {
		name, ok := t.Member(first)
		if !ok {
			break
		}
		switch name.String() {
		case "Items":
			t.Require(!items)
			items = true
			t.items()
		case "LastEvaluatedKey":
			t.Require(!key)
			key = true
			next = t.key()
		case "Count", "ScannedCount":
			t.Count()
		case "ConsumedCapacity":
			t.Require(false) // is not asked for
		default:
			t.Skip()
		}
	}
	t.End()
	if t.page.More {
		next = t.last
	}
	t.page.Next = next.String()
}

// key returns the id in a key.
func (t *transcoder) key() (id jsonscan.Str) {
	t.Bracket('{')
	for first := true; ; first = false {
		name, ok := t.Member(first)
		if !ok {
			return id
		}
		value := t.attribute()
		if name.Is(config.KeyAttribute) {
			id = value
		}
	}
}

// items reads the array of items and writes the users.
func (t *transcoder) items() {
	t.Bracket('[')
	for first := true; t.Element(first); first = false {
		var it item
		t.Bracket('{')
		for first := true; ; first = false {
			name, ok := t.Member(first)
			if !ok {
				break
			}
			value := t.attribute()
			if field := fieldOf(name); field >= 0 {
				it[field] = value
			}
		}
		if t.limit > 0 && t.page.Users == t.limit {
			t.page.More = true
			continue
		}
		t.user(&it)
	}
}

// fieldOf returns the place of an attribute, -1 if it has none.
func fieldOf(name jsonscan.Str) int {
	switch {
	case name.Is(config.KeyAttribute):
		return idField
	case name.Is(nameAttribute):
		return nameField
	case name.Is(emailAttribute):
		return emailField
	case name.Is(avatarAttribute):
		return avatarField
	case name.Is(foreignAttribute):
		return foreignField
	}
	return -1
}

// attribute reads a value such as {"S":"text"}. What is not a string is zero.
func (t *transcoder) attribute() (value jsonscan.Str) {
	if t.Take(`{"S":`) { // as nearly all are
		value = t.string()
		t.Bracket('}')
		return value
	}
	t.Bracket('{')
	for first := true; ; first = false {
		kind, ok := t.Member(first)
		if !ok {
			return value
		}
		t.Require(first) // a value has one type
		if kind.Is("S") {
			value = t.string()
		} else {
			t.Skip()
		}
	}
}

// string reads a string, or null, which is none.
func (t *transcoder) string() (value jsonscan.Str) {
	if t.Peek() == 'n' {
		t.Skip()
		return value
	}
	return t.Text()
}

// user writes a user.
func (t *transcoder) user(it *item) {
	dst := t.page.JSON
	if t.page.Users > 0 {
		dst = append(dst, ',')
	}
	t.page.Users++
	t.last = it[idField]
	dst = append(dst, `{"id":"`...)
	dst = appendText(dst, it[idField])
	dst = append(dst, `","name":"`...)
	dst = appendText(dst, it[nameField])
	dst = append(dst, `","email":"`...)
	dst = appendText(dst, it[emailField])
	dst = append(dst, `","avatar_url":`...)
	if avatar := it[avatarField]; len(avatar.Raw) > 0 {
		dst = append(dst, t.prefix...)
		dst = appendText(dst, it[idField])
		dst = append(dst, `/avatar?v=`...)
		dst = appendText(dst, avatar)
	} else {
		dst = append(dst, '"')
		dst = appendText(dst, it[foreignField])
	}
	dst = append(dst, `"}`...)
	t.page.JSON = dst
}
