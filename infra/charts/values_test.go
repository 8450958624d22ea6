package charts_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// The entries of two tokens.
var (
	ciEntry    = "ci:read+write:" + strings.Repeat("c1", 32)
	adminEntry = "admin:read:" + strings.Repeat("ad", 32)
)

// apis are the values that the tests of invariants go through.
func apis() map[string]charts.PrimaAPI {
	return map[string]charts.PrimaAPI{"open": openAPI(), "token": tokenAPI(), "local": localAPI(), "full": fullAPI()}
}

// apiWith returns values over the defaults.
func apiWith(values map[string]any) charts.PrimaAPI {
	v, err := charts.PrimaAPIWith(values)
	if err != nil {
		panic(err)
	}
	return v
}

// openAPI is the defaults with everybody let in.
func openAPI() charts.PrimaAPI {
	v := apiWith(nil)
	v.Access.Mode = charts.AccessOpen
	return v
}

// tokenAPI is the defaults with two callers let in.
func tokenAPI() charts.PrimaAPI {
	v := apiWith(nil)
	v.Access.Tokens = []string{ciEntry, adminEntry}
	return v
}

// localAPI is the API as the local stack deploys it: on LocalStack, with a NodePort and an Ingress.
func localAPI() charts.PrimaAPI {
	v := openAPI()
	v.Config["AWS_ENDPOINT_URL"] = charts.ServiceURL("localstack", "localstack", charts.LocalStackPort)
	v.Runtime["AWS_EC2_METADATA_DISABLED"] = "true"
	v.Credentials.AccessKeyID, v.Credentials.SecretAccessKey = "test", "test"
	v.Service.Type = "NodePort"
	v.Ingress.Enabled, v.Ingress.Host, v.Ingress.Aliases = true, "prima-api.localhost", []string{"prima-api.local"}
	return v
}

// Ensure `helm lint --strict` finds nothing, and the schema allows global values of a parent chart.
func TestLint(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]any{
		"prima-api": fullAPI(), "localstack": localStack(), "namespaces": map[string]any{},
	} {
		values := valuesOf(t, v)
		values["global"] = map[string]any{"imageRegistry": "registry.example.com"}
		for _, message := range lint.All(name, values, namespaceOf[name], true).Messages {
			assert.Less(t, message.Severity, support.WarningSev, "%s", message)
		}
	}
}

func localStack() map[string]any {
	return map[string]any{"image": "localstack/localstack:4.14.0", "nodePort": 31566}
}

// fullAPI is the values of testdata/prima-api.full.values.yaml over the defaults.
func fullAPI() charts.PrimaAPI {
	values, err := chartutil.ReadValuesFile("testdata/prima-api.full.values.yaml")
	if err != nil {
		panic(err)
	}
	v := apiWith(values)
	for _, s := range config.Settings() {
		if v.Config[s.Variable] == "" && !s.Secret {
			v.Config[s.Variable] = s.Examples[0]
		}
	}
	return v
}

// Ensure values are merged with the defaults as Helm merges them, and a nil list is the default.
func TestMerge(t *testing.T) {
	t.Parallel()
	given, err := chartutil.ReadValuesFile("testdata/prima-api.full.values.yaml")
	require.NoError(t, err)
	v, err := charts.PrimaAPIWith(given)
	require.NoError(t, err)
	assert.Equal(t, render(t, "prima-api", given), render(t, "prima-api", v))
	v.TopologySpread = nil
	assert.Contains(t, render(t, "prima-api", v)["deployment.yaml"], "topologyKey: topology.kubernetes.io/zone")
	_, err = charts.PrimaAPIWith(map[string]any{"servise": map[string]any{}})
	assert.ErrorContains(t, err, "servise")
}

// Ensure a value that is missing is its default, as after `helm upgrade --reuse-values` from a
// chart without it, which takes that chart's values for those of this one. So is one that is null.
func TestMissingValues(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	without := load(t, "prima-api")
	without.Values = nil
	open, null, defaults := m{"access": m{"mode": "open"}}, m{}, valuesOf(t, apiWith(nil))
	for key := range defaults {
		null[key] = nil
	}
	maps.Copy(null, open)
	assert.Equal(t, render(t, "prima-api", openAPI()), render(t, "prima-api", null))
	got, err := renderAs(without, "prima-api", open)
	require.NoError(t, err)
	assert.Equal(t, render(t, "prima-api", openAPI()), got)

	for half := range 2 { // each value is missing in one of them, and there in the other
		n, v := half, fullAPI()
		v.Access = openAPI().Access
		values, want := valuesOf(t, v), valuesOf(t, v)
		var remove func(values, want, defaults m)
		remove = func(values, want, defaults m) {
			for _, key := range slices.Sorted(maps.Keys(defaults)) {
				if group, ok := defaults[key].(m); ok && key != "access" && key != "annotations" && key != "labels" {
					remove(values[key].(m), want[key].(m), group)
				} else if n++; n%2 == 0 && key != "access" {
					delete(values, key)
					want[key] = defaults[key]
					if key == "cpu" {
						want[key] = "" // users take it out
					}
				}
			}
		}
		remove(values, want, defaults)
		got, err := renderAs(without, "prima-api", values)
		require.NoError(t, err)
		assert.Equal(t, render(t, "prima-api", want), got)
	}
}
