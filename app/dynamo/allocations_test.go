//go:build !race

package dynamo_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/user"
)

// Ensure a page costs as many allocations as a call of the SDK does, however many users are on it.
func TestAllocationsOfAPage(t *testing.T) { //nolint:paralleltest // what others allocate would be counted
	const most = 600
	for _, n := range []int{0, 100, perPage} {
		users := ours(t, cannedPage(n))
		buffer := make([]byte, 0, 1<<20)
		allocations := testing.AllocsPerRun(20, func() {
			p, err := users.Page(t.Context(), buffer[:0], usersURL, user.PageQuery{})
			assert.NoError(t, err)
			assert.Equal(t, n, p.Users)
		})
		t.Logf("figure: a page of %d users: %.0f allocations", n, allocations)
		assert.LessOrEqual(t, allocations, float64(most))
	}
}
