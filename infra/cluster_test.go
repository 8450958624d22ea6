package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure a second backend, which would be a second state of one cluster, is refused.
func TestOtherBackend(t *testing.T) {
	t.Setenv("PULUMI_BACKEND_URL", "s3://states")
	d, err := up(t, local(t))
	require.ErrorContains(t, err, `PULUMI_BACKEND_URL is "s3://states"`)
	assert.Empty(t, d.resources)
	mustUp(t, onAWS(t))
}

// Ensure a missing context and namespaces that are being deleted are refused.
func TestRequireCluster(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
	kubectl := func(script string) {
		text := []byte("#!/bin/sh\n" + script + "\n")
		require.NoError(t, os.WriteFile(filepath.Join(folder, "kubectl"), text, 0o755))
	}
	kubectl(`[ "$2" = prima ]`)
	require.NoError(t, requireCluster("prima"))
	kubectl(`echo "error: context \"$2\" does not exist" >&2; exit 1`)
	require.ErrorContains(t, requireCluster("prina"), `context "prina" does not exist`)
	kubectl(`printf 'prima '`)
	require.ErrorContains(t, requireCluster("prima"), "namespaces are being deleted: prima")
}

// Ensure no name that a user may change makes Pulumi take the cluster for another one, whose
// objects it would replace.
func TestClusterIdentifier(t *testing.T) {
	t.Parallel()
	for _, context := range []string{"prima", "renamed"} {
		d := mustUp(t, local(t).set("kubernetes.context", context))
		provider := inputs(d.find(t, "pulumi:providers:kubernetes", "cluster"))
		assert.Equal(t, context, provider["context"])
		assert.Equal(t, "prima-api/local", provider["clusterIdentifier"])
		d = mustUp(t, onAWS(t).set("kubernetes.context", "eks-"+context))
		provider = inputs(d.find(t, "pulumi:providers:kubernetes", "cluster"))
		assert.Equal(t, "123456789012/prima-production", provider["clusterIdentifier"])
	}
}

// Ensure another image, an emulator elsewhere and a token are used, and the token stays a secret.
func TestLocalStackSettings(t *testing.T) {
	t.Parallel()
	image := "registry.example.com:5000/floci/floci:1.7.0@sha256:" + strings.Repeat("a", 64)
	d := mustUp(t, local(t).set("localstack.image", image).set("localstackAuthToken", "ls-token"))
	assert.Equal(t, []string{"http://127.0.0.1:31566"}, d.awaited)
	values := d.values(t, localStackRelease)
	assert.Equal(t, image, values["image"])
	assert.Equal(t, "ls-token", values["authToken"])
	assert.True(t, d.find(t, chartType, localStackRelease).Inputs["values"].ContainsSecrets())

	d = mustUp(t, local(t).set("localstack", map[string]any{
		"endpoint": "http://192.0.2.1:4566", "podEndpoint": "http://localstack.tools:4566",
	}))
	assert.Equal(t, []string{"http://192.0.2.1:4566"}, d.awaited)
	assert.Equal(t, "http://localstack.tools:4566", d.config(t)["AWS_ENDPOINT_URL"])
	assert.Len(t, d.ofType(chartType), 2)
}

// Ensure an update fails before it calls an emulator that does not respond.
func TestLocalStackDoesNotRespond(t *testing.T) {
	t.Parallel()
	d := &deployment{emulators: errors.New("nobody there")}
	require.ErrorContains(t, d.run(t, local(t)), "nobody there")
	for _, r := range d.resources {
		assert.NotContains(t, []string{tableType, bucketType, awsProvider}, r.TypeToken)
	}
}

// Ensure an emulator is ready once DynamoDB and S3 respond, and the error says what is missing.
func TestAwaitEmulator(t *testing.T) {
	t.Parallel()
	serve := func(dynamodb, s3 int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Amz-Target") != "" {
				w.WriteHeader(dynamodb)
				_, _ = w.Write([]byte(`{"TableNames":[]}`))
				return
			}
			w.WriteHeader(s3)
			_, _ = w.Write([]byte(`<ListAllMyBucketsResult/>`))
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	const wait = 100 * time.Millisecond
	require.NoError(t, awaitEmulator(serve(200, 200), wait))
	assert.ErrorContains(t, awaitEmulator(serve(501, 200), wait), "DynamoDB does not work at http://127.0.0.1:")
	assert.ErrorContains(t, awaitEmulator(serve(200, 404), wait), "S3 does not work at http://127.0.0.1:")
	err := awaitEmulator("http://127.0.0.1:1", wait)
	assert.ErrorContains(t, err, "nothing listens at http://127.0.0.1:1")
	assert.ErrorContains(t, err, "minikube delete -p prima")
}
