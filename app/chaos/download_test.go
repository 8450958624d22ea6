package chaos_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// Ensure a download breaks off in time if S3 fails in the middle of the image, and is a 503 if S3
// has sent only the header. Afterwards the image is served whole.
func TestDownloadBreaksOff(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for name, strike := range map[string]failure{
		"black hole": poisoned(blackHole...),
		"cut off":    poisoned(`{"type":"limit_data","attributes":{"bytes":1000}}`),
	} {
		for _, sent := range []int{0, size / 2} {
			t.Run(fmt.Sprint(name, " after ", sent), func(t *testing.T) {
				t.Parallel()
				s := start(t, func(c *config.Config) { c.RequestTimeout, c.WriteTimeout = requestTimeout, writeTimeout })
				path := s.create(t, newImage(size)) + "/avatar"
				flushed, struck := make(chan struct{}, 9), make(chan struct{})
				s.aws.Intercede("S3.GetObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					whole := httptest.NewRecorder()
					next.ServeHTTP(whole, r)
					maps.Copy(w.Header(), whole.Header())
					w.Header().Set("Content-Length", fmt.Sprint(whole.Body.Len()))
					_, _ = w.Write(whole.Body.Next(sent))
					_ = http.NewResponseController(w).Flush()
					flushed <- struct{}{}
					<-struck
					_, _ = w.Write(whole.Body.Bytes())
				})
				fail := func() {
					strike(t, s, onlyS3)
					close(struck)
				}
				if sent == 0 {
					go func() { <-flushed; fail() }()
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
				require.NoError(t, err)
				began := time.Now()
				got, err := s.http.RoundTrip(r)
				require.NoError(t, err)
				defer got.Body.Close()
				want := http.StatusServiceUnavailable
				if sent > 0 {
					want = http.StatusOK
					fail()
					_, err = io.Copy(io.Discard, got.Body)
					assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
				}
				assert.Equal(t, want, got.StatusCode)
				assert.LessOrEqual(t, time.Since(began), requestTimeout+writeTimeout+margin)
				s.heal(t, both)
				s.aws.Heal("S3.GetObject")
				await(t, "the image", func() bool {
					got := s.call(http.MethodGet, path, nil)
					return got.err == nil && got.status == http.StatusOK && len(got.body) >= size
				})
			})
		}
	}
}
