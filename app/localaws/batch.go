package localaws

import (
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits of https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html
const (
	maxBatchGet    = 100
	maxBatchWrite  = 25
	maxTransaction = 100
)

// tokenLife is how long a client request token stands for the transaction it came with.
const tokenLife = 10 * time.Minute

type keysAndAttributes struct {
	placeholders
	legacy
	Keys                 []attributes
	ConsistentRead       bool
	ProjectionExpression *string
}

type batchGetItemInput struct {
	RequestItems           map[string]keysAndAttributes
	ReturnConsumedCapacity string
}

func (d *dynamo) batchGetItem(in *batchGetItemInput) ([]byte, error) {
	n := 0
	for _, table := range in.RequestItems {
		n += len(table.Keys)
	}
	switch {
	case n == 0:
		return nil, validation("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case n > maxBatchGet:
		return nil, validation("Too many items requested for the BatchGetItem call")
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	responses, unprocessed, capacity, size := answer{}, answer{}, []byte(nil), 0
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		request := in.RequestItems[name]
		seen := map[key]bool{}
		var items, left []byte
		units := 0.0
		for _, k := range request.Keys {
			r, p, err := d.get(&getItemInput{
				placeholders: request.placeholders, legacy: request.legacy, TableName: name, Key: k, ProjectionExpression: request.ProjectionExpression,
			})
			if err != nil {
				return nil, err
			}
			t, _ := d.table(name)
			id, _ := t.keyOnly(k)
			if seen[id] {
				return nil, validation("Provided list of item keys contains duplicates")
			}
			seen[id] = true
			if r == nil {
				units += readUnits(0, request.ConsistentRead)
				continue
			}
			if size+r.size > maxRequest {
				left = appendItem(separate(left), k)
				continue
			}
			size += r.size
			units += readUnits(r.size, request.ConsistentRead)
			if p == nil {
				items = append(separate(items), r.json...)
			} else {
				items = appendItem(separate(items), p.of(r.item()))
			}
		}
		responses.name(name)
		responses.b = append(append(append(responses.b, '['), items...), ']')
		if left != nil {
			unprocessed.name(name)
			unprocessed.b = append(append(append(unprocessed.b, `{"Keys":[`...), left...), `]}`...)
		}
		if one := appendCapacity(nil, in.ReturnConsumedCapacity, name, units); one != nil {
			capacity = append(separate(capacity), one...)
		}
	}
	var a answer
	a.name("Responses")
	a.b = append(a.b, responses.body()...)
	a.name("UnprocessedKeys")
	a.b = append(a.b, unprocessed.body()...)
	a.list("ConsumedCapacity", capacity)
	return a.body(), nil
}

func separate(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return append(b, ',')
}

// list adds an array of elements that are already separated, nothing for nil.
func (a *answer) list(name string, elements []byte) {
	if elements != nil {
		a.name(name)
		a.b = append(append(append(a.b, '['), elements...), ']')
	}
}

type writeRequest struct {
	PutRequest    *struct{ Item attributes }
	DeleteRequest *struct{ Key attributes }
}

type batchWriteItemInput struct {
	RequestItems           map[string][]writeRequest
	ReturnConsumedCapacity string
}

func (d *dynamo) batchWriteItem(in *batchWriteItemInput) ([]byte, error) {
	n := 0
	for _, requests := range in.RequestItems {
		n += len(requests)
	}
	switch {
	case n == 0:
		return nil, validation("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case n > maxBatchWrite:
		return nil, validation("Too many items requested for the BatchWriteItem call")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var writes []*write
	seen := map[*table]map[key]bool{}
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		for _, request := range in.RequestItems[name] {
			var w *write
			var err error
			switch {
			case request.PutRequest != nil && request.DeleteRequest == nil:
				w, err = d.newPut(putItemInput{writeInput: writeInput{TableName: name}, Item: request.PutRequest.Item})
			case request.DeleteRequest != nil && request.PutRequest == nil:
				w, err = d.newDelete(deleteItemInput{writeInput: writeInput{TableName: name}, Key: request.DeleteRequest.Key})
			default:
				err = validation("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
			}
			if err != nil {
				return nil, err
			}
			if seen[w.table] == nil {
				seen[w.table] = map[key]bool{}
			}
			if seen[w.table][w.key] {
				return nil, validation("Provided list of item keys contains duplicates")
			}
			seen[w.table][w.key] = true
			writes = append(writes, w)
		}
	}
	units := map[string]float64{}
	for _, w := range writes {
		old, updated, err := w.try()
		if err != nil {
			return nil, err
		}
		w.commit(updated)
		units[w.table.name] += writeUnits(old, updated)
	}
	var a answer
	a.name("UnprocessedItems")
	a.b = append(a.b, "{}"...)
	a.list("ConsumedCapacity", capacities(in.ReturnConsumedCapacity, units))
	return a.body(), nil
}

func capacities(asked string, units map[string]float64) []byte {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(units)) {
		if one := appendCapacity(nil, asked, name, units[name]); one != nil {
			b = append(separate(b), one...)
		}
	}
	return b
}

// transaction is what a client request token stands for.
type transaction struct {
	items [sha256.Size]byte
	at    time.Time
}

type transactWriteItem struct {
	ConditionCheck *deleteItemInput
	Put            *putItemInput
	Delete         *deleteItemInput
	Update         *updateItemInput
}

type transactWriteItemsInput struct {
	TransactItems          []transactWriteItem
	ClientRequestToken     string
	ReturnConsumedCapacity string
}

func (d *dynamo) transactWriteItems(in *transactWriteItemsInput) ([]byte, error) {
	if n := len(in.TransactItems); n < 1 || n > maxTransaction {
		return nil, validation("1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have length between 1 and 100")
	}
	content, err := body(in.TransactItems)
	if err != nil {
		return nil, err
	}
	this := transaction{items: sha256.Sum256(content), at: time.Now()}

	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.transactions, func(_ string, t transaction) bool { return this.at.Sub(t.at) > tokenLife })
	if before, ok := d.transactions[in.ClientRequestToken]; ok && in.ClientRequestToken != "" {
		if before.items != this.items {
			return nil, dynamoError("IdempotentParameterMismatchException", "Request parameters are different for the same client request token")
		}
		return []byte("{}"), nil
	}
	writes := make([]*write, len(in.TransactItems))
	seen := map[*table]map[key]bool{}
	for i, item := range in.TransactItems {
		w, err := d.transactWrite(item)
		if err != nil {
			return nil, err
		}
		if seen[w.table] == nil {
			seen[w.table] = map[key]bool{}
		}
		if seen[w.table][w.key] {
			return nil, validation("Transaction request cannot include multiple operations on one item")
		}
		seen[w.table][w.key] = true
		writes[i] = w
	}
	updated := make([]*record, len(writes))
	units := map[string]float64{}
	var reasons []byte
	var codes []string
	cancelled := false
	for i, w := range writes {
		var old *record
		var err error
		old, updated[i], err = w.try()
		var e *apiError
		switch {
		case err == nil:
			codes = append(codes, "None")
			reasons = append(separate(reasons), `{"Code":"None"}`...)
		case errors.As(err, &e) && strings.HasSuffix(e.code, "#ConditionalCheckFailedException"):
			cancelled = true
			codes = append(codes, "ConditionalCheckFailed")
			reasons = append(separate(reasons), `{"Code":"ConditionalCheckFailed","Message":"The conditional request failed"`...)
			reasons = append(append(reasons, e.extra...), '}')
		default:
			return nil, err
		}
		units[w.table.name] += 2 * writeUnits(old, updated[i])
	}
	if cancelled {
		e := dynamoError("TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(codes, ", "))
		e.extra = append(append([]byte(`,"CancellationReasons":[`), reasons...), ']')
		return nil, e
	}
	for i, w := range writes {
		w.commit(updated[i])
	}
	if in.ClientRequestToken != "" {
		d.transactions[in.ClientRequestToken] = this
	}
	var a answer
	a.list("ConsumedCapacity", capacities(in.ReturnConsumedCapacity, units))
	return a.body(), nil
}

func (d *dynamo) transactWrite(item transactWriteItem) (*write, error) {
	switch {
	case item.Put != nil:
		return d.newPut(*item.Put)
	case item.Delete != nil:
		return d.newDelete(*item.Delete)
	case item.Update != nil:
		return d.newUpdate(*item.Update)
	case item.ConditionCheck != nil:
		if item.ConditionCheck.ConditionExpression == nil {
			return nil, validation("The expression can not be empty; ConditionCheck needs a ConditionExpression")
		}
		w, err := d.newDelete(*item.ConditionCheck)
		if err == nil {
			w.change = func(old *record) (*record, error) { return old, nil }
		}
		return w, err
	}
	return nil, validation("TransactItems can only contain one of Check, Put, Update or Delete")
}

type transactGetItemsInput struct {
	TransactItems          []struct{ Get *getItemInput }
	ReturnConsumedCapacity string
}

func (d *dynamo) transactGetItems(in *transactGetItemsInput) ([]byte, error) {
	if n := len(in.TransactItems); n < 1 || n > maxTransaction {
		return nil, validation("1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have length between 1 and 100")
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	var responses []byte
	units := map[string]float64{}
	for _, item := range in.TransactItems {
		if item.Get == nil {
			return nil, validation("TransactItems can only contain Get")
		}
		r, p, err := d.get(item.Get)
		if err != nil {
			return nil, err
		}
		var one answer
		one.projected("Item", r, p)
		responses = append(separate(responses), one.body()...)
		size := 0
		if r != nil {
			size = r.size
		}
		units[item.Get.TableName] += 2 * readUnits(size, true)
	}
	var a answer
	a.list("Responses", responses)
	a.list("ConsumedCapacity", capacities(in.ReturnConsumedCapacity, units))
	return a.body(), nil
}
