package charts_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// environment returns what the container of the API is started with: its ConfigMap, and what its
// env takes from Secrets. A Secret that the chart does not make holds "existing" under every key, and
// the entry of one token under ACCESS_TOKENS.
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
		require.NotNil(t, variable.ValueFrom, variable.Name)
		reference := variable.ValueFrom.SecretKeyRef
		assert.Equal(t, variable.Name, reference.Key)
		value := "existing"
		if variable.Name == "ACCESS_TOKENS" {
			value = ciEntry
		}
		for _, secret := range find[*corev1.Secret](list) {
			if secret.Name == reference.Name {
				require.Contains(t, secret.Data, reference.Key)
				value = string(secret.Data[reference.Key])
			}
		}
		variables[variable.Name] = value
	}
	return variables
}

func apiContainer(t *testing.T, list []runtime.Object) corev1.Container {
	t.Helper()
	return containerOf(t, list, "Deployment")
}

func sweepContainer(t *testing.T, list []runtime.Object) corev1.Container {
	t.Helper()
	return containerOf(t, list, "CronJob")
}

// containerOf returns the only container of the pods of one kind.
func containerOf(t *testing.T, list []runtime.Object, kind string) corev1.Container {
	t.Helper()
	for _, pod := range pods(list) {
		if pod.name == kind {
			require.Len(t, pod.spec.Containers, 1)
			return pod.spec.Containers[0]
		}
	}
	require.Fail(t, "no "+kind)
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
		tokens []string
		beside []string // variables beside the settings
	}{
		"default": {defaultAPI(), []string{ciEntry, adminEntry}, []string{"GOMEMLIMIT"}},
		"local":   {localAPI(), nil, []string{"AWS_ACCESS_KEY_ID", "AWS_EC2_METADATA_DISABLED", "AWS_SECRET_ACCESS_KEY", "GOMEMLIMIT"}},
		"existing secret": {extremeAPI(), []string{ciEntry}, []string{
			"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOGC", "GOMEMLIMIT", "OTEL_EXPORTER_OTLP_ENDPOINT",
			"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
		}},
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

			loaded, warnings, err := config.Load(environ)
			require.NoError(t, err)
			assert.Empty(t, warnings)
			assert.Equal(t, test.values.Config, charts.ConfigValues(loaded))
			assert.Equal(t, test.tokens, charts.AccessTokens(loaded))
		})
	}
}

// Ensure traces go where they are to, as many as are to, and say where they come from; that what is set in runtime comes first;
// and that a Secret with the collector's headers is asked for only where there is a collector.
func TestTracing(t *testing.T) {
	t.Parallel()
	v := defaultAPI()
	v.Tracing.HeadersSecret = "traces"
	v.Runtime = map[string]string{"OTEL_TRACES_SAMPLER_ARG": "0.5"}
	for name := range environment(t, objects(t, mustRender(t, "prima-api", v))) {
		assert.False(t, strings.HasPrefix(name, "OTEL_") && name != "OTEL_TRACES_SAMPLER_ARG", name)
	}
	v.Tracing.Endpoint, v.Tracing.Share = "http://collector.observability.svc:4318", 0.001
	for set, share := range map[string]string{"": "0.001", "0.5": "0.5"} {
		v.Runtime = map[string]string{}
		if set != "" {
			v.Runtime["OTEL_TRACES_SAMPLER_ARG"] = set
		}
		variables := environment(t, objects(t, mustRender(t, "prima-api", v)))
		maps.DeleteFunc(variables, func(name, _ string) bool { return !strings.HasPrefix(name, "OTEL_") })
		assert.Equal(t, map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.observability.svc:4318",
			"OTEL_EXPORTER_OTLP_HEADERS":  "existing",
			"OTEL_RESOURCE_ATTRIBUTES":    "k8s.namespace.name=prima,k8s.deployment.name=prima-api",
			"OTEL_TRACES_SAMPLER":         "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": share,
		}, variables)
	}
}

// Ensure every setting of the contract can be given to the chart and reaches the container.
func TestEverySettingReachesTheContainer(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"PORT": "8080", "ADMIN_PORT": "9090", "ADMIN_ADDRESS": "::", "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": "http://localstack:4566",
		"AWS_ENDPOINT_URL_DYNAMODB": "http://dynamodb:8000", "AWS_ENDPOINT_URL_S3": "https://minio.example.com/s3",
		"DYNAMODB_TABLE": "people", "S3_BUCKET": "faces", "PUBLIC_BASE_URL": "https://api.example.com/v1",
		"ALLOWED_HOSTS": "api.example.com,*.internal", "CORS_ALLOWED_ORIGINS": "https://a.example.com,http://localhost:3000", "ACCESS_TOKENS": adminEntry + "," + ciEntry, "LOG_LEVEL": "debug", "LOG_FORMAT": "text",
		"MAX_AVATAR_BYTES": "1234567", "MAX_AVATAR_PIXELS": "1024", "MAX_JSON_BYTES": "32KiB",
		"REQUEST_MEMORY": "32MiB", "MAX_CONNECTIONS": "512", "REQUEST_TIMEOUT": "250ms",
		"PAGES": "false", "LIST_CONSISTENT_READS": "true",
		"READ_TIMEOUT": "3s", "WRITE_TIMEOUT": "1h", "IDLE_TIMEOUT": "1h0m0.5s", "DRAIN_TIME": "0s", "SHUTDOWN_TIMEOUT": "6s",
	}
	for _, s := range config.Settings() {
		assert.Contains(t, want, s.Variable, "no sample")
	}
	v := defaultAPI()
	v.Config = maps.Clone(want)
	delete(v.Config, "ACCESS_TOKENS")
	v.Access.Tokens = []string{adminEntry, ciEntry}
	got := environment(t, objects(t, mustRender(t, "prima-api", v)))
	delete(got, "GOMEMLIMIT")
	assert.Equal(t, want, got)
}

// Ensure that a role is not shadowed: without static credentials there is no variable and no Secret for them, guard or not.
func TestRoleIsNotShadowed(t *testing.T) {
	t.Parallel()
	open := charts.DefaultPrimaAPI()
	open.Access.Mode = charts.AccessOpen
	for _, v := range []charts.PrimaAPI{open, defaultAPI()} {
		list := objects(t, mustRender(t, "prima-api", v))
		for _, secret := range find[*corev1.Secret](list) {
			assert.Equal(t, []string{"ACCESS_TOKENS"}, slices.Collect(maps.Keys(secret.Data)))
		}
		for _, pod := range pods(list) {
			for _, variable := range pod.spec.Containers[0].Env {
				assert.NotContains(t, variable.Name, "AWS_", pod.name)
			}
		}
	}
}

// Ensure the guard is on unless it is said to be off, and that the probes need no token.
func TestAccess(t *testing.T) {
	t.Parallel()
	list := objects(t, mustRender(t, "prima-api", defaultAPI()))
	secret := one[*corev1.Secret](t, list)
	assert.Equal(t, map[string][]byte{"ACCESS_TOKENS": []byte(ciEntry + "," + adminEntry)}, secret.Data)
	container := apiContainer(t, list)
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		assert.Empty(t, probe.HTTPGet.HTTPHeaders)
	}

	v := defaultAPI()
	v.Access = charts.Access{Mode: charts.AccessToken, ExistingSecret: "tokens"}
	list = objects(t, mustRender(t, "prima-api", v))
	assert.Empty(t, find[*corev1.Secret](list))
	reference := apiContainer(t, list).Env[0].ValueFrom.SecretKeyRef
	assert.Equal(t, "tokens", reference.Name)
	assert.Nil(t, reference.Optional, "without its Secret the API must not start: it would let everybody in")

	v.Access = charts.Access{Mode: charts.AccessOpen}
	list = objects(t, mustRender(t, "prima-api", v))
	assert.Empty(t, find[*corev1.Secret](list))
	assert.NotContains(t, environment(t, list), "ACCESS_TOKENS")
}

// Ensure helm test has a test that can pass: with a token where the API asks for one, and none where there is no token.
func TestHelmTest(t *testing.T) {
	t.Parallel()
	v := defaultAPI()
	files := mustRender(t, "prima-api", v)
	assert.Empty(t, find[*corev1.Pod](objects(t, files)))
	assert.Contains(t, files["NOTES.txt"], "access.checkSecret")

	v.Access.CheckSecret = "check"
	files = mustRender(t, "prima-api", v)
	check := one[*corev1.Pod](t, objects(t, files)).Spec.Containers[0]
	assert.Equal(t, []string{"check", "http://prima-api:80"}, check.Args)
	assert.Equal(t, []corev1.EnvVar{{Name: "API_TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "check"}, Key: "API_TOKEN",
	}}}}, check.Env)
	assert.NotContains(t, files["NOTES.txt"], "access.checkSecret")

	assert.Empty(t, one[*corev1.Pod](t, objects(t, mustRender(t, "prima-api", localAPI()))).Spec.Containers[0].Env)
}

// Ensure the probes ask the contract's paths, each its own, at the operators' port: clients who fill
// the API's port must not get the pod restarted.
func TestProbes(t *testing.T) {
	t.Parallel()
	v := extremeAPI()
	spec := deployment(t, "prima-api", v).Spec.Template.Spec.Containers[0]
	assert.EqualValues(t, 65535, spec.Ports[0].ContainerPort)
	for _, probe := range []*corev1.Probe{spec.StartupProbe, spec.LivenessProbe, spec.ReadinessProbe} {
		port := slices.IndexFunc(spec.Ports, func(p corev1.ContainerPort) bool {
			return p.Name == probe.HTTPGet.Port.String()
		})
		require.GreaterOrEqual(t, port, 0)
		assert.EqualValues(t, config.Default().AdminPort, spec.Ports[port].ContainerPort)
	}
	assert.Equal(t, config.PathHealth, spec.StartupProbe.HTTPGet.Path)
	assert.Equal(t, config.PathHealth, spec.LivenessProbe.HTTPGet.Path, "a dependency that is away is no reason to restart")
	assert.Equal(t, config.PathReady, spec.ReadinessProbe.HTTPGet.Path)
	assert.NotEqual(t, spec.StartupProbe, spec.LivenessProbe)
}
