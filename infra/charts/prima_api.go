package charts

import (
	_ "embed"
	"encoding/json"

	"sigs.k8s.io/yaml"

	"prima.internal/app/config"
)

//go:embed prima-api/values.yaml
var defaults []byte

// DefaultPrimaAPI returns the defaults of the chart prima-api: its values.yaml. A fault in that file
// is one of the program, and panics.
func DefaultPrimaAPI() PrimaAPI {
	var values PrimaAPI
	if err := yaml.UnmarshalStrict(defaults, &values); err != nil {
		panic("charts/prima-api/values.yaml: " + err.Error())
	}
	return values
}

// PrimaAPIWith returns the defaults with values over them, as Helm merges them: a map is merged into its
// default, anything else takes the place of it.
func PrimaAPIWith(values map[string]any) (merged PrimaAPI, err error) {
	all, err := Map(DefaultPrimaAPI())
	if err != nil {
		return merged, err
	}
	mergeInto(all, values)
	data, err := json.Marshal(all)
	if err != nil {
		return merged, err
	}
	return merged, yaml.UnmarshalStrict(data, &merged)
}

func mergeInto(all, values map[string]any) {
	for key, value := range values {
		into, isMap := all[key].(map[string]any)
		if group, ok := value.(map[string]any); ok && isMap {
			mergeInto(into, group)
		} else {
			all[key] = value
		}
	}
}

// PrimaAPI is the values of the chart prima-api. Start from [DefaultPrimaAPI]. What each value means
// is in values.yaml; what it may be is in the tags here, of which values.schema.json is generated.
type PrimaAPI struct {
	Naming
	Image            Image             `json:"image"`
	ImagePullSecrets []ObjectReference `json:"imagePullSecrets,omitzero"`

	Config      map[string]string `json:"config"`
	Runtime     map[string]string `json:"runtime,omitzero"`
	Credentials Credentials       `json:"credentials"`
	Access      Access            `json:"access"`

	Service   Service   `json:"service"`
	Ingress   Ingress   `json:"ingress"`
	HTTPRoute HTTPRoute `json:"httpRoute"`

	Replicas            int                 `json:"replicas" jsonschema:"minimum=0"`
	Autoscaling         Autoscaling         `json:"autoscaling"`
	Resources           Resources           `json:"resources"`
	GoMemoryPercent     int                 `json:"goMemoryPercent" jsonschema:"minimum=10,maximum=95"`
	Probes              Probes              `json:"probes"`
	Rollout             Rollout             `json:"rollout"`
	PodDisruptionBudget PodDisruptionBudget `json:"podDisruptionBudget"`
	Sweep               Sweep               `json:"sweep"`

	NetworkPolicy  APINetworkPolicy `json:"networkPolicy"`
	Monitoring     Monitoring       `json:"monitoring"`
	Tracing        Tracing          `json:"tracing"`
	ServiceAccount ServiceAccount   `json:"serviceAccount"`

	TopologySpread []string          `json:"topologySpread,omitzero"`
	PodAnnotations map[string]string `json:"podAnnotations,omitzero"`
	PodLabels      map[string]string `json:"podLabels,omitzero"`
	Scheduling
}

// Naming overrides how the objects of a release are called.
type Naming struct {
	NameOverride     string `json:"nameOverride" jsonschema:"maxLength=53,pattern=^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"`
	FullnameOverride string `json:"fullnameOverride" jsonschema:"maxLength=53,pattern=^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"`
}

// Image is a container image.
type Image struct {
	Repository string `json:"repository" jsonschema:"minLength=1,pattern=^[a-z0-9][a-zA-Z0-9._/:-]*$"`
	Tag        string `json:"tag" jsonschema:"pattern=^([A-Za-z0-9_][A-Za-z0-9._-]{0\\,127})?$"`
	Digest     string `json:"digest" jsonschema:"pattern=^(sha256:[0-9a-f]{64})?$"`
	PullPolicy string `json:"pullPolicy" jsonschema:"enum=Always,enum=IfNotPresent,enum=Never"`
}

// ObjectReference names an object of the release's namespace.
type ObjectReference struct {
	Name string `json:"name" jsonschema:"required,minLength=1"`
}

// Credentials are static credentials of AWS.
type Credentials struct {
	AccessKeyID     string `json:"accessKeyID"`
	SecretAccessKey string `json:"secretAccessKey"`
	ExistingSecret  string `json:"existingSecret"`
}

// The values of [Access].Mode.
const (
	AccessToken = "token"
	AccessOpen  = "open"
)

// Access is who may call the API.
type Access struct {
	Mode           string   `json:"mode" jsonschema:"enum=token,enum=open"`
	Tokens         []string `json:"tokens,omitzero" jsonschema:"uniqueItems=true"`
	ExistingSecret string   `json:"existingSecret"`
	CheckSecret    string   `json:"checkSecret"`
}

// Service is how the pods are reached.
type Service struct {
	Type        string            `json:"type" jsonschema:"enum=ClusterIP,enum=NodePort,enum=LoadBalancer"`
	Port        int               `json:"port" jsonschema:"minimum=1,maximum=65535"`
	NodePort    int               `json:"nodePort" jsonschema:"minimum=30000,maximum=32767"`
	Annotations map[string]string `json:"annotations,omitzero"`
}

// Ingress is the way in through an Ingress controller.
type Ingress struct {
	Enabled   bool     `json:"enabled"`
	ClassName string   `json:"className"`
	Host      string   `json:"host" jsonschema:"pattern=^(\\*\\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"`
	Aliases   []string `json:"aliases,omitzero" jsonschema:"pattern=^(\\*\\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"`

	TLSSecretName       string            `json:"tlsSecretName"`
	Annotations         map[string]string `json:"annotations,omitzero"`
	ControllerNamespace string            `json:"controllerNamespace" jsonschema:"minLength=1"`
}

// HTTPRoute is the way in through a Gateway.
type HTTPRoute struct {
	Enabled     bool              `json:"enabled"`
	ParentRefs  []map[string]any  `json:"parentRefs,omitzero"`
	Hostnames   []string          `json:"hostnames,omitzero"`
	Annotations map[string]string `json:"annotations,omitzero"`
}

// Autoscaling is a HorizontalPodAutoscaler.
type Autoscaling struct {
	Enabled       bool `json:"enabled"`
	MinReplicas   int  `json:"minReplicas" jsonschema:"minimum=1"`
	MaxReplicas   int  `json:"maxReplicas" jsonschema:"minimum=1"`
	CPUPercent    int  `json:"cpuPercent" jsonschema:"minimum=1"`
	MemoryPercent int  `json:"memoryPercent" jsonschema:"minimum=1"`
}

// Resources are the requests and limits of a container.
type Resources struct {
	Requests Quantities `json:"requests"`
	Limits   Quantities `json:"limits"`
}

// Quantities are amounts of resources in the notation of Kubernetes.
type Quantities struct {
	CPU              string `json:"cpu" jsonschema:"pattern=^([0-9]+m?|[0-9]+\\.[0-9]+)?$"` // empty sets none
	Memory           string `json:"memory" jsonschema:"pattern=^[1-9][0-9]*(Ki|Mi|Gi)$"`
	EphemeralStorage string `json:"ephemeral-storage" jsonschema:"pattern=^[1-9][0-9]*(Ki|Mi|Gi)$"`
}

// Probes are what the kubelet asks a container.
type Probes struct {
	Startup   Probe `json:"startup"`
	Liveness  Probe `json:"liveness"`
	Readiness Probe `json:"readiness"`
}

// Probe is an HTTP path with the periods of Kubernetes.
type Probe struct {
	Path             string `json:"path" jsonschema:"pattern=^/"`
	PeriodSeconds    int    `json:"periodSeconds" jsonschema:"minimum=1"`
	TimeoutSeconds   int    `json:"timeoutSeconds" jsonschema:"minimum=1"`
	FailureThreshold int    `json:"failureThreshold" jsonschema:"minimum=1"`
}

// Rollout is how a Deployment replaces its pods. Their grace period is PreStopSleepSeconds, DRAIN_TIME,
// SHUTDOWN_TIMEOUT and 5 seconds to spare.
type Rollout struct {
	TimeoutSeconds       int `json:"timeoutSeconds" jsonschema:"minimum=30"`
	MinReadySeconds      int `json:"minReadySeconds" jsonschema:"minimum=0"`
	RevisionHistoryLimit int `json:"revisionHistoryLimit" jsonschema:"minimum=0"`
	PreStopSleepSeconds  int `json:"preStopSleepSeconds" jsonschema:"minimum=0,maximum=600"`
}

// PodDisruptionBudget is what voluntary disruptions must leave.
type PodDisruptionBudget struct {
	Enabled        bool `json:"enabled"`
	MaxUnavailable int  `json:"maxUnavailable" jsonschema:"minimum=1"`
}

// Sweep is a CronJob that removes avatars.
type Sweep struct {
	Enabled   bool   `json:"enabled"`
	Schedule  string `json:"schedule" jsonschema:"pattern=^(@(hourly|daily|midnight|weekly|monthly)|\\S+( \\S+){4})$"`
	OlderThan string `json:"olderThan" jsonschema:"pattern=^([0-9]+([.][0-9]+)?(s|m|h))+$"`

	TimeoutSeconds int            `json:"timeoutSeconds" jsonschema:"minimum=60"`
	Resources      Resources      `json:"resources"`
	ServiceAccount ServiceAccount `json:"serviceAccount"`
}

// APINetworkPolicy is what the pods of the API may send and receive, beside what follows from the
// other values.
type APINetworkPolicy struct {
	Enabled bool             `json:"enabled"`
	DNS     []map[string]any `json:"dns,omitzero"`
	Ingress []map[string]any `json:"ingress,omitzero"`
	Egress  []map[string]any `json:"egress,omitzero"`
}

// Monitoring is what a Prometheus operator and a Grafana are given.
type Monitoring struct {
	Namespace      string         `json:"namespace" jsonschema:"minLength=1"`
	ServiceMonitor ServiceMonitor `json:"serviceMonitor"`
	PrometheusRule PrometheusRule `json:"prometheusRule"`
	Dashboard      Dashboard      `json:"dashboard"`
}

// ServiceMonitor is an object of the Prometheus operator.
type ServiceMonitor struct {
	Enabled  bool              `json:"enabled"`
	Interval string            `json:"interval" jsonschema:"pattern=^[1-9][0-9]*(s|m)$"`
	Labels   map[string]string `json:"labels,omitzero"`
}

// PrometheusRule is an object of the Prometheus operator.
type PrometheusRule struct {
	Enabled          bool              `json:"enabled"`
	KubeStateMetrics bool              `json:"kubeStateMetrics"`
	RunbookURL       string            `json:"runbookURL" jsonschema:"minLength=1"`
	Labels           map[string]string `json:"labels,omitzero"`
}

// Dashboard is a ConfigMap with a dashboard of Grafana's.
type Dashboard struct {
	Enabled     bool              `json:"enabled"`
	Labels      map[string]string `json:"labels,omitzero"`
	Annotations map[string]string `json:"annotations,omitzero"`
}

// Tracing is where traces go.
type Tracing struct {
	Endpoint string `json:"endpoint" jsonschema:"pattern=^(https?://([\\w.-]+|\\[[0-9A-Fa-f:.]+\\])(:\\d+)?(/[^?# ]*)?)?$"`

	Share         float64 `json:"share" jsonschema:"minimum=0,maximum=1"`
	HeadersSecret string  `json:"headersSecret"`
}

// ServiceAccount is the identity of pods.
type ServiceAccount struct {
	Create      bool              `json:"create"`
	Name        string            `json:"name"`
	Annotations map[string]string `json:"annotations,omitzero"`
}

// Scheduling is where pods may run, in the terms of Kubernetes' PodSpec.
type Scheduling struct {
	NodeSelector      map[string]string `json:"nodeSelector,omitzero"`
	Tolerations       []map[string]any  `json:"tolerations,omitzero"`
	Affinity          map[string]any    `json:"affinity,omitzero"`
	PriorityClassName string            `json:"priorityClassName"`
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
