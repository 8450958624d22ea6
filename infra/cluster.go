package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	helm "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v4"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"prima.internal/infra/charts"
)

// The namespaces of the system, and the names of the Helm releases and of their Services.
const (
	apiNamespace        = "prima"
	apiRelease          = "prima-api"
	localStackNamespace = "localstack"
	localStackRelease   = "localstack"
)

// A Cluster is the Kubernetes cluster of the stack and its namespaces.
type Cluster struct {
	pulumi.ResourceState
	Provider   *kubernetes.Provider
	Namespaces pulumi.Resource // the chart that makes them; every other chart depends on it
}

// NewCluster makes the namespaces, each with the Pod Security Standard that its pods meet.
func NewCluster(ctx *pulumi.Context, stack Stack) (*Cluster, error) {
	c := new(Cluster)
	if err := ctx.RegisterComponentResource("prima:infra:Cluster", "cluster", c); err != nil {
		return nil, err
	}
	var err error
	c.Provider, err = kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{
		Context:           pulumi.String(stack.Kubernetes.Context),
		ClusterIdentifier: pulumi.String(stack.clusterIdentifier(ctx.Project())),
		// The pods that still serve need their settings during a rollout, so these change in place.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
	}, pulumi.Parent(c))
	if err != nil {
		return nil, err
	}
	api := pulumi.Map{"name": pulumi.String(apiNamespace), "podSecurity": pulumi.String("restricted")}
	if in := stack.Values.Ingress; in.Enabled && in.ClassName == classALB {
		// The controller holds a rollout until the load balancer knows the new pod. Source:
		// https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/.
		api["labels"] = pulumi.StringMap{"elbv2.k8s.aws/pod-readiness-gate-inject": pulumi.String("enabled")}
	}
	namespaces := pulumi.Array{api}
	if stack.LocalStack.Deploy {
		namespaces = append(namespaces, pulumi.Map{
			"name":        pulumi.String(localStackNamespace),
			"podSecurity": pulumi.String("baseline"), // the image runs as root
		})
	}
	values := pulumi.Map{"namespaces": namespaces}
	c.Namespaces, err = c.chart(ctx, c, "namespaces", "default", charts.NamespacesChart, values)
	if err != nil {
		return nil, err
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{})
}

// requireCluster returns an error that says what to do if the cluster of a context does not respond
// or is deleting the namespaces.
func requireCluster(name string) error {
	const terminating = `jsonpath={range .items[?(@.status.phase=="Terminating")]}{.metadata.name} {end}`
	//nolint:gosec // a setting of the stack's owner
	kubectl := exec.CommandContext(context.Background(), "kubectl", "--context", name, "--request-timeout", "5s",
		"get", "namespace", apiNamespace, localStackNamespace, "--ignore-not-found", "-o", terminating)
	var stderr strings.Builder
	kubectl.Stderr = &stderr
	deleted, err := kubectl.Output()
	if err != nil {
		return fmt.Errorf("the cluster of kubernetes.context %q: %w\n%s`task up` starts the cluster of the local stack; "+
			"`kubectl config get-contexts` lists the contexts that there are", name, err, stderr.String())
	}
	if len(deleted) > 0 {
		return fmt.Errorf("namespaces are being deleted: %s; wait for it: kubectl --context %s wait --for=delete namespace/%s "+
			"namespace/%s. If they stay, metrics-server is away", deleted, name, apiNamespace, localStackNamespace)
	}
	return nil
}

// chart installs a chart of this program.
func (c *Cluster) chart(
	ctx *pulumi.Context, parent pulumi.Resource, name, namespace, path string, values pulumi.MapInput,
) (*helm.Chart, error) {
	options := []pulumi.ResourceOption{pulumi.Parent(parent), pulumi.Provider(c.Provider)}
	if c.Namespaces != nil {
		options = append(options, pulumi.DependsOn([]pulumi.Resource{c.Namespaces}))
	}
	return helm.NewChart(ctx, name, &helm.ChartArgs{
		Chart:     pulumi.String(path),
		Name:      pulumi.String(name),
		Namespace: pulumi.String(namespace),
		Values:    values,
	}, options...)
}
