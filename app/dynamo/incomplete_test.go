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

// A response is what a canned DynamoDB sends: the body, with status 200 unless it starts with
// another one, as in "400 {}".
type response = string

const (
	refused = `400 {"__type":"x#ConditionalCheckFailedException"}`
	lost    = "500 {}"
	ada     = `{"id":{"S":"id"},"name":{"S":"ada"}}`
)

// cannedUsers returns users of a DynamoDB that answers each operation with the next of its
// responses, and with the last one from then on.
func cannedUsers(t *testing.T, responses map[string][]response) *dynamo.Users {
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
		if head, rest, ok := strings.Cut(body, " "); ok && len(head) == len("400") {
			status, body = int(head[0]-'0')*100, rest
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
	cfg.Credentials = staticCredentials
	return dynamo.New(cfg, c)
}

// Ensure a response that lacks what was asked for is a failure of DynamoDB, and that a write may
// have taken effect then.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	get := func(ctx context.Context, u *dynamo.Users) error {
		_, err := u.Get(ctx, "id")
		return err
	}
	update := func(ctx context.Context, u *dynamo.Users) error {
		_, err := u.Update(ctx, "id", user.Patch{Name: aws.String("ada")})
		return err
	}
	setAvatar := func(ctx context.Context, u *dynamo.Users) error {
		_, err := u.SetAvatar(ctx, "id", "avatar", nil)
		return err
	}
	remove := func(ctx context.Context, u *dynamo.Users) error {
		_, _, err := u.Delete(ctx, "id")
		return err
	}
	avatarIDs := func(ctx context.Context, u *dynamo.Users) error {
		_, err := u.AvatarIDs(ctx, []string{"id", "other"})
		return err
	}
	check := func(ctx context.Context, u *dynamo.Users) error { return u.Check(ctx) }
	type responses = map[string][]response
	for name, c := range map[string]struct {
		call      func(context.Context, *dynamo.Users) error
		responses responses
		uncertain bool
	}{
		"get without an id":         {get, responses{"GetItem": {`{"Item":{"name":{"S":"ada"}}}`}}, false},
		"get another user":          {get, responses{"GetItem": {`{"Item":{"id":{"S":"other"}}}`}}, false},
		"update without attributes": {update, responses{"UpdateItem": {`{}`}}, true},
		"update without a body":     {update, responses{"UpdateItem": {``}}, true},
		"update without an id":      {update, responses{"UpdateItem": {`{"Attributes":{"name":{"S":"ada"}}}`}}, true},
		"avatar without attributes": {setAvatar, responses{"UpdateItem": {`{}`}}, true},
		"delete without attributes": {remove, responses{"DeleteItem": {`{}`}}, true},
		"check without a table":     {check, responses{"DescribeTable": {`{}`}}, false},
		"check without a body":      {check, responses{"DescribeTable": {``}}, false},
		"check without a status":    {check, responses{"DescribeTable": {`{"Table":{}}`}}, false},
		"batch without a table":     {avatarIDs, responses{"BatchGetItem": {`{}`}}, false},
		"batch, nothing processed": {
			avatarIDs,
			responses{"BatchGetItem": {`{"Responses":{"users":[]},` +
				`"UnprocessedKeys":{"users":{"Keys":[{"id":{"S":"id"}},{"id":{"S":"other"}}]}}}`}},
			false,
		},
		"batch of another table": {avatarIDs, responses{"BatchGetItem": {`{"Responses":{"other":[]}}`}}, false},
		"batch without an id": {
			avatarIDs, responses{"BatchGetItem": {`{"Responses":{"users":[{"avatar_id":{"S":"x"}}]}}`}}, false,
		},
		"some unprocessed, no table": {
			avatarIDs, responses{"BatchGetItem": {`{"UnprocessedKeys":{"users":{"Keys":[{"id":{"S":"id"}}]}}}`}}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			require.NotPanics(t, func() { err = c.call(t.Context(), cannedUsers(t, c.responses)) })
			var failure *user.Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, user.Unavailable, failure.Code, "%v", err)
			if c.uncertain {
				assert.True(t, failure.Uncertain, "%v", err)
			}
			assert.NotErrorIs(t, err, user.ErrResourceMissing)
		})
	}
}

// Ensure a create whose id was taken, and is not any more, fails: nothing was written, unless an
// earlier attempt of the same call did.
func TestCreateTakenThenGone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		responses map[string][]response
		uncertain bool
	}{
		"gone":           {map[string][]response{"PutItem": {refused}, "GetItem": {`{}`}}, false},
		"without an id":  {map[string][]response{"PutItem": {refused}, "GetItem": {`{"Item":{}}`}}, false},
		"cannot be read": {map[string][]response{"PutItem": {refused}, "GetItem": {lost}}, false},
		"lost, gone":     {map[string][]response{"PutItem": {lost, refused}, "GetItem": {`{}`}}, true},
		"lost, not read": {map[string][]response{"PutItem": {lost, refused}, "GetItem": {lost}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			users := cannedUsers(t, c.responses)
			existing, err := users.Create(t.Context(), user.Record{User: user.User{ID: "id"}})
			var failure *user.Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, user.Unavailable, failure.Code, "%v", err)
			assert.Equal(t, c.uncertain, failure.Uncertain, "%v", err)
			assert.Nil(t, existing)
		})
	}
}

// Ensure a create whose id is taken returns the item, whether it came with the refusal or not.
func TestCreateTakenByWhom(t *testing.T) {
	t.Parallel()
	for name, responses := range map[string]map[string][]response{
		"without it":    {"PutItem": {refused}, "GetItem": {`{"Item":` + ada + `}`}},
		"without an id": {"PutItem": {strings.TrimSuffix(refused, "}") + `,"Item":{}}`}, "GetItem": {`{"Item":` + ada + `}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			existing, err := cannedUsers(t, responses).Create(t.Context(), user.Record{User: user.User{ID: "id", Name: "bob"}})
			require.NoError(t, err)
			require.NotNil(t, existing)
			assert.Equal(t, user.Record{User: user.User{ID: "id", Name: "ada"}}, *existing)
		})
	}
}

// Ensure keys that DynamoDB has not processed are read again.
func TestAvatarIDsUnprocessed(t *testing.T) {
	t.Parallel()
	users := cannedUsers(t, map[string][]response{"BatchGetItem": {
		`{"Responses":{"users":[{"id":{"S":"id"},"avatar_id":{"S":"x"}}]},` +
			`"UnprocessedKeys":{"users":{"Keys":[{"id":{"S":"other"}}]}}}`,
		`{"Responses":{"users":[]},"UnprocessedKeys":{}}`,
	}})
	avatars, err := users.AvatarIDs(t.Context(), []string{"id", "other"})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"id": "x"}, avatars)
}
