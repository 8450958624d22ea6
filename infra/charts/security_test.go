package charts_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"prima.internal/infra/charts"
)

// Ensure every pod is admitted to the namespace that the stack makes for it, by the rules that the API server applies.
func TestPodSecurity(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	require.NoError(t, err)
	levels := map[string]api.Level{}
	for _, object := range find[*corev1.Namespace](objects(t, mustRender(t, "namespaces", charts.DefaultNamespaces()))) {
		levels[object.Name], err = api.ParseLevel(object.Labels[api.EnforceLevelLabel])
		require.NoError(t, err)
		assert.Equal(t, object.Labels[api.EnforceLevelLabel], object.Labels[api.WarnLevelLabel], object.Name)
		assert.Equal(t, object.Labels[api.EnforceLevelLabel], object.Labels[api.AuditLevelLabel], object.Name)
	}
	assert.Equal(t, map[string]api.Level{"prima": api.LevelRestricted, "localstack": api.LevelBaseline}, levels)

	forEach(t, func(t *testing.T, chart string, values any) {
		for _, pod := range pods(objects(t, mustRender(t, chart, values))) {
			level := api.LevelVersion{Level: levels[namespaceOf(chart)], Version: api.LatestVersion()}
			for _, result := range evaluator.EvaluatePod(level, pod.meta, &pod.spec) {
				assert.True(t, result.Allowed, "%s: %s: %s", pod.name, result.ForbiddenReason, result.ForbiddenDetail)
			}
			assert.False(t, *pod.spec.AutomountServiceAccountToken, "nothing of ours talks to Kubernetes")
			assert.False(t, *pod.spec.EnableServiceLinks)
		}
	})
}

// Ensure the API can be started without a writable file system, as nobody.
func TestAPIIsLockedDown(t *testing.T) {
	t.Parallel()
	for _, pod := range pods(objects(t, mustRender(t, "prima-api", extremeAPI()))) {
		assert.EqualValues(t, 65532, *pod.spec.SecurityContext.RunAsUser, "the user of the image")
		assert.True(t, *pod.spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem)
		assert.Empty(t, pod.spec.Volumes)
	}
}

// Ensure a secret is in a Secret, and in nothing else that the chart makes: no ConfigMap, no argument, no plain
// variable, no annotation, and not in what Helm prints.
func TestSecretsAreInSecrets(t *testing.T) {
	t.Parallel()
	v := defaultAPI()
	v.Credentials = charts.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI"}
	secrets := map[string]string{"ACCESS_TOKENS": ciEntry + "," + adminEntry, "AWS_ACCESS_KEY_ID": v.Credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": v.Credentials.SecretAccessKey}
	files := mustRender(t, "prima-api", v)
	list := objects(t, files)
	kept := map[string]string{}
	texts := []string{files["NOTES.txt"]}
	for _, object := range list {
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
	assert.Equal(t, secrets, kept)
	_, ciHash, _ := strings.Cut(ciEntry, "write:")
	_, adminHash, _ := strings.Cut(adminEntry, "read:")
	for _, secret := range []string{ciHash, adminHash, v.Credentials.AccessKeyID, v.Credentials.SecretAccessKey} {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
			for _, text := range texts {
				assert.NotContains(t, text, form)
			}
		}
	}
	for _, pod := range pods(list) {
		for _, variable := range pod.spec.Containers[0].Env {
			if _, secret := secrets[variable.Name]; secret {
				assert.Empty(t, variable.Value, variable.Name)
			}
		}
	}
}
