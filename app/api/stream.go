package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"

	"prima.internal/app/user"
)

// A list is the body of an answer with users: a page, and what a source has behind it. It is made while it is sent.
type list struct {
	server   *Server
	exchange *exchange
	url      string
	page     *page  // the first; nil once it has been sent and released
	source   source // nil where the page is the whole list
	memory   func() // gives back what has been set aside for a page at a time; nil while the page has it
	extra    func() // gives back what has been set aside beside that; may be nil
	began    bool   // the page is what chunk returned
	any      bool   // a user has been sent
	closing  bool   // chunk returned the last bracket, or has none to return
	pages    int64  // of the store

	rest []byte // what Read has not returned of a chunk
	sent int    // bytes
	err  error

	counted bool // as a stream
}

// count counts the list as one that is sent while it is read.
func (l *list) count() {
	l.counted = true
	source := "sequence"
	if _, ok := l.source.(*parallel); ok {
		source = "segments"
	}
	l.server.metrics.streams.WithLabelValues(source).Inc()
	l.server.metrics.streaming.Inc()
}

// A source reads the pages behind the first.
type source interface {
	// next returns a comma and users, nil behind the last page. What it returns is good until it is called again.
	next() ([]byte, error)
	// stop ends the reading, at any time.
	stop()
}

// chunk returns the next piece of the list, nil behind its end. It is good until the next call.
func (l *list) chunk() ([]byte, error) {
	if !l.began {
		l.began, l.pages = true, 1
		l.any = len(l.page.body) > 1
		l.closing = l.source == nil
		return l.page.body, nil
	}
	if l.closing {
		return nil, nil
	}
	if l.page != nil { // another may be read while this one waits for nobody
		l.page.release()
		l.page = nil
	}
	users, err := l.source.next()
	switch {
	case err != nil:
		return nil, err
	case users == nil:
		l.closing = true
		l.server.pages.Store(l.pages)
		return []byte{']'}, nil
	case !l.any:
		users = users[1:]
	}
	l.any = true
	return users, nil
}

// dispose gives back what the list has. The exchange does it.
func (l *list) dispose() {
	l.stop()
	if l.counted {
		l.server.metrics.streaming.Dec()
	}
	for _, release := range []func(){l.memory, l.extra} {
		if release != nil {
			release()
		}
	}
}

// stop ends the reading and gives back the page.
func (l *list) stop() {
	if l.source != nil {
		l.source.stop()
	}
	if l.page != nil {
		l.page.release()
		l.page = nil
	}
}

// SupportsBodyWriteTo tells fasthttp that WriteTo sends what Read would return.
func (l *list) SupportsBodyWriteTo() bool { return true }

// WriteTo sends the list, a page a write.
func (l *list) WriteTo(w io.Writer) (int64, error) {
	for {
		var chunk []byte
		if chunk, l.err = l.chunk(); l.err != nil || chunk == nil {
			// After an error the connection is closed without an end to the body: no client takes half a list for a whole one.
			return int64(l.sent), l.err
		}
		n, err := w.Write(chunk)
		l.sent += n
		if err != nil {
			l.err = err
			return int64(l.sent), err
		}
	}
}

// Read is WriteTo for those who would rather read.
func (l *list) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		if l.rest, l.err = l.chunk(); l.err != nil {
			return 0, l.err
		}
		if l.rest == nil {
			return 0, io.EOF
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	l.sent += n
	return n, nil
}

// Close is there for fasthttp to find CloseWithError.
func (l *list) Close() error { return nil }

// CloseWithError ends the exchange. err is what kept the answer from being written.
func (l *list) CloseWithError(err error) error {
	if l.err != nil {
		err = l.err
	}
	if err == nil && (!l.began || !l.closing || len(l.rest) > 0) {
		err = errors.New("the list was not sent to its end")
	}
	l.server.end(l.exchange, http.StatusOK, l.sent, err)
	return nil
}

// readOn reads a page of a list that is being sent, behind a comma. It waits for memory as long as a request may take.
func (l *list) readOn(parent context.Context, buffer *[]byte, q user.PageQuery) (user.Page, error) {
	ctx, cancel := context.WithTimeout(parent, l.server.config.RequestTimeout)
	defer cancel()
	budget := l.server.budget
	release, err := budget.reads.within(ctx, readFactor*budget.page.Load())
	if err != nil {
		return user.Page{}, err
	}
	defer release()
	p, err := l.server.directory.Page(ctx, append((*buffer)[:0], ','), l.url, q)
	if err != nil {
		return user.Page{}, err
	}
	*buffer = p.JSON
	budget.saw(len(p.JSON))
	return p, nil
}

// A sequence reads one page after the other.
type sequence struct {
	*list
	after  string
	buffer *[]byte
}

func (s *sequence) next() ([]byte, error) {
	if s.buffer == nil {
		s.buffer = takeBuffer()
	}
	for s.after != "" {
		p, err := s.readOn(s.exchange.context, s.buffer, user.PageQuery{After: s.after})
		if err != nil {
			return nil, err
		}
		s.pages++
		s.after = p.Next
		if p.Users > 0 {
			return p.JSON, nil
		}
	}
	return nil, nil
}

func (s *sequence) stop() {
	if s.buffer != nil {
		giveBuffer(s.buffer)
		s.buffer = nil
	}
}

// A parallel reads the segments of a list at the same time. Each has one page at a time: the next is read when that has been
// sent.
type parallel struct {
	*list
	after    string // where the first segment goes on
	segments int
	cancel   context.CancelFunc // nil until it has begun
	running  sync.WaitGroup
	parts    chan part
	sent     chan<- struct{} // of the latest part; nil if there is none
}

// A part is a page of a segment, or its end.
type part struct {
	users []byte // a comma and users; nil at the end of the segment
	pages int64  // read since the last part
	err   error
	sent  chan<- struct{} // asks for the next one
}

// newParallel returns the source of what is behind a page of segment 0. It begins to read when it is first asked: then the page is
// on its way.
func newParallel(l *list, n int) *parallel {
	return &parallel{list: l, after: l.page.next, segments: n, parts: make(chan part)}
}

func (p *parallel) begin() {
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(p.exchange.context)
	for i := range p.segments {
		q := user.PageQuery{Segment: i, Segments: p.segments}
		if i == 0 {
			if p.after == "" {
				continue
			}
			q.After = p.after
		}
		p.running.Go(func() { p.read(ctx, q) })
	}
	go func() {
		p.running.Wait()
		close(p.parts)
	}()
}

// read reads a segment to its end.
func (p *parallel) read(ctx context.Context, q user.PageQuery) {
	sent := make(chan struct{}, 1)
	send := func(next part) {
		next.sent = sent
		select {
		case p.parts <- next:
		case <-ctx.Done():
		}
	}
	defer func() {
		if r := recover(); r != nil {
			send(part{err: fmt.Errorf("panic: %v\n%s", r, debug.Stack())})
		}
	}()
	buffer := takeBuffer()
	defer giveBuffer(buffer)
	pages := int64(0)
	for {
		page, err := p.readOn(ctx, buffer, q)
		if err != nil {
			send(part{err: err})
			return
		}
		pages++
		if page.Users > 0 {
			send(part{users: page.JSON, pages: pages})
			pages = 0
			select {
			case <-sent:
			case <-ctx.Done():
				return
			}
		}
		if page.Next == "" {
			send(part{pages: pages})
			return
		}
		q.After = page.Next
	}
}

func (p *parallel) next() ([]byte, error) {
	if p.cancel == nil {
		p.begin()
	}
	if p.sent != nil {
		p.sent <- struct{}{}
		p.sent = nil
	}
	for part := range p.parts {
		p.pages += part.pages
		switch {
		case part.err != nil:
			return nil, part.err
		case part.users != nil:
			p.sent = part.sent
			return part.users, nil
		}
	}
	return nil, nil
}

func (p *parallel) stop() {
	if p.cancel != nil {
		p.cancel()
		p.running.Wait()
	}
}
