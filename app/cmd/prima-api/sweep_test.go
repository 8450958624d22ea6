package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// putOrphan stores an image that no user names, so long ago, and returns its key.
func putOrphan(t *testing.T, a *awstest.AWS, age time.Duration) string {
	t.Helper()
	a.Pass(-age)
	defer a.Pass(age)
	key := config.AvatarPrefix + uuid.NewString() + "/" + uuid.NewString()
	_, err := a.S3.PutObject(t.Context(),
		&s3.PutObjectInput{Bucket: &a.Config.Bucket, Key: &key, Body: strings.NewReader("x")})
	require.NoError(t, err)
	return key
}

// Ensure the command removes old images, lists them first if asked, and refuses what would be
// dangerous.
func TestSweepCommand(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	sweep := func(args, environ string, wantStatus int, wantStdout, wantStderr string) {
		t.Helper()
		status, stdout, stderr := command(t, "sweep "+args, a.Environ(environ)...)
		assert.Equal(t, wantStatus, status, stderr)
		assert.Contains(t, stderr, wantStderr)
		assert.Contains(t, stdout, wantStdout)
		assert.Equal(t, wantStdout == "", stdout == "", stdout)
	}
	old, young := putOrphan(t, a, 2*time.Hour), putOrphan(t, a, 0)

	sweep("-dry-run", "", 0, old+" ", "")
	sweep("-dry-run", "", 0, "\n2 images in "+a.Config.Bucket+
		", 1 of them younger than 1h0m0s; 1 named by no user, 0 removed\n", "")
	sweep("-older-than=3h", "", 0, " 0 removed\n", "")
	sweep("-older-than=21s", "", 2, "", "-older-than must be at least 22s")
	sweep("now", "", 2, "", `unexpected argument "now"`)
	sweep("-help", "", 0, "", "-dry-run")
	sweep("", "S3_BUCKET=NO", 2, "", `S3_BUCKET="NO"`)
	sweep("", "S3_BUCKET=no-such-bucket", 1, "", "NoSuchBucket")
	assert.ElementsMatch(t, []string{old, young}, a.Objects(t))

	sweep("", "", 0, "1 named by no user, 1 removed\n", `"msg":"removed an image that no user names"`)
	assert.Equal(t, []string{young}, a.Objects(t))

	for range 11 {
		putOrphan(t, a, 2*time.Hour)
	}
	sweep("", "", 1, "", "most images are named by no user: 11 of 11. Is DYNAMODB_TABLE="+a.Config.Table+
		" the table of these images? -force")
	assert.Len(t, a.Objects(t), 12)

	a.Fail("S3.DeleteObject", awstest.Always, http.StatusForbidden, "AccessDenied")
	sweep("-force", "", 1, "", "AccessDenied")
	a.Heal("S3.DeleteObject")
	sweep("-force", "", 0, " 11 removed\n", "")
}
