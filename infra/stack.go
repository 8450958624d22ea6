package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// A Stack is the settings of a stack: Pulumi.<stack>.yaml, a field a key.
type Stack struct {
	// Environment is the tag Environment of everything in AWS; the stack's name unless set.
	Environment string
	Kubernetes  KubernetesSettings
	LocalStack  LocalStackSettings
	AWS         AWSSettings
	Storage     StorageSettings
	API         APISettings
	// AccessTokens are who may call the API, by their names: the setting tokens without the tokens.
	AccessTokens []config.AccessToken
	// LocalStackAuthToken is for the images of LocalStack that demand one. It is a secret.
	LocalStackAuthToken pulumi.StringPtrInput
}

// KubernetesSettings say which cluster a stack is in.
type KubernetesSettings struct {
	// Context of the kubeconfig; prima unless set, so that nobody deploys to whatever cluster kubectl
	// was last used with.
	Context string `json:"context"`
	// Host is where the NodePorts of the cluster are reached from the machine that runs Pulumi.
	Host string `json:"host"`
}

// LocalStackSettings say which emulator stands in for AWS, if any.
type LocalStackSettings struct {
	// Deploy puts LocalStack into the cluster.
	Deploy bool `json:"deploy"`
	// Image answers LocalStack's API.
	Image string `json:"image"`
	// Endpoint is the URL of LocalStack for the machine that runs Pulumi. Set without Deploy, an
	// existing LocalStack is used. Empty without Deploy: AWS itself.
	Endpoint string `json:"endpoint"`
	// PodEndpoint is the URL of LocalStack for pods, where Deploy does not say it.
	PodEndpoint string `json:"podEndpoint"`
}

// AWSSettings say which AWS a stack is in, where no emulator stands in for it, and how its pods come by their roles.
type AWSSettings struct {
	// Account is the only one that the stack is deployed to, whichever the credentials at hand are of. Empty: any.
	Account string `json:"account"`
	// Identity is how pods come by their roles: podIdentity, irsa, or none, where somebody else gives the service accounts
	// prima-api and prima-api-sweep what docs/aws.md lists.
	Identity string `json:"identity"`
	// Cluster is the name of the EKS cluster, for podIdentity. It must have the add-on eks-pod-identity-agent.
	Cluster string `json:"cluster"`
	// OIDCIssuer is the issuer of the cluster's tokens, for irsa, such as https://oidc.eks.eu-central-1.amazonaws.com/id/….
	// The account must have it as an identity provider.
	OIDCIssuer string `json:"oidcIssuer"`
	// PermissionsBoundary is the ARN of the policy that bounds every role, where the account asks for one; empty for none.
	PermissionsBoundary string `json:"permissionsBoundary"`
}

// The values of [AWSSettings].Identity.
const (
	identityNone = "none"
	podIdentity  = "podIdentity"
	irsa         = "irsa"
)

// StorageSettings describe the table and the bucket.
type StorageSettings struct {
	// Table is the name of the table.
	Table string `json:"table"`
	// Bucket is the name of the bucket, which nobody else in the world may have.
	Bucket string `json:"bucket"`
	// Region is where both are.
	Region string `json:"region"`
	// Billing of the table is provisioned, by one unit for reads and one for writes, or onDemand.
	Billing string `json:"billing"`
	// PointInTimeRecovery lets the table be restored as it was at any second of the last 35 days.
	PointInTimeRecovery bool `json:"pointInTimeRecovery"`
	// DeletionProtection has DynamoDB refuse to delete the table, and Pulumi to delete or replace the table or the bucket.
	DeletionProtection bool `json:"deletionProtection"`
	// Versioning keeps avatars that were removed or replaced, for NoncurrentDays.
	Versioning bool `json:"versioning"`
	// NoncurrentDays are for how many days they are kept.
	NoncurrentDays int `json:"noncurrentDays"`
	// Adopt takes over a table and a bucket that exist instead of creating them, and retains them
	// when the stack is destroyed.
	Adopt AdoptSettings `json:"adopt"`
}

// AdoptSettings say what exists already.
type AdoptSettings struct {
	// Table is taken over.
	Table bool `json:"table"`
	// Bucket is taken over.
	Bucket bool `json:"bucket"`
}

// APISettings describe the API's deployment.
type APISettings struct {
	// Image is the repository of the image.
	Image string `json:"image"`
	// Tag of the image; empty for the hash of what it is built from.
	Tag string `json:"tag"`
	// Digest is the image to deploy, whatever its tag names meanwhile, such as sha256:…; empty to go by the tag.
	Digest string `json:"digest"`
	// NodePort is the port of the API on the cluster's nodes; 0 makes a Service that only the cluster reaches.
	NodePort int `json:"nodePort"`
	// Ingress is a way in from outside of the cluster, for a stack without a Gateway.
	Ingress IngressSettings `json:"ingress"`
	// Gateway is a way in from outside of the cluster, for a stack without an Ingress.
	Gateway GatewaySettings `json:"gateway"`
	// LetIn is who may call the pods beside those of their own namespace and of the Ingress controller.
	LetIn LetInSettings `json:"letIn"`
	// Access is who may call the API: token for those of the setting tokens, or open for everybody.
	Access string `json:"access"`
	// Monitoring is what a Prometheus operator and a Grafana of the cluster are given.
	Monitoring MonitoringSettings `json:"monitoring"`
	// Tracing is where traces of the API's requests go.
	Tracing TracingSettings `json:"tracing"`
	// Config are settings of the API by their variables, such as LOG_LEVEL: see the README.
	Config Texts `json:"config"`
}

// MonitoringSettings describe how the API is watched. The cluster must have a Prometheus operator.
type MonitoringSettings struct {
	// Enabled makes a ServiceMonitor, the alerts and a dashboard for the sidecar of Grafana's chart.
	Enabled bool `json:"enabled"`
	// Namespace is that of Prometheus, whose pods the network policy lets in; monitoring unless set.
	Namespace string `json:"namespace"`
	// Labels are those that Prometheus selects ServiceMonitors and rules by, such as release.
	Labels Texts `json:"labels"`
	// KubeStateMetrics says that there are kube-state-metrics, for the alerts on restarts and on the sweep.
	KubeStateMetrics bool `json:"kubeStateMetrics"`
	// RunbookURL is where docs/operations.md is found.
	RunbookURL string `json:"runbookURL"`
}

// TracingSettings say where traces go.
type TracingSettings struct {
	// Endpoint is the URL of a collector of OTLP over HTTP, such as http://collector.observability.svc:4318, which the network
	// policy lets the API out to; empty to trace nothing.
	Endpoint string `json:"endpoint"`
	// Share of the requests that are traced, from 0 to 1, where a caller has not decided it; 1 unless set.
	Share float64 `json:"share"`
	// HeadersSecret is the name of a Secret in the namespace prima with the headers that the collector asks for, as
	// name=value,name=value under the key OTEL_EXPORTER_OTLP_HEADERS; empty for none.
	HeadersSecret string `json:"headersSecret"`
}

// IngressSettings describe an Ingress.
type IngressSettings struct {
	// Host is the name that it answers to; empty for no Ingress.
	Host string `json:"host"`
	// Aliases are other names that it answers to.
	Aliases []string `json:"aliases"`
	// Port is where clients reach the controller; 0 for the port of the scheme, 80 or 443.
	Port int `json:"port"`
	// Class is that of the Ingress controller: nginx, alb or another.
	Class string `json:"class"`
	// TLSSecret is the Secret with the certificate of the host, in the namespace prima.
	TLSSecret string `json:"tlsSecret"`
	// Certificate is the ARN of the certificate of the host, for the class alb.
	Certificate string `json:"certificate"`
	// ControllerNamespace is where the controller's pods run, unless the class is alb.
	ControllerNamespace string `json:"controllerNamespace"`
	// Annotations of the Ingress, which come before those that the class brings with it.
	Annotations Texts `json:"annotations"`
}

// GatewaySettings describe an HTTPRoute at a listener of a Gateway that exists, which ends TLS.
type GatewaySettings struct {
	// Host is the name that the route answers to; empty for no route.
	Host string `json:"host"`
	// Name of the Gateway that the route is attached to.
	Name string `json:"name"`
	// Namespace of that Gateway; empty for that of the API.
	Namespace string `json:"namespace"`
	// Listener of that Gateway, by its name: the one for https.
	Listener string `json:"listener"`
}

// LetInSettings say whom the network policy lets in.
type LetInSettings struct {
	// CIDRs of addresses, such as those of the subnets that an ALB is in.
	CIDRs []string `json:"cidrs"`
	// Namespaces of pods, such as those of a Gateway.
	Namespaces []string `json:"namespaces"`
}

// classALB is the class of the AWS Load Balancer Controller.
const classALB = "alb"

// The ports that a NodePort may be on, as Kubernetes has them by default.
const (
	leastNodePort = 30000
	mostNodePort  = 32767
)

// defaultContext is the cluster of a stack that names none.
const defaultContext = "prima"

// localStackPort is the port of a node that LocalStack is on.
const localStackPort = 31566

const (
	provisioned = "provisioned"
	onDemand    = "onDemand"
)

// defaultStack is what a stack is without any setting.
func defaultStack(name string) Stack {
	return Stack{
		Environment: name,
		Kubernetes:  KubernetesSettings{Context: defaultContext, Host: "127.0.0.1"},
		LocalStack:  LocalStackSettings{Image: "localstack/localstack:4.14.0"},
		AWS:         AWSSettings{Identity: identityNone},
		Storage: StorageSettings{
			Table: config.Default().Table, Bucket: config.Default().Bucket, Region: config.Default().Region, Billing: onDemand, NoncurrentDays: 30,
		},
		API: APISettings{
			Image: "prima-api", Access: charts.AccessToken,
			Tracing: TracingSettings{Share: charts.DefaultPrimaAPI().Tracing.Share},
			Ingress: IngressSettings{Class: charts.DefaultPrimaAPI().Ingress.ClassName, ControllerNamespace: charts.DefaultPrimaAPI().Ingress.ControllerNamespace},
		},
	}
}

// loadStack reads the settings of the stack. Every fault is in the error, with its key.
func loadStack(ctx *pulumi.Context) (Stack, error) {
	s := defaultStack(ctx.Stack())
	settings := pulumiconfig.New(ctx, "")
	var faults []error
	if v, err := settings.Try("environment"); err == nil {
		s.Environment = v
	}
	for key, into := range s.sections() {
		value, err := settings.Try(key)
		if err != nil {
			continue // not set
		}
		if value == "" {
			continue
		}
		if err := json.Unmarshal([]byte(value), into); err != nil {
			faults = append(faults, fmt.Errorf("%s: %s", key, readable(err)))
		}
		faults = append(faults, unknownNames(key, []byte(value), reflect.TypeOf(into).Elem())...)
	}
	if token, err := settings.TrySecret("localstackAuthToken"); err == nil {
		s.LocalStackAuthToken = token.ToStringPtrOutput()
	}
	var tokenFaults []error
	s.AccessTokens, tokenFaults = readTokens(ctx)
	faults = append(faults, tokenFaults...)
	if len(tokenFaults) == 0 {
		faults = append(faults, s.accessFaults(ctx.Stack())...)
	}
	faults = append(faults, s.faults()...)
	faults = append(faults, s.roleFaults(ctx.Stack())...)
	faults = append(faults, s.unknownKeys(ctx.Project(), os.Getenv(pulumi.EnvConfig))...)
	if len(faults) == 0 {
		return s, nil
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	var all bytes.Buffer
	for _, fault := range faults {
		_, _ = fmt.Fprintf(&all, "\n  %s:%s", ctx.Project(), fault)
	}
	return s, fmt.Errorf("wrong settings in Pulumi.%s.yaml:%s", ctx.Stack(), all.String())
}

// readable says what encoding/json found, in terms of the settings.
func readable(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s must be %s, and is a %s", wrong.Field, kindOf(wrong.Type), wrong.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// kindOf returns what a type is called by those who write YAML.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a " + t.Kind().String()
}

// Texts are texts by their names. What YAML takes for true, false or a number, for want of quotes, is the text that was written; so is
// what pulumi config set --path writes.
type Texts map[string]string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Texts) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return err
	}
	*t = make(Texts, len(values))
	for name, value := range values {
		switch value.(type) {
		case string, bool, json.Number:
			(*t)[name] = fmt.Sprint(value)
		default:
			return fmt.Errorf("%s must be a text", name)
		}
	}
	return nil
}

// faults returns what is wrong with the settings, each with its key.
func (s Stack) faults() []error {
	var faults []error
	must := func(ok bool, key string, value any, allowed string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s = %q must be %s", key, fmt.Sprint(value), allowed))
		}
	}
	s.judgeAlone(must)
	must(s.LocalStack.Deploy || (s.LocalStack.Endpoint == "") == (s.LocalStack.PodEndpoint == ""), "localstack.podEndpoint", s.LocalStack.PodEndpoint,
		"set together with localstack.endpoint, unless localstack.deploy is true: pods do not reach LocalStack where you do")
	must(s.API.NodePort <= 0 || s.API.NodePort >= leastNodePort, "api.nodePort", s.API.NodePort, fmt.Sprintf("0 or from %d to %d", leastNodePort, mostNodePort))
	must(s.API.NodePort != localStackPort, "api.nodePort", s.API.NodePort, "another: LocalStack is there")
	for key, value := range map[string]string{"storage.table": s.Storage.Table, "storage.bucket": s.Storage.Bucket, "storage.region": s.Storage.Region} {
		must(value != "", key, value, "a name: to the API an empty one is the default, and to AWS it is not")
	}
	s.judgeAWS(must)
	s.judgeWayIn(must)
	s.judgeMonitoring(must)
	s.judgeTracing(must)

	// The contract judges what is its own.
	known := map[string]bool{}
	for _, setting := range config.Settings() {
		known[setting.Variable] = !setting.Secret
	}
	for variable, value := range s.API.Config {
		if public, ok := known[variable]; ok && !public {
			faults = append(faults, fmt.Errorf("api.config.%s is a secret, and these settings are not: task token stores one", variable))
			continue
		}
		if slices.Contains(config.Removed(), variable) {
			faults = append(faults, errors.New("api.config."+config.RemovedNotice(variable)))
			continue
		}
		if key := keyOf(variable); key != "api.config."+variable {
			faults = append(faults, fmt.Errorf("api.config.%s is for nothing: %s says it", variable, key))
			continue
		}
		must(known[variable], "api.config."+variable, value, "a setting of the API: see its README")
	}
	if _, err := s.apiConfig(); err != nil {
		if wrong, ok := errors.AsType[*config.Error](err); ok {
			for _, fault := range wrong.Faults {
				faults = append(faults, fmt.Errorf("%s: %s", keyOf(fault.Variable), fault))
			}
		}
	}
	return faults
}

// keyOf returns the setting of the stack that a variable of the API comes from.
func keyOf(variable string) string {
	keys := map[string]string{"DYNAMODB_TABLE": "storage.table", "S3_BUCKET": "storage.bucket", "AWS_REGION": "storage.region", "AWS_ENDPOINT_URL": "localstack.podEndpoint"}
	if key, ok := keys[variable]; ok {
		return key
	}
	return "api.config." + variable
}

// apiConfig returns the API's configuration: the contract's defaults, the stack's own settings of the API, who may call
// it, and what the stack says of the storage. Outputs take the place of the latter when they are known.
func (s Stack) apiConfig() (config.Config, error) {
	var environ []string
	for variable, value := range s.API.Config {
		environ = append(environ, variable+"="+value)
	}
	if _, set := s.API.Config["PUBLIC_BASE_URL"]; !set && s.API.secure() {
		environ = append(environ, "PUBLIC_BASE_URL="+s.API.publicURL())
	}
	if _, set := s.API.Config["ALLOWED_HOSTS"]; !set && s.emulated() {
		environ = append(environ, "ALLOWED_HOSTS="+strings.Join(s.hosts(), ","))
	}
	environ = append(environ, "DYNAMODB_TABLE="+s.Storage.Table, "S3_BUCKET="+s.Storage.Bucket, "AWS_REGION="+s.Storage.Region)
	c, _, err := config.Load(environ)
	c.AccessTokens = s.AccessTokens
	return c, err
}

// hosts returns the names under which the API is called in a cluster of a developer: those of its ways in, of the node, of
// its Service and of the links that it makes. IP addresses, which the API always allows, are left out.
func (s Stack) hosts() []string {
	hosts := []string{charts.DefaultPrimaAPI().Ingress.Host, s.API.Ingress.Host, s.API.Gateway.Host, s.Kubernetes.Host}
	hosts = append(hosts, s.API.Ingress.Aliases...)
	if u, err := url.Parse(s.API.Config["PUBLIC_BASE_URL"]); err == nil {
		hosts = append(hosts, u.Hostname())
	}
	hosts = append(hosts, charts.ServiceHosts(apiRelease, apiNamespace)...)
	seen := map[string]bool{"": true}
	return slices.DeleteFunc(hosts, func(host string) bool {
		_, _, err := config.Load([]string{"ALLOWED_HOSTS=" + host})
		again := seen[host]
		seen[host] = true
		return again || err != nil
	})
}

// clusterIdentifier returns what tells the cluster of this stack from others. It is no name that a user may change: with
// another identifier Pulumi makes everything anew and deletes what is there.
func (s Stack) clusterIdentifier(project, stack string) string {
	if s.AWS.Cluster != "" {
		return s.AWS.Account + "/" + s.AWS.Cluster
	}
	return project + "/" + stack
}

// emulated reports whether something stands in for AWS.
func (s Stack) emulated() bool { return s.endpoint() != "" }

// endpoint returns the URL of AWS for the machine that runs Pulumi; empty means AWS itself.
func (s Stack) endpoint() string {
	if s.LocalStack.Deploy && s.LocalStack.Endpoint == "" {
		return fmt.Sprintf("http://%s:%d", s.Kubernetes.Host, localStackPort)
	}
	return s.LocalStack.Endpoint
}
