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
// a page of users, which takes a twentieth of the time of decoding it. It refuses a response whose
// checksum is wrong: the SDK (service/dynamodb v1.73.1) finds that when it closes the body, logs it
// and returns the data. And it bounds a response.
type protocol struct {
	smithyhttp.ClientProtocol
	slow prometheus.Counter // responses that could not be transcoded
}

// maxResponse bounds a response in bytes. DynamoDB's own bound is 16 MB, for BatchGetItem.
const maxResponse = 32 << 20

var errTooLarge = errors.New("the response is too large")

// DeserializeResponse implements [smithyhttp.ClientProtocol].
func (p protocol) DeserializeResponse(
	ctx context.Context, schema *smithy.OperationSchema, types *smithy.TypeRegistry,
	response *smithyhttp.Response, out smithy.Deserializable,
) error {
	buffer := responses.Get().(*bytes.Buffer) //nolint:forcetypeassert // nothing else is put there
	defer func() {
		if buffer.Cap() <= maxPooled {
			buffer.Reset()
			responses.Put(buffer)
		}
	}()
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

// responses are buffers for the bodies of responses: a page's has a megabyte.
var responses = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the largest buffer that is kept, in bytes.
const maxPooled = 4 << 20

// readResponse reads the body of a response and checks it.
func readResponse(response *smithyhttp.Response, body *bytes.Buffer) ([]byte, error) {
	if response.ContentLength > maxResponse {
		return nil, errTooLarge
	}
	body.Grow(int(max(response.ContentLength, 0)) + bytes.MinRead)
	if _, err := body.ReadFrom(io.LimitReader(response.Body, maxResponse+1)); err != nil {
		return nil, err
	}
	switch {
	case body.Len() > maxResponse:
		return nil, errTooLarge
	case body.Len() == 0 && response.StatusCode == http.StatusOK: // the SDK takes it for {}
		return nil, errors.New("the response is empty")
	}
	return body.Bytes(), verify(response.Header.Get(checksumHeader), body.Bytes())
}

// checksumHeader has the CRC-32 (IEEE) of a response's body, in decimal.
const checksumHeader = "X-Amz-Crc32"

func verify(checksum string, body []byte) error {
	got := strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)
	if checksum == "" || checksum == got { // emulators send none
		return nil
	}
	return checksumError{want: checksum, got: got}
}

// A checksumError is a response that was changed on its way. Whether a write took effect is not
// known, as with a response that was lost.
type checksumError struct{ want, got string }

func (e checksumError) Error() string {
	return fmt.Sprintf("the checksum of the response is %s, must be %s", e.got, e.want)
}

// RetryableError tells the SDK to call again.
func (checksumError) RetryableError() bool { return true }
