//go:build e2e

// Package e2e tests the local stack from outside. Run it with task e2e, after task up.
package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"prima.internal/app/apitest"
	"prima.internal/app/client"
	"prima.internal/app/config"
)

// A system is what the stack has brought up. The fields in capitals are its outputs.
type system struct {
	URL, IngressURL, Namespace, Bucket string

	load               *load
	token, read, write string // access tokens, which changedSettings puts into force
	autoscaling        autoscalingv2.HorizontalPodAutoscalerSpec
}

func deployed(t *testing.T) *system {
	t.Helper()
	s := &system{token: config.NewToken(), read: config.NewToken(), write: config.NewToken()}
	require.NoError(t, json.Unmarshal([]byte(pulumi(t, "stack", "output", "--json")), s), "is there a stack? Run task up")
	require.NotEmpty(t, s.URL, "the stack has no NodePort")
	require.NotEmpty(t, s.IngressURL, "the stack has no Ingress")
	s.autoscaling = s.autoscaler(t).Spec
	return s
}

// TestSystem is one test, because its parts change one system, one after the other.
//
//nolint:paralleltest // for the same reason
func TestSystem(t *testing.T) {
	s := deployed(t)
	s.load = newLoad(t, s.URL, s.token)
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"the suite over the NodePort", s.suite},
		{"a second update is empty", s.secondUpdate},
		{"the autoscaler has metrics", s.autoscalerMetrics},
		{"changed settings", s.changedSettings},
		{"the suite with tokens over the Ingress", s.suiteOverIngress},
		{"settings changed back", s.settingsBack},
		{"a rolling restart", s.rollingRestart},
		{"five pods and two again", s.scaling},
		{"evicted pods", s.evictedPods},
		{"a killed pod", s.killedPod},
		{"uploads at once", s.uploads},
		{"the sweep", s.sweep},
		{"LocalStack away, and its data lost", s.localStackAway},
		{"the suite again", s.suite},
	} {
		t.Run(part.name, part.test)
	}
}

// Ensure the API passes the black-box suite.
func (s *system) suite(t *testing.T) {
	apitest.Run(t, s.URL, apitest.Options{Large: true})
}

// Ensure an update is empty if nothing has changed.
func (s *system) secondUpdate(t *testing.T) {
	s.settled(t) // the suite's load may have scaled the API, and a refresh reports pods that are not ready
	pulumi(t, "up", "--yes", "--skip-preview", "--expect-no-changes")
}

// Ensure the autoscaler knows how much processor time and memory the pods use.
func (s *system) autoscalerMetrics(t *testing.T) {
	await(t, 3*time.Minute, "cpu and memory", func() bool {
		known := 0
		for _, metric := range s.autoscaler(t).Status.CurrentMetrics {
			if metric.Resource != nil && metric.Resource.Current.AverageUtilization != nil {
				known++
			}
		}
		return known == 2
	})
}

// Ensure changed settings roll out without a failed request, tokens among them: clients that have
// one are served before, while and after everybody needs one.
func (s *system) changedSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.yaml")
	data, err := os.ReadFile(filepath.Join(root, "Pulumi."+stack+".yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o600))
	set := func(path, value string, options ...string) {
		pulumi(t, append([]string{"config", "set", "--config-file", file, "--path", path, value}, options...)...)
	}
	// Not every Ingress passes on the host that it was asked for.
	set("api.config.PUBLIC_BASE_URL", s.IngressURL)
	set("api.access", "token")
	for scope, token := range map[string]string{"read+write": s.token, "read": s.read, "write": s.write} {
		holder := "tokens." + strings.ReplaceAll(scope, "+", "")
		set(holder+".token", token, "--secret")
		set(holder+".scope", scope)
	}
	s.load.tokensChange = true
	s.load.during(t, s.URL, s.token, func() {
		pulumi(t, "up", "--yes", "--skip-preview", "--config-file", file)
		s.settled(t)
	})
	s.load.assertUnharmed(t)
}

// Ensure the API passes the black-box suite through the Ingress, and where everybody needs a token.
func (s *system) suiteOverIngress(t *testing.T) {
	u, err := url.Parse(s.IngressURL)
	require.NoError(t, err)
	apitest.Run(t, s.IngressURL, apitest.Options{
		PublicURL: s.IngressURL, Token: s.token, ReadToken: s.read, WriteToken: s.write, Proxied: true,
		// Browsers and curl take a name below localhost for this machine. Go does not.
		Address: net.JoinHostPort("127.0.0.1", u.Port()),
	})
}

// Ensure settings that are changed back roll out without a failed request too.
func (s *system) settingsBack(t *testing.T) {
	s.load.during(t, s.URL, s.token, func() {
		pulumi(t, "up", "--yes", "--skip-preview")
		s.settled(t)
	})
	s.load.assertUnharmed(t)
	s.load.tokensChange, s.load.lastKey = false, ""
	assert.Equal(t, http.StatusOK, status(s.URL+config.PathUsers+"?limit=1"), "everybody is let in again")
}

// Ensure a rolling restart fails no request, and closes connections with notice.
func (s *system) rollingRestart(t *testing.T) {
	s.load.during(t, s.URL, s.token, func() {
		kubectl(t, "rollout", "restart", "deployment", deployment, "-n", s.Namespace)
		s.settled(t)
	})
	s.load.assertUnharmed(t)
	assert.Positive(t, s.load.closing)
}

func (s *system) autoscaler(t *testing.T) (hpa autoscalingv2.HorizontalPodAutoscaler) {
	t.Helper()
	get(t, &hpa, "hpa", deployment, "-n", s.Namespace)
	return hpa
}

// scale has the autoscaler keep this number of pods, waits for them and returns them.
func (s *system) scale(t *testing.T, number int32) (pods []corev1.Pod) {
	t.Helper()
	s.bound(t, number, number)
	await(t, 3*time.Minute, fmt.Sprint(number, " pods"), func() bool {
		pods = s.settled(t)
		return len(pods) == int(number)
	})
	return pods
}

// unscale gives the autoscaler its own bounds again.
func (s *system) unscale(t *testing.T) {
	t.Helper()
	s.bound(t, *s.autoscaling.MinReplicas, s.autoscaling.MaxReplicas)
}

func (s *system) bound(t *testing.T, least, most int32) {
	t.Helper()
	kubectl(t, "patch", "hpa", deployment, "-n", s.Namespace, "--type", "merge",
		"-p", fmt.Sprintf(`{"spec":{"minReplicas":%d,"maxReplicas":%d}}`, least, most))
}

// Ensure pods that the autoscaler adds and takes away fail no request.
func (s *system) scaling(t *testing.T) {
	defer s.unscale(t)
	s.scale(t, 2) // the load may have added some
	s.load.during(t, s.URL, s.token, func() {
		s.scale(t, 5)
		time.Sleep(lead)
		s.scale(t, 2)
	})
	s.load.assertUnharmed(t)
	assert.Positive(t, s.load.closing)
}

// Ensure the eviction of every pod, as when a node is drained, fails no request, and that the
// second is refused until the first is replaced.
func (s *system) evictedPods(t *testing.T) {
	evict := func(pod string) error {
		eviction := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`,
			pod, s.Namespace)
		path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", s.Namespace, pod)
		_, err := output(t.Context(), eviction, "kubectl", "--context", kubeContext, "create", "--raw", path, "-f", "-")
		return err
	}
	defer s.unscale(t)
	pods := s.scale(t, 2)
	refused := 0
	s.load.during(t, s.URL, s.token, func() {
		require.NoError(t, evict(pods[0].Name))
		await(t, 2*time.Minute, "the second pod is evicted", func() bool {
			err := evict(pods[1].Name)
			if err != nil {
				require.ErrorContains(t, err, "TooManyRequests")
				refused++
			}
			return err == nil
		})
		s.settled(t)
	})
	s.load.assertUnharmed(t)
	assert.Positive(t, refused, "the disruption budget holds the second")
}

// Ensure a killed pod costs no more than its own requests, and no user who was acknowledged.
func (s *system) killedPod(t *testing.T) {
	pods := s.settled(t)
	var killed time.Time
	s.load.during(t, s.URL, s.token, func() {
		killed = time.Now()
		kubectl(t, "delete", "pod", pods[0].Name, "-n", s.Namespace, "--grace-period=0", "--force")
		s.settled(t)
		time.Sleep(10 * time.Second) // the container may outlive its pod
	})
	assert.LessOrEqual(t, len(s.load.failures), keeping+renewing, "%v", s.load.failures)
	for _, f := range s.load.failures {
		assert.WithinDuration(t, killed, f.began, 10*time.Second, f.err)
	}
}

// Ensure more uploads at once than the pods have memory for all succeed, if clients retry after a
// 503, and that no container is killed for its memory.
func (s *system) uploads(t *testing.T) {
	const clients = 200
	defer s.unscale(t)
	before := s.scale(t, 2)
	contentType, body := apitest.Form(apitest.Field("name", "Upload"), apitest.Field("email", "upload@example.com"),
		apitest.File("avatar", "a.png", apitest.PaddedPNG(5<<20)))
	var refused atomic.Int64
	upload := func(api *client.ClientWithResponses) error {
		for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); {
			made, err := api.CreateUserWithBodyWithResponse(t.Context(), nil, contentType, bytes.NewReader(body))
			if wait := comeAgain(err); wait > 0 {
				refused.Add(1)
				time.Sleep(wait)
				continue
			}
			if err != nil {
				return err
			}
			_, err = api.DeleteUserWithResponse(t.Context(), made.JSON201.ID) // LocalStack keeps it in memory
			return err
		}
		return errors.New("refused for five minutes")
	}
	began := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			transport := new(http.Transport)
			defer transport.CloseIdleConnections()
			assert.NoError(t, upload(newClient(t, s.URL, s.token, transport)))
		})
	}
	all.Wait()
	t.Logf("figure: %d uploads of 5 MiB at once to 2 pods: all created within %s, %d responses were 503",
		clients, time.Since(began).Round(100*time.Millisecond), refused.Load())
	s.assertNoRestarts(t, before)
}

// comeAgain returns the Retry-After of a 503, 0 of everything else.
func comeAgain(err error) time.Duration {
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusServiceUnavailable {
		return e.RetryAfter
	}
	return 0
}

// Ensure the sweep, which is scheduled for the night, does its work in the cluster.
func (s *system) sweep(t *testing.T) {
	const job = "sweep-e2e"
	kubectl(t, "create", "job", job, "-n", s.Namespace, "--from=cronjob/prima-api-sweep")
	defer kubectl(t, "delete", "job", job, "-n", s.Namespace, "--wait")
	kubectl(t, "wait", "job", job, "-n", s.Namespace, "--for=condition=complete", "--timeout=2m")
	assert.Contains(t, kubectl(t, "logs", "job/"+job, "-n", s.Namespace), " images in "+s.Bucket)
}

// Ensure the API outlives an outage of LocalStack and says so in time, is not ready when LocalStack
// is back without its data, and is repaired by task up.
func (s *system) localStackAway(t *testing.T) {
	const away = 45 * time.Second // longer than a liveness probe may fail
	before := s.settled(t)
	kubectl(t, "scale", "deployment", "localstack", "-n", "localstack", "--replicas=0")
	kubectl(t, "wait", "pod", "-n", "localstack", "--all", "--for=delete", "--timeout=2m")
	for end := time.Now().Add(away); time.Now().Before(end); time.Sleep(time.Second) {
		began := time.Now()
		_, err := s.load.api.ListUsersWithResponse(t.Context(), nil)
		require.Positive(t, comeAgain(err), "%v", err)
		assert.Less(t, time.Since(began), config.Default().RequestTimeout+time.Second)
		assert.Equal(t, http.StatusOK, status(s.URL+config.PathHealth))
		assert.Equal(t, http.StatusOK, status(s.URL+config.PathReady))
	}
	s.assertNoRestarts(t, before)

	kubectl(t, "scale", "deployment", "localstack", "-n", "localstack", "--replicas=1")
	kubectl(t, "rollout", "status", "deployment", "localstack", "-n", "localstack", "--timeout=5m")
	await(t, time.Minute, "no pod is ready", func() bool { return status(s.URL+config.PathReady) != http.StatusOK })
	run(t, "scripts/stack", "up")
	await(t, time.Minute, "the API is ready", func() bool { return status(s.URL+config.PathReady) == http.StatusOK })
}

// Ensure task down leaves nothing in the cluster. It runs after TestSystem if E2E_DESTROY is set.
//
//nolint:paralleltest // there is one system
func TestDestroy(t *testing.T) {
	if os.Getenv("E2E_DESTROY") == "" {
		t.Skip("E2E_DESTROY is not set")
	}
	s := deployed(t)
	run(t, "scripts/stack", "down")
	namespaces := kubectl(t, "get", "namespaces", "-o", "name")
	assert.NotContains(t, namespaces, s.Namespace)
	assert.NotContains(t, namespaces, "localstack")
	left := kubectl(t, "get", "all,configmaps,secrets,networkpolicies,poddisruptionbudgets", "-A",
		"-l", "app.kubernetes.io/name in (prima-api, localstack)", "-o", "name")
	assert.Empty(t, strings.TrimSpace(left))
}
