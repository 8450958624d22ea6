package localaws

import (
	"mime"
	"net/http"
	"strings"
)

// Operation names the call that a request makes, as AWS' API references do: DynamoDB.PutItem,
// S3.PutObject, S3.HeadBucket, and for any call of STS just STS.
func Operation(r *http.Request) string {
	switch target := r.Header.Get("X-Amz-Target"); {
	case target != "":
		_, name, _ := strings.Cut(target, ".")
		return "DynamoDB." + name
	case isSTS(r):
		return "STS"
	}
	return "S3." + s3Operation(r)
}

// isSTS reports whether a request is a form to the root, of the AWS protocols that are here only
// STS' way to call.
func isSTS(r *http.Request) bool {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Method == http.MethodPost && r.URL.Path == "/" && media == "application/x-www-form-urlencoded"
}

// s3Operation follows
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
func s3Operation(r *http.Request) string {
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	verb := r.Method
	if len(verb) > 0 {
		verb = verb[:1] + strings.ToLower(verb[1:])
	}
	switch {
	case bucket == "":
		return "ListBuckets"
	case object != "":
		return objectOperation(r, verb)
	}
	if name, ok := bucketSetting(q); ok {
		return verb + settingName(name)
	}
	switch r.Method {
	case http.MethodHead:
		return "HeadBucket"
	case http.MethodPut:
		if q.Has("versioning") {
			return "PutBucketVersioning"
		}
		return "CreateBucket"
	case http.MethodDelete:
		return "DeleteBucket"
	case http.MethodPost:
		if q.Has("delete") {
			return "DeleteObjects"
		}
		return "PostObject"
	}
	switch {
	case q.Has("versioning"):
		return "GetBucketVersioning"
	case q.Has("versions"):
		return "ListObjectVersions"
	case q.Has("uploads"):
		return "ListMultipartUploads"
	case q.Get("list-type") == "2":
		return "ListObjectsV2"
	}
	return "ListObjects"
}

func objectOperation(r *http.Request, verb string) string {
	q := r.URL.Query()
	switch {
	case q.Has("uploads"):
		return "CreateMultipartUpload"
	case q.Has("uploadId"):
		return map[string]string{
			http.MethodPut: "UploadPart", http.MethodPost: "CompleteMultipartUpload",
			http.MethodDelete: "AbortMultipartUpload", http.MethodGet: "ListParts",
		}[r.Method]
	case q.Has("tagging"):
		return verb + "ObjectTagging"
	case q.Has("acl"):
		return verb + "ObjectAcl"
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		return "CopyObject"
	}
	return verb + "Object"
}

// settingName returns how the operations on a bucket's configuration call it.
func settingName(parameter string) string {
	switch parameter {
	case "accelerate", "lifecycle", "notification":
		return "Bucket" + strings.ToUpper(parameter[:1]) + parameter[1:] + "Configuration"
	case "object-lock":
		return "ObjectLockConfiguration"
	case "ownershipControls":
		return "BucketOwnershipControls"
	case "policyStatus":
		return "BucketPolicyStatus"
	case "publicAccessBlock":
		return "PublicAccessBlock"
	case "requestPayment":
		return "BucketRequestPayment"
	}
	return "Bucket" + strings.ToUpper(parameter[:1]) + parameter[1:]
}
