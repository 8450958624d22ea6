package charts_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// The entries of two tokens.
var (
	ciEntry    = "ci:read+write:" + strings.Repeat("c1", 32)
	adminEntry = "admin:read:" + strings.Repeat("ad", 32)
)

// apis are the values that the tests of invariants go through.
func apis() map[string]charts.PrimaAPI {
	return map[string]charts.PrimaAPI{"open": openAPI(), "token": tokenAPI(), "local": localAPI(), "full": fullAPI()}
}

// forEach runs a test for each of the values.
func forEach(t *testing.T, test func(t *testing.T, values charts.PrimaAPI)) {
	t.Helper()
	for name, values := range apis() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, values)
		})
	}
}

// deployment returns the Deployment of the API.
func deployment(t testing.TB, values charts.PrimaAPI) *appsv1.Deployment {
	t.Helper()
	return one[*appsv1.Deployment](t, objectsOf(t, "prima-api", values))
}

// openAPI is the defaults with everybody let in.
func openAPI() charts.PrimaAPI {
	v := charts.DefaultPrimaAPI()
	v.Access.Mode = charts.AccessOpen
	return v
}

// tokenAPI is the defaults with two callers let in.
func tokenAPI() charts.PrimaAPI {
	v := charts.DefaultPrimaAPI()
	v.Access.Tokens = []string{ciEntry, adminEntry}
	return v
}

// localAPI is the API as the local stack deploys it: on LocalStack, reached by a NodePort and an Ingress.
func localAPI() charts.PrimaAPI {
	c := config.Default()
	c.Endpoint = charts.ServiceURL("localstack", "localstack", charts.LocalStackPort)
	c.AllowedHosts = append([]string{"prima-api.localhost"}, charts.ServiceHosts("prima-api", "prima")...)
	v := openAPI()
	v.Image.Tag = "0123456789ab"
	v.Config = charts.ConfigValues(c)
	v.Runtime = map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}
	v.Credentials = charts.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}
	v.Service.Type = "NodePort"
	v.Ingress.Enabled, v.Ingress.Host, v.Ingress.Aliases = true, "prima-api.localhost", []string{"prima-api.local"}
	return v
}

func localStack() charts.LocalStack {
	return charts.LocalStack{Image: "localstack/localstack:4.14.0", NodePort: 31566}
}

// fullAPI has everything on, and sets whatever can be set to something else than its default, but for
// the names of the objects.
func fullAPI() charts.PrimaAPI {
	c := config.Default()
	c.Port, c.AdminAddress, c.Region, c.Table, c.Bucket = 65535, "0.0.0.0", "eu-central-1", "people", "faces"
	c.Endpoint, c.DynamoDBEndpoint = "http://unused:4566", "https://dynamodb.example.com"
	c.S3Endpoint, c.PublicURL = "http://192.0.2.7:9000/s3", "https://api.example.com/v1"
	c.CORSOrigins = []string{"https://a.example.com", "https://b.example.com"}
	c.AllowedHosts = []string{"api.example.com", "*.people.example.com"}
	c.MaxAvatarBytes, c.DrainTime, c.ShutdownTimeout = 64<<20, 90*time.Second, 1500*time.Millisecond

	v := charts.DefaultPrimaAPI()
	v.Image = charts.Image{
		Repository: "registry.example.com:5000/team/prima-api", Digest: "sha256:" + strings.Repeat("0f", 32), PullPolicy: "Always",
	}
	v.ImagePullSecrets = []charts.ObjectReference{{Name: "registry"}}
	v.Config = charts.ConfigValues(c)
	v.Runtime = map[string]string{"GOMEMLIMIT": "200MiB", "GOGC": "50"}
	v.Credentials = charts.Credentials{ExistingSecret: "aws"}
	v.Access = charts.Access{Mode: charts.AccessToken, ExistingSecret: "people-tokens", CheckSecret: "people-check"}
	v.Service = charts.Service{
		Type: "LoadBalancer", Port: 8080, NodePort: 32767, Annotations: map[string]string{"example.com/internal": "true"},
	}
	v.Ingress = charts.Ingress{
		Enabled: true, ClassName: "traefik", Host: "api.example.com", Aliases: []string{"users.example.com"},
		TLSSecretName: "api-tls", ControllerNamespace: "traefik",
		Annotations: map[string]string{"cert-manager.io/cluster-issuer": "letsencrypt"},
	}
	v.HTTPRoute.Enabled, v.HTTPRoute.Hostnames = true, []string{"api.example.com"}
	v.HTTPRoute.ParentRefs = []map[string]any{{"name": "public", "namespace": "gateway", "sectionName": "https"}}

	v.Autoscaling = charts.Autoscaling{Enabled: true, MinReplicas: 3, MaxReplicas: 9, CPUPercent: 60, MemoryPercent: 75}
	v.Resources = charts.Resources{
		Requests: charts.Quantities{CPU: "2", Memory: "1Gi", EphemeralStorage: "1Gi"},
		Limits:   charts.Quantities{Memory: "2Gi", EphemeralStorage: "2Gi"},
	}
	v.Rollout = charts.Rollout{TimeoutSeconds: 300, PreStopSleepSeconds: 20}
	v.PodDisruptionBudget.MaxUnavailable = 3
	v.Sweep = charts.Sweep{
		Enabled: true, Schedule: "@weekly", OlderThan: "36h", TimeoutSeconds: 60, Resources: v.Resources,
		ServiceAccount: charts.ServiceAccount{Create: true, Name: "people-sweep", Annotations: role("sweep")},
	}

	v.NetworkPolicy.DNS = []map[string]any{{"ipBlock": map[string]any{"cidr": "192.0.2.53/32"}}}
	v.NetworkPolicy.Ingress = []map[string]any{{"from": []any{map[string]any{"namespaceSelector": map[string]any{}}}}}
	v.NetworkPolicy.Egress = []map[string]any{{"to": []any{map[string]any{"ipBlock": map[string]any{"cidr": "198.51.100.0/24"}}}}}
	prometheus := map[string]string{"release": "prometheus"}
	v.Monitoring = charts.Monitoring{
		Namespace:      "observability",
		ServiceMonitor: charts.ServiceMonitor{Enabled: true, Interval: "15s", Labels: prometheus},
		PrometheusRule: charts.PrometheusRule{
			Enabled: true, KubeStateMetrics: true, RunbookURL: "https://example.com/operations", Labels: prometheus,
		},
		Dashboard: charts.Dashboard{
			Enabled: true, Labels: map[string]string{"grafana_dashboard": "1"},
			Annotations: map[string]string{"grafana_folder": "people"},
		},
	}
	v.Tracing = charts.Tracing{Endpoint: "https://traces.example.com/otlp", Share: 0.0625, HeadersSecret: "people-traces"}
	v.ServiceAccount = charts.ServiceAccount{Create: true, Name: "people-api", Annotations: role("people")}
	v.TopologySpread = []string{"topology.kubernetes.io/region"}
	v.PodAnnotations = map[string]string{"prometheus.io/scrape": "true"}
	v.PodLabels = map[string]string{"team": "people"}
	v.Scheduling = charts.Scheduling{
		NodeSelector: map[string]string{"kubernetes.io/arch": "arm64"},
		Tolerations:  []map[string]any{{"key": "dedicated", "operator": "Equal", "value": "api", "effect": "NoSchedule"}},
		Affinity: map[string]any{"podAntiAffinity": map[string]any{
			"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{
				"weight": 1, "podAffinityTerm": map[string]any{"topologyKey": "kubernetes.io/hostname"},
			}},
		}},
		PriorityClassName: "system-cluster-critical",
	}
	return v
}

// role returns the annotation of a service account that has a role.
func role(name string) map[string]string {
	return map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/" + name}
}
