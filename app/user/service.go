package user

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// cleanupTimeout bounds the read after a write with an unknown result, and the deletion of an
// image. Both have a context of their own, because the request's may have ended.
const cleanupTimeout = time.Second

// A Service creates, reads, changes and deletes users and their avatars. It is safe for concurrent
// use, also by several processes on the same stores.
//
// It stores an image before the item that refers to it, and deletes it after the item. A crash in
// between leaves an image that nobody can see, never a user without an image. It also keeps an
// image if the write that refers to it may still take effect. The [Sweeper] deletes what is left.
type Service struct {
	Users   Store
	Avatars Avatars
	Log     *slog.Logger // of images that it could not delete
}

// A Draft is a new user. Name and Email are the results of ParseName and ParseEmail.
type Draft struct {
	Name   string
	Email  string
	Avatar *Image // nil: none
	// IdempotencyKey makes equal drafts with the same key and caller one user; empty: none.
	IdempotencyKey, Caller string
}

// A Condition reports whether a request may proceed, given the id of the user's image, "" if there
// is none. A nil Condition allows every request.
type Condition func(avatarID string) bool

// A Patch changes the fields that are not nil.
type Patch struct {
	Name  *string
	Email *string
}

// Create adds a user and returns it. If the draft's idempotency key has created a user already,
// Create stores nothing and returns that user as created, or KeyReused if the content differs.
func (s *Service) Create(ctx context.Context, draft Draft) (User, error) {
	record := Record{User: User{Name: draft.Name, Email: draft.Email}}
	if draft.IdempotencyKey == "" {
		record.ID = uuid.NewString()
	} else {
		record.ID = keyedID(draft.Caller, draft.IdempotencyKey)
		record.Fingerprint = fingerprint(draft)
		// A repeated request must leave nothing in the bucket.
		existing, err := s.Users.Get(ctx, record.ID)
		if err != nil {
			return User{}, err
		}
		if existing != nil {
			return replay(existing, record)
		}
	}

	if draft.Avatar != nil {
		record.AvatarID = uuid.NewString()
		if draft.IdempotencyKey != "" {
			record.FirstAvatarID = record.AvatarID
		}
		if err := s.upload(ctx, record.ID, record.AvatarID, draft.Avatar); err != nil {
			return User{}, err
		}
	}

	existing, err := s.Users.Create(ctx, record)
	if cause := err; uncertain(cause) {
		existing, err = s.readBack(ctx, record.ID, record.AvatarID, cause)
		if err == nil && existing == nil {
			err = cause // the write may still arrive, and its user then needs the image
		}
	}
	switch {
	case uncertain(err):
		return User{}, err
	case err == nil && (existing == nil || *existing == record || draft.IdempotencyKey == ""):
		// An existing record is that of an earlier attempt whose response was lost: without a key
		// nobody else has the id.
		return record.User, nil
	}
	s.discard(ctx, record.ID, record.AvatarID)
	if err != nil {
		return User{}, err
	}
	return replay(existing, record) // another request with the same key came first
}

// readBack returns the record after a write that failed with cause and may have taken effect, nil
// if there is none. If it fails, the image of the write must be kept.
func (s *Service) readBack(ctx context.Context, id, avatarID string, cause error) (*Record, error) {
	// The request's own time may be used up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	record, err := s.Users.Get(ctx, id)
	if err != nil {
		s.Log.WarnContext(ctx, "not known whether a write took effect; its image is kept",
			"user", id, "avatar", avatarID, "error", err)
		return nil, &Error{Code: Unavailable, Uncertain: true, Err: cause}
	}
	return record, nil
}

// replay returns what the first of equal creates returned.
func replay(existing *Record, asked Record) (User, error) {
	if existing.Fingerprint != asked.Fingerprint {
		return User{}, errKeyReused
	}
	first := asked.User
	first.AvatarID = existing.FirstAvatarID
	return first, nil
}

// Get returns a user. NotFound.
func (s *Service) Get(ctx context.Context, id string) (User, error) {
	record, err := s.Users.Get(ctx, id)
	if err != nil {
		return User{}, err
	} else if record == nil {
		return User{}, ErrNoUser
	}
	return record.User, nil
}

// Page is [Store.Page].
func (s *Service) Page(ctx context.Context, dst []byte, usersURL string, q PageQuery) (Page, error) {
	return s.Users.Page(ctx, dst, usersURL, q)
}

// Update changes a user and returns the new state. NotFound.
func (s *Service) Update(ctx context.Context, id string, p Patch) (User, error) {
	if p == (Patch{}) {
		return s.Get(ctx, id)
	}
	return s.Users.Update(ctx, id, p)
}

// Delete removes a user and the avatar. NotFound.
func (s *Service) Delete(ctx context.Context, id string) error {
	// The image to delete if the response to the deletion is lost.
	seen, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	before, again, err := s.Users.Delete(ctx, id)
	if again && CodeOf(err) == NotFound {
		before, err = seen, nil
	}
	if err == nil {
		s.discard(ctx, id, before.AvatarID)
	}
	return err
}

// SetAvatar replaces the user's image and returns the user. NotFound; Changed also if the image
// changes meanwhile.
func (s *Service) SetAvatar(ctx context.Context, id string, image *Image, may Condition) (User, error) {
	seen, err := s.Get(ctx, id) // store nothing for a user who does not exist
	if err == nil && may != nil && !may(seen.AvatarID) {
		err = ErrChanged
	}
	if err != nil {
		return User{}, err
	}
	avatarID := uuid.NewString()
	if err := s.upload(ctx, id, avatarID, image); err != nil {
		return User{}, err
	}
	before, err := s.setAvatar(ctx, seen, avatarID, may)
	switch {
	case uncertain(err):
		return User{}, err
	case err != nil:
		s.discard(ctx, id, avatarID)
		return User{}, err
	}
	s.discard(ctx, id, before.AvatarID)
	before.AvatarID, before.ForeignAvatarURL = avatarID, ""
	return before, nil
}

// setAvatar sets the id of the image of a user who was seen, and returns the state before. With a
// condition the image must still be the one that was seen.
func (s *Service) setAvatar(ctx context.Context, seen User, avatarID string, may Condition) (User, error) {
	var expected *string
	if may != nil {
		expected = &seen.AvatarID
	}
	before, err := s.Users.SetAvatar(ctx, seen.ID, avatarID, expected)
	if cause := err; uncertain(cause) || CodeOf(cause) == Changed {
		now, err := s.readBack(ctx, seen.ID, avatarID, cause)
		switch {
		case err != nil:
			return User{}, err
		case now == nil:
			return User{}, ErrNoUser
		case now.AvatarID != avatarID:
			return User{}, cause // the write may still arrive, unless it was refused
		}
		return seen, nil
	}
	if before.AvatarID == avatarID { // an earlier attempt took effect
		before.AvatarID = seen.AvatarID
	}
	return before, err
}

// RemoveAvatar removes the user's image or foreign link. NotFound, also if there is none; Changed
// as SetAvatar.
func (s *Service) RemoveAvatar(ctx context.Context, id string, may Condition) error {
	seen, err := s.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case seen.AvatarID == "" && seen.ForeignAvatarURL == "":
		return ErrNoAvatar
	case may != nil && !may(seen.AvatarID):
		return ErrChanged
	}
	before, err := s.setAvatar(ctx, seen, "", may)
	if err == nil {
		s.discard(ctx, id, before.AvatarID)
	}
	return err
}

// Avatar opens the user's image, which the caller closes. With head it has no content. It returns
// nil if may is false, as for a client that has the image. NotFound.
func (s *Service) Avatar(ctx context.Context, id string, head bool, may Condition) (*StoredImage, error) {
	open, missing := s.Avatars.Get, ""
	if head {
		open = s.Avatars.Head
	}
	for {
		u, err := s.Get(ctx, id)
		if err == nil && u.AvatarID == missing {
			err = ErrNoAvatar
			if missing != "" {
				s.Log.ErrorContext(ctx, "the image that a user names is not in the bucket", "user", id, "avatar", missing)
			}
		}
		if err != nil || !may(u.AvatarID) {
			return nil, err
		}
		stored, err := open(ctx, id, u.AvatarID)
		if CodeOf(err) != NotFound {
			return stored, err
		}
		missing = u.AvatarID // it was replaced between the two reads, unless the user still names it
	}
}

// upload stores an image, and removes it if the upload failed but may have arrived.
func (s *Service) upload(ctx context.Context, userID, avatarID string, image *Image) error {
	err := s.Avatars.Put(ctx, userID, avatarID, image)
	if uncertain(err) {
		s.discard(ctx, userID, avatarID)
	}
	return err
}

// discard removes an image that no user names. A failure leaves an image that nobody can see.
func (s *Service) discard(ctx context.Context, userID, avatarID string) {
	if avatarID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err := s.Avatars.Delete(ctx, userID, avatarID); err != nil {
		s.Log.WarnContext(ctx, "an image that no user names stays in the bucket",
			"user", userID, "avatar", avatarID, "error", err)
	}
}
