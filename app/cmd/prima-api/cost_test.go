package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
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

// Ensure what each request calls of AWS is what docs/aws.md says.
func TestGeneratedCosts(t *testing.T) { //nolint:paralleltest // with -update it writes
	a := awstest.Start(t)
	p := start(t, a.Environ()...)

	var table strings.Builder
	table.WriteString("| request | DynamoDB | S3 |\n|---|---|---|\n")
	row := func(request string, do func()) {
		before := a.AllCalls()
		do()
		spent := a.AllCalls()
		for operation, n := range before {
			spent[operation] -= n
		}
		_, _ = fmt.Fprintf(&table, "| %s | %s | %s |\n", request, calls(spent, "DynamoDB."), calls(spent, "S3."))
	}
	type header map[string]string
	do := func(method, path, contentType string, body []byte, status int, headers header) (*http.Response, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, p.url+path, bytes.NewReader(body))
		require.NoError(t, err)
		if contentType != "" {
			request.Header.Set("Content-Type", contentType)
		}
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, status, response.StatusCode, "%s %s: %s", method, path, answer)
		return response, string(answer)
	}
	const asJSON = "application/json"
	ada := []byte(`{"name":"Ada","email":"ada@example.com"}`)
	formType, form := apitest.Form(apitest.Field("name", "Grace"), apitest.Field("email", "grace@example.com"), apitest.File("avatar", "a.png", apitest.PNG(2, 2)))
	id := func(answer string) string {
		var created struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(answer), &created))
		return created.ID
	}
	var plain, faced string

	row("`GET /health`, `GET /readyz`", func() {
		do("GET", "/health", "", nil, 200, nil)
		do("GET", "/readyz", "", nil, 200, nil)
	})
	row("`POST /users`", func() { _, answer := do("POST", "/users", asJSON, ada, 201, nil); plain = id(answer) })
	row("`POST /users` with an avatar", func() { _, answer := do("POST", "/users", formType, form, 201, nil); faced = id(answer) })
	row("`POST /users` with an `Idempotency-Key`", func() { do("POST", "/users", asJSON, ada, 201, header{"Idempotency-Key": "a"}) })
	row("the same again", func() { do("POST", "/users", asJSON, ada, 201, header{"Idempotency-Key": "a"}) })
	row("`GET /users/{id}`", func() { do("GET", "/users/"+plain, "", nil, 200, nil) })
	row("`PATCH /users/{id}`", func() {
		do("PATCH", "/users/"+plain, "application/merge-patch+json", []byte(`{"name":"Eve"}`), 200, nil)
	})
	tag := ""
	row("`GET /users/{id}/avatar`", func() { r, _ := do("GET", "/users/"+faced+"/avatar", "", nil, 200, nil); tag = r.Header.Get("ETag") })
	row("the same, 304", func() { do("GET", "/users/"+faced+"/avatar", "", nil, 304, header{"If-None-Match": tag}) })
	row("`PUT /users/{id}/avatar`, the first", func() { do("PUT", "/users/"+plain+"/avatar", "image/png", apitest.PNG(2, 2), 200, nil) })
	row("`PUT /users/{id}/avatar`, another", func() { do("PUT", "/users/"+plain+"/avatar", "image/png", apitest.PNG(3, 3), 200, nil) })
	row("`DELETE /users/{id}/avatar`", func() { do("DELETE", "/users/"+plain+"/avatar", "", nil, 204, nil) })
	row("`DELETE /users/{id}`", func() { do("DELETE", "/users/"+plain, "", nil, 204, nil) })
	row("`DELETE /users/{id}` with an avatar", func() { do("DELETE", "/users/"+faced, "", nil, 204, nil) })

	for range 100 {
		do("POST", "/users", asJSON, []byte(`{"name":"`+strings.Repeat("a", 132)+`","email":"someone@example.org"}`), 201, nil)
	}
	row("`GET /users` of 100 users", func() { do("GET", "/users", "", nil, 200, nil) })
	row("`GET /users?limit=20` of them", func() { do("GET", "/users?limit=20", "", nil, 200, nil) })

	for range 30 {
		do("POST", "/users", formType, form, 201, nil)
	}
	a.Pass(-2 * time.Hour)
	for range 30 {
		do("POST", "/users", formType, form, 201, nil)
	}
	a.Pass(2 * time.Hour)
	row("`prima-api sweep`, 60 avatars, of which 30 are older than an hour", func() {
		status, _, stderr := command(t, []string{"sweep"}, a.Environ()...)
		require.Equal(t, 0, status, stderr)
	})

	const file = "../../../docs/aws.md"
	const begin, end = "<!-- costs: begin -->\n", "<!-- costs: end -->"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	section, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(head+begin+table.String()+end+tail), 0o644))
		return
	}
	assert.Equal(t, table.String(), section, "stale: task generate")
}

// calls names the operations of a service, and how often each was called.
func calls(spent map[string]int, service string) string {
	var list []string
	for _, operation := range slices.Sorted(maps.Keys(spent)) {
		name, ok := strings.CutPrefix(operation, service)
		// Readiness asks for the latter at its own pace.
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
