package bucket

import (
	"bytes"
	"sync"
)

// An upload is the body of a PutObject: an image that is read for as long as the call lasts and not a moment longer.
// net/http may go on reading a request that has been answered, or given up, in a goroutine of its own
// ([net/http.RoundTripper]: "Callers should not mutate or reuse the request until the Response's Body has been closed";
// an attempt that was given up has none). Every access to the image is made here and under one lock, and ends with revoke, so that whoever
// owns the image may overwrite it then. It is safe for concurrent use.
type upload struct {
	mu     sync.Mutex
	reader bytes.Reader
}

func newUpload(data []byte) *upload {
	u := new(upload)
	u.reader.Reset(data)
	return u
}

// revoke ends the reading. It waits for a Read that has begun, which copies memory and nothing else.
//
// One who was in the middle gets [io.EOF], as from a body that smithy-go has closed: net/http misses the rest and drops
// the connection. One who had read all of it and looks for the end gets the same, and keeps the connection.
func (u *upload) revoke() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reader.Reset(nil)
}

// Read implements [io.Reader].
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.reader.Read(p)
}

// Seek implements [io.Seeker]. The SDK goes back to the start for each attempt.
func (u *upload) Seek(offset int64, whence int) (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.reader.Seek(offset, whence)
}
