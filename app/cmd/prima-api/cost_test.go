package main

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

// Ensure docs/aws.md says which calls of AWS each request makes.
func TestGeneratedCosts(t *testing.T) { //nolint:paralleltest // with -update it writes
	a := awstest.Start(t)
	p := start(t, a.Environ()...)

	var table strings.Builder
	table.WriteString("| request | DynamoDB | S3 |\n|---|---|---|\n")
	row := func(name string, request func() reply) (r reply) {
		before := a.AllCalls()
		r = request()
		spent := a.AllCalls()
		for operation, n := range before {
			spent[operation] -= n
		}
		_, _ = fmt.Fprintf(&table, "| %s | %s | %s |\n", name, calls(spent, "DynamoDB."), calls(spent, "S3."))
		return r
	}
	// request makes a row of one request, "METHOD path".
	request := func(name string, status int, target, body string, header ...string) reply {
		method, path, _ := strings.Cut(target, " ")
		return row(name, func() reply { return send(method, p.url+path, body, header...).is(t, status) })
	}
	upload := func() reply { return p.upload("Grace", apitest.PNG(2, 2)).is(t, http.StatusCreated) }
	const mergePatch, asPNG = "Content-Type: application/merge-patch+json", "Content-Type: image/png"
	first, another := string(apitest.PNG(2, 2)), string(apitest.PNG(3, 3))

	row("`GET /health`, `GET /readyz`", func() reply {
		get(t, p.url+"/health").is(t, http.StatusOK)
		return get(t, p.url+"/readyz").is(t, http.StatusOK)
	})
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

	for range 30 {
		upload()
	}
	a.Pass(-2 * time.Hour)
	for range 30 {
		upload()
	}
	a.Pass(2 * time.Hour)
	row("`prima-api sweep`, 60 avatars, of which 30 are older than an hour", func() reply {
		status, _, stderr := command(t, []string{"sweep"}, a.Environ()...)
		require.Equal(t, 0, status, stderr)
		return reply{}
	})

	const file = "../../../docs/aws.md"
	const begin, end = "<!-- costs: begin -->\n", "<!-- costs: end -->"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	_, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	requireGenerated(t, file, head+begin+table.String()+end+tail)
}

// requireGenerated requires a file to have this text or, with -update, writes it.
func requireGenerated(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, want, string(text), "%s is stale; run: task generate", file)
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
