package main

import (
	"cmp"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/infra/charts"
)

// API is the deployed API. Its outputs are known once its pods are ready.
type API struct {
	pulumi.ResourceState
	Outputs pulumi.Map
}

// NewAPI installs the chart of the API with what the other components have made.
func NewAPI(
	ctx *pulumi.Context, stack Stack, cluster *Cluster, storage *Storage, identity *Identity, tag string,
) (*API, error) {
	a := new(API)
	if err := ctx.RegisterComponentResource("prima:infra:API", "api", a); err != nil {
		return nil, err
	}
	// charts.Map comes before the output, which would turn nil lists and maps, which leave the
	// chart's default alone, into empty ones, which replace it.
	values := pulumix.Apply2Err(storage.Names, identity.Roles, func(names, arns map[string]string) (map[string]any, error) {
		return charts.Map(apiValues(stack, names, arns, tag))
	})
	chart, err := cluster.chart(ctx, a, apiRelease, apiNamespace, charts.PrimaAPIChart,
		pulumix.Cast[pulumi.MapOutput](values))
	if err != nil {
		return nil, err
	}

	ingressURL := stack.publicURL()
	url := ingressURL
	if service := stack.Values.Service; service.Type == "NodePort" {
		url = fmt.Sprintf("http://%s:%d", stack.Kubernetes.Host, service.NodePort)
	}
	a.Outputs = pulumi.Map{}
	for name, value := range map[string]string{
		"url": url, "ingressUrl": ingressURL, "namespace": apiNamespace, "version": cmp.Or(tag, stack.API.Digest),
	} {
		after := pulumix.Apply(chart.Resources, func([]any) string { return value })
		a.Outputs[name] = pulumix.Cast[pulumi.StringOutput](after)
	}
	return a, ctx.RegisterResourceOutputs(a, a.Outputs)
}

// apiValues returns the values of the chart for an API with resources of the given names, by their
// ids, and the ARNs of the given roles.
func apiValues(stack Stack, names, arns map[string]string, tag string) charts.PrimaAPI {
	settings := stack.Contract
	for _, r := range settings.Resources() {
		*r.Name = names[r.ID]
	}
	values := stack.Values // its maps are shared, and never nil because values.yaml has them
	values.Image.Repository, values.Image.Tag, values.Image.Digest = stack.API.Image, tag, stack.API.Digest
	values.Config = charts.ConfigValues(settings)
	values.Access.Mode, values.Access.Tokens = stack.API.Access, charts.AccessTokens(settings)
	if stack.emulated() {
		values.Credentials.AccessKeyID, values.Credentials.SecretAccessKey = emulatorCredential, emulatorCredential
	}
	if stack.emulated() || stack.AWS.Identity != identityNone {
		// A pod without its role must not wait for, or take, that of the node.
		values.Runtime["AWS_EC2_METADATA_DISABLED"] = "true"
	}
	for role, arn := range arns {
		account := &values.ServiceAccount
		if contract.Role(role) == config.RoleSweep {
			account = &values.Sweep.ServiceAccount
		} else {
			// A pod keeps the role that it started with, so another role needs another pod.
			values.PodAnnotations["prima.internal/role"] = arn
		}
		account.Name = serviceAccount(contract.Role(role))
		if stack.AWS.Identity == irsa {
			account.Annotations["eks.amazonaws.com/role-arn"] = arn
		}
	}
	return values
}
