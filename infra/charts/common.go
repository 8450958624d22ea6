package charts

// Image is a container image.
type Image struct {
	// Repository of the image, with its registry unless that is Docker Hub or the image was loaded into the node.
	Repository string `json:"repository" jsonschema:"required,minLength=1,pattern=^[a-z0-9][a-zA-Z0-9._/:-]*$"`
	// Tag of the image; empty takes the chart's appVersion.
	Tag string `json:"tag" jsonschema:"pattern=^([A-Za-z0-9_][A-Za-z0-9._-]{0\\,127})?$"`
	// Digest of the image, such as sha256:…; it comes before the tag.
	Digest string `json:"digest" jsonschema:"pattern=^(sha256:[0-9a-f]{64})?$"`
	// When the image is pulled. An image that was loaded into the node can only be IfNotPresent or Never.
	PullPolicy string `json:"pullPolicy" jsonschema:"required,enum=Always,enum=IfNotPresent,enum=Never"`
}

// ObjectReference names an object of the release's namespace.
type ObjectReference struct {
	// Name of the object.
	Name string `json:"name" jsonschema:"required,minLength=1"`
}

// Resources are the requests and limits of a container.
type Resources struct {
	// What the scheduler sets aside for the container.
	Requests Quantities `json:"requests" jsonschema:"required"`
	// What the container cannot exceed.
	Limits Quantities `json:"limits" jsonschema:"required"`
}

// Quantities are amounts of resources in the notation of Kubernetes.
type Quantities struct {
	// Processor time, such as 100m or 1; empty sets none.
	CPU string `json:"cpu" jsonschema:"pattern=^([0-9]+m?|[0-9]+\\.[0-9]+)?$"`
	// Memory, such as 128Mi.
	Memory string `json:"memory" jsonschema:"required,pattern=^[1-9][0-9]*(Ki|Mi|Gi)$"`
	// Disk of the node: logs and emptyDir volumes, such as 64Mi.
	EphemeralStorage string `json:"ephemeral-storage" jsonschema:"required,pattern=^[1-9][0-9]*(Ki|Mi|Gi)$"`
}

// Probe is how often an HTTP path is asked, and what is made of the answers.
type Probe struct {
	// Path that is asked.
	Path string `json:"path" jsonschema:"required,pattern=^/"`
	// Seconds between two questions.
	PeriodSeconds int `json:"periodSeconds" jsonschema:"required,minimum=1"`
	// Seconds that an answer may take.
	TimeoutSeconds int `json:"timeoutSeconds" jsonschema:"required,minimum=1"`
	// How many failures in a row count.
	FailureThreshold int `json:"failureThreshold" jsonschema:"required,minimum=1"`
}

// Probes are the three questions that the kubelet asks a container.
type Probes struct {
	// Whether the container has started; the others wait for it.
	Startup Probe `json:"startup" jsonschema:"required"`
	// Whether it must be restarted. It asks the process alone and none of its dependencies.
	Liveness Probe `json:"liveness" jsonschema:"required"`
	// Whether it is sent requests.
	Readiness Probe `json:"readiness" jsonschema:"required"`
}

// Service is how the pods are reached.
type Service struct {
	// Type of the Service.
	Type string `json:"type" jsonschema:"required,enum=ClusterIP,enum=NodePort,enum=LoadBalancer"`
	// Port of the Service inside the cluster.
	Port int `json:"port" jsonschema:"required,minimum=1,maximum=65535"`
	// Port on every node where the type is NodePort.
	NodePort int `json:"nodePort" jsonschema:"required,minimum=30000,maximum=32767"`
	// Annotations of the Service. Pulumi need not wait for it: the Deployment is waited for already.
	Annotations map[string]string `json:"annotations,omitzero"`
}

// Scheduling is where pods may run, in the terms of Kubernetes' PodSpec.
type Scheduling struct {
	// Labels that a node must have.
	NodeSelector map[string]string `json:"nodeSelector,omitzero"`
	// Taints of nodes that are tolerated.
	Tolerations []map[string]any `json:"tolerations,omitzero"`
	// Affinity of the pods to nodes and to each other.
	Affinity map[string]any `json:"affinity,omitzero"`
	// Priority class of the pods; empty takes the cluster's default.
	PriorityClassName string `json:"priorityClassName"`
}

// Naming overrides how the objects of a release are called.
type Naming struct {
	// Replaces the chart's name in the names and labels of the objects.
	NameOverride string `json:"nameOverride" jsonschema:"maxLength=53,pattern=^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"`
	// Replaces the name of the objects altogether.
	FullnameOverride string `json:"fullnameOverride" jsonschema:"maxLength=53,pattern=^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"`
}

// skipAwait tells Pulumi not to wait for an object; plain Helm ignores it.
func skipAwait() map[string]string { return map[string]string{"pulumi.com/skipAwait": "true"} }
