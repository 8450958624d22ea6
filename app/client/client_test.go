package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// start serves an API until the test ends.
func start(t *testing.T, tokens ...config.AccessToken) (base string) {
	t.Helper()
	base, stop, err := serve(t.Context(), tokens...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, stop()) })
	return base
}

func connect(t *testing.T, base string, options ...client.ClientOption) *client.ClientWithResponses {
	t.Helper()
	c, err := client.New(base, options...)
	require.NoError(t, err)
	return c
}

// refused returns the error of a call that the API is to refuse.
func refused(t *testing.T, err error, status int32, text string) client.Error {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, status, e.Status, e)
	assert.Equal(t, text, e.Problem.Error, e)
	assert.NotEmpty(t, e.RequestID, e)
	return *e
}

// Ensure the operations of users and of the service itself can be called, and their answers be read. Those of avatars and lists are below.
func TestOperations(t *testing.T) {
	t.Parallel()
	c, ctx := connect(t, start(t)), t.Context()

	health, err := c.GetHealthWithResponse(ctx)
	require.NoError(t, err)
	assert.Equal(t, &client.Health{Status: "ok"}, health.JSON200)
	require.EventuallyWithT(t, func(t *assert.CollectT) { // once the table and the bucket have answered
		ready, err := c.GetReadinessWithResponse(ctx)
		require.NoError(t, err)
		ok := client.Dependency{State: client.DependencyStateOk}
		assert.Equal(t, &client.Readiness{Status: "ready", Dependencies: client.Dependencies{Dynamodb: ok, S3: ok}}, ready.JSON200)
	}, 10*time.Second, 10*time.Millisecond)
	description, err := c.GetDescriptionWithResponse(ctx, nil)
	require.NoError(t, err)
	require.NotNil(t, description.JSON200)
	assert.Equal(t, "3.1.1", (*description.JSON200)["openapi"])

	for name, create := range map[string]func() (*client.Created, string, error){
		"createUser": func() (*client.Created, string, error) {
			r, err := c.CreateUserWithResponse(ctx, nil, client.NewUser{Name: "Ada", Email: "ada@example.com"})
			if err != nil {
				return nil, "", err
			}
			return r.JSON201, r.Headers201.Location, nil
		},
		"postUser": func() (*client.Created, string, error) {
			r, err := c.PostUserWithResponse(ctx, nil, client.NewUser{Name: "Ada", Email: "ada@example.com"})
			if err != nil {
				return nil, "", err
			}
			return r.JSON201, r.Headers201.Location, nil
		},
		"a form without an avatar": func() (*client.Created, string, error) {
			r, err := c.CreateUserFormWithResponse(ctx, nil, client.NewUserForm{Name: "Ada", Email: "ada@example.com"})
			if err != nil {
				return nil, "", err
			}
			return r.JSON201, r.Headers201.Location, nil
		},
	} {
		created, location, err := create()
		require.NoError(t, err, name)
		require.NotNil(t, created, name)
		assert.True(t, strings.HasSuffix(location, "/users/"+created.ID), "%s: %s", name, location)

		got, err := c.GetUserWithResponse(ctx, created.ID)
		require.NoError(t, err, name)
		assert.Equal(t, &client.User{ID: created.ID, Name: "Ada", Email: "ada@example.com"}, got.JSON200, name)

		changed, err := c.UpdateUserWithResponse(ctx, created.ID, client.UserPatch{Email: new("ada.king@example.com")})
		require.NoError(t, err, name)
		assert.Equal(t, &client.User{ID: created.ID, Name: "Ada", Email: "ada.king@example.com"}, changed.JSON200, name)

		gone, err := c.DeleteUserWithResponse(ctx, created.ID)
		require.NoError(t, err, name)
		assert.Equal(t, http.StatusNoContent, gone.StatusCode(), name)
		_, err = c.GetUserWithResponse(ctx, created.ID)
		refused(t, err, http.StatusNotFound, "User not found")
	}
}

// Ensure an avatar that is created with its user, and one that takes its place, come back byte by byte, and are gone when they are removed.
func TestAvatars(t *testing.T) {
	t.Parallel()
	c, ctx := connect(t, start(t)), t.Context()
	first, second := apitest.PNG(8, 8), apitest.JPEG(9, 9)
	created, err := c.CreateUserFormWithResponse(ctx, nil, client.NewUserForm{Name: "Grace", Email: "grace@example.com", Avatar: first})
	require.NoError(t, err)
	id := created.JSON201.ID
	assert.Contains(t, created.JSON201.AvatarURL, "/users/"+id+"/avatar?v=")

	image, err := c.GetAvatarWithResponse(ctx, id, nil)
	require.NoError(t, err)
	assert.Equal(t, first, image.Body)
	assert.Equal(t, "image/png", image.HTTPResponse.Header.Get("Content-Type"))

	// Ensure a copy that is still right is not sent again, and is no error.
	same, err := c.GetAvatarWithResponse(ctx, id, &client.GetAvatarParams{IfNoneMatch: &image.Headers200.ETag})
	require.NoError(t, err)
	assert.Equal(t, http.StatusNotModified, same.StatusCode())
	assert.Empty(t, same.Body)
	assert.Equal(t, image.Headers200.ETag, same.Headers304.ETag)

	changed, err := c.PutAvatarWithBodyWithResponse(ctx, id, nil, "image/jpeg", bytes.NewReader(second))
	require.NoError(t, err)
	assert.NotEqual(t, created.JSON201.AvatarURL, changed.JSON200.AvatarURL)
	image, err = c.GetAvatarWithResponse(ctx, id, nil)
	require.NoError(t, err)
	assert.Equal(t, second, image.Body)

	_, err = c.PutAvatarWithBodyWithResponse(ctx, id, nil, "image/png", strings.NewReader("not an image"))
	refused(t, err, http.StatusUnsupportedMediaType, "Avatar is not an image")

	_, err = c.DeleteAvatarWithResponse(ctx, id, nil)
	require.NoError(t, err)
	_, err = c.GetAvatarWithResponse(ctx, id, nil)
	refused(t, err, http.StatusNotFound, "Avatar not found")
}

// Ensure the users of all pages come, each once, whatever the size of a page, and that no more pages are read than are asked for.
func TestUsers(t *testing.T) {
	t.Parallel()
	var requests []string
	c := connect(t, start(t), client.WithHTTPClient(doer(func(r *http.Request) (*http.Response, error) {
		requests = append(requests, r.URL.Query().Get("cursor"))
		return http.DefaultClient.Do(r)
	})))
	users := func(size int32) (ids []string) {
		for user, err := range c.Users(t.Context(), size) {
			require.NoError(t, err)
			ids = append(ids, user.ID)
		}
		return ids
	}
	assert.Empty(t, users(10))

	var created []string
	for i := range 7 {
		r, err := c.CreateUserWithResponse(t.Context(), nil, client.NewUser{Name: "Ada", Email: fmt.Sprintf("ada-%d@example.com", i)})
		require.NoError(t, err)
		created = append(created, r.JSON201.ID)
	}
	for _, size := range []int32{1, 3, 7, 1000} {
		assert.ElementsMatch(t, created, users(size), "pages of %d", size)
	}

	requests = nil
	for _, err := range c.Users(t.Context(), 2) {
		require.NoError(t, err)
		break
	}
	assert.Equal(t, []string{""}, requests, "the first page alone")

	for _, err := range c.Users(t.Context(), 0) {
		refused(t, err, http.StatusBadRequest, "Invalid 'limit'")
	}
}

// Ensure an error ends the users, be it on a page after the first, of the client that leaves statuses alone, or in a Link.
func TestUsersEnd(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status     int
		link, want string
	}{
		"an answer that is none":    {status: http.StatusBadGateway, want: "502 Bad Gateway"},
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
			lenient, err := client.NewClientWithResponses(server.URL)
			require.NoError(t, err)
			for _, c := range []*client.ClientWithResponses{connect(t, server.URL), lenient} {
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

// Ensure a key makes one user of two requests, and that other content under it is refused.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	c, ctx := connect(t, start(t)), t.Context()
	params := &client.CreateUserParams{IdempotencyKey: new("order-17")}
	form := client.NewUserForm{Name: "Grace", Email: "grace@example.com", Avatar: apitest.PNG(4, 4)}
	first, err := c.CreateUserFormWithResponse(ctx, params, form)
	require.NoError(t, err)
	again, err := c.CreateUserFormWithResponse(ctx, params, form)
	require.NoError(t, err)
	assert.Equal(t, first.JSON201, again.JSON201)

	form.Name = "Ada"
	_, err = c.CreateUserFormWithResponse(ctx, params, form)
	refused(t, err, http.StatusUnprocessableEntity, "Idempotency-Key was used with other content")
	list, err := c.ListUsersWithResponse(ctx, nil)
	require.NoError(t, err)
	assert.Len(t, *list.JSON200, 1)
}

// Ensure a token opens what it is for, and that its lack is told from its scope.
func TestWithToken(t *testing.T) {
	t.Parallel()
	reader := config.NewToken()
	base, ctx := start(t, config.AccessToken{Name: "reader", Read: true, Hash: config.HashToken(reader)}), t.Context()

	_, err := connect(t, base).ListUsersWithResponse(ctx, nil)
	e := refused(t, err, http.StatusUnauthorized, "Authentication required")
	assert.Equal(t, "send Authorization: Bearer and an access token", e.Detail)

	c := connect(t, base, client.WithToken(reader))
	list, err := c.ListUsersWithResponse(ctx, nil)
	require.NoError(t, err)
	assert.Empty(t, *list.JSON200)
	_, err = c.CreateUserWithResponse(ctx, nil, client.NewUser{Name: "Ada", Email: "ada@example.com"})
	e = refused(t, err, http.StatusForbidden, "Insufficient scope")
	assert.NotContains(t, e.Error(), reader)

	// Ensure the client that leaves statuses to its caller has the problem by its status.
	lenient, err := client.NewClientWithResponses(base)
	require.NoError(t, err)
	answer, err := lenient.ListUsersWithResponse(ctx, nil)
	require.NoError(t, err)
	assert.Nil(t, answer.JSON200)
	require.NotNil(t, answer.ApplicationProblemJSON401)
	assert.Equal(t, "Authentication required", answer.ApplicationProblemJSON401.Error)
	assert.Equal(t, `Bearer realm="prima-api"`, answer.Headers401.WWWAuthenticate)
}

// Ensure an error says what was asked, what the answer was, and by what the log knows it, whoever has answered.
func TestError(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t))
	_, err := c.CreateUserWithResponse(t.Context(), nil, client.NewUser{Name: "Ada", Email: "ada"}, func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-Request-Id", "my-request")
		return nil
	})
	refused(t, err, http.StatusBadRequest, "Invalid 'email'")
	assert.Regexp(t, `^POST http://127\.0\.0\.1:\d+/users: 400 Bad Request: Invalid 'email': an email is one bare address such as \S+, at most 254 bytes long and without invisible characters \(request my-request\)$`, err.Error())

	for name, row := range map[string]struct {
		contentType, body, want string
	}{
		"a page of a proxy":         {"text/html", "<h1>busy</h1>", "503 Service Unavailable"},
		"a problem that is none":    {"application/problem+json", "<h1>busy</h1>", "503 Service Unavailable"},
		"a problem of a proxy":      {"application/problem+json; charset=utf-8", `{"detail":"the proxy is busy"}`, "503 Service Unavailable: the proxy is busy"},
		"JSON that is no problem":   {"application/json", `{"title":"Busy","detail":"the proxy is busy"}`, "503 Service Unavailable"},
		"a problem of other types":  {"application/problem+json", `{"title":"Busy","status":"many"}`, "503 Service Unavailable"},
		"a problem that breaks off": {"application/problem+json", `{"error":"Not`, "503 Service Unavailable"},
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
			_, err := connect(t, server.URL).GetReadinessWithResponse(t.Context())
			e, ok := errors.AsType[*client.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, "GET "+server.URL+"/readyz: "+row.want, e.Error())
			assert.EqualValues(t, http.StatusServiceUnavailable, e.Status)
			assert.Equal(t, 7*time.Second, e.RetryAfter)
			assert.Equal(t, row.body, string(e.Body))
			assert.Empty(t, e.RequestID)
		})
	}

	// Ensure a server that is not there is no answer.
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err = connect(t, server.URL).GetHealthWithResponse(t.Context())
	require.Error(t, err)
	assert.NotErrorAs(t, err, new(*client.Error))
}

// doer does requests.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
