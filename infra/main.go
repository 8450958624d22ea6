// Command infra is the Pulumi program of the system: the API on Kubernetes, and its table and
// bucket in AWS or in a LocalStack beside it. [Stack] is the settings, Pulumi.<stack>.yaml.
//
// Each component makes its resources in the file of its name: [Cluster] the namespaces,
// [LocalStack] the emulator, [Storage] the table and the bucket, [Identity] the roles of the pods,
// [API] the chart of the API.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"prima.internal/infra/image"
)

func main() {
	var config map[string]string
	await := func(ctx context.Context, endpoint string) error { return awaitEmulator(ctx, endpoint, 15) }
	pulumi.Run(
		func(ctx *pulumi.Context) error {
			return deploy(ctx, config, machine{requireCluster, await, image.Load})
		},
		func(info *pulumi.RunInfo) { config = info.Config },
	)
}

// A machine is what the program does outside of Pulumi.
type machine struct {
	requireCluster func(context string) error                       // fails unless the cluster is usable
	awaitEmulator  func(ctx context.Context, endpoint string) error // returns once the emulator responds
	// loadImage makes sure that the cluster has the image with a tag.
	loadImage func(ctx context.Context, root, profile, tag string, progress func(string)) error
}

// deploy registers the system. config is the settings of the stack by their full keys.
func deploy(ctx *pulumi.Context, config map[string]string, m machine) error {
	stack, err := loadStack(ctx, config)
	if err != nil {
		return err
	}
	if other := os.Getenv("PULUMI_BACKEND_URL"); other != "" && stack.LocalStack.Deploy {
		return fmt.Errorf("PULUMI_BACKEND_URL is %q, but the state of this stack is beside Pulumi.yaml, and a second state "+
			"would take over what the first has made: unset it", other)
	}
	if err := m.requireCluster(stack.Kubernetes.Context); err != nil {
		return err
	}
	cluster, err := NewCluster(ctx, stack)
	if err != nil {
		return err
	}
	localStack, err := NewLocalStack(ctx, stack, cluster, m.awaitEmulator)
	if err != nil {
		return err
	}
	storage, err := NewStorage(ctx, stack, localStack)
	if err != nil {
		return err
	}
	identity, err := NewIdentity(ctx, stack, storage)
	if err != nil {
		return err
	}
	tag, err := imageTag(ctx, stack, m)
	if err != nil {
		return err
	}
	api, err := NewAPI(ctx, stack, cluster, storage, identity, tag)
	if err != nil {
		return err
	}

	for _, outputs := range []pulumi.Map{api.Outputs, storage.Outputs} {
		for name, output := range outputs {
			ctx.Export(name, output)
		}
	}
	if stack.emulated() {
		ctx.Export("localstackEndpoint", localStack.Endpoint)
	}
	for is, arn := range identity.Roles {
		ctx.Export(is+"Role", arn)
	}
	return nil
}

// imageTag returns the tag of the API's image. If the stack sets none, it builds the image from
// this checkout and loads it into the cluster, but not in a preview.
func imageTag(ctx *pulumi.Context, stack Stack, m machine) (string, error) {
	if stack.API.Tag != "" || stack.API.Digest != "" {
		return stack.API.Tag, nil
	}
	tag, err := image.Tag(ctx.RootDirectory())
	if err != nil || ctx.DryRun() {
		return tag, err
	}
	progress := func(line string) { _ = ctx.Log.Info(line, &pulumi.LogArgs{Ephemeral: true}) }
	return tag, m.loadImage(ctx.Context(), ctx.RootDirectory(), stack.Kubernetes.Context, tag, progress)
}
