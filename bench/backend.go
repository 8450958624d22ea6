package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"prima.internal/app/apitest"
)

// usersPerPage is how many users a page of a Scan holds at most: of 260 bytes each as DynamoDB counts them, and
// about 1 MB as they are sent.
const usersPerPage = 3000

// maxUpload is in bytes; an avatar is 5 MiB at most by default.
const maxUpload = 64 << 20

// A backend answers DynamoDB and S3 as cheaply as it can, so that what is measured is what calls it. What was
// answered once is kept as it was sent. Tables are made up by their names: users-N; users-N-waitTms, which answers a Scan
// after T milliseconds; or users-N-changing, where no Scan is answered as the one before it.
type backend struct {
	scans sync.Map // answers by the bodies of their requests
	calls [operations]atomic.Int64
}

type operation int

const (
	scan operation = iota
	putItem
	updateItem
	deleteItem
	getItem
	describeTable
	headBucket
	putObject
	getObject
	deleteObject
	operations
)

func (o operation) String() string {
	return [...]string{"Scan", "PutItem", "UpdateItem", "DeleteItem", "GetItem", "DescribeTable", "HeadBucket", "PutObject", "GetObject", "DeleteObject"}[o]
}

// An answer is a body as DynamoDB sends it.
type answer struct {
	body []byte
	crc  string // of the body, in decimal
	wait time.Duration
	// next is the answer to the same Scan the next time, nil if that is the same; turn counts those times.
	next *answer
	turn *atomic.Int64
}

// now returns the answer or the next one, by turns.
func (a *answer) now() *answer {
	if a.next != nil && a.turn.Add(1)%2 == 0 {
		return a.next
	}
	return a
}

func newAnswer(body []byte) *answer {
	return &answer{body: body, crc: strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)}
}

var (
	done   = newAnswer([]byte(`{}`))
	active = newAnswer([]byte(`{"Table":{"TableStatus":"ACTIVE"}}`))
	one    = newAnswer(append(appendItem([]byte(`{"Item":`), 0), '}'))
	image  = sync.OnceValue(func() []byte { return apitest.PNG(16, 16) })
)

// serveBackend answers on a listener until that is closed.
func serveBackend(l net.Listener) error {
	b := new(backend)
	server := &fasthttp.Server{
		Handler:               b.serve,
		MaxRequestBodySize:    maxUpload,
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		WriteBufferSize:       64 << 10,
	}
	return server.Serve(l)
}

func (b *backend) serve(c *fasthttp.RequestCtx) {
	target := c.Request.Header.Peek("X-Amz-Target")
	switch {
	case len(target) > 0:
		b.dynamoDB(c, target)
	case string(c.Path()) == "/calls":
		b.sendCalls(c)
	case string(c.Path()) == "/calls/reset":
		for i := range b.calls {
			b.calls[i].Store(0)
		}
	default:
		b.s3(c)
	}
}

// sendCalls answers with the calls since the last reset, by operation.
func (b *backend) sendCalls(c *fasthttp.RequestCtx) {
	calls := map[string]int64{}
	for i := range b.calls {
		if n := b.calls[i].Load(); n > 0 {
			calls[operation(i).String()] = n
		}
	}
	body, err := json.Marshal(calls)
	if err != nil {
		c.Error(err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	c.SetContentType("application/json")
	c.SetBody(body)
}

func (b *backend) dynamoDB(c *fasthttp.RequestCtx, target []byte) {
	var a *answer
	switch _, name, _ := bytes.Cut(target, []byte(".")); string(name) {
	case "Scan":
		b.calls[scan].Add(1)
		var err error
		if a, err = b.scan(c.PostBody()); err != nil {
			refuse(c, "ValidationException", err.Error())
			return
		}
		if a.wait > 0 {
			time.Sleep(a.wait)
		}
		a = a.now()
	case "PutItem":
		b.calls[putItem].Add(1)
		a = done
	case "UpdateItem":
		b.calls[updateItem].Add(1)
		a = done
	case "DeleteItem":
		b.calls[deleteItem].Add(1)
		a = done
	case "GetItem":
		b.calls[getItem].Add(1)
		a = one
	case "DescribeTable":
		b.calls[describeTable].Add(1)
		a = active
	default:
		refuse(c, "UnknownOperationException", string(name))
		return
	}
	sendAnswer(c, a)
}

func sendAnswer(c *fasthttp.RequestCtx, a *answer) {
	c.SetContentType("application/x-amz-json-1.0")
	c.Response.Header.Set("X-Amz-Crc32", a.crc)
	c.Response.SetBodyRaw(a.body)
}

func refuse(c *fasthttp.RequestCtx, kind, message string) {
	c.SetStatusCode(fasthttp.StatusBadRequest)
	sendAnswer(c, newAnswer(fmt.Appendf(nil, `{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":%q}`, kind, message)))
}

func (b *backend) s3(c *fasthttp.RequestCtx) {
	const etag = `"d41d8cd98f00b204e9800998ecf8427e"`
	_, key, _ := strings.Cut(strings.TrimPrefix(string(c.Path()), "/"), "/")
	switch {
	case key == "" && c.IsHead():
		b.calls[headBucket].Add(1)
	case c.IsPut():
		b.calls[putObject].Add(1)
		c.Response.Header.Set("Etag", etag)
	case c.IsGet() && key != "":
		b.calls[getObject].Add(1)
		c.SetContentType("image/png")
		c.Response.Header.Set("Etag", etag)
		c.Response.SetBodyRaw(image())
	case c.IsDelete():
		b.calls[deleteObject].Add(1)
		c.SetStatusCode(fasthttp.StatusNoContent)
	default:
		c.SetStatusCode(fasthttp.StatusNotImplemented)
	}
}

// scan returns the answer to a Scan.
func (b *backend) scan(body []byte) (*answer, error) {
	if known, ok := b.scans.Load(string(body)); ok {
		return known.(*answer), nil //nolint:forcetypeassert // nothing else is stored
	}
	var in struct {
		TableName         string
		Limit             int
		Segment           int
		TotalSegments     int
		ExclusiveStartKey struct{ ID struct{ S string } }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read a Scan: %w", err)
	}
	t, err := parseTable(in.TableName)
	if err != nil {
		return nil, err
	}
	first, end := segment(t.users, in.Segment, max(in.TotalSegments, 1))
	if key := in.ExclusiveStartKey.ID.S; key != "" {
		last, err := indexOf(key)
		if err != nil {
			return nil, err
		}
		first = max(first, last+1)
	}
	limit := usersPerPage
	if in.Limit > 0 {
		limit = min(limit, in.Limit)
	}
	last := min(first+limit, end)
	a := newAnswer(page(first, last, end))
	a.wait = t.wait
	if t.changing && last > first {
		// The name of the last user differs, in as many bytes.
		at := bytes.LastIndex(a.body, []byte(`"name":{"S":"`)) + len(`"name":{"S":"`)
		body := bytes.Clone(a.body)
		body[at] = 'x'
		a.next, a.turn = newAnswer(body), new(atomic.Int64)
	}
	if in.Limit == 0 { // of which there are few
		b.scans.Store(string(body), a)
	}
	return a, nil
}

var tableName = regexp.MustCompile(`^users-([0-9]+)(?:-wait([0-9]+)ms|(-changing))?$`)

// A table is what the name of one says.
type table struct {
	users    int
	wait     time.Duration // of a Scan
	changing bool          // no Scan is answered as the one before it
}

func parseTable(name string) (t table, err error) {
	found := tableName.FindStringSubmatch(name)
	if found == nil {
		return table{}, fmt.Errorf("the table %q is not users-N, users-N-waitTms or users-N-changing", name)
	}
	t.changing = found[3] != ""
	t.users, err = strconv.Atoi(found[1])
	if err == nil && found[2] != "" {
		t.wait, err = time.ParseDuration(found[2] + "ms")
	}
	return t, err
}

// segment returns the users, from first to before end, of one of total segments: whole pages, but for the last.
func segment(users, n, total int) (first, end int) {
	pages := (users + usersPerPage - 1) / usersPerPage
	return min(n*pages/total*usersPerPage, users), min((n+1)*pages/total*usersPerPage, users)
}

// page is the answer to a Scan with the users from first to before last, of a segment that ends before end.
func page(first, last, end int) []byte {
	n := max(last-first, 0)
	body := make([]byte, 0, 256+360*n)
	body = fmt.Appendf(body, `{"Count":%d,"ScannedCount":%d,"Items":[`, n, n)
	for i := first; i < last; i++ {
		if i > first {
			body = append(body, ',')
		}
		body = appendItem(body, i)
	}
	body = append(body, ']')
	if last < end {
		body = append(body, `,"LastEvaluatedKey":{"id":{"S":"`...)
		body = append(body, userID(last-1)...)
		body = append(body, `"}}`...)
	}
	return append(body, '}')
}

const (
	idPrefix     = "00000000-0000-4000-8000-"
	avatarPrefix = "10000000-0000-4000-8000-"
)

func userID(i int) string { return fmt.Sprintf("%s%012d", idPrefix, i) }

// indexOf returns the number of the user with this id.
func indexOf(id string) (int, error) {
	digits, ok := strings.CutPrefix(id, idPrefix)
	if !ok {
		return 0, errors.New("the key is not of a user")
	}
	return strconv.Atoi(digits)
}

// Names are long, as an item is to be of 260 bytes; some are not ASCII, and some hold what JSON escapes.
var names = [...]string{
	strings.Repeat("Ada Lovelace ", 11),
	strings.Repeat("Grace Hopper ", 11),
	strings.Repeat("Émilie Châtelet ", 8),
	strings.Repeat("Mary Jackson ", 10) + `\"Mary\"`,
}

// escapedName is a name as it stands in JSON.
func escapedName(i int) string { return names[i%len(names)] + strconv.Itoa(i) }

func emailOf(i int) string { return "user" + strconv.Itoa(i) + "@example.com" }

// appendItem appends a user as DynamoDB writes an item: with the attributes that app/dynamo gives one with an avatar.
func appendItem(dst []byte, i int) []byte {
	return fmt.Appendf(dst, `{"id":{"S":"%s"},"name":{"S":"%s"},"email":{"S":"%s"},"avatar_id":{"S":"%s%012d"}}`,
		userID(i), escapedName(i), emailOf(i), avatarPrefix, i)
}
