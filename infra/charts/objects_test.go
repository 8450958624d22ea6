package charts_test

import (
	"fmt"
	"maps"
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
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

const component = "app.kubernetes.io/component"

// Ensure everything that selects pods selects those of the Deployment, and nothing but a policy of their
// own selects those of the sweep and of the test.
func TestSelectors(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]any{
		"open": openAPI(), "local": localAPI(), "full": fullAPI(), "localstack": localStack(),
	} {
		chart := "prima-api"
		if name == chart || name == "localstack" {
			chart = name
		}
		list := objectsOf(t, chart, values)
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
				for _, port := range s.Spec.Ports {
					assert.Equal(t, deployed, hasPort(pod, port.TargetPort.String()), "port of the Service")
				}
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
	return slices.ContainsFunc(p.spec.Containers[0].Ports, func(port corev1.ContainerPort) bool { return port.Name == name })
}

// Ensure every way in leads to the Service, or from the Service to the API's port, and that nginx passes
// on every avatar that the API accepts.
func TestWaysIn(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	list := objectsOf(t, "prima-api", v)
	var service *corev1.Service
	for _, s := range find[*corev1.Service](list) {
		if s.Name == "prima-api" {
			service = s
		}
	}
	require.NotNil(t, service)
	require.Len(t, service.Spec.Ports, 1)
	for _, port := range containerOf(t, list, "Deployment").Ports {
		assert.Equal(t, port.Name == service.Spec.Ports[0].TargetPort.String(), port.ContainerPort == 65535, port.Name)
	}
	ingress := one[*networkingv1.Ingress](t, list)
	for i, host := range append([]string{v.Ingress.Host}, v.Ingress.Aliases...) {
		assert.Equal(t, host, ingress.Spec.Rules[i].Host)
		backend := ingress.Spec.Rules[i].HTTP.Paths[0].Backend.Service
		assert.Equal(t, service.Name, backend.Name)
		assert.Equal(t, service.Spec.Ports[0].Name, backend.Port.Name)
	}
	size := ingress.Annotations["nginx.ingress.kubernetes.io/proxy-body-size"]
	assert.Equal(t, fmt.Sprint(65<<20), size, "of an avatar of 64 MiB, and a form around it")
	route := fmt.Sprint(custom(t, list, "HTTPRoute").Object["spec"])
	assert.Contains(t, route, fmt.Sprintf("backendRefs:[map[name:%s port:%d]]", service.Name, service.Spec.Ports[0].Port))
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

// metadata returns all maps of labels and annotations in what a chart renders.
func metadata(t *testing.T, files map[string]string) []map[string]any {
	t.Helper()
	var all []map[string]any
	var collect func(value any)
	collect = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				collect(item)
			}
		case map[string]any:
			for key, item := range v {
				if group, ok := item.(map[string]any); ok && (key == "labels" || key == "annotations") {
					all = append(all, group)
				}
				collect(item)
			}
		}
	}
	for _, document := range documents(files) {
		var object map[string]any
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), &object), "a key is there twice: %s", document)
		collect(object)
	}
	return all
}

// Ensure a label or annotation that both the chart and the user set is there once, and is the user's.
// Those by which the chart selects pods are refused.
func TestLabelsOfTheUser(t *testing.T) {
	t.Parallel()
	const marker, mine = "example.com/marker", "mine"
	full := valuesOf(t, fullAPI())
	tried := 0
	for _, path := range paths(full) {
		key := path[len(path)-1]
		if !strings.HasSuffix(strings.ToLower(key), "annotations") && key != "labels" && key != "podLabels" {
			continue
		}
		tried++
		given := clone(t, full)
		at(given, path)[key] = map[string]any{marker: mine}
		marked := func() (all []map[string]any, err error) {
			files, err := renderAs(load(t, "prima-api"), "prima-api", given)
			for _, m := range metadata(t, files) {
				if m[marker] == mine {
					all = append(all, m)
				}
			}
			return all, err
		}
		before, err := marked()
		require.NoError(t, err)
		require.NotEmpty(t, before, "%v is rendered nowhere", path)
		for _, m := range before {
			for name := range m {
				set := map[string]any{marker: mine, name: mine}
				at(given, path)[key] = set
				after, err := marked()
				if key == "podLabels" && name != marker && m[name] != nil && strings.HasPrefix(name, "app.kubernetes.io/") {
					assert.ErrorContains(t, err, "podLabels: the chart selects its pods by "+name)
					continue
				}
				require.NoError(t, err, "%v: %s", path, name)
				require.Len(t, after, len(before))
				assert.True(t, slices.ContainsFunc(after, func(m map[string]any) bool { return m[name] == mine }), "%v: %s", path, name)
			}
		}
	}
	assert.GreaterOrEqual(t, tried, 10, "values that are labels or annotations")

	namespaces := map[string]any{"namespaces": []any{map[string]any{"name": "a", "podSecurity": "baseline", "labels": map[string]any{
		"app.kubernetes.io/managed-by": mine, "pod-security.kubernetes.io/warn": mine,
	}}}}
	files, err := renderAs(load(t, "namespaces"), "namespaces", namespaces)
	require.NoError(t, err)
	assert.Equal(t, []map[string]any{{
		"app.kubernetes.io/managed-by": mine, "pod-security.kubernetes.io/warn": mine,
		"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/audit": "baseline",
	}}, metadata(t, files))
}

// Ensure names are as long as Kubernetes allows, and that no two releases have an object in common,
// however alike their names are.
func TestNames(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	v.ServiceAccount.Name, v.Sweep.ServiceAccount.Name = "", ""
	names := func(release string) map[string]bool {
		files, err := renderAs(load(t, "prima-api"), release, valuesOf(t, v))
		require.NoError(t, err)
		made := map[string]bool{}
		for _, object := range objects(t, files) {
			name, kind := object.(metav1.Object).GetName(), object.GetObjectKind().GroupVersionKind().Kind
			assert.Empty(t, validation.IsDNS1123Label(name), "%s %s", kind, name)
			if kind == "CronJob" {
				assert.LessOrEqual(t, len(name), 52, name) // a Job's is 11 more
			}
			made[kind+" "+name] = true
		}
		return made
	}
	long := strings.Repeat("a", 45)
	for _, releases := range [][2]string{
		{long + "-first", long + "-second"},
		{long, long + "-prima-a"},
		{long + "bbbbbbb1", long + "bbbbbbb2"},
		{"prima-api", "prima-api2"},
	} {
		second := names(releases[1])
		for name := range names(releases[0]) {
			assert.NotContains(t, slices.Collect(maps.Keys(second)), name, "%v", releases)
		}
	}
	assert.Contains(t, names("prima-api"), "CronJob prima-api-sweep")
}

// Ensure nothing is made that the cluster may not know, or that is switched off.
func TestSwitches(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	v.Access, v.Tracing = openAPI().Access, openAPI().Tracing
	v.Credentials.ExistingSecret = ""
	for _, enabled := range []*bool{
		&v.Autoscaling.Enabled, &v.PodDisruptionBudget.Enabled, &v.Sweep.Enabled, &v.NetworkPolicy.Enabled, &v.Ingress.Enabled,
		&v.HTTPRoute.Enabled, &v.Monitoring.ServiceMonitor.Enabled, &v.Monitoring.PrometheusRule.Enabled,
		&v.Monitoring.Dashboard.Enabled, &v.ServiceAccount.Create,
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
	assert.Nil(t, deployment(t, fullAPI()).Spec.Replicas, "the autoscaler sets it")

	files := render(t, "prima-api", tokenAPI())
	for _, kind := range []string{"Ingress", "HTTPRoute", "ServiceMonitor", "PrometheusRule", "Pod"} {
		for _, document := range documents(files) {
			assert.NotContains(t, document, "kind: "+kind+"\n")
		}
	}
	assert.Contains(t, files["NOTES.txt"], "access.checkSecret", "why there is no helm test")
}
