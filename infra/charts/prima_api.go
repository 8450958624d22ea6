package charts

import (
	_ "embed"
	"encoding/json"

	"sigs.k8s.io/yaml"

	"prima.internal/app/config"
)

//go:embed prima-api/values.yaml
var defaults []byte

// PrimaAPIWith returns the defaults with values over them, merged as Helm does it: key by key in
// maps, while anything else replaces the default.
func PrimaAPIWith(values map[string]any) (merged PrimaAPI, err error) {
	var all map[string]any
	if err := yaml.UnmarshalStrict(defaults, &all); err != nil {
		return merged, err
	}
	mergeInto(all, values)
	data, err := json.Marshal(all)
	if err != nil {
		return merged, err
	}
	err = yaml.UnmarshalStrict(data, &merged)
	return merged, err
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

// PrimaAPI is the values of the chart prima-api, whose values.yaml explains them.
// values.schema.json is generated from the tags here. Start from [PrimaAPIWith].
type PrimaAPI struct {
	NameOverride     string `json:"nameOverride" jsonschema:"maxLength=53,pattern=^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"`
	FullnameOverride string `json:"fullnameOverride" jsonschema:"maxLength=53,pattern=^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"`

	Image struct {
		Repository string `json:"repository" jsonschema:"minLength=1,pattern=^[a-z0-9][a-zA-Z0-9._/:-]*$"`
		Tag        string `json:"tag" jsonschema:"pattern=^([A-Za-z0-9_][A-Za-z0-9._-]{0\\,127})?$"`
		Digest     string `json:"digest" jsonschema:"pattern=^(sha256:[0-9a-f]{64})?$"`
		PullPolicy string `json:"pullPolicy" jsonschema:"enum=Always,enum=IfNotPresent,enum=Never"`
	} `json:"image"`
	ImagePullSecrets []struct {
		Name string `json:"name" jsonschema:"required,minLength=1"`
	} `json:"imagePullSecrets,omitzero"`

	Config      map[string]string `json:"config"`
	Runtime     map[string]string `json:"runtime,omitzero"`
	Credentials struct {
		AccessKeyID     string `json:"accessKeyID"`
		SecretAccessKey string `json:"secretAccessKey"`
		ExistingSecret  string `json:"existingSecret"`
	} `json:"credentials"`
	Access struct {
		Mode           string   `json:"mode" jsonschema:"enum=token,enum=open"`
		Tokens         []string `json:"tokens,omitzero" jsonschema:"uniqueItems=true"`
		ExistingSecret string   `json:"existingSecret"`
		CheckSecret    string   `json:"checkSecret"`
	} `json:"access"`

	Service struct {
		Type        string            `json:"type" jsonschema:"enum=ClusterIP,enum=NodePort,enum=LoadBalancer"`
		Port        int               `json:"port" jsonschema:"minimum=1,maximum=65535"`
		NodePort    int               `json:"nodePort" jsonschema:"minimum=30000,maximum=32767"`
		Annotations map[string]string `json:"annotations,omitzero"`
	} `json:"service"`
	Ingress   Ingress `json:"ingress"`
	HTTPRoute struct {
		Enabled     bool              `json:"enabled"`
		ParentRefs  []map[string]any  `json:"parentRefs,omitzero"`
		Hostnames   []string          `json:"hostnames,omitzero"`
		Annotations map[string]string `json:"annotations,omitzero"`
	} `json:"httpRoute"`

	Replicas    int `json:"replicas" jsonschema:"minimum=0"`
	Autoscaling struct {
		Enabled       bool `json:"enabled"`
		MinReplicas   int  `json:"minReplicas" jsonschema:"minimum=1"`
		MaxReplicas   int  `json:"maxReplicas" jsonschema:"minimum=1"`
		CPUPercent    int  `json:"cpuPercent" jsonschema:"minimum=1"`
		MemoryPercent int  `json:"memoryPercent" jsonschema:"minimum=1"`
	} `json:"autoscaling"`
	Resources       Resources `json:"resources"`
	GoMemoryPercent int       `json:"goMemoryPercent" jsonschema:"minimum=10,maximum=95"`
	Probes          struct {
		Startup   Probe `json:"startup"`
		Liveness  Probe `json:"liveness"`
		Readiness Probe `json:"readiness"`
	} `json:"probes"`
	// The grace period of a pod is PreStopSleepSeconds, DRAIN_TIME, SHUTDOWN_TIMEOUT and 5 seconds.
	Rollout struct {
		TimeoutSeconds       int `json:"timeoutSeconds" jsonschema:"minimum=30"`
		MinReadySeconds      int `json:"minReadySeconds" jsonschema:"minimum=0"`
		RevisionHistoryLimit int `json:"revisionHistoryLimit" jsonschema:"minimum=0"`
		PreStopSleepSeconds  int `json:"preStopSleepSeconds" jsonschema:"minimum=0,maximum=600"`
	} `json:"rollout"`
	PodDisruptionBudget struct {
		Enabled        bool `json:"enabled"`
		MaxUnavailable int  `json:"maxUnavailable" jsonschema:"minimum=1"`
	} `json:"podDisruptionBudget"`
	Sweep struct {
		Enabled   bool   `json:"enabled"`
		Schedule  string `json:"schedule" jsonschema:"pattern=^(@(hourly|daily|midnight|weekly|monthly)|\\S+( \\S+){4})$"`
		OlderThan string `json:"olderThan" jsonschema:"pattern=^([0-9]+([.][0-9]+)?(s|m|h))+$"`

		TimeoutSeconds int            `json:"timeoutSeconds" jsonschema:"minimum=60"`
		Resources      Resources      `json:"resources"`
		ServiceAccount ServiceAccount `json:"serviceAccount"`
	} `json:"sweep"`

	// Rules of the NetworkPolicy beside those that follow from the other values.
	NetworkPolicy struct {
		Enabled bool             `json:"enabled"`
		DNS     []map[string]any `json:"dns,omitzero"`
		Ingress []map[string]any `json:"ingress,omitzero"`
		Egress  []map[string]any `json:"egress,omitzero"`
	} `json:"networkPolicy"`
	Monitoring struct {
		Namespace      string `json:"namespace" jsonschema:"minLength=1"`
		ServiceMonitor struct {
			Enabled  bool              `json:"enabled"`
			Interval string            `json:"interval" jsonschema:"pattern=^[1-9][0-9]*(s|m)$"`
			Labels   map[string]string `json:"labels,omitzero"`
		} `json:"serviceMonitor"`
		PrometheusRule struct {
			Enabled          bool              `json:"enabled"`
			KubeStateMetrics bool              `json:"kubeStateMetrics"`
			RunbookURL       string            `json:"runbookURL" jsonschema:"minLength=1"`
			Labels           map[string]string `json:"labels,omitzero"`
		} `json:"prometheusRule"`
		Dashboard struct {
			Enabled     bool              `json:"enabled"`
			Labels      map[string]string `json:"labels,omitzero"`
			Annotations map[string]string `json:"annotations,omitzero"`
		} `json:"dashboard"`
	} `json:"monitoring"`
	Tracing        Tracing        `json:"tracing"`
	ServiceAccount ServiceAccount `json:"serviceAccount"`

	TopologySpread    []string          `json:"topologySpread,omitzero"`
	PodAnnotations    map[string]string `json:"podAnnotations,omitzero"`
	PodLabels         map[string]string `json:"podLabels,omitzero"`
	NodeSelector      map[string]string `json:"nodeSelector,omitzero"`
	Tolerations       []map[string]any  `json:"tolerations,omitzero"`
	Affinity          map[string]any    `json:"affinity,omitzero"`
	PriorityClassName string            `json:"priorityClassName"`
}

// The values of access.mode.
const (
	AccessToken = "token"
	AccessOpen  = "open"
)

// Ingress exposes the API through an Ingress controller.
type Ingress struct {
	Enabled   bool     `json:"enabled"`
	ClassName string   `json:"className"`
	Host      string   `json:"host" jsonschema:"pattern=^(\\*\\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"`
	Aliases   []string `json:"aliases,omitzero" jsonschema:"pattern=^(\\*\\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"`

	TLSSecretName       string            `json:"tlsSecretName"`
	Annotations         map[string]string `json:"annotations,omitzero"`
	ControllerNamespace string            `json:"controllerNamespace" jsonschema:"minLength=1"`
}

// Resources are the requests and limits of a container.
type Resources struct {
	Requests Quantities `json:"requests"`
	Limits   Quantities `json:"limits"`
}

// Quantities are amounts of resources in the notation of Kubernetes. An empty CPU sets none.
type Quantities struct {
	CPU              string `json:"cpu" jsonschema:"pattern=^([0-9]+m?|[0-9]+\\.[0-9]+)?$"`
	Memory           string `json:"memory" jsonschema:"pattern=^[1-9][0-9]*(Ki|Mi|Gi)$"`
	EphemeralStorage string `json:"ephemeral-storage" jsonschema:"pattern=^[1-9][0-9]*(Ki|Mi|Gi)$"`
}

// Probe is an HTTP probe of the kubelet.
type Probe struct {
	Path             string `json:"path" jsonschema:"pattern=^/"`
	PeriodSeconds    int    `json:"periodSeconds" jsonschema:"minimum=1"`
	TimeoutSeconds   int    `json:"timeoutSeconds" jsonschema:"minimum=1"`
	FailureThreshold int    `json:"failureThreshold" jsonschema:"minimum=1"`
}

// Tracing says where traces are sent.
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

// ConfigValues returns the settings of a configuration as the value config. Secrets are left out.
func ConfigValues(c config.Config) map[string]string {
	values := map[string]string{}
	for _, v := range c.Environ() {
		if !v.Secret {
			values[v.Name] = v.Value
		}
	}
	return values
}

// AccessTokens returns the access tokens of a configuration, hashed, as the value access.tokens.
func AccessTokens(c config.Config) []string {
	var entries []string
	for _, t := range c.AccessTokens {
		entries = append(entries, t.String())
	}
	return entries
}
