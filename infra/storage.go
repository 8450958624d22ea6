package main

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"prima.internal/app/contract"
)

// Storage is the contract's resources in AWS: tables and buckets.
type Storage struct {
	pulumi.ResourceState
	Names    pulumi.StringMap // by [contract.Resource].ID
	Provider *aws.Provider    // that of everything in AWS
}

// incompleteUploadDays is how long the parts of an upload that was never finished are kept.
const incompleteUploadDays = 1

// NewStorage makes the resources, or adopts those that exist.
func NewStorage(ctx *pulumi.Context, stack Stack, localStack *LocalStack) (*Storage, error) {
	const name = "storage"
	s := &Storage{Names: pulumi.StringMap{}}
	if err := ctx.RegisterComponentResource("prima:infra:Storage", name, s); err != nil {
		return nil, err
	}
	provider, err := aws.NewProvider(ctx, name, providerArgs(stack, localStack.Endpoint), pulumi.Parent(s))
	if err != nil {
		return nil, err
	}
	s.Provider = provider
	options := []pulumi.ResourceOption{pulumi.Parent(s), pulumi.Provider(provider)}
	if localStack.Chart != nil { // with which they disappear
		options = append(options, pulumi.DeletedWith(localStack.Chart))
	}

	outputs := pulumi.Map{}
	for _, r := range stack.Contract.Resources() {
		made, err := newResource(ctx, stack, r, options)
		if err != nil {
			return nil, err
		}
		s.Names[r.ID] = made
		if ctx.DryRun() {
			// A preview knows the names, and shows what is made of them. The update waits for the resources.
			s.Names[r.ID] = pulumi.String(*r.Name)
		}
		outputs[storageKey(r)] = s.Names[r.ID]
	}
	return s, ctx.RegisterResourceOutputs(s, outputs)
}

// newResource makes a resource and returns its name.
func newResource(
	ctx *pulumi.Context, stack Stack, r contract.Resource, options []pulumi.ResourceOption,
) (name pulumi.StringInput, err error) {
	switch r.Kind {
	case contract.TableKind:
		table, err := newTable(ctx, stack.Storage, r, options)
		if err != nil {
			return nil, err
		}
		return table.Name, nil
	case contract.BucketKind:
		bucket, err := newBucket(ctx, stack, r, options)
		if err != nil {
			return nil, err
		}
		return bucket.Bucket, nil
	}
	return nil, fmt.Errorf("%s: infra/storage.go cannot make a %s: add a case to newResource", r.ID, r.Kind)
}

func providerArgs(stack Stack, emulator pulumi.StringOutput) *aws.ProviderArgs {
	p := &aws.ProviderArgs{
		Region:      pulumi.String(stack.Storage.Region),
		DefaultTags: aws.ProviderDefaultTagsArgs{Tags: pulumi.StringMap{"Environment": pulumi.String(stack.Environment)}},
	}
	if !stack.emulated() {
		if stack.AWS.Account != "" {
			p.AllowedAccountIds = pulumi.StringArray{pulumi.String(stack.AWS.Account)}
		}
		return p
	}
	p.AccessKey, p.SecretKey = pulumi.String(emulatorCredential), pulumi.String(emulatorCredential)
	p.SkipCredentialsValidation = pulumi.Bool(true)
	p.SkipRequestingAccountId = pulumi.Bool(true) // a preview needs no running emulator then
	p.SkipMetadataApiCheck = pulumi.Bool(true)
	p.S3UsePathStyle = pulumi.Bool(true) // the bucket's name is in no DNS
	p.MaxRetries = pulumi.Int(3)         // of 25, each longer than the one before
	endpoint := emulator.ToStringPtrOutput()
	// Each service that is used and none besides: the time to check the endpoints grows with their number.
	p.Endpoints = aws.ProviderEndpointArray{aws.ProviderEndpointArgs{
		Dynamodb: endpoint, S3: endpoint, Sts: endpoint, Iam: endpoint,
	}}
	return p
}

// emulatorCredential is key and secret for an emulator, which takes any.
const emulatorCredential = "test"

// adopted returns the options for a resource that may exist already. What was not made here is not taken away
// by a destroy, and not changed to look as if it had been made here. The setting is said beside what Pulumi says
// of one that is missing.
func adopted(
	ctx *pulumi.Context, settings StorageSettings, r contract.Resource, options []pulumi.ResourceOption, keep ...string,
) ([]pulumi.ResourceOption, error) {
	if !settings.Adopt[storageKey(r)] {
		return options, nil
	}
	err := ctx.Log.Info(fmt.Sprintf("%s:storage.adopt.%s is set: %q must exist; it is taken over as it is, and stays when the "+
		"stack is destroyed", ctx.Project(), storageKey(r), *r.Name), nil)
	options = append(slices.Clip(options), pulumi.Import(pulumi.ID(*r.Name)), pulumi.RetainOnDelete(true))
	return append(options, pulumi.IgnoreChanges(keep)), err
}

// protected adds to the options of what must not be lost. DynamoDB itself keeps a table that is protected, but a destroy
// would come to it only after everything else was gone.
func protected(settings StorageSettings, options []pulumi.ResourceOption) []pulumi.ResourceOption {
	if !settings.DeletionProtection {
		return options
	}
	return append(slices.Clip(options), pulumi.Protect(true))
}

func newTable(
	ctx *pulumi.Context, settings StorageSettings, r contract.Resource, options []pulumi.ResourceOption,
) (*dynamodb.Table, error) {
	args := &dynamodb.TableArgs{
		Name:    pulumi.String(*r.Name),
		HashKey: pulumi.String(r.Key),
		Attributes: dynamodb.TableAttributeArray{dynamodb.TableAttributeArgs{
			Name: pulumi.String(r.Key), Type: pulumi.String(contract.KeyType),
		}},
		BillingMode: pulumi.String("PAY_PER_REQUEST"),
	}
	if settings.Billing == provisioned {
		args.BillingMode = pulumi.String("PROVISIONED")
		args.ReadCapacity, args.WriteCapacity = pulumi.Int(1), pulumi.Int(1)
	}
	if settings.PointInTimeRecovery {
		args.PointInTimeRecovery = dynamodb.TablePointInTimeRecoveryArgs{Enabled: pulumi.Bool(true)}
	}
	if settings.DeletionProtection {
		args.DeletionProtectionEnabled = pulumi.Bool(true)
	}
	options = protected(settings, options)
	options, err := adopted(ctx, settings, r, options,
		"billingMode", "readCapacity", "writeCapacity", "pointInTimeRecovery", "deletionProtectionEnabled", "tags")
	if err != nil {
		return nil, err
	}
	return dynamodb.NewTable(ctx, r.ID, args, options...)
}

func newBucket(
	ctx *pulumi.Context, stack Stack, r contract.Resource, options []pulumi.ResourceOption,
) (*s3.BucketV2, error) {
	settings := stack.Storage
	bucketOptions, err := adopted(ctx, settings, r, protected(settings, options), "forceDestroy", "tags")
	if err != nil {
		return nil, err
	}
	existed := settings.Adopt[storageKey(r)]
	bucket, err := s3.NewBucketV2(ctx, r.ID, &s3.BucketV2Args{
		Bucket: pulumi.String(*r.Name),
		// An emulator's bucket is made to be thrown away; any other must be emptied by whoever means it.
		ForceDestroy: pulumi.Bool(stack.emulated() && !existed),
	}, bucketOptions...)
	if err != nil || existed {
		return bucket, err
	}

	// S3 refuses two changes of one bucket at the same time: OperationAborted. So one comes after the other.
	after := func(earlier pulumi.Resource) []pulumi.ResourceOption {
		return append(slices.Clip(options), pulumi.DependsOn([]pulumi.Resource{earlier}))
	}
	block, err := s3.NewBucketPublicAccessBlock(ctx, r.ID, &s3.BucketPublicAccessBlockArgs{
		Bucket:                bucket.ID(),
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(true),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(true),
	}, options...)
	if err != nil {
		return nil, err
	}
	encryption, err := s3.NewBucketServerSideEncryptionConfigurationV2(ctx, r.ID, &s3.BucketServerSideEncryptionConfigurationV2Args{
		Bucket: bucket.ID(),
		Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{s3.BucketServerSideEncryptionConfigurationV2RuleArgs{
			ApplyServerSideEncryptionByDefault: s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{
				SseAlgorithm: pulumi.String("AES256"),
			},
		}},
	}, after(block)...)
	if err != nil {
		return nil, err
	}
	lifecycle, err := keepVersions(ctx, settings, r.ID, bucket, after, encryption)
	if err != nil || stack.emulated() {
		return bucket, err
	}
	ownership, err := s3.NewBucketOwnershipControls(ctx, r.ID, &s3.BucketOwnershipControlsArgs{
		Bucket: bucket.ID(),
		// No ACL says otherwise.
		Rule: s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
	}, after(lifecycle)...)
	if err != nil {
		return nil, err
	}
	_, err = s3.NewBucketPolicy(ctx, r.ID, &s3.BucketPolicyArgs{
		Bucket: bucket.ID(), Policy: pulumi.String(document(onlyTLS(r, stack.location()))),
	}, after(ownership)...)
	return bucket, err
}

// keepVersions says what becomes of what nobody needs any more: uploads that were never finished and, if versions are
// kept, images that were removed or replaced, and the markers that stand for them.
func keepVersions(
	ctx *pulumi.Context, settings StorageSettings, id string, bucket *s3.BucketV2,
	after func(pulumi.Resource) []pulumi.ResourceOption, earlier pulumi.Resource,
) (pulumi.Resource, error) {
	whole := s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String("")}
	rules := s3.BucketLifecycleConfigurationV2RuleArray{s3.BucketLifecycleConfigurationV2RuleArgs{
		Id: pulumi.String("incomplete-uploads"), Status: pulumi.String("Enabled"), Filter: whole,
		AbortIncompleteMultipartUpload: s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{
			DaysAfterInitiation: pulumi.Int(incompleteUploadDays),
		},
	}}
	if settings.Versioning {
		versioning, err := s3.NewBucketVersioningV2(ctx, id, &s3.BucketVersioningV2Args{
			Bucket:                  bucket.ID(),
			VersioningConfiguration: s3.BucketVersioningV2VersioningConfigurationArgs{Status: pulumi.String("Enabled")},
		}, after(earlier)...)
		if err != nil {
			return nil, err
		}
		earlier = versioning
		rules = append(rules, s3.BucketLifecycleConfigurationV2RuleArgs{
			Id: pulumi.String("former-versions"), Status: pulumi.String("Enabled"), Filter: whole,
			NoncurrentVersionExpiration: s3.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{
				NoncurrentDays: pulumi.Int(settings.NoncurrentDays),
			},
			Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{ExpiredObjectDeleteMarker: pulumi.Bool(true)},
		})
	}
	return s3.NewBucketLifecycleConfigurationV2(ctx, id, &s3.BucketLifecycleConfigurationV2Args{
		Bucket: bucket.ID(), Rules: rules,
	}, after(earlier)...)
}

// onlyTLS refuses whoever calls the bucket in plain text.
//
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html.
func onlyTLS(r contract.Resource, in contract.Location) contract.Policy {
	bucket := r.ARN(in)
	return contract.Policy{Version: contract.PolicyVersion, Statement: []contract.Statement{{
		Sid: "OnlyTLS", Effect: "Deny", Principal: map[string]string{"AWS": "*"},
		Action: []string{"s3:*"}, Resource: []string{bucket, bucket + "/*"},
		Condition: map[string]map[string]string{"Bool": {"aws:SecureTransport": "false"}},
	}}}
}
