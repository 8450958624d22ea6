package charts_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// alertsOf returns the alerts that the chart makes of values.
func alertsOf(t *testing.T, values charts.PrimaAPI) (rules []alert) {
	t.Helper()
	text := render(t, "prima-api", values)["monitoring/prometheusrule.yaml"]
	assert.NotRegexp(t, "%[a-z]+%", text, "a placeholder is left")
	var object struct {
		Spec struct {
			Groups []struct {
				Rules []alert `json:"rules"`
			} `json:"groups"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &object))
	for _, group := range object.Spec.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

// Ensure every alert says how bad it is and what it means, that docs/operations.md says what to do, under
// its name, and that alerts on kube-state-metrics are left out where there are none.
func TestAlertsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	var documented, names []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			documented = append(documented, name)
		}
	}
	v := fullAPI()
	for _, rule := range alertsOf(t, v) {
		names = append(names, rule.Alert)
		assert.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], rule.Alert)
		assert.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		assert.NotEmpty(t, rule.Annotations["description"], rule.Alert)
		assert.Equal(t, "https://example.com/operations#"+strings.ToLower(rule.Alert), rule.Annotations["runbook_url"])
	}
	assert.ElementsMatch(t, names, documented)

	v.Monitoring.PrometheusRule.KubeStateMetrics = false
	for _, rule := range alertsOf(t, v) {
		assert.NotContains(t, rule.Expr, "kube_", rule.Alert)
	}
}

// Ensure Prometheus asks for the contract's path, and that the dashboard reaches Grafana as it is.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	files := render(t, "prima-api", fullAPI())
	assert.Contains(t, files["monitoring/servicemonitor.yaml"], " path: "+config.PathMetrics+"\n")
	var object struct {
		Data map[string]string `json:"data"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(files["monitoring/dashboard.yaml"]), &object))
	file, err := os.ReadFile("prima-api/monitoring/dashboard.json")
	require.NoError(t, err)
	assert.JSONEq(t, string(file), object.Data["prima-api.json"])
}
