package api

import (
	"math/bits"
	"slices"
	"sync"
	"time"
)

// bufferTime is how long a buffer is kept that nobody needs: longer than the pauses of a client that sends one
// upload after the other, shorter than anybody takes to ask what holds the memory.
const bufferTime = 5 * time.Second

// buffers lends memory for uploads and keeps what comes back for the next ones, so that uploads leave no garbage. What is lent and
// what is kept are together at most limit bytes, unless more is lent than that. It is safe for concurrent use.
type buffers struct {
	limit int64

	mu    sync.Mutex
	kept  []keptBuffer // in the order in which they came back
	bytes int64        // of the kept ones
	lent  int64        // bytes
}

type keptBuffer struct {
	memory []byte
	since  time.Time
}

// take lends memory of length 0 for at least n bytes, with an arbitrary content behind that. It must be given back by give, and
// only when nothing reads or writes it any more; what is not is left to the garbage collector.
func (b *buffers) take(n int64) []byte {
	size := bufferSize(n)
	if memory := b.reuse(size); memory != nil {
		return memory
	}
	return make([]byte, 0, size)
}

// sizes returns how much is lent and how much is kept, in bytes.
func (b *buffers) sizes() (lent, kept int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lent, b.bytes
}

// reuse returns nil if no buffer of the size is kept.
func (b *buffers) reuse(size int64) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lent += size
	for i, k := range slices.Backward(b.kept) {
		if int64(cap(k.memory)) == size {
			b.drop(i, i+1)
			return k.memory
		}
	}
	for len(b.kept) > 0 && b.lent+b.bytes > b.limit {
		b.drop(0, 1)
	}
	return nil
}

// give takes memory back that take lent, of whatever length it is now.
func (b *buffers) give(memory []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := int64(cap(memory))
	b.lent -= size
	if b.lent+b.bytes+size > b.limit {
		return
	}
	if len(b.kept) == 0 {
		time.AfterFunc(bufferTime, b.age)
	}
	b.kept = append(b.kept, keptBuffer{memory[:0], time.Now()})
	b.bytes += size
}

// age lets go what has been kept for long enough.
func (b *buffers) age() {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := 0
	for old < len(b.kept) && time.Since(b.kept[old].since) >= bufferTime {
		old++
	}
	b.drop(0, old)
	if len(b.kept) > 0 {
		time.AfterFunc(bufferTime-time.Since(b.kept[0].since), b.age)
	}
}

func (b *buffers) drop(from, to int) {
	for _, k := range b.kept[from:to] {
		b.bytes -= int64(cap(k.memory))
	}
	b.kept = slices.Delete(b.kept, from, to)
}

// bufferSize returns the size of the buffer that n bytes are read into: n or up to an eighth more, in steps of at least 4 KiB, so that
// uploads of about the same size use the same buffers.
func bufferSize(n int64) int64 {
	step := int64(4 << 10)
	if width := bits.Len64(uint64(max(n, 1))); width > 15 {
		step = 1 << (width - 4)
	}
	return (max(n, 1) + step - 1) / step * step
}
