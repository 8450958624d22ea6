package localaws_test

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/localaws"
)

// Ensure a bucket's configurations are kept, answered and deleted, and the bucket stays.
func TestBucket_Settings(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c, name := s3Client(url), aws.String(bucket)

	_, err := c.GetPublicAccessBlock(t.Context(), &s3.GetPublicAccessBlockInput{Bucket: name})
	requireCode(t, "NoSuchPublicAccessBlockConfiguration", err)
	_, err = c.PutPublicAccessBlock(t.Context(), &s3.PutPublicAccessBlockInput{Bucket: name, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true)}})
	require.NoError(t, err)
	block, err := c.GetPublicAccessBlock(t.Context(), &s3.GetPublicAccessBlockInput{Bucket: name})
	require.NoError(t, err)
	assert.True(t, *block.PublicAccessBlockConfiguration.BlockPublicAcls)

	encryption, err := c.GetBucketEncryption(t.Context(), &s3.GetBucketEncryptionInput{Bucket: name})
	require.NoError(t, err)
	assert.Equal(t, types.ServerSideEncryptionAes256, encryption.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm)

	_, err = c.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: name})
	requireCode(t, "NoSuchLifecycleConfiguration", err)
	rule := types.LifecycleRule{ID: aws.String("r"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)}}
	_, err = c.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{Bucket: name, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{rule}}})
	require.NoError(t, err)
	lifecycle, err := c.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: name})
	require.NoError(t, err)
	assert.Equal(t, []types.LifecycleRule{rule}, lifecycle.Rules)
	assert.Equal(t, types.TransitionDefaultMinimumObjectSizeAllStorageClasses128k, lifecycle.TransitionDefaultMinimumObjectSize)
	_, err = c.DeleteBucketLifecycle(t.Context(), &s3.DeleteBucketLifecycleInput{Bucket: name})
	require.NoError(t, err)

	_, err = c.PutBucketTagging(t.Context(), &s3.PutBucketTaggingInput{Bucket: name, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}})
	require.NoError(t, err)
	tagging, err := c.GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: name})
	require.NoError(t, err)
	assert.Equal(t, "b", *tagging.TagSet[0].Value)

	_, err = c.GetBucketAcl(t.Context(), &s3.GetBucketAclInput{Bucket: name})
	require.NoError(t, err)
	_, err = c.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: name})
	requireCode(t, "NoSuchBucketPolicy", err)
	_, err = c.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: name, Policy: aws.String(`{"Version":"2012-10-17"}`)})
	require.NoError(t, err)
	policy, err := c.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: name})
	require.NoError(t, err)
	assert.JSONEq(t, `{"Version":"2012-10-17"}`, *policy.Policy)
	for _, code := range []struct {
		want string
		err  error
	}{
		{"NoSuchCORSConfiguration", second(c.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: name}))},
		{"NoSuchWebsiteConfiguration", second(c.GetBucketWebsite(t.Context(), &s3.GetBucketWebsiteInput{Bucket: name}))},
		{"ReplicationConfigurationNotFoundError", second(c.GetBucketReplication(t.Context(), &s3.GetBucketReplicationInput{Bucket: name}))},
		{"ObjectLockConfigurationNotFoundError", second(c.GetObjectLockConfiguration(t.Context(), &s3.GetObjectLockConfigurationInput{Bucket: name}))},
		{"NotImplemented", second(c.ListBucketMetricsConfigurations(t.Context(), &s3.ListBucketMetricsConfigurationsInput{Bucket: name}))},
		{"NoSuchBucket", second(c.GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: aws.String("no-such-bucket")}))},
	} {
		requireCode(t, code.want, code.err)
	}
	for _, err := range []error{
		second(c.GetBucketAccelerateConfiguration(t.Context(), &s3.GetBucketAccelerateConfigurationInput{Bucket: name})),
		second(c.GetBucketRequestPayment(t.Context(), &s3.GetBucketRequestPaymentInput{Bucket: name})),
		second(c.GetBucketLogging(t.Context(), &s3.GetBucketLoggingInput{Bucket: name})),
		second(c.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: name})),
		second(c.GetBucketOwnershipControls(t.Context(), &s3.GetBucketOwnershipControlsInput{Bucket: name})),
		second(c.GetBucketNotificationConfiguration(t.Context(), &s3.GetBucketNotificationConfigurationInput{Bucket: name})),
		second(c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: name})),
	} {
		require.NoError(t, err)
	}
}

func second[T any](_ T, err error) error { return err }

// Ensure a bucket can be made, made again, and deleted when it is empty, with what was set of it.
func TestBucket_Life(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c, name := s3Client(url), aws.String("another-bucket")
	for range 2 {
		_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: name})
		require.NoError(t, err)
	}
	head, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: name})
	require.NoError(t, err)
	assert.Equal(t, region, *head.BucketRegion)
	location, err := c.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: name})
	require.NoError(t, err)
	assert.Empty(t, location.LocationConstraint)
	_, err = c.PutBucketTagging(t.Context(), &s3.PutBucketTaggingInput{Bucket: name, Tagging: &types.Tagging{TagSet: []types.Tag{}}})
	require.NoError(t, err)
	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: name, Key: aws.String("k")})
	require.NoError(t, err)
	_, err = c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: name})
	requireCode(t, "BucketNotEmpty", err)
	_, err = c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: name, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("k")}}}})
	require.NoError(t, err)
	_, err = c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: name})
	require.NoError(t, err)
	_, err = c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: name})
	require.NoError(t, err)
	_, err = c.GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: name})
	requireCode(t, "NoSuchTagSet", err)
	_, err = c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("Not_a_bucket")})
	requireCode(t, "InvalidBucketName", err)
}

// Ensure outside of us-east-1 a bucket is made once, and names its region.
func TestBucket_OtherRegion(t *testing.T) {
	t.Parallel()
	a, err := localaws.New(localaws.Options{Bucket: bucket, Region: "eu-west-1"})
	require.NoError(t, err)
	w := do(a, "PUT", "/"+bucket, "", nil)
	assert.Equal(t, http.StatusConflict, w.Code)
	assert.Contains(t, w.Body.String(), "<Code>BucketAlreadyOwnedByYou</Code>")
	assert.Contains(t, do(a, "GET", "/"+bucket+"?location", "", nil).Body.String(), ">eu-west-1<")
}

// Ensure what is not to be had of an object is refused, where gofakes3 would write over the object.
func TestObject_Subresources(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	c := s3Client(url)
	putObject(t, c, "k", "content")
	_, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("k"), Tagging: &types.Tagging{TagSet: []types.Tag{}}})
	requireCode(t, "NotImplemented", err)
	_, body := getObject(t, c, "k")
	assert.Equal(t, "content", body)
}
