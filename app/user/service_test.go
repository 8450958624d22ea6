package user_test

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

func start(t *testing.T) (*awstest.AWS, *user.Service) {
	t.Helper()
	a := awstest.Start(t)
	return a, &user.Service{
		Users: dynamo.New(a.SDK, a.Config), Avatars: bucket.New(a.SDK, a.Config), Log: slog.New(slog.DiscardHandler),
	}
}

func face(t *testing.T) *user.Image {
	t.Helper()
	image, err := user.ParseImage(apitest.PNG(2, 2), user.Limits{Bytes: 1 << 10, Pixels: 2})
	require.NoError(t, err)
	return image
}

func draft(t *testing.T, key string) user.Draft {
	t.Helper()
	return user.Draft{Name: "Ada", Email: "ada@example.com", Avatar: face(t), IdempotencyKey: key}
}

// items returns what is in the table.
func items(t *testing.T, a *awstest.AWS) []map[string]types.AttributeValue {
	t.Helper()
	out, err := a.DynamoDB.Scan(t.Context(), &dynamodb.ScanInput{TableName: &a.Config.Table})
	require.NoError(t, err)
	return out.Items
}

// object returns the key of a user's image in the bucket.
func object(u user.User) string { return config.AvatarPrefix + u.ID + "/" + u.AvatarID }

// Ensure two drafts have different fingerprints even if their fields, joined, are the same text.
func TestIdempotencyTellsFieldsApart(t *testing.T) {
	t.Parallel()
	_, d := start(t)
	_, err := d.Create(t.Context(), user.Draft{Name: "ab", Email: "c@d", IdempotencyKey: "key"})
	require.NoError(t, err)
	_, err = d.Create(t.Context(), user.Draft{Name: "a", Email: "bc@d", IdempotencyKey: "key"})
	assert.Equal(t, user.KeyReused, user.CodeOf(err), "%v", err)
}

// Ensure fifty concurrent requests with one key create one user with one image, and all get the
// same response.
func TestIdempotencyAtOnce(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	draft := draft(t, "key")
	const n = 50
	users, errs := make([]user.User, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { users[i], errs[i] = d.Create(t.Context(), draft) })
	}
	all.Wait()
	for i := range n {
		require.NoError(t, errs[i])
		assert.Equal(t, users[0], users[i])
	}
	assert.Len(t, items(t, a), 1)
	assert.Equal(t, []string{object(users[0])}, a.Objects(t))
}

// Ensure SetAvatar does not bring back an image or a user that changed between its read and its
// write, and stores nothing for a user who does not exist.
func TestSetAvatarMeanwhile(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	u, err := d.Create(t.Context(), draft(t, ""))
	require.NoError(t, err)
	meanwhile := func(may user.Condition, change func() error) error {
		a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a.Heal("S3.PutObject")
			assert.NoError(t, change())
			next.ServeHTTP(w, r)
		})
		_, err := d.SetAvatar(t.Context(), u.ID, face(t), may)
		return err
	}
	same := func(avatarID string) bool { return avatarID == u.AvatarID }
	var other user.User
	err = meanwhile(same, func() (err error) {
		other, err = d.SetAvatar(t.Context(), u.ID, face(t), nil)
		return err
	})
	assert.Equal(t, user.Changed, user.CodeOf(err), "%v", err)
	assert.Equal(t, []string{object(other)}, a.Objects(t))

	u = other
	for _, may := range []user.Condition{same, nil} {
		err = meanwhile(may, func() error { return d.Delete(t.Context(), u.ID) })
		assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
		assert.Empty(t, items(t, a))
		assert.Empty(t, a.Objects(t))
		u, err = d.Create(t.Context(), draft(t, ""))
		require.NoError(t, err)
	}

	puts := a.Calls("S3.PutObject")
	_, err = d.SetAvatar(t.Context(), uuid.NewString(), face(t), nil)
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.Equal(t, puts, a.Calls("S3.PutObject"))
}

// Ensure the log names an image that is missing in the bucket, which is a 404 for clients, and one
// that could not be deleted, which clients do not see.
func TestLog(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	var log strings.Builder
	d.Log = slog.New(slog.NewTextHandler(&log, nil))
	u, err := d.Create(t.Context(), draft(t, ""))
	require.NoError(t, err)
	require.NoError(t, d.Avatars.Delete(t.Context(), u.ID, u.AvatarID))
	_, err = d.Avatar(t.Context(), u.ID, false, func(string) bool { return true })
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.Contains(t, log.String(), u.AvatarID)

	log.Reset()
	a.Fail("S3.DeleteObject", awstest.Always, http.StatusForbidden, "AccessDenied")
	require.NoError(t, d.Delete(t.Context(), u.ID))
	assert.Contains(t, log.String(), u.AvatarID)
	assert.Empty(t, items(t, a))
}

// Ensure an empty patch only reads the user, because DynamoDB refuses an empty update. kumo accepts
// one.
func TestUpdateOfNothing(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	u, err := d.Create(t.Context(), draft(t, ""))
	require.NoError(t, err)
	same, err := d.Update(t.Context(), u.ID, user.Patch{})
	require.NoError(t, err)
	assert.Equal(t, u, same)
	assert.Zero(t, a.Calls("DynamoDB.UpdateItem"))
}
