package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
)

// Ensure HEAD of an avatar does not fetch the image, and has the same status as GET if S3 fails.
func TestHeadOfAnAvatar(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	client := apitest.NewClient(t, s.url, apitest.Options{})
	path := "/users/" + client.CreateForm(t, "Ada", "ada@example.com", apitest.PNG(2, 2)).ID + "/avatar"
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodHead, path, "").StatusCode)
	assert.Equal(t, 0, s.aws.Calls("S3.GetObject"))
	assert.Equal(t, 1, s.aws.Calls("S3.HeadObject"))

	// A 404 has no body that tells an object from a bucket that is missing, or AWS from a proxy.
	for _, c := range []struct {
		head int
		get  string // code of a 404; empty: the image
		want int
	}{
		{503, "", 503}, {429, "", 503}, {404, "", 200}, {404, "NoSuchBucket", 503}, {404, "NoSuchKey", 404},
	} {
		s.aws.Fail("S3.HeadObject", awstest.Always, c.head, "")
		if c.get != "" {
			s.aws.Fail("S3.GetObject", awstest.Always, http.StatusNotFound, c.get)
		}
		assert.Equal(t, c.want, s.do(t, http.MethodHead, path, "").StatusCode, "%+v", c)
	}
}
