package dynamo_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

const usersURL = "http://api.example.com/users"

type listed struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	AvatarURL string `json:"avatar_url"`
}

// page reads a page and what is in it.
func page(t *testing.T, users *dynamo.Users, q user.PageQuery) ([]listed, user.Page) {
	t.Helper()
	p, err := users.Page(t.Context(), []byte(`[`), usersURL, q)
	require.NoError(t, err)
	var list []listed
	require.NoError(t, json.Unmarshal(append(p.JSON, ']'), &list), "%s", p.JSON)
	require.Len(t, list, p.Users)
	if q.Limit > 0 {
		require.LessOrEqual(t, p.Users, q.Limit)
	}
	return list, p
}

// Ensure users are listed as they are, behind what was there before, whatever else is in their
// items.
func TestPageOfForeignItems(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	want := map[string]string{}
	for name, attributes := range map[string]map[string]types.AttributeValue{
		"Ada":             {"email": s("a@b.c"), "avatar_id": s("image")},
		"of old":          {"avatar_url": s("http://old/ada.png?a=b&c=d")},
		"of old, without": {"avatar_url": s("")},
		"both":            {"avatar_url": s("http://old/ada.png"), "avatar_id": s("image")},
		"odd": {
			"email": &types.AttributeValueMemberN{Value: "5"}, "avatar_id": &types.AttributeValueMemberNULL{Value: true},
			"extra": &types.AttributeValueMemberM{
				Value: map[string]types.AttributeValue{"id": s("not me"), "name": s("nor me")},
			},
		},
		"\"quoted\" \\ <b>日本</b>\n": {"email": s("é@example.com")},
	} {
		id := uuid.NewString()
		attributes["name"] = s(name)
		put(t, a, id, attributes)
		u, err := users.Get(t.Context(), id)
		require.NoError(t, err)
		want[id] = string(u.AppendJSON(nil, usersURL))
	}
	_, p := page(t, users, user.PageQuery{})
	var list []json.RawMessage
	require.NoError(t, json.Unmarshal(append(p.JSON, ']'), &list))
	require.Len(t, list, len(want))
	for _, u := range list {
		var id struct{ ID string }
		require.NoError(t, json.Unmarshal(u, &id))
		assert.Equal(t, want[id.ID], string(u))
	}
}

// Ensure a table of several megabytes is read with every user exactly once, in pages of any size.
func TestPage(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	const n = 300
	a.PagesOf(100)
	want := map[string]bool{}
	for i := range n {
		id := uuid.NewString()
		want[id] = true
		put(t, a, id, map[string]types.AttributeValue{"name": s(fmt.Sprint("user ", i)), "email": s("u@example.com")})
	}

	for _, limit := range []int{0, 200, 100, 7} {
		seen, pages := map[string]bool{}, 0
		for q := (user.PageQuery{Limit: limit}); pages == 0 || q.After != ""; pages++ {
			list, p := page(t, users, q)
			for _, u := range list {
				require.False(t, seen[u.ID], "%s came twice", u.ID)
				seen[u.ID] = true
			}
			if p.Next != "" {
				require.Equal(t, list[len(list)-1].ID, p.Next)
				require.True(t, limit == 0 || len(list) == limit, "%d of %d", len(list), limit)
			}
			q.After = p.Next
		}
		assert.Equal(t, want, seen, "limit %d", limit)
		if limit == 0 {
			assert.Greater(t, pages, 2)
		}
	}
}

// Ensure a page that ends with the last user knows that none follows.
func TestPageEndsWithTheLast(t *testing.T) {
	t.Parallel()
	_, users := start(t)
	for range 10 {
		_, err := users.Create(t.Context(), record("ada"))
		require.NoError(t, err)
	}
	for limit, more := range map[int]bool{9: true, 10: false, 11: false} {
		_, p := page(t, users, user.PageQuery{Limit: limit})
		assert.Equal(t, min(limit, 10), p.Users)
		assert.Equal(t, more, p.Next != "", "limit %d", limit)
	}
}

// Ensure a page can follow a user who has been deleted meanwhile.
func TestPageAfterDeleted(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	// kumo begins with the first item if that of the key is gone; DynamoDB goes on behind the key.
	a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		var in struct{ ExclusiveStartKey map[string]map[string]string }
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&in))
		assert.Equal(t, map[string]map[string]string{config.KeyAttribute: {"S": "gone"}}, in.ExclusiveStartKey)
		_, _ = w.Write([]byte(`{"Count":1,"Items":[{"id":{"S":"next"}}]}`))
	})
	rest, p := page(t, users, user.PageQuery{After: "gone"})
	assert.Empty(t, p.Next)
	assert.Equal(t, []listed{{ID: "next"}}, rest)
}

// Ensure lists are strongly consistent where that is asked for, and only there.
func TestPageConsistency(t *testing.T) {
	t.Parallel()
	for _, consistent := range []bool{false, true} {
		a := awstest.Start(t)
		var asked struct{ ConsistentRead *bool }
		a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&asked))
			_, _ = w.Write([]byte(`{"Items":[]}`))
		})
		a.Config.ListConsistentReads = consistent
		page(t, dynamo.New(a.SDK, a.Config), user.PageQuery{})
		require.NotNil(t, asked.ConsistentRead)
		assert.Equal(t, consistent, *asked.ConsistentRead)
	}
}

// Ensure an answer in a form that nobody has seen yet is read all the same, by the SDK.
func TestPageFallsBack(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		_, _ = io.WriteString(w, `{"Items":[],"Items":[{"id":{"S":"1"},"name":{"S":"Ada"}},{"id":{"S":"2"}},`+
			`{"id":{"S":"3"}}],"LastEvaluatedKey":{"id":{"S":"3"}}}`)
	})
	list, p := page(t, users, user.PageQuery{})
	assert.Equal(t, []listed{{ID: "1", Name: "Ada"}, {ID: "2"}, {ID: "3"}}, list)
	assert.Equal(t, "3", p.Next)
	list, p = page(t, users, user.PageQuery{Limit: 2})
	assert.Equal(t, []listed{{ID: "1", Name: "Ada"}, {ID: "2"}}, list)
	assert.Equal(t, "2", p.Next)
}

// Ensure a list does not end where a response lacks what DynamoDB always writes: half of the users
// would look like all of them.
func TestPageOfNoDynamoDB(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	for _, body := range []string{
		`{}`, `{"Count":0}`, `{"Items":null}`, `{"Items":[],"LastEvaluatedKey":{"id":{"N":"1"}}}`,
		`{"Items":[],"LastEvaluatedKey":{"key":{"S":"1"}}}`, `{"Items":[],"LastEvaluatedKey":{"id":{"S":""}}}`, ``, `<html>`,
	} {
		a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_, _ = w.Write([]byte(body))
		})
		for _, limit := range []int{0, 10} {
			_, err := users.Page(t.Context(), nil, usersURL, user.PageQuery{Limit: limit})
			assert.Equal(t, user.Unavailable, user.CodeOf(err), "%s: %v", body, err)
		}
	}
}

// Ensure a response is not read without an end.
func TestResponseTooLarge(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	for _, declared := range []bool{true, false} {
		a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			if declared {
				w.Header().Set("Content-Length", strconv.Itoa(64<<20))
			}
			for range 64 {
				_, _ = w.Write(make([]byte, 1<<20))
			}
		})
		_, err := users.Page(t.Context(), nil, usersURL, user.PageQuery{})
		assert.ErrorContains(t, err, "more than 33554432 bytes")
		assert.Equal(t, user.Unavailable, user.CodeOf(err))
	}
}

// Ensure a response that was changed on its way, to a read or a write, is discarded and the call
// repeated.
func TestCorruptAnswers(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"Scan", "GetItem", "PutItem", "DescribeTable"} {
		a, users := start(t)
		r := record("ada")
		_, err := users.Create(t.Context(), r)
		require.NoError(t, err)
		corrupt := 1
		a.Intercede("DynamoDB."+operation, func(w http.ResponseWriter, request *http.Request, next http.Handler) {
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, request)
			body := []byte(strings.ReplaceAll(answer.Body.String(), "ada@", "eve@"))
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			sum := crc32.ChecksumIEEE(answer.Body.Bytes()) // kumo sends none
			if corrupt--; corrupt >= 0 && string(body) == answer.Body.String() {
				sum ^= 1
			} else if corrupt < 0 {
				body = answer.Body.Bytes()
			}
			w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(sum), 10))
			w.WriteHeader(answer.Code)
			_, _ = w.Write(body)
		})
		before := a.Calls("DynamoDB." + operation)
		switch operation {
		case "Scan":
			list, _ := page(t, users, user.PageQuery{})
			assert.Equal(t, "ada@example.com", list[0].Email)
		case "GetItem":
			got, err := users.Get(t.Context(), r.ID)
			require.NoError(t, err)
			assert.Equal(t, r, *got)
		case "PutItem":
			existing, err := users.Create(t.Context(), record("bob"))
			require.NoError(t, err)
			assert.Equal(t, "bob", existing.Name, "the repeated write finds the first")
		case "DescribeTable":
			require.NoError(t, users.Check(t.Context()))
		}
		calls := 2
		if operation == "DescribeTable" { // once for each table, and the first once more
			calls = 1 + len(contract.Names(a.Config.Resources(), contract.TableKind))
		}
		assert.Equal(t, calls, a.Calls("DynamoDB."+operation)-before, operation)
	}
}

// Ensure an empty response is a failure of every call: the SDK takes it for one without attributes,
// so that a user would not exist or would be created.
func TestEmptyResponses(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	for _, operation := range []string{"GetItem", "PutItem", "Scan", "DescribeTable"} {
		a.Intercede("DynamoDB."+operation, func(http.ResponseWriter, *http.Request, http.Handler) {})
	}
	_, err := users.Get(t.Context(), uuid.NewString())
	assert.Equal(t, user.Unavailable, user.CodeOf(err))
	_, err = users.Create(t.Context(), record("ada"))
	assert.Equal(t, user.Unavailable, user.CodeOf(err))
	_, err = users.Page(t.Context(), nil, usersURL, user.PageQuery{})
	assert.Equal(t, user.Unavailable, user.CodeOf(err))
	assert.Error(t, users.Check(t.Context()))
}
