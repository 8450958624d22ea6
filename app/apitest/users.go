package apitest

import (
	"fmt"
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

// emptyTable is about lists of which every user is known.
func (s *suite) emptyTable(t *testing.T) {
	// Ensure clients that loop over the list need no case for an empty one.
	t.Run("the list is an empty array", func(t *testing.T) {
		for _, path := range []string{"/users", "/users?limit=5"} {
			r := s.Do(t, "GET", path, nil)
			r.JSON(t, http.StatusOK, `[]`)
			require.Empty(t, r.Header.Values("Link"), r)
		}
	})

	// Ensure no page is empty, and only the last one is short.
	t.Run("only the last page is short and no page is empty", func(t *testing.T) {
		s.createMany(t, 4, ann)
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

	// Ensure a client that has the list is not sent it again until it has changed.
	t.Run("a client that has the list is told so", func(t *testing.T) {
		created := s.createMany(t, 2, ann)
		s.untilListed(t, func(users []User) bool { return len(users) == 2 })
		for _, path := range []string{"/users", "/users?limit=1", "/users?limit=2"} {
			first := s.Do(t, "GET", path, nil)
			etag := first.Header.Get("Etag")
			require.NotEmpty(t, etag, first)
			assert.Equal(t, "private, no-cache", first.Header.Get("Cache-Control"), first)
			for _, condition := range []string{etag, "W/" + etag, "*", `"x", ` + etag} {
				for _, method := range []string{"GET", "HEAD"} {
					r := s.Do(t, method, path, nil, "If-None-Match: "+condition).Is(t, http.StatusNotModified)
					assert.Equal(t, etag, r.Header.Get("Etag"), r)
					assert.Equal(t, first.Header.Values("Link"), r.Header.Values("Link"), r)
				}
			}
			for _, header := range []string{
				`If-None-Match: "x"`, "If-None-Match: " + strings.Trim(etag, `"`), `If-None-Match: W/"x"`, "If-Match: " + etag,
			} {
				r := s.Do(t, "GET", path, nil, header).Is(t, http.StatusOK)
				assert.Equal(t, first.Body, r.Body, r)
			}
		}
		before := s.Do(t, "GET", "/users", nil).Header.Get("Etag")
		changed := s.Patch(t, created[0], `{"name":"Eve"}`)
		s.untilListed(t, func(users []User) bool { return slices.Contains(users, changed) })
		r := s.Do(t, "GET", "/users", nil, "If-None-Match: "+before)
		require.Len(t, r.Users(t), 2)
		assert.NotEqual(t, before, r.Header.Get("Etag"), r)
	})

	// Ensure a client goes on where it was after the user that its cursor names is deleted.
	t.Run("a cursor outlives its user", func(t *testing.T) {
		s.createMany(t, 3, ann)
		all := s.untilListed(t, func(users []User) bool { return len(users) == 3 })
		first, next := s.page(t, "/users?limit=1")
		require.Len(t, first, 1)
		s.Delete(t, first[0].ID)
		assert.ElementsMatch(t, all, append(s.walk(t, next), first...))
	})

	// Ensure a request with a cursor and no limit gets a page of 100.
	t.Run("a cursor without a limit makes pages of a hundred", func(t *testing.T) {
		s.createMany(t, 103, ann)
		s.untilListed(t, func(users []User) bool { return len(users) == 103 })
		_, next := s.page(t, "/users?limit=2")
		second, next := s.page(t, "/users?cursor="+query(t, next).Get("cursor"))
		require.Len(t, second, 100)
		third, next := s.page(t, next)
		require.Len(t, third, 1)
		require.Empty(t, next)
	})
}

func (s *suite) list(t *testing.T) {
	// Ensure the list shows a user as GET does: with four fields, and nothing of how users are stored.
	t.Run("a user is listed as it was created", func(t *testing.T) {
		name, email := `Zoë "Z" <z> \ & שלום 👩‍🚀`, Email()
		without, with := s.CreateJSON(t, name, email), s.CreateForm(t, "Ann", email, PNG(2, 2))
		for _, want := range []User{
			{ID: without.ID, Name: name, Email: email}, {ID: with.ID, Name: "Ann", Email: email, AvatarURL: with.AvatarURL},
		} {
			s.requireListed(t, want)
			assert.Equal(t, want, s.Get(t, want.ID))
		}
		s.requireAvatar(t, with.AvatarURL, PNG(2, 2), "image/png")
	})

	// Ensure the whole list comes in one response, with no link to a next page, also for HEAD.
	t.Run("the whole list has no Link", func(t *testing.T) {
		r := s.Do(t, "GET", "/users", nil)
		r.Users(t)
		assert.Empty(t, r.Header.Values("Link"), r)
		s.requireHeadLikeGet(t, "/users")
	})
}

func (s *suite) pages(t *testing.T) {
	created := s.createMany(t, 25, ann)
	all := s.untilListed(t, func(users []User) bool { return len(idsOf(users, created)) >= len(created) })

	// Ensure the list and pages of any size show every user once, and in the same way.
	t.Run("the links lead to every user once", func(t *testing.T) {
		assert.ElementsMatch(t, created, idsOf(all, created))
		// Not by ones if the table is large, so that the time of the test does not grow with it.
		for _, limit := range []int{max(1, len(all)/50), max(3, len(all)/7), 1000} {
			users := s.walk(t, fmt.Sprintf("/users?limit=%d", limit))
			assert.ElementsMatch(t, created, idsOf(users, created), "limit %d", limit)
			assert.Equal(t, byID(all, created[0]), byID(users, created[0]))
			for _, u := range users {
				assert.Len(t, byID(users, u.ID), 1, "limit %d: user %s", limit, u.ID)
			}
		}
	})

	// Ensure HEAD tells a client where the next page is.
	t.Run("HEAD has the Link", func(t *testing.T) {
		if s.Empty { // otherwise the first page may change in between
			s.requireHeadLikeGet(t, "/users?limit=2")
		}
		r := s.Do(t, "HEAD", "/users?limit=2", nil).Is(t, http.StatusOK)
		assert.NotEmpty(t, s.next(t, r))
	})

	first, next := s.page(t, "/users?limit=1")
	require.Len(t, first, 1)
	cursor := query(t, next).Get("cursor")

	// Ensure a cursor needs no limit.
	users, _ := s.page(t, "/users?cursor="+cursor)
	assert.NotEmpty(t, users)

	// Ensure a cursor with any character changed, added or left out is refused.
	t.Run("a cursor that was changed is refused", func(t *testing.T) {
		changed := []string{
			cursor + "A", cursor + "=", cursor + "%3D", cursor + "%0A", "%20" + cursor, cursor + cursor,
			strings.ToUpper(cursor), strings.ToLower(cursor), unknownID(), created[0], "null", "%00", "%FF",
			strings.Repeat("A", 4000),
		}
		for i := range cursor { // the empty one among them
			changed = append(changed, cursor[:i], cursor[i+1:])
			for _, c := range "A0z_-" {
				changed = append(changed, cursor[:i]+string(c)+cursor[i+1:])
			}
		}
		// A careless decoder drops bits of the last character.
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-" {
			changed = append(changed, cursor[:len(cursor)-1]+string(c))
		}
		for _, c := range changed {
			if c != cursor {
				r := s.Do(t, "GET", "/users?limit=2&cursor="+c, nil)
				r.Problem(t, http.StatusBadRequest, "Invalid 'cursor'")
			}
		}
	})
}

func (s *suite) largeTable(t *testing.T) {
	// A page of DynamoDB is 1 MB, and a user of the greatest length is a bit more than 1 KB.
	created := s.createMany(t, 1000, func() string {
		return object("name", strings.Repeat("😀", 200), "email", longEmail(Marker()))
	})

	// Ensure the list and its pages are complete however many pages DynamoDB needs for them.
	t.Run("every user is listed once", func(t *testing.T) {
		users := s.untilListed(t, func(users []User) bool { return len(idsOf(users, created)) >= len(created) })
		assert.ElementsMatch(t, created, idsOf(users, created))
		for _, limit := range []int{300, 999, 1000} {
			users = s.walk(t, fmt.Sprintf("/users?limit=%d", limit))
			assert.ElementsMatch(t, created, idsOf(users, created), "limit %d", limit)
		}
	})

	// Ensure HEAD of a list that is sent in parts has the headers of GET.
	t.Run("HEAD has the headers of GET", func(t *testing.T) { s.requireHeadLikeGet(t, "/users") })

	if s.Proxied {
		return
	}
	// Ensure a client of HTTP/1.0 is not sent chunks: RFC 9112 §6.1.
	t.Run("a client of HTTP/1.0 gets it in one piece", func(t *testing.T) {
		responses := s.exchange(t, "GET /users HTTP/1.0\r\n"+s.headers()+"\r\n")
		require.Len(t, responses, 1)
		assert.ElementsMatch(t, created, idsOf(responses[0].Users(t), created))
		assert.NotEmpty(t, responses[0].Header.Get("Content-Length")) // which net/http drops where there are chunks
	})
}

// ann returns a user as JSON.
func ann() string { return object("name", "Ann", "email", Email()) }

// createMany creates users of these JSON bodies, some at a time, and returns their ids.
func (s *suite) createMany(t *testing.T, n int, body func() string) []string {
	t.Helper()
	const atOnce = 8
	var ids []string
	for len(ids) < n {
		for _, r := range s.together(t, min(atOnce, n-len(ids)), func(int) (*Response, error) {
			return s.send("POST", "/users", strings.NewReader(body()), "Content-Type: application/json")
		}) {
			ids = append(ids, r.Created(t).ID)
		}
	}
	return ids
}

// idsOf returns the ids of those users that are among wanted, as often as they come.
func idsOf(users []User, wanted []string) []string {
	var ids []string
	for _, u := range users {
		if slices.Contains(wanted, u.ID) {
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

// next returns the path of the link to the next page, "" if there is none. The description has the
// form of its query.
func (s *suite) next(t *testing.T, r *Response) string {
	t.Helper()
	link := r.Header.Get("Link")
	if link == "" {
		return ""
	}
	match := linkForm.FindStringSubmatch(link)
	require.NotNil(t, match, r)
	path := s.Path(t, match[1])
	require.True(t, strings.HasPrefix(path, "/users?"), r)
	return path
}

func query(t *testing.T, path string) url.Values {
	t.Helper()
	u, err := url.Parse(path)
	require.NoError(t, err)
	return u.Query()
}

// longEmail returns an address of 254 bytes, the longest that is allowed.
func longEmail(marker string) string {
	label := strings.Repeat("d", 63)
	return marker + strings.Repeat("l", 64-len(marker)) + "@" + label + "." + label + "." + label[:57] + ".com"
}
