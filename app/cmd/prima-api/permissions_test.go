package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
	"prima.internal/app/contract"
)

// Ensure the roles that infra deploys allow what the programs call and nothing else. An AWS that
// refuses everything else serves the whole suite, a sweep and readiness, and every permission is
// used.
//
// The API runs with ALLOWED_HOSTS and without pages. TestSuite in app/api tests the default
// settings. If TEST_RACE is set, the program has the race detector, with which the suite takes
// twice as long.
func TestPermissions(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	guard := a.Guard(t, policies(t, a))
	// At the end of all, also if the suite stops early.
	t.Cleanup(func() { assert.Empty(t, guard.Refused(), "calls that no role allows") })
	agent := startPodIdentityAgent(t)
	executable, err := built()
	if os.Getenv("TEST_RACE") != "" {
		executable, err = compile(t.TempDir(), "CGO_ENABLED=1", "-race")
	}
	require.NoError(t, err)
	p := startAs(t, executable, append(agent.environ(t, a, config.RoleAPI), "PAGES=false", "ALLOWED_HOSTS=localhost")...)
	apitest.Run(t, p.url, apitest.Options{Empty: true})

	// Ensure an image that was lost is a 404 like any other. S3 tells that only a caller who may list.
	p.upload("Ada", apitest.PNG(2, 2)).is(t, http.StatusCreated)
	for _, key := range a.Objects(t) {
		_, err := a.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &a.Config.Bucket, Key: &key})
		require.NoError(t, err)
	}
	users := p.users(t)
	require.Len(t, users, 1)
	get(t, users[0].AvatarURL).is(t, http.StatusNotFound)

	// Ensure a sweep keeps the image of a user, and removes an image that no user names.
	a.Pass(-2 * time.Hour)
	p.upload("Grace", apitest.PNG(2, 2)).is(t, http.StatusCreated)
	a.Pass(2 * time.Hour)
	putOrphan(t, a, 2*time.Hour)
	status, stdout, stderr := command(t, []string{"sweep"}, agent.environ(t, a, config.RoleSweep)...)
	assert.Equal(t, 0, status, stderr)
	assert.Contains(t, stdout, "1 named by no user, 1 removed\n")

	for _, role := range config.Roles() {
		assert.Empty(t, guard.Unused(string(role)), "permissions of the role %s that nothing needs", role)
	}
	p.signal(t, os.Interrupt)
	assert.Equal(t, 0, p.wait(t), "a race makes it another: %s", p.log)
}

// Ensure the programs cannot do each other's work: with the API's role, a sweep removes nothing.
func TestRoleOfAnother(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	guard := a.Guard(t, policies(t, a))
	orphan := putOrphan(t, a, 2*time.Hour)
	status, _, stderr := command(t, []string{"sweep"}, startPodIdentityAgent(t).environ(t, a, config.RoleAPI)...)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "AccessDenied")
	assert.Equal(t, []string{orphan}, a.Objects(t))
	assert.Len(t, guard.Refused(), 1)
}

// policies returns the documents of the roles that infra deploys, by access keys that are named as
// the roles are.
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

// A podIdentityAgent hands out credentials on a node of EKS: those of a role for the token of its
// pod.
//
// Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html.
type podIdentityAgent struct {
	url string
}

func startPodIdentityAgent(t *testing.T) podIdentityAgent {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		role, ok := strings.CutPrefix(r.Header.Get("Authorization"), "token-of-")
		if !ok {
			http.Error(w, "no pod has this token", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{
			"AccessKeyId": role, "SecretAccessKey": "secret", "Token": "session",
			"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		})
	}))
	t.Cleanup(server.Close)
	return podIdentityAgent{url: server.URL}
}

// environ returns the environment of a pod with a role: no key, but the URL of the agent and the
// file with the pod's token.
func (g podIdentityAgent) environ(t *testing.T, a *awstest.AWS, role contract.Role) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "eks-pod-identity-token")
	require.NoError(t, os.WriteFile(file, []byte("token-of-"+string(role)), 0o600))
	return a.Environ(
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI="+g.url+"/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+file,
	)
}
