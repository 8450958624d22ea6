//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// output runs a command in the root of the checkout and returns what it prints. What it prints on standard
// error is in the error.
func output(ctx context.Context, stdin, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, strings.TrimPrefix(name, root+"/"), args...)
	c.Dir = root
	c.Env = append(os.Environ(), "PULUMI_CONFIG_PASSPHRASE="+os.Getenv("PULUMI_CONFIG_PASSPHRASE"), "PULUMI_SKIP_UPDATE_CHECK=true")
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

// kubeContext is that of Pulumi.local.yaml.
const kubeContext = "prima"

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "kubectl", append([]string{"--context", kubeContext}, args...)...)
}

// read decodes what kubectl prints.
func read(t *testing.T, into any, args ...string) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(kubectl(t, args...)), into))
}

// await asks until something is so.
func await(t *testing.T, patience time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(200 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "%s: not within %s", what, patience)
	}
}

// selector selects the pods that serve; those of the sweep have another component.
const selector = "app.kubernetes.io/name=prima-api,app.kubernetes.io/component=api"

// pods returns the pods of the API, those that are ending too.
func pods(t *testing.T, out outputs) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	read(t, &list, "get", "pods", "-n", out.Namespace, "-l", selector, "-o", "json")
	return list.Items
}

func ready(p corev1.Pod) bool {
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}

// settled waits until there are n pods of the API, all of them ready, and returns them.
func settled(t *testing.T, out outputs, n int) []corev1.Pod {
	t.Helper()
	kubectl(t, "rollout", "status", "deployment", "prima-api", "-n", out.Namespace, "--timeout=3m")
	var all []corev1.Pod
	await(t, 3*time.Minute, fmt.Sprintf("%d pods, all ready", n), func() bool {
		all = pods(t, out)
		for _, p := range all {
			if !ready(p) {
				return false
			}
		}
		return len(all) == n
	})
	return all
}

func restarts(p corev1.Pod) int {
	n := 0
	for _, c := range p.Status.ContainerStatuses {
		n += int(c.RestartCount)
	}
	return n
}

// assertUnharmed holds the pods of the API to be those of before, with no container that has ended since.
func assertUnharmed(t *testing.T, out outputs, before []corev1.Pod) {
	t.Helper()
	had := map[string]int{}
	for _, p := range before {
		had[p.Name] = restarts(p)
	}
	now := pods(t, out)
	assert.Len(t, now, len(before))
	for _, p := range now {
		n, known := had[p.Name]
		if assert.True(t, known, "%s was not there before", p.Name) {
			assert.Equal(t, n, restarts(p), "restarts of %s: %+v", p.Name, p.Status.ContainerStatuses)
		}
	}
}

// memoryLimit returns the limit of the API's container, in bytes.
func memoryLimit(t *testing.T, p corev1.Pod) int64 {
	t.Helper()
	require.Len(t, p.Spec.Containers, 1)
	limit := p.Spec.Containers[0].Resources.Limits.Memory().Value()
	require.Positive(t, limit)
	return limit
}

// nodes returns the nodes that pods are on.
func nodes(pods []corev1.Pod) []string {
	var names []string
	for _, p := range pods {
		if !slices.Contains(names, p.Spec.NodeName) {
			names = append(names, p.Spec.NodeName)
		}
	}
	return names
}

// workingSets returns the memory of the API's containers as the kubelets of nodes tell it, in bytes, by the names
// of their pods: what counts against the limit, less the page cache that can go.
func workingSets(ctx context.Context, out outputs, nodes []string) (map[string]int64, error) {
	sets := map[string]int64{}
	for _, node := range nodes {
		text, err := output(ctx, "", "kubectl", "--context", kubeContext, "get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary")
		if err != nil {
			return nil, err
		}
		var summary struct {
			Pods []struct {
				PodRef     struct{ Name, Namespace string }
				Containers []struct {
					Name   string
					Memory struct{ WorkingSetBytes int64 }
				}
			}
		}
		if err := json.Unmarshal([]byte(text), &summary); err != nil {
			return nil, err
		}
		for _, p := range summary.Pods {
			for _, c := range p.Containers {
				if p.PodRef.Namespace == out.Namespace && c.Name == "api" {
					sets[p.PodRef.Name] = c.Memory.WorkingSetBytes
				}
			}
		}
	}
	return sets, nil
}

// memoryWatch samples the memory of the pods, each second and once more at its end.
type memoryWatch struct {
	done, ended chan struct{}
	samples     int
	peaks       map[string]int64 // in bytes, by the names of the pods
	err         error            // of the last sample that failed
}

func watchMemory(t *testing.T, out outputs, pods []corev1.Pod) *memoryWatch {
	t.Helper()
	w := &memoryWatch{done: make(chan struct{}), ended: make(chan struct{}), peaks: map[string]int64{}}
	on := nodes(pods)
	go func() {
		defer close(w.ended)
		second := time.NewTicker(time.Second)
		defer second.Stop()
		for last := false; ; {
			sets, err := workingSets(t.Context(), out, on)
			if err != nil {
				w.err = err
			} else {
				w.samples++
			}
			for name, bytes := range sets {
				w.peaks[name] = max(w.peaks[name], bytes)
			}
			if last {
				return
			}
			select {
			case <-w.done:
				last = true
			case <-second.C:
			}
		}
	}()
	return w
}

// stop ends the watch and returns what it saw, for a figure. A node that does not tell what its pods use costs
// the figure and not the test: what counts is that no container was ended for its memory.
func (w *memoryWatch) stop(t *testing.T, limit int64) string {
	t.Helper()
	close(w.done)
	<-w.ended
	if w.samples == 0 {
		return fmt.Sprintf("peak working set not told by the node (%v)", w.err)
	}
	var peaks []string
	for name, peak := range w.peaks {
		assert.Less(t, peak, limit, name)
		peaks = append(peaks, fmt.Sprintf("%.1f", mebibytes(peak)))
	}
	return fmt.Sprintf("peak working sets %s MiB of %.0f MiB in %d samples", strings.Join(peaks, " and "), mebibytes(limit), w.samples)
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
