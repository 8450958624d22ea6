package api_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	people "prima.internal/app/pages"
)

// Ensure every file of the pages has a type and the same content with and without compression, and
// that everything but the pages is sandboxed.
func TestPages(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, f := range people.Files() {
		packed := s.do(t, http.MethodGet, f.Path, "", "Accept-Encoding", "gzip, deflate")
		assert.Equal(t, "gzip", packed.Header.Get("Content-Encoding"), f.Path)
		unpack, err := gzip.NewReader(strings.NewReader(packed.body))
		require.NoError(t, err)
		data, err := io.ReadAll(unpack)
		require.NoError(t, err)
		for _, accepted := range []string{"identity", "br", "gzip;q=0, identity", "*;q=0"} {
			plain := s.do(t, http.MethodGet, f.Path, "", "Accept-Encoding", accepted)
			assert.Empty(t, plain.Header.Get("Content-Encoding"), "%s %s", f.Path, accepted)
			assert.Equal(t, string(data), plain.body, f.Path)
			assert.Equal(t, packed.Header.Get("ETag"), plain.Header.Get("ETag"))
		}
		assert.NotEmpty(t, packed.Header.Get("Content-Type"), f.Path)
		isPage := strings.HasPrefix(packed.Header.Get("Content-Type"), "text/html")
		assert.Equal(t, !isPage, strings.Contains(packed.Header.Get("Content-Security-Policy"), "sandbox"), f.Path)
		again := s.do(t, http.MethodGet, f.Path, "", "If-None-Match", packed.Header.Get("ETag"))
		assert.Equal(t, http.StatusNotModified, again.StatusCode)
	}
}
