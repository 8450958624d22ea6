package charts_test

import (
	"flag"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"prima.internal/infra/charts"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

func load(t testing.TB, name string) *chart.Chart {
	t.Helper()
	c, err := loader.Load(name)
	require.NoError(t, err)
	return c
}

// namespaceOf is where the stack installs a chart.
var namespaceOf = map[string]string{"prima-api": "prima", "localstack": "localstack", "namespaces": "default"}

// renderAs returns what the templates of a chart render, by their paths, without empty files.
func renderAs(c *chart.Chart, release string, values map[string]any) (map[string]string, error) {
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespaceOf[c.Name()], Revision: 1, IsInstall: true}
	merged, err := chartutil.ToRenderValues(c, values, options, nil)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(c, merged)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for name, text := range rendered {
		if strings.TrimSpace(text) != "" && !strings.HasSuffix(name, ".tpl") {
			files[strings.TrimPrefix(name, c.Name()+"/templates/")] = strings.TrimSpace(text) + "\n"
		}
	}
	return files, nil
}

// render renders a chart with the values in a struct or a map.
func render(t testing.TB, name string, values any) map[string]string {
	t.Helper()
	files, err := renderAs(load(t, name), name, valuesOf(t, values))
	require.NoError(t, err)
	return files
}

func valuesOf(t testing.TB, values any) map[string]any {
	t.Helper()
	m, err := charts.Map(values)
	require.NoError(t, err)
	return m
}

// documents returns the YAML documents of a rendered chart, without its notes.
func documents(files map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) != ".yaml" {
			continue
		}
		for document := range strings.SplitSeq("\n"+files[name], "\n---\n") {
			if document = strings.TrimSpace(document); document != "" {
				list = append(list, document+"\n")
			}
		}
	}
	return list
}

// objects decodes what a chart renders. A field that Kubernetes does not know, or that is there
// twice, fails the test.
func objects(t testing.TB, files map[string]string) []runtime.Object {
	t.Helper()
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme,
		json.SerializerOptions{Yaml: true, Strict: true})
	var list []runtime.Object
	for _, document := range documents(files) {
		object, _, err := strict.Decode([]byte(document), nil, nil)
		if runtime.IsNotRegisteredError(err) {
			custom := new(unstructured.Unstructured)
			err = yaml.UnmarshalStrict([]byte(document), &custom.Object)
			object = custom
		}
		require.NoError(t, err, document)
		list = append(list, object)
	}
	return list
}

// objectsOf returns the objects of a chart with the given values.
func objectsOf(t testing.TB, name string, values any) []runtime.Object {
	t.Helper()
	return objects(t, render(t, name, values))
}

// find returns the objects of one type.
func find[T runtime.Object](list []runtime.Object) []T {
	var found []T
	for _, object := range list {
		if o, ok := object.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

// one returns the only object of one type.
func one[T runtime.Object](t testing.TB, list []runtime.Object) T {
	t.Helper()
	found := find[T](list)
	require.Len(t, found, 1)
	return found[0]
}

// A pod is the template of a pod.
type pod struct {
	kind string // Deployment, CronJob or Pod
	meta *metav1.ObjectMeta
	spec corev1.PodSpec
}

// pods returns the templates of all pods.
func pods(list []runtime.Object) []pod {
	var found []pod
	for _, d := range find[*appsv1.Deployment](list) {
		found = append(found, pod{"Deployment", &d.Spec.Template.ObjectMeta, d.Spec.Template.Spec})
	}
	for _, c := range find[*batchv1.CronJob](list) {
		template := c.Spec.JobTemplate.Spec.Template
		found = append(found, pod{"CronJob", &template.ObjectMeta, template.Spec})
	}
	for _, p := range find[*corev1.Pod](list) {
		found = append(found, pod{"Pod", &p.ObjectMeta, p.Spec})
	}
	return found
}

// containerOf returns the container of the pod of one kind.
func containerOf(t testing.TB, list []runtime.Object, kind string) corev1.Container {
	t.Helper()
	all := pods(list)
	i := slices.IndexFunc(all, func(p pod) bool { return p.kind == kind })
	require.GreaterOrEqual(t, i, 0, "no %s", kind)
	require.Len(t, all[i].spec.Containers, 1)
	return all[i].spec.Containers[0]
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

// Ensure values are merged with the defaults as Helm merges them, and a nil list is the default.
func TestMerge(t *testing.T) {
	t.Parallel()
	given := map[string]any{
		"service":        map[string]any{"type": "NodePort", "annotations": map[string]any{"a": "b"}},
		"networkPolicy":  map[string]any{"dns": []any{map[string]any{"ipBlock": map[string]any{"cidr": "192.0.2.53/32"}}}},
		"access":         map[string]any{"mode": "open"},
		"topologySpread": []any{},
	}
	v, err := charts.PrimaAPIWith(given)
	require.NoError(t, err)
	files, err := renderAs(load(t, "prima-api"), "prima-api", given)
	require.NoError(t, err)
	assert.Equal(t, files, render(t, "prima-api", v))
	v.TopologySpread = nil
	assert.NotEmpty(t, deployment(t, v).Spec.Template.Spec.TopologySpreadConstraints)

	_, err = charts.PrimaAPIWith(map[string]any{"servise": map[string]any{}})
	assert.ErrorContains(t, err, "servise")
}

// Ensure the chart of LocalStack has the values that the program sets, and the port that it uses.
func TestLocalStack(t *testing.T) {
	t.Parallel()
	c := load(t, "localstack")
	for _, key := range []string{"image", "nodePort", "authToken"} {
		assert.Contains(t, c.Values, key)
	}
	port := one[*corev1.Service](t, objectsOf(t, "localstack", localStack())).Spec.Ports[0]
	assert.EqualValues(t, charts.LocalStackPort, port.Port)
	assert.EqualValues(t, localStack()["nodePort"], port.NodePort)
}
