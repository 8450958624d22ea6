package main

import (
	"errors"
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
	Outputs  pulumi.Map       // the same by [storageKey]
	Provider *aws.Provider    // of everything in AWS
}

// emulatorCredential is the key and the secret for an emulator, which accepts any.
const emulatorCredential = "test"

// NewStorage makes the resources, or adopts those that exist.
func NewStorage(ctx *pulumi.Context, stack Stack, localStack *LocalStack) (*Storage, error) {
	s := &Storage{Names: pulumi.StringMap{}, Outputs: pulumi.Map{}}
	if err := ctx.RegisterComponentResource("prima:infra:Storage", "storage", s); err != nil {
		return nil, err
	}
	var err error
	s.Provider, err = aws.NewProvider(ctx, "storage", providerArgs(stack, localStack.Endpoint), pulumi.Parent(s))
	if err != nil {
		return nil, err
	}
	options := []pulumi.ResourceOption{pulumi.Parent(s), pulumi.Provider(s.Provider)}
	if localStack.Chart != nil {
		options = append(options, pulumi.DeletedWith(localStack.Chart))
	}
	for _, r := range stack.Contract.Resources() {
		var made pulumi.StringInput
		switch r.Kind {
		case contract.TableKind:
			made, err = newTable(ctx, stack, r, options)
		case contract.BucketKind:
			made, err = newBucket(ctx, stack, r, options)
		default:
			err = fmt.Errorf("%s: infra/storage.go cannot make a %s: add a case to NewStorage", r.ID, r.Kind)
		}
		if err != nil {
			return nil, err
		}
		if ctx.DryRun() { // a preview shows what uses the name, which an update knows once the resource is there
			made = pulumi.String(*r.Name)
		}
		s.Names[r.ID], s.Outputs[storageKey(r)] = made, made
	}
	return s, ctx.RegisterResourceOutputs(s, s.Outputs)
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
	p.SkipRequestingAccountId = pulumi.Bool(true) // so a preview needs no running emulator
	p.SkipMetadataApiCheck = pulumi.Bool(true)
	p.S3UsePathStyle = pulumi.Bool(true) // DNS does not know the bucket's name
	p.MaxRetries = pulumi.Int(3)         // of 25, each after a longer wait
	endpoint := emulator.ToStringPtrOutput()
	// Only the services that are used, because the provider checks each endpoint.
	p.Endpoints = aws.ProviderEndpointArray{aws.ProviderEndpointArgs{
		Dynamodb: endpoint, S3: endpoint, Sts: endpoint, Iam: endpoint,
	}}
	return p
}

// dataOptions adds to options what keeps the data of a resource. An adopted resource is neither
// deleted by a destroy nor changed in the inputs that ignored names.
func dataOptions(
	ctx *pulumi.Context, settings StorageSettings, r contract.Resource, options []pulumi.ResourceOption, ignored ...string,
) ([]pulumi.ResourceOption, error) {
	options = slices.Clip(options)
	if settings.DeletionProtection { // DynamoDB keeps its table too, but a destroy would first delete all the rest
		options = append(options, pulumi.Protect(true))
	}
	if !settings.Adopt[storageKey(r)] {
		return options, nil
	}
	options = append(options,
		pulumi.Import(pulumi.ID(*r.Name)), pulumi.RetainOnDelete(true), pulumi.IgnoreChanges(ignored))
	// Pulumi's error for a resource that is missing does not name the setting.
	return options, ctx.Log.Info(fmt.Sprintf("%s:storage.adopt.%s is set: %q must exist; it is taken over as it is, "+
		"and stays when the stack is destroyed", ctx.Project(), storageKey(r), *r.Name), nil)
}

func newTable(
	ctx *pulumi.Context, stack Stack, r contract.Resource, options []pulumi.ResourceOption,
) (pulumi.StringInput, error) {
	settings := stack.Storage
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
	options, err := dataOptions(ctx, settings, r, options,
		"billingMode", "readCapacity", "writeCapacity", "pointInTimeRecovery", "deletionProtectionEnabled", "tags")
	if err != nil {
		return nil, err
	}
	table, err := dynamodb.NewTable(ctx, r.ID, args, options...)
	if err != nil {
		return nil, err
	}
	return table.Name, nil
}

func newBucket(
	ctx *pulumi.Context, stack Stack, r contract.Resource, options []pulumi.ResourceOption,
) (pulumi.StringInput, error) {
	adopted := stack.Storage.Adopt[storageKey(r)]
	bucketOptions, err := dataOptions(ctx, stack.Storage, r, options, "forceDestroy", "tags")
	if err != nil {
		return nil, err
	}
	bucket, err := s3.NewBucketV2(ctx, r.ID, &s3.BucketV2Args{
		Bucket:       pulumi.String(*r.Name),
		ForceDestroy: pulumi.Bool(stack.emulated() && !adopted), // otherwise a bucket must be emptied by hand
	}, bucketOptions...)
	if err != nil {
		return nil, err
	}
	if !adopted {
		err = configureBucket(ctx, stack, r, bucket, options)
	}
	return bucket.Bucket, err
}

// configureBucket makes a bucket private, encrypted and, as the settings say, versioned. On AWS it
// also refuses ACLs and plain HTTP.
func configureBucket(
	ctx *pulumi.Context, stack Stack, r contract.Resource, bucket *s3.BucketV2, options []pulumi.ResourceOption,
) error {
	var err error
	// S3 refuses two changes of one bucket at the same time with OperationAborted, so one comes
	// after the other.
	after := options
	next := func(made pulumi.Resource, failed error) {
		if err = errors.Join(err, failed); failed == nil {
			after = append(slices.Clip(options), pulumi.DependsOn([]pulumi.Resource{made}))
		}
	}
	next(s3.NewBucketPublicAccessBlock(ctx, r.ID, &s3.BucketPublicAccessBlockArgs{
		Bucket:                bucket.ID(),
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(true),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(true),
	}, after...))
	aes := s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{
		SseAlgorithm: pulumi.String("AES256"),
	}
	next(s3.NewBucketServerSideEncryptionConfigurationV2(ctx, r.ID, &s3.BucketServerSideEncryptionConfigurationV2Args{
		Bucket: bucket.ID(),
		Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{
			s3.BucketServerSideEncryptionConfigurationV2RuleArgs{ApplyServerSideEncryptionByDefault: aes},
		},
	}, after...))
	if stack.Storage.Versioning {
		next(s3.NewBucketVersioningV2(ctx, r.ID, &s3.BucketVersioningV2Args{
			Bucket:                  bucket.ID(),
			VersioningConfiguration: s3.BucketVersioningV2VersioningConfigurationArgs{Status: pulumi.String("Enabled")},
		}, after...))
	}
	next(s3.NewBucketLifecycleConfigurationV2(ctx, r.ID, &s3.BucketLifecycleConfigurationV2Args{
		Bucket: bucket.ID(), Rules: lifecycleRules(stack.Storage),
	}, after...))
	if stack.emulated() {
		return err
	}
	next(s3.NewBucketOwnershipControls(ctx, r.ID, &s3.BucketOwnershipControlsArgs{
		Bucket: bucket.ID(),
		Rule:   s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
	}, after...))
	next(s3.NewBucketPolicy(ctx, r.ID, &s3.BucketPolicyArgs{
		Bucket: bucket.ID(), Policy: pulumi.String(document(onlyTLS(r.ARN(stack.location())))),
	}, after...))
	return err
}

// lifecycleRules delete unfinished uploads and, with versioning, noncurrent versions.
func lifecycleRules(settings StorageSettings) s3.BucketLifecycleConfigurationV2RuleArray {
	whole := s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String("")}
	rules := s3.BucketLifecycleConfigurationV2RuleArray{s3.BucketLifecycleConfigurationV2RuleArgs{
		Id: pulumi.String("incomplete-uploads"), Status: pulumi.String("Enabled"), Filter: whole,
		AbortIncompleteMultipartUpload: s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{
			DaysAfterInitiation: pulumi.Int(1),
		},
	}}
	if !settings.Versioning {
		return rules
	}
	return append(rules, s3.BucketLifecycleConfigurationV2RuleArgs{
		Id: pulumi.String("former-versions"), Status: pulumi.String("Enabled"), Filter: whole,
		NoncurrentVersionExpiration: s3.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{
			NoncurrentDays: pulumi.Int(settings.NoncurrentDays),
		},
		Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{ExpiredObjectDeleteMarker: pulumi.Bool(true)},
	})
}

// onlyTLS is the policy of a bucket that refuses plain HTTP.
//
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html.
func onlyTLS(bucket string) contract.Policy {
	return contract.Policy{Version: contract.PolicyVersion, Statement: []contract.Statement{{
		Sid: "OnlyTLS", Effect: "Deny", Principal: map[string]string{"AWS": "*"},
		Action: []string{"s3:*"}, Resource: []string{bucket, bucket + "/*"},
		Condition: map[string]map[string]string{"Bool": {"aws:SecureTransport": "false"}},
	}}}
}
