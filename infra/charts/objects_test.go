package charts_test

import (
	"slices"
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

	"prima.internal/infra/charts"
)

const component = "app.kubernetes.io/component"

// Ensure everything that selects pods selects those of the Deployment, and nothing but a policy of their
// own selects those of the sweep and of the test.
func TestSelectors(t *testing.T) {
	t.Parallel()
	for _, list := range [][]runtime.Object{
		objectsOf(t, "prima-api", localAPI()), objectsOf(t, "prima-api", fullAPI()), objectsOf(t, "localstack", localStack()),
	} {
		for _, pod := range pods(list) {
			matches := func(selector map[string]string) bool {
				return labels.SelectorFromSet(selector).Matches(labels.Set(pod.meta.Labels))
			}
			deployed := pod.kind == "Deployment"
			for _, d := range find[*appsv1.Deployment](list) {
				assert.Equal(t, deployed, matches(d.Spec.Selector.MatchLabels), "Deployment")
				assert.NotContains(t, d.Spec.Selector.MatchLabels, "helm.sh/chart", "would change with the version")
				for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
					assert.Equal(t, deployed, matches(spread.LabelSelector.MatchLabels), "topologySpreadConstraints")
				}
			}
			for _, s := range find[*corev1.Service](list) {
				assert.Equal(t, deployed, matches(s.Spec.Selector), "Service")
				target := s.Spec.Ports[0].TargetPort.String()
				assert.Equal(t, deployed, hasPort(pod, target), "port of the Service")
				assert.Equal(t, target == "admin", s.Spec.ClusterIP == "None", "clients reach no port of operators")
			}
			for _, b := range find[*policyv1.PodDisruptionBudget](list) {
				assert.Equal(t, deployed, matches(b.Spec.Selector.MatchLabels), "PodDisruptionBudget")
			}
			var policies []string
			for _, p := range find[*networkingv1.NetworkPolicy](list) {
				if matches(p.Spec.PodSelector.MatchLabels) {
					policies = append(policies, p.Spec.PodSelector.MatchLabels[component])
				}
			}
			assert.Equal(t, []string{pod.meta.Labels[component]}, policies, "NetworkPolicies of the %s", pod.kind)
		}
	}
}

func hasPort(p pod, name string) bool {
	named := func(port corev1.ContainerPort) bool { return port.Name == name }
	return slices.ContainsFunc(p.spec.Containers[0].Ports, named)
}

// Ensure every object says what it belongs to, and is in the release's namespace.
func TestLabels(t *testing.T) {
	t.Parallel()
	for _, object := range objectsOf(t, "prima-api", fullAPI()) {
		o, ok := object.(metav1.Object)
		require.True(t, ok)
		assert.Equal(t, "prima", o.GetNamespace(), o.GetName())
		for _, label := range []string{"managed-by", "name", "instance", "version"} {
			assert.NotEmpty(t, o.GetLabels()["app.kubernetes.io/"+label], "%s of %s", label, o.GetName())
		}
		assert.NotEmpty(t, o.GetLabels()["helm.sh/chart"], o.GetName())
	}
}

// metadata returns all maps of labels and annotations in what a chart renders. A key that is there twice
// fails the test.
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

// Ensure a label or annotation that both the chart and the user set is there once, and is the user's.
// Those by which the chart selects pods are refused.
func TestLabelsOfTheUser(t *testing.T) {
	t.Parallel()
	const mark, mine = "example.com/mark", "mine"
	full := valuesOf(t, fullAPI())
	refused := map[string]bool{}
	for _, path := range paths(full) {
		key := path[len(path)-1]
		if !strings.HasSuffix(strings.ToLower(key), "annotations") && !strings.HasSuffix(strings.ToLower(key), "labels") {
			continue
		}
		// marked returns the labels and annotations that have those of the user among them.
		marked := func(name string) (found []map[string]any, err error) {
			given := clone(t, full)
			at(given, path)[key] = map[string]any{mark: mine, name: mine}
			files, err := renderAs(load(t, "prima-api"), "prima-api", given)
			for _, m := range metadata(t, files) {
				if m[mark] == mine {
					found = append(found, m)
				}
			}
			return found, err
		}
		before, err := marked(mark)
		require.NoError(t, err)
		require.NotEmpty(t, before, "%v is rendered nowhere", path)
		for _, m := range before {
			for name := range m {
				after, err := marked(name)
				if err != nil {
					assert.ErrorContains(t, err, "podLabels: the chart selects its pods by "+name)
					refused[name] = true
					continue
				}
				assert.Len(t, after, len(before), "%v", path)
				overridden := func(m map[string]any) bool { return m[name] == mine }
				assert.True(t, slices.ContainsFunc(after, overridden), "%v: %s is not the user's", path, name)
			}
		}
	}
	assert.Len(t, refused, 3, "%v", refused)

	files := render(t, "namespaces", charts.Namespaces{Namespaces: []charts.Namespace{{
		Name: "a", PodSecurity: "baseline", Labels: map[string]string{"pod-security.kubernetes.io/warn": mine},
	}}})
	assert.Equal(t, []map[string]any{{
		"app.kubernetes.io/managed-by": "Helm", "pod-security.kubernetes.io/enforce": "baseline",
		"pod-security.kubernetes.io/audit": "baseline", "pod-security.kubernetes.io/warn": mine,
	}}, metadata(t, files))
}

// Ensure names are not longer than Kubernetes allows, and that no two releases have an object in common,
// however alike their names are.
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
			name, kind := object.(metav1.Object).GetName(), object.GetObjectKind().GroupVersionKind().Kind
			assert.Empty(t, validation.IsDNS1123Label(name), "%s %s", kind, name)
			assert.True(t, kind != "CronJob" || len(name) <= 52, "%s: a Job's name is 11 more", name)
			if owner := owners[kind+name]; owner != "" && owner != release {
				assert.Fail(t, "two releases share an object", "%s and %s: %s %s", owner, release, kind, name)
			}
			owners[kind+name] = release
		}
	}
	assert.Equal(t, "prima-api", owners["CronJobprima-api-sweep"])
}

// Ensure whatever can be switched off is not made, and that the number of pods has one owner.
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
