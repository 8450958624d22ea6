package bucket_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awsclient"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// cannedAvatars returns avatars of an S3 that answers every request with handler.
func cannedAvatars(t *testing.T, handler http.HandlerFunc) *bucket.Avatars {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c := config.Default()
	c.Endpoint = server.URL
	cfg, err := awsclient.Load(t.Context(), c, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
	})
	return bucket.New(cfg, c)
}

// Ensure a response that lacks what was asked for is a failure of S3, and that an image may have
// been stored then.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	get := func(ctx context.Context, a *bucket.Avatars) error {
		_, err := a.Get(ctx, "user", "avatar")
		return err
	}
	put := func(ctx context.Context, a *bucket.Avatars) error {
		return a.Put(ctx, "user", "avatar", &user.Image{ContentType: "image/png", Data: []byte("image")})
	}
	list := func(ctx context.Context, a *bucket.Avatars) error {
		return a.List(ctx, func([]user.ListedImage) error { return nil })
	}
	sends := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	const key = "<Key>avatars/user/6f1f0b0a-3a0c-4a6c-9b0f-0b9f1c1d2e3f</Key>"
	for name, c := range map[string]struct {
		call      func(context.Context, *bucket.Avatars) error
		handler   http.HandlerFunc
		uncertain bool
	}{
		"get without a length": {get, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "image")
		}, false},
		"put without an ETag": {put, sends(""), true},
		"put, HTML":           {put, sends("<html></html>"), true},
		"list without a body": {list, sends(""), false},
		"list of nothing":     {list, sends("<ListBucketResult/>"), false},
		"list, HTML":          {list, sends("<html></html>"), false},
		"list without a token": {
			list,
			sends("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"), false,
		},
		"list without a key": {list, sends("<ListBucketResult><IsTruncated>false</IsTruncated><Contents>" +
			"<LastModified>2026-01-02T03:04:05Z</LastModified></Contents></ListBucketResult>"), false},
		"list without a time": {list, sends("<ListBucketResult><IsTruncated>false</IsTruncated><Contents>" +
			key + "</Contents></ListBucketResult>"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.call(t.Context(), cannedAvatars(t, c.handler))
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
