package localaws

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxRequest is DynamoDB's limit of a request's body, in bytes.
const maxRequest = 16 << 20

// Account is the AWS account that LocalStack answers in names.
const Account = "000000000000"

// dynamo answers DynamoDB's JSON protocol.
//
// minidyn's own server is not used, only its expression language and its attribute values:
// CreateTable, DeleteTable and DescribeTable change and read its map of tables without a lock;
// PutItem answers the new item whatever ReturnValues asks; PutItem and DeleteItem do not know
// ReturnValuesOnConditionCheckFailure; pages have no limit; and each of these is behind unexported
// fields. A layer that put them right would have had to keep every item a second time.
type dynamo struct {
	region string

	mu           sync.RWMutex
	tables       map[string]*table
	transactions map[string]transaction // by client request token
}

func newDynamo(region string) *dynamo {
	return &dynamo{region: region, tables: map[string]*table{}, transactions: map[string]transaction{}}
}

// apiError is an error in the shape of AWS' JSON protocol.
type apiError struct {
	status  int
	code    string // with its namespace
	message string
	extra   []byte // further members, each with a comma before it
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func dynamoError(code, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "com.amazonaws.dynamodb.v20120810#" + code, message: fmt.Sprintf(format, args...)}
}

func validation(format string, args ...any) error {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return &apiError{status: http.StatusBadRequest, code: "com.amazon.coral.validate#ValidationException", message: format}
}

// operation decodes the input of a call, makes it and returns the body of the answer.
type operation func(body []byte) ([]byte, error)

// call makes an operation of a function of its decoded input.
func call[In any](f func(*In) ([]byte, error)) operation {
	return func(body []byte) ([]byte, error) {
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, &apiError{
				status: http.StatusBadRequest, code: "com.amazon.coral.service#SerializationException", message: err.Error(),
			}
		}
		return f(&in)
	}
}

func (d *dynamo) operation(name string) operation {
	switch name {
	case "BatchGetItem":
		return call(d.batchGetItem)
	case "BatchWriteItem":
		return call(d.batchWriteItem)
	case "CreateTable":
		return call(d.createTable)
	case "DeleteItem":
		return call(d.deleteItem)
	case "DeleteTable":
		return call(d.deleteTable)
	case "DescribeContinuousBackups":
		return call(d.describeContinuousBackups)
	case "DescribeTable":
		return call(d.describeTable)
	case "DescribeTimeToLive":
		return call(d.describeTimeToLive)
	case "GetItem":
		return call(d.getItem)
	case "ListTables":
		return call(d.listTables)
	case "ListTagsOfResource":
		return call(d.listTagsOfResource)
	case "PutItem":
		return call(d.putItem)
	case "Query":
		return call(d.query)
	case "Scan":
		return call(d.scan)
	case "TagResource":
		return call(d.tagResource)
	case "TransactGetItems":
		return call(d.transactGetItems)
	case "TransactWriteItems":
		return call(d.transactWriteItems)
	case "UntagResource":
		return call(d.untagResource)
	case "UpdateContinuousBackups":
		return call(d.updateContinuousBackups)
	case "UpdateItem":
		return call(d.updateItem)
	case "UpdateTable":
		return call(d.updateTable)
	case "UpdateTimeToLive":
		return call(d.updateTimeToLive)
	}
	return nil
}

func (d *dynamo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		return // the client has gone
	}
	_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var answer []byte
	switch op := d.operation(name); {
	case r.Method != http.MethodPost || op == nil:
		err = &apiError{
			status: http.StatusBadRequest, code: "com.amazon.coral.service#UnknownOperationException",
			message: fmt.Sprintf("the embedded DynamoDB has no %s %s", r.Method, name),
		}
	case len(body) > maxRequest:
		err = &apiError{
			status: http.StatusRequestEntityTooLarge, code: "com.amazon.coral.service#RequestEntityTooLargeException",
			message: "Request size exceeds 16 MB",
		}
	default:
		answer, err = op(body)
	}
	status := http.StatusOK
	if err != nil {
		status, answer = errorBody(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.0")
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(answer)), 10))
	h.Set("X-Amzn-Requestid", requestID())
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

// requestID returns one of DynamoDB's form: 52 upper case letters and digits.
func requestID() string { return rand.Text() + rand.Text() }

func errorBody(err error) (int, []byte) {
	e := &apiError{}
	ok := errors.As(err, &e)
	if !ok {
		e = &apiError{status: http.StatusInternalServerError, code: "com.amazonaws.dynamodb.v20120810#InternalServerError", message: err.Error()}
	}
	b := appendString([]byte(`{"__type":`), e.code)
	b = appendString(append(b, `,"message":`...), e.message)
	b = append(b, e.extra...)
	return e.status, append(b, '}')
}

// body encodes an answer without items.
func body(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// epoch is a time as AWS' JSON protocol writes it: seconds, with a fraction.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
