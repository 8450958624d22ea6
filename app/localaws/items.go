package localaws

import (
	"strconv"

	"github.com/truora/minidyn/types"
)

// Limits of https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html, in bytes.
const (
	maxItem         = 400 << 10
	maxPartitionKey = 2048
	maxSortKey      = 1024
)

// placeholders are the parameters that requests with expressions share.
type placeholders struct {
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues attributes
}

func (p placeholders) expressions() expressions {
	return expressions{names: p.ExpressionAttributeNames, values: p.ExpressionAttributeValues}
}

// legacy are the parameters that expressions have replaced.
type legacy struct {
	AttributeUpdates, Expected, KeyConditions, QueryFilter, ScanFilter map[string]any
	AttributesToGet                                                    []string
	ConditionalOperator                                                string
}

func (l legacy) refuse() error {
	if len(l.AttributeUpdates)+len(l.Expected)+len(l.KeyConditions)+len(l.QueryFilter)+len(l.ScanFilter)+
		len(l.AttributesToGet)+len(l.ConditionalOperator) > 0 {
		return validation("the embedded DynamoDB takes expressions, not the legacy conditional parameters")
	}
	return nil
}

type writeInput struct {
	placeholders
	legacy
	TableName                           string
	ConditionExpression                 *string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
	ReturnConsumedCapacity              string
}

type putItemInput struct {
	writeInput
	Item attributes
}

type deleteItemInput struct {
	writeInput
	Key attributes
}

type updateItemInput struct {
	writeInput
	Key              attributes
	UpdateExpression *string
}

// write is one item's write, alone or in a transaction. The caller holds the lock from its making
// to its end.
type write struct {
	table     *table
	key       key
	condition *condition
	answerOld bool                           // with the error of a failed condition
	change    func(*record) (*record, error) // from the old to the new one, nil for none
	targets   map[string]bool                // attributes that an update names
}

// try returns the record that is there and the one that is to be there.
func (w *write) try() (old, updated *record, err error) {
	old = w.table.store.get(w.key)
	if w.condition != nil {
		ok, err := w.condition.match(old.item())
		if err != nil {
			return old, nil, err
		}
		if !ok {
			e := dynamoError("ConditionalCheckFailedException", "The conditional request failed")
			if w.answerOld && old != nil {
				e.extra = append([]byte(`,"Item":`), old.json...)
			}
			return old, nil, e
		}
	}
	updated, err = w.change(old)
	return old, updated, err
}

func (w *write) commit(updated *record) {
	if updated == nil {
		w.table.store.delete(w.key)
		return
	}
	w.table.store.put(updated)
}

// newWrite makes a write of the expressions that all kinds share; change is left to the caller.
func (d *dynamo) newWrite(in writeInput, more ...named) (*write, error) {
	if err := in.refuse(); err != nil {
		return nil, err
	}
	t, err := d.table(in.TableName)
	if err != nil {
		return nil, err
	}
	e, c := in.expressions(), named{"ConditionExpression", in.ConditionExpression}
	if err := e.check(append(more, c)...); err != nil {
		return nil, err
	}
	w := &write{table: t}
	if w.condition, err = e.parse(c); err != nil {
		return nil, err
	}
	switch in.ReturnValuesOnConditionCheckFailure {
	case "ALL_OLD":
		w.answerOld = true
	case "", "NONE":
	default:
		return nil, enumError("returnValuesOnConditionCheckFailure", in.ReturnValuesOnConditionCheckFailure, "[ALL_OLD, NONE]")
	}
	return w, nil
}

func enumError(parameter, value, allowed string) error {
	return validation("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: %s", value, parameter, allowed)
}

func (d *dynamo) newPut(in putItemInput) (*write, error) {
	w, err := d.newWrite(in.writeInput)
	if err != nil {
		return nil, err
	}
	if err := checkValues(in.Item); err != nil {
		return nil, err
	}
	if w.key, err = w.table.keyOf(in.Item); err != nil {
		return nil, err
	}
	if itemSize(in.Item) > maxItem {
		return nil, validation("Item size has exceeded the maximum allowed size")
	}
	r := newRecord(w.key, in.Item)
	w.change = func(*record) (*record, error) { return r, nil }
	return w, nil
}

func (d *dynamo) newDelete(in deleteItemInput) (*write, error) {
	w, err := d.newWrite(in.writeInput)
	if err != nil {
		return nil, err
	}
	if w.key, err = w.table.keyOnly(in.Key); err != nil {
		return nil, err
	}
	w.change = func(*record) (*record, error) { return nil, nil }
	return w, nil
}

func (d *dynamo) newUpdate(in updateItemInput) (*write, error) {
	w, err := d.newWrite(in.writeInput, named{"UpdateExpression", in.UpdateExpression})
	if err != nil {
		return nil, err
	}
	if w.key, err = w.table.keyOnly(in.Key); err != nil {
		return nil, err
	}
	w.change = func(old *record) (*record, error) {
		item := old.item()
		if old == nil {
			item = in.Key
		}
		if in.UpdateExpression != nil {
			var err error
			if w.targets, err = in.expressions().update(*in.UpdateExpression, w.table.keys, item); err != nil {
				return nil, err
			}
			if err := checkValues(item); err != nil {
				return nil, err
			}
		}
		if itemSize(item) > maxItem {
			return nil, validation("Item size to update has exceeded the maximum allowed size")
		}
		return newRecord(w.key, item), nil
	}
	return w, nil
}

// keyOf returns the key of an item, of which it makes sure.
func (t *table) keyOf(item attributes) (key, error) {
	return t.key(item, func(k keyAttribute, v *types.Item) error {
		if v == nil {
			return validation("One or more parameter values were invalid: Missing the key %s in the item", k.name)
		}
		return validation("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", k.name, k.kind, typeOf(v))
	})
}

// keyOnly returns the key of a Key parameter, which may hold nothing else.
func (t *table) keyOnly(values attributes) (key, error) {
	mismatch := validation("The provided key element does not match the schema")
	if err := checkValues(values); err != nil {
		return key{}, err
	}
	if len(values) != len(t.keys) {
		return key{}, mismatch
	}
	return t.key(values, func(keyAttribute, *types.Item) error { return mismatch })
}

func (t *table) key(values attributes, wrong func(keyAttribute, *types.Item) error) (key, error) {
	var parts [2]string
	for i, k := range t.keys {
		v := values[k.name]
		if v == nil || typeOf(v) != k.kind {
			return key{}, wrong(k, v)
		}
		switch size := valueSize(v); {
		case size == 0:
			return key{}, validation("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", map[string]string{"S": "string", "B": "binary"}[k.kind], k.name)
		case i == 0 && size > maxPartitionKey:
			return key{}, validation("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes")
		case i == 1 && size > maxSortKey:
			return key{}, validation("One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
		}
		parts[i] = k.sortable(v)
	}
	return newKey(parts[0], parts[1]), nil
}

func (d *dynamo) putItem(in *putItemInput) ([]byte, error) {
	return d.write(in.writeInput, "[ALL_OLD, NONE]", func() (*write, error) { return d.newPut(*in) })
}

func (d *dynamo) deleteItem(in *deleteItemInput) ([]byte, error) {
	return d.write(in.writeInput, "[ALL_OLD, NONE]", func() (*write, error) { return d.newDelete(*in) })
}

func (d *dynamo) updateItem(in *updateItemInput) ([]byte, error) {
	return d.write(in.writeInput, "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]", func() (*write, error) { return d.newUpdate(*in) })
}

func (d *dynamo) write(in writeInput, returnable string, prepare func() (*write, error)) ([]byte, error) {
	switch in.ReturnValues {
	case "", "NONE", "ALL_OLD":
	case "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW":
		if returnable == "[ALL_OLD, NONE]" {
			return nil, validation("ReturnValues can only be ALL_OLD or NONE")
		}
	default:
		return nil, enumError("returnValues", in.ReturnValues, returnable)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w, err := prepare()
	if err != nil {
		return nil, err
	}
	old, updated, err := w.try()
	if err != nil {
		return nil, err
	}
	w.commit(updated)

	var a answer
	switch in.ReturnValues {
	case "ALL_OLD":
		a.item("Attributes", old)
	case "ALL_NEW":
		a.item("Attributes", updated)
	case "UPDATED_OLD":
		a.attributes("Attributes", w.changed(old))
	case "UPDATED_NEW":
		a.attributes("Attributes", w.changed(updated))
	}
	a.capacity(in.ReturnConsumedCapacity, w.table.name, writeUnits(old, updated))
	return a.body(), nil
}

// changed returns those attributes of r that the update names: whole ones, where DynamoDB answers
// only the named part of a list or map.
func (w *write) changed(r *record) attributes {
	item := r.item()
	for name := range item {
		if !w.targets[name] {
			delete(item, name)
		}
	}
	return item
}

type getItemInput struct {
	placeholders
	legacy
	TableName              string
	Key                    attributes
	ConsistentRead         bool
	ProjectionExpression   *string
	ReturnConsumedCapacity string
}

func (d *dynamo) getItem(in *getItemInput) ([]byte, error) {
	d.mu.RLock()
	r, p, err := d.get(in)
	d.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	var a answer
	a.projected("Item", r, p)
	size := 0
	if r != nil {
		size = r.size
	}
	a.capacity(in.ReturnConsumedCapacity, in.TableName, readUnits(size, in.ConsistentRead))
	return a.body(), nil
}

// get returns the record of a key, nil if there is none. The caller holds the lock.
func (d *dynamo) get(in *getItemInput) (*record, projection, error) {
	if err := in.refuse(); err != nil {
		return nil, nil, err
	}
	t, err := d.table(in.TableName)
	if err != nil {
		return nil, nil, err
	}
	e := in.expressions()
	if err := e.check(named{"ProjectionExpression", in.ProjectionExpression}); err != nil {
		return nil, nil, err
	}
	p, err := e.parseProjection(in.ProjectionExpression)
	if err != nil {
		return nil, nil, err
	}
	k, err := t.keyOnly(in.Key)
	if err != nil {
		return nil, nil, err
	}
	return t.store.get(k), p, nil
}

// readUnits is half a unit for each 4 KB begun, a whole one for a consistent read.
func readUnits(size int, consistent bool) float64 {
	blocks := max(1, (size+4095)/4096)
	if consistent {
		return float64(blocks)
	}
	return float64(blocks) / 2
}

// writeUnits is a unit for each 1 KB begun of the larger of both.
func writeUnits(old, updated *record) float64 {
	size := 1
	for _, r := range []*record{old, updated} {
		if r != nil {
			size = max(size, r.size)
		}
	}
	return float64((size + 1023) / 1024)
}

// answer builds the body of an answer with items, which are copied as they are stored.
type answer struct{ b []byte }

func (a *answer) name(name string) {
	if len(a.b) == 0 {
		a.b = append(a.b, '{')
	} else {
		a.b = append(a.b, ',')
	}
	a.b = appendString(a.b, name)
	a.b = append(a.b, ':')
}

// item adds a record, nothing for none.
func (a *answer) item(name string, r *record) {
	if r != nil {
		a.name(name)
		a.b = append(a.b, r.json...)
	}
}

// attributes adds an item, nothing for an empty one.
func (a *answer) attributes(name string, item attributes) {
	if len(item) > 0 {
		a.name(name)
		a.b = appendItem(a.b, item)
	}
}

func (a *answer) projected(name string, r *record, p projection) {
	if r == nil || p == nil {
		a.item(name, r)
		return
	}
	a.name(name)
	a.b = appendItem(a.b, p.of(r.item()))
}

func (a *answer) number(name string, n int) {
	a.name(name)
	a.b = strconv.AppendInt(a.b, int64(n), 10)
}

// capacity adds the ConsumedCapacity of one table when it is asked for.
func (a *answer) capacity(asked, table string, units float64) {
	if b := appendCapacity(nil, asked, table, units); b != nil {
		a.name("ConsumedCapacity")
		a.b = append(a.b, b...)
	}
}

func appendCapacity(b []byte, asked, table string, units float64) []byte {
	if asked != "TOTAL" && asked != "INDEXES" {
		return nil
	}
	b = appendString(append(b, `{"TableName":`...), table)
	b = strconv.AppendFloat(append(b, `,"CapacityUnits":`...), units, 'f', 1, 64)
	if asked == "INDEXES" {
		b = strconv.AppendFloat(append(b, `,"Table":{"CapacityUnits":`...), units, 'f', 1, 64)
		b = append(b, '}')
	}
	return append(b, '}')
}

func (a *answer) body() []byte {
	if len(a.b) == 0 {
		return []byte("{}")
	}
	return append(a.b, '}')
}
