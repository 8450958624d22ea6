package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"prima.internal/infra/charts"
)

// LocalStack is the emulator of AWS: one in the cluster, one that exists elsewhere, or none.
type LocalStack struct {
	pulumi.ResourceState
	Endpoint pulumi.StringOutput // for the machine that runs Pulumi; empty for AWS itself
	Chart    pulumi.Resource     // nil unless the emulator is in the cluster
}

// NewLocalStack deploys LocalStack if the settings say so. Its endpoint is known after await.
func NewLocalStack(ctx *pulumi.Context, stack Stack, cluster *Cluster, await func(context.Context, string) error) (*LocalStack, error) {
	endpoint := stack.endpoint()
	l := &LocalStack{Endpoint: pulumi.String(endpoint).ToStringOutput()}
	if !stack.emulated() {
		return l, nil
	}
	if err := ctx.RegisterComponentResource("prima:infra:LocalStack", localStackRelease, l); err != nil {
		return nil, err
	}
	ready := pulumi.Array{}.ToArrayOutput()
	if stack.LocalStack.Deploy {
		values := pulumi.Map{"image": pulumi.String(stack.LocalStack.Image), "nodePort": pulumi.Int(localStackPort)}
		if stack.LocalStackAuthToken != nil {
			values["authToken"] = stack.LocalStackAuthToken
		}
		chart, err := cluster.chart(ctx, l, localStackRelease, localStackNamespace, charts.LocalStackChart, values)
		if err != nil {
			return nil, err
		}
		l.Chart, ready = chart, chart.Resources
	}
	if !ctx.DryRun() { // a preview needs the endpoint to show what is in AWS
		l.Endpoint = pulumix.Cast[pulumi.StringOutput](pulumix.ApplyErr(ready, func([]any) (string, error) {
			return endpoint, await(ctx.Context(), endpoint)
		}))
	}
	return l, ctx.RegisterResourceOutputs(l, pulumi.Map{
		"endpoint": l.Endpoint, "podEndpoint": pulumi.String(stack.podEndpoint()),
	})
}

// awaitEmulator returns once an emulator responds, after up to as many attempts, a second apart.
// Without it, an emulator that cannot be reached looks like a hang of many minutes, because the AWS
// provider retries a refused connection.
func awaitEmulator(ctx context.Context, endpoint string, attempts int) error {
	client := http.Client{Timeout: 5 * time.Second}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			return response.Body.Close()
		}
		if attempts--; attempts <= 0 {
			return fmt.Errorf("nothing listens at %s: %w. If LocalStack is in the cluster, its pod is ready, so its port is not "+
				"published at kubernetes.host. Docker publishes none of a cluster that exists: minikube delete -p prima, then "+
				"task up", endpoint, err)
		}
		time.Sleep(time.Second)
	}
}
