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
// has the value "existing" for every key, and the entry of one token for ACCESS_TOKENS.
func environment(t *testing.T, list []runtime.Object) map[string]string {
	t.Helper()
	container := containerOf(t, list, "Deployment")
	variables := map[string]string{}
	for _, from := range container.EnvFrom {
		require.Nil(t, from.SecretRef, "a Secret taken whole may hold anything")
		assert.Empty(t, from.Prefix)
		for _, configMap := range find[*corev1.ConfigMap](list) {
			if configMap.Name == from.ConfigMapRef.Name {
				maps.Copy(variables, configMap.Data)
			}
		}
	}
	for _, variable := range container.Env {
		assert.NotContains(t, variables, variable.Name, "set twice")
		require.NotNil(t, variable.ValueFrom, variable.Name)
		reference := variable.ValueFrom.SecretKeyRef
		assert.Equal(t, variable.Name, reference.Key)
		value := "existing"
		if variable.Name == "ACCESS_TOKENS" {
			assert.Nil(t, reference.Optional, "without its Secret the API must not start: it would let everybody in")
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

// Ensure the chart passes the API the variables of the contract, no more and no less, and the API
// reads from them the configuration that the chart was given. A variable for static credentials
// would take the place of a role.
func TestEnvironmentIsTheContract(t *testing.T) {
	t.Parallel()
	tokens := map[string][]string{"token": {ciEntry, adminEntry}, "full": {ciEntry}}
	for name, values := range apis() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
				assert.False(t, !given && strings.HasPrefix(variable, "AWS_"), "%s takes the place of the role", variable)
				assert.True(t, slices.ContainsFunc(config.RuntimeVariables(), func(v contract.RuntimeVariable) bool {
					return v.Variable == variable
				}), "%s is no variable of the contract", variable)
			}
			loaded, warnings, err := config.Load(environ)
			require.NoError(t, err)
			assert.Empty(t, warnings)
			assert.Equal(t, values.Config, charts.ConfigValues(loaded))
			assert.Equal(t, tokens[name], charts.AccessTokens(loaded))
		})
	}
}

// Ensure helm test does not run without a token if the API needs one.
func TestHelmTest(t *testing.T) {
	t.Parallel()
	files := render(t, "prima-api", tokenAPI())
	assert.Empty(t, find[*corev1.Pod](objects(t, files)))
	assert.Contains(t, files["NOTES.txt"], "access.checkSecret")
}
