package dynamo_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

// Responses that are errors. Of a lost one nobody knows whether the write took effect.
const (
	refused = `{"__type":"x#ConditionalCheckFailedException"}`
	lost    = `{"__type":"x#InternalServerError"}`
)

// cannedUsers returns users of a DynamoDB that sends the next of its responses to each operation,
// and the last one from then on.
func cannedUsers(t *testing.T, responses map[string][]string) *dynamo.Users {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		left := responses[operation]
		if !assert.NotEmpty(t, left, "unexpected call of %s", operation) {
			return
		}
		if len(left) > 1 {
			responses[operation] = left[1:]
		}
		status, body := http.StatusOK, left[0]
		switch body {
		case refused:
			status = http.StatusBadRequest
		case lost:
			status = http.StatusInternalServerError
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amzn-Requestid", "id")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c := config.Default()
	c.Endpoint = server.URL
	cfg, err := awsclient.Load(t.Context(), c, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg.Credentials = aws.AnonymousCredentials{}
	return dynamo.New(cfg, c)
}

// Ensure an incomplete response is a failure of DynamoDB after which a write may have taken effect.
// Otherwise a list could look complete without being so.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	page := func(ctx context.Context, u *dynamo.Users, limit int) error {
		_, err := u.Page(ctx, nil, usersURL, user.PageQuery{Limit: limit})
		return err
	}
	pages := []string{
		``, `{}`, `<html>`, `{"Count":0}`, `{"Items":null}`, `{"Items":[],"LastEvaluatedKey":{"id":{"N":"1"}}}`,
		`{"Items":[],"LastEvaluatedKey":{"key":{"S":"1"}}}`, `{"Items":[],"LastEvaluatedKey":{"id":{"S":""}}}`,
	}
	for name, c := range map[string]struct {
		call      func(context.Context, *dynamo.Users) error
		operation string
		bodies    []string
		uncertain bool
	}{
		"get": {func(ctx context.Context, u *dynamo.Users) error {
			_, err := u.Get(ctx, "id")
			return err
		}, "GetItem", []string{``, `{"Item":{"name":{"S":"ada"}}}`, `{"Item":{"id":{"S":"other"}}}`}, false},
		"create": {func(ctx context.Context, u *dynamo.Users) error {
			_, err := u.Create(ctx, user.Record{User: user.User{ID: "id"}})
			return err
		}, "PutItem", []string{``, `<html>`}, true},
		"update": {func(ctx context.Context, u *dynamo.Users) error {
			_, err := u.Update(ctx, "id", user.Patch{Name: aws.String("ada")})
			return err
		}, "UpdateItem", []string{``, `{}`, `{"Attributes":{"name":{"S":"ada"}}}`}, true},
		"avatar": {func(ctx context.Context, u *dynamo.Users) error {
			_, err := u.SetAvatar(ctx, "id", "avatar", nil)
			return err
		}, "UpdateItem", []string{`{}`}, true},
		"delete": {func(ctx context.Context, u *dynamo.Users) error {
			_, _, err := u.Delete(ctx, "id")
			return err
		}, "DeleteItem", []string{`{}`}, true},
		"check": {func(ctx context.Context, u *dynamo.Users) error {
			return u.Check(ctx)
		}, "DescribeTable", []string{``, `{}`, `{"Table":{}}`}, false},
		"avatar ids": {func(ctx context.Context, u *dynamo.Users) error {
			_, err := u.AvatarIDs(ctx, []string{"id", "other"})
			return err
		}, "BatchGetItem", []string{
			`{}`, `{"Responses":{"other":[]}}`, `{"Responses":{"users":[{"avatar_id":{"S":"x"}}]}}`,
			`{"UnprocessedKeys":{"users":{"Keys":[{"id":{"S":"id"}}]}}}`,
			`{"Responses":{"users":[]},"UnprocessedKeys":{"users":{"Keys":[{"id":{"S":"id"}},{"id":{"S":"other"}}]}}}`,
		}, false},
		"list": {func(ctx context.Context, u *dynamo.Users) error { return page(ctx, u, 0) }, "Scan", pages, false},
		"page": {func(ctx context.Context, u *dynamo.Users) error { return page(ctx, u, 10) }, "Scan", pages, false},
	} {
		for _, body := range c.bodies {
			t.Run(name+" "+body, func(t *testing.T) {
				t.Parallel()
				err := c.call(t.Context(), cannedUsers(t, map[string][]string{c.operation: {body}}))
				var failure *user.Error
				require.ErrorAs(t, err, &failure)
				assert.Equal(t, user.Unavailable, failure.Code, "%v", err)
				assert.True(t, failure.Uncertain || !c.uncertain, "%v", err)
				assert.NotErrorIs(t, err, user.ErrResourceMissing)
			})
		}
	}
}

// Ensure Create returns the existing user if the id is taken. If that user is gone or cannot be
// read, Create fails, and its error is uncertain only if an earlier attempt may have written the
// user.
func TestCreateTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		put       []string
		get       string
		want      string // the name
		uncertain bool
	}{
		"there":          {[]string{refused}, `{"Item":{"id":{"S":"id"},"name":{"S":"ada"}}}`, "ada", false},
		"gone":           {[]string{refused}, `{}`, "", false},
		"without an id":  {[]string{refused}, `{"Item":{}}`, "", false},
		"cannot be read": {[]string{refused}, lost, "", false},
		"lost, gone":     {[]string{lost, refused}, `{}`, "", true},
		"lost, not read": {[]string{lost, refused}, lost, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			users := cannedUsers(t, map[string][]string{"PutItem": c.put, "GetItem": {c.get}})
			existing, err := users.Create(t.Context(), user.Record{User: user.User{ID: "id", Name: "bob"}})
			if c.want != "" {
				require.NoError(t, err)
				assert.Equal(t, c.want, existing.Name)
				return
			}
			var failure *user.Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, user.Unavailable, failure.Code, "%v", err)
			assert.Equal(t, c.uncertain, failure.Uncertain, "%v", err)
		})
	}
}

// Ensure keys that DynamoDB has not processed are read again.
func TestAvatarIDsUnprocessed(t *testing.T) {
	t.Parallel()
	users := cannedUsers(t, map[string][]string{"BatchGetItem": {
		`{"Responses":{"users":[{"id":{"S":"id"},"avatar_id":{"S":"x"}}]},` +
			`"UnprocessedKeys":{"users":{"Keys":[{"id":{"S":"other"}}]}}}`,
		`{"Responses":{"users":[{"id":{"S":"other"},"avatar_id":{"S":"y"}}]},"UnprocessedKeys":{}}`,
	}})
	avatars, err := users.AvatarIDs(t.Context(), []string{"id", "other"})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"id": "x", "other": "y"}, avatars)
}
