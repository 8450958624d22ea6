package charts_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"prima.internal/app/config"
)

// specOf decodes the spec of an object that is not of Kubernetes itself.
func specOf[T any](t *testing.T, object *unstructured.Unstructured) (spec T) {
	t.Helper()
	fields, ok := object.Object["spec"].(map[string]any)
	require.True(t, ok)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &spec))
	return spec
}

// Ensure the ServiceMonitor finds the Service of the operators' port and no other, and that no Service that
// clients reach has that port.
//
// Source: https://prometheus-operator.dev/docs/api-reference/api/.
func TestServiceMonitor(t *testing.T) {
	t.Parallel()
	list := objectsOf(t, "prima-api", fullAPI())
	monitor := specOf[struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port string `json:"port"`
			Path string `json:"path"`
		} `json:"endpoints"`
	}](t, custom(t, list, "ServiceMonitor"))
	selector, err := metav1.LabelSelectorAsSelector(&monitor.Selector)
	require.NoError(t, err)
	require.Len(t, monitor.Endpoints, 1)
	assert.Equal(t, config.PathMetrics, monitor.Endpoints[0].Path)
	selected := 0
	for _, service := range find[*corev1.Service](list) {
		if !selector.Matches(labels.Set(service.Labels)) {
			assert.NotEqual(t, "admin", service.Spec.Ports[0].TargetPort.String(), service.Name)
			continue
		}
		selected++
		assert.Equal(t, "prima-api-admin", service.Name, "the job of the alerts and of the dashboard")
		assert.Equal(t, corev1.ServiceTypeClusterIP, service.Spec.Type)
		assert.Equal(t, monitor.Endpoints[0].Port, service.Spec.Ports[0].Name)
		assert.Equal(t, "admin", service.Spec.Ports[0].TargetPort.String())
	}
	assert.Equal(t, 1, selected)
}

type prometheusRule struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

// Ensure every alert says how bad it is and what it means, that docs/operations.md says what to do, under
// its name, and that alerts on kube-state-metrics are left out where there are none.
func TestAlertsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	v := fullAPI()
	files := render(t, "prima-api", v)
	assert.NotRegexp(t, "%[a-z]+%", files["monitoring/prometheusrule.yaml"], "a placeholder is left")
	var names []string
	for _, group := range specOf[prometheusRule](t, custom(t, objects(t, files), "PrometheusRule")).Groups {
		for _, rule := range group.Rules {
			names = append(names, rule.Alert)
			assert.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], rule.Alert)
			assert.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			assert.NotEmpty(t, rule.Annotations["description"], rule.Alert)
			assert.Equal(t, "https://example.com/operations#"+strings.ToLower(rule.Alert), rule.Annotations["runbook_url"])
		}
	}
	var documented []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			documented = append(documented, name)
		}
	}
	assert.ElementsMatch(t, names, documented)

	v.Monitoring.PrometheusRule.KubeStateMetrics = false
	list := objectsOf(t, "prima-api", v)
	for _, group := range specOf[prometheusRule](t, custom(t, list, "PrometheusRule")).Groups {
		for _, rule := range group.Rules {
			assert.NotContains(t, rule.Expr, "kube_", rule.Alert)
		}
	}
}

// Ensure the dashboard reaches Grafana as it is, with panels that do not overlap.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var dashboard *corev1.ConfigMap
	for _, m := range find[*corev1.ConfigMap](objectsOf(t, "prima-api", fullAPI())) {
		if m.Labels["grafana_dashboard"] == "1" {
			dashboard = m
		}
	}
	require.NotNil(t, dashboard)
	file, err := os.ReadFile("prima-api/monitoring/dashboard.json")
	require.NoError(t, err)
	assert.JSONEq(t, string(file), dashboard.Data["prima-api.json"])
	assert.Equal(t, "people", dashboard.Annotations["grafana_folder"])

	var content struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
		}
	}
	require.NoError(t, json.Unmarshal(file, &content))
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	for _, p := range content.Panels {
		assert.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				assert.Empty(t, taken[at], "%s and %s", taken[at], p.Title)
				taken[at] = p.Title
			}
		}
	}
}
