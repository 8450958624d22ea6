package user

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// A Sweeper deletes images that no user refers to, which a crash during a write leaves behind.
type Sweeper struct {
	Users interface {
		// AvatarIDs maps the ids of users to those of their images, strongly consistent. Users
		// without an image and unknown ids are missing from it.
		AvatarIDs(ctx context.Context, users []string) (map[string]string, error)
	}
	Avatars interface {
		// List calls each with batches of the images in the bucket, ordered by user.
		List(ctx context.Context, each func([]ListedImage) error) error
		Delete(ctx context.Context, userID, avatarID string) error
	}
	Log *slog.Logger // gets a line for each deleted image
}

// A ListedImage is an image in the bucket.
type ListedImage struct {
	UserID, AvatarID string
	Stored           time.Time
}

// SweepMargin returns the least age of the images that a sweep may delete, if requests take at most
// requestTimeout. A younger image may belong to a request that still runs. The clocks of S3 and of
// the sweep may differ by half of it.
func SweepMargin(requestTimeout time.Duration) time.Duration {
	return 2 * (requestTimeout + cleanupTimeout)
}

// Swept counts the images of a sweep.
type Swept struct {
	Seen    int // in the bucket
	Young   int // of them, too young
	Orphans int // of them, without a user
	Removed int // deleted
}

// fewOrphans is the most orphans that are deleted even if they are most of the images.
const fewOrphans = 10

// ErrTooManyOrphans is the error of a sweep that would have deleted most of the images, and so
// deleted none: more likely the table is not the one that they belong to.
var ErrTooManyOrphans = errors.New("most images are named by no user")

// Find returns the images that were stored before a time and that no user refers to.
func (s *Sweeper) Find(ctx context.Context, before time.Time) ([]ListedImage, Swept, error) {
	var orphans []ListedImage
	var swept Swept
	err := s.Avatars.List(ctx, func(listed []ListedImage) error {
		old := slices.DeleteFunc(listed, func(i ListedImage) bool { return !i.Stored.Before(before) })
		swept.Seen, swept.Young = swept.Seen+len(listed), swept.Young+len(listed)-len(old)
		var users []string
		for _, image := range old {
			users = append(users, image.UserID)
		}
		named, err := s.Users.AvatarIDs(ctx, slices.Compact(users))
		if err != nil {
			return err
		}
		orphans = append(orphans, slices.DeleteFunc(old, func(i ListedImage) bool {
			return named[i.UserID] == i.AvatarID
		})...)
		return nil
	})
	swept.Orphans = len(orphans)
	return orphans, swept, err
}

// Sweep deletes the images that Find returns. Unless forced, it deletes none if they are most of
// the images: ErrTooManyOrphans.
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
