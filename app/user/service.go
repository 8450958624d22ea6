package user

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// cleanupTimeout bounds the removal of an image that nobody names any more, and the question what became of a
// write. They run on a context of their own: the request's may be what failed. What is not removed
// in time a [Sweeper] finds, so nobody waits long for it.
const cleanupTimeout = time.Second

// A Service keeps users and their avatars. It is safe for concurrent use, also by several
// processes on the same stores.
//
// The item of a user is the truth. An image is stored before the item that names it and removed
// after, so that a crash in between leaves an image that nobody can see, never a user without
// the image it names. Where a write may still take effect, its image is left too.
type Service struct {
	Users   Store
	Avatars Avatars
	// Log is told what could not be undone. It must not be nil.
	Log *slog.Logger
}

// A Draft is a user that is to be created. Name and Email are as ParseName and ParseEmail returned them.
type Draft struct {
	Name   string
	Email  string
	Avatar *Image // nil: none
	// IdempotencyKey, unless empty, makes the same draft with the same key one user.
	IdempotencyKey string
}

// A Patch changes what is not nil.
type Patch struct {
	Name  *string
	Email *string
}

// Create adds a user and returns it. A draft whose idempotency key made a user before returns
// that user as it was created, and stores nothing; KeyReused if the content differs.
func (s *Service) Create(ctx context.Context, draft Draft) (User, error) {
	record := Record{User: User{Name: draft.Name, Email: draft.Email}}
	if draft.IdempotencyKey == "" {
		record.ID = uuid.NewString()
	} else {
		record.ID = keyedID(draft.IdempotencyKey)
		record.Fingerprint = fingerprint(draft)
		// Asked before the image is stored: a repeated request must leave nothing in the bucket.
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
	case existing == nil || *existing == record:
		// The second is our own write, met again by a retry whose first answer was lost.
		return record.User, nil
	default:
		// Another request with the same key was faster.
		s.discard(ctx, record.ID, record.AvatarID)
		return replay(existing, record)
	}
}

// resolve finds out whether a create took effect whose answer never came. It returns what
// Store.Create would have; the cause, as uncertain as it was, unless the record is there.
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
		// As it is now. The write may be on its way still, held up by the network, and then its user
		// must find the image.
		return nil, cause
	}
	return existing, nil
}

// replay answers a repeated create with what the first one was answered.
func replay(existing *Record, asked Record) (User, error) {
	if existing.Fingerprint != asked.Fingerprint || asked.Fingerprint == "" {
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

// Update changes a user and returns it as it then is. NotFound.
func (s *Service) Update(ctx context.Context, id string, p Patch) (User, error) {
	if p == (Patch{}) {
		return s.Get(ctx, id)
	}
	return s.Users.Update(ctx, id, p)
}

// Delete removes a user and the avatar. NotFound.
func (s *Service) Delete(ctx context.Context, id string) error {
	// Read first: should the answer to the delete be lost, this still tells which image to remove.
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

// SetAvatar replaces the user's image and returns the user. NotFound.
func (s *Service) SetAvatar(ctx context.Context, id string, image *Image) (User, error) {
	// Read first: nothing is stored for a user who does not exist.
	seen, err := s.Get(ctx, id)
	if err != nil {
		return User{}, err
	}
	avatarID := uuid.NewString()
	if err := s.Avatars.Put(ctx, id, avatarID, image); err != nil {
		s.discardAfter(ctx, err, id, avatarID)
		return User{}, err
	}
	before, err := s.Users.SetAvatar(ctx, id, avatarID)
	if err != nil && uncertain(err) {
		before, err = s.resolveAvatar(ctx, id, avatarID, seen, err)
	}
	if err != nil {
		if !uncertain(err) {
			s.discard(ctx, id, avatarID)
		}
		return User{}, err
	}
	if before.AvatarID == avatarID { // a retry met its own write; what was there before is what was read
		before.AvatarID = seen.AvatarID
	}
	s.discard(ctx, id, before.AvatarID)
	before.AvatarID, before.ForeignAvatarURL = avatarID, ""
	return before, nil
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
		return User{}, cause // as it is now: see resolve
	}
	return seen, nil
}

// RemoveAvatar removes the user's image or foreign link. NotFound if there is no user or nothing to remove.
func (s *Service) RemoveAvatar(ctx context.Context, id string) error {
	seen, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if !seen.HasAvatar() {
		return ErrNoAvatar
	}
	before, err := s.Users.SetAvatar(ctx, id, "")
	if err != nil {
		return err
	}
	if !before.HasAvatar() { // a retry met its own write, or somebody else removed it meanwhile
		before = seen
	}
	s.discard(ctx, id, before.AvatarID)
	return nil
}

// Avatar opens the user's image; the caller closes it. current is called with the image's id first and may
// decline to have it opened, as a cache that holds it does; then the image returned is nil. NotFound.
func (s *Service) Avatar(ctx context.Context, id string, current func(avatarID string) (open bool)) (*StoredImage, error) {
	missing := ""
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
		if !current(u.AvatarID) {
			return nil, nil
		}
		stored, err := s.Avatars.Get(ctx, id, u.AvatarID)
		if CodeOf(err) == NotFound {
			// Replaced between the two reads, unless the user still names it.
			missing = u.AvatarID
			continue
		}
		return stored, err
	}
}

// discardAfter removes an image whose upload failed, if any of it can have arrived.
func (s *Service) discardAfter(ctx context.Context, err error, userID, avatarID string) {
	if uncertain(err) {
		s.discard(ctx, userID, avatarID)
	}
}

// discard removes an image that no user names. A failure is not the caller's: it leaves an image
// that nobody can see.
func (s *Service) discard(ctx context.Context, userID, avatarID string) {
	if avatarID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err := s.Avatars.Delete(ctx, userID, avatarID); err != nil {
		s.Log.WarnContext(ctx, "an image that no user names stays in the bucket", "user", userID, "avatar", avatarID, "error", err)
	}
}
