package charts_test

import (
	"cmp"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// Ensure a label or annotation that both the chart and the user set is there once, and is the
// user's. TestWrongValues has the labels by which the chart selects pods.
func TestLabelsOfTheUser(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	rendered := func() (all []map[string]string) {
		list := objectsOf(t, "prima-api", v)
		for _, object := range list {
			o := object.(metav1.Object)
			all = append(all, o.GetLabels(), o.GetAnnotations())
		}
		for _, pod := range pods(list) {
			all = append(all, pod.Labels, pod.Annotations)
		}
		return all
	}
	mine := map[string]string{} // what the chart sets anywhere, by the user
	for _, m := range rendered() {
		for key := range m {
			mine[key] = "mine"
		}
	}
	groups := []*map[string]string{
		&v.PodAnnotations, &v.Service.Annotations, &v.Ingress.Annotations, &v.HTTPRoute.Annotations,
		&v.ServiceAccount.Annotations, &v.Sweep.ServiceAccount.Annotations, &v.Monitoring.ServiceMonitor.Labels,
		&v.Monitoring.PrometheusRule.Labels, &v.Monitoring.Dashboard.Labels, &v.Monitoring.Dashboard.Annotations,
	}
	for i, group := range groups {
		*group = maps.Clone(mine)
		(*group)["example.com/group"] = strconv.Itoa(i)
	}
	shown := map[string]bool{}
	for _, m := range rendered() {
		if group, ok := m["example.com/group"]; ok {
			shown[group] = true
			for key := range mine {
				assert.Equal(t, "mine", m[key], "%s of %v", key, m)
			}
		}
	}
	assert.Len(t, shown, len(groups), "labels or annotations of the user are rendered nowhere")
}

// Ensure every object has the labels of its release, no name is longer than Kubernetes allows, and
// no two releases have an object in common, however alike their names are.
func TestNames(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	v.ServiceAccount.Name, v.Sweep.ServiceAccount.Name = "", ""
	long := strings.Repeat("a", 45)
	owners := map[string]string{}
	for _, release := range []string{
		"prima-api", "prima", long, long + "-prim", long + "-prima-a", long + "bbbbbbb1", long + "bbbbbbb2",
	} {
		files, err := renderAs(load(t, "prima-api"), release, valuesOf(t, v))
		require.NoError(t, err)
		for _, object := range objects(t, files) {
			o := object.(metav1.Object)
			name := object.GetObjectKind().GroupVersionKind().Kind + " " + o.GetName()
			assert.Equal(t, "prima", o.GetNamespace(), name)
			assert.Equal(t, release, o.GetLabels()["app.kubernetes.io/instance"], name)
			assert.NotEmpty(t, o.GetLabels()["helm.sh/chart"], name)
			assert.Empty(t, validation.IsDNS1123Label(o.GetName()), name)
			cron := strings.HasPrefix(name, "CronJob ")
			assert.True(t, !cron || len(o.GetName()) <= 52, "%s: the names of its Jobs are 11 longer", name)
			assert.Equal(t, release, cmp.Or(owners[name], release), "two releases share %s", name)
			owners[name] = release
		}
	}
}

// Ensure disabled objects are not rendered, and that the autoscaler alone sets the number of pods.
func TestSwitches(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	assert.Nil(t, deployment(t, objectsOf(t, "prima-api", v)).Spec.Replicas, "the autoscaler sets it")
	v.Access, v.Credentials.ExistingSecret, v.Tracing.Endpoint = openAPI().Access, "", ""
	for _, enabled := range []*bool{
		&v.Autoscaling.Enabled, &v.PodDisruptionBudget.Enabled, &v.Sweep.Enabled, &v.NetworkPolicy.Enabled,
		&v.Ingress.Enabled, &v.HTTPRoute.Enabled, &v.Monitoring.ServiceMonitor.Enabled,
		&v.Monitoring.PrometheusRule.Enabled, &v.Monitoring.Dashboard.Enabled, &v.ServiceAccount.Create,
	} {
		*enabled = false
	}
	kinds := map[string]int{}
	list := objectsOf(t, "prima-api", v)
	for _, object := range list {
		kinds[object.GetObjectKind().GroupVersionKind().Kind]++
	}
	assert.Equal(t, map[string]int{"ConfigMap": 1, "Deployment": 1, "Service": 1, "Pod": 1}, kinds)
	assert.EqualValues(t, v.Replicas, *deployment(t, list).Spec.Replicas)
	assert.NotContains(t, environment(t, list), "OTEL_EXPORTER_OTLP_ENDPOINT")

	// The chart's test does not run without a token if the API needs one.
	files := render(t, "prima-api", tokenAPI())
	assert.NotContains(t, files, "tests/users.yaml")
	assert.Contains(t, files["NOTES.txt"], "access.checkSecret")
}

// Ensure the dashboard reaches Grafana as it is, no placeholder is left in the alerts, and those on
// kube-state-metrics can be left out. The package infra/monitoring tests what they say.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	files := render(t, "prima-api", v)
	var object corev1.ConfigMap
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
