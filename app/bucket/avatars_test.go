package bucket_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

func put(ctx context.Context, avatars *bucket.Avatars, avatarID string, data []byte) error {
	return avatars.Put(ctx, "user", avatarID, &user.Image{ContentType: "image/webp", Data: data})
}

// Ensure an image that is larger than any buffer on the way is read as it was stored, although its
// first upload broke, and that the end of the context ends a download.
func TestPutGet(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	avatars := bucket.New(a.SDK, a.Config)
	want, id := bytes.Repeat([]byte{1, 2, 3, '\n'}, 2<<20), uuid.NewString()
	a.HangUp("S3.PutObject", 1)
	require.NoError(t, put(t.Context(), avatars, id, want))
	assert.Equal(t, []string{"avatars/user/" + id}, a.Objects(t))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, ends := range []bool{false, true} {
		stored, err := avatars.Get(ctx, "user", id)
		require.NoError(t, err)
		assert.Equal(t, "image/webp", stored.ContentType)
		assert.EqualValues(t, len(want), stored.Size)
		if ends {
			cancel()
		}
		got, err := io.ReadAll(stored)
		assert.Equal(t, ends, err != nil, "%v", err)
		assert.Equal(t, !ends, bytes.Equal(want, got), "%d bytes of %d", len(got), len(want))
		_ = stored.Close()
	}
}

// Ensure an image is sent as it is, by http and https, and that S3 can tell if it is not what was
// sent: its checksum is part of the signature, its content is not.
func TestPutIsChecked(t *testing.T) {
	t.Parallel()
	for _, start := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
		a := awstest.Start(t)
		var sent []byte
		var header http.Header
		server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			header = r.Header
			sent, _ = io.ReadAll(r.Body)
			w.Header().Set("ETag", `"etag"`)
		}))
		t.Cleanup(server.Close)
		a.SDK.HTTPClient, a.Config.Endpoint = server.Client(), server.URL
		require.NoError(t, put(t.Context(), bucket.New(a.SDK, a.Config), "image", []byte("content")))
		assert.Equal(t, "content", string(sent))
		assert.Empty(t, header.Get("Content-Encoding"))
		assert.Equal(t, "7", header.Get("Content-Length"))
		assert.Equal(t, "UNSIGNED-PAYLOAD", header.Get("X-Amz-Content-Sha256"))
		assert.Equal(t, "/sUwqQ==", header.Get("X-Amz-Checksum-Crc32"))
		assert.Regexp(t, "SignedHeaders=[^,]*;x-amz-checksum-crc32;", header.Get("Authorization"))
	}
}

// Ensure a response that lacks what was asked for is a failure of S3, and that an image may have
// been stored then.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	get := func(ctx context.Context, a *bucket.Avatars) error {
		_, err := a.Get(ctx, "user", "avatar")
		return err
	}
	store := func(ctx context.Context, a *bucket.Avatars) error { return put(ctx, a, "avatar", []byte("image")) }
	list := func(ctx context.Context, a *bucket.Avatars) error {
		return a.List(ctx, func([]user.ListedImage) error { return nil })
	}
	object := func(fields string) string {
		return "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>" + fields + "</Contents></ListBucketResult>"
	}
	for name, c := range map[string]struct {
		call      func(context.Context, *bucket.Avatars) error
		body      string
		uncertain bool
	}{
		"get without a length": {get, "image", false},
		"put without an ETag":  {store, "", true},
		"put, HTML":            {store, "<html></html>", true},
		"list without a body":  {list, "", false},
		"list of nothing":      {list, "<ListBucketResult/>", false},
		"list, HTML":           {list, "<html></html>", false},
		"list without a token": {list, "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", false},
		"list without a key":   {list, object("<LastModified>2026-01-02T03:04:05Z</LastModified>"), false},
		"list without a time":  {list, object("<Key>avatars/user/6f1f0b0a-3a0c-4a6c-9b0f-0b9f1c1d2e3f</Key>"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).Flush() // without a Content-Length
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			settings := config.Default()
			settings.Endpoint = server.URL
			sdk := aws.Config{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}}
			err := c.call(t.Context(), bucket.New(sdk, settings))
			var failure *user.Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, user.Unavailable, failure.Code, "%v", err)
			assert.True(t, failure.Uncertain || !c.uncertain, "%v", err)
			assert.NotErrorIs(t, err, user.ErrResourceMissing)
		})
	}
}
