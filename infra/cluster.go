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

// The namespaces of the system.
const (
	apiNamespace        = "prima"
	localStackNamespace = "localstack"
)

// The names of the releases, and so of their Services.
const (
	apiRelease        = "prima-api"
	localStackRelease = "localstack"
)

// A Cluster is the Kubernetes that everything runs in, with its namespaces.
type Cluster struct {
	pulumi.ResourceState
	Provider *kubernetes.Provider
	// Namespaces is what must be there before anything is put into them.
	Namespaces pulumi.Resource
}

// NewCluster makes the namespaces, each with the Pod Security Standard that its pods keep to.
func NewCluster(ctx *pulumi.Context, stack Stack) (*Cluster, error) {
	const name = "cluster"
	c := new(Cluster)
	if err := ctx.RegisterComponentResource("prima:infra:Cluster", name, c); err != nil {
		return nil, err
	}
	provider, err := kubernetes.NewProvider(ctx, name, &kubernetes.ProviderArgs{
		Context:           pulumi.String(stack.Kubernetes.Context),
		ClusterIdentifier: pulumi.String(stack.Identifier),
		// A rollout needs the settings of the pods that still serve: they change in place, and are never gone.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
	}, pulumi.Parent(c))
	if err != nil {
		return nil, err
	}
	c.Provider = provider
	namespaces := []charts.Namespace{{Name: apiNamespace, PodSecurity: "restricted"}}
	if in := stack.Values.Ingress; in.Enabled && in.ClassName == classALB {
		// The controller holds a rollout until the load balancer knows the new pod.
		// Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/.
		namespaces[0].Labels = map[string]string{"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}
	}
	if stack.LocalStack.Deploy {
		// The image runs as root.
		namespaces = append(namespaces, charts.Namespace{Name: localStackNamespace, PodSecurity: "baseline"})
	}
	values := valuesOf(charts.Namespaces{Namespaces: namespaces})
	c.Namespaces, err = c.chart(ctx, c, "namespaces", "default", charts.NamespacesChart, values)
	if err != nil {
		return nil, err
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{})
}

// requireCluster returns an error that says what to do unless the cluster of a context responds and its namespaces are
// not being deleted. Otherwise every object would fail by itself, or be gone soon.
func requireCluster(name string) error {
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
		return fmt.Errorf("namespaces are being deleted: %s; wait for it: kubectl --context %s wait --for=delete "+
			"namespace/%s namespace/%s", deleted, name, apiNamespace, localStackNamespace)
	}
	return nil
}

// terminating prints the names of the namespaces that are being deleted.
const terminating = `jsonpath={range .items[?(@.status.phase=="Terminating")]}{.metadata.name} {end}`

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

// valuesOf returns the values of a chart, a struct of package charts, as Pulumi takes them. Where they
// hold outputs, apply charts.Map within ApplyT: a struct that passes through an output has its nil
// lists and maps, which leave the chart's default alone, made empty ones, which take its place.
func valuesOf(values any) pulumi.MapInput {
	m, err := charts.Map(values)
	if err != nil {
		panic(err) // a struct of package charts that is not JSON
	}
	return pulumi.ToMap(m)
}

// asString gives what ApplyT makes of a function that returns a string its type.
func asString(o pulumi.Output) pulumi.StringOutput {
	s, _ := o.(pulumi.StringOutput)
	return s
}
