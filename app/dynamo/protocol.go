package dynamo

import (
	"bytes"
	"context"
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

// protocol is the SDK's protocol with two differences. It refuses an answer that is not the one that DynamoDB signed with a
// checksum: the SDK (seen in service/dynamodb v1.73.1) finds that too, when it closes the body, and then hands the answer
// out with a line in the log. And it makes a list of users of the bytes of a Scan's answer, where building a map for every
// item would cost twenty times as much, unless they are those of the last answer. Signing, retries and errors stay the
// SDK's.
type protocol struct {
	smithyhttp.ClientProtocol
	slow prometheus.Counter // of the answers that the bytes of were no use
}

// listingKey is the key of a context's *listing.
type listingKey struct{}

// Answers of this size, in bytes, are kept in memory for the next one. A Scan's is 1 MB of items, and what JSON adds.
const maxPooledAnswer = 4 << 20

var answers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// DeserializeResponse implements [smithyhttp.ClientProtocol].
func (p protocol) DeserializeResponse(ctx context.Context, schema *smithy.OperationSchema, types *smithy.TypeRegistry, response *smithyhttp.Response, out smithy.Deserializable) error {
	buffer := answers.Get().(*bytes.Buffer) //nolint:forcetypeassert // nothing else is put there
	defer func() {
		if buffer.Cap() <= maxPooledAnswer {
			buffer.Reset()
			answers.Put(buffer)
		}
	}()
	if length := response.ContentLength; length > 0 && length <= maxPooledAnswer {
		buffer.Grow(int(length) + bytes.MinRead)
	}
	if _, err := buffer.ReadFrom(response.Body); err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	checksum := response.Header.Get(checksumHeader)
	l, ok := ctx.Value(listingKey{}).(*listing)
	ok = ok && response.StatusCode == http.StatusOK
	if ok && l.same(checksum, buffer.Bytes()) {
		return nil
	}
	if err := verify(checksum, buffer.Bytes()); err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	if ok {
		if l.done = l.transcode(buffer.Bytes()); l.done {
			l.keep(checksum, buffer.Bytes())
			return nil
		}
		p.slow.Inc()
		middleware.GetLogger(ctx).Logf(logging.Warn, "the answer to a Scan is not in the form that is known, and is read the slow way")
	}
	body := response.Body
	defer func() { response.Body = body }() // the SDK closes it
	response.Body = io.NopCloser(bytes.NewReader(buffer.Bytes()))
	return p.ClientProtocol.DeserializeResponse(ctx, schema, types, response, out)
}

// checksumHeader has the CRC-32 (IEEE) of an answer's body, in decimal.
const checksumHeader = "X-Amz-Crc32"

func verify(checksum string, body []byte) error {
	if checksum == "" { // an emulator
		return nil
	}
	want, err := strconv.ParseUint(checksum, 10, 32)
	if err != nil {
		return fmt.Errorf("%s: %w", checksumHeader, err)
	}
	if got := crc32.ChecksumIEEE(body); uint64(got) != want {
		return corruptError{uint32(want), got}
	}
	return nil
}

// A corruptError is the error for an answer that was changed on its way. Whether a write took effect is not known, as with
// an answer that was lost.
type corruptError struct{ want, got uint32 }

func (e corruptError) Error() string {
	return fmt.Sprintf("the checksum of the answer is %d, and should be %d", e.got, e.want)
}

// RetryableError tells the SDK to call again.
func (corruptError) RetryableError() bool { return true }
