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
		if err := s.Avatars.Put(ctx, record.ID, record.AvatarID, draft.Avatar); err != nil {
			s.discardAfter(ctx, err, record.ID, record.AvatarID)
			return User{}, err
		}
	}

	existing, err := s.Users.Create(ctx, record)
	if err != nil && uncertain(err) {
		existing, err = s.resolve(ctx, record, err)
	}
	switch {
	case err != nil:
		if !uncertain(err) {
			s.discard(ctx, record.ID, record.AvatarID)
		}
		return User{}, err
	case existing == nil || *existing == record || draft.IdempotencyKey == "":
		// An existing record is that of an earlier attempt whose response was lost: without a key
		// nobody else has the id.
		return record.User, nil
	default:
		// Another request with the same key came first.
		s.discard(ctx, record.ID, record.AvatarID)
		return replay(existing, record)
	}
}

// resolve finds out whether a create whose response was lost took effect. It returns the record if
// it is there, and the cause otherwise.
func (s *Service) resolve(ctx context.Context, record Record, cause error) (*Record, error) {
	// The request's own time may be used up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	existing, err := s.Users.Get(ctx, record.ID)
	if err != nil {
		s.Log.WarnContext(ctx, "not known whether a user was created; its avatar is kept",
			"user", record.ID, "avatar", record.AvatarID, "error", err)
		return nil, cause
	}
	if existing == nil {
		// The write may still arrive, and its user then needs the image.
		return nil, cause
	}
	return existing, nil
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
	switch {
	case err != nil:
		return User{}, err
	case record == nil:
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
	if err != nil {
		return err
	}
	s.discard(ctx, id, before.AvatarID)
	return nil
}

// SetAvatar replaces the user's image and returns the user. NotFound; Changed also if the image
// changes meanwhile.
func (s *Service) SetAvatar(ctx context.Context, id string, image *Image, may Condition) (User, error) {
	// Store nothing for a user who does not exist.
	seen, expected, err := s.expect(ctx, id, may)
	if err != nil {
		return User{}, err
	}
	avatarID := uuid.NewString()
	if err := s.Avatars.Put(ctx, id, avatarID, image); err != nil {
		s.discardAfter(ctx, err, id, avatarID)
		return User{}, err
	}
	before, err := s.Users.SetAvatar(ctx, id, avatarID, expected)
	if err != nil && uncertain(err) {
		before, err = s.resolveAvatar(ctx, id, avatarID, seen, err)
	}
	if err != nil {
		if !uncertain(err) {
			s.discard(ctx, id, avatarID)
		}
		return User{}, err
	}
	if before.AvatarID == avatarID { // an earlier attempt took effect
		before.AvatarID = seen.AvatarID
	}
	s.discard(ctx, id, before.AvatarID)
	before.AvatarID, before.ForeignAvatarURL = avatarID, ""
	return before, nil
}

// expect returns the user, and the id of the image that the user must still have at the write; nil
// for any. NotFound, Changed.
func (s *Service) expect(ctx context.Context, id string, may Condition) (seen User, avatarID *string, err error) {
	seen, err = s.Get(ctx, id)
	if err != nil || may == nil {
		return seen, nil, err
	}
	if !may(seen.AvatarID) {
		err = ErrChanged
	}
	return seen, &seen.AvatarID, err
}

// resolveAvatar is resolve for SetAvatar.
func (s *Service) resolveAvatar(ctx context.Context, id, avatarID string, seen User, cause error) (User, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	now, err := s.Users.Get(ctx, id)
	switch {
	case err != nil:
		s.Log.WarnContext(ctx, "not known whether an avatar was replaced; both images are kept",
			"user", id, "avatar", avatarID, "error", err)
		return User{}, cause
	case now == nil:
		return User{}, ErrNoUser
	case now.AvatarID != avatarID:
		return User{}, cause // see resolve
	}
	return seen, nil
}

// RemoveAvatar removes the user's image or foreign link. NotFound, also if there is none; Changed
// as SetAvatar.
func (s *Service) RemoveAvatar(ctx context.Context, id string, may Condition) error {
	seen, expected, err := s.expect(ctx, id, may)
	if (err == nil || CodeOf(err) == Changed) && !seen.HasAvatar() {
		return ErrNoAvatar
	}
	if err != nil {
		return err
	}
	before, err := s.Users.SetAvatar(ctx, id, "", expected)
	if err != nil {
		return err
	}
	if !before.HasAvatar() { // an earlier attempt, or another request, has removed it
		before = seen
	}
	s.discard(ctx, id, before.AvatarID)
	return nil
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
		if err != nil {
			return nil, err
		}
		if u.AvatarID == "" {
			return nil, ErrNoAvatar
		}
		if u.AvatarID == missing {
			s.Log.ErrorContext(ctx, "the image that a user names is not in the bucket", "user", id, "avatar", missing)
			return nil, ErrNoAvatar
		}
		if !may(u.AvatarID) {
			return nil, nil
		}
		stored, err := open(ctx, id, u.AvatarID)
		if CodeOf(err) == NotFound {
			// It was replaced between the two reads, unless the user still names it.
			missing = u.AvatarID
			continue
		}
		return stored, err
	}
}

// discardAfter removes an image whose upload failed but may have arrived.
func (s *Service) discardAfter(ctx context.Context, err error, userID, avatarID string) {
	if uncertain(err) {
		s.discard(ctx, userID, avatarID)
	}
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
