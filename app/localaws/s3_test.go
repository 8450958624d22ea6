package localaws_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func putObject(t testing.TB, c *s3.Client, key, body string, more ...func(*s3.PutObjectInput)) *s3.PutObjectOutput {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(body)}
	for _, f := range more {
		f(in)
	}
	out, err := c.PutObject(t.Context(), in)
	require.NoError(t, err)
	return out
}

func getObject(t testing.TB, c *s3.Client, key string) (*s3.GetObjectOutput, string) {
	t.Helper()
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	require.NoError(t, err)
	return out, readAll(t, out.Body)
}

// Ensure an object comes back with its content, type, cache control, metadata and entity tag.
func TestObject_RoundTrip(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	sent := putObject(t, c, "avatars/1.png", "content", func(in *s3.PutObjectInput) {
		in.ContentType, in.CacheControl, in.ContentDisposition = aws.String("image/png"), aws.String("max-age=1"), aws.String("inline")
		in.Metadata = map[string]string{"owner": "ada"}
	})
	tag := fmt.Sprintf(`"%x"`, md5.Sum([]byte("content")))
	assert.Equal(t, tag, *sent.ETag)

	out, body := getObject(t, c, "avatars/1.png")
	assert.Equal(t, "content", body)
	assert.Equal(t, "image/png", *out.ContentType)
	assert.Equal(t, "max-age=1", *out.CacheControl)
	assert.Equal(t, "inline", *out.ContentDisposition)
	assert.Equal(t, map[string]string{"owner": "ada"}, out.Metadata)
	assert.Equal(t, tag, *out.ETag)
	assert.EqualValues(t, 7, *out.ContentLength)
	assert.WithinDuration(t, time.Now(), *out.LastModified, time.Minute)

	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("avatars/1.png")})
	require.NoError(t, err)
	assert.Equal(t, "max-age=1", *head.CacheControl)
	assert.EqualValues(t, 7, *head.ContentLength)
}

// Ensure replacing an object leaves nothing of the old one's header, which s3mem would merge.
func TestPutObject_ReplacesMetadata(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	putObject(t, c, "k", "old", func(in *s3.PutObjectInput) {
		in.CacheControl, in.ContentType, in.Metadata = aws.String("max-age=1"), aws.String("image/png"), map[string]string{"owner": "ada"}
	})
	putObject(t, c, "k", "new")
	out, body := getObject(t, c, "k")
	assert.Equal(t, "new", body)
	assert.Nil(t, out.CacheControl)
	assert.Empty(t, out.Metadata)
	assert.NotEqual(t, "image/png", *out.ContentType)
}

// Ensure neither the credentials of who put an object nor an open CORS policy reach who reads it.
func TestGetObject_Header(t *testing.T) {
	t.Parallel()
	a, url := start(t)
	c := s3Client(url)
	putObject(t, c, "k", "x", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"a": strings.Repeat("x", 1900)} })
	w := do(a, "GET", "/"+bucket+"/k", "", nil)
	require.Equal(t, http.StatusOK, w.Code)
	for name, values := range w.Header() {
		assert.NotContains(t, values, "a-session-token", name)
		assert.NotRegexp(t, "^(X-Amz-(Security|Content|Date|Checksum|Sdk|User|Localaws)|Access-Control)", name)
	}
	w = do(a, "OPTIONS", "/"+bucket+"/k", "", map[string]string{"Origin": "http://evil.test", "Access-Control-Request-Method": "PUT"})
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
}

// Ensure metadata has S3's limit, which counts nothing else.
func TestPutObject_MetadataLimit(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	putObject(t, c, "k", "x", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"a": strings.Repeat("x", 2047)} })
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"), Metadata: map[string]string{"a": strings.Repeat("x", 2048)},
	})
	requireCode(t, "MetadataTooLarge", err)
}

// Ensure what does not exist is told in the SDK's types, and deleting it is no error.
func TestObject_NotFound(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	nobody, nowhere := aws.String("nobody"), aws.String("no-such-bucket")
	_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: nobody})
	var noKey *types.NoSuchKey
	require.ErrorAs(t, err, &noKey)
	_, err = c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: nobody})
	var notFound *types.NotFound
	require.ErrorAs(t, err, &notFound)
	_, err = c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: nowhere})
	require.ErrorAs(t, err, &notFound)
	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: nowhere, Key: nobody, Body: strings.NewReader("x")})
	requireCode(t, "NoSuchBucket", err)
	_, err = c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: nowhere, Key: nobody})
	requireCode(t, "NoSuchBucket", err)
	_, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: nowhere})
	requireCode(t, "NoSuchBucket", err)
	for range 2 {
		_, err = c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: nobody})
		require.NoError(t, err)
	}
	_, err = c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: nowhere, Key: nobody})
	requireCode(t, "NoSuchBucket", err)
}

// Ensure of concurrent puts that may not replace exactly one succeeds.
func TestPutObject_IfNoneMatch(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[string]int{}
	for range 20 {
		wg.Go(func() {
			_, err := c.PutObject(context.Background(), &s3.PutObjectInput{
				Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"), IfNoneMatch: aws.String("*"),
			})
			var e interface{ ErrorCode() string }
			mu.Lock()
			defer mu.Unlock()
			if errors.As(err, &e) {
				codes[e.ErrorCode()]++
			} else {
				codes[fmt.Sprint(err)]++
			}
		})
	}
	wg.Wait()
	assert.Equal(t, map[string]int{"<nil>": 1, "PreconditionFailed": 19}, codes)
}

// Ensure a delete with an entity tag deletes that object only.
func TestDeleteObject_IfMatch(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	old := putObject(t, c, "k", "old")
	putObject(t, c, "k", "new")
	in := &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), IfMatch: old.ETag}
	_, err := c.DeleteObject(t.Context(), in)
	requireCode(t, "PreconditionFailed", err)
	out, body := getObject(t, c, "k")
	assert.Equal(t, "new", body)
	in.IfMatch = out.ETag
	_, err = c.DeleteObject(t.Context(), in)
	require.NoError(t, err)
	_, err = c.DeleteObject(t.Context(), in)
	requireCode(t, "NoSuchKey", err)
}

// Ensure more objects than a page holds are listed once each, by prefix and from a key that has
// been deleted since.
func TestListObjectsV2(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < 1200; i += 8 {
				_, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(fmt.Sprintf("avatars/%04d", i)), Body: strings.NewReader("x")})
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	putObject(t, c, "other", "x")
	var keys []string
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("avatars/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		assert.LessOrEqual(t, len(page.Contents), 1000)
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
			assert.EqualValues(t, 1, *o.Size)
			assert.WithinDuration(t, time.Now(), *o.LastModified, time.Minute)
		}
		last := page.Contents[len(page.Contents)-1].Key
		_, err = c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: last})
		require.NoError(t, err)
	}
	require.Len(t, keys, 1200)
	for i, k := range keys {
		require.Equal(t, fmt.Sprintf("avatars/%04d", i), k)
	}
	out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), StartAfter: aws.String("zzz")})
	require.NoError(t, err)
	assert.Empty(t, out.Contents)
	out, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Delimiter: aws.String("/")})
	require.NoError(t, err)
	require.Len(t, out.CommonPrefixes, 1)
	assert.Equal(t, "avatars/", *out.CommonPrefixes[0].Prefix)
	require.Len(t, out.Contents, 1)
	assert.Equal(t, "other", *out.Contents[0].Key)
}

// Ensure a copy takes the metadata with it, or replaces it when told to.
func TestCopyObject(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	putObject(t, c, "a", "content", func(in *s3.PutObjectInput) {
		in.ContentType, in.Metadata = aws.String("image/png"), map[string]string{"owner": "ada"}
	})
	_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("b"), CopySource: aws.String(bucket + "/a")})
	require.NoError(t, err)
	out, body := getObject(t, c, "b")
	assert.Equal(t, "content", body)
	assert.Equal(t, "image/png", *out.ContentType)
	assert.Equal(t, map[string]string{"owner": "ada"}, out.Metadata)
}

// Ensure an upload in parts is put together.
func TestMultipartUpload(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	key := aws.String("big")
	upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: key, ContentType: aws.String("image/png")})
	require.NoError(t, err)
	var parts []types.CompletedPart
	for i := int32(1); i <= 2; i++ {
		part, err := c.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId, PartNumber: &i, Body: bytes.NewReader(bytes.Repeat([]byte{byte(i)}, 5<<20)),
		})
		require.NoError(t, err)
		parts = append(parts, types.CompletedPart{ETag: part.ETag, PartNumber: aws.Int32(i)})
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	require.NoError(t, err)
	out, body := getObject(t, c, "big")
	assert.Equal(t, "image/png", *out.ContentType)
	assert.Len(t, body, 10<<20)
	assert.Equal(t, byte(2), body[len(body)-1])
}

// Ensure objects can be read, written, listed and deleted at once.
func TestObjects_Concurrently(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				key := aws.String(fmt.Sprint("k", i%3))
				_, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: key, Body: strings.NewReader("content"), Metadata: map[string]string{"i": itoa(i)}})
				assert.NoError(t, err)
				out, err := c.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: key})
				if err == nil {
					b, err := io.ReadAll(out.Body)
					assert.NoError(t, err)
					assert.Equal(t, "content", string(b))
				} else {
					requireCode(t, "NoSuchKey", err)
				}
				_, err = c.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
				assert.NoError(t, err)
				_, err = c.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: key})
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
}

// Ensure one connection serves many requests to both services.
func TestListen_KeepAlive(t *testing.T) {
	t.Parallel()
	a, _ := start(t)
	server, err := a.Listen("127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, server.Close()) }()
	db, objects := dynamoClient(server.URL()), s3Client(server.URL())
	connections := map[string]bool{}
	a.Intercept(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			connections[r.RemoteAddr] = true
			next.ServeHTTP(w, r)
		})
	})
	for i := range 10 {
		require.NoError(t, put(db, id(itoa(i))))
		putObject(t, objects, "k", strings.Repeat("x", 100_000))
		getObject(t, objects, "k")
		_, err := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("nobody")})
		require.Error(t, err)
	}
	assert.Less(t, len(connections), 10, "of 40 requests")
}
