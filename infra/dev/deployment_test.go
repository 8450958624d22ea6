package dev_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"prima.internal/infra/dev"
)

// rendered returns an object of the golden files of the API's chart.
func rendered(t *testing.T, kind string, into any) {
	t.Helper()
	data, err := os.ReadFile("../charts/testdata/prima-api.default.golden.yaml")
	require.NoError(t, err)
	for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
		if bytes.Contains(document, []byte("\nkind: "+kind+"\n")) {
			require.NoError(t, yaml.Unmarshal(document, into))
			return
		}
	}
	t.Fatal("no " + kind)
}

// Ensure the pod for development is the API's but for the program: found by its Service, as locked down, configured alike.
func TestDeployment(t *testing.T) {
	t.Parallel()
	var live appsv1.Deployment
	var service corev1.Service
	rendered(t, "Deployment", &live)
	rendered(t, "Service", &service)
	before := live.DeepCopy()
	d := dev.Deployment(&live, "prima-api-dev:1")
	assert.Equal(t, before, &live, "what was given is left as it was")

	pod := d.Spec.Template
	assert.True(t, labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels)), "the Service finds it")
	assert.True(t, labels.SelectorFromSet(d.Spec.Selector.MatchLabels).Matches(labels.Set(pod.Labels)), "so does its own Deployment")
	assert.False(t, labels.SelectorFromSet(d.Spec.Selector.MatchLabels).Matches(labels.Set(live.Spec.Template.Labels)), "which leaves those of the API alone")
	assert.NotEqual(t, live.Name, d.Name)

	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	require.NoError(t, err)
	for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
		assert.True(t, result.Allowed, "%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
	}
	was, is := live.Spec.Template.Spec.Containers[0], pod.Spec.Containers[0]
	assert.Equal(t, was.EnvFrom, is.EnvFrom)
	assert.Equal(t, was.Env, is.Env[:len(was.Env)], "what is added comes after what is there")
	assert.Equal(t, was.SecurityContext, is.SecurityContext)
	assert.Equal(t, was.Resources.Limits.Memory(), is.Resources.Limits.Memory())
	assert.True(t, is.Resources.Limits.StorageEphemeral().IsZero(), "two programs are more than what the API may write")
	assert.Equal(t, []string{dev.Runner}, is.Command)
	assert.Equal(t, "prima-api-dev:1", is.Image)
	assert.Nil(t, is.LivenessProbe)
	require.NotNil(t, is.ReadinessProbe, "the Service waits for the program")
	assert.Equal(t, dev.Folder, is.VolumeMounts[0].MountPath)
}
