package user_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
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
	image, err := user.ParseImage(apitest.PNG(2, 2), limits)
	require.NoError(t, err)
	return image
}

func draft(t *testing.T) user.Draft {
	t.Helper()
	return user.Draft{Name: "Ada", Email: "ada@example.com", Avatar: face(t)}
}

// items returns what is in the table.
func items(t *testing.T, a *awstest.AWS) []map[string]types.AttributeValue {
	t.Helper()
	out, err := a.DynamoDB.Scan(t.Context(), &dynamodb.ScanInput{TableName: &a.Config.Table})
	require.NoError(t, err)
	return out.Items
}

// object returns the key of a user's image in the bucket.
func object(u user.User) string { return bucket.Prefix + u.ID + "/" + u.AvatarID }

// Ensure the life of a user leaves nothing behind.
func TestLife(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	u, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	assert.Equal(t, []string{object(u)}, a.Objects(t))
	got, err := d.Get(t.Context(), u.ID)
	require.NoError(t, err)
	assert.Equal(t, u, got)

	replaced, err := d.SetAvatar(t.Context(), u.ID, face(t), nil)
	require.NoError(t, err)
	assert.NotEqual(t, u.AvatarID, replaced.AvatarID, "a new image has a new URL")
	assert.Equal(t, []string{object(replaced)}, a.Objects(t))

	name := "Grace"
	changed, err := d.Update(t.Context(), u.ID, user.Patch{Name: &name})
	require.NoError(t, err)
	assert.Equal(t, user.User{ID: u.ID, Name: "Grace", Email: u.Email, AvatarID: replaced.AvatarID}, changed)
	same, err := d.Update(t.Context(), u.ID, user.Patch{})
	require.NoError(t, err)
	assert.Equal(t, changed, same)

	require.NoError(t, d.RemoveAvatar(t.Context(), u.ID, nil))
	assert.Empty(t, a.Objects(t))
	assert.Equal(t, user.NotFound, user.CodeOf(d.RemoveAvatar(t.Context(), u.ID, nil)))

	_, err = d.SetAvatar(t.Context(), u.ID, face(t), nil)
	require.NoError(t, err)
	require.NoError(t, d.Delete(t.Context(), u.ID))
	assert.Empty(t, a.Objects(t))
	assert.Empty(t, items(t, a))
	assert.Equal(t, user.NotFound, user.CodeOf(d.Delete(t.Context(), u.ID)))
}

// Ensure the foreign link of an item of the earlier service is never asked for, and gives way to an
// image or is removed.
func TestForeignAvatar(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	id := uuid.NewString()
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	item := map[string]types.AttributeValue{
		"id": text(id), "avatar_url": text("http://127.0.0.1:1/ada.png"),
	}
	_, err := a.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &a.Config.Table, Item: item})
	require.NoError(t, err)

	_, err = d.Avatar(t.Context(), id, false, func(string) bool { return true })
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.Zero(t, a.Calls("S3.GetObject"))

	u, err := d.SetAvatar(t.Context(), id, face(t), nil)
	require.NoError(t, err)
	assert.Empty(t, u.ForeignAvatarURL)
	got, err := d.Get(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, u, got)
}

// Ensure that when a user cannot be written, whichever call fails and however, there is an error,
// no user, and no image in the bucket; but that of a write which may come late, until it is swept.
func TestCreateFails(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"S3.PutObject", "DynamoDB.PutItem", "DynamoDB.GetItem"} {
		for name, fail := range map[string]func(a *awstest.AWS){
			"server error": func(a *awstest.AWS) {
				a.Fail(operation, awstest.Always, http.StatusInternalServerError, "InternalServerError")
			},
			"refused": func(a *awstest.AWS) { a.Fail(operation, awstest.Always, http.StatusForbidden, "AccessDeniedException") },
			"hung up": func(a *awstest.AWS) { a.HangUp(operation, awstest.Always) },
		} {
			for _, key := range []string{"", "key"} {
				if operation == "DynamoDB.GetItem" && key == "" {
					continue // not called
				}
				t.Run(fmt.Sprint(operation, " ", name, " ", key), func(t *testing.T) {
					t.Parallel()
					a, d := start(t)
					fail(a)
					draft := draft(t)
					draft.IdempotencyKey = key
					_, err := d.Create(t.Context(), draft)
					require.Error(t, err)
					assert.Contains(t, []user.Code{user.Unavailable, user.Internal}, user.CodeOf(err), "%v", err)
					assert.Empty(t, items(t, a))
					if operation == "DynamoDB.PutItem" && name != "refused" {
						assert.Len(t, a.Objects(t), 1)
						sweep(t, a)
					}
					assert.Empty(t, a.Objects(t))

					// And the same request succeeds when the fault has passed.
					a.Heal(operation)
					u, err := d.Create(t.Context(), draft)
					require.NoError(t, err)
					assert.Equal(t, []string{object(u)}, a.Objects(t))
					assert.Len(t, items(t, a), 1)
				})
			}
		}
	}
}

// Ensure a write that took effect is a success, however late or lost its answer, and makes one
// user.
func TestCreateLostReply(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, awstest.Always} { // the answer to one attempt, or to all of them
		for _, key := range []string{"", "key"} {
			t.Run(fmt.Sprint(times, " ", key), func(t *testing.T) {
				t.Parallel()
				a, d := start(t)
				a.LoseReply("DynamoDB.PutItem", times)
				draft := draft(t)
				draft.IdempotencyKey = key
				u, err := d.Create(t.Context(), draft)
				require.NoError(t, err)
				assert.Len(t, items(t, a), 1)
				assert.Equal(t, []string{object(u)}, a.Objects(t))
				got, err := d.Get(t.Context(), u.ID)
				require.NoError(t, err)
				assert.Equal(t, u, got)
			})
		}
	}
}

// Ensure that where nobody can tell whether a user was written, the image is kept: a user without
// the image it names would be seen, an image that no user names is not.
func TestCreateUnknownOutcome(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	a.LoseReply("DynamoDB.PutItem", awstest.Always)
	a.HangUp("DynamoDB.GetItem", awstest.Always)
	_, err := d.Create(t.Context(), draft(t))
	assert.Equal(t, user.Unavailable, user.CodeOf(err), "%v", err)

	a.Heal("DynamoDB.GetItem")
	require.Len(t, items(t, a), 1)
	assert.Len(t, a.Objects(t), 1)
}

// Ensure one key with one content makes one user and one answer, also when the user has changed
// since.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	first := draft(t)
	first.IdempotencyKey = "key"
	u, err := d.Create(t.Context(), first)
	require.NoError(t, err)

	name := "Grace"
	_, err = d.Update(t.Context(), u.ID, user.Patch{Name: &name})
	require.NoError(t, err)
	replaced, err := d.SetAvatar(t.Context(), u.ID, face(t), nil)
	require.NoError(t, err)

	again, err := d.Create(t.Context(), first)
	require.NoError(t, err)
	assert.Equal(t, u, again, "the first answer")
	now, err := d.Get(t.Context(), u.ID)
	require.NoError(t, err)
	assert.Equal(t, "Grace", now.Name)
	assert.Equal(t, []string{object(replaced)}, a.Objects(t), "a repeated request stores nothing")

	for name, other := range map[string]func(*user.Draft){
		"name":      func(d *user.Draft) { d.Name = "Grace" },
		"email":     func(d *user.Draft) { d.Email = "grace@example.com" },
		"no avatar": func(d *user.Draft) { d.Avatar = nil },
		"avatar":    func(d *user.Draft) { d.Avatar = &user.Image{ContentType: "image/png", Data: apitest.PNG(3, 3)} },
	} {
		draft := first
		other(&draft)
		_, err := d.Create(t.Context(), draft)
		assert.Equal(t, user.KeyReused, user.CodeOf(err), "%s: %v", name, err)
	}
	assert.Len(t, items(t, a), 1)
	assert.Len(t, a.Objects(t), 1)

	require.NoError(t, d.Delete(t.Context(), u.ID))
	_, err = d.Create(t.Context(), first)
	assert.NoError(t, err, "the promise lasts as long as the user")
}

// Ensure fields that run together do not make one content of two.
func TestIdempotencyTellsFieldsApart(t *testing.T) {
	t.Parallel()
	_, d := start(t)
	_, err := d.Create(t.Context(), user.Draft{Name: "ab", Email: "c@d", IdempotencyKey: "key"})
	require.NoError(t, err)
	_, err = d.Create(t.Context(), user.Draft{Name: "a", Email: "bc@d", IdempotencyKey: "key"})
	assert.Equal(t, user.KeyReused, user.CodeOf(err), "%v", err)
}

// Ensure fifty requests with one key at once make one user with one image, and all get one answer.
func TestIdempotencyAtOnce(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	draft := draft(t)
	draft.IdempotencyKey = "key"
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

// Ensure an avatar that cannot be set, whichever call fails and however, leaves the one before.
func TestSetAvatarFails(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"DynamoDB.GetItem", "S3.PutObject", "DynamoDB.UpdateItem"} {
		for name, fail := range map[string]func(a *awstest.AWS){
			"server error": func(a *awstest.AWS) {
				a.Fail(operation, awstest.Always, http.StatusInternalServerError, "InternalServerError")
			},
			"refused": func(a *awstest.AWS) { a.Fail(operation, awstest.Always, http.StatusForbidden, "AccessDeniedException") },
			"hung up": func(a *awstest.AWS) { a.HangUp(operation, awstest.Always) },
		} {
			t.Run(operation+" "+name, func(t *testing.T) {
				t.Parallel()
				a, d := start(t)
				u, err := d.Create(t.Context(), draft(t))
				require.NoError(t, err)
				fail(a)
				_, err = d.SetAvatar(t.Context(), u.ID, face(t), nil)
				require.Error(t, err)
				a.Heal(operation)
				got, err := d.Get(t.Context(), u.ID)
				require.NoError(t, err)
				assert.Equal(t, u, got)
				if operation == "DynamoDB.UpdateItem" && name != "refused" {
					assert.Len(t, a.Objects(t), 2, "the write may come late")
					sweep(t, a)
				}
				assert.Equal(t, []string{object(u)}, a.Objects(t))
			})
		}
	}
}

// Ensure that a write which is carried out only when its request has failed, because the network
// held it up, finds the image that it names: of a create, and of a replacement.
func TestLateWrite(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"DynamoDB.PutItem", "DynamoDB.UpdateItem"} {
		a, d := start(t)
		id := ""
		if operation == "DynamoDB.UpdateItem" {
			u, err := d.Create(t.Context(), draft(t))
			require.NoError(t, err)
			id = u.ID
		}
		var held atomic.Pointer[func()]
		a.Intercede(operation, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			late := r.Clone(context.WithoutCancel(r.Context()))
			late.Body = io.NopCloser(bytes.NewReader(body))
			carryOut := func() { next.ServeHTTP(httptest.NewRecorder(), late) }
			held.CompareAndSwap(nil, &carryOut)
			w.WriteHeader(http.StatusInternalServerError)
		})
		var err error
		if id == "" {
			_, err = d.Create(t.Context(), draft(t))
		} else {
			_, err = d.SetAvatar(t.Context(), id, face(t), nil)
		}
		require.Equal(t, user.Unavailable, user.CodeOf(err), "%v", err)
		(*held.Load())()

		written := items(t, a)
		require.Len(t, written, 1)
		sweep(t, a)
		u := written[0]["id"].(*types.AttributeValueMemberS).Value
		stored, err := d.Avatar(t.Context(), u, false, func(string) bool { return true })
		require.NoError(t, err, "%s: the user's image", operation)
		assert.NoError(t, stored.Close())
		assert.Len(t, a.Objects(t), 1)
	}
}

// sweep removes every image that no user names.
func sweep(t *testing.T, a *awstest.AWS) {
	t.Helper()
	a.Pass(2 * hour)
	_, err := sweeper(a).Sweep(t.Context(), a.Now().Add(-hour), true)
	require.NoError(t, err)
}

// Ensure an avatar that was set is set, whatever became of the answer, and the one before is gone.
func TestSetAvatarLostReply(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, awstest.Always} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			t.Parallel()
			a, d := start(t)
			u, err := d.Create(t.Context(), draft(t))
			require.NoError(t, err)
			a.LoseReply("DynamoDB.UpdateItem", times)
			replaced, err := d.SetAvatar(t.Context(), u.ID, face(t), nil)
			require.NoError(t, err)
			assert.Equal(t, []string{object(replaced)}, a.Objects(t))
		})
	}
}

// Ensure a user who was deleted is deleted, whatever became of the answer, and so is the avatar.
func TestDeleteLostReply(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	u, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	a.LoseReply("DynamoDB.DeleteItem", 1)
	require.NoError(t, d.Delete(t.Context(), u.ID))
	assert.Empty(t, items(t, a))
	assert.Empty(t, a.Objects(t))
}

// Ensure an avatar that was removed is gone, whatever became of the answer.
func TestRemoveAvatarLostReply(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	u, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	a.LoseReply("DynamoDB.UpdateItem", 1)
	require.NoError(t, d.RemoveAvatar(t.Context(), u.ID, nil))
	assert.Empty(t, a.Objects(t))
}

// Ensure nothing is stored for a user who does not exist, or who is deleted in the meantime.
func TestSetAvatarOfNobody(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	_, err := d.SetAvatar(t.Context(), uuid.NewString(), face(t), nil)
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.Zero(t, a.Calls("S3.PutObject"))

	u, err := d.Create(t.Context(), user.Draft{Name: "Ada", Email: "a@b.c"})
	require.NoError(t, err)
	a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		assert.NoError(t, d.Delete(t.Context(), u.ID))
		next.ServeHTTP(w, r)
	})
	_, err = d.SetAvatar(t.Context(), u.ID, face(t), nil)
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.Empty(t, a.Objects(t))
	assert.Empty(t, items(t, a))
}

// Ensure an image that is replaced while it is asked for is not missed.
func TestAvatarReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	u, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	var once sync.Once
	a.Intercede("S3.GetObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		once.Do(func() {
			_, err := d.SetAvatar(t.Context(), u.ID, face(t), nil)
			assert.NoError(t, err)
		})
		next.ServeHTTP(w, r)
	})
	var asked []string
	stored, err := d.Avatar(t.Context(), u.ID, false, func(avatarID string) bool {
		asked = append(asked, avatarID)
		return true
	})
	require.NoError(t, err)
	data, err := io.ReadAll(stored)
	require.NoError(t, err)
	assert.NoError(t, stored.Close())
	assert.Equal(t, face(t).Data, data)
	assert.Len(t, asked, 2)
}

// Ensure an image that somebody took out of the bucket is not found, and the log says so.
func TestAvatarLost(t *testing.T) {
	t.Parallel()
	_, d := start(t)
	var log strings.Builder
	d.Log = slog.New(slog.NewTextHandler(&log, nil))
	u, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	require.NoError(t, d.Avatars.Delete(t.Context(), u.ID, u.AvatarID))
	_, err = d.Avatar(t.Context(), u.ID, false, func(string) bool { return true })
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.Contains(t, log.String(), u.AvatarID)
}

// Ensure an image that cannot be removed is no error to the client, and the log says so.
func TestDiscardFails(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	var log strings.Builder
	d.Log = slog.New(slog.NewTextHandler(&log, nil))
	u, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	a.Fail("S3.DeleteObject", awstest.Always, http.StatusForbidden, "AccessDenied")
	require.NoError(t, d.Delete(t.Context(), u.ID))
	assert.Contains(t, log.String(), u.AvatarID)
	assert.Empty(t, items(t, a))
}

// Ensure a change on a condition that took effect is a success, however lost its answer, and that
// where nobody can tell the image that the user may name is kept.
func TestConditionLostReply(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, awstest.Always} {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprint(times, " ", known), func(t *testing.T) {
				t.Parallel()
				a, d := start(t)
				u, err := d.Create(t.Context(), draft(t))
				require.NoError(t, err)
				same := func(avatarID string) bool { return avatarID == u.AvatarID }
				a.LoseReply("DynamoDB.UpdateItem", times)
				if !known {
					asked := 0
					a.Intercede("DynamoDB.GetItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
						if asked++; asked > 1 { // the first is before the write
							w.WriteHeader(http.StatusInternalServerError)
							return
						}
						next.ServeHTTP(w, r)
					})
				}
				replaced, err := d.SetAvatar(t.Context(), u.ID, face(t), same)
				if !known {
					require.Equal(t, user.Unavailable, user.CodeOf(err), "%v", err)
					a.Heal("DynamoDB.GetItem")
					now, err := d.Get(t.Context(), u.ID)
					require.NoError(t, err)
					assert.Contains(t, a.Objects(t), object(now))
					return
				}
				require.NoError(t, err)
				assert.Equal(t, []string{object(replaced)}, a.Objects(t))

				a.LoseReply("DynamoDB.UpdateItem", times)
				err = d.RemoveAvatar(t.Context(), u.ID, func(avatarID string) bool { return avatarID == replaced.AvatarID })
				if times == 1 {
					require.NoError(t, err)
					assert.Empty(t, a.Objects(t))
				}
			})
		}
	}
}

// Ensure an image that changes between the reading and the writing is not replaced on a condition.
func TestConditionMeanwhile(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	u, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	same := func(avatarID string) bool { return avatarID == u.AvatarID }
	var other user.User
	meanwhile := func(change func()) {
		once := false
		a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if !once {
				once = true
				change()
			}
			next.ServeHTTP(w, r)
		})
	}
	meanwhile(func() {
		other, err = d.SetAvatar(t.Context(), u.ID, face(t), nil)
		assert.NoError(t, err)
	})
	_, err = d.SetAvatar(t.Context(), u.ID, face(t), same)
	assert.Equal(t, user.Changed, user.CodeOf(err), "%v", err)
	assert.Equal(t, []string{object(other)}, a.Objects(t))
	assert.Equal(t, user.Changed, user.CodeOf(d.RemoveAvatar(t.Context(), u.ID, same)))

	u = other
	meanwhile(func() { assert.NoError(t, d.Delete(t.Context(), u.ID)) })
	_, err = d.SetAvatar(t.Context(), u.ID, face(t), same)
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.Empty(t, a.Objects(t))
}

// Ensure a create without a key is never told of one: if the id is taken, it is its own write that
// took effect, also if another request has changed the user since.
func TestCreateFindsItsOwnWrite(t *testing.T) {
	t.Parallel()
	a, d := start(t)
	first := true
	a.Intercede("DynamoDB.PutItem", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !first {
			next.ServeHTTP(w, r)
			return
		}
		first = false
		next.ServeHTTP(httptest.NewRecorder(), r)
		name := "Grace"
		_, err := d.Update(t.Context(), items(t, a)[0]["id"].(*types.AttributeValueMemberS).Value, user.Patch{Name: &name})
		assert.NoError(t, err)
		w.WriteHeader(http.StatusInternalServerError)
	})
	u, err := d.Create(t.Context(), draft(t))
	require.NoError(t, err)
	assert.Len(t, items(t, a), 1)
	assert.Equal(t, []string{object(u)}, a.Objects(t))
}
