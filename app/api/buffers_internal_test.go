package api

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// Ensure what is given back is lent again, to one who needs about as much.
func TestBuffersAreUsedAgain(t *testing.T) {
	t.Parallel()
	b := buffers{limit: 8 << 20}
	first := b.take(1 << 20)
	assert.GreaterOrEqual(t, cap(first), 1<<20)
	b.give(append(first, 1, 2, 3))
	again := b.take(1<<20 - 100)
	assert.Empty(t, again)
	assert.Same(t, &first[:1][0], &again[:1][0])
	assert.NotSame(t, &first[:1][0], &b.take(1 << 20)[:1][0], "it is lent once at a time")
	assert.Less(t, cap(b.take(10)), 8<<10, "a small one is not given a large one")
}

// Ensure what is lent and what is kept stay within the limit together, whatever the sizes that are asked for.
func TestBuffersKeepTheirLimit(t *testing.T) {
	t.Parallel()
	const limit = 10 << 20
	b := buffers{limit: limit}
	for round := range 50 {
		size := int64(64<<10) << (round % 6)
		var lent [][]byte
		for total := int64(0); total+bufferSize(size) <= limit; total += bufferSize(size) {
			lent = append(lent, b.take(size))
			assert.LessOrEqual(t, b.lent+b.bytes, int64(limit))
		}
		for _, memory := range lent {
			b.give(memory)
			assert.LessOrEqual(t, b.lent+b.bytes, int64(limit))
		}
		assert.Zero(t, b.lent)
		assert.Positive(t, b.bytes)
	}
	b.give(b.take(2 * limit)) // more than there may be is lent and not kept
	assert.Zero(t, b.lent)
	assert.LessOrEqual(t, b.bytes, int64(limit))
}

// Ensure what nobody needs is let go after a while, and what is in use is not.
func TestBuffersAreLetGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := buffers{limit: 10 << 20}
		first, second := b.take(1<<20), b.take(1<<20)
		b.give(first)
		time.Sleep(bufferTime / 2)
		b.give(second)
		size := bufferSize(1 << 20)
		time.Sleep(bufferTime/2 + 1)
		synctest.Wait()
		assert.Equal(t, size, b.bytes)
		lent := b.take(1 << 20)
		time.Sleep(2 * bufferTime)
		synctest.Wait()
		assert.Zero(t, b.bytes)
		assert.Equal(t, size, b.lent)
		b.give(lent)
		time.Sleep(bufferTime + 1)
		synctest.Wait()
		assert.Empty(t, b.kept)
	})
}

// Ensure a buffer holds what it was asked for, and at most an eighth and 4 KiB more.
func TestBufferSize(t *testing.T) {
	t.Parallel()
	for n := int64(1); n < 1<<27; n += 1 + n/7 {
		size := bufferSize(n)
		assert.GreaterOrEqual(t, size, n)
		assert.LessOrEqual(t, size, n+n/8+4<<10, n)
		assert.Equal(t, size, bufferSize(size))
	}
}
