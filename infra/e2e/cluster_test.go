//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

const (
	root        = "../.."     // the folder of Pulumi.yaml
	stack       = "local"     // of scripts/stack
	kubeContext = "prima"     // of Pulumi.local.yaml
	deployment  = "prima-api" // also the name of the autoscaler
	// selector selects the pods that serve. Those of the sweep have another component.
	selector = "app.kubernetes.io/name=prima-api,app.kubernetes.io/component=api"
)

// output runs a command in the root of the checkout and returns what it prints to standard output.
// An error has everything that it printed.
func output(ctx context.Context, stdin, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = root
	// What the shell has is another project's.
	c.Env = append(os.Environ(), "PULUMI_STACK="+stack, "PULUMI_CONFIG_PASSPHRASE=", "PULUMI_BACKEND_URL=",
		"PULUMI_SKIP_UPDATE_CHECK=true")
	c.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %v: %w: %s%s", name, args, err, out, &stderr)
	}
	return string(out), nil
}

// run is output for a command that must succeed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := output(t.Context(), "", name, args...)
	require.NoError(t, err)
	return out
}

func pulumi(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "pulumi", args...)
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "kubectl", append([]string{"--context", kubeContext}, args...)...)
}

// get reads an object, or a list of them.
func get(t *testing.T, into any, args ...string) {
	t.Helper()
	args = append([]string{"get", "-o", "json"}, args...)
	require.NoError(t, json.Unmarshal([]byte(kubectl(t, args...)), into))
}

// await waits until something is so.
func await(t *testing.T, timeout time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(timeout); !is(); time.Sleep(200 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "%s: not within %s", what, timeout)
	}
}

// settled waits until a rollout is over and every pod is ready, those that it replaced are gone,
// and there are as many as the deployment asks for. It returns them.
func (s *system) settled(t *testing.T) []corev1.Pod {
	t.Helper()
	kubectl(t, "rollout", "status", "deployment", deployment, "-n", s.Namespace, "--timeout=3m")
	var pods []corev1.Pod
	await(t, 3*time.Minute, "every pod is ready", func() bool {
		var asked appsv1.Deployment
		get(t, &asked, "deployment", deployment, "-n", s.Namespace)
		pods = s.pods(t)
		for _, p := range pods {
			if !ready(p) {
				return false
			}
		}
		return len(pods) == int(*asked.Spec.Replicas)
	})
	return pods
}

// pods returns those of the API, whatever their state.
func (s *system) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	get(t, &pods, "pods", "-l", selector, "-n", s.Namespace)
	return pods.Items
}

func ready(p corev1.Pod) bool {
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}

// assertNoRestarts fails if a container has ended since the pods were as they were before.
func (s *system) assertNoRestarts(t *testing.T, before []corev1.Pod) {
	t.Helper()
	had := map[string]int32{}
	for _, p := range before {
		had[p.Name] = p.Status.ContainerStatuses[0].RestartCount
	}
	for _, p := range s.pods(t) { // some may be new, and not ready while LocalStack is away
		for _, container := range p.Status.ContainerStatuses {
			assert.Equal(t, had[p.Name], container.RestartCount, "%s: %+v", p.Name, container.LastTerminationState)
		}
	}
}

// status returns the status of a GET, 0 if there is no response.
func status(url string) int {
	c := http.Client{Timeout: 10 * time.Second}
	response, err := c.Get(url)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}
