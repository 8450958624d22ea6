package main

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
)

// Ensure the command sweeps what is old, shows it first if asked, and refuses what would be dangerous.
func TestSweepCommand(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	orphan := func() string {
		key := bucket.Prefix + uuid.NewString() + "/" + uuid.NewString()
		_, err := a.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &a.Config.Bucket, Key: &key, Body: bytes.NewReader([]byte("x"))})
		require.NoError(t, err)
		return key
	}
	a.Pass(-2 * time.Hour)
	old := orphan()
	a.Pass(2 * time.Hour)
	young := orphan()

	status, stdout, stderr := command(t, []string{"sweep", "-dry-run"}, a.Environ()...)
	assert.Equal(t, 0, status, stderr)
	assert.Contains(t, stdout, old+" ")
	assert.Contains(t, stdout, "2 images in "+a.Config.Bucket+", 1 of them younger than 1h0m0s; 1 named by no user, 0 removed\n")
	assert.ElementsMatch(t, []string{old, young}, a.Objects(t))

	status, stdout, stderr = command(t, []string{"sweep", "-older-than=3h"}, a.Environ()...)
	assert.Equal(t, 0, status, stderr)
	assert.Contains(t, stdout, " 0 removed\n")

	status, _, stderr = command(t, []string{"sweep", "-older-than=21s"}, a.Environ()...)
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, "-older-than must be at least 22s")
	status, _, stderr = command(t, []string{"sweep", "now"}, a.Environ()...)
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, `unexpected argument "now"`)
	status, _, stderr = command(t, []string{"sweep"}, a.Environ("S3_BUCKET=NO")...)
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, `S3_BUCKET="NO"`)
	status, _, stderr = command(t, []string{"sweep", "-help"}, a.Environ()...)
	assert.Equal(t, 0, status)
	assert.Contains(t, stderr, "-dry-run")
	status, stdout, stderr = command(t, []string{"sweep"}, a.Environ("S3_BUCKET=no-such-bucket")...)
	assert.Equal(t, 1, status)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "NoSuchBucket")

	status, stdout, stderr = command(t, []string{"sweep"}, a.Environ()...)
	assert.Equal(t, 0, status, stderr)
	assert.Contains(t, stdout, "1 named by no user, 1 removed\n")
	assert.Contains(t, stderr, `"msg":"removed an image that no user names"`)
	assert.Equal(t, []string{young}, a.Objects(t))

	a.Pass(-2 * time.Hour)
	for range 11 {
		orphan()
	}
	status, stdout, stderr = command(t, []string{"sweep"}, a.Environ()...)
	assert.Equal(t, 1, status)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "most images are named by no user: 11 of 11. Is DYNAMODB_TABLE="+a.Config.Table+" the table of these images? -force")
	assert.Len(t, a.Objects(t), 12)

	a.Fail("S3.DeleteObject", awstest.Always, http.StatusForbidden, "AccessDenied")
	status, _, stderr = command(t, []string{"sweep", "-force"}, a.Environ()...)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "AccessDenied")
	a.Heal("S3.DeleteObject")
	status, stdout, stderr = command(t, []string{"sweep", "-force"}, a.Environ()...)
	assert.Equal(t, 0, status, stderr)
	assert.Contains(t, stdout, " 11 removed\n")
}

// Ensure the command makes a token that the API accepts, and only under a name and a scope that it accepts.
func TestTokenCommand(t *testing.T) {
	t.Parallel()
	token, entry := newToken(t, "ci", "read+write")
	assert.True(t, config.IsToken(token))
	c, _, err := config.Load([]string{"ACCESS_TOKENS=" + entry})
	require.NoError(t, err)
	assert.Equal(t, []config.AccessToken{{Name: "ci", Read: true, Write: true, Hash: config.HashToken(token)}}, c.AccessTokens)

	for want, args := range map[string][]string{
		`[] must be NAME SCOPE`:             {"token"},
		`["ci" "admin"] must be NAME SCOPE`: {"token", "ci", "admin"},
		`["C I" "read"] must be NAME SCOPE`: {"token", "C I", "read"},
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 2, run(args, nil, &stdout, &stderr))
		assert.Contains(t, stderr.String(), want)
		assert.Empty(t, stdout.String())
	}
}
