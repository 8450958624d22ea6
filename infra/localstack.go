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

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// LocalStack is the emulator that stands in for AWS: one in the cluster, one that exists elsewhere,
// or none.
type LocalStack struct {
	pulumi.ResourceState
	// Endpoint is the URL for the machine that runs Pulumi, known to answer during an update. Empty
	// means AWS itself.
	Endpoint pulumi.StringOutput
	// Chart is what holds the emulated AWS; nil unless it is in the cluster.
	Chart pulumi.Resource
}

// NewLocalStack deploys LocalStack if the settings say so. Its endpoint is known once await returns.
func NewLocalStack(ctx *pulumi.Context, stack Stack, cluster *Cluster, await func(string) error) (*LocalStack, error) {
	l := new(LocalStack)
	endpoint := stack.endpoint()
	if endpoint == "" { // AWS itself
		l.Endpoint = pulumi.String("").ToStringOutput()
		return l, nil
	}
	if err := ctx.RegisterComponentResource("prima:infra:LocalStack", localStackRelease, l); err != nil {
		return nil, err
	}

	deployed := pulumi.ToOutput(nil)
	if stack.LocalStack.Deploy {
		values := pulumi.Map{"image": pulumi.String(stack.LocalStack.Image), "nodePort": pulumi.Int(localStackPort)}
		if stack.LocalStackAuthToken != nil {
			values["authToken"] = stack.LocalStackAuthToken
		}
		chart, err := cluster.chart(ctx, l, localStackRelease, localStackNamespace, charts.LocalStackChart, values)
		if err != nil {
			return nil, err
		}
		l.Chart, deployed = chart, chart.Resources
	}

	l.Endpoint = pulumi.String(endpoint).ToStringOutput()
	// A preview does not wait: it would not know the endpoint, and with it nothing of what is in AWS.
	if !ctx.DryRun() {
		l.Endpoint = asString(deployed.ApplyT(func(any) (string, error) { return endpoint, await(endpoint) }))
	}
	return l, ctx.RegisterResourceOutputs(l, pulumi.Map{
		"endpoint": l.Endpoint, "podEndpoint": pulumi.String(stack.podEndpoint()),
	})
}

// awaitTime is how long an emulator may take to respond once its pod is ready.
const awaitTime = 15 * time.Second

// awaitEmulator lists tables and buckets until both succeed. Without it, an emulator that this machine cannot reach
// would look like a hang of many minutes, because the AWS provider retries a refused connection.
func awaitEmulator(endpoint string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
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
	for service, list := range list {
		var last error
		for {
			attempt, cancel := context.WithTimeout(ctx, limit/5)
			err := list(attempt)
			cancel()
			if err == nil {
				break
			}
			if last == nil || ctx.Err() == nil {
				last = err
			}
			select {
			case <-time.After(limit / 50):
				continue
			case <-ctx.Done():
				return unreachable(endpoint, service, last)
			}
		}
	}
	return nil
}

// unreachable says what is missing: the port, or a service behind it. The pod of a LocalStack in the cluster is ready by
// then.
func unreachable(endpoint, service string, err error) error {
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok && response.HTTPStatusCode() != 0 {
		return fmt.Errorf("%s does not work at %s: %w", service, endpoint, err)
	}
	return fmt.Errorf("nothing listens at %s: %w. If LocalStack is in the cluster, its pod is ready, so its port is not "+
		"published at kubernetes.host. Docker publishes none of a cluster that exists: minikube delete -p prima, then task up",
		endpoint, err)
}
