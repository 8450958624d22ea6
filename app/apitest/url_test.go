//go:build url

package apitest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
)

// Ensure the API at API_URL, which others may be using, passes the suite. PUBLIC_BASE_URL is the
// API's own setting. Where the API has ACCESS_TOKENS, API_TOKEN is one to read and write with, and
// API_READ_TOKEN and API_WRITE_TOKEN are those to do one of it with.
func TestURL(t *testing.T) {
	t.Parallel()
	url := os.Getenv("API_URL")
	require.NotEmpty(t, url, "API_URL says where the API is")
	apitest.Run(t, url, apitest.Options{
		PublicURL:  os.Getenv("PUBLIC_BASE_URL"),
		Token:      os.Getenv("API_TOKEN"),
		ReadToken:  os.Getenv("API_READ_TOKEN"),
		WriteToken: os.Getenv("API_WRITE_TOKEN"),
	})
}
