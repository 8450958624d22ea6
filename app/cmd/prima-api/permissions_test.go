package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/contract"
)

// Ensure the roles, as infra deploys them, allow what the programs call and nothing else: an AWS that refuses everything
// else serves the whole suite, a sweep and readiness, and no permission is left unused.
//
// The program knows its hosts and has no pages here. TestContract in app/api tests the API with the default settings.
// If TEST_RACE is set, the program has the race detector, without which the suite takes half as long.
func TestPermissions(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	guard := a.Guard(t, policies(t, a))
	t.Cleanup(func() { assert.Empty(t, guard.Refused(), "calls that no role allows") }) // also where the suite gives up
	agent := startPodIdentityAgent(t)
	executable, err := built()
	if os.Getenv("TEST_RACE") != "" {
		executable, err = compile(t.TempDir(), "CGO_ENABLED=1", "-race")
	}
	require.NoError(t, err)
	p := startAs(t, executable, append(agent.environ(t, a, config.RoleAPI), "PAGES=false", "ALLOWED_HOSTS=localhost")...)
	apitest.Run(t, p.url, apitest.Options{Empty: true})

	// An image that was lost is a 404 like any other, and S3 tells that only to who may list.
	require.NoError(t, p.upload("Ada"))
	for _, key := range a.Objects(t) {
		_, err := a.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &a.Config.Bucket, Key: &key})
		require.NoError(t, err)
	}
	var users []struct {
		ID     string
		Avatar string `json:"avatar_url"`
	}
	response, err := http.Get(p.url + config.PathUsers)
	require.NoError(t, err)
	defer response.Body.Close()
	require.NoError(t, json.NewDecoder(response.Body).Decode(&users))
	require.Len(t, users, 1)
	response, err = http.Get(users[0].Avatar)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusNotFound, response.StatusCode)

	// A user whose image stays, and an image of nobody.
	a.Pass(-2 * time.Hour)
	require.NoError(t, p.upload("Grace"))
	orphan := bucket.Prefix + uuid.NewString() + "/" + uuid.NewString()
	_, err = a.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &a.Config.Bucket, Key: &orphan, Body: bytes.NewReader([]byte("x"))})
	require.NoError(t, err)
	a.Pass(2 * time.Hour)
	status, stdout, stderr := command(t, []string{"sweep"}, agent.environ(t, a, config.RoleSweep)...)
	assert.Equal(t, 0, status, stderr)
	assert.Contains(t, stdout, "1 named by no user, 1 removed\n")

	for _, role := range config.Roles() {
		assert.Empty(t, guard.Unused(string(role)), "permissions of the role %s that nothing needs", role)
	}
	p.signal(t, os.Interrupt)
	assert.Equal(t, 0, p.wait(t), "a race makes it another: %s", p.log)
}

// Ensure the programs cannot do each other's work: with the role of the API an old image of nobody is not swept.
func TestRoleOfAnother(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	guard := a.Guard(t, policies(t, a))
	orphan := bucket.Prefix + uuid.NewString() + "/" + uuid.NewString()
	a.Pass(-2 * time.Hour)
	_, err := a.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &a.Config.Bucket, Key: &orphan, Body: bytes.NewReader([]byte("x"))})
	require.NoError(t, err)
	status, _, stderr := command(t, []string{"sweep"}, startPodIdentityAgent(t).environ(t, a, config.RoleAPI)...)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "AccessDenied")
	assert.Equal(t, []string{orphan}, a.Objects(t))
	assert.Len(t, guard.Refused(), 1)
}

// policies returns the documents of the roles, as infra deploys them, by access keys that are called like the roles.
func policies(t *testing.T, a *awstest.AWS) map[string]string {
	t.Helper()
	documents := map[string]string{}
	for _, role := range config.Roles() {
		document, err := json.Marshal(contract.PolicyOf(role, a.Config.Resources(), a.Location()))
		require.NoError(t, err)
		documents[string(role)] = string(document)
	}
	return documents
}

// A podIdentityAgent is what hands out credentials on a node of EKS, each role's to who shows the token of its pod.
//
// Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html.
type podIdentityAgent struct {
	url string
}

func startPodIdentityAgent(t *testing.T) podIdentityAgent {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, role := range config.Roles() {
			if r.Header.Get("Authorization") == podToken(role) {
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(map[string]string{
					"AccessKeyId": string(role), "SecretAccessKey": "secret", "Token": "session", "Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
				})
				return
			}
		}
		http.Error(w, "no pod has this token", http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	return podIdentityAgent{url: server.URL}
}

func podToken(role contract.Role) string { return "token-of-" + string(role) }

// environ returns the environment of a pod with a role: no key, but where and by which token to ask for one.
func (g podIdentityAgent) environ(t *testing.T, a *awstest.AWS, role contract.Role) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "eks-pod-identity-token")
	require.NoError(t, os.WriteFile(file, []byte(podToken(role)), 0o600))
	return a.Environ(
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI="+g.url+"/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+file,
	)
}
