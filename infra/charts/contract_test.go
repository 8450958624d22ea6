package charts_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// environment returns what the container of the API is started with: its ConfigMap, and what its
// env takes from Secrets. A Secret that the chart does not make holds "existing" under every key.
func environment(t *testing.T, list []runtime.Object) map[string]string {
	t.Helper()
	container := apiContainer(t, list)
	variables := map[string]string{}
	for _, from := range container.EnvFrom {
		require.Nil(t, from.SecretRef, "a Secret taken whole may hold anything")
		configMap := one[*corev1.ConfigMap](t, list)
		require.Equal(t, configMap.Name, from.ConfigMapRef.Name)
		assert.Empty(t, from.Prefix)
		maps.Copy(variables, configMap.Data)
	}
	for _, variable := range container.Env {
		assert.NotContains(t, variables, variable.Name, "set twice")
		reference := variable.ValueFrom.SecretKeyRef
		value := "existing"
		for _, secret := range find[*corev1.Secret](list) {
			require.Equal(t, secret.Name, reference.Name)
			require.Contains(t, secret.Data, reference.Key)
			value = string(secret.Data[reference.Key])
		}
		variables[variable.Name] = value
	}
	return variables
}

func apiContainer(t *testing.T, list []runtime.Object) corev1.Container {
	t.Helper()
	for _, pod := range pods(list) {
		if pod.name == "Deployment" {
			require.Len(t, pod.spec.Containers, 1)
			return pod.spec.Containers[0]
		}
	}
	require.Fail(t, "no Deployment")
	return corev1.Container{}
}

// Ensure that what the chart starts the API with is what the contract lists, no more and no less, and
// that the API reads the very configuration of it that the chart was given.
func TestEnvironmentIsTheContract(t *testing.T) {
	t.Parallel()
	var settings []string
	for _, s := range config.Settings() {
		settings = append(settings, s.Variable)
	}
	var runtimeVariables []string
	for _, v := range config.RuntimeVariables() {
		runtimeVariables = append(runtimeVariables, v.Variable)
	}
	for name, test := range map[string]struct {
		values charts.PrimaAPI
		beside []string // variables beside the settings
	}{
		"default":         {charts.DefaultPrimaAPI(), []string{"GOMEMLIMIT"}},
		"local":           {localAPI(), []string{"AWS_ACCESS_KEY_ID", "AWS_EC2_METADATA_DISABLED", "AWS_SECRET_ACCESS_KEY", "GOMEMLIMIT"}},
		"existing secret": {extremeAPI(), []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOGC", "GOMEMLIMIT"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := environment(t, objects(t, mustRender(t, "prima-api", test.values)))
			var environ, beside []string
			rest := maps.Clone(variables)
			for _, s := range settings {
				if value, ok := variables[s]; ok {
					environ = append(environ, s+"="+value)
					delete(rest, s)
				}
			}
			for _, v := range slices.Sorted(maps.Keys(rest)) {
				assert.Contains(t, runtimeVariables, v, "neither a setting nor a runtime variable of the contract")
				beside = append(beside, v)
			}
			assert.Equal(t, test.beside, beside)

			loaded, deprecations, err := config.Load(environ)
			require.NoError(t, err)
			assert.Empty(t, deprecations)
			assert.Equal(t, test.values.Config, charts.ConfigValues(loaded))
		})
	}
}

// Ensure every setting of the contract can be given to the chart and reaches the container.
func TestEverySettingReachesTheContainer(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"PORT": "8080", "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": "http://localstack:4566",
		"AWS_ENDPOINT_URL_DYNAMODB": "http://dynamodb:8000", "AWS_ENDPOINT_URL_S3": "https://minio.example.com/s3",
		"DYNAMODB_TABLE": "people", "S3_BUCKET": "faces", "PUBLIC_BASE_URL": "https://api.example.com/v1",
		"CORS_ALLOWED_ORIGINS": "https://a.example.com,http://localhost:3000", "LOG_LEVEL": "debug", "LOG_FORMAT": "text",
		"MAX_AVATAR_BYTES": "1234567", "MAX_AVATAR_PIXELS": "1024", "MAX_JSON_BYTES": "32KiB", "REQUEST_TIMEOUT": "250ms",
		"READ_TIMEOUT": "3s", "WRITE_TIMEOUT": "1h", "IDLE_TIMEOUT": "1h0m0.5s", "DRAIN_TIME": "0s", "SHUTDOWN_TIMEOUT": "6s",
	}
	for _, s := range config.Settings() {
		assert.Contains(t, want, s.Variable, "no sample")
	}
	v := charts.DefaultPrimaAPI()
	v.Config = want
	got := environment(t, objects(t, mustRender(t, "prima-api", v)))
	delete(got, "GOMEMLIMIT")
	assert.Equal(t, want, got)
}

// Ensure that a role is not shadowed: without static credentials there is no variable and no Secret for them.
func TestRoleIsNotShadowed(t *testing.T) {
	t.Parallel()
	list := objects(t, mustRender(t, "prima-api", charts.DefaultPrimaAPI()))
	assert.Empty(t, find[*corev1.Secret](list))
	container := apiContainer(t, list)
	assert.Empty(t, container.Env)
}

// Ensure the probes ask the contract's paths, at the port that the API listens on, each its own question.
func TestProbes(t *testing.T) {
	t.Parallel()
	v := extremeAPI()
	spec := deployment(t, "prima-api", v).Spec.Template.Spec.Containers[0]
	assert.EqualValues(t, 65535, spec.Ports[0].ContainerPort)
	for _, probe := range []*corev1.Probe{spec.StartupProbe, spec.LivenessProbe, spec.ReadinessProbe} {
		assert.Equal(t, spec.Ports[0].Name, probe.HTTPGet.Port.String())
	}
	assert.Equal(t, config.PathHealth, spec.StartupProbe.HTTPGet.Path)
	assert.Equal(t, config.PathHealth, spec.LivenessProbe.HTTPGet.Path, "a dependency that is away is no reason to restart")
	assert.Equal(t, config.PathReady, spec.ReadinessProbe.HTTPGet.Path)
	assert.NotEqual(t, spec.StartupProbe, spec.LivenessProbe)
}
