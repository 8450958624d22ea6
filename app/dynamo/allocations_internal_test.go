//go:build !race

package dynamo

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Ensure the number of allocations of a page does not depend on the number of its users.
func TestAllocationsOfAPage(t *testing.T) { //nolint:paralleltest // what others allocate would be counted
	for _, n := range []int{0, perPage} {
		assert.LessOrEqual(t, testing.AllocsPerRun(20, readPage(t, cannedPage(n))), 600.0, "%d users", n)
	}
}
