package charts

import "prima.internal/app/config"

// PrimaAPI is the values of the chart prima-api. Start from [DefaultPrimaAPI].
type PrimaAPI struct {
	Naming

	// Container image of the API.
	Image Image `json:"image" jsonschema:"required"`
	// Secrets with credentials for the image's registry.
	ImagePullSecrets []ObjectReference `json:"imagePullSecrets,omitzero"`

	// Settings of the API, keyed by environment variable: the contract in app/config.
	Config map[string]string `json:"config" jsonschema:"required"`
	// Variables that are read by others than the API's own code, such as the AWS SDK. GOMEMLIMIT is
	// derived from the resources unless it is set here.
	Runtime map[string]string `json:"runtime,omitzero"`
	// Static credentials for AWS or an emulator. None: the AWS SDK takes the role of the service account.
	Credentials Credentials `json:"credentials" jsonschema:"required"`
	// Who may call the API. Somebody must be named before it is installed, or everybody be let in by mode open.
	Access Access `json:"access" jsonschema:"required"`

	// How the API is reached inside the cluster and, by a NodePort, from outside.
	Service Service `json:"service" jsonschema:"required"`
	// A host of an Ingress controller that leads to the API.
	Ingress Ingress `json:"ingress" jsonschema:"required"`
	// A route of the Gateway API that leads to the API.
	HTTPRoute HTTPRoute `json:"httpRoute" jsonschema:"required"`

	// Number of pods where autoscaling is off.
	Replicas int `json:"replicas" jsonschema:"required,minimum=0"`
	// Autoscaling by load. It is on by default: without a metrics server it keeps minReplicas, and with
	// one there is nothing to remember on the day of the load.
	Autoscaling Autoscaling `json:"autoscaling" jsonschema:"required"`
	// Requests and limits of the container. An avatar is held in memory while it is stored.
	Resources Resources `json:"resources" jsonschema:"required"`
	// Percentage of the memory request that GOMEMLIMIT is set to. It must be below
	// autoscaling.memoryPercent: a heap that fills its limit would otherwise keep every replica alive.
	GoMemoryPercent int `json:"goMemoryPercent" jsonschema:"required,minimum=10,maximum=95"`

	// What the kubelet asks the API, on ADMIN_PORT; the paths are those of the contract.
	Probes Probes `json:"probes" jsonschema:"required"`
	// How a new version takes the place of the old one.
	Rollout Rollout `json:"rollout" jsonschema:"required"`
	// How many pods a drained node may take away at once.
	PodDisruptionBudget PodDisruptionBudget `json:"podDisruptionBudget" jsonschema:"required"`
	// The regular removal of avatars that no user names, such as one whose user could not be stored.
	Sweep Sweep `json:"sweep" jsonschema:"required"`
	// Who may talk to the API, and whom it may talk to. The pods of the sweep talk to the same, and nobody to them.
	NetworkPolicy APINetworkPolicy `json:"networkPolicy" jsonschema:"required"`
	// How the API is watched. Metrics are served in any case, on ADMIN_PORT of each pod.
	Monitoring Monitoring `json:"monitoring" jsonschema:"required"`
	// Where traces of requests go. The network policy lets the API out to there.
	Tracing Tracing `json:"tracing" jsonschema:"required"`
	// Identity of the pods. Its token is not mounted: the API does not talk to Kubernetes.
	ServiceAccount ServiceAccount `json:"serviceAccount" jsonschema:"required"`

	// Labels of nodes that the pods are spread over as far as possible.
	TopologySpread []string `json:"topologySpread,omitzero"`
	// Additional annotations of the pods, those of the sweep too.
	PodAnnotations map[string]string `json:"podAnnotations,omitzero"`
	// Additional labels of the pods, those of the sweep too.
	PodLabels map[string]string `json:"podLabels,omitzero"`
	Scheduling
}

// Credentials are static credentials of AWS.
type Credentials struct {
	// Access key; with secretAccessKey it is put into a Secret of the release.
	AccessKeyID string `json:"accessKeyID"`
	// Secret key.
	SecretAccessKey string `json:"secretAccessKey"`
	// Name of a Secret to use instead, with the keys AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and,
	// if they expire, AWS_SESSION_TOKEN.
	ExistingSecret string `json:"existingSecret"`
}

// The values of [Access].Mode.
const (
	AccessToken = "token"
	AccessOpen  = "open"
)

// Access is who may call the API.
type Access struct {
	// Who is let in: token asks every caller for a bearer token, but for the probes; open lets everybody
	// do everything.
	Mode string `json:"mode" jsonschema:"required,enum=token,enum=open"`
	// Who has a token, as entries name:scope:hash that prima-api token NAME SCOPE prints beside the token.
	// They are put into a Secret of the release. Several may be valid at a time; who is taken out is not let in any more.
	Tokens []string `json:"tokens,omitzero" jsonschema:"uniqueItems=true,pattern=^[a-z0-9]([a-z0-9-]{0\\,61}[a-z0-9])?:(read|write|read[+]write):[0-9a-f]{64}$"`
	// Name of a Secret to use instead, with such entries, separated by commas, under the key ACCESS_TOKENS.
	// The API does not start on an empty one. Pods read it when they start: restart them after a change.
	ExistingSecret string `json:"existingSecret"`
	// Name of a Secret with a token itself, of the scope read+write, under the key API_TOKEN, for helm test.
	// The chart knows only hashes; where mode is token and this is empty, there is no test to run, and
	// helm test says TEST SUITE: None.
	CheckSecret string `json:"checkSecret"`
}

// Ingress is the way in through an Ingress controller.
type Ingress struct {
	// Whether there is an Ingress.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// Class of the Ingress controller.
	ClassName string `json:"className"`
	// Host that leads to the API.
	Host string `json:"host" jsonschema:"required,pattern=^(\\*\\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"`
	// Other hosts that lead to the API.
	Aliases []string `json:"aliases,omitzero" jsonschema:"pattern=^(\\*\\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"`
	// Secret with the certificate of the hosts; empty serves plain HTTP.
	TLSSecretName string `json:"tlsSecretName"`
	// Annotations of the Ingress. By default Pulumi does not wait for it: without a controller it would never be ready.
	Annotations map[string]string `json:"annotations,omitzero"`
	// Namespace of the Ingress controller, which the network policy lets in.
	ControllerNamespace string `json:"controllerNamespace" jsonschema:"required,minLength=1"`
}

// HTTPRoute is the way in through a Gateway.
type HTTPRoute struct {
	// Whether there is an HTTPRoute; the cluster must have the Gateway API.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// Gateways that the route is attached to. Their pods are let in by networkPolicy.ingress.
	ParentRefs []map[string]any `json:"parentRefs,omitzero"`
	// Hosts that lead to the API; none takes those of the Gateway.
	Hostnames []string `json:"hostnames,omitzero"`
	// Annotations of the HTTPRoute. By default Pulumi does not wait for it.
	Annotations map[string]string `json:"annotations,omitzero"`
}

// Autoscaling is a HorizontalPodAutoscaler.
type Autoscaling struct {
	// Whether the number of pods follows the load.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// Least number of pods.
	MinReplicas int `json:"minReplicas" jsonschema:"required,minimum=1"`
	// Greatest number of pods.
	MaxReplicas int `json:"maxReplicas" jsonschema:"required,minimum=1"`
	// CPU that the pods should use on average, in percent of the request.
	CPUPercent int `json:"cpuPercent" jsonschema:"required,minimum=1"`
	// Memory that the pods should use on average, in percent of the request.
	MemoryPercent int `json:"memoryPercent" jsonschema:"required,minimum=1"`
}

// Rollout is how a Deployment replaces its pods.
type Rollout struct {
	// Seconds after which pods that do not start fail the update, in Kubernetes' status and in Pulumi.
	TimeoutSeconds int `json:"timeoutSeconds" jsonschema:"required,minimum=30"`
	// Seconds that a new pod must be ready before an old one goes.
	MinReadySeconds int `json:"minReadySeconds" jsonschema:"required,minimum=0"`
	// Former versions that are kept for kubectl rollout undo.
	RevisionHistoryLimit int `json:"revisionHistoryLimit" jsonschema:"required,minimum=0"`
	// Seconds between a pod's leaving the Service and SIGTERM; until then it is still sent requests.
	// The grace period is this, DRAIN_TIME, SHUTDOWN_TIMEOUT and 5 seconds to spare.
	PreStopSleepSeconds int `json:"preStopSleepSeconds" jsonschema:"required,minimum=0,maximum=600"`
}

// PodDisruptionBudget is what voluntary disruptions must leave.
type PodDisruptionBudget struct {
	// Whether there is a PodDisruptionBudget.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// How many pods may be missing at once.
	MaxUnavailable int `json:"maxUnavailable" jsonschema:"required,minimum=1"`
}

// Sweep is a CronJob that removes avatars.
type Sweep struct {
	// Whether there is a CronJob.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// When it runs, in the notation of cron and in UTC.
	Schedule string `json:"schedule" jsonschema:"required,pattern=^(@(hourly|daily|midnight|weekly|monthly)|[^ ]+( [^ ]+){4})$"`
	// Age below which an avatar stays, such as 1h or 90m: while a request is served, its avatar is stored and
	// no user names it yet. Less than what REQUEST_TIMEOUT allows for is refused by the sweep.
	OlderThan string `json:"olderThan" jsonschema:"required,pattern=^([0-9]+([.][0-9]+)?(s|m|h))+$"`
	// Seconds after which a run is ended, its retries included.
	TimeoutSeconds int `json:"timeoutSeconds" jsonschema:"required,minimum=60"`
	// Requests and limits of the container. GOMEMLIMIT follows from them as it does for the API.
	Resources Resources `json:"resources" jsonschema:"required"`
	// Identity of the pods of the sweep, which need less of AWS than those of the API. If the chart does not make it and it
	// has no name, it is that of the API.
	ServiceAccount ServiceAccount `json:"serviceAccount" jsonschema:"required"`
}

// APINetworkPolicy is what the pods of the API may send and receive. Where they may send to follows
// from the endpoints in the settings: a Service in the cluster, an address, or AWS itself.
type APINetworkPolicy struct {
	// Whether there is a NetworkPolicy; it takes a network plugin that heeds it.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// Who answers DNS, as peers of a NetworkPolicy: by default the cluster's DNS and its node-local cache.
	DNS []map[string]any `json:"dns,omitzero"`
	// Additional rules for what is let in. Let in are already the pods of the namespace, the Ingress
	// controller if ingress.enabled, and everybody if service.type is NodePort or LoadBalancer.
	Ingress []map[string]any `json:"ingress,omitzero"`
	// Additional rules for what is let out.
	Egress []map[string]any `json:"egress,omitzero"`
}

// Monitoring is what a Prometheus operator and a Grafana are given. Each is off by default: the cluster must know it.
type Monitoring struct {
	// Namespace that Prometheus scrapes from. The network policy lets its pods in to ADMIN_PORT, and no others.
	Namespace string `json:"namespace" jsonschema:"required,minLength=1"`
	// What has Prometheus scrape the pods, with a headless Service of their admin port.
	ServiceMonitor ServiceMonitor `json:"serviceMonitor" jsonschema:"required"`
	// Alerts for what docs/reliability.md promises. They watch what the ServiceMonitor has scraped.
	PrometheusRule PrometheusRule `json:"prometheusRule" jsonschema:"required"`
	// A dashboard in a ConfigMap, which the sidecar of Grafana's chart loads.
	Dashboard Dashboard `json:"dashboard" jsonschema:"required"`
}

// ServiceMonitor is an object of the Prometheus operator.
type ServiceMonitor struct {
	// Whether there is a ServiceMonitor; the cluster must have monitoring.coreos.com/v1.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// Time between two scrapes.
	Interval string `json:"interval" jsonschema:"required,pattern=^[1-9][0-9]*(s|m)$"`
	// Labels that Prometheus selects it by, such as release.
	Labels map[string]string `json:"labels,omitzero"`
}

// PrometheusRule is an object of the Prometheus operator.
type PrometheusRule struct {
	// Whether there is a PrometheusRule; the cluster must have monitoring.coreos.com/v1.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// Whether there are kube-state-metrics, for the alerts on restarts and on the sweep.
	KubeStateMetrics bool `json:"kubeStateMetrics" jsonschema:"required"`
	// Where docs/operations.md is found, which says of each alert what to do.
	RunbookURL string `json:"runbookURL" jsonschema:"required,minLength=1"`
	// Labels that Prometheus selects it by, such as release.
	Labels map[string]string `json:"labels,omitzero"`
}

// Dashboard is a ConfigMap with a dashboard of Grafana's.
type Dashboard struct {
	// Whether there is a ConfigMap.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// Labels that the sidecar selects it by.
	Labels map[string]string `json:"labels,omitzero"`
	// Annotations, such as grafana_folder.
	Annotations map[string]string `json:"annotations,omitzero"`
}

// Tracing is where traces go.
type Tracing struct {
	// URL of a collector of OTLP over HTTP, such as http://collector.observability.svc:4318; empty traces nothing.
	Endpoint string `json:"endpoint" jsonschema:"pattern=^(https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]+)?(/[^?# ]*)?)?$"`
	// Share of the requests that are traced, from 0 to 1, where a caller has not decided it.
	Share float64 `json:"share" jsonschema:"required,minimum=0,maximum=1"`
	// Name of a Secret with the headers that the collector asks for, as name=value,name=value under the key
	// OTEL_EXPORTER_OTLP_HEADERS.
	HeadersSecret string `json:"headersSecret"`
}

// ServiceAccount is the identity of the pods.
type ServiceAccount struct {
	// Whether the chart makes the service account.
	Create bool `json:"create" jsonschema:"required"`
	// Name of the service account; empty takes that of the objects, or default if the chart makes none.
	Name string `json:"name"`
	// Annotations of the service account, such as eks.amazonaws.com/role-arn.
	Annotations map[string]string `json:"annotations,omitzero"`
}

// DefaultPrimaAPI returns what values.yaml of the chart prima-api holds: the API as it runs on AWS.
func DefaultPrimaAPI() PrimaAPI {
	return PrimaAPI{
		Image:       Image{Repository: "prima-api", PullPolicy: "IfNotPresent"},
		Config:      ConfigValues(config.Default()),
		Access:      Access{Mode: AccessToken},
		Service:     Service{Type: "ClusterIP", Port: 80, NodePort: 30000, Annotations: skipAwait()},
		Ingress:     Ingress{ClassName: "nginx", Host: "prima-api.local", Annotations: skipAwait(), ControllerNamespace: "ingress-nginx"},
		HTTPRoute:   HTTPRoute{Annotations: skipAwait()},
		Replicas:    2,
		Autoscaling: Autoscaling{Enabled: true, MinReplicas: 2, MaxReplicas: 5, CPUPercent: 50, MemoryPercent: 80},
		Resources: Resources{
			Requests: Quantities{CPU: "100m", Memory: "128Mi", EphemeralStorage: "64Mi"},
			Limits:   Quantities{CPU: "1", Memory: "256Mi", EphemeralStorage: "256Mi"},
		},
		GoMemoryPercent: 70,
		Probes: Probes{
			Startup:   Probe{Path: config.PathHealth, PeriodSeconds: 1, TimeoutSeconds: 1, FailureThreshold: 60},
			Liveness:  Probe{Path: config.PathHealth, PeriodSeconds: 10, TimeoutSeconds: 3, FailureThreshold: 3},
			Readiness: Probe{Path: config.PathReady, PeriodSeconds: 2, TimeoutSeconds: 2, FailureThreshold: 3},
		},
		Rollout:             Rollout{TimeoutSeconds: 110, MinReadySeconds: 3, RevisionHistoryLimit: 3, PreStopSleepSeconds: 5},
		PodDisruptionBudget: PodDisruptionBudget{Enabled: true, MaxUnavailable: 1},
		Sweep: Sweep{
			Enabled: true, Schedule: "17 3 * * *", OlderThan: "1h", TimeoutSeconds: 3600,
			Resources: Resources{
				Requests: Quantities{CPU: "50m", Memory: "64Mi", EphemeralStorage: "16Mi"},
				Limits:   Quantities{CPU: "500m", Memory: "128Mi", EphemeralStorage: "64Mi"},
			},
			ServiceAccount: ServiceAccount{Create: true},
		},
		NetworkPolicy: APINetworkPolicy{Enabled: true, DNS: clusterDNS()},
		Monitoring: Monitoring{
			Namespace:      "monitoring",
			ServiceMonitor: ServiceMonitor{Interval: "30s"},
			PrometheusRule: PrometheusRule{RunbookURL: "docs/operations.md"},
			Dashboard:      Dashboard{Labels: map[string]string{"grafana_dashboard": "1"}},
		},
		Tracing:        Tracing{Share: 1},
		ServiceAccount: ServiceAccount{Create: true},
		TopologySpread: []string{"kubernetes.io/hostname", "topology.kubernetes.io/zone"},
	}
}

// ConfigValues returns a configuration, but for its secrets, as the chart's value config.
func ConfigValues(c config.Config) map[string]string {
	values := map[string]string{}
	for _, v := range c.Environ() {
		if !v.Secret {
			values[v.Name] = v.Value
		}
	}
	return values
}

// AccessTokens returns those whom a configuration lets in as the chart's value access.tokens.
func AccessTokens(c config.Config) []string {
	var entries []string
	for _, t := range c.AccessTokens {
		entries = append(entries, t.String())
	}
	return entries
}

// clusterDNS is CoreDNS by the labels that kubeadm, Minikube, EKS, GKE and AKS give it, and the
// address of NodeLocal DNSCache (https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/).
func clusterDNS() []map[string]any {
	return []map[string]any{
		{
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "kube-system"}},
			"podSelector":       map[string]any{"matchLabels": map[string]any{"k8s-app": "kube-dns"}},
		},
		{"ipBlock": map[string]any{"cidr": "169.254.20.10/32"}},
	}
}
