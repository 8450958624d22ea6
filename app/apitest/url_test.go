//go:build url

package apitest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
)

// Ensure the API at API_URL, which others may be using, keeps its contract. PUBLIC_BASE_URL is the API's own setting.
func TestURL(t *testing.T) {
	t.Parallel()
	url := os.Getenv("API_URL")
	require.NotEmpty(t, url, "API_URL says where the API is")
	apitest.Run(t, url, apitest.Options{PublicURL: os.Getenv("PUBLIC_BASE_URL")})
}
