package localaws

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// setting is a bucket's configuration as it was put.
type setting struct {
	body   []byte
	header string // X-Amz-Transition-Default-Minimum-Object-Size, of a lifecycle
}

const transitionHeader = "X-Amz-Transition-Default-Minimum-Object-Size"

// unset is what S3 answers for a configuration that was never put: an XML document, or an error.
type unset struct {
	xml           string
	code, message string
}

// settings are the configurations of a bucket by query parameter. They are kept and answered, and
// have no effect. gofakes3 knows none of them: it takes the put of one for CreateBucket and its
// deletion for DeleteBucket.
func settings() map[string]unset {
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	owner := `<ID>` + Account + `</ID><DisplayName>localaws</DisplayName>`
	return map[string]unset{
		"accelerate": {xml: `<AccelerateConfiguration` + ns + `/>`},
		"acl": {xml: `<AccessControlPolicy` + ns + `><Owner>` + owner + `</Owner><AccessControlList><Grant>` +
			`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">` + owner +
			`</Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`},
		"cors": {code: "NoSuchCORSConfiguration", message: "The CORS configuration does not exist"},
		"encryption": {xml: `<ServerSideEncryptionConfiguration` + ns + `><Rule><ApplyServerSideEncryptionByDefault>` +
			`<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`},
		"lifecycle":         {code: "NoSuchLifecycleConfiguration", message: "The lifecycle configuration does not exist"},
		"logging":           {xml: `<BucketLoggingStatus` + ns + `/>`},
		"notification":      {xml: `<NotificationConfiguration` + ns + `/>`},
		"object-lock":       {code: "ObjectLockConfigurationNotFoundError", message: "Object Lock configuration does not exist for this bucket"},
		"ownershipControls": {xml: `<OwnershipControls` + ns + `><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>`},
		"policy":            {code: "NoSuchBucketPolicy", message: "The bucket policy does not exist"},
		"policyStatus":      {code: "NoSuchBucketPolicy", message: "The bucket policy does not exist"},
		"publicAccessBlock": {code: "NoSuchPublicAccessBlockConfiguration", message: "The public access block configuration was not found"},
		"replication":       {code: "ReplicationConfigurationNotFoundError", message: "The replication configuration was not found"},
		"requestPayment":    {xml: `<RequestPaymentConfiguration` + ns + `><Payer>BucketOwner</Payer></RequestPaymentConfiguration>`},
		"tagging":           {code: "NoSuchTagSet", message: "The TagSet does not exist"},
		"website":           {code: "NoSuchWebsiteConfiguration", message: "The specified bucket does not have a website configuration"},
	}
}

// bucketSetting returns the configuration that a request to a bucket is about.
func bucketSetting(query url.Values) (string, bool) {
	if query.Has("location") {
		return "location", true
	}
	for _, other := range []string{"analytics", "intelligent-tiering", "inventory", "metrics"} {
		if query.Has(other) {
			return other, true
		}
	}
	for name := range settings() {
		if query.Has(name) {
			return name, true
		}
	}
	return "", false
}

func (s *s3) setting(w http.ResponseWriter, r *http.Request, bucket, name string) error {
	if exists, _ := s.objects.BucketExists(bucket); !exists {
		return newS3Error(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	}
	initial, known := settings()[name]
	switch {
	case name == "location" && r.Method == http.MethodGet:
		region := s.region
		if region == "us-east-1" {
			region = "" // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
		}
		initial = unset{xml: `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + region + `</LocationConstraint>`}
	case !known:
		return newS3Error(http.StatusNotImplemented, "NotImplemented", "the embedded S3 has no ?%s of a bucket", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("X-Amz-Request-Id", requestID())
	switch r.Method {
	case http.MethodPut:
		b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return newS3Error(http.StatusBadRequest, "IncompleteBody", "The request body terminated unexpectedly")
		}
		if s.settings[bucket] == nil {
			s.settings[bucket] = map[string]setting{}
		}
		if len(b) > 0 { // an ACL may be in headers, which have no effect
			s.settings[bucket][name] = setting{b, r.Header.Get(transitionHeader)}
		}
		if name == "lifecycle" {
			s.answerTransition(w, bucket)
		}
		status := http.StatusOK
		if name == "policy" || name == "tagging" {
			status = http.StatusNoContent
		}
		w.WriteHeader(status)
	case http.MethodDelete:
		delete(s.settings[bucket], name)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet:
		put, ok := s.settings[bucket][name]
		b := put.body
		if !ok {
			if initial.code != "" {
				return newS3Error(http.StatusNotFound, initial.code, "%s", initial.message)
			}
			b = []byte(initial.xml)
		}
		if name == "lifecycle" {
			s.answerTransition(w, bucket)
		}
		w.Header().Set("Content-Type", "application/xml")
		if strings.HasPrefix(strings.TrimSpace(string(b)), "{") {
			w.Header().Set("Content-Type", "application/json")
		}
		_, _ = w.Write(b)
	default:
		return newS3Error(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	}
	return nil
}

// answerTransition answers the header that Terraform's provider waits for after it has put a
// lifecycle. The caller holds the lock.
func (s *s3) answerTransition(w http.ResponseWriter, bucket string) {
	v := s.settings[bucket]["lifecycle"].header
	if v == "" {
		v = "all_storage_classes_128K"
	}
	w.Header().Set(transitionHeader, v)
}

// forgetSettings drops the configurations of a bucket that is gone.
func (s *s3) forgetSettings(bucket string) {
	if exists, _ := s.objects.BucketExists(bucket); !exists {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.settings, bucket)
	}
}
