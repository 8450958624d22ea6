package dynamo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/prometheus/client_golang/prometheus"
)

// protocol is the SDK's protocol with three differences. It transcodes the response to a Scan into
// a page of users, which takes a fifth of the time of decoding it. It refuses a response whose
// checksum is wrong: the SDK (service/dynamodb v1.73.1) finds that when it closes the body, logs it
// and returns the data. And it bounds a response.
type protocol struct {
	smithyhttp.ClientProtocol
	slow prometheus.Counter // responses that could not be transcoded
}

// DeserializeResponse implements [smithyhttp.ClientProtocol].
func (p protocol) DeserializeResponse(
	ctx context.Context, schema *smithy.OperationSchema, types *smithy.TypeRegistry,
	response *smithyhttp.Response, out smithy.Deserializable,
) error {
	buffer := responses.Get().(*bytes.Buffer) //nolint:forcetypeassert // nothing else is put there
	defer responses.Put(buffer)
	data, err := readResponse(response, buffer)
	if err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	if s, ok := ctx.Value(scanKey{}).(*scan); ok && response.StatusCode == http.StatusOK {
		if s.done = s.transcode(data); s.done {
			return nil
		}
		p.slow.Inc()
		middleware.GetLogger(ctx).Logf(logging.Warn, "a response to a Scan has an unknown form and is decoded by the SDK")
	}
	body := response.Body
	defer func() { response.Body = body }() // the SDK closes it
	response.Body = io.NopCloser(bytes.NewReader(data))
	return p.ClientProtocol.DeserializeResponse(ctx, schema, types, response, out)
}

// responses are buffers for the bodies of responses. To allocate the megabyte of each page of users
// would take half as much time again as to transcode it.
var responses = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxResponse bounds a response in bytes. DynamoDB's own bound is 16 MB, for BatchGetItem.
const maxResponse = 32 << 20

// readResponse reads the body of a response into a buffer and checks it.
func readResponse(response *smithyhttp.Response, body *bytes.Buffer) ([]byte, error) {
	body.Reset()
	body.Grow(int(min(max(response.ContentLength, 0), maxResponse)) + bytes.MinRead)
	_, err := body.ReadFrom(io.LimitReader(response.Body, maxResponse+1))
	want := response.Header.Get("X-Amz-Crc32") // emulators send none
	got := strconv.FormatUint(uint64(crc32.ChecksumIEEE(body.Bytes())), 10)
	switch {
	case err != nil:
		return nil, corrupt{err}
	case body.Len() > maxResponse:
		return nil, fmt.Errorf("the response has more than %d bytes", maxResponse)
	case body.Len() == 0 && response.StatusCode == http.StatusOK: // the SDK takes it for {}
		return nil, errors.New("the response is empty")
	case want != "" && want != got:
		return nil, corrupt{fmt.Errorf("the checksum of the response is %s, must be %s", got, want)}
	}
	return body.Bytes(), nil
}

// corrupt is the error of a response that was changed or cut off on its way.
type corrupt struct{ error }

func (c corrupt) Unwrap() error { return c.error }

// RetryableError tells the SDK to call again.
func (corrupt) RetryableError() bool { return true }
