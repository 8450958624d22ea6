package charts_test

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
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
func documents(files map[string]string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == "NOTES.txt" {
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
func objects(t testing.TB, files map[string]string) (list []runtime.Object) {
	t.Helper()
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme,
		json.SerializerOptions{Yaml: true, Strict: true})
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
func find[T runtime.Object](list []runtime.Object) (found []T) {
	for _, object := range list {
		if o, ok := object.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

// deployment returns the only Deployment.
func deployment(t testing.TB, list []runtime.Object) *appsv1.Deployment {
	t.Helper()
	found := find[*appsv1.Deployment](list)
	require.Len(t, found, 1)
	return found[0]
}

// pods returns the templates of all pods by the kind of their owner: Deployment, CronJob or Pod.
func pods(list []runtime.Object) map[string]corev1.PodTemplateSpec {
	found := map[string]corev1.PodTemplateSpec{}
	for _, d := range find[*appsv1.Deployment](list) {
		found["Deployment"] = d.Spec.Template
	}
	for _, c := range find[*batchv1.CronJob](list) {
		found["CronJob"] = c.Spec.JobTemplate.Spec.Template
	}
	for _, p := range find[*corev1.Pod](list) {
		found["Pod"] = corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
	}
	return found
}
