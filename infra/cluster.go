package main

import (
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

// apiRelease is the name of the API's release, and so of its Service.
const apiRelease = "prima-api"

// A Cluster is the Kubernetes that everything runs in, with its namespaces.
type Cluster struct {
	pulumi.ResourceState
	Provider *kubernetes.Provider
	// Namespaces is what must be there before anything is put into them.
	Namespaces pulumi.Resource
}

// ClusterArgs are what a Cluster needs.
type ClusterArgs struct {
	// Context of the kubeconfig.
	Context string
	// LocalStack is set where it is going to be in the cluster.
	LocalStack bool
	// Labels are those that the namespace of the API needs beside its Pod Security Standard.
	Labels map[string]string
}

// NewCluster makes the namespaces, each with the Pod Security Standard that what runs in it keeps to.
func NewCluster(ctx *pulumi.Context, name string, args *ClusterArgs, opts ...pulumi.ResourceOption) (*Cluster, error) {
	c := new(Cluster)
	if err := ctx.RegisterComponentResource("prima:infra:Cluster", name, c, opts...); err != nil {
		return nil, err
	}
	provider, err := kubernetes.NewProvider(ctx, name, &kubernetes.ProviderArgs{
		Context: pulumi.String(args.Context),
		// Whatever else changes about a kubeconfig, the cluster of this name is the same cluster.
		ClusterIdentifier: pulumi.String(args.Context),
	}, pulumi.Parent(c))
	if err != nil {
		return nil, err
	}
	c.Provider = provider
	namespaces := []charts.Namespace{{Name: apiNamespace, PodSecurity: "restricted", Labels: args.Labels}}
	if args.LocalStack {
		namespaces = append(namespaces, charts.Namespace{Name: localStackNamespace, PodSecurity: "baseline"}) // the image runs as root
	}
	c.Namespaces, err = c.chart(ctx, c, "namespaces", "default", charts.NamespacesChart, valuesOf(charts.Namespaces{Namespaces: namespaces}))
	if err != nil {
		return nil, err
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{})
}

// chart installs a chart of this program.
func (c *Cluster) chart(ctx *pulumi.Context, parent pulumi.Resource, name, namespace, path string, values pulumi.MapInput) (*helm.Chart, error) {
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

// asMap gives what ApplyT makes of a function that returns a map its type.
func asMap(o pulumi.Output) pulumi.MapOutput {
	m, _ := o.(pulumi.MapOutput)
	return m
}

// asString gives what ApplyT makes of a function that returns a string its type.
func asString(o pulumi.Output) pulumi.StringOutput {
	s, _ := o.(pulumi.StringOutput)
	return s
}
