package dynamo_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

const usersURL = "http://api.example.com/users"

func start(t *testing.T) (*awstest.AWS, *dynamo.Users) {
	t.Helper()
	a := awstest.Start(t)
	return a, dynamo.New(a.SDK, a.Config)
}

func record(name string) user.Record {
	return user.Record{User: user.User{ID: uuid.NewString(), Name: name, Email: name + "@example.com"}}
}

func s(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

// Ensure items of the earlier service, and malformed ones, are read as far as possible, and that a
// foreign link can be replaced by an image and removed.
func TestForeignItems(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	null := &types.AttributeValueMemberNULL{Value: true}
	for want, item := range map[string]map[string]types.AttributeValue{
		`"name":"","email":"","avatar_url":""}`:                  {},
		`"name":"Ada","email":"a@b.c","avatar_url":""}`:          {"name": s("Ada"), "email": s("a@b.c"), "avatar_url": s("")},
		`"name":"Bob","email":"","avatar_url":""}`:               {"name": s("Bob"), "avatar_url": null},
		`"name":"","email":"e","avatar_url":"http://old/a?b&c"}`: {"email": s("e"), "avatar_url": s("http://old/a?b&c")},
		`"name":"","email":"","avatar_url":"` + usersURL + `/ID/avatar?v=image"}`: {
			"avatar_url": s("http://old/ada.png"), "avatar_id": s("image"),
		},
		`"name":"Odd","email":"","avatar_url":""}`: {
			"name": s("Odd"), "email": &types.AttributeValueMemberN{Value: "5"}, "avatar_id": null,
			"extra": &types.AttributeValueMemberM{
				Value: map[string]types.AttributeValue{"id": s("not me"), "name": s("nor me")},
			},
		},
		`"name":"\"q\" \\ <b>日本</b>\n","email":"é@b.c","avatar_url":""}`: {
			"name": s("\"q\" \\ <b>日本</b>\n"), "email": s("é@b.c"),
		},
	} {
		for _, avatarID := range []string{"new", ""} {
			id := uuid.NewString()
			want := `{"id":"` + id + `",` + strings.ReplaceAll(want, "/ID/", "/"+id+"/")
			item["id"] = s(id)
			_, err := a.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &a.Config.Table, Item: item})
			require.NoError(t, err)
			got, err := users.Get(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, want, string(got.AppendJSON(nil, usersURL)))
			p, err := users.Page(t.Context(), nil, usersURL, user.PageQuery{})
			require.NoError(t, err)
			assert.Contains(t, string(p.JSON), want)
			before, err := users.SetAvatar(t.Context(), id, avatarID, nil)
			require.NoError(t, err)
			assert.Equal(t, got.User, before)
			got, err = users.Get(t.Context(), id)
			require.NoError(t, err)
			before.AvatarID, before.ForeignAvatarURL = avatarID, ""
			assert.Equal(t, before, got.User)
		}
	}
}

// Ensure requests obey rules of DynamoDB that emulators do not check: consistent reads of users,
// and of lists if configured, at most 100 keys for BatchGetItem, no empty map, and a limit for each
// Scan.
func TestRequests(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	var bodies []string
	for _, operation := range []string{"GetItem", "BatchGetItem", "Scan", "UpdateItem"} {
		a.Intercede("DynamoDB."+operation, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			bodies = append(bodies, string(body))
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}
	_, err := users.Get(t.Context(), "1")
	require.NoError(t, err)
	ids := make([]string, 101)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	_, err = users.AvatarIDs(t.Context(), ids)
	require.NoError(t, err)
	a.Config.ListConsistentReads = true
	for _, users := range []*dynamo.Users{dynamo.New(a.SDK, a.Config), users} {
		_, err = users.Page(t.Context(), nil, usersURL, user.PageQuery{})
		require.NoError(t, err)
	}
	_, err = users.SetAvatar(t.Context(), "1", "", nil)
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	_, err = users.Page(t.Context(), nil, usersURL, user.PageQuery{Limit: 7})
	require.NoError(t, err)
	require.Len(t, bodies, 7)
	for _, body := range bodies[:4] {
		assert.Contains(t, body, `"ConsistentRead":true`)
		assert.LessOrEqual(t, strings.Count(body, `{"S":`), 100)
	}
	assert.Contains(t, bodies[4], `"ConsistentRead":false`)
	assert.Contains(t, bodies[4], `"Limit":10000`)
	assert.NotContains(t, bodies[5], "{}")
	assert.Contains(t, bodies[6], `"Limit":8`, "one user more tells whether any follow")
}
