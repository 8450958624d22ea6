package localaws

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/johannesboyne/gofakes3"

	"prima.internal/app/config"
)

// Options says what exists in a new [AWS].
type Options struct {
	// Table is the DynamoDB table to create, with the contract's key and billed per request; none
	// if empty.
	Table string
	// Bucket is the S3 bucket to create; none if empty.
	Bucket string
	// Region is the one that ARNs and buckets name; us-east-1 if empty.
	Region string
	// Now tells the time at which objects are stored; [time.Now] if nil.
	Now func() time.Time
}

// AWS is DynamoDB and S3 in memory. It is an [http.Handler] and safe for concurrent use.
type AWS struct {
	options  Options
	services atomic.Pointer[services]
	handler  atomic.Pointer[http.Handler]
}

type services struct {
	dynamo *dynamo
	s3     *s3
}

// New returns an AWS that holds the table and the bucket of o, both empty. The error says which
// name AWS would refuse.
func New(o Options) (*AWS, error) {
	o.Region = cmp.Or(o.Region, "us-east-1")
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &AWS{options: o}
	a.Intercept(nil)
	return a, a.Reset()
}

// Reset makes everything as [New] did: the table and the bucket, both empty, and nothing else. The
// middleware stays.
func (a *AWS) Reset() error {
	s := &services{dynamo: newDynamo(a.options.Region), s3: newS3(a.options.Region, a.options.Now)}
	if a.options.Table != "" {
		if _, err := s.dynamo.createTable(&createTableInput{
			tableSettings: tableSettings{
				TableName:            a.options.Table,
				BillingMode:          "PAY_PER_REQUEST",
				AttributeDefinitions: []attributeDefinition{{config.KeyAttribute, config.KeyType}},
			},
			KeySchema: []keySchemaElement{{config.KeyAttribute, "HASH"}},
		}); err != nil {
			return fmt.Errorf("localaws: create table %q: %w", a.options.Table, err)
		}
	}
	if a.options.Bucket != "" {
		if err := gofakes3.ValidateBucketName(a.options.Bucket); err != nil {
			return fmt.Errorf("localaws: create bucket %q: %w", a.options.Bucket, err)
		}
		if err := s.s3.objects.CreateBucket(a.options.Bucket); err != nil {
			return fmt.Errorf("localaws: create bucket %q: %w", a.options.Bucket, err)
		}
	}
	a.services.Store(s)
	return nil
}

// Wipe leaves neither tables nor buckets, as LocalStack does when it restarts. The middleware
// stays.
func (a *AWS) Wipe() {
	a.services.Store(&services{dynamo: newDynamo(a.options.Region), s3: newS3(a.options.Region, a.options.Now)})
}

// ServeHTTP answers a request to DynamoDB, S3, STS or LocalStack's health. Requests that have begun
// before [AWS.Reset] or [AWS.Wipe] finish on what was there.
func (a *AWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_localstack/") {
		serveHealth(w, r)
		return
	}
	(*a.handler.Load()).ServeHTTP(w, r)
}

func (a *AWS) serve(w http.ResponseWriter, r *http.Request) {
	s := a.services.Load()
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		s.dynamo.ServeHTTP(w, r)
	case isSTS(r):
		serveSTS(w, r)
	default:
		s.s3.ServeHTTP(w, r)
	}
}

// Intercept puts a middleware in front of the services, in place of the one before; nil removes
// it. It may be called while requests are served: those that have begun finish as they began.
// LocalStack's own paths do not go through it.
//
// A middleware chooses by [Operation]. It fails a call by answering itself, delays one by waiting
// (until the request's context is done, when the client has gone), and loses a reply by calling
// next with another ResponseWriter and then panicking with [http.ErrAbortHandler], which closes the
// connection.
func (a *AWS) Intercept(f func(next http.Handler) http.Handler) {
	var h http.Handler = http.HandlerFunc(a.serve)
	if f != nil {
		h = f(h)
	}
	a.handler.Store(&h)
}
