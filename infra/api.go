package main

import (
	"cmp"
	"fmt"
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/infra/charts"
)

// API is the deployed API.
type API struct {
	pulumi.ResourceState
	URL        pulumi.StringOutput // by the NodePort or, without one, by the way in from outside; empty without either
	IngressURL pulumi.StringOutput // by the Ingress or the Gateway; empty without either
	Namespace  pulumi.StringOutput
	Version    pulumi.StringOutput // the image's tag
}

// NewAPI installs the chart of the API with what the other components have made. tag is that of the image.
func NewAPI(
	ctx *pulumi.Context, stack Stack, cluster *Cluster, storage *Storage, identity *Identity, tag string,
) (*API, error) {
	a := new(API)
	if err := ctx.RegisterComponentResource("prima:infra:API", "api", a); err != nil {
		return nil, err
	}
	roles := pulumi.StringMap{}
	for is, arn := range identity.Roles {
		roles[string(is)] = arn
	}
	values := pulumix.Apply2Err(storage.Names, roles, func(names, arns map[string]string) (map[string]any, error) {
		settings := stack.Contract
		for _, r := range settings.Resources() {
			*r.Name = names[r.ID]
		}
		values := apiValues(stack, settings, tag)
		for is, arn := range arns {
			give(&values, stack.AWS.Identity, contract.Role(is), arn)
		}
		return charts.Map(values)
	})
	chart, err := cluster.chart(ctx, a, apiRelease, apiNamespace, charts.PrimaAPIChart,
		pulumix.Cast[pulumi.MapOutput](values))
	if err != nil {
		return nil, err
	}

	// Known once the chart is there, so that nobody calls what does not answer yet.
	after := func(value string) pulumi.StringOutput {
		return asString(chart.Resources.ApplyT(func([]any) string { return value }))
	}
	a.Namespace, a.Version = after(apiNamespace), after(cmp.Or(tag, stack.API.Digest))
	a.IngressURL = after(stack.publicURL())
	a.URL = a.IngressURL
	if service := stack.Values.Service; service.Type == "NodePort" {
		a.URL = after(fmt.Sprintf("http://%s:%d", stack.Kubernetes.Host, service.NodePort))
	}
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{
		"url": a.URL, "ingressUrl": a.IngressURL, "namespace": a.Namespace, "version": a.Version,
	})
}

// apiValues returns the values of the chart for an API with the given configuration.
func apiValues(stack Stack, settings config.Config, tag string) charts.PrimaAPI {
	values := stack.Values
	values.Image.Repository, values.Image.Tag, values.Image.Digest = stack.API.Image, tag, stack.API.Digest
	values.Config = charts.ConfigValues(settings)
	values.Access = charts.Access{Mode: stack.API.Access, Tokens: charts.AccessTokens(settings)}
	if stack.emulated() {
		values.Credentials = charts.Credentials{AccessKeyID: emulatorCredential, SecretAccessKey: emulatorCredential}
	}
	if stack.emulated() || stack.AWS.Identity != identityNone {
		// A pod without its role must not wait for, or take, that of the node.
		values.Runtime = with(values.Runtime, "AWS_EC2_METADATA_DISABLED", "true")
	}
	return values
}

// with returns a copy of a map with one more entry.
func with(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// give lets the pods of a service account assume its role.
func give(values *charts.PrimaAPI, identity string, is contract.Role, arn string) {
	account := &values.ServiceAccount
	if is == config.RoleSweep {
		account = &values.Sweep.ServiceAccount
	} else {
		// A pod has the role of the moment at which it starts: another role is another pod.
		values.PodAnnotations = with(values.PodAnnotations, "prima.internal/role", arn)
	}
	account.Name = serviceAccount(is)
	if identity == irsa {
		account.Annotations = with(account.Annotations, "eks.amazonaws.com/role-arn", arn)
	}
}
