package charts_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// serviceMonitor and prometheusRule are as much of monitoring.coreos.com/v1 as the chart writes.
//
// Source: https://prometheus-operator.dev/docs/api-reference/api/.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Path     string `json:"path"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

func (m *serviceMonitor) DeepCopyObject() runtime.Object { c := *m; return &c }

type prometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Alert       string            `json:"alert"`
				Expr        string            `json:"expr"`
				For         string            `json:"for,omitempty"`
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

func (r *prometheusRule) DeepCopyObject() runtime.Object { c := *r; return &c }

// monitoredAPI is the API with all that watches it.
func monitoredAPI() charts.PrimaAPI {
	v := defaultAPI()
	v.Monitoring = charts.Monitoring{
		Namespace:      "observability",
		ServiceMonitor: charts.ServiceMonitor{Enabled: true, Interval: "15s", Labels: map[string]string{"release": "prometheus"}},
		PrometheusRule: charts.PrometheusRule{Enabled: true, KubeStateMetrics: true, RunbookURL: "https://example.com/operations", Labels: map[string]string{"release": "prometheus"}},
		Dashboard:      charts.Dashboard{Enabled: true, Labels: map[string]string{"grafana_dashboard": "1"}, Annotations: map[string]string{"grafana_folder": "people"}},
	}
	return v
}

// Ensure the ServiceMonitor finds the Service of the operators' port, which leads to the pods, and that no Service that
// clients reach has that port.
func TestServiceMonitor(t *testing.T) {
	t.Parallel()
	v := monitoredAPI()
	v.Service.Type = "NodePort"
	list := objects(t, mustRender(t, "prima-api", v))
	monitor := one[*serviceMonitor](t, list)
	selector, err := metav1.LabelSelectorAsSelector(&monitor.Spec.Selector)
	require.NoError(t, err)
	pods := deployment(t, "prima-api", v)
	var selected []*corev1.Service
	for _, service := range find[*corev1.Service](list) {
		if selector.Matches(labels.Set(service.Labels)) {
			selected = append(selected, service)
			continue
		}
		for _, port := range service.Spec.Ports {
			assert.Equal(t, "http", port.TargetPort.String(), service.Name)
		}
	}
	require.Len(t, selected, 1)
	admin := selected[0]
	assert.Equal(t, pods.Name+"-admin", admin.Name)
	assert.Equal(t, corev1.ServiceTypeClusterIP, admin.Spec.Type)
	assert.Equal(t, monitor.Spec.Endpoints[0].Port, admin.Spec.Ports[0].Name)
	assert.Equal(t, config.PathMetrics, monitor.Spec.Endpoints[0].Path)
	spec := deployment(t, "prima-api", v).Spec.Template
	for key, value := range admin.Spec.Selector {
		assert.Equal(t, value, spec.Labels[key])
	}
	assert.Contains(t, spec.Spec.Containers[0].Ports, corev1.ContainerPort{Name: "admin", ContainerPort: int32(config.Default().AdminPort)})
	assert.Equal(t, "prometheus", monitor.Labels["release"])
}

// Ensure nothing is made that the cluster may not know, unless it is asked for.
func TestMonitoringIsOff(t *testing.T) {
	t.Parallel()
	list := objects(t, mustRender(t, "prima-api", defaultAPI()))
	assert.Empty(t, find[*serviceMonitor](list))
	assert.Empty(t, find[*prometheusRule](list))
	assert.Len(t, find[*corev1.Service](list), 1)
	assert.Len(t, find[*corev1.ConfigMap](list), 1)
}

// Ensure only the namespace of Prometheus reaches the operators' port, also where everybody reaches the API.
func TestNetworkOfOperators(t *testing.T) {
	t.Parallel()
	v := monitoredAPI()
	v.Service.Type = "NodePort"
	list := objects(t, mustRender(t, "prima-api", v))
	spec := deployment(t, "prima-api", v).Spec.Template
	pod := host{namespace: namespaceOf("prima-api"), labels: spec.Labels, ports: map[string]int32{}}
	for _, port := range spec.Spec.Containers[0].Ports {
		pod.ports[port.Name] = port.ContainerPort
	}
	policies := network(find[*networkingv1.NetworkPolicy](list))
	from := func(namespace string) host { return host{namespace: namespace} }
	admin, api := pod.ports["admin"], pod.ports["http"]
	assert.True(t, policies.allows(t, from("observability"), pod, corev1.ProtocolTCP, admin))
	for _, other := range []host{from("default"), from(pod.namespace), from("ingress-nginx"), {address: "192.0.2.1"}} {
		assert.False(t, policies.allows(t, other, pod, corev1.ProtocolTCP, admin), "%v", other)
		assert.True(t, policies.allows(t, other, pod, corev1.ProtocolTCP, api), "%v", other)
	}
}

// Ensure every alert says how bad it is and what it means, and that docs/operations.md says what to do, under its name, and of no other;
// and that those which take kube-state-metrics are left out where there are none.
func TestAlertsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	rules := one[*prometheusRule](t, objects(t, mustRender(t, "prima-api", monitoredAPI())))
	assert.NotRegexp(t, "%[a-z]+%", mustRender(t, "prima-api", monitoredAPI())["monitoring/prometheusrule.yaml"], "a placeholder is left")
	var names []string
	for _, group := range rules.Spec.Groups {
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

	v := monitoredAPI()
	v.Monitoring.PrometheusRule.KubeStateMetrics = false
	for _, group := range one[*prometheusRule](t, objects(t, mustRender(t, "prima-api", v))).Spec.Groups {
		for _, rule := range group.Rules {
			assert.NotContains(t, rule.Expr, "kube_", rule.Alert)
		}
	}
}

// Ensure the dashboard reaches Grafana as it is, with panels that do not overlap.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var dashboard *corev1.ConfigMap
	for _, m := range find[*corev1.ConfigMap](objects(t, mustRender(t, "prima-api", monitoredAPI()))) {
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
