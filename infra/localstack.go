package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// LocalStack is the emulator of AWS: one in the cluster, one that exists elsewhere, or none.
type LocalStack struct {
	pulumi.ResourceState
	Endpoint pulumi.StringOutput // for the machine that runs Pulumi; empty for AWS itself
	Chart    pulumi.Resource     // nil unless the emulator is in the cluster
}

// NewLocalStack deploys LocalStack if the settings say so. Its endpoint is known after await.
func NewLocalStack(ctx *pulumi.Context, stack Stack, cluster *Cluster, await func(string) error) (*LocalStack, error) {
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
			return endpoint, await(endpoint)
		}))
	}
	return l, ctx.RegisterResourceOutputs(l, pulumi.Map{
		"endpoint": l.Endpoint, "podEndpoint": pulumi.String(stack.podEndpoint()),
	})
}

// awaitTime is how long an emulator may take to respond once its pod is ready.
const awaitTime = 15 * time.Second

// awaitEmulator lists tables and buckets until both succeed, for at most limit. Without it, an
// emulator that cannot be reached looks like a hang of many minutes, because the AWS provider
// retries a refused connection.
func awaitEmulator(endpoint string, limit time.Duration) error {
	c := aws.Config{
		Region: config.Default().Region, BaseEndpoint: &endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(emulatorCredential, emulatorCredential, ""),
	}
	list := map[string]func(context.Context) error{
		"DynamoDB": func(ctx context.Context) error {
			_, err := dynamodb.NewFromConfig(c).ListTables(ctx, &dynamodb.ListTablesInput{})
			return err
		},
		"S3": func(ctx context.Context) error {
			_, err := s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }).ListBuckets(ctx, &s3.ListBucketsInput{})
			return err
		},
	}
	const attempt = 5 * time.Second // for a port behind which nothing responds
	deadline := time.Now().Add(limit)
	for service, list := range list {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), attempt)
			err := list(ctx)
			cancel()
			if err == nil {
				break
			}
			if time.Now().Before(deadline) {
				time.Sleep(limit / 50)
				continue
			}
			if response, ok := errors.AsType[*awshttp.ResponseError](err); ok && response.HTTPStatusCode() != 0 {
				return fmt.Errorf("%s does not work at %s: %w", service, endpoint, err)
			}
			return fmt.Errorf("nothing listens at %s: %w. If LocalStack is in the cluster, its pod is ready, so its port is "+
				"not published at kubernetes.host. Docker publishes none of a cluster that exists: minikube delete -p prima, "+
				"then task up", endpoint, err)
		}
	}
	return nil
}
