package bucket_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/user"
)

// Ensure nothing of an image can be read when Put has returned, by whoever was handed its body and goes on: the memory may
// hold another image by then.
func TestPutLetsGo(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"answered early": http.StatusOK, "refused early": http.StatusForbidden, "given up": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := awstest.Start(t)
			late := &lateReader{status: status}
			a.SDK.HTTPClient = late
			a.SDK.APIOptions = append(a.SDK.APIOptions, late.take)
			data := bytes.Repeat([]byte{1}, 1<<20)
			err := bucket.New(a.SDK, a.Config).Put(t.Context(), "user", "image", &user.Image{ContentType: "image/png", Data: data})
			assert.Equal(t, status != http.StatusOK, err != nil, "%v", err)
			copy(data, bytes.Repeat([]byte{2}, len(data)))

			require.NotEmpty(t, late.bodies)
			for _, body := range late.bodies {
				rest, _ := io.ReadAll(body)
				assert.False(t, bytes.Contains(rest, []byte{2}), "%d bytes were read late", len(rest))
			}
		})
	}
}

// A lateReader is a transport that has read the half of each body when its request ends, and keeps it.
type lateReader struct {
	status int // of every answer; 0: none comes
	bodies []io.Reader
}

func (l *lateReader) take(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("late", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		// Without the guard that smithy-go puts around it, on which nothing here relies.
		l.bodies = append(l.bodies, in.Request.(*smithyhttp.Request).GetStream())
		return next.HandleDeserialize(ctx, in)
	}), middleware.After)
}

func (l *lateReader) Do(r *http.Request) (*http.Response, error) {
	if _, err := io.CopyN(io.Discard, l.bodies[len(l.bodies)-1], r.ContentLength/2); err != nil {
		return nil, err
	}
	if l.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: l.status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Etag": {"etag"}}, Body: http.NoBody, Request: r}, nil
}

// Ensure each attempt of each of many uploads sends the bytes of its own image for as long as it sends any, also where the bucket
// answers in the middle of a body, or says nothing until the attempt is given up, and where the memory of an image holds
// another one as soon as Put has returned.
func TestPutSendsItsOwn(t *testing.T) {
	t.Parallel()
	const workers, each, size = 8, 25, 1 << 20
	a := awstest.Start(t)
	a.Config.RequestTimeout = 900 * time.Millisecond // a third of it for an attempt
	var err error
	a.SDK, err = awsclient.Load(t.Context(), a.Config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	a.SDK.Credentials = a.S3.Options().Credentials
	var attempts, whole, mixed atomic.Int64
	a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		own := &ownBytes{}
		defer func() {
			if own.mixed {
				mixed.Add(1)
			}
		}()
		n := attempts.Add(1) % 16
		if n == 1 || n == 5 || n == 9 {
			_, _ = io.CopyN(own, r.Body, size/8)
		}
		answers := http.NewResponseController(w)
		switch n {
		case 1, 5: // an answer while the rest is on its way, which is read on
			_ = answers.EnableFullDuplex()
			w.Header().Set("ETag", `"0"`)
			w.WriteHeader(map[int64]int{1: http.StatusServiceUnavailable, 5: http.StatusOK}[n])
			_ = answers.Flush()
		case 9: // silence, and what has been sent is read on
			time.Sleep(a.Config.RequestTimeout)
		}
		if read, err := io.Copy(own, r.Body); err == nil && read == size {
			whole.Add(1)
		}
		w.Header().Set("ETag", `"0"`)
	})
	avatars := bucket.New(a.SDK, a.Config)
	memory := make(chan []byte, workers)
	for range workers {
		memory <- make([]byte, size)
	}
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := range each {
				data := <-memory
				for at := 0; at < len(data); at += 8 {
					binary.LittleEndian.PutUint64(data[at:], uint64(worker*each+i))
				}
				_ = avatars.Put(t.Context(), "user", uuid.NewString(), &user.Image{ContentType: "image/png", Data: data})
				memory <- data
			}
		})
	}
	all.Wait()
	assert.Positive(t, whole.Load())
	assert.Zero(t, mixed.Load(), "of %d attempts", attempts.Load())
}

// ownBytes takes what consists of one number of 8 bytes, over and over.
type ownBytes struct {
	start []byte
	read  int
	mixed bool
}

func (o *ownBytes) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(o.start) < 8 {
			o.start = append(o.start, p[0])
			o.read, p = o.read+1, p[1:]
			continue
		}
		if len(o.start) < 4<<10 {
			o.start = bytes.Repeat(o.start[:8], (4<<10)/8)
		}
		want := o.start[o.read%8:]
		piece := p[:min(len(p), len(want))]
		o.mixed = o.mixed || !bytes.Equal(piece, want[:len(piece)])
		o.read, p = o.read+len(piece), p[len(piece):]
	}
	return n, nil
}
