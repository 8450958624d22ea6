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
	// the first response also if the image has been replaced since.
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
	// user as it was before. NotFound; Changed unless the image is *expected, if that is not nil.
	SetAvatar(ctx context.Context, id, avatarID string, expected *string) (before User, err error)
	// Delete removes the user and returns it as it was. NotFound. again is set where the call was
	// repeated on the way, so that NotFound may be the echo of its own success.
	Delete(ctx context.Context, id string) (before User, again bool, err error)
	// Page appends users to dst as [User.AppendJSON] writes them, separated by commas, in an order
	// that stays the same while nobody writes. usersURL is as there.
	Page(ctx context.Context, dst []byte, usersURL string, q PageQuery) (Page, error)
}

// A PageQuery selects the users of a page.
type PageQuery struct {
	After string // id of the last user of the page before, who may be gone; "" for the first page
	Limit int    // most users; 0: as many as the store reads at once
}

// A Page is some users as clients see them.
type Page struct {
	JSON  []byte // what Store.Page was given, and the users behind it
	Users int    // may be 0 although more follow, if the query had no limit
	Next  string // PageQuery.After of the next page; "" if no users follow
}

// Avatars keeps the images. Every error is an [*Error], as with [Store].
type Avatars interface {
	// Put stores an image under the ids of a user and of the image.
	Put(ctx context.Context, userID, avatarID string, image *Image) error
	// Get opens an image; the caller closes it. NotFound.
	Get(ctx context.Context, userID, avatarID string) (*StoredImage, error)
	// Head is Get without the content of the image.
	Head(ctx context.Context, userID, avatarID string) (*StoredImage, error)
	// Delete removes an image; one that is not there is no error.
	Delete(ctx context.Context, userID, avatarID string) error
}

// A StoredImage is an image on its way from the store.
type StoredImage struct {
	io.ReadCloser
	ContentType string
	Size        int64 // bytes
}
