package user

import (
	"context"
	"io"
)

// A Record is a stored user, with two fields for idempotency keys that no client sees.
type Record struct {
	User
	// Fingerprint identifies the content of the request that created the user; empty without an
	// idempotency key.
	Fingerprint string
	// FirstAvatarID is the first AvatarID. A repeated request gets it even if the image was replaced.
	FirstAvatarID string
}

// A Store stores records. Every error is an [*Error]: Unavailable if a retry may succeed, otherwise
// Internal, unless a method says more. Uncertain is set if a failed write may have taken effect.
type Store interface {
	// Create adds a record. If its id is taken, it changes nothing and returns the existing record.
	Create(ctx context.Context, r Record) (existing *Record, err error)
	// Get returns the record, strongly consistent; nil if there is none.
	Get(ctx context.Context, id string) (*Record, error)
	// Update changes the fields that are not nil and returns the new state. NotFound.
	Update(ctx context.Context, id string, p Patch) (User, error)
	// SetAvatar sets the user's image, "" for none, removes a foreign link, and returns the previous
	// state. NotFound. If expected is not nil, it is Changed instead, also for another current image.
	// Either may be the work of an earlier attempt.
	SetAvatar(ctx context.Context, id, avatarID string, expected *string) (before User, err error)
	// Delete removes the user and returns its last state. NotFound. again is true if the call was
	// retried, so that NotFound may mean that an earlier attempt succeeded.
	Delete(ctx context.Context, id string) (before User, again bool, err error)
	// Page appends users to dst as [User.AppendJSON] writes them, separated by commas. The order is
	// stable as long as nobody writes.
	Page(ctx context.Context, dst []byte, usersURL string, q PageQuery) (Page, error)
}

// A PageQuery selects the users of a page.
type PageQuery struct {
	After string // id of the last user of the page before, who may be gone; "" for the first page
	Limit int    // most users; 0: as many as the store reads at once
}

// A Page is part of the list of users.
type Page struct {
	JSON  []byte // dst with the users appended
	Users int    // may be 0 although more follow, if the query had no limit
	Next  string // PageQuery.After of the next page; "" if no users follow
}

// Avatars stores images. Its errors are those of a [Store].
type Avatars interface {
	// Put stores an image.
	Put(ctx context.Context, userID, avatarID string, image *Image) error
	// Get opens an image; the caller closes it. NotFound.
	Get(ctx context.Context, userID, avatarID string) (*StoredImage, error)
	// Head is Get without the content of the image.
	Head(ctx context.Context, userID, avatarID string) (*StoredImage, error)
	// Delete removes an image. A missing image is no error.
	Delete(ctx context.Context, userID, avatarID string) error
}

// A StoredImage is an image that is being read from the store.
type StoredImage struct {
	io.ReadCloser
	ContentType string
	Size        int64 // bytes
}
