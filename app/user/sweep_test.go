package user_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

const hour = time.Hour

func sweeper(a *awstest.AWS) *user.Sweeper {
	return &user.Sweeper{
		Users: dynamo.New(a.SDK, a.Config), Avatars: bucket.New(a.SDK, a.Config), Log: slog.New(slog.DiscardHandler),
	}
}

// Ensure a sweep removes exactly the images that no user names and that are old: of a create that
// never came to its user, of a replacement that did not remove the one before, of a user who is
// gone.
func TestSweep(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	s := sweeper(a)
	var want []string
	for range 3 {
		u, err := d.Create(t.Context(), draft(t))
		require.NoError(t, err)
		want = append(want, object(u))
	}
	_, err := d.Create(t.Context(), user.Draft{Name: "Without", Email: "a@b.c"})
	require.NoError(t, err)

	replaced, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	gone, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	removed, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	a.Fail("S3.DeleteObject", awstest.Always, http.StatusForbidden, "AccessDenied")
	orphans := []string{object(replaced), object(gone), object(removed)}
	replaced, err = d.SetAvatar(t.Context(), replaced.ID, face(t), nil)
	require.NoError(t, err)
	want = append(want, object(replaced))
	require.NoError(t, d.Delete(t.Context(), gone.ID))
	require.NoError(t, d.RemoveAvatar(t.Context(), removed.ID, nil))
	a.Heal("S3.DeleteObject")
	require.NoError(t, d.Avatars.Put(t.Context(), uuid.NewString(), uuid.NewString(), face(t)))
	require.Len(t, a.Objects(t), len(want)+len(orphans)+1)

	swept, err := s.Sweep(t.Context(), a.Now().Add(-hour), false)
	require.NoError(t, err)
	assert.Equal(t, user.Swept{Seen: 8, Young: 8}, swept)

	a.Pass(2 * hour)
	young := uuid.NewString()
	require.NoError(t, d.Avatars.Put(t.Context(), young, young, face(t)))
	found, swept, err := s.Find(t.Context(), a.Now().Add(-hour))
	require.NoError(t, err)
	assert.Len(t, found, 4)
	assert.Equal(t, user.Swept{Seen: 9, Young: 1, Orphans: 4}, swept, "found, and left")
	assert.Len(t, a.Objects(t), 9)

	swept, err = s.Sweep(t.Context(), a.Now().Add(-hour), false)
	require.NoError(t, err)
	assert.Equal(t, user.Swept{Seen: 9, Young: 1, Orphans: 4, Removed: 4}, swept)
	assert.ElementsMatch(t, append(want, bucket.Prefix+young+"/"+young), a.Objects(t))
	for _, u := range items(t, a) {
		assert.NotEmpty(t, u)
	}
	assert.Len(t, items(t, a), 6)
}

// Ensure a sweep sees every image of a bucket that is listed and a table that is asked in parts,
// and tells apart the images of one user.
func TestSweepInParts(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	var batches atomic.Int64
	a.Intercede("DynamoDB.BatchGetItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		batches.Add(1)
		next.ServeHTTP(w, r)
	})
	const users = 260
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range users / 4 {
				u, err := d.Create(t.Context(), draft(t))
				if assert.NoError(t, err) {
					assert.NoError(t, d.Avatars.Put(t.Context(), u.ID, uuid.NewString(), face(t)))
				}
			}
		})
	}
	all.Wait()
	// As many again in a second part of the listing: those before them in it have no user.
	for range 4 {
		all.Go(func() {
			for range (1004 - 2*users) / 4 {
				assert.NoError(t, d.Avatars.Put(t.Context(), "0", uuid.NewString(), face(t)))
			}
		})
	}
	all.Wait()
	a.Pass(2 * hour)
	swept, err := sweeper(a).Sweep(t.Context(), a.Now().Add(-hour), true)
	require.NoError(t, err)
	assert.Equal(t, user.Swept{Seen: 1004, Orphans: 1004 - users, Removed: 1004 - users}, swept)
	assert.Len(t, a.Objects(t), users)
	assert.GreaterOrEqual(t, batches.Load(), int64(3))
}

// Ensure objects that are not avatars are nobody's business: neither judged nor removed.
func TestSweepLeavesForeignObjects(t *testing.T) {
	t.Parallel()
	a, _ := start(t)
	for _, key := range []string{
		"avatars/readme.txt", "avatars/x/notes", "avatars//" + uuid.NewString(), "avatars/x/y/" + uuid.NewString(),
		"backup/" + uuid.NewString() + "/" + uuid.NewString(),
	} {
		_, err := a.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &a.Config.Bucket, Key: &key, Body: strings.NewReader("x"),
		})
		require.NoError(t, err)
	}
	a.Pass(2 * hour)
	swept, err := sweeper(a).Sweep(t.Context(), a.Now().Add(-hour), true)
	require.NoError(t, err)
	assert.Zero(t, swept)
	assert.Len(t, a.Objects(t), 4)
}

// Ensure a sweep of a table that is not the images' own removes nothing, unless it is told to.
func TestSweepOfTheWrongTable(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	for range 11 {
		require.NoError(t, d.Avatars.Put(t.Context(), uuid.NewString(), uuid.NewString(), face(t)))
	}
	a.Pass(2 * hour)
	swept, err := sweeper(a).Sweep(t.Context(), a.Now().Add(-hour), false)
	assert.ErrorIs(t, err, user.ErrTooManyOrphans)
	assert.ErrorContains(t, err, "11 of 11")
	assert.Zero(t, swept.Removed)
	assert.Len(t, a.Objects(t), 11)

	swept, err = sweeper(a).Sweep(t.Context(), a.Now().Add(-hour), true)
	require.NoError(t, err)
	assert.Equal(t, 11, swept.Removed)
}

// Ensure a sweep that cannot read the table removes nothing, and the next one does its work.
func TestSweepOfATableThatFails(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	u, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	require.NoError(t, d.Avatars.Put(t.Context(), uuid.NewString(), uuid.NewString(), face(t)))
	a.Pass(2 * hour)
	for _, code := range []string{
		"AccessDeniedException", "ResourceNotFoundException", "ProvisionedThroughputExceededException",
	} {
		a.Fail("DynamoDB.BatchGetItem", awstest.Always, http.StatusBadRequest, code)
		_, err := sweeper(a).Sweep(t.Context(), a.Now().Add(-hour), true)
		assert.Error(t, err, code)
		assert.Len(t, a.Objects(t), 2)
	}

	a.Heal("DynamoDB.BatchGetItem")
	swept, err := sweeper(a).Sweep(t.Context(), a.Now().Add(-hour), true)
	require.NoError(t, err)
	assert.Equal(t, user.Swept{Seen: 2, Orphans: 1, Removed: 1}, swept)
	assert.Equal(t, []string{object(u)}, a.Objects(t))
}

// Ensure that no sweep takes the image of an upload that has not come to its user yet, nor any
// other that somebody can see, whatever happens at the same time; and that nothing is left in the
// end.
func TestSweepAmongUploads(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	s := sweeper(a)
	// Some uploads crash between the image and the user.
	var puts atomic.Int64
	errCrash := errors.New("crash")
	crashing := *d
	crashing.Users = crashingStore{d.Users, func() error {
		if puts.Add(1)%5 == 0 {
			return errCrash
		}
		return nil
	}}

	var writers, sweeps sync.WaitGroup
	var removed atomic.Int64
	done := make(chan struct{})
	sweeps.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				swept, err := s.Sweep(t.Context(), a.Now().Add(-hour), true)
				assert.NoError(t, err)
				removed.Add(int64(swept.Removed))
				time.Sleep(10 * time.Millisecond) // the uploads are what matters
			}
		}
	})
	var mu sync.Mutex
	var users []user.User
	// In each round less than an hour passes, so that no upload takes one; in the second, what the
	// first has left grows older than that.
	const rounds, clients, uploads, step = 2, 8, 20, 22 * time.Second
	require.Less(t, clients*uploads*step, hour)
	for range rounds {
		for range clients {
			writers.Go(func() {
				for i := range uploads {
					a.Pass(step)
					u, err := crashing.Create(t.Context(), draft(t))
					if err != nil {
						assert.ErrorIs(t, err, errCrash)
						continue
					}
					switch i % 3 {
					case 1:
						u, err = crashing.SetAvatar(t.Context(), u.ID, face(t), nil)
						assert.NoError(t, err)
					case 2:
						assert.NoError(t, crashing.Delete(t.Context(), u.ID))
						continue
					}
					mu.Lock()
					users = append(users, u)
					mu.Unlock()
				}
			})
		}
		writers.Wait()
	}
	assert.NotZero(t, removed.Load(), "nothing was swept among the uploads")
	close(done)
	sweeps.Wait()
	require.NotEmpty(t, users)

	a.Pass(2 * hour)
	_, err := s.Sweep(t.Context(), a.Now().Add(-hour), true)
	require.NoError(t, err)
	var want []string
	for _, u := range users {
		want = append(want, object(u))
		stored, err := d.Avatar(t.Context(), u.ID, false, func(string) bool { return true })
		if assert.NoError(t, err, "a user whose image was swept") {
			assert.NoError(t, stored.Close())
		}
	}
	assert.ElementsMatch(t, want, a.Objects(t))
}

// A crashingStore is a store before which a process may die.
type crashingStore struct {
	user.Store
	crash func() error
}

func (s crashingStore) Create(ctx context.Context, r user.Record) (*user.Record, error) {
	if err := s.crash(); err != nil {
		// As far as the directory knows, the write may have taken effect: nothing is undone.
		return nil, &user.Error{Code: user.Unavailable, Uncertain: true, Err: err}
	}
	return s.Store.Create(ctx, r)
}

func (s crashingStore) Get(ctx context.Context, id string) (*user.Record, error) {
	record, err := s.Store.Get(ctx, id)
	if err == nil && record == nil {
		return nil, &user.Error{Code: user.Unavailable, Err: errors.New("the process is dead")}
	}
	return record, err
}
