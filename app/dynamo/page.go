package dynamo

import (
	"context"
	"math"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// maxScanned is the most items that one Scan reads. On AWS a page ends before that, at 1 MB; not
// every emulator ends one by itself.
const maxScanned = 10_000

// Page implements [user.Store]. A query without a limit is one Scan: up to 1 MB of items. Lists are
// eventually consistent unless LIST_CONSISTENT_READS is set.
func (u *Users) Page(ctx context.Context, dst []byte, usersURL string, q user.PageQuery) (user.Page, error) {
	s, items := &scan{page: user.Page{JSON: dst, Next: q.After}, url: usersURL, most: math.MaxInt}, maxScanned
	for {
		if q.Limit > 0 {
			s.most = q.Limit - s.page.Users
			items = s.most + 1 // one user more than fits tells whether any follow
		}
		if err := u.scan(ctx, s, items); err != nil {
			return user.Page{}, err
		}
		if q.Limit == 0 || s.more || s.page.Next == "" {
			return s.page, nil
		}
	}
}

// scan calls Scan and appends what it finds behind s.page.Next to s.page.
func (u *Users) scan(ctx context.Context, s *scan, items int) error {
	in := &dynamodb.ScanInput{
		TableName: &u.config.Table, ConsistentRead: &u.config.ListConsistentReads,
		Limit: aws.Int32(int32(items)), //nolint:gosec // at most maxScanned
	}
	if s.last = s.page.Next; s.last != "" {
		in.ExclusiveStartKey = key(s.last)
	}
	ctx, call := awsclient.Track(ctx)
	out, err := u.client.Scan(context.WithValue(ctx, scanKey{}, s), in)
	if err != nil {
		return call.Fault(err)
	}
	if !s.done && !s.append(out) {
		return call.Incomplete("Items, or the id in LastEvaluatedKey")
	}
	return nil
}

// scanKey is the context key of the *scan that a call of Scan is for.
type scanKey struct{}

// A scan is a page of users while the response to one Scan is appended to it.
type scan struct {
	page user.Page
	url  string // absolute URL of the users' collection
	most int    // most users that are appended

	done bool   // the response has been transcoded
	more bool   // the response has more users than were appended
	last string // id of the last user on the page; "" if there is none
}

// append appends the users that the SDK has decoded. It reports false if the response lacks what
// DynamoDB always writes: to take it for the end of the list would leave out users.
func (s *scan) append(out *dynamodb.ScanOutput) bool {
	s.page.Next = textOf(out.LastEvaluatedKey, config.KeyAttribute)
	if out.Items == nil || len(out.LastEvaluatedKey) > 0 && s.page.Next == "" {
		return false
	}
	for i, item := range out.Items {
		if i == s.most {
			s.more, s.page.Next = true, s.last
			return true
		}
		if s.page.Users > 0 {
			s.page.JSON = append(s.page.JSON, ',')
		}
		r := fromItem(item)
		s.page.JSON = r.AppendJSON(s.page.JSON, s.url)
		s.page.Users++
		if r.ID != "" {
			s.last = r.ID
		}
	}
	return true
}
