package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/client"
	"prima.internal/app/config"
)

// start serves an API until the test ends, and returns its URL.
func start(t *testing.T, tokens ...config.AccessToken) (base string) {
	t.Helper()
	base, stop, err := serve(t.Context(), tokens...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, stop()) })
	return base
}

// must returns the result of a call that must not fail.
func must[T any](result T, err error) T {
	if err != nil {
		panic(err)
	}
	return result
}

// refused returns the error of a call that the API refuses.
func refused(t *testing.T, err error, status int32, text string) client.Error {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, status, e.Status, e)
	assert.Equal(t, text, e.Problem.Error, e)
	assert.NotEmpty(t, e.RequestID, e)
	return *e
}

// Ensure the operations of users and of the service itself can be called, and their responses read.
// Those of avatars and lists are below.
func TestOperations(t *testing.T) {
	t.Parallel()
	c, ctx := must(client.New(start(t))), t.Context()

	assert.Equal(t, &client.Health{Status: "ok"}, must(c.GetHealthWithResponse(ctx)).JSON200)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		ready, err := c.GetReadinessWithResponse(ctx)
		require.NoError(t, err)
		ok := client.Dependency{State: client.DependencyStateOk}
		want := &client.Readiness{Status: "ready", Dependencies: client.Dependencies{Dynamodb: ok, S3: ok}}
		assert.Equal(t, want, ready.JSON200)
	}, time.Minute, 10*time.Millisecond)
	description := must(c.GetDescriptionWithResponse(ctx, nil)).JSON200
	require.NotNil(t, description)
	assert.Equal(t, "3.1.1", (*description)["openapi"])

	ada := client.NewUser{Name: "Ada", Email: "ada@example.com"}
	byPath := must(c.CreateUserWithResponse(ctx, nil, ada))
	byOldPath := must(c.PostUserWithResponse(ctx, nil, ada))
	byForm := must(c.CreateUserFormWithResponse(ctx, nil, client.NewUserForm{Name: "Ada", Email: "ada@example.com"}))
	for location, created := range map[string]*client.Created{
		byPath.Headers201.Location:    byPath.JSON201,
		byOldPath.Headers201.Location: byOldPath.JSON201,
		byForm.Headers201.Location:    byForm.JSON201,
	} {
		require.NotNil(t, created, location)
		assert.True(t, strings.HasSuffix(location, "/users/"+created.ID), location)
		want := &client.User{ID: created.ID, Name: "Ada", Email: "ada@example.com"}
		assert.Equal(t, want, must(c.GetUserWithResponse(ctx, created.ID)).JSON200)
		want.Email = "ada.king@example.com"
		patch := client.UserPatch{Email: &want.Email}
		assert.Equal(t, want, must(c.UpdateUserWithResponse(ctx, created.ID, patch)).JSON200)

		assert.Equal(t, http.StatusNoContent, must(c.DeleteUserWithResponse(ctx, created.ID)).StatusCode())
		_, err := c.GetUserWithResponse(ctx, created.ID)
		refused(t, err, http.StatusNotFound, "User not found")
	}
}

// Ensure an image can be sent and read, byte by byte, with its entity tag, and that a request with
// an idempotency key can be sent twice.
func TestAvatars(t *testing.T) {
	t.Parallel()
	c, ctx := must(client.New(start(t))), t.Context()
	first, second := apitest.PNG(8, 8), string(apitest.JPEG(9, 9))
	params := &client.CreateUserParams{IdempotencyKey: new("order-17")}
	form := client.NewUserForm{Name: "Grace", Email: "grace@example.com", Avatar: first}
	created := must(c.CreateUserFormWithResponse(ctx, params, form)).JSON201
	assert.Equal(t, created, must(c.CreateUserFormWithResponse(ctx, params, form)).JSON201)
	assert.Contains(t, created.AvatarURL, "/users/"+created.ID+"/avatar?v=")

	image := must(c.GetAvatarWithResponse(ctx, created.ID, nil))
	assert.Equal(t, first, image.Body)
	same := must(c.GetAvatarWithResponse(ctx, created.ID, &client.GetAvatarParams{IfNoneMatch: &image.Headers200.ETag}))
	assert.Equal(t, http.StatusNotModified, same.StatusCode())
	assert.Equal(t, image.Headers200.ETag, same.Headers304.ETag)

	put := must(c.PutAvatarWithBodyWithResponse(ctx, created.ID, nil, "image/jpeg", strings.NewReader(second)))
	assert.NotEqual(t, created.AvatarURL, put.JSON200.AvatarURL)
	assert.Equal(t, second, string(must(c.GetAvatarWithResponse(ctx, created.ID, nil)).Body))
	must(c.DeleteAvatarWithResponse(ctx, created.ID, nil))
	_, err := c.GetAvatarWithResponse(ctx, created.ID, nil)
	refused(t, err, http.StatusNotFound, "Avatar not found")
}

// Ensure Users returns the users of all pages, each once, whatever the size of a page, and reads no
// more pages than its caller takes.
func TestUsers(t *testing.T) {
	t.Parallel()
	pages := 0
	count := func(_ context.Context, _ *http.Request) error {
		pages++
		return nil
	}
	c := must(client.New(start(t), client.WithRequestEditorFn(count)))
	users := func(size int32) (ids []string) {
		for user, err := range c.Users(t.Context(), size) {
			require.NoError(t, err)
			ids = append(ids, user.ID)
		}
		return ids
	}
	assert.Empty(t, users(10))

	var created []string
	for range 7 {
		ada := client.NewUser{Name: "Ada", Email: "ada@example.com"}
		created = append(created, must(c.CreateUserWithResponse(t.Context(), nil, ada)).JSON201.ID)
	}
	for _, size := range []int32{1, 3, 7, 1000} {
		assert.ElementsMatch(t, created, users(size), "pages of %d", size)
	}

	pages = 0
	for _, err := range c.Users(t.Context(), 2) {
		require.NoError(t, err)
		break
	}
	assert.Equal(t, 1, pages)

	for _, err := range c.Users(t.Context(), 0) {
		refused(t, err, http.StatusBadRequest, "Invalid 'limit'")
	}
}

// Ensure an error on a later page, or in a Link, ends the users, also for a client that leaves
// statuses to its caller.
func TestUsersEnd(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status     int
		link, want string
	}{
		"an error":                  {status: http.StatusBadGateway, want: "502 Bad Gateway"},
		"no link to the next page":  {status: http.StatusOK, link: "next", want: `"next" does not lead to the next page`},
		"a link without a cursor":   {status: http.StatusOK, link: `</users?limit=1>; rel="next"`, want: "has no cursor"},
		"a link that is not an URL": {status: http.StatusOK, link: `<http://[>; rel="next"`, want: "missing ']'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Query().Get("cursor") == "" { // the first page
					w.Header().Set("Link", `<http://elsewhere.example.com/users?limit=1&cursor=second>; rel="next"`)
					_, _ = io.WriteString(w, `[{"id":"first"}]`)
					return
				}
				w.Header().Set("Link", row.link)
				w.WriteHeader(row.status)
				_, _ = io.WriteString(w, `[{"id":"second"}]`)
			}))
			t.Cleanup(server.Close)
			lenient := must(client.NewClientWithResponses(server.URL))
			for _, c := range []*client.ClientWithResponses{must(client.New(server.URL)), lenient} {
				var ids []string
				var last error
				for user, err := range c.Users(t.Context(), 1) {
					ids, last = append(ids, user.ID), err
				}
				assert.Equal(t, "first", ids[0])
				assert.ErrorContains(t, last, row.want)
				assert.Less(t, len(ids), 4, "it ends")
			}
		})
	}
}

// Ensure a token allows what its scope says, and that errors distinguish a missing token from a
// missing scope.
func TestWithToken(t *testing.T) {
	t.Parallel()
	reader := config.NewToken()
	entry := config.AccessToken{Name: "reader", Read: true, Hash: config.HashToken(reader)}
	base, ctx := start(t, entry), t.Context()

	_, err := must(client.New(base)).ListUsersWithResponse(ctx, nil)
	e := refused(t, err, http.StatusUnauthorized, "Authentication required")
	assert.Equal(t, "send Authorization: Bearer and an access token", e.Detail)

	c := must(client.New(base, client.WithToken(reader)))
	assert.Empty(t, *must(c.ListUsersWithResponse(ctx, nil)).JSON200)
	_, err = c.CreateUserWithResponse(ctx, nil, client.NewUser{Name: "Ada", Email: "ada@example.com"})
	e = refused(t, err, http.StatusForbidden, "Insufficient scope")
	assert.NotContains(t, e.Error(), reader)

	// Ensure the client that leaves statuses to its caller has the problem by its status.
	r := must(must(client.NewClientWithResponses(base)).ListUsersWithResponse(ctx, nil))
	assert.Nil(t, r.JSON200)
	require.NotNil(t, r.ApplicationProblemJSON401)
	assert.Equal(t, "Authentication required", r.ApplicationProblemJSON401.Error)
	assert.Equal(t, `Bearer realm="prima-api"`, r.Headers401.WWWAuthenticate)
}

// Ensure an error names the request, the response and the id in the log, whoever has responded.
func TestError(t *testing.T) {
	t.Parallel()
	withID := func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-Request-Id", "my-request")
		return nil
	}
	c := must(client.New(start(t), client.WithRequestEditorFn(withID)))
	_, err := c.CreateUserWithResponse(t.Context(), nil, client.NewUser{Name: "Ada", Email: "ada"})
	refused(t, err, http.StatusBadRequest, "Invalid 'email'")
	assert.Regexp(t, `^POST http://127\.0\.0\.1:\d+/users: 400 Bad Request: Invalid 'email': an email is one bare `+
		`address such as \S+, at most 254 bytes long and without invisible characters \(request my-request\)$`, err.Error())

	const problem, unavailable = "application/problem+json", "503 Service Unavailable"
	for name, row := range map[string]struct {
		contentType, body, want string
	}{
		"a page of a proxy":         {"text/html", "<h1>busy</h1>", unavailable},
		"a problem that is none":    {problem, "<h1>busy</h1>", unavailable},
		"a problem of a proxy":      {problem + "; charset=utf-8", `{"detail":"it is busy"}`, unavailable + ": it is busy"},
		"JSON that is no problem":   {"application/json", `{"title":"Busy","detail":"it is busy"}`, unavailable},
		"a problem of other types":  {problem, `{"title":"Busy","status":"many"}`, unavailable},
		"a problem that breaks off": {problem, `{"error":"Not`, unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", row.contentType)
				w.Header().Set("Retry-After", "7")
				if name == "a problem that breaks off" {
					w.Header().Set("Content-Length", "1000")
				}
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = io.WriteString(w, row.body)
			}))
			t.Cleanup(server.Close)
			_, err := must(client.New(server.URL)).GetReadinessWithResponse(t.Context())
			e, ok := errors.AsType[*client.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, "GET "+server.URL+"/readyz: "+row.want, e.Error())
			assert.EqualValues(t, http.StatusServiceUnavailable, e.Status)
			assert.Equal(t, 7*time.Second, e.RetryAfter)
			assert.Equal(t, row.body, string(e.Body))
			assert.Empty(t, e.RequestID)
		})
	}

	// Ensure a server that does not respond is another error.
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err = must(client.New(server.URL)).GetHealthWithResponse(t.Context())
	require.Error(t, err)
	assert.NotErrorAs(t, err, new(*client.Error))
}
