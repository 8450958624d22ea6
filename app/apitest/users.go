package apitest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (s *suite) emptyTable(t *testing.T) {
	// Ensure clients that loop over the list need no case for none: not null, not an object.
	t.Run("the list is an empty array", func(t *testing.T) {
		for _, path := range []string{"/users", "/users?limit=5"} {
			r := s.Do(t, "GET", path, nil)
			r.JSON(t, http.StatusOK, `[]`)
			require.Empty(t, r.Header.Values("Link"), r)
		}
	})

	// Ensure no page leads to one that has nothing on it, also where the users come out even.
	t.Run("only the last page is short and no page is empty", func(t *testing.T) {
		for range 4 {
			s.CreateJSON(t, "Ann", Email())
		}
		s.untilListed(t, func(users []User) bool { return len(users) == 4 })
		for limit, want := range map[int][]int{1: {1, 1, 1, 1}, 2: {2, 2}, 3: {3, 1}, 4: {4}, 5: {4}, 1000: {4}} {
			var sizes []int
			for path := "/users?limit=" + strconv.Itoa(limit); path != ""; {
				var users []User
				users, path = s.page(t, path)
				sizes = append(sizes, len(users))
			}
			assert.Equal(t, want, sizes, "limit %d", limit)
		}
	})

	// Ensure a client that has the list is not sent it again, and is when the list has become another.
	t.Run("a client that has the list is told so", func(t *testing.T) {
		created := s.CreateJSON(t, "Ann", Email())
		s.CreateJSON(t, "Bob", Email())
		s.untilListed(t, func(users []User) bool { return len(users) == 2 })
		for _, path := range []string{"/users", "/users?limit=1", "/users?limit=2"} {
			first := s.Do(t, "GET", path, nil)
			etag := first.Header.Get("Etag")
			require.Regexp(t, strongETag, etag)
			assert.Equal(t, []string{"private, no-cache"}, first.Header.Values("Cache-Control"), first)
			for _, condition := range []string{etag, "W/" + etag, "*", `"x", ` + etag} {
				for _, method := range []string{"GET", "HEAD"} {
					r := s.Do(t, method, path, nil, "If-None-Match: "+condition)
					require.Equal(t, http.StatusNotModified, r.Status, r)
					assert.Empty(t, r.Body, r)
					assert.Equal(t, etag, r.Header.Get("Etag"), r)
					assert.Equal(t, first.Header.Values("Link"), r.Header.Values("Link"), r)
				}
			}
			for _, condition := range []string{`"x"`, strings.Trim(etag, `"`), `W/"x"`} {
				r := s.Do(t, "GET", path, nil, "If-None-Match: "+condition)
				require.Equal(t, http.StatusOK, r.Status, r)
				assert.Equal(t, first.Body, r.Body, r)
			}
		}
		before := s.Do(t, "GET", "/users", nil).Header.Get("Etag")
		r := s.Do(t, "PATCH", "/users/"+created.ID, strings.NewReader(`{"name":"Eve"}`), "Content-Type: application/json")
		require.Equal(t, http.StatusOK, r.Status, r)
		users := s.untilListed(t, func(users []User) bool {
			return slices.ContainsFunc(users, func(u User) bool { return u.ID == created.ID && u.Name == "Eve" })
		})
		require.Len(t, users, 2)
		r = s.Do(t, "GET", "/users", nil, "If-None-Match: "+before)
		require.Equal(t, http.StatusOK, r.Status, r)
		assert.NotEqual(t, before, r.Header.Get("Etag"), r)
	})

	// Ensure the client goes on where it was, when the user that its cursor names is deleted meanwhile.
	t.Run("a cursor outlives its user", func(t *testing.T) {
		for range 3 {
			s.CreateJSON(t, "Ann", Email())
		}
		all := s.untilListed(t, func(users []User) bool { return len(users) == 3 })
		first, next := s.page(t, "/users?limit=1")
		require.Len(t, first, 1)
		require.NotEmpty(t, next)
		s.Delete(t, first[0].ID)
		rest := s.walk(t, next)
		require.Len(t, rest, 2)
		assert.ElementsMatch(t, all, append(rest, first...))
	})

	// Ensure 100 is the size of a page that only a cursor asks for.
	t.Run("a cursor without a limit makes pages of a hundred", func(t *testing.T) {
		s.createMany(t, 103, func(int) string { return object("name", "Ann", "email", Email()) })
		s.untilListed(t, func(users []User) bool { return len(users) == 103 })
		first, next := s.page(t, "/users?limit=2")
		require.Len(t, first, 2)
		second, next := s.page(t, "/users?cursor="+cursorOf(t, next))
		require.Len(t, second, 100)
		require.Equal(t, "100", query(t, next).Get("limit"), next)
		third, next := s.page(t, next)
		require.Len(t, third, 1)
		require.Empty(t, next)
	})
}

// emptyAgain looks at the suite itself.
func (s *suite) emptyAgain(t *testing.T) {
	// Ensure the suite has removed what it created.
	t.Run("nothing is left behind", func(t *testing.T) {
		s.untilListed(t, func(users []User) bool { return len(users) == 0 })
	})
}

func (s *suite) list(t *testing.T) {
	// Ensure existing clients find the four fields that they rely on, and nothing of how users are stored.
	t.Run("a user without an avatar has an empty avatar_url", func(t *testing.T) {
		email := Email()
		created := s.CreateJSON(t, "Ann", email)
		users := s.untilListed(t, func(users []User) bool { return len(byID(users, created.ID)) > 0 })
		assert.Equal(t, []User{{ID: created.ID, Name: "Ann", Email: email}}, byID(users, created.ID))
	})

	// Ensure the list says the same of an avatar as the answer to its creation did.
	t.Run("a user with an avatar has its absolute URL", func(t *testing.T) {
		email := Email()
		created := s.CreateForm(t, "Ann", email, PNG(2, 2))
		users := s.untilListed(t, func(users []User) bool { return len(byID(users, created.ID)) > 0 })
		assert.Equal(t, []User{{ID: created.ID, Name: "Ann", Email: email, AvatarURL: created.AvatarURL}}, byID(users, created.ID))
		image, _ := s.Avatar(t, byID(users, created.ID)[0].AvatarURL)
		assert.Equal(t, PNG(2, 2), image)
	})

	// Ensure the list and the user itself say the same.
	t.Run("a user is listed as GET shows it", func(t *testing.T) {
		created := s.CreateJSON(t, `Zoë "Z" <z> \ & שלום 👩‍🚀`, Email())
		users := s.untilListed(t, func(users []User) bool { return len(byID(users, created.ID)) > 0 })
		assert.Equal(t, []User{s.Get(t, created.ID)}, byID(users, created.ID))
	})

	// Ensure no user is left out and none comes twice.
	t.Run("every user is listed once", func(t *testing.T) {
		created := s.createMany(t, 25, func(int) string { return object("name", "Ann", "email", Email()) })
		users := s.untilListed(t, func(users []User) bool {
			return len(idsOf(users, created)) >= len(created)
		})
		assert.ElementsMatch(t, created, idsOf(users, created))
	})

	// Ensure the whole list comes in one answer, with nothing to follow.
	t.Run("the whole list has no Link", func(t *testing.T) {
		r := s.Do(t, "GET", "/users", nil)
		r.Users(t)
		assert.Empty(t, r.Header.Values("Link"), r)
	})

	// Ensure HEAD of the list is answered as GET is.
	t.Run("it answers HEAD", func(t *testing.T) {
		s.requireHeadLikeGet(t, "/users")
	})
}

func (s *suite) pages(t *testing.T) {
	var created []string
	for range 7 {
		created = append(created, s.CreateJSON(t, "Ann", Email()).ID)
	}
	all := s.untilListed(t, func(users []User) bool { return len(idsOf(users, created)) == len(created) })

	// Ensure a client that follows the links sees every user once, whatever the size of its pages.
	t.Run("the links lead to every user once", func(t *testing.T) {
		// Not by ones where the table is large, so that the time of the test does not grow with it.
		for _, limit := range []int{max(1, len(all)/50), max(3, len(all)/7), 1000} {
			users := s.walk(t, fmt.Sprintf("/users?limit=%d", limit))
			assert.ElementsMatch(t, created, idsOf(users, created), "limit %d", limit)
			for _, u := range users {
				assert.Len(t, byID(users, u.ID), 1, "limit %d: user %s", limit, u.ID)
			}
		}
	})

	// Ensure a page is never longer than the client asked for, and says where it goes on.
	t.Run("a page has at most as many users as asked for", func(t *testing.T) {
		for _, limit := range []int{1, 2, 6} {
			users, next := s.page(t, fmt.Sprintf("/users?limit=%d", limit))
			assert.NotEmpty(t, users)
			assert.NotEmpty(t, next, "there are at least %d users", len(created))
		}
	})

	// Ensure a page shows users as the whole list does.
	t.Run("a page has the form of the list", func(t *testing.T) {
		id := created[0]
		users := s.walk(t, "/users?limit=1000")
		assert.Equal(t, byID(all, id), byID(users, id))
	})

	// Ensure HEAD tells a client where the next page is.
	t.Run("it answers HEAD with the Link", func(t *testing.T) {
		if s.Empty { // elsewhere the first page may change in between
			s.requireHeadLikeGet(t, "/users?limit=2")
		}
		r := s.Do(t, "HEAD", "/users?limit=2", nil)
		require.Equal(t, http.StatusOK, r.Status, r)
		assert.NotEmpty(t, s.next(t, r))
	})

	// Ensure a limit that cannot be met is refused, not bent.
	t.Run("a limit that is not a number from 1 to 1000 is refused", func(t *testing.T) {
		for _, limit := range []string{
			"", "0", "-1", "1001", "99999999999999999999", "%205", "5%20", "5x", "%2B5", "5.0", "1e2", "0x10", "1_0", "five", "%D9%A5", "5&limit=5",
		} {
			t.Run("limit="+limit, func(t *testing.T) {
				s.Do(t, "GET", "/users?limit="+limit, nil).Problem(t, http.StatusBadRequest, "Invalid 'limit'")
			})
		}
	})

	// Ensure the ends of the range belong to it.
	t.Run("1 and 1000 are limits", func(t *testing.T) {
		s.page(t, "/users?limit=1")
		s.page(t, "/users?limit=1000")
	})

	_, next := s.page(t, "/users?limit=2")
	cursor := cursorOf(t, next)

	// Ensure a cursor works by itself.
	t.Run("a cursor needs no limit", func(t *testing.T) {
		users, _ := s.page(t, "/users?cursor="+cursor)
		assert.LessOrEqual(t, len(users), 100)
		assert.NotEmpty(t, users)
	})

	// Ensure a cursor that any character has been changed of is seen to be no cursor of ours.
	t.Run("a cursor that was changed is refused", func(t *testing.T) {
		require.Regexp(t, `^[A-Za-z0-9._~-]+$`, cursor, "a cursor goes into a URL as it is")
		var changed []string
		for i := range cursor {
			for _, c := range "A0z_-" {
				changed = append(changed, cursor[:i]+string(c)+cursor[i+1:])
			}
		}
		// The last character of an encoding may have bits that a careless decoder drops.
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-" {
			changed = append(changed, cursor[:len(cursor)-1]+string(c))
		}
		for i := range cursor { // the empty one among them
			changed = append(changed, cursor[:i], cursor[i+1:])
		}
		changed = append(changed, cursor+"A", cursor+"=", cursor+"%3D", cursor+"%0A", "%20"+cursor, cursor+cursor,
			strings.ToUpper(cursor), strings.ToLower(cursor), unknownID(), created[0], "null", "%00", "%FF", strings.Repeat("A", 4000))
		for _, c := range changed {
			if c != cursor {
				s.Do(t, "GET", "/users?limit=2&cursor="+c, nil).Problem(t, http.StatusBadRequest, "Invalid 'cursor'")
			}
		}
	})
}

func (s *suite) largeTable(t *testing.T) {
	// A page of DynamoDB is 1 MB, and a user of the greatest length is a bit more than 1 KB.
	name := strings.Repeat("😀", 200)
	email := func() string { return longEmail(Marker()) }
	created := s.createMany(t, 1000, func(int) string { return object("name", name, "email", email()) })

	// Ensure the list is complete however many pages DynamoDB needs for it.
	t.Run("every user is listed once", func(t *testing.T) {
		users := s.untilListed(t, func(users []User) bool { return len(idsOf(users, created)) >= len(created) })
		assert.ElementsMatch(t, created, idsOf(users, created))
	})

	// Ensure a list that is sent in parts has the headers of one that is not, and HEAD no body of it.
	t.Run("it answers HEAD", func(t *testing.T) {
		s.requireHeadLikeGet(t, "/users")
	})

	if !s.Proxied {
		// Ensure a client that does not know chunks, which are of HTTP/1.1, is not sent any: RFC 9112 §6.1.
		t.Run("a client of HTTP/1.0 gets it in one piece", func(t *testing.T) {
			conn := s.dial(t)
			_, err := io.WriteString(conn, "GET /users HTTP/1.0\r\n"+s.headers()+"\r\n")
			require.NoError(t, err)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer res.Body.Close()
			require.Equal(t, http.StatusOK, res.StatusCode)
			assert.Empty(t, res.TransferEncoding, "Transfer-Encoding")
			var users []json.RawMessage
			require.NoError(t, json.NewDecoder(res.Body).Decode(&users))
			assert.GreaterOrEqual(t, len(users), len(created))
		})
	}

	// Ensure our pages and those of DynamoDB do not get in each other's way.
	t.Run("the links lead to every user once", func(t *testing.T) {
		for _, limit := range []int{300, 999, 1000} {
			users := s.walk(t, fmt.Sprintf("/users?limit=%d", limit))
			assert.ElementsMatch(t, created, idsOf(users, created), "limit %d", limit)
		}
	})
}

// createMany creates users of these JSON bodies, some at a time, and returns their ids.
func (s *suite) createMany(t *testing.T, n int, body func(i int) string) []string {
	t.Helper()
	const atOnce = 8
	var ids []string
	for len(ids) < n {
		var some []string
		for _, r := range s.together(t, min(atOnce, n-len(ids)), func(i int) (*Response, error) {
			return s.send("POST", "/users", strings.NewReader(body(i)), "Content-Type: application/json")
		}) {
			some = append(some, r.Created(t).ID)
		}
		ids = append(ids, some...)
		t.Cleanup(func() {
			s.together(t, len(some), func(i int) (*Response, error) { return s.send("DELETE", "/users/"+some[i], nil) })
		})
	}
	return ids
}

// idsOf returns the ids of those users that are among wanted, as often as they come.
func idsOf(users []User, wanted []string) []string {
	among := make(map[string]bool, len(wanted))
	for _, id := range wanted {
		among[id] = true
	}
	var ids []string
	for _, u := range users {
		if among[u.ID] {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

// walk returns the users of the page at path and of all that follow.
func (s *suite) walk(t *testing.T, path string) []User {
	t.Helper()
	var users []User
	for been := map[string]bool{}; path != ""; {
		require.False(t, been[path], "the links lead in a circle: %s", path)
		been[path] = true
		var page []User
		page, path = s.page(t, path)
		users = append(users, page...)
	}
	return users
}

// page returns the users of a page and the path of the next one, "" behind the last.
func (s *suite) page(t *testing.T, path string) (users []User, next string) {
	t.Helper()
	r := s.Do(t, "GET", path, nil)
	users, next = r.Users(t), s.next(t, r)
	limit, err := strconv.Atoi(query(t, path).Get("limit"))
	if err != nil {
		limit = 100
	}
	require.LessOrEqual(t, len(users), limit, r)
	if next != "" {
		require.Equal(t, strconv.Itoa(limit), query(t, next).Get("limit"), r)
	}
	return users, next
}

var linkForm = regexp.MustCompile(`^<([^<>]+)>; rel="next"$`)

// next returns the path that the Link of an answer leads to, "" if there is none.
func (s *suite) next(t *testing.T, r *Response) string {
	t.Helper()
	links := r.Header.Values("Link")
	if len(links) == 0 {
		return ""
	}
	require.Len(t, links, 1, r)
	match := linkForm.FindStringSubmatch(links[0])
	require.NotNil(t, match, r)
	path := match[1]
	if !strings.HasPrefix(path, "/") { // RFC 8288 allows both
		path = s.Path(t, path)
	}
	require.True(t, strings.HasPrefix(path, "/users?"), r)
	q := query(t, path)
	require.Len(t, q, 2, r)
	require.Len(t, q["limit"], 1, r)
	require.Len(t, q["cursor"], 1, r)
	require.NotEmpty(t, q.Get("cursor"), r)
	return path
}

func query(t *testing.T, path string) url.Values {
	t.Helper()
	u, err := url.Parse(path)
	require.NoError(t, err)
	return u.Query()
}

func cursorOf(t *testing.T, path string) string {
	t.Helper()
	cursor := query(t, path).Get("cursor")
	require.NotEmpty(t, cursor, "there is no cursor in %q", path)
	return cursor
}

// longEmail returns an address of 254 bytes, the longest that is allowed.
func longEmail(marker string) string {
	domain := "example.com"
	for len(domain) < 254-64-1 {
		domain = strings.Repeat("d", min(63, 254-64-1-len(domain)-1)) + "." + domain
	}
	return marker + strings.Repeat("l", 64-len(marker)) + "@" + domain
}
