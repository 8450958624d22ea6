package api

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/user"
)

// Ensure a kept page is one taker's until that has kept it again, and that no more are kept than may be.
func TestKeptPages(t *testing.T) {
	t.Parallel()
	var k keptPages
	read := func(name string) *keptPage {
		kept := k.take(name)
		kept.last = user.Snapshot{Bytes: []byte(name)}
		p := pageOf(name)
		p.seal()
		k.keep(name, kept, p)
		return kept
	}
	for i := range 3 * maxKeptPages {
		name := fmt.Sprint(i)
		kept := read(name)
		assert.Len(t, k.pages, min(i+1, maxKeptPages))
		assert.Same(t, kept, k.take(name))
		assert.Empty(t, k.take(name).last.Bytes, "it is taken")
		k.keep(name, kept, kept.page.again())
		assert.Same(t, kept, k.pages[name])
	}
}

// Ensure what is no whole list, is not small, or is not known to the store any more, is not kept.
func TestPagesThatAreNotKept(t *testing.T) {
	t.Parallel()
	known := user.Snapshot{Bytes: []byte("answer")}
	for name, test := range map[string]struct {
		last   user.Snapshot
		page   *page
		sealed bool
		kept   bool
	}{
		"a whole list":    {known, pageOf("[]"), true, true},
		"not known":       {user.Snapshot{}, pageOf("[]"), true, false},
		"a part":          {known, pageOf("["), false, false},
		"as large as can": {known, &page{body: bytes.Repeat([]byte("x"), smallAnswer)}, true, true},
		"larger":          {known, &page{body: bytes.Repeat([]byte("x"), smallAnswer+1)}, true, false},
	} {
		var k keptPages
		kept := k.take("")
		kept.last = test.last
		if test.sealed {
			test.page.seal()
		}
		k.keep("", kept, test.page)
		assert.Len(t, k.pages, map[bool]int{true: 1}[test.kept], name)
	}
}

// Ensure a kept page is sent as it was to each of its readers, and that none of them gives it back.
func TestKeptPageAgain(t *testing.T) {
	t.Parallel()
	p := pageOf("[]")
	p.next, p.more = "key", true
	p.seal()
	for range 3 {
		same := p.again()
		same.share(2)
		same.release()
		same.release()
		require.Equal(t, "[]", string(same.body))
		assert.Equal(t, []any{p.etag, p.next, p.more}, []any{same.etag, same.next, same.more})
	}
}
