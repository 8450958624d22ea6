package dynamo_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
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

// Ensure users are listed as they are, behind what was there before, whatever else is in their items.
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
			"extra": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"id": s("not me"), "name": s("nor me")}},
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

// Ensure a table of several megabytes is read with every user exactly once, in pages of any size and in any number of parts.
func TestPage(t *testing.T) {
	t.Parallel()
	a, users := start(t)
	const n = 3000
	filler := strings.Repeat("x", 1000) // 3 MB in all
	want := map[string]bool{}
	for i := range n {
		id := uuid.NewString()
		want[id] = true
		put(t, a, id, map[string]types.AttributeValue{"name": s(fmt.Sprint("user ", i)), "email": s("u@example.com"), "filler": s(filler)})
	}

	for _, test := range []struct{ limit, segments int }{{0, 0}, {0, 1}, {0, 4}, {1000, 0}, {7, 0}, {100, 3}} {
		seen, pages := map[string]bool{}, 0
		for segment := range max(test.segments, 1) {
			q := user.PageQuery{Limit: test.limit, Segment: segment, Segments: test.segments}
			for {
				list, p := page(t, users, q)
				pages++
				for _, u := range list {
					require.False(t, seen[u.ID], "%s came twice", u.ID)
					seen[u.ID] = true
				}
				if p.Next == "" {
					require.False(t, p.More)
					break
				}
				if p.More {
					require.Equal(t, list[len(list)-1].ID, p.Next)
				}
				q.After = p.Next
			}
		}
		assert.Equal(t, want, seen, "%+v", test)
		if test.limit == 0 {
			assert.Greater(t, pages, 2, "DynamoDB answers with 1 MB at most")
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
		assert.Equal(t, more, p.More, "limit %d", limit)
		assert.Equal(t, more, p.Next != "", "limit %d", limit)
	}
}

// Ensure a page can follow a user who has been deleted meanwhile.
func TestPageAfterDeleted(t *testing.T) {
	t.Parallel()
	_, users := start(t)
	for range 10 {
		_, err := users.Create(t.Context(), record("ada"))
		require.NoError(t, err)
	}
	all, _ := page(t, users, user.PageQuery{})
	_, _, err := users.Delete(t.Context(), all[4].ID)
	require.NoError(t, err)
	rest, p := page(t, users, user.PageQuery{After: all[4].ID})
	assert.Empty(t, p.Next)
	assert.Equal(t, all[5:], rest)
}

// Ensure lists are strongly consistent where that is asked for, and only there.
func TestPageConsistency(t *testing.T) {
	t.Parallel()
	for _, consistent := range []bool{false, true} {
		a := awstest.Start(t)
		var asked struct{ ConsistentRead *bool }
		a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&asked))
			_, _ = w.Write([]byte(`{}`))
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
		_, _ = w.Write([]byte(`{"ConsumedCapacity":{"TableName":"users"},"Items":[{"id":{"S":"1"},"name":{"S":"Ada"}},{"id":{"S":"2"}},{"id":{"S":"3"}}],"LastEvaluatedKey":{"id":{"S":"3"}}}`))
	})
	list, p := page(t, users, user.PageQuery{})
	assert.Equal(t, []listed{{ID: "1", Name: "Ada"}, {ID: "2"}, {ID: "3"}}, list)
	assert.Equal(t, "3", p.Next)
	assert.False(t, p.More)
	list, p = page(t, users, user.PageQuery{Limit: 2})
	assert.Equal(t, []listed{{ID: "1", Name: "Ada"}, {ID: "2"}}, list)
	assert.Equal(t, "2", p.Next)
	assert.True(t, p.More)
}

// Ensure an answer that was changed on its way is not taken, neither of a read nor of a write, and that the call is made
// again.
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
			checksum := answer.Header().Get("X-Amz-Crc32")
			require.NotEmpty(t, checksum)
			if corrupt--; corrupt >= 0 && string(body) == answer.Body.String() {
				n, err := strconv.ParseUint(checksum, 10, 32)
				assert.NoError(t, err)
				checksum = strconv.FormatUint(n^1, 10)
			} else if corrupt < 0 {
				body = answer.Body.Bytes()
			}
			w.Header().Set("X-Amz-Crc32", checksum)
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
		assert.Equal(t, 2, a.Calls("DynamoDB."+operation)-before, operation)
	}
}

// scripted answers Scans with bodies, one after the other, and checksums of them unless they have one.
type scripted []struct{ body, checksum string }

func (s scripted) at(a *awstest.AWS) {
	next := 0
	a.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		answer := s[next]
		next++
		switch answer.checksum {
		case "":
			w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(answer.body))), 10))
		case "none":
		default:
			w.Header().Set("X-Amz-Crc32", answer.checksum)
		}
		if strings.HasPrefix(answer.body, `{"__type"`) {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write([]byte(answer.body))
	})
}

// Ensure a page is found to be unchanged where the answer is that of the query before, with its checksum, and in no other
// case: then it is there as if nothing had been known of it.
func TestPageUnchanged(t *testing.T) {
	t.Parallel()
	of := func(names ...string) string {
		items := make([]string, len(names))
		for i, name := range names {
			items[i] = fmt.Sprintf(`{"id":{"S":"%d"},"name":{"S":%q}}`, i, name)
		}
		return fmt.Sprintf(`{"Count":%d,"Items":[%s],"ScannedCount":%d}`, len(names), strings.Join(items, ","), len(names))
	}
	ada, eve := of("Ada", "Bob"), of("Eve", "Bob")
	strange := strings.Replace(ada, "{", `{"ConsumedCapacity":{"TableName":"users"},`, 1)
	const refused = `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}`
	const unchanged, fails = "unchanged", "fails"
	long := of("Ada", strings.Repeat("x", 64<<10))

	for name, test := range map[string]struct {
		answers scripted
		limit   int
		want    []string // first names of each page
	}{
		"the same":               {scripted{{ada, ""}, {ada, ""}, {ada, ""}}, 0, []string{"Ada", unchanged, unchanged}},
		"another, and back":      {scripted{{ada, ""}, {eve, ""}, {eve, ""}, {ada, ""}}, 0, []string{"Ada", "Eve", unchanged, "Ada"}},
		"shorter":                {scripted{{ada, ""}, {of("Ada"), ""}, {of("Ada"), ""}}, 0, []string{"Ada", "Ada", unchanged}},
		"with no checksums":      {scripted{{ada, "none"}, {ada, "none"}}, 0, []string{"Ada", unchanged}},
		"a checksum more":        {scripted{{ada, "none"}, {ada, ""}, {ada, ""}}, 0, []string{"Ada", "Ada", unchanged}},
		"a checksum less":        {scripted{{ada, ""}, {ada, "none"}, {ada, "none"}}, 0, []string{"Ada", "Ada", unchanged}},
		"another checksum":       {scripted{{ada, ""}, {ada, "1"}, {ada, ""}}, 0, []string{"Ada", unchanged}}, // two attempts
		"corrupt, and changed":   {scripted{{ada, ""}, {ada, "1"}, {eve, ""}, {eve, ""}}, 0, []string{"Ada", "Eve", unchanged}},
		"corrupt from the first": {scripted{{eve, "1"}, {ada, ""}, {ada, ""}}, 0, []string{"Ada", unchanged}},
		"read by the SDK":        {scripted{{ada, ""}, {strange, ""}, {strange, ""}, {ada, ""}, {ada, ""}}, 0, []string{"Ada", "Ada", "Ada", "Ada", unchanged}},
		"an error between":       {scripted{{ada, ""}, {refused, ""}, {ada, ""}, {ada, ""}}, 0, []string{"Ada", fails, "Ada", unchanged}},
		"more than the limit":    {scripted{{ada, ""}, {ada, ""}, {of("Ada"), ""}}, 1, []string{"Ada", unchanged, "Ada"}},
		"nobody":                 {scripted{{of(), ""}, {of(), ""}, {ada, ""}}, 0, []string{"", unchanged, "Ada"}},
		"too long to be kept":    {scripted{{long, ""}, {long, ""}, {eve, ""}, {eve, ""}}, 0, []string{"Ada", "Ada", "Eve", unchanged}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, users := start(t)
			test.answers.at(a)
			var last user.Snapshot
			for i, want := range test.want {
				q := user.PageQuery{Limit: test.limit, Last: &last}
				if want == fails {
					_, err := users.Page(t.Context(), nil, usersURL, q)
					require.Error(t, err)
					continue
				}
				list, p := page(t, users, q)
				if want == unchanged {
					assert.Equal(t, user.Page{JSON: []byte(`[`), Unchanged: true}, p, "page %d", i)
					continue
				}
				require.False(t, p.Unchanged, "page %d", i)
				assert.Equal(t, test.limit == 1 && i == 0, p.More, "page %d", i)
				if want == "" {
					assert.Empty(t, list)
				} else if assert.NotEmpty(t, list) {
					assert.Equal(t, want, list[0].Name, "page %d", i)
				}
			}
			assert.Equal(t, len(test.answers), a.Calls("DynamoDB.Scan"))
		})
	}
}
