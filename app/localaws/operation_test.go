package localaws_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/localaws"
)

// Ensure requests are named as AWS' API references name them.
func TestOperation(t *testing.T) {
	t.Parallel()
	for request, want := range map[[2]string]string{
		{"GET", "/"}:                            "S3.ListBuckets",
		{"PUT", "/b"}:                           "S3.CreateBucket",
		{"HEAD", "/b"}:                          "S3.HeadBucket",
		{"HEAD", "/b/"}:                         "S3.HeadBucket",
		{"DELETE", "/b"}:                        "S3.DeleteBucket",
		{"GET", "/b"}:                           "S3.ListObjects",
		{"GET", "/b?list-type=2&prefix=x"}:      "S3.ListObjectsV2",
		{"GET", "/b?versions"}:                  "S3.ListObjectVersions",
		{"GET", "/b?uploads"}:                   "S3.ListMultipartUploads",
		{"POST", "/b?delete"}:                   "S3.DeleteObjects",
		{"POST", "/b"}:                          "S3.PostObject",
		{"PUT", "/b?versioning"}:                "S3.PutBucketVersioning",
		{"GET", "/b?versioning"}:                "S3.GetBucketVersioning",
		{"GET", "/b?location"}:                  "S3.GetBucketLocation",
		{"PUT", "/b?publicAccessBlock"}:         "S3.PutPublicAccessBlock",
		{"PUT", "/b?lifecycle"}:                 "S3.PutBucketLifecycleConfiguration",
		{"GET", "/b?object-lock"}:               "S3.GetObjectLockConfiguration",
		{"GET", "/b?ownershipControls"}:         "S3.GetBucketOwnershipControls",
		{"GET", "/b?requestPayment"}:            "S3.GetBucketRequestPayment",
		{"GET", "/b?policyStatus"}:              "S3.GetBucketPolicyStatus",
		{"GET", "/b?acl"}:                       "S3.GetBucketAcl",
		{"GET", "/b/k/l"}:                       "S3.GetObject",
		{"HEAD", "/b/k"}:                        "S3.HeadObject",
		{"PUT", "/b/k"}:                         "S3.PutObject",
		{"DELETE", "/b/k"}:                      "S3.DeleteObject",
		{"POST", "/b/k?uploads"}:                "S3.CreateMultipartUpload",
		{"PUT", "/b/k?uploadId=1&partNumber=1"}: "S3.UploadPart",
		{"POST", "/b/k?uploadId=1"}:             "S3.CompleteMultipartUpload",
		{"DELETE", "/b/k?uploadId=1"}:           "S3.AbortMultipartUpload",
		{"GET", "/b/k?uploadId=1"}:              "S3.ListParts",
		{"PUT", "/b/k?tagging"}:                 "S3.PutObjectTagging",
		{"GET", "/b/k?acl"}:                     "S3.GetObjectAcl",
	} {
		assert.Equal(t, want, localaws.Operation(httptest.NewRequest(request[0], request[1], nil)), request)
	}
	r := httptest.NewRequest(http.MethodPut, "/b/k", nil)
	r.Header.Set("X-Amz-Copy-Source", "b/l")
	assert.Equal(t, "S3.CopyObject", localaws.Operation(r))
	r = httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.PutItem")
	assert.Equal(t, "DynamoDB.PutItem", localaws.Operation(r))
	r = httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	assert.Equal(t, "STS", localaws.Operation(r))
}
