package dynamo

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

// perPage is how many users of 260 bytes are in the megabyte of a page.
const perPage = 3000

func cannedPage(users int) canned {
	item := `{"email":{"S":"user@example.com"},"avatar_id":{"S":"10000000-0000-4000-8000-000000000001"},` +
		`"id":{"S":"00000000-0000-4000-8000-000000000001"},"name":{"S":"` + strings.Repeat("n", 120) + `"}}`
	return canned(`{"Items":[` + strings.Join(slices.Repeat([]string{item}, users), ",") + `]}`)
}

// readPage returns a function that reads the page as the API does.
func readPage(t testing.TB, response canned) func() {
	t.Helper()
	cfg := aws.Config{Region: "us-east-1", HTTPClient: response, Credentials: aws.AnonymousCredentials{}}
	users := New(cfg, config.Default())
	buffer := make([]byte, 0, 1<<20)
	return func() {
		_, err := users.Page(t.Context(), buffer[:0], testURL, user.PageQuery{})
		require.NoError(t, err)
	}
}

// BenchmarkPage makes a response with 3,000 users the JSON that clients see, as the API does and by
// way of the SDK.
func BenchmarkPage(b *testing.B) {
	response := cannedPage(perPage)
	for by, work := range map[string]func(){
		"prima-api": readPage(b, response),
		"SDK": func() {
			_, err := theSDK(response, "[", 0)
			require.NoError(b, err)
		},
	} {
		b.Run("by="+by, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(response)))
			for b.Loop() {
				work()
			}
		})
	}
}
