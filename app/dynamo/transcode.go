package dynamo

import (
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// transcode makes the page of the body of a Scan's answer, in one pass and without a copy of what it reads. It reports
// false, having made nothing, where the body is not what it knows: JSON that is wrong, or that DynamoDB does not
// write. Then the SDK has the last word.
//
// What it writes is, byte for byte, what [listing.typed] writes.
func (l *listing) transcode(body []byte) bool {
	t := transcoder{scanner: scanner{in: body}, listing: l, page: user.Page{JSON: l.begin}}
	// The start of every avatar's URL: a JSON string that is still open.
	t.prefix = user.AppendString(t.array[:0], l.url)
	t.prefix[len(t.prefix)-1] = '/'
	t.answer()
	if t.failed {
		return false
	}
	l.page = t.page
	return true
}

type transcoder struct {
	scanner
	*listing
	page   user.Page
	last   str // id of the last user who was written
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
type item [fields]str

// answer reads the body.
func (t *transcoder) answer() {
	var items, key bool // have been there: a second of the same name is not for us to judge
	var next str
	t.open('{')
	for first := true; ; first = false {
		name, ok := t.member(first)
		if !ok {
			break
		}
		switch name.String() {
		case "Items":
			t.require(!items)
			items = true
			t.items()
		case "LastEvaluatedKey":
			t.require(!key)
			key = true
			next = t.key()
		case "Count", "ScannedCount":
			t.count()
		case "ConsumedCapacity":
			t.require(false) // is not asked for
		default:
			t.skip(0)
		}
	}
	t.end()
	if t.page.More {
		next = t.last
	}
	t.page.Next = next.String()
}

// key returns the id in a key.
func (t *transcoder) key() (id str) {
	t.open('{')
	for first := true; ; first = false {
		name, ok := t.member(first)
		if !ok {
			return id
		}
		value := t.attribute()
		if name.is(config.KeyAttribute) {
			id = value
		}
	}
}

// items reads the array of items and writes the users.
func (t *transcoder) items() {
	t.open('[')
	for first := true; t.element(first); first = false {
		var it item
		t.open('{')
		for first := true; ; first = false {
			name, ok := t.member(first)
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
func fieldOf(name str) int {
	switch {
	case name.is(config.KeyAttribute):
		return idField
	case name.is(nameAttribute):
		return nameField
	case name.is(emailAttribute):
		return emailField
	case name.is(avatarAttribute):
		return avatarField
	case name.is(foreignAttribute):
		return foreignField
	}
	return -1
}

// attribute reads a value such as {"S":"text"}. What is not a string is zero.
func (t *transcoder) attribute() (value str) {
	const usual = `{"S":"`
	if len(t.in)-t.i > len(usual) && string(t.in[t.i:t.i+len(usual)]) == usual {
		t.i += len(usual) - 1
		value = t.text()
		t.require(t.peek() == '}')
		t.i++
		return value
	}
	t.open('{')
	for first := true; ; first = false {
		kind, ok := t.member(first)
		if !ok {
			return value
		}
		t.require(first) // a value has one type
		if kind.is("S") {
			value = t.text()
		} else {
			t.skip(0)
		}
	}
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
	dst = it[idField].append(dst)
	dst = append(dst, `","name":"`...)
	dst = it[nameField].append(dst)
	dst = append(dst, `","email":"`...)
	dst = it[emailField].append(dst)
	dst = append(dst, `","avatar_url":`...)
	if avatar := it[avatarField]; len(avatar.raw) > 0 {
		dst = append(dst, t.prefix...)
		dst = it[idField].append(dst)
		dst = append(dst, `/avatar?v=`...)
		dst = avatar.append(dst)
	} else {
		dst = append(dst, '"')
		dst = it[foreignField].append(dst)
	}
	dst = append(dst, `"}`...)
	t.page.JSON = dst
}
