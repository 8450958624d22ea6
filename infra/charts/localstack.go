package charts

// LocalStack is the values of the chart localstack. Start from [DefaultLocalStack].
type LocalStack struct {
	Naming

	// Container image: LocalStack, or anything else that answers its API on the same port.
	Image Image `json:"image" jsonschema:"required"`
	// Secrets with credentials for the image's registry.
	ImagePullSecrets []ObjectReference `json:"imagePullSecrets,omitzero"`
	// Arguments of the container; none takes the image's own.
	Args []string `json:"args,omitzero"`

	// Services of AWS that are emulated; the others are refused.
	Services []string `json:"services" jsonschema:"required,minItems=1"`
	// Whether the services start with the container and not at their first request.
	EagerServiceLoading bool `json:"eagerServiceLoading" jsonschema:"required"`
	// Additional environment variables of the container.
	Env map[string]string `json:"env,omitzero"`
	// Token of a LocalStack account, which images after 4.14 ask for; it is put into a Secret of the release.
	AuthToken string `json:"authToken"`
	// Name of a Secret with the token under the key LOCALSTACK_AUTH_TOKEN, instead of authToken.
	AuthTokenSecret string `json:"authTokenSecret"`

	// How LocalStack is reached. Its port is also the container's.
	Service Service `json:"service" jsonschema:"required"`
	// Requests and limits of the container: Python, and Java with a heap of 256 MiB for DynamoDB.
	Resources Resources `json:"resources" jsonschema:"required"`
	// What the kubelet asks LocalStack. The answers are slow while it works hard, hence the patience.
	Probes Probes `json:"probes" jsonschema:"required"`
	// Seconds after which a pod that does not start fails the update. The first pull of the image takes minutes.
	RolloutTimeoutSeconds int `json:"rolloutTimeoutSeconds" jsonschema:"required,minimum=30"`

	// Folders that must be writable, each an empty volume that lives as long as the pod.
	WritablePaths []string `json:"writablePaths,omitzero"`
	// Security context of the pod.
	PodSecurityContext map[string]any `json:"podSecurityContext,omitzero"`
	// Security context of the container. The image runs as root; the default is what the Pod Security
	// Standard baseline allows, less what a server that starts other servers has no use for.
	SecurityContext map[string]any `json:"securityContext,omitzero"`
	// Who may talk to LocalStack, and whom it may talk to.
	NetworkPolicy LocalStackNetworkPolicy `json:"networkPolicy" jsonschema:"required"`

	// Additional annotations of the pod.
	PodAnnotations map[string]string `json:"podAnnotations,omitzero"`
	// Additional labels of the pod.
	PodLabels map[string]string `json:"podLabels,omitzero"`
	Scheduling
}

// LocalStackNetworkPolicy is what the pod of LocalStack may send and receive.
type LocalStackNetworkPolicy struct {
	// Whether there is a NetworkPolicy; it takes a network plugin that heeds it.
	Enabled bool `json:"enabled" jsonschema:"required"`
	// Who may reach the port, as peers of a NetworkPolicy; none lets everybody in, which a NodePort needs.
	From []map[string]any `json:"from,omitzero"`
	// Who answers DNS, as peers of a NetworkPolicy.
	DNS []map[string]any `json:"dns,omitzero"`
	// Additional rules for what is let out. Without a token that is DNS alone.
	Egress []map[string]any `json:"egress,omitzero"`
}

// DefaultLocalStack returns what values.yaml of the chart localstack holds.
func DefaultLocalStack() LocalStack {
	const health = "/_localstack/health"
	return LocalStack{
		// The last version that starts without an account: https://github.com/localstack/localstack
		// was archived on 2026-03-23, and the images after it ask for a token.
		Image:               Image{Repository: "localstack/localstack", Tag: "4.14.0", PullPolicy: "IfNotPresent"},
		Services:            []string{"dynamodb", "s3", "sts", "iam"},
		EagerServiceLoading: true,
		// Nothing is sent to or asked of the internet. LocalStack's own DNS server, which would rewrite the
		// pod's resolv.conf, is for Lambda functions.
		// Source: https://github.com/localstack/localstack/blob/v4.14.0/localstack-core/localstack/dns/server.py.
		Env:     map[string]string{"DISABLE_EVENTS": "1", "DNS_ADDRESS": "0", "SKIP_SSL_CERT_DOWNLOAD": "1"},
		Service: Service{Type: "NodePort", Port: 4566, NodePort: 31566, Annotations: skipAwait()},
		Resources: Resources{
			Requests: Quantities{CPU: "100m", Memory: "512Mi", EphemeralStorage: "128Mi"},
			Limits:   Quantities{CPU: "2", Memory: "1Gi", EphemeralStorage: "2Gi"},
		},
		Probes: Probes{
			Startup:   Probe{Path: health, PeriodSeconds: 2, TimeoutSeconds: 5, FailureThreshold: 90},
			Liveness:  Probe{Path: health, PeriodSeconds: 20, TimeoutSeconds: 10, FailureThreshold: 6},
			Readiness: Probe{Path: health, PeriodSeconds: 5, TimeoutSeconds: 5, FailureThreshold: 3},
		},
		RolloutTimeoutSeconds: 600,
		WritablePaths:         []string{"/var/lib/localstack", "/tmp"},
		PodSecurityContext:    map[string]any{"seccompProfile": map[string]any{"type": "RuntimeDefault"}},
		SecurityContext: map[string]any{
			"allowPrivilegeEscalation": false,
			"capabilities": map[string]any{
				"drop": []any{"ALL"},
				"add":  []any{"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"},
			},
		},
		NetworkPolicy: LocalStackNetworkPolicy{Enabled: true, DNS: clusterDNS()},
	}
}
