// Package s3 registers what belongs to a bucket: the part of Pulumi's package aws/s3 that is needed here, which takes a seventh of
// the time that the whole program takes to compile. A test holds each kind against that package. See
// docs/adr/0021-resources-without-their-packages.md.
package s3

import (
	"fmt"
	"reflect"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Args are the arguments of a kind of resource.
type Args interface {
	// Type is the token of the kind.
	Type() string
}

// A Resource is a bucket, or a setting of one.
type Resource struct {
	pulumi.CustomResourceState
	Bucket pulumi.StringOutput `pulumi:"bucket"` // name
}

// New registers a resource.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Resource, error) {
	r := new(Resource)
	if err := ctx.RegisterResource(args.Type(), name, inputs(reflect.ValueOf(args)), r, opts...); err != nil {
		return nil, err
	}
	return r, nil
}

// Bucket is a bucket.
type Bucket struct {
	Bucket       pulumi.StringInput `pulumi:"bucket"`
	ForceDestroy pulumi.BoolInput   `pulumi:"forceDestroy"` // with all that is in it
}

// PublicAccessBlock keeps a bucket from being opened to everybody.
type PublicAccessBlock struct {
	Bucket                pulumi.StringInput `pulumi:"bucket"`
	BlockPublicAcls       pulumi.BoolInput   `pulumi:"blockPublicAcls"`
	BlockPublicPolicy     pulumi.BoolInput   `pulumi:"blockPublicPolicy"`
	IgnorePublicAcls      pulumi.BoolInput   `pulumi:"ignorePublicAcls"`
	RestrictPublicBuckets pulumi.BoolInput   `pulumi:"restrictPublicBuckets"`
}

// Encryption says how objects are encrypted at rest.
type Encryption struct {
	Bucket pulumi.StringInput `pulumi:"bucket"`
	Rules  []EncryptionRule   `pulumi:"rules"`
}

// An EncryptionRule is one of an [Encryption].
type EncryptionRule struct {
	Default *EncryptionDefault `pulumi:"applyServerSideEncryptionByDefault"`
}

// EncryptionDefault is for objects that come without a word on it.
type EncryptionDefault struct {
	Algorithm pulumi.StringInput `pulumi:"sseAlgorithm"` // AES256 or aws:kms
}

// Versioning says whether former versions of objects are kept.
type Versioning struct {
	Bucket        pulumi.StringInput `pulumi:"bucket"`
	Configuration *VersioningStatus  `pulumi:"versioningConfiguration"`
}

// VersioningStatus is Enabled, Suspended or Disabled.
type VersioningStatus struct {
	Status pulumi.StringInput `pulumi:"status"`
}

// Lifecycle says what becomes of objects in time.
type Lifecycle struct {
	Bucket pulumi.StringInput `pulumi:"bucket"`
	Rules  []LifecycleRule    `pulumi:"rules"`
}

// A LifecycleRule is one of a [Lifecycle]. What it does not say is left as it is.
type LifecycleRule struct {
	ID                             pulumi.StringInput              `pulumi:"id"`
	Status                         pulumi.StringInput              `pulumi:"status"` // Enabled or Disabled
	Filter                         *LifecycleFilter                `pulumi:"filter"`
	AbortIncompleteMultipartUpload *AbortIncompleteMultipartUpload `pulumi:"abortIncompleteMultipartUpload"`
	NoncurrentVersionExpiration    *NoncurrentVersionExpiration    `pulumi:"noncurrentVersionExpiration"`
	Expiration                     *Expiration                     `pulumi:"expiration"`
}

// A LifecycleFilter chooses the objects of a rule.
type LifecycleFilter struct {
	Prefix pulumi.StringInput `pulumi:"prefix"`
}

// AbortIncompleteMultipartUpload ends uploads that were never finished.
type AbortIncompleteMultipartUpload struct {
	DaysAfterInitiation pulumi.IntInput `pulumi:"daysAfterInitiation"`
}

// NoncurrentVersionExpiration deletes former versions.
type NoncurrentVersionExpiration struct {
	NoncurrentDays pulumi.IntInput `pulumi:"noncurrentDays"`
}

// Expiration deletes objects, or the markers that stand for those whose versions are all gone.
type Expiration struct {
	ExpiredObjectDeleteMarker pulumi.BoolInput `pulumi:"expiredObjectDeleteMarker"`
}

// OwnershipControls say whose objects are.
type OwnershipControls struct {
	Bucket pulumi.StringInput `pulumi:"bucket"`
	Rule   *OwnershipRule     `pulumi:"rule"`
}

// An OwnershipRule is that of [OwnershipControls].
type OwnershipRule struct {
	ObjectOwnership pulumi.StringInput `pulumi:"objectOwnership"`
}

// Policy says who may use a bucket, in JSON.
type Policy struct {
	Bucket pulumi.StringInput `pulumi:"bucket"`
	Policy pulumi.StringInput `pulumi:"policy"`
}

// Type implements [Args].
func (Bucket) Type() string { return "aws:s3/bucketV2:BucketV2" }

// Type implements [Args].
func (PublicAccessBlock) Type() string {
	return "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
}

// Type implements [Args].
func (Encryption) Type() string {
	return "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"
}

// Type implements [Args].
func (Versioning) Type() string { return "aws:s3/bucketVersioningV2:BucketVersioningV2" }

// Type implements [Args].
func (Lifecycle) Type() string {
	return "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2"
}

// Type implements [Args].
func (OwnershipControls) Type() string {
	return "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
}

// Type implements [Args].
func (Policy) Type() string { return "aws:s3/bucketPolicy:BucketPolicy" }

// inputs returns the fields of a struct that are set, by their tags.
func inputs(v reflect.Value) pulumi.Map {
	set := pulumi.Map{}
	for i := range v.NumField() {
		if field := v.Field(i); !field.IsZero() {
			set[v.Type().Field(i).Tag.Get("pulumi")] = input(field)
		}
	}
	return set
}

func input(v reflect.Value) pulumi.Input {
	if value, ok := reflect.TypeAssert[pulumi.Input](v); ok {
		return value
	}
	switch v.Kind() {
	case reflect.Pointer:
		return inputs(v.Elem())
	case reflect.Slice:
		all := pulumi.Array{}
		for i := range v.Len() {
			all = append(all, inputs(v.Index(i)))
		}
		return all
	default:
		panic(fmt.Sprintf("a field of type %s", v.Type())) // which TestKinds would have found
	}
}
