package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/apitest"
)

// Ensure an image that was acknowledged is what its own client sent, whatever shared its memory before and after: many clients
// upload at once, in both forms, to a bucket that answers some of them early and breaks off others.
func TestUploadsAreNotMixed(t *testing.T) {
	t.Parallel()
	const clients, each, size = 6, 12, 256 << 10
	s := start(t, nil)
	var calls atomic.Int64
	s.aws.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch calls.Add(1) % 10 {
		case 1: // refused in the middle of the body, which is read on
			_, _ = io.CopyN(io.Discard, r.Body, size/4)
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = http.NewResponseController(w).Flush()
			_, _ = io.Copy(io.Discard, r.Body)
		case 4: // broken off in the middle of the body
			_, _ = io.CopyN(io.Discard, r.Body, size/4)
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
	var all sync.WaitGroup
	var stored atomic.Int64
	for client := range clients {
		path := "/users/" + s.create(t) + "/avatar"
		all.Go(func() {
			for i := range each {
				image := apitest.PNGWith(bytes.Repeat(fmt.Appendf(nil, "client %d, image %d;", client, i), size/20))
				body, contentType := image, "image/png"
				if i%2 == 0 {
					contentType, body = apitest.Form(apitest.File("avatar", "a.png", image))
				}
				request, err := http.NewRequest(http.MethodPut, s.url+path, bytes.NewReader(body))
				if !assert.NoError(t, err) {
					return
				}
				request.Header.Set("Content-Type", contentType)
				response, err := http.DefaultTransport.RoundTrip(request)
				if !assert.NoError(t, err) {
					return
				}
				answer, _ := io.ReadAll(response.Body)
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode, "%s", answer)
					continue
				}
				stored.Add(1)
				got, err := s.send(http.MethodGet, path, nil)
				assert.NoError(t, err)
				assert.True(t, bytes.Equal(image, []byte(got.body)), "client %d, image %d is another: %s, %d bytes of %d: %.120q", client, i, got.Status, len(got.body), len(image), got.body)
			}
		})
	}
	all.Wait()
	assert.Positive(t, stored.Load())
}
