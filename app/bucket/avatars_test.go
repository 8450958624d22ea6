package bucket_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/user"
)

func start(t *testing.T) (*awstest.AWS, *bucket.Avatars) {
	t.Helper()
	a := awstest.Start(t)
	return a, bucket.New(a.SDK, a.Config)
}

// Ensure an image is read as it was stored, also one that is larger than any buffer on the way.
func TestPutGet(t *testing.T) {
	t.Parallel()
	a, avatars := start(t)
	userID, avatarID := uuid.NewString(), uuid.NewString()
	want := bytes.Repeat([]byte{1, 2, 3, '\n'}, 1<<20)
	require.NoError(t, avatars.Put(t.Context(), userID, avatarID, &user.Image{ContentType: "image/webp", Data: want}))
	assert.Equal(t, []string{"avatars/" + userID + "/" + avatarID}, a.Objects(t))

	stored, err := avatars.Get(t.Context(), userID, avatarID)
	require.NoError(t, err)
	got, err := io.ReadAll(stored)
	require.NoError(t, err)
	require.NoError(t, stored.Close())
	assert.True(t, bytes.Equal(want, got), "%d bytes of %d", len(got), len(want))
	assert.Equal(t, "image/webp", stored.ContentType)
	assert.EqualValues(t, len(want), stored.Size)
}

// Ensure an image that is not there is not found, and removing it is no error.
func TestMissing(t *testing.T) {
	t.Parallel()
	_, avatars := start(t)
	_, err := avatars.Get(t.Context(), "user", "image")
	assert.Equal(t, user.NotFound, user.CodeOf(err), "%v", err)
	assert.NoError(t, avatars.Delete(t.Context(), "user", "image"))
}

// Ensure S3 can tell that an image is not what was sent: its checksum is part of the signature, and
// its content is not.
func TestPutIsChecked(t *testing.T) {
	t.Parallel()
	a, avatars := start(t)
	var calls atomic.Int64
	a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		calls.Add(1)
		assert.Equal(t, "UNSIGNED-PAYLOAD", r.Header.Get("X-Amz-Content-Sha256"))
		assert.Regexp(t, "SignedHeaders=[^,]*;x-amz-checksum-crc32;", r.Header.Get("Authorization"))
		data, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		checksum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data))
		assert.Equal(t, base64.StdEncoding.EncodeToString(checksum), r.Header.Get("X-Amz-Checksum-Crc32"))
		r.Body = io.NopCloser(bytes.NewReader(data))
		next.ServeHTTP(w, r)
	})
	require.NoError(t, avatars.Put(t.Context(), "user", "image", &user.Image{
		ContentType: "image/png", Data: []byte("content"),
	}))
	assert.NotZero(t, calls.Load())
}

// Ensure an image is sent by https as it is by http: as it is, behind its checksum.
func TestPutByTLS(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	var sent []byte
	var header http.Header
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		sent, _ = io.ReadAll(r.Body)
		w.Header().Set("ETag", `"etag"`)
	}))
	t.Cleanup(server.Close)
	a.SDK.HTTPClient, a.Config.Endpoint = server.Client(), server.URL
	require.NoError(t, bucket.New(a.SDK, a.Config).Put(t.Context(), "user", "image", &user.Image{
		ContentType: "image/png", Data: []byte("content"),
	}))
	assert.Equal(t, "content", string(sent))
	assert.Empty(t, header.Get("Content-Encoding"))
	assert.Equal(t, "7", header.Get("Content-Length"))
	assert.Equal(t, "UNSIGNED-PAYLOAD", header.Get("X-Amz-Content-Sha256"))
	assert.Equal(t, "/sUwqQ==", header.Get("X-Amz-Checksum-Crc32"))
}

// Ensure a removed image is gone and its neighbour is not.
func TestDelete(t *testing.T) {
	t.Parallel()
	a, avatars := start(t)
	for _, id := range []string{"one", "two"} {
		require.NoError(t, avatars.Put(t.Context(), "user", id, &user.Image{ContentType: "image/png", Data: []byte(id)}))
	}
	require.NoError(t, avatars.Delete(t.Context(), "user", "one"))
	assert.Equal(t, []string{"avatars/user/two"}, a.Objects(t))
}

// Ensure an upload whose connection broke is sent again, whole.
func TestPutAgain(t *testing.T) {
	t.Parallel()
	a, avatars := start(t)
	a.HangUp("S3.PutObject", 1)
	require.NoError(t, avatars.Put(t.Context(), "user", "image", &user.Image{
		ContentType: "image/png", Data: []byte("data"),
	}))
	stored, err := avatars.Get(t.Context(), "user", "image")
	require.NoError(t, err)
	got, err := io.ReadAll(stored)
	require.NoError(t, err)
	assert.Equal(t, "data", string(got))
	assert.NoError(t, stored.Close())
}

// Ensure each failure is told apart: whether a later try may succeed, and whether something may
// have been stored.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status    int
		s3Code    string
		code      user.Code
		uncertain bool
		missing   bool
	}{
		"server error": {500, "InternalError", user.Unavailable, true, false},
		"slow down":    {503, "SlowDown", user.Unavailable, false, false},
		"refused":      {403, "AccessDenied", user.Internal, false, false},
		"no bucket":    {404, "NoSuchBucket", user.Unavailable, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, avatars := start(t)
			a.Fail("S3.PutObject", awstest.Always, c.status, c.s3Code)
			err := avatars.Put(t.Context(), "user", "image", &user.Image{ContentType: "image/png", Data: []byte("data")})
			var fault *user.Error
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, c.code, fault.Code, "%v", err)
			assert.Equal(t, c.uncertain, fault.Uncertain, "%v", err)
			if c.missing {
				assert.ErrorIs(t, err, user.ErrResourceMissing)
			} else {
				assert.NotErrorIs(t, err, user.ErrResourceMissing)
			}
		})
	}
}

// Ensure the end of the context ends a download.
func TestGetEndsWithContext(t *testing.T) {
	t.Parallel()
	_, avatars := start(t)
	require.NoError(t, avatars.Put(t.Context(), "user", "image", &user.Image{
		ContentType: "image/png", Data: make([]byte, 8<<20),
	}))
	ctx, cancel := context.WithCancel(t.Context())
	stored, err := avatars.Get(ctx, "user", "image")
	require.NoError(t, err)
	cancel()
	_, err = io.Copy(io.Discard, stored)
	require.Error(t, err)
	_ = stored.Close()
}

// Ensure the check tells a bucket that is there from one that is missing and one that does not
// answer.
func TestCheck(t *testing.T) {
	t.Parallel()
	a, avatars := start(t)
	require.NoError(t, avatars.Check(t.Context()))

	c := a.Config
	c.Bucket = "elsewhere"
	assert.ErrorIs(t, bucket.New(a.SDK, c).Check(t.Context()), user.ErrResourceMissing)

	a.Fail("S3.HeadBucket", awstest.Always, 403, "AccessDenied")
	err := avatars.Check(t.Context())
	require.Error(t, err)
	assert.NotErrorIs(t, err, user.ErrResourceMissing)
}
