//go:build e2e

// Package e2e tests the deployed system from outside: whatever the current Pulumi stack is. Run it with
// task e2e, after task up.
package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"prima.internal/app/apitest"
	"prima.internal/app/client"
)

// root is the folder of Pulumi.yaml.
const root = "../.."

// outputs of the stack.
type outputs struct {
	URL, IngressURL, Namespace, Version, LocalstackEndpoint, Table, Bucket string
}

// TestSystem is one test, because its parts follow each other: they change the one system that there is.
//
//nolint:paralleltest // for the same reason
func TestSystem(t *testing.T) {
	out := stackOutputs(t)
	require.NotEmpty(t, out.URL, "the stack has no NodePort")

	// Ensure the API keeps its contract, straight and through the Ingress.
	straight := apitest.Options{}
	t.Run("the contract over the NodePort", func(t *testing.T) { apitest.Run(t, out.URL, straight) })
	if out.IngressURL != "" {
		t.Run("the contract over the Ingress", func(t *testing.T) {
			options := apitest.Options{Proxied: true, Address: ingressAddress(t, out)}
			if !keepsHost(t, out.IngressURL, options.Address) {
				// Then the API cannot know what it is called by, and is told: see the README.
				options.PublicURL = out.IngressURL
				before := podNames(t, out)
				pulumi(t, "up", "--yes", "--skip-preview", "--config-file", settings(t, "PUBLIC_BASE_URL", out.IngressURL))
				requireGone(t, out, before)
				defer pulumi(t, "up", "--yes", "--skip-preview")
			}
			apitest.Run(t, out.IngressURL, options)
		})
	}

	// Ensure nothing changed is an empty update.
	t.Run("a second update is empty", func(t *testing.T) {
		report := pulumi(t, "up", "--yes", "--skip-preview", "--expect-no-changes")
		assert.NotContains(t, report, "updated", report)
	})

	// Ensure the API server accepts every object of the charts, and knows every field of them.
	t.Run("the charts pass a server dry-run", func(t *testing.T) {
		for _, chart := range []string{"namespaces", "localstack", "prima-api"} {
			for _, values := range []string{"default", "local"} {
				file := fmt.Sprintf("infra/charts/testdata/%s.%s.golden.yaml", chart, values)
				if _, err := os.Stat(root + "/" + file); os.IsNotExist(err) {
					continue
				}
				kubectl(t, "apply", "--dry-run=server", "--validate=strict", "-f", file)
			}
		}
	})

	// Ensure autoscaling has something to go by.
	t.Run("the autoscaler has metrics", func(t *testing.T) {
		require.Eventually(t, func() bool {
			var hpa struct {
				Status struct {
					CurrentMetrics []struct {
						Resource struct {
							Name    string
							Current struct{ AverageUtilization *int }
						}
					}
				}
			}
			read(t, &hpa, "get", "hpa", "prima-api", "-n", out.Namespace, "-o", "json")
			with := 0
			for _, m := range hpa.Status.CurrentMetrics {
				if m.Resource.Current.AverageUtilization != nil {
					with++
				}
			}
			return with == 2
		}, 3*time.Minute, 2*time.Second, "cpu and memory")
	})

	// Ensure a changed setting rolls out, and that no request fails for it.
	t.Run("a changed setting rolls out without a failed request", func(t *testing.T) {
		w := newWorkload(t, out.URL)
		w.rate = 100
		defer w.remove(t)
		w.seed(t)
		before := podNames(t, out)
		load := w.start(t, "changed setting")
		pulumi(t, "up", "--yes", "--skip-preview", "--config-file", settings(t, "LOG_LEVEL", "debug"))
		pulumi(t, "up", "--yes", "--skip-preview")
		load.stop()
		load.assertUnharmed(t)
		assert.Greater(t, w.requests, 100)
		w.verify(t)
		requireGone(t, out, before)
	})

	// Ensure the sweep, whose time is the night, does its work in the cluster.
	t.Run("the sweep of avatars that no user names", func(t *testing.T) {
		kubectl(t, "create", "job", "sweep-e2e", "-n", out.Namespace, "--from=cronjob/prima-api-sweep")
		defer kubectl(t, "delete", "job", "sweep-e2e", "-n", out.Namespace, "--wait")
		kubectl(t, "wait", "job", "sweep-e2e", "-n", out.Namespace, "--for=condition=complete", "--timeout=2m")
		assert.Contains(t, kubectl(t, "logs", "job/sweep-e2e", "-n", out.Namespace), " images in "+out.Bucket)
	})

	// Ensure a LocalStack that has lost everything is repaired by the next task up.
	t.Run("LocalStack loses its data", func(t *testing.T) {
		kubectl(t, "delete", "pod", "-n", "localstack", "--all", "--wait")
		kubectl(t, "rollout", "status", "-n", "localstack", "deployment", "--timeout=5m")
		require.Eventually(t, func() bool { return status(out.URL+"/readyz") == http.StatusServiceUnavailable }, time.Minute, time.Second, "readiness names what is missing")
		run(t, root+"/scripts/stack", "up")
		require.Eventually(t, func() bool { return status(out.URL+"/readyz") == http.StatusOK }, time.Minute, time.Second)
	})
	t.Run("the contract again", func(t *testing.T) { apitest.Run(t, out.URL, straight) })
}

// TestDestroy takes the system away, and is for the end: task e2e runs it with E2E_DESTROY set.
//
//nolint:paralleltest // there is one system
func TestDestroy(t *testing.T) {
	if os.Getenv("E2E_DESTROY") == "" {
		return
	}
	out := stackOutputs(t)
	run(t, root+"/scripts/stack", "down")
	namespaces := kubectl(t, "get", "namespaces", "-o", "name")
	assert.NotContains(t, namespaces, out.Namespace)
	assert.NotContains(t, namespaces, "localstack")
	assert.Empty(t, strings.TrimSpace(kubectl(t, "get", "all,configmaps,secrets,networkpolicies,poddisruptionbudgets", "-A", "-l", "app.kubernetes.io/name in (prima-api, localstack)", "-o", "name")))
}

func stackOutputs(t *testing.T) outputs {
	t.Helper()
	var out outputs
	require.NoError(t, json.Unmarshal([]byte(pulumi(t, "stack", "output", "--json")), &out), "is there a stack? Run task up")
	return out
}

func pulumi(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "pulumi", args...)
}

// podNames returns the pods of the API that run, as pod/<name>.
func podNames(t *testing.T, out outputs) []string {
	t.Helper()
	return strings.Fields(kubectl(t, "get", "pods", "-n", out.Namespace, "-l", selector, "--field-selector", "status.phase=Running", "-o", "name"))
}

// requireGone waits until pods have ended: for a while after a rollout they still serve.
func requireGone(t *testing.T, out outputs, pods []string) {
	t.Helper()
	require.NotEmpty(t, pods)
	require.Eventually(t, func() bool {
		now := podNames(t, out)
		return !slices.ContainsFunc(pods, func(pod string) bool { return slices.Contains(now, pod) })
	}, 2*time.Minute, time.Second, "%v", pods)
}

// ingressAddress returns where the Ingress is connected to. Browsers and curl know by themselves that a name below
// localhost is this machine; Go does not.
func ingressAddress(t *testing.T, out outputs) string {
	t.Helper()
	u, err := url.Parse(out.IngressURL)
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", u.Port())
}

// keepsHost reports whether what is called at the address passes on the Host that it was sent.
func keepsHost(t *testing.T, base, address string) bool {
	t.Helper()
	through := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	defer through.CloseIdleConnections()
	api, err := client.New(base, client.WithHTTPClient(through))
	require.NoError(t, err)
	created, err := api.CreateUserWithResponse(t.Context(), nil, client.NewUser{Name: "e2e", Email: "e2e@example.com"})
	require.NoError(t, err)
	_, err = api.DeleteUserWithResponse(t.Context(), created.JSON201.ID)
	require.NoError(t, err)
	return strings.HasPrefix(created.Headers201.Location, base+"/")
}

// settings returns a copy of the stack's settings with one setting of the API changed.
func settings(t *testing.T, variable, value string) string {
	t.Helper()
	stack := strings.TrimSpace(pulumi(t, "stack", "--show-name"))
	data, err := os.ReadFile(fmt.Sprintf("%s/Pulumi.%s.yaml", root, stack))
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, yaml.UnmarshalStrict(data, &all))
	within := all
	for _, name := range []string{"config", "prima-api:api", "config"} {
		next, ok := within[name].(map[string]any)
		if !ok {
			require.Nil(t, within[name], "%s of Pulumi.%s.yaml", name, stack)
			next = map[string]any{}
			within[name] = next
		}
		within = next
	}
	require.NotEqual(t, value, within[variable], "it is to change")
	within[variable] = value
	changed, err := yaml.Marshal(all)
	require.NoError(t, err)
	file := t.TempDir() + "/settings.yaml"
	require.NoError(t, os.WriteFile(file, changed, 0o600))
	return file
}

func status(url string) int {
	response, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}
