package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
)

// Ensure HEAD of an avatar does not fetch the image, and says of S3 what GET says.
func TestHeadOfAnAvatar(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	path := "/users/" + s.create(t) + "/avatar"
	require.Equal(t, http.StatusOK, s.do(t, http.MethodPut, path, string(apitest.PNG(2, 2))).StatusCode)
	get := s.do(t, http.MethodGet, path, "")
	head := s.do(t, http.MethodHead, path, "")
	assert.Equal(t, http.StatusOK, head.StatusCode)
	get.Header.Del("Date")
	head.Header.Del("Date")
	get.Header.Del("X-Request-Id")
	head.Header.Del("X-Request-Id")
	assert.Equal(t, get.Header, head.Header)
	assert.Equal(t, 1, s.aws.Calls("S3.GetObject"))
	assert.Equal(t, 1, s.aws.Calls("S3.HeadObject"))

	// A 404 has no body that tells an object from a bucket that is missing, or AWS from a proxy.
	for status, want := range map[int]int{http.StatusNotFound: http.StatusOK, http.StatusServiceUnavailable: http.StatusServiceUnavailable, http.StatusTooManyRequests: http.StatusServiceUnavailable} {
		s.aws.Fail("S3.HeadObject", awstest.Always, status, "")
		assert.Equal(t, want, s.do(t, http.MethodHead, path, "").StatusCode, status)
	}
	s.aws.Fail("S3.HeadObject", awstest.Always, http.StatusNotFound, "")
	s.aws.Fail("S3.GetObject", awstest.Always, http.StatusNotFound, "NoSuchBucket")
	assert.Equal(t, http.StatusServiceUnavailable, s.do(t, http.MethodHead, path, "").StatusCode)
	s.aws.Fail("S3.GetObject", awstest.Always, http.StatusNotFound, "NoSuchKey")
	assert.Equal(t, http.StatusNotFound, s.do(t, http.MethodHead, path, "").StatusCode)
}
