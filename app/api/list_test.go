package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// Ensure an empty table is an empty array.
func TestListEmpty(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, path := range []string{"/users", "/users?limit=5"} {
		got := s.do(t, http.MethodGet, path, "")
		assert.Equal(t, http.StatusOK, got.StatusCode)
		assert.Equal(t, "[]", got.body)
		assert.Equal(t, "application/json", got.Header.Get("Content-Type"))
		assert.Empty(t, got.Header.Get("Link"))
	}
}

// Ensure a table of more than a megabyte is listed whole, every user once and as valid JSON, in one
// answer and by following links.
func TestListLongTable(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.aws.PagesOf(1000)
	const n = 1500
	want := map[string]bool{}
	for range n {
		id := uuid.NewString()
		want[id] = true
		s.put(t, map[string]string{"id": id, "name": "Ada", "email": "a@b.c"})
	}

	whole := s.do(t, http.MethodGet, "/users", "")
	require.NoError(t, whole.err)
	assert.Equal(t, []string{"chunked"}, whole.TransferEncoding, "sent while it is read")
	assert.Equal(t, want, ids(t, whole.body))
	assert.Greater(t, s.aws.Calls("DynamoDB.Scan"), 1)
	line := s.log.requests(t, "/users")[0]
	assert.EqualValues(t, len(whole.body), line["bytes"])
	assert.NotContains(t, line, "error")

	head := s.do(t, http.MethodHead, "/users", "")
	assert.Equal(t, http.StatusOK, head.StatusCode)
	assert.Empty(t, head.body)

	seen, path := map[string]bool{}, "/users?limit=700"
	for path != "" {
		part := s.do(t, http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, part.StatusCode, part.body)
		for id := range ids(t, part.body) {
			require.False(t, seen[id], "%s came twice", id)
			seen[id] = true
		}
		link, ok := strings.CutSuffix(part.Header.Get("Link"), `>; rel="next"`)
		require.Equal(t, len(seen) < n, ok, "after %d users: %q", len(seen), part.Header.Get("Link"))
		path = strings.TrimPrefix(link, "<"+s.url)
	}
	assert.Equal(t, want, seen)
}

// Ensure there is no link where the limit falls on the last user.
func TestListLimitIsLength(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.create(t)
	s.create(t)
	assert.NotEmpty(t, s.do(t, http.MethodGet, "/users?limit=1", "").Header.Get("Link"))
	assert.Empty(t, s.do(t, http.MethodGet, "/users?limit=2", "").Header.Get("Link"))
}

// Ensure a page of the store that is empty and not the last ends no list.
func TestListEmptyPages(t *testing.T) {
	t.Parallel()
	s := serve(t, config.Default(), pages{page: func(after string) ([]user.User, string, error) {
		return map[string][]user.User{"2": {{ID: "a"}}, "4": {{ID: "b"}}}[after], map[string]string{"": "1", "1": "2", "2": "3", "3": "4", "4": "5"}[after], nil
	}}, nil, nil)
	const want = `[{"id":"a","name":"","email":"","avatar_url":""},{"id":"b","name":"","email":"","avatar_url":""}]`
	assert.Equal(t, want, s.do(t, http.MethodGet, "/users", "").body)
	assert.Equal(t, want, s.do(t, http.MethodGet, "/users?limit=2", "").body)
}

// Ensure users of the earlier service are listed as they always were.
func TestListForeignItems(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	with, without := uuid.NewString(), uuid.NewString()
	s.put(t, map[string]string{"id": with, "name": "Ada", "email": "not an address", "avatar_url": "http://old.example.com/a.png?x=1&y=<2>"})
	s.put(t, map[string]string{"id": without, "name": "Bob", "email": "b@c.d", "avatar_url": ""})

	var got []map[string]string
	require.NoError(t, json.Unmarshal([]byte(s.do(t, http.MethodGet, "/users", "").body), &got))
	assert.ElementsMatch(t, []map[string]string{
		{"id": with, "name": "Ada", "email": "not an address", "avatar_url": "http://old.example.com/a.png?x=1&y=<2>"},
		{"id": without, "name": "Bob", "email": "b@c.d", "avatar_url": ""},
	}, got)

	assert.Equal(t, http.StatusNotFound, s.do(t, http.MethodGet, "/users/"+with+"/avatar", "").StatusCode)
	replaced := s.do(t, http.MethodPut, "/users/"+with+"/avatar", string(apitest.GIF(2, 2, 1)))
	assert.Equal(t, http.StatusOK, replaced.StatusCode, replaced.body)
	assert.Equal(t, "image/gif", s.do(t, http.MethodGet, "/users/"+with+"/avatar", "").Header.Get("Content-Type"))
	assert.Equal(t, http.StatusNotFound, s.do(t, http.MethodDelete, "/users/"+without+"/avatar", "").StatusCode)
}

// put writes an item as somebody else would.
func (s *server) put(t *testing.T, attributes map[string]string) {
	t.Helper()
	item := map[string]types.AttributeValue{}
	for name, value := range attributes {
		item[name] = &types.AttributeValueMemberS{Value: value}
	}
	_, err := s.aws.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &s.aws.Config.Table, Item: item})
	require.NoError(t, err)
}

func ids(t *testing.T, body string) map[string]bool {
	t.Helper()
	var users []struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(body), &users), "%.200s", body)
	set := map[string]bool{}
	for _, u := range users {
		require.False(t, set[u.ID], "%s came twice", u.ID)
		set[u.ID] = true
	}
	require.Len(t, set, len(users), fmt.Sprint(len(users)))
	return set
}
