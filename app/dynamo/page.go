package dynamo

import (
	"bytes"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// Page implements [user.Store] with one Scan: up to 1 MB of items. It is eventually consistent
// unless LIST_CONSISTENT_READS is set.
func (u *Users) Page(ctx context.Context, dst []byte, usersURL string, q user.PageQuery) (user.Page, error) {
	in := &dynamodb.ScanInput{TableName: u.table, ConsistentRead: u.consistentLists}
	if q.Limit > 0 {
		in.Limit = aws.Int32(int32(q.Limit + 1)) //nolint:gosec // callers ask for thousands at most. One more, to know whether any follow
	}
	if q.After != "" {
		in.ExclusiveStartKey = key(q.After)
	}
	if q.Segments > 1 {
		in.Segment, in.TotalSegments = aws.Int32(int32(q.Segment)), aws.Int32(int32(q.Segments)) //nolint:gosec // a setting bounds them
	}
	ctx, call := awsclient.Track(ctx)
	l := &listing{begin: dst, url: usersURL, limit: q.Limit, last: q.Last}
	out, err := u.client.Scan(context.WithValue(ctx, listingKey{}, l), in)
	if err != nil {
		l.forget()
		return user.Page{}, call.Fault(err, tableMissing)
	}
	if !l.done {
		l.forget()
		l.typed(out)
	}
	return l.page, nil
}

// A listing is a page of users while it is made of the answer to a Scan.
type listing struct {
	begin []byte // what the page is appended to
	url   string // absolute, of the users
	limit int    // most users, 0: all there are
	last  *user.Snapshot

	page user.Page
	done bool // the page has been made of the bytes of the answer
	kept bool // and last are those bytes, or those of an attempt before
}

// maxSnapshot bounds the answers that are kept, in bytes. To compare a megabyte would still be far cheaper than to read it, but
// memory is for what is asked for most.
const maxSnapshot = 64 << 10

// same reports whether an answer, which need not be looked at any further then, is the last one.
func (l *listing) same(checksum string, body []byte) bool {
	// What was kept of an earlier attempt of this call is no page that anybody has.
	if l.last == nil || l.kept || len(l.last.Bytes) == 0 || checksum != l.last.Checksum || !bytes.Equal(body, l.last.Bytes) {
		return false
	}
	l.page, l.done = user.Page{JSON: l.begin, Unchanged: true}, true
	return true
}

// keep leaves the answer that the page has been made of for the next query.
func (l *listing) keep(checksum string, body []byte) {
	if l.last == nil {
		return
	}
	l.last.Forget()
	if len(body) <= maxSnapshot {
		l.last.Bytes, l.last.Checksum = append(l.last.Bytes, body...), checksum
	}
	l.kept = true
}

// forget leaves nothing for it.
func (l *listing) forget() {
	if l.last != nil {
		l.last.Forget()
	}
}

// typed makes the page of the items that the SDK has read.
func (l *listing) typed(out *dynamodb.ScanOutput) {
	l.page = user.Page{JSON: l.begin, Next: textOf(out.LastEvaluatedKey, config.KeyAttribute)}
	for _, item := range out.Items {
		if l.limit > 0 && l.page.Users == l.limit {
			l.page.More = true
			l.page.Next = textOf(out.Items[l.limit-1], config.KeyAttribute)
			return
		}
		if l.page.Users > 0 {
			l.page.JSON = append(l.page.JSON, ',')
		}
		l.page.JSON = fromItem(item).AppendJSON(l.page.JSON, l.url)
		l.page.Users++
	}
}
