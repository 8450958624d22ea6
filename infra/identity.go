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
	// Roles are the ARNs of the roles; empty where the stack makes none.
	Roles map[contract.Role]pulumi.StringOutput
}

// serviceAccount returns the name of the service account, in the namespace of the API, of the pods with a role.
func serviceAccount(is contract.Role) string {
	if is == config.RoleAPI {
		return apiRelease
	}
	return apiRelease + "-" + string(is)
}

// longestRoleName is in characters: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html.
const longestRoleName = 64

// propagation is how long a new association of EKS Pod Identity may take to be known everywhere.
const propagation = 15 * time.Second

// NewIdentity makes the roles, unless somebody else does.
func NewIdentity(ctx *pulumi.Context, stack Stack, storage *Storage) (*Identity, error) {
	i := &Identity{Roles: map[contract.Role]pulumi.StringOutput{}}
	settings, region := stack.AWS, stack.Storage.Region
	if settings.Identity == identityNone {
		return i, nil
	}
	if err := ctx.RegisterComponentResource("prima:infra:Identity", "identity", i); err != nil {
		return nil, err
	}
	options := []pulumi.ResourceOption{pulumi.Parent(i), pulumi.Provider(storage.Provider)}
	var propagated []*pulumi.ResourceHook
	if settings.Identity == podIdentity {
		// EKS gives a pod its credentials when it is admitted, and a new association takes seconds to reach it.
		// Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html.
		wait := func(*pulumi.ResourceHookArgs) error { time.Sleep(propagation); return nil }
		hook, err := ctx.RegisterResourceHook("propagation", wait, nil)
		if err != nil {
			return nil, err
		}
		propagated = append(propagated, hook)
	}
	partition := partitionOf(region)
	outputs := pulumi.Map{}
	for _, is := range config.Roles() {
		account := serviceAccount(is)
		called := roleName(account, ctx.Stack(), region)
		role := &iam.RoleArgs{
			Name:             pulumi.String(called),
			AssumeRolePolicy: pulumi.String(document(trustPolicy(stack, account))),
			Description: pulumi.String(fmt.Sprintf(
				"The pods of the service account %s in the namespace %s of Kubernetes", account, apiNamespace)),
		}
		if boundary := settings.PermissionsBoundary; boundary != "" {
			role.PermissionsBoundary = pulumi.String(boundary)
		}
		r, err := iam.NewRole(ctx, account, role, options...)
		if err != nil {
			return nil, err
		}
		// The ARNs are made of names, so that a preview shows what is going to be allowed.
		policy := contract.PolicyOf(is, stack.Contract.Resources(), stack.location())
		_, err = iam.NewRolePolicy(ctx, account, &iam.RolePolicyArgs{
			Name: pulumi.String("prima-api"), Role: r.ID(), Policy: pulumi.String(document(policy)),
		}, options...)
		if err != nil {
			return nil, err
		}
		i.Roles[is] = r.Arn
		if settings.Identity == podIdentity {
			association, err := eks.NewPodIdentityAssociation(ctx, account, &eks.PodIdentityAssociationArgs{
				ClusterName: pulumi.String(settings.Cluster), Namespace: pulumi.String(apiNamespace),
				ServiceAccount: pulumi.String(account), RoleArn: r.Arn,
			}, append(slices.Clip(options), pulumi.ResourceHooks(&pulumi.ResourceHookBinding{AfterCreate: propagated}))...)
			if err != nil {
				return nil, err
			}
			associated := pulumix.Apply2(r.Arn, association.ID(), func(arn string, _ pulumi.ID) string { return arn })
			i.Roles[is] = pulumix.Cast[pulumi.StringOutput](associated)
		}
		if ctx.DryRun() { // as for the names of resources: see NewStorage
			arn := fmt.Sprintf("arn:%s:iam::%s:role/%s", partition, settings.Account, called)
			i.Roles[is] = pulumi.String(arn).ToStringOutput()
		}
		outputs[string(is)] = i.Roles[is]
	}
	return i, ctx.RegisterResourceOutputs(i, outputs)
}

// roleName returns the name of the role of a service account. It contains the region, because roles are global in an
// account. The account's suffix comes last, where no stack's name can be taken for it.
func roleName(account, stack, region string) string {
	return apiRelease + "-" + stack + "-" + region + strings.TrimPrefix(account, apiRelease)
}

// roleFaults returns a fault for each role that IAM would not take the name of.
func (s Stack) roleFaults(stack string) []error {
	var faults []error
	for _, is := range config.Roles() {
		name := roleName(serviceAccount(is), stack, s.Storage.Region)
		if s.AWS.Identity != identityNone && len(name) > longestRoleName {
			faults = append(faults, fmt.Errorf("aws.identity: the role would be called %s, and a name has at most %d "+
				"characters: call the stack something shorter", name, longestRoleName))
		}
	}
	return faults
}

// trustPolicy says who may take the role of a service account: its pods, in one cluster.
//
// Sources: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html with the tags of pod-id-abac.html, and
// https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html.
func trustPolicy(stack Stack, account string) contract.Policy {
	settings, in := stack.AWS, stack.location()
	s := contract.Statement{Sid: "Pods", Effect: "Allow"}
	if settings.Identity == podIdentity {
		s.Principal = map[string]string{"Service": "pods.eks.amazonaws.com"}
		s.Action = []string{"sts:AssumeRole", "sts:TagSession"}
		s.Condition = map[string]map[string]string{"StringEquals": {
			"aws:RequestTag/eks-cluster-arn": fmt.Sprintf(
				"arn:%s:eks:%s:%s:cluster/%s", in.Partition, in.Region, in.Account, settings.Cluster),
			"aws:RequestTag/kubernetes-namespace":       apiNamespace,
			"aws:RequestTag/kubernetes-service-account": account,
		}}
	} else {
		issuer := strings.TrimPrefix(settings.OIDCIssuer, "https://")
		s.Principal = map[string]string{
			"Federated": fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", in.Partition, in.Account, issuer),
		}
		s.Action = []string{"sts:AssumeRoleWithWebIdentity"}
		s.Condition = map[string]map[string]string{"StringEquals": {
			issuer + ":aud": "sts.amazonaws.com",
			issuer + ":sub": "system:serviceaccount:" + apiNamespace + ":" + account,
		}}
	}
	return contract.Policy{Version: contract.PolicyVersion, Statement: []contract.Statement{s}}
}

// partitionOf returns the part of AWS that a region is in, as ARNs name it.
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

// document returns a policy as IAM takes it.
func document(p contract.Policy) string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and maps of them
	}
	return string(data)
}
