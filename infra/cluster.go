package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	helm "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v4"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"

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
	// Identifier tells clusters apart: whatever else changes about a kubeconfig, the cluster with this identifier is the same.
	Identifier string
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
		Context:           pulumi.String(args.Context),
		ClusterIdentifier: pulumi.String(args.Identifier),
		// A rollout needs the settings of the pods that still serve: they change in place, and are never gone.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
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

// requireContext returns an error that says what to do unless the kubeconfig has a context. Without it every object would
// fail by itself.
func requireContext(name string) error {
	files := filepath.SplitList(os.Getenv("KUBECONFIG"))
	if home, err := os.UserHomeDir(); err == nil && len(files) == 0 {
		files = []string{filepath.Join(home, ".kube", "config")}
	}
	var known []string
	for _, file := range files {
		data, err := os.ReadFile(file) //nolint:gosec // what kubectl reads too
		if errors.Is(err, fs.ErrNotExist) {
			continue // as kubectl does
		}
		var kubeconfig struct {
			Contexts []struct{ Name string } `json:"contexts"`
		}
		if err == nil {
			err = yaml.Unmarshal(data, &kubeconfig)
		}
		if err != nil {
			return fmt.Errorf("the kubeconfig %s: %w", file, err)
		}
		for _, context := range kubeconfig.Contexts {
			known = append(known, context.Name)
		}
	}
	if slices.Contains(known, name) {
		return nil
	}
	return fmt.Errorf("kubernetes.context is %q, and %s has the contexts %q: `task up` makes the cluster of the local stack, "+
		"and `minikube update-context -p %s` its context", name, strings.Join(files, " or "), known, name)
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
