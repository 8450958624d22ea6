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
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/yaml"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

// render returns what a chart makes of values: the text of each template that is not empty, by its
// path in the chart, and the error of Helm.
func render(t testing.TB, chart string, values any) (map[string]string, error) {
	t.Helper()
	c, err := loader.Load(chart)
	require.NoError(t, err)
	given, ok := values.(map[string]any)
	if !ok {
		given, err = charts.Map(values)
		require.NoError(t, err)
	}
	release := chartutil.ReleaseOptions{Name: chart, Namespace: namespaceOf(chart), Revision: 1, IsInstall: true}
	merged, err := chartutil.ToRenderValues(c, given, release, nil)
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
			files[strings.TrimPrefix(name, chart+"/templates/")] = strings.TrimSpace(text) + "\n"
		}
	}
	return files, nil
}

// namespaceOf returns where the stack installs a chart.
func namespaceOf(chart string) string {
	return map[string]string{"prima-api": "prima", "localstack": "localstack", "namespaces": "default"}[chart]
}

// mustRender is render without an error.
func mustRender(t testing.TB, chart string, values any) map[string]string {
	t.Helper()
	files, err := render(t, chart, values)
	require.NoError(t, err)
	return files
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

// objects decodes what a chart renders as the types of Kubernetes 1.34. A field that Kubernetes does
// not know fails the test, and so does one that is written twice.
func objects(t testing.TB, files map[string]string) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		require.NoError(t, add(scheme))
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})

	var list []runtime.Object
	for _, document := range documents(files) {
		if strings.Contains(document, "kind: ServiceMonitor") {
			monitor := &serviceMonitor{}
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), monitor), document)
			list = append(list, monitor)
			continue
		}
		if strings.Contains(document, "kind: PrometheusRule") {
			rule := &prometheusRule{}
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), rule), document)
			list = append(list, rule)
			continue
		}
		if strings.Contains(document, "kind: HTTPRoute") {
			route := &httpRoute{}
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), route), document)
			list = append(list, route)
			continue
		}
		object, _, err := strict.Decode([]byte(document), nil, nil)
		require.NoError(t, err, document)
		list = append(list, object)
	}
	return list
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

// deployment returns the only Deployment that a chart makes of values.
func deployment(t testing.TB, chart string, values any) *appsv1.Deployment {
	t.Helper()
	return one[*appsv1.Deployment](t, objects(t, mustRender(t, chart, values)))
}

// The entries of two tokens.
var (
	ciEntry    = "ci:read+write:" + strings.Repeat("c1", 32)
	adminEntry = "admin:read:" + strings.Repeat("ad", 32)
)

// defaultAPI is the default with what it lacks: somebody who is let in.
func defaultAPI() charts.PrimaAPI {
	v := charts.DefaultPrimaAPI()
	v.Access.Tokens = []string{ciEntry, adminEntry}
	return v
}

// least returns the fewest values that a chart is content with.
func least(chart string) map[string]any {
	if chart == "prima-api" {
		return map[string]any{"access": map[string]any{"tokens": []any{ciEntry, adminEntry}}}
	}
	return map[string]any{}
}

// localAPI is the API as the local stack deploys it: on LocalStack, reached by a NodePort and an Ingress.
func localAPI() charts.PrimaAPI {
	c := config.Default()
	c.Endpoint = charts.ServiceURL("localstack", "localstack", 4566)
	c.AllowedHosts = append([]string{"prima-api.localhost", "prima-api.local"}, charts.ServiceHosts("prima-api", "prima")...)
	v := charts.DefaultPrimaAPI()
	v.Image.Tag = "0123456789ab"
	v.Config = charts.ConfigValues(c)
	v.Runtime = map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}
	v.Credentials = charts.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}
	v.Access.Mode = charts.AccessOpen
	v.Service.Type = "NodePort"
	v.Ingress.Enabled, v.Ingress.Host, v.Ingress.Aliases = true, "prima-api.localhost", []string{"prima-api.local"}
	return v
}

// extremeAPI sets everything that can be set, to something else than the default.
func extremeAPI() charts.PrimaAPI {
	c := config.Default()
	c.Port, c.AdminAddress, c.Region, c.Table, c.Bucket = 65535, "0.0.0.0", "eu-central-1", "people", "faces"
	c.DynamoDBEndpoint, c.S3Endpoint = "https://dynamodb.example.com", "http://192.0.2.7:9000/s3"
	c.PublicURL, c.CORSOrigins = "https://api.example.com/v1", []string{"https://a.example.com", "https://b.example.com"}
	c.AllowedHosts = []string{"api.example.com", "*.people.example.com"}
	c.MaxAvatarBytes = 64 << 20
	c.DrainTime, c.ShutdownTimeout = 90e9, 1500e6
	v := charts.DefaultPrimaAPI()
	v.FullnameOverride, v.NameOverride = "people", "persons"
	v.Image = charts.Image{Repository: "registry.example.com:5000/team/prima-api", Digest: "sha256:" + strings.Repeat("0f", 32), PullPolicy: "Always"}
	v.ImagePullSecrets = []charts.ObjectReference{{Name: "registry"}}
	v.Config = charts.ConfigValues(c)
	v.Runtime = map[string]string{"GOMEMLIMIT": "200MiB", "GOGC": "50"}
	v.Credentials = charts.Credentials{ExistingSecret: "aws"}
	v.Access = charts.Access{Mode: charts.AccessToken, ExistingSecret: "people-tokens", CheckSecret: "people-check"}
	v.Sweep = charts.Sweep{Enabled: true, Schedule: "@weekly", OlderThan: "36h", TimeoutSeconds: 60, Resources: charts.Resources{
		Requests: charts.Quantities{Memory: "512Mi", EphemeralStorage: "1Gi"},
		Limits:   charts.Quantities{CPU: "2", Memory: "1Gi", EphemeralStorage: "2Gi"},
	}, ServiceAccount: charts.ServiceAccount{Create: true, Name: "people-sweep", Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/sweep"}}}
	v.Service = charts.Service{Type: "LoadBalancer", Port: 8080, NodePort: 32767, Annotations: map[string]string{"example.com/internal": "true"}}
	v.Ingress = charts.Ingress{
		Enabled: true, ClassName: "traefik", Host: "api.example.com", Aliases: []string{"users.example.com"}, TLSSecretName: "api-tls",
		Annotations: map[string]string{"cert-manager.io/cluster-issuer": "letsencrypt"}, ControllerNamespace: "traefik",
	}
	v.HTTPRoute = charts.HTTPRoute{
		Enabled: true, Hostnames: []string{"api.example.com"},
		ParentRefs: []map[string]any{{"name": "public", "namespace": "gateway", "sectionName": "https"}},
	}
	v.Replicas, v.Autoscaling.Enabled = 7, false
	v.Resources = charts.Resources{
		Requests: charts.Quantities{CPU: "2", Memory: "1Gi", EphemeralStorage: "1Gi"},
		Limits:   charts.Quantities{Memory: "2Gi", EphemeralStorage: "2Gi"},
	}
	v.Rollout = charts.Rollout{TimeoutSeconds: 300}
	v.PodDisruptionBudget.MaxUnavailable = 3
	v.NetworkPolicy.DNS = []map[string]any{{"ipBlock": map[string]any{"cidr": "192.0.2.53/32"}}}
	v.NetworkPolicy.Ingress = []map[string]any{{"from": []any{map[string]any{"namespaceSelector": map[string]any{}}}}}
	v.NetworkPolicy.Egress = []map[string]any{{"to": []any{map[string]any{"ipBlock": map[string]any{"cidr": "198.51.100.0/24"}}}}}
	v.ServiceAccount = charts.ServiceAccount{Create: true, Name: "people-api", Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/people"}}
	v.Tracing = charts.Tracing{Endpoint: "https://traces.example.com/otlp", Share: 0.0625, HeadersSecret: "people-traces"}
	v.TopologySpread = []string{"topology.kubernetes.io/region"}
	v.PodAnnotations = map[string]string{"prometheus.io/scrape": "true"}
	v.PodLabels = map[string]string{"team": "people"}
	v.Scheduling = scheduling()
	return v
}

func scheduling() charts.Scheduling {
	return charts.Scheduling{
		NodeSelector: map[string]string{"kubernetes.io/arch": "arm64"},
		Tolerations:  []map[string]any{{"key": "dedicated", "operator": "Equal", "value": "api", "effect": "NoSchedule"}},
		Affinity: map[string]any{"nodeAffinity": map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": map[string]any{
			"nodeSelectorTerms": []any{map[string]any{"matchExpressions": []any{map[string]any{"key": "disk", "operator": "In", "values": []any{"ssd"}}}}},
		}}},
		PriorityClassName: "system-cluster-critical",
	}
}

// extremeLocalStack is another emulator in LocalStack's place, without root, and all else set.
func extremeLocalStack() charts.LocalStack {
	v := charts.DefaultLocalStack()
	v.FullnameOverride = "aws"
	v.Image = charts.Image{Repository: "registry.example.com/emulator", Tag: "2026.11", PullPolicy: "Always"}
	v.ImagePullSecrets = []charts.ObjectReference{{Name: "registry"}}
	v.Args = []string{"-addr", "0.0.0.0:4567"}
	v.Services, v.EagerServiceLoading = []string{"dynamodb"}, false
	v.Env = map[string]string{"DEBUG": "1"}
	v.AuthToken = "ls-token"
	v.Service = charts.Service{Type: "ClusterIP", Port: 4567, NodePort: 30000}
	v.RolloutTimeoutSeconds = 60
	v.WritablePaths = []string{"/data"}
	v.PodSecurityContext["runAsNonRoot"] = true
	v.SecurityContext["runAsUser"] = 65532
	v.NetworkPolicy.From = []map[string]any{{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "prima"}}}}
	v.PodAnnotations = map[string]string{"prometheus.io/scrape": "false"}
	v.PodLabels = map[string]string{"team": "platform"}
	v.Scheduling = scheduling()
	return v
}

// deployments are the values that the tests go through, by chart and by a name of their own.
func deployments() map[string]map[string]any {
	return map[string]map[string]any{
		"prima-api":  {"default": least("prima-api"), "local": localAPI(), "extreme": extremeAPI(), "monitored": monitoredAPI()},
		"localstack": {"default": map[string]any{}, "local": charts.DefaultLocalStack(), "extreme": extremeLocalStack()},
		"namespaces": {"default": map[string]any{}, "extreme": charts.Namespaces{Namespaces: []charts.Namespace{
			{Name: "a", PodSecurity: "privileged", Labels: map[string]string{"team": "people"}},
		}}},
	}
}

// forEach runs a test for every chart with every set of values.
func forEach(t *testing.T, test func(t *testing.T, chart string, values any)) {
	t.Helper()
	for chart, sets := range deployments() {
		for name, values := range sets {
			t.Run(chart+" "+name, func(t *testing.T) {
				t.Parallel()
				test(t, chart, values)
			})
		}
	}
}

// Ensure that nothing needs to be given but who is let in: the structs' defaults are those of values.yaml.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for chart, values := range map[string]any{
		"prima-api": defaultAPI(), "localstack": charts.DefaultLocalStack(), "namespaces": charts.DefaultNamespaces(),
	} {
		assert.Equal(t, mustRender(t, chart, least(chart)), mustRender(t, chart, values), chart)
	}
}

// Ensure a list that is nil leaves the chart's default, and one that is empty takes its place.
func TestMap(t *testing.T) {
	t.Parallel()
	v := defaultAPI()
	v.TopologySpread = nil
	m, err := charts.Map(v)
	require.NoError(t, err)
	assert.NotContains(t, m, "topologySpread")
	assert.NotEmpty(t, deployment(t, "prima-api", v).Spec.Template.Spec.TopologySpreadConstraints)

	v.TopologySpread = []string{}
	assert.Empty(t, deployment(t, "prima-api", v).Spec.Template.Spec.TopologySpreadConstraints)

	v.Affinity = map[string]any{"a": make(chan int)}
	_, err = charts.Map(v)
	assert.ErrorContains(t, err, "values of a chart")
}
