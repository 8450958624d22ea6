package user_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

func sweeper(a *awstest.AWS) *user.Sweeper {
	return &user.Sweeper{
		Users: dynamo.New(a.SDK, a.Config), Avatars: bucket.New(a.SDK, a.Config), Log: slog.New(slog.DiscardHandler),
	}
}

// sweep removes every image that no user names.
func sweep(t *testing.T, a *awstest.AWS) user.Swept {
	t.Helper()
	a.Pass(2 * time.Hour)
	swept, err := sweeper(a).Sweep(t.Context(), a.Now().Add(-time.Hour), true)
	require.NoError(t, err)
	return swept
}

// Ensure a sweep deletes exactly the old images that no user refers to: after a failed create, a
// replaced or removed image that was not deleted, and a deleted user. It keeps objects of other
// programs, and everything if it cannot read the table.
func TestSweep(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	create := func() user.User {
		u, err := d.Create(t.Context(), draft(t, ""))
		require.NoError(t, err)
		return u
	}
	create()
	replaced, removed, gone := create(), create(), create()
	_, err := d.Create(t.Context(), user.Draft{Name: "Without", Email: "a@b.c"})
	require.NoError(t, err)
	a.Fail("S3.DeleteObject", awstest.Always, http.StatusForbidden, "AccessDenied")
	_, err = d.SetAvatar(t.Context(), replaced.ID, face(t), nil)
	require.NoError(t, err)
	require.NoError(t, d.RemoveAvatar(t.Context(), removed.ID, nil))
	require.NoError(t, d.Delete(t.Context(), gone.ID))
	a.Heal("S3.DeleteObject")
	require.NoError(t, d.Avatars.Put(t.Context(), uuid.NewString(), uuid.NewString(), face(t)))
	want := named(t, a)
	for _, key := range []string{
		"avatars/readme.txt", "avatars/x/notes", "avatars/" + uuid.NewString(), "avatars/x/y/" + uuid.NewString(),
	} {
		want = append(want, key)
		_, err := a.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &a.Config.Bucket, Key: &key, Body: strings.NewReader("x"),
		})
		require.NoError(t, err)
	}
	a.Pass(2 * time.Hour)
	young := uuid.NewString()
	require.NoError(t, d.Avatars.Put(t.Context(), young, young, face(t)))
	want = append(want, config.AvatarPrefix+young+"/"+young)

	a.Fail("DynamoDB.BatchGetItem", awstest.Always, http.StatusBadRequest, "AccessDeniedException")
	_, err = sweeper(a).Sweep(t.Context(), a.Now().Add(-time.Hour), true)
	assert.Equal(t, user.Internal, user.CodeOf(err), "%v", err)
	assert.Len(t, a.Objects(t), len(want)+4)

	a.Heal("DynamoDB.BatchGetItem")
	swept, err := sweeper(a).Sweep(t.Context(), a.Now().Add(-time.Hour), false)
	require.NoError(t, err)
	assert.Equal(t, user.Swept{Seen: 7, Young: 1, Orphans: 4, Removed: 4}, swept)
	assert.ElementsMatch(t, want, a.Objects(t))
}

// Ensure a sweep sees every image of a bucket that S3 lists in several parts, and tells apart the
// images of one user.
func TestSweepInParts(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	a.Intercede("S3.ListObjectsV2", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.URL.RawQuery += "&max-keys=3"
		next.ServeHTTP(w, r)
	})
	a.Intercede("DynamoDB.BatchGetItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		ids := regexp.MustCompile(`"id":\{"S":"[^"]*`).FindAllString(string(body), -1)
		assert.Len(t, slices.Compact(ids), len(ids), "DynamoDB refuses equal keys")
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
	for range 5 {
		u, err := d.Create(t.Context(), draft(t, ""))
		require.NoError(t, err)
		require.NoError(t, d.Avatars.Put(t.Context(), u.ID, uuid.NewString(), face(t)))
	}
	assert.Equal(t, user.Swept{Seen: 10, Orphans: 5, Removed: 5}, sweep(t, a))
	assert.ElementsMatch(t, named(t, a), a.Objects(t))
	assert.Greater(t, a.Calls("S3.ListObjectsV2"), 3)
}

// Ensure a sweep deletes no image of a write that is still running, however slow the write is, and
// at whichever call of the sweep it ends.
func TestSweepDuringWrites(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]string{"create": "DynamoDB.PutItem", "replace": "DynamoDB.UpdateItem"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, d := start(t)
			sweepNow := func() {
				_, err := sweeper(a).Sweep(t.Context(), a.Now().Add(-user.SweepMargin(a.Config.RequestTimeout)), true)
				assert.NoError(t, err)
			}
			u, err := d.Create(t.Context(), draft(t, ""))
			require.NoError(t, err)
			a.Intercede(call, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				a.Pass(a.Config.RequestTimeout)
				sweepNow()
				next.ServeHTTP(w, r)
			})
			_, err = write(t, d, name, u)
			require.NoError(t, err)
			assert.ElementsMatch(t, named(t, a), a.Objects(t))

			a.Heal(call)
			a.Intercede("DynamoDB.BatchGetItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				_, err := write(t, d, name, u)
				assert.NoError(t, err)
				next.ServeHTTP(w, r)
			})
			a.Pass(time.Hour)
			sweepNow()
			assert.ElementsMatch(t, named(t, a), a.Objects(t))
		})
	}
}
