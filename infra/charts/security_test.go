package charts_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// Ensure the rules of the API server admit every pod to its namespace, and no pod has a token for
// Kubernetes. The pods of the API have the image's user and a read-only file system.
func TestPodSecurity(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	require.NoError(t, err)
	levels := map[string]api.Level{}
	namespaces, err := renderAs(load(t, "namespaces"), "namespaces", nil)
	require.NoError(t, err)
	for _, object := range find[*corev1.Namespace](objects(t, namespaces)) {
		for _, label := range []string{api.EnforceLevelLabel, api.WarnLevelLabel, api.AuditLevelLabel} {
			assert.Equal(t, object.Labels[api.EnforceLevelLabel], object.Labels[label], object.Name)
		}
		levels[object.Name], err = api.ParseLevel(object.Labels[api.EnforceLevelLabel])
		require.NoError(t, err)
	}
	assert.Equal(t, map[string]api.Level{"prima": api.LevelRestricted, "localstack": api.LevelBaseline}, levels)

	admit := func(list map[string]corev1.PodTemplateSpec, namespace string, ours bool) {
		for kind, pod := range list {
			level := api.LevelVersion{Level: levels[namespace], Version: api.LatestVersion()}
			for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
				assert.True(t, result.Allowed, "%s: %s: %s", kind, result.ForbiddenReason, result.ForbiddenDetail)
			}
			assert.False(t, *pod.Spec.AutomountServiceAccountToken, "nothing here talks to Kubernetes")
			assert.False(t, *pod.Spec.EnableServiceLinks, "LocalStack would read LOCALSTACK_PORT as a setting")
			container := pod.Spec.Containers[0].SecurityContext
			assert.False(t, *container.AllowPrivilegeEscalation, kind)
			assert.Equal(t, []corev1.Capability{"ALL"}, container.Capabilities.Drop, kind)
			if ours {
				assert.EqualValues(t, 65532, *pod.Spec.SecurityContext.RunAsUser, "the user of the image")
				assert.True(t, *container.ReadOnlyRootFilesystem, kind)
				assert.Empty(t, pod.Spec.Volumes, kind)
			}
		}
	}
	admit(pods(objectsOf(t, "localstack", localStack())), "localstack", false)
	for _, values := range apis() {
		admit(pods(objectsOf(t, "prima-api", values)), "prima", true)
	}
}

// Ensure a secret is in a Secret, and in nothing else that the chart makes: no ConfigMap, no
// argument, no plain variable, no annotation, and not in what Helm prints.
func TestSecretsAreInSecrets(t *testing.T) {
	t.Parallel()
	v := tokenAPI()
	v.Credentials.AccessKeyID, v.Credentials.SecretAccessKey = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI"
	files := render(t, "prima-api", v)
	kept := map[string]string{}
	texts := []string{files["NOTES.txt"]}
	for _, object := range objects(t, files) {
		if secret, ok := object.(*corev1.Secret); ok {
			for key, value := range secret.Data {
				kept[key] = string(value)
			}
			continue
		}
		data, err := json.Marshal(object)
		require.NoError(t, err)
		texts = append(texts, string(data))
	}
	assert.Equal(t, map[string]string{
		"ACCESS_TOKENS":     ciEntry + "," + adminEntry,
		"AWS_ACCESS_KEY_ID": v.Credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": v.Credentials.SecretAccessKey,
	}, kept)
	_, ciHash, _ := strings.Cut(ciEntry, "write:")
	_, adminHash, _ := strings.Cut(adminEntry, "read:")
	for _, secret := range []string{ciHash, adminHash, v.Credentials.AccessKeyID, v.Credentials.SecretAccessKey} {
		assert.NotContains(t, strings.Join(texts, "\n"), secret)
	}
}
