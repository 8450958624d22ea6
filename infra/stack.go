package main

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/infra/charts"
)

// Stack is the settings of a stack: Pulumi.<stack>.yaml. Its JSON schema, stack.schema.json, is
// generated from the comments and tags here.
type Stack struct {
	// Tag Environment of everything in AWS; the stack's name unless set.
	Environment string             `json:"environment"`
	Kubernetes  KubernetesSettings `json:"kubernetes"`
	LocalStack  LocalStackSettings `json:"localstack"`
	AWS         AWSSettings        `json:"aws"`
	Storage     StorageSettings    `json:"storage"`
	API         APISettings        `json:"api"`

	// Not in the file: the name of the stack, who may call the API, the token for LocalStack (a
	// secret), the chart's defaults with api.values over them, and the API's configuration.
	Name                string               `json:"-"`
	AccessTokens        []config.AccessToken `json:"-"`
	LocalStackAuthToken pulumi.StringInput   `json:"-"`
	Values              charts.PrimaAPI      `json:"-"`
	Contract            config.Config        `json:"-"`
}

// KubernetesSettings say which cluster a stack is in, and how to reach it.
type KubernetesSettings struct {
	// Context of the kubeconfig. Its default is prima, never the current context of kubectl.
	Context string `json:"context" jsonschema:"format=context"`
	// Host at which the machine that runs Pulumi reaches the cluster's NodePorts.
	Host string `json:"host" jsonschema:"format=host"`
	// Port at which that machine reaches the Ingress controller; 0 for 80 or 443.
	IngressPort int `json:"ingressPort" jsonschema:"minimum=0,maximum=65535"`
}

// LocalStackSettings say which emulator stands in for AWS, if any.
type LocalStackSettings struct {
	// Deploy puts LocalStack into the cluster.
	Deploy bool `json:"deploy"`
	// Image of LocalStack, or of another emulator that serves DynamoDB and S3 on port 4566.
	Image string `json:"image" jsonschema:"format=image"`
	// Endpoint is the URL of LocalStack for the machine that runs Pulumi. Without Deploy, it names
	// an existing LocalStack; if it is empty too, the stack is on AWS.
	Endpoint string `json:"endpoint" jsonschema:"format=url"`
	// PodEndpoint is the URL of an existing LocalStack for pods.
	PodEndpoint string `json:"podEndpoint" jsonschema:"format=url"`
}

// AWSSettings say which AWS account a stack is in, and how its pods assume their roles.
type AWSSettings struct {
	// Account is the only account that the stack is deployed to; empty for any.
	Account string `json:"account" jsonschema:"format=account"`
	// Identity is how pods assume their roles. With none, somebody else gives the service accounts
	// prima-api and prima-api-sweep the permissions in docs/aws.md.
	Identity string `json:"identity" jsonschema:"enum=podIdentity,enum=irsa,enum=none"`
	// Cluster is the name of the EKS cluster, for podIdentity. It needs the add-on
	// eks-pod-identity-agent.
	Cluster string `json:"cluster" jsonschema:"format=cluster"`
	// OIDCIssuer is the issuer of the cluster's tokens, for irsa. It must be an identity provider
	// of the account.
	OIDCIssuer string `json:"oidcIssuer" jsonschema:"format=issuer"`
	// PermissionsBoundary is the ARN of the policy that bounds every role; empty for none.
	PermissionsBoundary string `json:"permissionsBoundary" jsonschema:"format=policy"`
}

// StorageSettings describe the table and the bucket.
type StorageSettings struct {
	// The name of each resource of the contract is here too, under its [storageKey]: see loadStack.

	// Region of every resource.
	Region string `json:"region"`
	// Billing of the table: provisioned, with one unit for reads and one for writes, or onDemand.
	Billing string `json:"billing" jsonschema:"enum=provisioned,enum=onDemand"`
	// PointInTimeRecovery lets the table be restored to any second of the last 35 days.
	PointInTimeRecovery bool `json:"pointInTimeRecovery"`
	// DeletionProtection keeps DynamoDB from deleting the table, and Pulumi the table or bucket.
	DeletionProtection bool `json:"deletionProtection"`
	// Versioning keeps avatars that were removed or replaced, for NoncurrentDays.
	Versioning bool `json:"versioning"`
	// NoncurrentDays is how many days such an avatar is kept.
	NoncurrentDays int `json:"noncurrentDays" jsonschema:"minimum=1,maximum=36500"`
	// Adopt takes over existing resources, such as table: true. A destroy retains them.
	Adopt map[string]bool `json:"adopt"`
}

// storageKey returns the setting below storage that names a resource.
func storageKey(r contract.Resource) string {
	return cmp.Or(map[string]string{"users": "table", "avatars": "bucket"}[r.ID], r.ID)
}

// APISettings describe the API's deployment.
type APISettings struct {
	// Image is the repository of the image.
	Image string `json:"image" jsonschema:"format=repository"`
	// Tag of the image. Without Tag and Digest, Minikube gets an image of this checkout.
	Tag string `json:"tag" jsonschema:"format=tag"`
	// Digest is the image to deploy, whatever its tag names; empty to go by the tag.
	Digest string `json:"digest" jsonschema:"format=digest"`
	// Access is who may call the API: token for those in the setting tokens, open for everybody.
	Access string `json:"access" jsonschema:"enum=token,enum=open"`
	// Config is the API's settings by variable, such as LOG_LEVEL: see docs/configuration.md.
	Config map[string]any `json:"config"`
	// Values of the chart infra/charts/prima-api beside those above, such as ingress or tracing.
	Values map[string]any `json:"values"`
}

const (
	defaultContext = "prima" // the kubernetes.context of a stack that sets none
	localStackPort = 31566   // the NodePort of LocalStack

	// The values of storage.billing.
	provisioned = "provisioned"
	onDemand    = "onDemand"

	// The values of aws.identity.
	identityNone = "none"
	podIdentity  = "podIdentity"
	irsa         = "irsa"

	// The class and annotation of an Ingress of the AWS Load Balancer Controller:
	// https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/.
	classALB       = "alb"
	albCertificate = "alb.ingress.kubernetes.io/certificate-arn"
)

// defaultStack returns the settings of a stack that sets none.
func defaultStack(name string) Stack {
	c := config.Default()
	return Stack{
		Name:        name,
		Environment: name,
		Kubernetes:  KubernetesSettings{Context: defaultContext, Host: "127.0.0.1"},
		LocalStack:  LocalStackSettings{Image: "localstack/localstack:4.14.0"},
		AWS:         AWSSettings{Identity: identityNone},
		Storage:     StorageSettings{Region: c.Region, Billing: onDemand, NoncurrentDays: 30},
		API:         APISettings{Image: "prima-api", Access: charts.AccessToken},
		Contract:    c,
	}
}

// apiConfig returns the API's configuration: what follows from other settings, api.config over it,
// and the callers.
func (s Stack) apiConfig() (config.Config, error) {
	base := s.Contract
	base.Region = s.Storage.Region
	if url := s.publicURL(); strings.HasPrefix(url, "https:") {
		base.PublicURL = url
	}
	if s.emulated() {
		base.AllowedHosts, base.Endpoint = s.hosts(), s.podEndpoint()
	}
	var environ []string
	for _, v := range base.Environ() {
		if _, set := s.API.Config[v.Name]; !set {
			environ = append(environ, v.Name+"="+v.Value)
		}
	}
	for variable, value := range s.API.Config {
		environ = append(environ, variable+"="+fmt.Sprint(value)) // YAML needs no quotes around true or 16
	}
	c, _, err := config.Load(environ)
	c.AccessTokens = s.AccessTokens
	return c, err
}

// hosts returns the host names of the API beside an emulator: those of its Ingress, routes,
// Service, links and node. It leaves out IP addresses, which the API always allows.
func (s Stack) hosts() []string {
	hosts := []string{s.Values.Ingress.Host, s.Kubernetes.Host}
	hosts = append(hosts, s.Values.Ingress.Aliases...)
	hosts = append(hosts, s.Values.HTTPRoute.Hostnames...)
	if u, err := url.Parse(fmt.Sprint(s.API.Config["PUBLIC_BASE_URL"])); err == nil {
		hosts = append(hosts, u.Hostname())
	}
	hosts = append(hosts, charts.ServiceHosts(apiRelease, apiNamespace)...)
	slices.Sort(hosts)
	return slices.DeleteFunc(slices.Compact(hosts), func(host string) bool {
		_, _, err := config.Load([]string{"ALLOWED_HOSTS=" + host})
		return host == "" || err != nil
	})
}

// podEndpoint returns the URL of the emulator for pods; empty for AWS itself.
func (s Stack) podEndpoint() string {
	if s.LocalStack.Deploy {
		return charts.ServiceURL(localStackRelease, localStackNamespace, charts.LocalStackPort)
	}
	return s.LocalStack.PodEndpoint
}

// location returns where the resources of the stack are in AWS.
func (s Stack) location() contract.Location {
	return contract.Location{
		Partition: partitionOf(s.Storage.Region), Region: s.Storage.Region, Account: s.AWS.Account,
	}
}

// publicURL returns the URL of the route or the Ingress; empty without either.
func (s Stack) publicURL() string {
	in, route := s.Values.Ingress, s.Values.HTTPRoute
	if route.Enabled && len(route.Hostnames) > 0 {
		return "https://" + route.Hostnames[0]
	}
	if !in.Enabled {
		return ""
	}
	base := url.URL{Scheme: "http", Host: in.Host}
	if hasTLS(in) {
		base.Scheme = "https"
	}
	if port := s.Kubernetes.IngressPort; port != 0 {
		base.Host = net.JoinHostPort(base.Host, strconv.Itoa(port))
	}
	return base.String()
}

// hasTLS reports whether an Ingress serves its hosts by TLS.
func hasTLS(i charts.Ingress) bool {
	return i.TLSSecretName != "" || i.Annotations[albCertificate] != ""
}

// clusterIdentifier identifies the cluster. It contains no name that a user may change, because
// Pulumi replaces everything in a cluster whose identifier changes.
func (s Stack) clusterIdentifier(project string) string {
	if s.AWS.Cluster != "" {
		return s.AWS.Account + "/" + s.AWS.Cluster
	}
	return project + "/" + s.Name
}

// emulated reports whether an emulator stands in for AWS.
func (s Stack) emulated() bool { return s.endpoint() != "" }

// endpoint returns the URL of the emulator for the machine that runs Pulumi; empty for AWS itself.
func (s Stack) endpoint() string {
	if s.LocalStack.Deploy && s.LocalStack.Endpoint == "" {
		return fmt.Sprintf("http://%s:%d", s.Kubernetes.Host, localStackPort)
	}
	return s.LocalStack.Endpoint
}
