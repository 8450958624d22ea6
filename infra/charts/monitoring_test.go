package charts_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// Ensure the dashboard reaches Grafana as it is, no placeholder is left in the alerts, and those on
// kube-state-metrics can be left out. The package infra/monitoring tests what they say.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	files := render(t, "prima-api", v)
	var object struct {
		Data map[string]string `json:"data"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(files["monitoring/dashboard.yaml"]), &object))
	file, err := os.ReadFile("prima-api/monitoring/dashboard.json")
	require.NoError(t, err)
	assert.JSONEq(t, string(file), object.Data["prima-api.json"])

	const alerts = "monitoring/prometheusrule.yaml"
	assert.NotRegexp(t, "%[a-z]+%", files[alerts])
	assert.Contains(t, files[alerts], "kube_")
	v.Monitoring.PrometheusRule.KubeStateMetrics = false
	assert.NotContains(t, render(t, "prima-api", v)[alerts], "kube_")
}
