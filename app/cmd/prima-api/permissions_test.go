package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// Ensure the roles that infra deploys allow exactly what the programs call, on an AWS that enforces
// them, and that docs/aws.md says which calls each request makes.
//
// With the race detector, in the program in PROGRAM, the whole suite runs too. Without it,
// TestSuite in app/api is enough.
func TestGeneratedPermissions(t *testing.T) { //nolint:paralleltest // with -update it writes a file
	a := awstest.Start(t)
	guard := a.Guard(t, policies(t, a))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("refused calls:", guard.Refused())
		}
	})
	pod := startPodIdentityAgent(t, a)
	p := start(t, append(pod(config.RoleAPI), "PAGES=false", "ALLOWED_HOSTS=localhost", "DRAIN_TIME=0s")...)

	table := "| request | DynamoDB | S3 |\n|---|---|---|\n"
	// row makes a row of a request.
	row := func(name string, request func() reply) (r reply) {
		before := a.AllCalls()
		r = request()
		spent := a.AllCalls()
		for operation, n := range before {
			spent[operation] -= n
		}
		table += fmt.Sprintf("| %s | %s | %s |\n", name, calls(spent, "DynamoDB."), calls(spent, "S3."))
		return r
	}
	// request makes a row of "METHOD path".
	request := func(name string, status int, target, body string, header ...string) reply {
		method, path, _ := strings.Cut(target, " ")
		return row(name, func() reply { return send(method, p.url+path, body, header...).is(t, status) })
	}
	lost := ""
	upload := func() reply { return p.upload("Grace", apitest.PNG(2, 2)).is(t, http.StatusCreated) }
	const mergePatch, asPNG = "Content-Type: application/merge-patch+json", "Content-Type: image/png"
	first, another := string(apitest.PNG(2, 2)), string(apitest.PNG(3, 3))

	plain := "/users/" + request("`POST /users`", 201, "POST /users", ada, asJSON).id(t)
	faced := "/users/" + row("`POST /users` with an avatar", upload).id(t)
	request("`POST /users` with an `Idempotency-Key`", 201, "POST /users", ada, asJSON, "Idempotency-Key: a")
	request("the same again", 201, "POST /users", ada, asJSON, "Idempotency-Key: a")
	request("`GET /users/{id}`", 200, "GET "+plain, "")
	request("`PATCH /users/{id}`", 200, "PATCH "+plain, `{"name":"Eve"}`, mergePatch)
	etag := request("`GET /users/{id}/avatar`", 200, "GET "+faced+"/avatar", "").header.Get("ETag")
	request("the same, 304", 304, "GET "+faced+"/avatar", "", "If-None-Match: "+etag)
	request("`PUT /users/{id}/avatar`, the first", 200, "PUT "+plain+"/avatar", first, asPNG)
	request("`PUT /users/{id}/avatar`, another", 200, "PUT "+plain+"/avatar", another, asPNG)
	request("`DELETE /users/{id}/avatar`", 204, "DELETE "+plain+"/avatar", "")
	request("`DELETE /users/{id}`", 204, "DELETE "+plain, "")
	request("`DELETE /users/{id}` with an avatar", 204, "DELETE "+faced, "")
	for range 100 {
		send(http.MethodPost, p.url+"/users", ada, asJSON).is(t, http.StatusCreated)
	}
	request("`GET /users` of 100 users", 200, "GET /users", "")
	request("`GET /users?limit=20` of them", 200, "GET /users?limit=20", "")
	a.Pass(-2 * time.Hour)
	for i := range 60 {
		if i == 30 {
			a.Pass(2 * time.Hour)
		}
		lost = upload().id(t)
	}
	row("`prima-api sweep`, 60 avatars, of which 30 are older than an hour", func() reply {
		status, _, stderr := command(t, "sweep", pod(config.RoleSweep)...)
		require.Equal(t, 0, status, stderr)
		return reply{}
	})
	putOrphan(t, a, 2*time.Hour)
	status, stdout, stderr := command(t, "sweep", pod(config.RoleSweep)...)
	assert.Equal(t, 0, status, stderr)
	assert.Contains(t, stdout, "1 named by no user, 1 removed\n")

	// Ensure an image that was lost is a 404 like any other. S3 tells that only a caller who may list.
	for _, key := range a.Objects(t) {
		_, err := a.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &a.Config.Bucket, Key: &key})
		require.NoError(t, err)
	}
	get(t, p.url+"/users/"+lost+"/avatar").is(t, http.StatusNotFound)

	if os.Getenv("PROGRAM") != "" {
		apitest.Run(t, p.url, apitest.Options{})
	}
	assert.Equal(t, 0, p.stop(t), "a race makes it another: %s", p.log())
	assert.Empty(t, guard.Refused(), "calls that no role allows")
	for _, role := range config.Roles() {
		assert.Empty(t, guard.Unused(string(role)), "permissions of the role %s that nothing needs", role)
	}

	// Ensure the programs cannot do each other's work.
	orphan := putOrphan(t, a, 2*time.Hour)
	status, _, stderr = command(t, "sweep", pod(config.RoleAPI)...)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "AccessDenied")
	assert.Contains(t, a.Objects(t), orphan)

	const file = "../../../docs/aws.md"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	costs := regexp.MustCompile(`(?s)(<!-- costs: begin -->\n).*(<!-- costs: end -->)`)
	require.Regexp(t, costs, string(text))
	requireGenerated(t, file, costs.ReplaceAllString(string(text), "${1}"+table+"${2}"))
}

// calls names the operations of a service, and how often each was called.
func calls(spent map[string]int, service string) string {
	var list []string
	for _, operation := range slices.Sorted(maps.Keys(spent)) {
		name, ok := strings.CutPrefix(operation, service)
		// The checks of readiness call the last two, independently of requests.
		if !ok || spent[operation] == 0 || operation == "DynamoDB.DescribeTable" || operation == "S3.HeadBucket" {
			continue
		}
		if n := spent[operation]; n > 1 {
			name = fmt.Sprintf("%d %s", n, name)
		}
		list = append(list, name)
	}
	return strings.Join(list, ", ")
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

// startPodIdentityAgent serves the credentials of a role for the token of its pod, as on a node of
// EKS. It returns the environment of a pod with a role: no key, but the URL of the agent and the
// file with the token.
//
// Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html.
func startPodIdentityAgent(t *testing.T, a *awstest.AWS) (environ func(contract.Role) []string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"AccessKeyId": r.Header.Get("Authorization"), "SecretAccessKey": "secret", "Token": "session",
			"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		})
	}))
	t.Cleanup(server.Close)
	return func(role contract.Role) []string {
		file := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(file, []byte(role), 0o600))
		return a.Environ("AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI="+server.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+file)
	}
}
