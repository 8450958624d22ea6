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
	"prima.internal/app/contract"
	"prima.internal/infra/charts"
)

// environment returns the environment of the API's container. A Secret that the chart does not make
// has the entry of a token for every key.
func environment(t *testing.T, list []runtime.Object) map[string]string {
	t.Helper()
	container := deployment(t, list).Spec.Template.Spec.Containers[0]
	require.Len(t, container.EnvFrom, 1)
	require.Nil(t, container.EnvFrom[0].SecretRef, "a Secret taken whole may hold anything")
	variables, secrets := map[string]string{}, map[string]map[string][]byte{}
	for _, c := range find[*corev1.ConfigMap](list) {
		if c.Name == container.EnvFrom[0].ConfigMapRef.Name {
			maps.Copy(variables, c.Data)
		}
	}
	for _, s := range find[*corev1.Secret](list) {
		secrets[s.Name] = s.Data
	}
	for _, variable := range container.Env {
		assert.NotContains(t, variables, variable.Name, "set twice")
		require.NotNil(t, variable.ValueFrom, variable.Name)
		reference := variable.ValueFrom.SecretKeyRef
		assert.Equal(t, variable.Name, reference.Key)
		if variable.Name == "ACCESS_TOKENS" {
			assert.Nil(t, reference.Optional, "without its Secret the API must not start: it would let everybody in")
		}
		variables[variable.Name] = ciEntry
		if secret, made := secrets[reference.Name]; made {
			require.Contains(t, secret, reference.Key)
			variables[variable.Name] = string(secret[reference.Key])
		}
	}
	return variables
}

// Ensure the chart passes the API the variables of the contract, no more and no less, and the API
// reads from them the configuration that the chart was given. A variable for static credentials
// would take the place of a role.
func TestEnvironmentIsTheContract(t *testing.T) {
	t.Parallel()
	tokens := map[string][]string{"token": {ciEntry, adminEntry}, "full": {ciEntry}}
	for name, values := range apis() {
		rest := environment(t, objectsOf(t, "prima-api", values))
		var environ []string
		for _, s := range config.Settings() {
			value, set := rest[s.Variable]
			if set {
				environ = append(environ, s.Variable+"="+value)
				delete(rest, s.Variable)
			}
			assert.True(t, set || name != "full", "the chart does not pass %s on", s.Variable)
		}
		assert.Contains(t, rest, "GOMEMLIMIT")
		for variable := range rest {
			given := values.Credentials != charts.PrimaAPI{}.Credentials || values.Runtime[variable] != ""
			assert.True(t, given || !strings.HasPrefix(variable, "AWS_"), "%s takes the place of the role", variable)
			assert.True(t, slices.ContainsFunc(config.RuntimeVariables(), func(v contract.RuntimeVariable) bool {
				return v.Variable == variable
			}), "%s is no variable of the contract", variable)
		}
		loaded, warnings, err := config.Load(environ)
		require.NoError(t, err, name)
		assert.Empty(t, warnings, name)
		assert.Equal(t, values.Config, charts.ConfigValues(loaded), name)
		assert.Equal(t, tokens[name], charts.AccessTokens(loaded), name)
	}
}

// Ensure values.yaml has no other setting than the contract's, and the chart has its paths.
func TestValuesFollowTheContract(t *testing.T) {
	t.Parallel()
	v := apiWith(nil)
	assert.Equal(t, charts.ConfigValues(config.Default()), v.Config, "delete from config what is no setting")
	assert.Equal(t, config.PathHealth, v.Probes.Startup.Path)
	assert.Equal(t, config.PathHealth, v.Probes.Liveness.Path, "a dependency that fails is no reason to restart")
	assert.Equal(t, config.PathReady, v.Probes.Readiness.Path)
	monitor := render(t, "prima-api", fullAPI())["monitoring/servicemonitor.yaml"]
	assert.Contains(t, monitor, " path: "+config.PathMetrics+"\n")
}
