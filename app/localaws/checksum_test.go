package localaws_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/localaws"
)

func crc(s string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

// Ensure the SDK has nothing to say about reading an object: it warns of answers without a checksum.
func TestGetObject_LogsNothing(t *testing.T) {
	t.Parallel()
	a, url := start(t)
	var log lines
	cfg := awsConfig()
	cfg.Logger = &log
	cfg.ClientLogMode = aws.LogRetries | aws.LogDeprecatedUsage
	c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &url, true })
	putObject(t, c, "k", "content")
	out, body := getObject(t, c, "k")
	assert.Equal(t, "content", body)
	assert.Equal(t, crc("content"), *out.ChecksumCRC32)
	assert.Equal(t, types.ChecksumTypeFullObject, out.ChecksumType)
	assert.Empty(t, log.all)

	// An object that came without a checksum has one too.
	require.Equal(t, http.StatusOK, do(a, "PUT", "/"+bucket+"/plain", "plain", nil).Code)
	out, body = getObject(t, c, "plain")
	assert.Equal(t, "plain", body)
	assert.Equal(t, crc("plain"), *out.ChecksumCRC32)
	assert.Empty(t, log.all)
}

// Ensure each of S3's checksums is verified, kept and answered.
func TestChecksum_Algorithms(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	for _, algorithm := range []types.ChecksumAlgorithm{
		types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
	} {
		out := putObject(t, c, "k", "content", func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = algorithm })
		sent := []*string{out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256}
		got, body := getObject(t, c, "k")
		assert.Equal(t, "content", body)
		read := []*string{got.ChecksumCRC32, got.ChecksumCRC32C, got.ChecksumCRC64NVME, got.ChecksumSHA1, got.ChecksumSHA256}
		assert.Equal(t, sent, read, algorithm)
		n := 0
		for _, v := range sent {
			if v != nil {
				n++
			}
		}
		assert.Equal(t, 1, n, algorithm)
	}
}

// Ensure a checksum is answered of a whole object only, and only when asked for.
func TestChecksum_WhenAsked(t *testing.T) {
	t.Parallel()
	a, url := start(t)
	putObject(t, s3Client(url), "k", "content")
	asked := map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}
	assert.Equal(t, crc("content"), do(a, "GET", "/"+bucket+"/k", "", asked).Header().Get("X-Amz-Checksum-Crc32"))
	assert.Equal(t, crc("content"), do(a, "HEAD", "/"+bucket+"/k", "", asked).Header().Get("X-Amz-Checksum-Crc32"))
	assert.Empty(t, do(a, "GET", "/"+bucket+"/k", "", nil).Header().Get("X-Amz-Checksum-Crc32"))
	asked["Range"] = "bytes=0-2"
	w := do(a, "GET", "/"+bucket+"/k", "", asked)
	assert.Equal(t, http.StatusPartialContent, w.Code)
	assert.Equal(t, "con", w.Body.String())
	assert.Empty(t, w.Header().Get("X-Amz-Checksum-Crc32"))
}

// Ensure an upload that is not what its header says is refused and not stored.
func TestPutObject_WrongDigest(t *testing.T) {
	t.Parallel()
	a, _ := start(t)
	for _, c := range []struct{ name, value, code string }{
		{"X-Amz-Checksum-Crc32", crc("other"), "BadDigest"},
		{"X-Amz-Checksum-Crc32", "nonsense", "InvalidRequest"},
		{"X-Amz-Checksum-Sha256", crc("content"), "InvalidRequest"},
		{"X-Amz-Content-Sha256", strings.Repeat("0", 64), "XAmzContentSHA256Mismatch"},
		{"Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg==", "BadDigest"},
	} {
		w := do(a, "PUT", "/"+bucket+"/k", "content", map[string]string{c.name: c.value})
		assert.Equal(t, http.StatusBadRequest, w.Code, c)
		assert.Contains(t, w.Body.String(), "<Code>"+c.code+"</Code>")
		assert.Equal(t, http.StatusNotFound, do(a, "GET", "/"+bucket+"/k", "", nil).Code)
	}
}

// Ensure bodies in aws-chunked are stored without their framing, with or without signatures and
// trailers.
func TestPutObject_Chunked(t *testing.T) {
	t.Parallel()
	a, _ := start(t)
	signature := ";chunk-signature=" + strings.Repeat("0", 64)
	for name, c := range map[string]struct{ sha, body, trailer string }{
		"unsigned, trailer": {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "4\r\ncont\r\n3\r\nent\r\n0\r\nx-amz-checksum-crc32:" + crc("content") + "\r\n\r\n", "x-amz-checksum-crc32"},
		"signed":            {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "4" + signature + "\r\ncont\r\n3" + signature + "\r\nent\r\n0" + signature + "\r\n\r\n", ""},
		"signed, trailer":   {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "7" + signature + "\r\ncontent\r\n0" + signature + "\r\nx-amz-checksum-crc32:" + crc("content") + "\r\nx-amz-trailer-signature:0\r\n\r\n", "x-amz-checksum-crc32"},
	} {
		header := map[string]string{
			"X-Amz-Content-Sha256": c.sha, "X-Amz-Decoded-Content-Length": "7", "Content-Encoding": "aws-chunked",
		}
		if c.trailer != "" {
			header["X-Amz-Trailer"] = c.trailer
		}
		w := do(a, "PUT", "/"+bucket+"/k", c.body, header)
		require.Equal(t, http.StatusOK, w.Code, "%s: %s", name, w.Body)
		w = do(a, "GET", "/"+bucket+"/k", "", nil)
		assert.Equal(t, "content", w.Body.String(), name)
		assert.Empty(t, w.Header().Get("Content-Encoding"), name)
		do(a, "DELETE", "/"+bucket+"/k", "", nil)
	}
	chunked := map[string]string{
		"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length": "7", "X-Amz-Trailer": "x-amz-checksum-crc32",
	}
	for body, code := range map[string]string{
		"7\r\ncontent\r\n0\r\nx-amz-checksum-crc32:" + crc("other") + "\r\n\r\n": "BadDigest",
		"7\r\ncontent\r\n0\r\n\r\n": "MalformedTrailerError",
		"8\r\ncontents\r\n0\r\nx-amz-checksum-crc32:" + crc("contents") + "\r\n\r\n": "IncompleteBody",
		"7\r\ncont":  "IncompleteBody",
		"content":    "IncompleteBody",
		"-1\r\n\r\n": "IncompleteBody",
	} {
		w := do(a, "PUT", "/"+bucket+"/k", body, chunked)
		assert.Equal(t, http.StatusBadRequest, w.Code, body)
		assert.Contains(t, w.Body.String(), code, body)
		assert.Equal(t, http.StatusNotFound, do(a, "GET", "/"+bucket+"/k", "", nil).Code)
	}
}

// Ensure an upload over TLS, where the SDK streams with a trailer, arrives unchanged.
func TestPutObject_TLS(t *testing.T) {
	t.Parallel()
	a, err := localaws.New(localaws.Options{Bucket: bucket})
	require.NoError(t, err)
	server := httptest.NewTLSServer(a)
	t.Cleanup(server.Close)
	cfg := awsConfig()
	cfg.HTTPClient = server.Client()
	c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &server.URL, true })
	content := strings.Repeat("0123456789", 20_000)
	in := &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), ContentLength: aws.Int64(int64(len(content))),
		Body: struct{ io.Reader }{strings.NewReader(content)}, // not a Seeker
	}
	var encoding string
	a.Intercept(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			encoding = r.Header.Get("Content-Encoding")
			next.ServeHTTP(w, r)
		})
	})
	_, err = c.PutObject(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, "aws-chunked", encoding)
	out, body := getObject(t, c, "k")
	assert.Equal(t, content, body)
	assert.Equal(t, crc(content), *out.ChecksumCRC32)
	assert.Equal(t, fmt.Sprint(len(content)), fmt.Sprint(*out.ContentLength))
}
