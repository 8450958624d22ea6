package charts_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/infra/charts"
)

// paths returns the paths of all values, but for the entries of annotations and labels.
func paths(values map[string]any, prefix ...string) [][]string {
	var all [][]string
	for key, value := range values {
		path := append(slices.Clone(prefix), key)
		all = append(all, path)
		if group, ok := value.(map[string]any); ok && key != "annotations" && key != "labels" {
			all = append(all, paths(group, path...)...)
		}
	}
	return all
}

// at returns the group of values that holds the last key of a path.
func at(values map[string]any, path []string) map[string]any {
	for _, key := range path[:len(path)-1] {
		values, _ = values[key].(map[string]any)
	}
	return values
}

func clone(t *testing.T, values map[string]any) map[string]any {
	t.Helper()
	data, err := json.Marshal(values)
	require.NoError(t, err)
	var copied map[string]any
	require.NoError(t, json.Unmarshal(data, &copied))
	return copied
}

// Ensure a value that is missing is its default, as after `helm upgrade --reuse-values` from a
// chart without it, which takes the values of that chart for those of this one. One that is set to
// null is missing too.
func TestMissingValues(t *testing.T) {
	t.Parallel()
	v := tokenAPI()
	for _, enabled := range []*bool{
		&v.Ingress.Enabled, &v.HTTPRoute.Enabled, &v.Monitoring.ServiceMonitor.Enabled,
		&v.Monitoring.PrometheusRule.Enabled, &v.Monitoring.Dashboard.Enabled,
	} {
		*enabled = true
	}
	v.HTTPRoute.ParentRefs, v.Tracing.Endpoint = []map[string]any{{"name": "public"}}, "http://collector:4318"
	all, defaults := valuesOf(t, v), valuesOf(t, charts.DefaultPrimaAPI())
	everything := render(t, "prima-api", v)
	for _, path := range paths(defaults) {
		t.Run(strings.Join(path, "."), func(t *testing.T) {
			t.Parallel()
			key, values, want := path[len(path)-1], clone(t, all), everything
			original, standard := at(values, path)[key], at(defaults, path)[key]
			if key == "cpu" {
				standard = "" // users take it out
			}
			var wanted error
			if !reflect.DeepEqual(original, standard) {
				at(values, path)[key] = standard
				want, wanted = renderAs(load(t, "prima-api"), "prima-api", clone(t, values))
			}
			before := load(t, "prima-api")
			if len(path) == 1 { // Helm itself takes it out of the chart's values then
				at(values, path)[key] = nil
			} else {
				delete(at(values, path), key)
				delete(at(before.Values, path), key)
			}
			got, err := renderAs(before, "prima-api", values)
			assert.Equal(t, wanted, err)
			assert.Equal(t, want, got)
		})
	}
}
