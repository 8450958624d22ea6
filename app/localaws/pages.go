package localaws

import (
	"errors"
	"iter"
	"math"
	"slices"

	"github.com/truora/minidyn/types"
)

// maxPage is how much item data a page of Scan or Query holds at most, in bytes, before filters and
// projections.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.Pagination
const maxPage = 1 << 20

type pageInput struct {
	placeholders
	legacy
	TableName              string
	IndexName              *string
	ConsistentRead         bool
	ExclusiveStartKey      attributes
	FilterExpression       *string
	Limit                  *int
	ProjectionExpression   *string
	ReturnConsumedCapacity string
	Select                 string
}

type scanInput struct {
	pageInput
	Segment, TotalSegments *int
}

type queryInput struct {
	pageInput
	KeyConditionExpression *string
	ScanIndexForward       *bool
}

// page is a page of items that have been read, and how to answer it.
type page struct {
	in         *pageInput
	keys       []keyAttribute
	filter     *condition
	projection projection
	records    []*record
	size       int
	more       bool
}

// newPage checks a request and returns an empty page of it, and the key after which it starts.
// The caller holds the lock.
func (d *dynamo) newPage(in *pageInput, more ...named) (*page, *table, *key, error) {
	if err := in.refuse(); err != nil {
		return nil, nil, nil, err
	}
	if in.Limit != nil && *in.Limit < 1 {
		return nil, nil, nil, validation("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", *in.Limit)
	}
	t, err := d.table(in.TableName)
	if err != nil {
		return nil, nil, nil, err
	}
	if in.IndexName != nil {
		return nil, nil, nil, validation("The table does not have the specified index: %s", *in.IndexName)
	}
	e := in.expressions()
	filter := named{"FilterExpression", in.FilterExpression}
	if err := e.check(append(more, filter, named{"ProjectionExpression", in.ProjectionExpression})...); err != nil {
		return nil, nil, nil, err
	}
	p := &page{in: in, keys: t.keys}
	if p.filter, err = e.parse(filter); err != nil {
		return nil, nil, nil, err
	}
	if p.projection, err = e.parseProjection(in.ProjectionExpression); err != nil {
		return nil, nil, nil, err
	}
	switch in.Select {
	case "", "ALL_ATTRIBUTES", "COUNT":
	case "SPECIFIC_ATTRIBUTES":
		if p.projection == nil {
			return nil, nil, nil, validation("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
		}
	default:
		return nil, nil, nil, enumError("select", in.Select, "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]")
	}
	if in.ExclusiveStartKey == nil {
		return p, t, nil, nil
	}
	after, err := t.keyOnly(in.ExclusiveStartKey)
	if err != nil {
		message := err.Error()
		if refused, ok := errors.AsType[*apiError](err); ok {
			message = refused.message
		}
		return nil, nil, nil, validation("The provided starting key is invalid: %s", message)
	}
	return p, t, &after, nil
}

func (d *dynamo) scan(in *scanInput) ([]byte, error) {
	n, total := 0, 1
	switch {
	case in.Segment == nil && in.TotalSegments == nil:
	case in.Segment == nil:
		return nil, validation("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case in.TotalSegments == nil:
		return nil, validation("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	default:
		n, total = *in.Segment, *in.TotalSegments
		if total < 1 || total > 1_000_000 {
			return nil, validation("1 validation error detected: Value '%d' at 'totalSegments' failed to satisfy constraint: Member must have value between 1 and 1000000", total)
		}
		if n < 0 || n >= total {
			return nil, validation("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", n, total)
		}
	}
	first, last := segment(n, total)

	d.mu.RLock()
	p, t, after, err := d.newPage(&in.pageInput)
	if err == nil && after != nil && (after.hash < first || after.hash > last) {
		err = validation("The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: %d Segment: %d", total, n)
	}
	if err == nil {
		p.fill(t.store.scan(first, last, after))
	}
	d.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	return p.answer()
}

func (d *dynamo) query(in *queryInput) ([]byte, error) {
	if in.KeyConditionExpression == nil {
		return nil, validation("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	forward := in.ScanIndexForward == nil || *in.ScanIndexForward
	d.mu.RLock()
	p, err := d.queryPage(in, forward)
	d.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	return p.answer()
}

// queryPage reads a page. The caller holds the lock.
func (d *dynamo) queryPage(in *queryInput, forward bool) (*page, error) {
	x := named{"KeyConditionExpression", in.KeyConditionExpression}
	p, t, after, err := d.newPage(&in.pageInput, x)
	if err != nil {
		return nil, err
	}
	c, err := in.expressions().parse(x)
	if err != nil {
		return nil, err
	}
	v, err := c.partition(t.keys[0])
	if err != nil {
		return nil, err
	}
	records := t.store.partition(t.keys[0].sortable(v), forward)
	var matched []*record
	for _, r := range records {
		if after != nil && (r.key.compare(*after) <= 0) == forward {
			continue
		}
		if after != nil && r.key == *after {
			continue
		}
		ok, err := c.match(r.item())
		if err != nil {
			return nil, err
		}
		if ok {
			matched = append(matched, r)
		}
	}
	p.fill(slices.Values(matched))
	return p, nil
}

// fill reads records until the page is full. The caller holds the lock.
func (p *page) fill(records iter.Seq[*record]) {
	limit := math.MaxInt
	if p.in.Limit != nil {
		limit = *p.in.Limit
	}
	for r := range records {
		if p.size+r.size > maxPage {
			p.more = true
			return
		}
		p.size += r.size
		p.records = append(p.records, r)
		// DynamoDB does not look further than the limit, so it answers a key to go on from even when
		// nothing comes after it.
		if len(p.records) == limit {
			p.more = true
			return
		}
	}
}

func (p *page) answer() ([]byte, error) {
	count := 0
	items := append(make([]byte, 0, p.size+p.size/2+64), '[')
	for _, r := range p.records {
		item := attributes(nil)
		if p.filter != nil || p.projection != nil {
			item = r.item()
		}
		ok, err := p.filter.match(item)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if count++; p.in.Select == "COUNT" {
			continue
		}
		if count > 1 {
			items = append(items, ',')
		}
		if p.projection == nil {
			items = append(items, r.json...)
		} else {
			items = appendItem(items, p.projection.of(item))
		}
	}
	a := answer{b: make([]byte, 0, len(items)+512)}
	if p.in.Select != "COUNT" {
		a.name("Items")
		a.b = append(append(a.b, items...), ']')
	}
	a.number("Count", count)
	a.number("ScannedCount", len(p.records))
	if p.more {
		last := p.records[len(p.records)-1].item()
		start := map[string]*types.Item{}
		for _, k := range p.keys {
			start[k.name] = last[k.name]
		}
		a.attributes("LastEvaluatedKey", start)
	}
	a.capacity(p.in.ReturnConsumedCapacity, p.in.TableName, readUnits(p.size, p.in.ConsistentRead))
	return a.body(), nil
}
