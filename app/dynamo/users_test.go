package dynamo_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

func start(t *testing.T) (*awstest.AWS, *dynamo.Users) {
	t.Helper()
	a := awstest.Start(t)
	return a, dynamo.New(a.SDK, a.Config)
}

func record(name string) user.Record {
	return user.Record{User: user.User{ID: uuid.NewString(), Name: name, Email: name + "@example.com"}}
}

// Ensure a record is read as it was created, with every field and without any.
func TestCreate(t *testing.T) {
	t.Parallel()
	_, users := start(t)
	full := record("ada")
	full.AvatarID, full.FirstAvatarID, full.Fingerprint = uuid.NewString(), uuid.NewString(), "f"

	for _, want := range []user.Record{record("bob"), full} {
		existing, err := users.Create(t.Context(), want)
		require.NoError(t, err)
		require.Nil(t, existing)

		got, err := users.Get(t.Context(), want.ID)
		require.NoError(t, err)
		require.NotNil(t, got)
		assert.Equal(t, want, *got)
	}
}

// Ensure an id that is taken is left as it is and returned.
func TestCreateTaken(t *testing.T) {
	t.Parallel()
	_, users := start(t)
	first := record("ada")
	_, err := users.Create(t.Context(), first)
	require.NoError(t, err)

	second := record("bob")
	second.ID = first.ID
	existing, err := users.Create(t.Context(), second)
	require.NoError(t, err)
	require.NotNil(t, existing)
	assert.Equal(t, first, *existing)

	got, err := users.Get(t.Context(), first.ID)
	require.NoError(t, err)
	assert.Equal(t, first, *got)
}

// Ensure no attribute of an item is empty.
func TestCreateWritesNoEmptyAttributes(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	r := record("ada")
	_, err := users.Create(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, map[string]types.AttributeValue{
		"id": s(r.ID), "name": s("ada"), "email": s("ada@example.com"),
	}, item(t, a, r.ID))
}

// Ensure nothing is found where nothing is.
func TestGetUnknown(t *testing.T) {
	t.Parallel()
	_, users := start(t)
	got, err := users.Get(t.Context(), uuid.NewString())
	require.NoError(t, err)
	assert.Nil(t, got)
}

// Ensure items of the earlier service are read as they are, and odd ones do no harm.
func TestGetForeignItems(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	for name, c := range map[string]struct {
		attributes map[string]types.AttributeValue
		want       user.User
	}{
		"with an avatar": {
			map[string]types.AttributeValue{"name": s("Ada"), "email": s("a@b.c"), "avatar_url": s("http://old/ada.png")},
			user.User{Name: "Ada", Email: "a@b.c", ForeignAvatarURL: "http://old/ada.png"},
		},
		"without one": {
			map[string]types.AttributeValue{"name": s("Ada"), "email": s("a@b.c"), "avatar_url": s("")},
			user.User{Name: "Ada", Email: "a@b.c"},
		},
		"null for an avatar": {
			map[string]types.AttributeValue{
				"name": s("Ada"), "email": s("a@b.c"), "avatar_url": &types.AttributeValueMemberNULL{Value: true},
			},
			user.User{Name: "Ada", Email: "a@b.c"},
		},
		"nothing but an id": {map[string]types.AttributeValue{}, user.User{}},
		"other types": {map[string]types.AttributeValue{
			"name": &types.AttributeValueMemberN{Value: "5"}, "email": &types.AttributeValueMemberBOOL{Value: true},
			"extra": s("x"),
		}, user.User{}},
	} {
		id := uuid.NewString()
		put(t, a, id, c.attributes)
		got, err := users.Get(t.Context(), id)
		require.NoError(t, err, name)
		c.want.ID = id
		assert.Equal(t, c.want, got.User, name)
	}
}

// Ensure an update changes what it names and nothing else, and that what belongs to the promise of
// a key stays.
func TestUpdate(t *testing.T) {
	t.Parallel()
	_, users := start(t)
	r := record("ada")
	r.AvatarID, r.Fingerprint = "image", "f"
	_, err := users.Create(t.Context(), r)
	require.NoError(t, err)

	got, err := users.Update(t.Context(), r.ID, user.Patch{Name: aws.String("Grace")})
	require.NoError(t, err)
	r.Name = "Grace"
	assert.Equal(t, r.User, got)

	got, err = users.Update(t.Context(), r.ID, user.Patch{Name: aws.String("Joan"), Email: aws.String("joan@example.com")})
	require.NoError(t, err)
	r.Name, r.Email = "Joan", "joan@example.com"
	assert.Equal(t, r.User, got)

	after, err := users.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, r, *after)
}

// Ensure a write to a user who does not exist makes none.
func TestWritesToUnknown(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	id := uuid.NewString()
	_, err := users.Update(t.Context(), id, user.Patch{Name: aws.String("x")})
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	_, err = users.SetAvatar(t.Context(), id, "image", nil)
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	_, err = users.SetAvatar(t.Context(), id, "", nil)
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	_, again, err := users.Delete(t.Context(), id)
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.False(t, again)
	assert.Empty(t, item(t, a, id))
}

// Ensure an avatar is set, replaced and removed, a foreign link gives way to it, and each call
// returns what was there before.
func TestSetAvatar(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	id := uuid.NewString()
	put(t, a, id, map[string]types.AttributeValue{
		"name": s("Ada"), "email": s("a@b.c"), "avatar_url": s("http://old/ada.png"),
	})

	before, err := users.SetAvatar(t.Context(), id, "first", nil)
	require.NoError(t, err)
	assert.Equal(t, user.User{ID: id, Name: "Ada", Email: "a@b.c", ForeignAvatarURL: "http://old/ada.png"}, before)
	before, err = users.SetAvatar(t.Context(), id, "second", nil)
	require.NoError(t, err)
	assert.Equal(t, user.User{ID: id, Name: "Ada", Email: "a@b.c", AvatarID: "first"}, before)
	before, err = users.SetAvatar(t.Context(), id, "", nil)
	require.NoError(t, err)
	assert.Equal(t, "second", before.AvatarID)
	assert.Equal(t, map[string]types.AttributeValue{"id": s(id), "name": s("Ada"), "email": s("a@b.c")}, item(t, a, id))
}

// Ensure a delete returns who was deleted.
func TestDelete(t *testing.T) {
	t.Parallel()
	_, users := start(t)
	r := record("ada")
	_, err := users.Create(t.Context(), r)
	require.NoError(t, err)
	before, again, err := users.Delete(t.Context(), r.ID)
	require.NoError(t, err)
	assert.False(t, again)
	assert.Equal(t, r.User, before)
	got, err := users.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Nil(t, got)
}

// Ensure a write whose answer was lost is repeated, and is known to have been.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	a, users := start(t)

	r := record("ada")
	a.LoseReply("DynamoDB.PutItem", 1)
	existing, err := users.Create(t.Context(), r)
	require.NoError(t, err)
	require.NotNil(t, existing, "the repeated write finds the first")
	assert.Equal(t, r, *existing)

	a.LoseReply("DynamoDB.UpdateItem", 1)
	before, err := users.SetAvatar(t.Context(), r.ID, "image", nil)
	require.NoError(t, err)
	assert.Equal(t, "image", before.AvatarID, "the repeated write finds the first")

	a.LoseReply("DynamoDB.DeleteItem", 1)
	_, again, err := users.Delete(t.Context(), r.ID)
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.True(t, again)
}

// Ensure each failure is told apart: whether a later try may succeed, and whether the write may
// have taken effect. Earlier attempts count: a refusal says nothing of what they did.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail      func(a *awstest.AWS)
		code      user.Code
		uncertain bool
		missing   bool
		calls     int
	}{
		"server error": {
			func(a *awstest.AWS) { a.Fail("DynamoDB.PutItem", awstest.Always, 500, "InternalServerError") }, user.Unavailable,
			true, false, 3,
		},
		"throttled": {func(a *awstest.AWS) {
			a.Fail("DynamoDB.PutItem", awstest.Always, 400, "ProvisionedThroughputExceededException")
		}, user.Unavailable, false, false, 3},
		"refused": {
			func(a *awstest.AWS) { a.Fail("DynamoDB.PutItem", awstest.Always, 400, "AccessDeniedException") }, user.Internal,
			false, false, 1,
		},
		"no table": {
			func(a *awstest.AWS) { a.Fail("DynamoDB.PutItem", awstest.Always, 400, "ResourceNotFoundException") },
			user.Unavailable, false, true, 1,
		},
		"hung up": {
			func(a *awstest.AWS) { a.HangUp("DynamoDB.PutItem", awstest.Always) }, user.Unavailable, true, false, 3,
		},
		"lost, refused": {
			func(a *awstest.AWS) { a.Intercede("DynamoDB.PutItem", loseThenThrottle(a)) }, user.Unavailable, true, false, 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, users := start(t)
			c.fail(a)
			_, err := users.Create(t.Context(), record("ada"))
			var fault *user.Error
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, c.code, fault.Code, "%v", err)
			assert.Equal(t, c.uncertain, fault.Uncertain, "%v", err)
			if c.missing {
				assert.ErrorIs(t, err, user.ErrResourceMissing)
			}
			assert.Equal(t, c.calls, a.Calls("DynamoDB.PutItem"), "%v", err)
		})
	}
}

func loseThenThrottle(a *awstest.AWS) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		a.Fail("DynamoDB.PutItem", awstest.Always, 400, "ThrottlingException")
		connection, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = connection.Close()
		}
	}
}

// Ensure an endpoint that refuses connections is known not to have written anything.
func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	a.Config.Endpoint = "http://127.0.0.1:1"
	_, err := dynamo.New(a.SDK, a.Config).Create(t.Context(), record("ada"))
	var fault *user.Error
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, user.Unavailable, fault.Code)
	assert.False(t, fault.Uncertain, "%v", err)
}

// Ensure the check tells a table that is there from one that is missing and one that does not
// answer.
func TestCheck(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	require.NoError(t, users.Check(t.Context()))

	c := a.Config
	c.Table = "elsewhere"
	assert.ErrorIs(t, dynamo.New(a.SDK, c).Check(t.Context()), user.ErrResourceMissing)

	a.Fail("DynamoDB.DescribeTable", awstest.Always, 500, "InternalServerError")
	err := users.Check(t.Context())
	require.Error(t, err)
	assert.NotErrorIs(t, err, user.ErrResourceMissing)
}

func s(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func put(t *testing.T, a *awstest.AWS, id string, attributes map[string]types.AttributeValue) {
	t.Helper()
	attributes["id"] = s(id)
	_, err := a.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &a.Config.Table, Item: attributes})
	require.NoError(t, err)
}

func item(t *testing.T, a *awstest.AWS, id string) map[string]types.AttributeValue {
	t.Helper()
	out, err := a.DynamoDB.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: &a.Config.Table, Key: map[string]types.AttributeValue{"id": s(id)}, ConsistentRead: aws.Bool(true),
	})
	require.NoError(t, err)
	return out.Item
}

// Ensure a user is read as it was last written, which no emulator tells from an older read.
func TestReadsAreConsistent(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	bodies := map[string]string{}
	for _, operation := range []string{"GetItem", "BatchGetItem"} {
		a.Intercede("DynamoDB."+operation, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			bodies[operation] = string(body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}
	_, err := users.Get(t.Context(), "1")
	require.NoError(t, err)
	_, err = users.AvatarIDs(t.Context(), []string{"1"})
	require.NoError(t, err)
	for _, operation := range []string{"GetItem", "BatchGetItem"} {
		assert.Contains(t, bodies[operation], `"ConsistentRead":true`, operation)
	}
}
