package charts_test

import (
	"cmp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

const component = "app.kubernetes.io/component"

// Ensure selectors select the pods of the Deployment, Services lead to their ports, and one
// NetworkPolicy selects each pod.
func TestSelectors(t *testing.T) {
	t.Parallel()
	for _, list := range [][]runtime.Object{
		objectsOf(t, "prima-api", localAPI()), objectsOf(t, "prima-api", fullAPI()), objectsOf(t, "localstack", localStack()),
	} {
		d := one[*appsv1.Deployment](t, list)
		selectors := []map[string]string{d.Spec.Selector.MatchLabels}
		for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
			selectors = append(selectors, spread.LabelSelector.MatchLabels)
		}
		for _, b := range find[*policyv1.PodDisruptionBudget](list) {
			selectors = append(selectors, b.Spec.Selector.MatchLabels)
		}
		var ports []string
		for _, port := range d.Spec.Template.Spec.Containers[0].Ports {
			ports = append(ports, port.Name)
		}
		for _, s := range find[*corev1.Service](list) {
			selectors = append(selectors, s.Spec.Selector)
			target := s.Spec.Ports[0].TargetPort.String()
			assert.Contains(t, ports, target, s.Name)
			assert.Equal(t, target == "admin", s.Spec.ClusterIP == "None", "clients reach no port of operators")
		}
		for _, pod := range pods(list) {
			for _, selector := range selectors {
				selected := labels.SelectorFromSet(selector).Matches(labels.Set(pod.meta.Labels))
				assert.Equal(t, pod.kind == "Deployment", selected, "%s: %v", pod.kind, selector)
				assert.NotContains(t, selector, "helm.sh/chart", "would change with the version")
			}
			var policies []string
			for _, p := range find[*networkingv1.NetworkPolicy](list) {
				if labels.SelectorFromSet(p.Spec.PodSelector.MatchLabels).Matches(labels.Set(pod.meta.Labels)) {
					policies = append(policies, p.Spec.PodSelector.MatchLabels[component])
				}
			}
			assert.Equal(t, []string{pod.meta.Labels[component]}, policies, pod.kind)
		}
	}
}

// metadata returns all maps of labels and annotations in what a chart renders. A key that is there
// twice fails the test.
func metadata(t *testing.T, files map[string]string) (all []map[string]any) {
	t.Helper()
	var collect func(value any)
	collect = func(value any) {
		group, _ := value.(map[string]any)
		for key, item := range group {
			if m, ok := item.(map[string]any); ok && (key == "labels" || key == "annotations") {
				all = append(all, m)
			}
			collect(item)
		}
	}
	for _, document := range documents(files) {
		var object map[string]any
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), &object), document)
		collect(object)
	}
	return all
}

// Ensure a label or annotation that both the chart and the user set is there once, and is the
// user's. TestWrongValues has the labels by which the chart selects pods.
func TestLabelsOfTheUser(t *testing.T) {
	t.Parallel()
	const mark, mine = "example.com/mark", "mine"
	full := valuesOf(t, fullAPI())
	for _, path := range paths(full) {
		key := path[len(path)-1]
		lower := strings.ToLower(key)
		if key == "podLabels" || !strings.HasSuffix(lower, "annotations") && !strings.HasSuffix(lower, "labels") {
			continue
		}
		// marked returns the labels and annotations that have those of the user among them.
		marked := func(given map[string]any) (found []map[string]any) {
			values := clone(t, full)
			at(values, path)[key] = given
			files, err := renderAs(load(t, "prima-api"), "prima-api", values)
			require.NoError(t, err)
			for _, m := range metadata(t, files) {
				if m[mark] == mine {
					found = append(found, m)
				}
			}
			return found
		}
		given := map[string]any{mark: mine}
		before := marked(given)
		require.NotEmpty(t, before, "%v is rendered nowhere", path)
		for _, m := range before {
			for name := range m {
				given[name] = mine
			}
		}
		after := marked(given)
		assert.Len(t, after, len(before), "%v", path)
		for i, m := range after {
			for name := range before[i] {
				assert.Equal(t, mine, m[name], "%v: %s is not the user's", path, name)
			}
		}
	}
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

// Ensure what is switched off is not made, and the autoscaler alone sets the number of pods.
func TestSwitches(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	assert.Nil(t, deployment(t, v).Spec.Replicas, "the autoscaler sets it")
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
	assert.EqualValues(t, v.Replicas, *one[*appsv1.Deployment](t, list).Spec.Replicas)
	for name := range environment(t, list) {
		assert.False(t, strings.HasPrefix(name, "OTEL_EXPORTER_"), name)
	}
}
