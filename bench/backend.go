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
)

// usersPerPage is how many users a page of a Scan holds at most: of 260 bytes each as DynamoDB counts them, and
// about 1 MB as they are sent.
const usersPerPage = 3000

// maxUpload is in bytes; an avatar is 5 MiB at most by default.
const maxUpload = 64 << 20

// A backend responds to the calls of DynamoDB and S3 that the measurements make, as cheaply as it can, so that what is measured is
// its caller. It keeps the responses to Scans. The name of a table says what is in it: users-N has N users, and users-N-waitTms
// responds to a Scan after T milliseconds.
type backend struct {
	scans sync.Map     // responses by the bodies of their requests
	calls atomic.Int64 // without those that readiness makes
}

// An answer is a body as DynamoDB sends it.
type answer struct {
	body []byte
	crc  string // of the body, in decimal
	wait time.Duration
}

func newAnswer(body []byte) *answer {
	return &answer{body: body, crc: strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)}
}

var (
	done   = newAnswer([]byte(`{}`))
	active = newAnswer([]byte(`{"Table":{"TableStatus":"ACTIVE"}}`))
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
		c.SetBodyString(strconv.FormatInt(b.calls.Swap(0), 10)) // since they were last asked for
	default:
		b.s3(c)
	}
}

func (b *backend) dynamoDB(c *fasthttp.RequestCtx, target []byte) {
	var a *answer
	switch _, name, _ := bytes.Cut(target, []byte(".")); string(name) {
	case "Scan":
		b.calls.Add(1)
		var err error
		if a, err = b.scan(c.PostBody()); err != nil {
			refuse(c, "ValidationException", err.Error())
			return
		}
		time.Sleep(a.wait)
	case "PutItem":
		b.calls.Add(1)
		a = done
	case "DescribeTable":
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
	switch {
	case c.IsHead(): // of the bucket
	case c.IsPut():
		b.calls.Add(1)
		c.Response.Header.Set("Etag", `"d41d8cd98f00b204e9800998ecf8427e"`)
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
		ExclusiveStartKey struct{ ID struct{ S string } }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read a Scan: %w", err)
	}
	users, wait, err := parseTable(in.TableName)
	if err != nil {
		return nil, err
	}
	first := 0
	if key := in.ExclusiveStartKey.ID.S; key != "" {
		last, err := indexOf(key)
		if err != nil {
			return nil, err
		}
		first = last + 1
	}
	limit := usersPerPage
	if in.Limit > 0 {
		limit = min(limit, in.Limit)
	}
	a := newAnswer(page(first, min(first+limit, users), users))
	a.wait = wait
	b.scans.Store(string(body), a)
	return a, nil
}

var tableName = regexp.MustCompile(`^users-([0-9]+)(?:-wait([0-9]+)ms)?$`)

// parseTable returns how many users a table has, and how long a Scan of it takes.
func parseTable(name string) (users int, wait time.Duration, err error) {
	found := tableName.FindStringSubmatch(name)
	if found == nil {
		return 0, 0, fmt.Errorf("the table is %q, must be users-N or users-N-waitTms", name)
	}
	users, err = strconv.Atoi(found[1])
	if err == nil && found[2] != "" {
		wait, err = time.ParseDuration(found[2] + "ms")
	}
	return users, wait, err
}

// page is the response to a Scan of the users from first to before last, of a table of total users.
func page(first, last, total int) []byte {
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
	if last < total {
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
