package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"prima.internal/app/config"
	"prima.internal/app/contract"
)

// Identity is the roles of the pods in AWS, one for each of the contract's.
type Identity struct {
	pulumi.ResourceState
	Roles pulumi.StringMap // ARNs by [contract.Role]; empty if the stack makes no role
}

// longestRoleName is in characters:
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html.
const longestRoleName = 64

// propagation is how long a new association of EKS Pod Identity may take to reach EKS, which gives
// a pod its credentials when it is admitted.
//
// Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html.
const propagation = 15 * time.Second

// NewIdentity makes the roles unless aws.identity is none.
func NewIdentity(ctx *pulumi.Context, stack Stack, storage *Storage) (*Identity, error) {
	i := &Identity{Roles: pulumi.StringMap{}}
	if stack.AWS.Identity == identityNone {
		return i, nil
	}
	if err := ctx.RegisterComponentResource("prima:infra:Identity", "identity", i); err != nil {
		return nil, err
	}
	options := []pulumi.ResourceOption{pulumi.Parent(i), pulumi.Provider(storage.Provider)}
	associate := slices.Clip(options)
	if stack.AWS.Identity == podIdentity {
		wait := func(*pulumi.ResourceHookArgs) error { time.Sleep(propagation); return nil }
		hook, err := ctx.RegisterResourceHook("propagation", wait, nil)
		if err != nil {
			return nil, err
		}
		hooks := &pulumi.ResourceHookBinding{AfterCreate: []*pulumi.ResourceHook{hook}}
		associate = append(associate, pulumi.ResourceHooks(hooks))
	}
	outputs := pulumi.Map{}
	for _, is := range config.Roles() {
		arn, err := newRole(ctx, stack, is, options, associate)
		if err != nil {
			return nil, err
		}
		i.Roles[string(is)], outputs[string(is)] = arn, arn
	}
	return i, ctx.RegisterResourceOutputs(i, outputs)
}

// newRole makes a role with its policy and, with EKS Pod Identity, its association. It returns the
// ARN, which is known once pods may have the role.
func newRole(
	ctx *pulumi.Context, stack Stack, is contract.Role, options, associate []pulumi.ResourceOption,
) (arn pulumi.StringOutput, err error) {
	account, in := serviceAccount(is), stack.location()
	name := stack.roleName(is)
	args := &iam.RoleArgs{
		Name:             pulumi.String(name),
		AssumeRolePolicy: pulumi.String(document(trustPolicy(stack, account))),
		Description: pulumi.String(fmt.Sprintf(
			"The pods of the service account %s in the namespace %s of Kubernetes", account, apiNamespace)),
	}
	if boundary := stack.AWS.PermissionsBoundary; boundary != "" {
		args.PermissionsBoundary = pulumi.String(boundary)
	}
	role, err := iam.NewRole(ctx, account, args, options...)
	if err != nil {
		return arn, err
	}
	// The ARNs are made from names, so that a preview shows what is going to be allowed.
	policy := contract.PolicyOf(is, stack.Contract.Resources(), in)
	_, err = iam.NewRolePolicy(ctx, account, &iam.RolePolicyArgs{
		Name: pulumi.String("prima-api"), Role: role.ID(), Policy: pulumi.String(document(policy)),
	}, options...)
	if err != nil {
		return arn, err
	}
	arn = role.Arn
	if stack.AWS.Identity == podIdentity {
		association, err := eks.NewPodIdentityAssociation(ctx, account, &eks.PodIdentityAssociationArgs{
			ClusterName: pulumi.String(stack.AWS.Cluster), Namespace: pulumi.String(apiNamespace),
			ServiceAccount: pulumi.String(account), RoleArn: role.Arn,
		}, associate...)
		if err != nil {
			return arn, err
		}
		associated := pulumix.Apply2(role.Arn, association.ID(), func(arn string, _ pulumi.ID) string { return arn })
		arn = pulumix.Cast[pulumi.StringOutput](associated)
	}
	if ctx.DryRun() { // as for the names of resources: see NewStorage
		known := fmt.Sprintf("arn:%s:iam::%s:role/%s", in.Partition, in.Account, name)
		arn = pulumi.String(known).ToStringOutput()
	}
	return arn, nil
}

// serviceAccount returns the service account, in the API's namespace, of the pods with a role.
func serviceAccount(is contract.Role) string {
	if is == config.RoleAPI {
		return apiRelease
	}
	return apiRelease + "-" + string(is)
}

// roleName returns the name of a role. It contains the region, because an account has one namespace
// for the roles of all regions. The suffix of the service account comes last, so that no name of a
// stack can imitate it.
func (s Stack) roleName(is contract.Role) string {
	suffix := strings.TrimPrefix(serviceAccount(is), apiRelease)
	return apiRelease + "-" + s.Name + "-" + s.Storage.Region + suffix
}

// trustPolicy lets the pods of a service account in one cluster assume its role.
//
// Sources: pod-id-role.html, pod-id-abac.html and associate-service-account-role.html in
// https://docs.aws.amazon.com/eks/latest/userguide/.
func trustPolicy(stack Stack, account string) contract.Policy {
	settings, in := stack.AWS, stack.location()
	s := contract.Statement{Sid: "Pods", Effect: "Allow"}
	if settings.Identity == podIdentity {
		cluster := fmt.Sprintf("arn:%s:eks:%s:%s:cluster/%s", in.Partition, in.Region, in.Account, settings.Cluster)
		s.Principal = map[string]string{"Service": "pods.eks.amazonaws.com"}
		s.Action = []string{"sts:AssumeRole", "sts:TagSession"}
		s.Condition = map[string]map[string]string{"StringEquals": {
			"aws:RequestTag/eks-cluster-arn":            cluster,
			"aws:RequestTag/kubernetes-namespace":       apiNamespace,
			"aws:RequestTag/kubernetes-service-account": account,
		}}
	} else {
		issuer := strings.TrimPrefix(settings.OIDCIssuer, "https://")
		provider := fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", in.Partition, in.Account, issuer)
		s.Principal = map[string]string{"Federated": provider}
		s.Action = []string{"sts:AssumeRoleWithWebIdentity"}
		s.Condition = map[string]map[string]string{"StringEquals": {
			issuer + ":aud": "sts.amazonaws.com",
			issuer + ":sub": "system:serviceaccount:" + apiNamespace + ":" + account,
		}}
	}
	return contract.Policy{Version: contract.PolicyVersion, Statement: []contract.Statement{s}}
}

// partitionOf returns the partition of AWS that a region is in, as ARNs name it.
//
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// document returns a policy as AWS takes it.
func document(p contract.Policy) string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and maps of them
	}
	return string(data)
}
