package user

import (
	"context"
	"io"
)

// A Record is what a store keeps of a user: the user, and what the promise of an idempotency key
// needs. The latter is never shown.
type Record struct {
	User
	// Fingerprint identifies the content that the user was created with; empty unless an
	// idempotency key came with it.
	Fingerprint string
	// FirstAvatarID is the AvatarID that the user was created with, so that a repeated request gets
	// the first answer also when the image has been replaced since.
	FirstAvatarID string
}

// A Store keeps the records. Every error is an [*Error]: Unavailable where a later try may
// succeed, Internal otherwise, unless a method says more. Writes that may have taken effect
// although they failed say so in Uncertain.
type Store interface {
	// Create adds a record if its id is free. If it is not, it changes nothing and returns the
	// record that is there.
	Create(ctx context.Context, r Record) (existing *Record, err error)
	// Get returns the record as the last finished write left it, nil if there is none.
	Get(ctx context.Context, id string) (*Record, error)
	// Update changes the fields that are not nil and returns the user as it then is. NotFound.
	Update(ctx context.Context, id string, p Patch) (User, error)
	// SetAvatar makes avatarID the user's image, "" none, drops a foreign link, and returns the
	// user as it was before. NotFound.
	SetAvatar(ctx context.Context, id, avatarID string) (before User, err error)
	// Delete removes the user and returns it as it was. NotFound. again is set where the call was
	// repeated on the way, so that NotFound may be the echo of its own success.
	Delete(ctx context.Context, id string) (before User, again bool, err error)
	// Page appends users to dst as [User.AppendJSON] writes them, with commas between and none around, in
	// an order that stays the same while nobody writes. usersURL is as there.
	Page(ctx context.Context, dst []byte, usersURL string, q PageQuery) (Page, error)
}

// A PageQuery says which users a page is to have.
type PageQuery struct {
	// After is the id that the page follows, "" for the first page. Its user need not exist any more.
	After string
	// Limit is the most users; 0: as many as the store gives at once.
	Limit int
	// Segment, from 0, of Segments: parts of all users that can be read at the same time. Segments 0 is all
	// of them. After must be of the same part.
	Segment, Segments int
	// Last may be the snapshot that the latest query left with the same URL, After, Limit and segment. Where the page would
	// be the one of that query, it is not made: see Unchanged. It is left as the next such query needs it; after the
	// call the store does not look at it any more.
	Last *Snapshot
}

// A Snapshot is what a store read for a page, as it came, by which it finds out whether that has changed. The zero value is of no
// page; a store that cannot tell leaves that.
type Snapshot struct {
	Bytes    []byte
	Checksum string
}

// Forget makes it one of no page, and keeps its memory.
func (s *Snapshot) Forget() { s.Bytes, s.Checksum = s.Bytes[:0], "" }

// A Page is some users in the form that clients see. It may be empty and not be the last.
type Page struct {
	JSON  []byte // with what was there before
	Users int
	// Next is what to pass as After for the following page, "" behind the last one.
	Next string
	// More is set where at least one user is known to follow; without it, a Next may lead to an empty end.
	More bool
	// Unchanged is set where the page is that of the query that left [PageQuery.Last], and then nothing else is: JSON has
	// what was there before.
	Unchanged bool
}

// Avatars keeps the images. Every error is an [*Error], as with [Store].
type Avatars interface {
	// Put stores an image under the ids of a user and of the image. When it has returned, with an error or
	// without, nothing reads the image's Data any more: its owner may use the memory again.
	Put(ctx context.Context, userID, avatarID string, image *Image) error
	// Get opens an image; the caller closes it. NotFound.
	Get(ctx context.Context, userID, avatarID string) (*StoredImage, error)
	// Delete removes an image; one that is not there is no error.
	Delete(ctx context.Context, userID, avatarID string) error
}

// A StoredImage is an image on its way from the store.
type StoredImage struct {
	io.ReadCloser
	ContentType string
	Size        int64 // bytes
}
