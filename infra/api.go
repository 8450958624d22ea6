package main

import (
	"cmp"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
	"prima.internal/infra/image"
)

// API is the deployed API.
type API struct {
	pulumi.ResourceState
	URL        pulumi.StringOutput // by the NodePort or, without one, by the way in from outside; empty without either
	IngressURL pulumi.StringOutput // by the Ingress or the Gateway; empty without either
	Namespace  pulumi.StringOutput
	Version    pulumi.StringOutput // the image's tag
}

// APIArgs are what an API needs.
type APIArgs struct {
	Settings APISettings
	Host     string // where NodePorts are reached
	// Contract is the API's configuration, but for what the outputs below say.
	Contract config.Config
	Cluster  *Cluster
	Endpoint pulumi.StringInput // of AWS for pods; empty: AWS itself
	Table    pulumi.StringInput
	Bucket   pulumi.StringInput
	Emulated bool
	// Identity is how pods come by Roles, the ARNs of what they are to AWS: see [AWSSettings].
	Identity string
	Roles    map[config.Role]pulumi.StringOutput
}

// NewAPI installs the chart of the API with what the other components have made.
func NewAPI(ctx *pulumi.Context, name string, args *APIArgs, opts ...pulumi.ResourceOption) (*API, error) {
	a := new(API)
	if err := ctx.RegisterComponentResource("prima:infra:API", name, a, opts...); err != nil {
		return nil, err
	}
	tag := args.Settings.Tag
	if tag == "" {
		var err error
		if tag, err = image.Tag(ctx.RootDirectory()); err != nil {
			return nil, err
		}
	}
	roles := pulumi.StringMap{}
	for is, arn := range args.Roles {
		roles[string(is)] = arn
	}
	values := asMap(pulumi.All(args.Endpoint, args.Table, args.Bucket, roles).ApplyT(func(made []any) (map[string]any, error) {
		contract := args.Contract
		contract.Endpoint, contract.Table, contract.Bucket = fmt.Sprint(made[0]), fmt.Sprint(made[1]), fmt.Sprint(made[2])
		values := apiValues(args, contract, tag)
		arns, _ := made[3].(map[string]string)
		for is, arn := range arns {
			give(&values, args.Identity, config.Role(is), arn)
		}
		return charts.Map(values)
	}))
	chart, err := args.Cluster.chart(ctx, a, apiRelease, apiNamespace, charts.PrimaAPIChart, values)
	if err != nil {
		return nil, err
	}

	// Known once the chart is there, so that nobody calls what does not answer yet.
	after := func(value string) pulumi.StringOutput {
		return asString(chart.Resources.ApplyT(func([]any) string { return value }))
	}
	a.Namespace, a.Version = after(apiNamespace), after(tag)
	a.IngressURL = after(args.Settings.publicURL())
	a.URL = a.IngressURL
	if port := args.Settings.NodePort; port != 0 {
		a.URL = after(fmt.Sprintf("http://%s:%d", args.Host, port))
	}
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{"url": a.URL, "ingressUrl": a.IngressURL, "namespace": a.Namespace, "version": a.Version})
}

// apiValues returns the values of the chart for an API with the given configuration.
func apiValues(args *APIArgs, contract config.Config, tag string) charts.PrimaAPI {
	values := charts.DefaultPrimaAPI()
	values.Image.Repository, values.Image.Tag, values.Image.Digest = args.Settings.Image, tag, args.Settings.Digest
	values.Config = charts.ConfigValues(contract)
	values.Access = charts.Access{Mode: args.Settings.Access, Tokens: charts.AccessTokens(contract)}
	if args.Emulated {
		values.Credentials = charts.Credentials{AccessKeyID: emulatorCredential, SecretAccessKey: emulatorCredential}
		values.Runtime = map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}
	}
	if args.Settings.NodePort != 0 {
		values.Service.Type, values.Service.NodePort = "NodePort", args.Settings.NodePort
	}
	if args.Identity != identityNone {
		// Who is not given the role must not wait for, or take, that of the node.
		values.Runtime = map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}
	}
	args.Settings.open(&values)
	args.Settings.Monitoring.watch(&values.Monitoring)
	values.Tracing = charts.Tracing(args.Settings.Tracing)
	return values
}

// watch has a Prometheus operator and a Grafana watch the API, if they are to.
func (m MonitoringSettings) watch(values *charts.Monitoring) {
	if !m.Enabled {
		return
	}
	values.Namespace = cmp.Or(m.Namespace, values.Namespace)
	values.ServiceMonitor.Enabled, values.ServiceMonitor.Labels = true, m.Labels
	rule := &values.PrometheusRule
	rule.Enabled, rule.Labels, rule.KubeStateMetrics, rule.RunbookURL = true, m.Labels, m.KubeStateMetrics, cmp.Or(m.RunbookURL, rule.RunbookURL)
	values.Dashboard.Enabled = true
}

// give lets the pods of a service account have its role.
func give(values *charts.PrimaAPI, identity string, is config.Role, arn string) {
	account, pods := &values.ServiceAccount, &values.PodAnnotations
	if is == config.RoleSweep {
		account, pods = &values.Sweep.ServiceAccount, nil
	}
	account.Name = serviceAccounts[is]
	if identity == irsa {
		account.Annotations = map[string]string{"eks.amazonaws.com/role-arn": arn}
	}
	if pods != nil {
		// A pod has the role of the moment at which it starts: another role is another pod.
		*pods = map[string]string{"prima.internal/role": arn}
	}
}
