package user

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Sweeper removes images that no user names: what a crash between an image and its user leaves.
type Sweeper struct {
	Users interface {
		// AvatarIDs returns, by the ids of users, the ids of the images that they name, as the last
		// finished writes left them. Users without an image and ids of nobody are not in it.
		AvatarIDs(ctx context.Context, users []string) (map[string]string, error)
	}
	Avatars interface {
		// List calls each with the images in the bucket, a part at a time, in the order of their users.
		List(ctx context.Context, each func([]ListedImage) error) error
		Delete(ctx context.Context, userID, avatarID string) error
	}
	// Log is told of every image that is removed. It must not be nil.
	Log *slog.Logger
}

// A ListedImage is an image in the bucket.
type ListedImage struct {
	UserID, AvatarID string
	Stored           time.Time
}

// SweepMargin returns how old an image must at least be before a sweep may look at it, where
// requests take at most requestTimeout: younger ones may be of a request that has not come to its user.
// The clocks of S3 and of the sweep may differ by half of it.
func SweepMargin(requestTimeout time.Duration) time.Duration {
	return 2 * (requestTimeout + cleanupTimeout)
}

// A Swept is what a sweep found, in numbers of images.
type Swept struct {
	Seen    int // in the bucket
	Young   int // of them, stored too late to be judged
	Orphans int // of them, named by no user
	Removed int
}

// Of more orphans than this, more than half of all judged is taken for a mistake.
const fewOrphans = 10

// ErrTooManyOrphans is in the chain of the error of a sweep that has removed nothing, because it would
// have removed most of the images: the table is more likely not the one that they belong to.
var ErrTooManyOrphans = errors.New("most images are named by no user")

// Find returns the images that were stored before a time and that no user names.
func (s *Sweeper) Find(ctx context.Context, before time.Time) ([]ListedImage, Swept, error) {
	var (
		orphans []ListedImage
		swept   Swept
	)
	err := s.Avatars.List(ctx, func(listed []ListedImage) error {
		var old []ListedImage
		var users []string
		for _, image := range listed {
			swept.Seen++
			if !image.Stored.Before(before) {
				swept.Young++
				continue
			}
			old = append(old, image)
			if len(users) == 0 || users[len(users)-1] != image.UserID {
				users = append(users, image.UserID)
			}
		}
		named, err := s.Users.AvatarIDs(ctx, users)
		if err != nil {
			return err
		}
		for _, image := range old {
			if named[image.UserID] != image.AvatarID {
				orphans = append(orphans, image)
			}
		}
		return nil
	})
	swept.Orphans = len(orphans)
	return orphans, swept, err
}

// Sweep removes the images that were stored before a time and that no user names. Unless forced, it
// removes nothing where that would be most of them: ErrTooManyOrphans.
func (s *Sweeper) Sweep(ctx context.Context, before time.Time, force bool) (Swept, error) {
	orphans, swept, err := s.Find(ctx, before)
	if err != nil {
		return swept, err
	}
	if judged := swept.Seen - swept.Young; !force && len(orphans) > fewOrphans && len(orphans) > judged/2 {
		return swept, fmt.Errorf("%w: %d of %d", ErrTooManyOrphans, len(orphans), judged)
	}
	for _, image := range orphans {
		if err := s.Avatars.Delete(ctx, image.UserID, image.AvatarID); err != nil {
			return swept, err
		}
		swept.Removed++
		s.Log.InfoContext(ctx, "removed an image that no user names",
			"user", image.UserID, "avatar", image.AvatarID, "stored", image.Stored)
	}
	return swept, nil
}
