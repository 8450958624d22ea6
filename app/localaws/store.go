package localaws

import (
	"cmp"
	"encoding/json"
	"hash/fnv"
	"iter"
	"math/bits"
	"slices"
	"strings"

	"github.com/truora/minidyn/types"
)

// record is an item as it is stored. It never changes: a write makes a new one, so that a page can
// be written to a client while others write to the table.
type record struct {
	key  key
	json []byte // the item on the wire
	size int    // as itemSize counts
}

// item returns the attributes of a record, its own copy; of no record, an empty item.
func (r *record) item() attributes {
	item := attributes{}
	if r != nil {
		// What appendItem wrote is always read back.
		_ = json.Unmarshal(r.json, &item)
	}
	return item
}

func newRecord(k key, item attributes) *record {
	return &record{key: k, json: appendItem(nil, item), size: itemSize(item)}
}

// key orders the items of a table as DynamoDB does: by a hash of the partition key, and within a
// partition by the sort key.
type key struct {
	hash            uint64
	partition, sort string
}

func newKey(partition, sort string) key {
	h := fnv.New64a()
	_, _ = h.Write([]byte(partition))
	// FNV leaves the upper bits of similar keys alike, and those choose the bucket and the segment:
	// this is the finalizer of MurmurHash3.
	x := h.Sum64()
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return key{hash: x ^ x>>33, partition: partition, sort: sort}
}

func (k key) compare(other key) int {
	return cmp.Or(
		cmp.Compare(k.hash, other.hash),
		strings.Compare(k.partition, other.partition),
		strings.Compare(k.sort, other.sort),
	)
}

const bucketBits = 12

// store holds the records of a table in the order of their keys, in buckets by the upper bits of
// the hash. 200,000 records make buckets of about 50, so that neither a write nor finding the start
// of a page depends on the size of the table.
//
// minidyn keeps one sorted slice and sorts it on each new key (150 µs a write at 20,000 items,
// growing in proportion), reads every key before the start of a page, and finds nothing after a
// start key whose item has been deleted.
type store struct {
	buckets [1 << bucketBits][]*record
	count   int
	bytes   int
}

func (s *store) bucket(hash uint64) *[]*record { return &s.buckets[hash>>(64-bucketBits)] }

func search(bucket []*record, k key) (int, bool) {
	return slices.BinarySearchFunc(bucket, k, func(r *record, k key) int { return r.key.compare(k) })
}

// get returns the record of a key, or nil.
func (s *store) get(k key) *record {
	bucket := *s.bucket(k.hash)
	if i, ok := search(bucket, k); ok {
		return bucket[i]
	}
	return nil
}

func (s *store) put(r *record) {
	bucket := s.bucket(r.key.hash)
	i, ok := search(*bucket, r.key)
	if ok {
		s.bytes -= (*bucket)[i].size
		(*bucket)[i] = r
	} else {
		*bucket = slices.Insert(*bucket, i, r)
		s.count++
	}
	s.bytes += r.size
}

func (s *store) delete(k key) {
	bucket := s.bucket(k.hash)
	if i, ok := search(*bucket, k); ok {
		s.bytes -= (*bucket)[i].size
		*bucket = slices.Delete(*bucket, i, i+1)
		s.count--
	}
}

// scan returns the records with hashes from first to last, those up to the key after excluded.
func (s *store) scan(first, last uint64, after *key) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		if after != nil && after.hash > first {
			first = after.hash
		}
		for b := first >> (64 - bucketBits); b <= last>>(64-bucketBits); b++ {
			for _, r := range s.buckets[b] {
				switch {
				case r.key.hash < first, after != nil && r.key.compare(*after) <= 0:
				case r.key.hash > last:
					return
				case !yield(r):
					return
				}
			}
		}
	}
}

// partition returns the records of a partition in the order of their sort keys, or in reverse.
func (s *store) partition(partition string, forward bool) []*record {
	k := newKey(partition, "")
	var records []*record
	for _, r := range *s.bucket(k.hash) {
		if r.key.hash == k.hash && r.key.partition == partition {
			records = append(records, r)
		}
	}
	if !forward {
		slices.Reverse(records)
	}
	return records
}

// segment returns the first and the last hash of one of total equal parts of the table.
func segment(n, total int) (first, last uint64) {
	if total == 1 {
		return 0, 1<<64 - 1
	}
	at := func(n int) uint64 { // n × 2^64 / total
		q, _ := bits.Div64(uint64(n), 0, uint64(total)) //nolint:gosec // neither is negative: Scan checks them
		return q
	}
	if n == total-1 {
		return at(n), 1<<64 - 1
	}
	return at(n), at(n+1) - 1
}

// keyAttribute is an attribute of a table's key and its type: S, N or B.
type keyAttribute struct{ name, kind string }

// sortable returns the value of a key attribute so that it compares as DynamoDB sorts.
func (a keyAttribute) sortable(v *types.Item) string {
	switch a.kind {
	case "N":
		d, _ := parseDecimal(*v.N)
		return d.sortable()
	case "B":
		return string(v.B)
	default:
		return *v.S
	}
}
