// Command infra is the Pulumi program of the system: a table and a bucket in AWS or, where the stack says so, in a
// LocalStack in the cluster, and the API in front of them. Its settings are in Pulumi.<stack>.yaml: see [Stack].
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error { return deploy(ctx, requireContext, awaitLocalStack) })
}

// deploy is the system. require refuses a context that the kubeconfig does not have; await is how LocalStack is waited
// for: see LocalStackArgs.
func deploy(ctx *pulumi.Context, require, await func(string) error) error {
	stack, err := loadStack(ctx)
	if err != nil {
		return err
	}
	if err := require(stack.Kubernetes.Context); err != nil {
		return err
	}

	cluster, err := NewCluster(ctx, "cluster", &ClusterArgs{
		Context: stack.Kubernetes.Context, Identifier: stack.clusterIdentifier(ctx.Project(), ctx.Stack()), LocalStack: stack.LocalStack.Deploy, Labels: stack.API.Ingress.namespaceLabels(),
	})
	if err != nil {
		return err
	}
	localStack, err := NewLocalStack(ctx, "localstack", &LocalStackArgs{
		Settings: stack.LocalStack, Endpoint: stack.endpoint(), AuthToken: stack.LocalStackAuthToken, Cluster: cluster, Await: await,
	})
	if err != nil {
		return err
	}
	storage, err := NewStorage(ctx, "storage", &StorageArgs{
		Settings: stack.Storage, Account: stack.AWS.Account, Environment: stack.Environment, Endpoint: localStack.Endpoint, Emulated: stack.emulated(),
	})
	if err != nil {
		return err
	}
	identity, err := NewIdentity(ctx, "identity", &IdentityArgs{
		Settings: stack.AWS, Region: stack.Storage.Region, Table: stack.Storage.Table, Bucket: stack.Storage.Bucket, Provider: storage.Provider,
	})
	if err != nil {
		return err
	}
	contract, err := stack.apiConfig()
	if err != nil {
		return err
	}
	api, err := NewAPI(ctx, "api", &APIArgs{
		Settings: stack.API, Host: stack.Kubernetes.Host, Contract: contract, Cluster: cluster,
		Endpoint: localStack.PodEndpoint, Table: storage.Table, Bucket: storage.Bucket, Emulated: stack.emulated(),
		Identity: stack.AWS.Identity, Roles: identity.Roles,
	})
	if err != nil {
		return err
	}

	ctx.Export("url", api.URL)
	ctx.Export("ingressUrl", api.IngressURL)
	ctx.Export("namespace", api.Namespace)
	ctx.Export("version", api.Version)
	ctx.Export("table", storage.Table)
	ctx.Export("bucket", storage.Bucket)
	if stack.emulated() {
		ctx.Export("localstackEndpoint", localStack.Endpoint)
	}
	for is, arn := range identity.Roles {
		ctx.Export(string(is)+"Role", arn)
	}
	return nil
}
