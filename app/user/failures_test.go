package user_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// write makes a write of a name to a user, and returns the user afterwards.
func write(t *testing.T, d *user.Service, name string, u user.User) (user.User, error) {
	t.Helper()
	name, conditional := strings.CutSuffix(name, " on a condition")
	var may user.Condition
	if conditional {
		may = func(avatarID string) bool { return avatarID == u.AvatarID }
	}
	switch name {
	case "create":
		return d.Create(t.Context(), draft(t, ""))
	case "create with a key":
		return d.Create(t.Context(), draft(t, "key"))
	case "replace":
		return d.SetAvatar(t.Context(), u.ID, face(t), may)
	case "remove":
		err := d.RemoveAvatar(t.Context(), u.ID, may)
		u.AvatarID = ""
		return u, err
	default:
		return user.User{}, d.Delete(t.Context(), u.ID)
	}
}

// named returns the keys of the images that users name.
func named(t *testing.T, a *awstest.AWS) []string {
	t.Helper()
	var keys []string
	for _, item := range items(t, a) {
		if avatar, ok := item["avatar_id"].(*types.AttributeValueMemberS); ok {
			keys = append(keys, config.AvatarPrefix+item["id"].(*types.AttributeValueMemberS).Value+"/"+avatar.Value)
		}
	}
	return keys
}

// Ensure a failed write returns an error and leaves users and images as they were, whichever call
// fails. Only the image of a write that may still arrive is kept, for the sweep. The same request
// succeeds afterwards.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	const put, set = "DynamoDB.PutItem", "DynamoDB.UpdateItem"
	for name, calls := range map[string][]string{
		"create with a key": {"DynamoDB.GetItem", "S3.PutObject", put},
		"replace":           {"DynamoDB.GetItem", "S3.PutObject", set},
	} {
		for _, call := range calls {
			for fault, fail := range map[string]func(a *awstest.AWS){
				"server error": func(a *awstest.AWS) { a.Fail(call, awstest.Always, 500, "InternalServerError") },
				"refused":      func(a *awstest.AWS) { a.Fail(call, awstest.Always, 403, "AccessDeniedException") },
				"hung up":      func(a *awstest.AWS) { a.HangUp(call, awstest.Always) },
				"lost":         func(a *awstest.AWS) { a.LoseReply(call, awstest.Always) },
			} {
				decides := call == put || call == set
				if decides && fault == "lost" {
					continue // it has taken effect: TestLostReplies
				}
				t.Run(name+" "+call+" "+fault, func(t *testing.T) {
					t.Parallel()
					a, d := start(t)
					u, err := d.Create(t.Context(), draft(t, ""))
					require.NoError(t, err)
					before := items(t, a)
					fail(a)
					_, err = write(t, d, name, u)
					assert.Contains(t, []user.Code{user.Unavailable, user.Internal}, user.CodeOf(err), "%v", err)
					assert.Equal(t, before, items(t, a))
					if decides && fault != "refused" {
						assert.Len(t, a.Objects(t), 2)
						sweep(t, a)
					}
					assert.Equal(t, []string{object(u)}, a.Objects(t))

					a.Heal(call)
					now, err := write(t, d, name, u)
					require.NoError(t, err)
					assert.ElementsMatch(t, named(t, a), a.Objects(t))
					assert.Contains(t, a.Objects(t), object(now))
				})
			}
		}
	}
}

// Ensure a write that took effect succeeds even if the responses to its attempts were lost, and
// leaves only the images that users refer to. If the user cannot be read back either, the write
// fails, and the image that the user refers to is kept.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	const put, set, remove = "DynamoDB.PutItem", "DynamoDB.UpdateItem", "DynamoDB.DeleteItem"
	for _, c := range []struct {
		name, call string
		users      int // afterwards
	}{
		{"create", put, 2},
		{"create with a key", put, 2},
		{"replace", set, 1},
		{"replace on a condition", set, 1},
		{"remove", set, 1},
		{"remove on a condition", set, 1},
		{"delete", remove, 0},
	} {
		for lost, lose := range map[string]func(*awstest.AWS){
			"one": func(a *awstest.AWS) { a.LoseReply(c.call, 1) },
			"all": func(a *awstest.AWS) { a.LoseReply(c.call, awstest.Always) },
			"all and reads": func(a *awstest.AWS) {
				a.Intercede(c.call, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					next.ServeHTTP(httptest.NewRecorder(), r)
					a.Fail("DynamoDB.GetItem", awstest.Always, 500, "InternalServerError")
					w.WriteHeader(http.StatusInternalServerError)
				})
			},
		} {
			t.Run(c.name+" "+lost, func(t *testing.T) {
				t.Parallel()
				a, d := start(t)
				u, err := d.Create(t.Context(), draft(t, ""))
				require.NoError(t, err)
				lose(a)
				now, err := write(t, d, c.name, u)
				assert.Len(t, items(t, a), c.users)
				if lost == "all and reads" || c.call == remove && lost == "all" {
					assert.Equal(t, user.Unavailable, user.CodeOf(err), "%v", err)
					assert.Subset(t, a.Objects(t), named(t, a))
					return
				}
				require.NoError(t, err)
				assert.ElementsMatch(t, named(t, a), a.Objects(t))
				if c.users > 0 {
					got, err := d.Get(t.Context(), now.ID)
					require.NoError(t, err)
					assert.Equal(t, now, got)
				}
			})
		}
	}
}

// Ensure a create without a key whose id is taken succeeds: an earlier attempt of its own took
// effect, even if another request has changed the user since.
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
	u, err := d.Create(t.Context(), draft(t, ""))
	require.NoError(t, err)
	assert.Len(t, items(t, a), 1)
	assert.Equal(t, []string{object(u)}, a.Objects(t))
}
