package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	for script, want := range map[string]string{
		`[ "$2" = prima ]`: "",
		`echo "error: context \"$2\" does not exist" >&2; exit 1`: `context "prima" does not exist`,
		`printf 'prima '`: "namespaces are being deleted: prima",
	} {
		text := []byte("#!/bin/sh\n" + script + "\n")
		require.NoError(t, os.WriteFile(filepath.Join(folder, "kubectl"), text, 0o755))
		if err := requireCluster("prima"); want != "" {
			assert.ErrorContains(t, err, want)
		} else {
			assert.NoError(t, err)
		}
	}
}

// Ensure renaming a context or user in the kubeconfig does not make Pulumi replace everything in
// the cluster.
func TestClusterIdentifier(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]settings{"prima-api/local": local(t), "123456789012/prima-production": onAWS(t)} {
		d := mustUp(t, s.set("kubernetes.context", "renamed"))
		provider := inputs(d.find(t, "pulumi:providers:kubernetes", "cluster"))
		assert.Equal(t, "renamed", provider["context"])
		assert.Equal(t, want, provider["clusterIdentifier"])
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

	server := httptest.NewServer(http.NotFoundHandler())
	require.NoError(t, awaitEmulator(t.Context(), server.URL, 1))
	server.Close()
	assert.ErrorContains(t, awaitEmulator(t.Context(), server.URL, 2), "nothing listens at "+server.URL)
}
