package api

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/user"
)

// A page is the JSON of some users, on its way to one client or, unchanged, to many.
type page struct {
	body []byte // begins with a bracket, and ends with one unless next is set
	// next and more are as in [user.Page].
	next string
	more bool
	etag string // without quotes; of a whole answer

	reader *exchange         // that read it; only ever compared
	span   trace.SpanContext // of the read; invalid where nothing is traced

	buffer  *[]byte // that body is in; nil if it is of its own
	readers atomic.Int64
	memory  atomic.Pointer[func()] // gives back the memory that is set aside for it
}

// pageBuffers hold pages while they are made and sent: about a megabyte each.
var pageBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledPage is the largest buffer that is kept, in bytes.
const maxPooledPage = 4 << 20

func takeBuffer() *[]byte { return pageBuffers.Get().(*[]byte) } //nolint:forcetypeassert // nothing else is put there

func giveBuffer(buffer *[]byte) {
	if cap(*buffer) <= maxPooledPage {
		pageBuffers.Put(buffer)
	}
}

// newPage returns a page of one reader. It takes over the buffer.
func newPage(buffer *[]byte, body []byte, next string, more bool) *page {
	p := &page{body: body, next: next, more: more, buffer: buffer}
	*buffer = body[:0]
	if len(body) <= smallAnswer {
		// fasthttp sends what is small when nobody can tell any more when it has been sent.
		p.body, p.buffer = bytes.Clone(body), nil
		giveBuffer(buffer)
	}
	p.readers.Store(1)
	return p
}

// share makes it a page of n readers, of whom none has released it yet.
func (p *page) share(n int) {
	p.readers.Store(int64(n))
	if n == 0 {
		p.free()
	}
}

// holds makes memory, which has been set aside for the page, something that is given back with it.
func (p *page) holds(memory func()) { p.memory.Store(&memory) }

// takeMemory takes that over for one of the readers, nil if another has. The page is in memory still, and has its room in what each of
// those who read on sets aside.
func (p *page) takeMemory() (release func()) {
	if memory := p.memory.Swap(nil); memory != nil {
		return *memory
	}
	return nil
}

// release is called once by each reader, who does not look at the page after it.
func (p *page) release() {
	if p.readers.Add(-1) == 0 {
		p.free()
	}
}

func (p *page) free() {
	if p.buffer != nil {
		giveBuffer(p.buffer)
		p.body, p.buffer = nil, nil
	}
	if release := p.takeMemory(); release != nil {
		release()
	}
}

// seal gives a whole answer its entity tag, unless it has it: 64 bits of what it is made of.
func (p *page) seal() {
	if p.etag != "" {
		return
	}
	sum := xxhash.Sum64(p.body)
	if p.more { // the link to what follows is part of the answer
		sum = ^sum
	}
	p.etag = strconv.FormatUint(sum, 16)
}

// keptPages are pages as they were read last, by their names, with what the store had answered: where it answers that again,
// the page is not made again. It is asked each time, so that nothing old is sent.
type keptPages struct {
	mu    sync.Mutex
	pages map[string]*keptPage
}

// A keptPage belongs to who has taken it.
type keptPage struct {
	last user.Snapshot // which the page was made of
	page *page         // of no reader
}

// maxKeptPages bounds the memory of kept pages, of at most 64 KiB of JSON each and as much of the answer.
const maxKeptPages = 8

// take returns the page of a name, or one that can be kept.
func (k *keptPages) take(name string) *keptPage {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := k.pages[name]
	if kept == nil {
		return new(keptPage)
	}
	delete(k.pages, name)
	return kept
}

// keep keeps a page that was read with what take has returned, in the place of any other if there are too many. A page that is
// not small is not kept, nor is the beginning of a longer list.
func (k *keptPages) keep(name string, kept *keptPage, p *page) {
	if kept == nil || p.etag == "" || len(p.body) > smallAnswer || len(kept.last.Bytes) == 0 {
		return
	}
	if kept.page == nil || &kept.page.body[0] != &p.body[0] {
		kept.page = p.again()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pages == nil {
		k.pages = map[string]*keptPage{}
	}
	for other := range k.pages {
		if len(k.pages) < maxKeptPages {
			break
		}
		delete(k.pages, other)
	}
	k.pages[name] = kept
}

// again returns the same page, of one reader. What is sent of it is not copied, as it never changes.
func (p *page) again() *page {
	same := &page{body: p.body, next: p.next, more: p.more, etag: p.etag}
	same.readers.Store(1)
	return same
}

// readPage reads a page of the store. If it is all there is, it becomes a whole list.
func (s *Server) readPage(e *exchange, url string, q user.PageQuery) (made *page, err error) {
	parent, span := s.traceRead(e.context)
	defer func() { endRead(span, made, err) }()
	memory, err := s.budget.lists.take(s.budget.page.Load())
	if err != nil {
		return nil, err
	}
	var kept *keptPage
	if q.Segments <= 1 && q.After == "" {
		kept = s.kept.take(url)
		q.Last = &kept.last
	}
	p, err := s.makePage(parent, kept, func(ctx context.Context, dst []byte) (user.Page, error) {
		release, err := s.budget.reads.take(readFactor * s.budget.page.Load()) //nolint:contextcheck // it waits by itself, for a part of the request's time
		if err != nil {
			return user.Page{}, err
		}
		defer release()
		p, err := s.directory.Page(ctx, dst, url, q)
		if err != nil {
			return user.Page{}, err
		}
		if p.Unchanged {
			s.budget.saw(len(kept.page.body))
			return p, nil
		}
		s.budget.saw(len(p.JSON))
		if p.Next == "" && q.Segments <= 1 {
			p.JSON = append(p.JSON, ']')
		}
		return p, nil
	})
	if err != nil {
		memory()
		return nil, err
	}
	p.holds(memory)
	if p.next == "" {
		p.seal()
	}
	s.kept.keep(url, kept, p)
	p.reader = e
	return p, nil
}

// readPart reads at most limit users, as a whole list, and learns whether any follow.
func (s *Server) readPart(e *exchange, name, url string, limit int, after string) (made *page, err error) {
	parent, span := s.traceRead(e.context)
	defer func() { endRead(span, made, err) }()
	kept := s.kept.take(name)
	p, err := s.makePage(parent, kept, func(ctx context.Context, dst []byte) (user.Page, error) {
		release, err := s.budget.reads.take(int64(limit+1) * listedBytes) //nolint:contextcheck // as above
		if err != nil {
			return user.Page{}, err
		}
		defer release()
		p, err := s.appendPart(ctx, dst, url, limit, after, &kept.last)
		if err != nil || p.Unchanged {
			return p, err
		}
		p.JSON = append(p.JSON, ']')
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	if len(p.body) > smallAnswer {
		memory, err := s.budget.lists.take(int64(len(p.body)))
		if err != nil {
			p.release()
			return nil, err
		}
		p.holds(memory)
	}
	p.seal()
	s.kept.keep(name, kept, p)
	p.reader = e
	return p, nil
}

func (s *Server) appendPart(ctx context.Context, dst []byte, url string, limit int, after string, last *user.Snapshot) (user.Page, error) {
	whole := user.Page{JSON: dst, Next: after}
	for {
		begin := len(whole.JSON)
		if whole.Users > 0 {
			whole.JSON = append(whole.JSON, ',')
		}
		// Where the page is full and the store does not say whether any follow, one more is looked for.
		part, err := s.directory.Page(ctx, whole.JSON, url, user.PageQuery{After: whole.Next, Limit: max(limit-whole.Users, 1), Last: last})
		if err != nil || part.Unchanged {
			return part, err
		}
		if part.Users > 0 && whole.Users == limit {
			whole.JSON, whole.More = whole.JSON[:begin], true
			return whole, nil
		}
		if part.Users == 0 {
			part.JSON = part.JSON[:begin]
		}
		part.Users += whole.Users
		whole = part
		if whole.Next == "" || whole.More && whole.Users == limit {
			return whole, nil
		}
		if last != nil { // a change of what follows would not show in it
			last.Forget()
			last = nil
		}
	}
}

// makePage makes a page of what read appends to the opening bracket of a list. Where it finds that unchanged, it is the page
// that is kept.
func (s *Server) makePage(parent context.Context, kept *keptPage, read func(ctx context.Context, dst []byte) (user.Page, error)) (*page, error) {
	ctx, cancel := context.WithTimeout(parent, s.config.RequestTimeout)
	defer cancel()
	buffer := takeBuffer()
	p, err := read(ctx, append((*buffer)[:0], '['))
	if err != nil {
		giveBuffer(buffer)
		return nil, err
	}
	if p.Unchanged {
		giveBuffer(buffer)
		return kept.page.again(), nil
	}
	return newPage(buffer, p.JSON, p.Next, p.More), nil
}
