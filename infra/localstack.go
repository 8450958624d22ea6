package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"prima.internal/infra/charts"
)

// LocalStack is the emulator that stands in for AWS: one in the cluster, one that exists elsewhere,
// or none.
type LocalStack struct {
	pulumi.ResourceState
	// Endpoint is the URL for the machine that runs Pulumi, known to answer during an update. Empty
	// means AWS itself.
	Endpoint pulumi.StringOutput
	// PodEndpoint is the URL for pods. Empty means AWS itself.
	PodEndpoint pulumi.StringOutput
}

// LocalStackArgs are what a LocalStack needs.
type LocalStackArgs struct {
	Settings  LocalStackSettings
	Endpoint  string                // for the machine that runs Pulumi
	AuthToken pulumi.StringPtrInput // nil: none
	Cluster   *Cluster
	// Await returns once LocalStack answers at the endpoint, or an error that says what to do.
	Await func(endpoint string) error
}

// NewLocalStack deploys LocalStack if the settings say so, and makes sure that it answers.
func NewLocalStack(ctx *pulumi.Context, name string, args *LocalStackArgs, opts ...pulumi.ResourceOption) (*LocalStack, error) {
	l := new(LocalStack)
	if args.Endpoint == "" { // AWS itself
		l.Endpoint, l.PodEndpoint = pulumi.String("").ToStringOutput(), pulumi.String("").ToStringOutput()
		return l, nil
	}
	if err := ctx.RegisterComponentResource("prima:infra:LocalStack", name, l, opts...); err != nil {
		return nil, err
	}

	deployed := pulumi.ToOutput(nil)
	podEndpoint := args.Settings.PodEndpoint
	if args.Settings.Deploy {
		values := charts.DefaultLocalStack()
		values.Image = parseImage(args.Settings.Image)
		values.Service.NodePort = localStackPort
		podEndpoint = charts.ServiceURL(name, localStackNamespace, values.Service.Port)
		chart, err := args.Cluster.chart(ctx, l, name, localStackNamespace, charts.LocalStackChart, withToken(values, args.AuthToken))
		if err != nil {
			return nil, err
		}
		deployed = chart.Resources
	}

	l.PodEndpoint = pulumi.String(podEndpoint).ToStringOutput()
	l.Endpoint = pulumi.String(args.Endpoint).ToStringOutput()
	// A preview does not wait: it would not know the endpoint, and with it nothing of what is in AWS.
	if !ctx.DryRun() {
		l.Endpoint = asString(deployed.ApplyT(func(any) (string, error) { return args.Endpoint, args.Await(args.Endpoint) }))
	}
	return l, ctx.RegisterResourceOutputs(l, pulumi.Map{"endpoint": l.Endpoint, "podEndpoint": l.PodEndpoint})
}

// withToken returns the values with the token, which stays a secret, if there is one.
func withToken(values charts.LocalStack, token pulumi.StringPtrInput) pulumi.MapInput {
	if token == nil {
		return valuesOf(values)
	}
	return asMap(token.ToStringPtrOutput().ApplyT(func(token *string) (map[string]any, error) {
		if token != nil {
			values.AuthToken = *token
		}
		return charts.Map(values)
	}))
}

// parseImage takes the name of an image apart: repository[:tag][@digest].
func parseImage(name string) charts.Image {
	image := charts.Image{PullPolicy: "IfNotPresent"}
	name, image.Digest, _ = strings.Cut(name, "@")
	image.Repository = name
	// A colon before the last slash is that of the registry's port.
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		image.Repository, image.Tag = name[:colon], name[colon+1:]
	}
	return image
}

// How long LocalStack is waited for where its pod is ready already, and between two questions.
const (
	awaitTime   = 10 * time.Second
	awaitPause  = 200 * time.Millisecond
	awaitAnswer = 2 * time.Second
)

// awaitLocalStack asks LocalStack's health until DynamoDB and S3 are there. Without it, a LocalStack
// that this machine does not reach would look like a hang of many minutes: the AWS provider
// repeats a refused connection.
func awaitLocalStack(endpoint string) error {
	ctx, cancel := context.WithTimeout(context.Background(), awaitTime)
	defer cancel()
	var last error
	for {
		if last = askHealth(ctx, endpoint); last == nil {
			return nil
		}
		select {
		case <-time.After(awaitPause):
		case <-ctx.Done():
			return fmt.Errorf("LocalStack does not answer at %s (%w). Its pod is ready, so this machine does not reach the port: "+
				"`task up` says whether the cluster publishes it; kubernetes.host says where the ports of the nodes are", endpoint, last)
		}
	}
}

func askHealth(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, awaitAnswer)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/_localstack/health", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var health struct {
		Services map[string]string `json:"services"`
	}
	if err := json.NewDecoder(response.Body).Decode(&health); err != nil || response.StatusCode != http.StatusOK {
		return errors.New("what answers is not LocalStack: " + response.Status)
	}
	for _, service := range []string{"dynamodb", "s3"} {
		if state := health.Services[service]; state != "running" && state != "available" {
			return fmt.Errorf("%s is %q", service, state)
		}
	}
	return nil
}
