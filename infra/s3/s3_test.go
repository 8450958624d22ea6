package s3_test

import (
	"reflect"
	"sync"
	"testing"

	theirs "github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/infra/s3"
)

var (
	bucket = pulumi.String("avatars")
	yes    = pulumi.Bool(true)
	days   = pulumi.Int(7)
)

// kinds are the arguments of every kind with every field, beside what registers the same by Pulumi's package.
var kinds = map[string]struct {
	ours     s3.Args
	register func(ctx *pulumi.Context) error
}{
	"bucket": {s3.Bucket{Bucket: bucket, ForceDestroy: yes}, func(ctx *pulumi.Context) error {
		_, err := theirs.NewBucketV2(ctx, "theirs", &theirs.BucketV2Args{Bucket: bucket, ForceDestroy: yes})
		return err
	}},
	"public access block": {
		s3.PublicAccessBlock{Bucket: bucket, BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes},
		func(ctx *pulumi.Context) error {
			_, err := theirs.NewBucketPublicAccessBlock(ctx, "theirs", &theirs.BucketPublicAccessBlockArgs{
				Bucket: bucket, BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes,
			})
			return err
		},
	},
	"encryption": {
		s3.Encryption{Bucket: bucket, Rules: []s3.EncryptionRule{{Default: &s3.EncryptionDefault{Algorithm: pulumi.String("AES256")}}}},
		func(ctx *pulumi.Context) error {
			_, err := theirs.NewBucketServerSideEncryptionConfigurationV2(ctx, "theirs", &theirs.BucketServerSideEncryptionConfigurationV2Args{
				Bucket: bucket,
				Rules: theirs.BucketServerSideEncryptionConfigurationV2RuleArray{theirs.BucketServerSideEncryptionConfigurationV2RuleArgs{
					ApplyServerSideEncryptionByDefault: theirs.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{SseAlgorithm: pulumi.String("AES256")},
				}},
			})
			return err
		},
	},
	"versioning": {
		s3.Versioning{Bucket: bucket, Configuration: &s3.VersioningStatus{Status: pulumi.String("Enabled")}},
		func(ctx *pulumi.Context) error {
			_, err := theirs.NewBucketVersioningV2(ctx, "theirs", &theirs.BucketVersioningV2Args{
				Bucket: bucket, VersioningConfiguration: theirs.BucketVersioningV2VersioningConfigurationArgs{Status: pulumi.String("Enabled")},
			})
			return err
		},
	},
	"lifecycle": {
		s3.Lifecycle{Bucket: bucket, Rules: []s3.LifecycleRule{{
			ID: pulumi.String("rule"), Status: pulumi.String("Enabled"), Filter: &s3.LifecycleFilter{Prefix: pulumi.String("")},
			AbortIncompleteMultipartUpload: &s3.AbortIncompleteMultipartUpload{DaysAfterInitiation: days},
			NoncurrentVersionExpiration:    &s3.NoncurrentVersionExpiration{NoncurrentDays: days},
			Expiration:                     &s3.Expiration{ExpiredObjectDeleteMarker: yes},
		}}},
		func(ctx *pulumi.Context) error {
			_, err := theirs.NewBucketLifecycleConfigurationV2(ctx, "theirs", &theirs.BucketLifecycleConfigurationV2Args{
				Bucket: bucket,
				Rules: theirs.BucketLifecycleConfigurationV2RuleArray{theirs.BucketLifecycleConfigurationV2RuleArgs{
					Id: pulumi.String("rule"), Status: pulumi.String("Enabled"), Filter: theirs.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String("")},
					AbortIncompleteMultipartUpload: theirs.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{DaysAfterInitiation: days},
					NoncurrentVersionExpiration:    theirs.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{NoncurrentDays: days},
					Expiration:                     theirs.BucketLifecycleConfigurationV2RuleExpirationArgs{ExpiredObjectDeleteMarker: yes},
				}},
			})
			return err
		},
	},
	"ownership controls": {
		s3.OwnershipControls{Bucket: bucket, Rule: &s3.OwnershipRule{ObjectOwnership: pulumi.String("BucketOwnerEnforced")}},
		func(ctx *pulumi.Context) error {
			_, err := theirs.NewBucketOwnershipControls(ctx, "theirs", &theirs.BucketOwnershipControlsArgs{
				Bucket: bucket, Rule: theirs.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
			})
			return err
		},
	},
	"policy": {s3.Policy{Bucket: bucket, Policy: pulumi.String("{}")}, func(ctx *pulumi.Context) error {
		_, err := theirs.NewBucketPolicy(ctx, "theirs", &theirs.BucketPolicyArgs{Bucket: bucket, Policy: pulumi.String("{}")})
		return err
	}},
}

// A recorder is a Pulumi that remembers what is registered.
type recorder struct {
	mu         sync.Mutex
	registered map[string]pulumi.MockResourceArgs
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.registered[args.Name] = args
	return "id", args.Inputs, nil
}

func (r *recorder) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

// Ensure each kind is registered as Pulumi's own package would, in every field that there is, and that its bucket is known after that.
func TestKinds(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		requireSet(t, reflect.ValueOf(kind.ours), name)
		r := &recorder{registered: map[string]pulumi.MockResourceArgs{}}
		var known string
		err := pulumi.RunErr(func(ctx *pulumi.Context) error {
			made, err := s3.New(ctx, "ours", kind.ours)
			if err != nil {
				return err
			}
			made.Bucket.ApplyT(func(bucket string) string { known = bucket; return bucket })
			return kind.register(ctx)
		}, pulumi.WithMocks("project", "stack", r))
		require.NoError(t, err, name)
		assert.Equal(t, "avatars", known, name)
		ours, others := r.registered["ours"], r.registered["theirs"]
		require.NotEmpty(t, others.TypeToken, name)
		assert.Equal(t, others.TypeToken, ours.TypeToken)
		assert.Equal(t, others.Inputs, ours.Inputs, name)
		assert.Equal(t, others.Custom, ours.Custom, name)
	}
}

// requireSet fails for a field that nothing is compared of.
func requireSet(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		require.False(t, v.IsNil(), path)
		requireSet(t, v.Elem(), path)
	case reflect.Slice:
		require.Positive(t, v.Len(), path)
		requireSet(t, v.Index(0), path)
	case reflect.Struct:
		for i := range v.NumField() {
			requireSet(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	default:
		require.False(t, v.IsNil(), path)
	}
}

// Ensure what is not set is not said, and what is set to nothing is.
func TestUnset(t *testing.T) {
	t.Parallel()
	r := &recorder{registered: map[string]pulumi.MockResourceArgs{}}
	require.NoError(t, pulumi.RunErr(func(ctx *pulumi.Context) error {
		_, err := s3.New(ctx, "bucket", s3.Bucket{Bucket: bucket})
		if err == nil {
			_, err = s3.New(ctx, "lifecycle", s3.Lifecycle{Bucket: bucket, Rules: []s3.LifecycleRule{{Filter: &s3.LifecycleFilter{Prefix: pulumi.String("")}}}})
		}
		return err
	}, pulumi.WithMocks("project", "stack", r)))
	assert.Equal(t, map[string]any{"bucket": "avatars"}, r.registered["bucket"].Inputs.Mappable())
	assert.Equal(t, map[string]any{"bucket": "avatars", "rules": []any{map[string]any{"filter": map[string]any{"prefix": ""}}}}, r.registered["lifecycle"].Inputs.Mappable())
}
