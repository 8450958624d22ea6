package localaws

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// maxObject is S3's limit of one upload, in bytes.
const maxObject = 5 << 30

// s3 answers S3's protocol, buckets in the path. gofakes3 does the work; requests and answers are
// put right on their way to it and back.
type s3 struct {
	region  string
	objects *objects
	next    http.Handler

	mu       sync.Mutex
	settings map[string]map[string]setting // by bucket and query parameter
}

func newS3(region string, now func() time.Time) *s3 {
	o := &objects{Backend: s3mem.New(s3mem.WithTimeSource(clock{now}))}
	return &s3{
		region:  region,
		objects: o,
		// Neither signatures nor clocks are checked. gofakes3 counts much as metadata that is none.
		next:     gofakes3.New(o, gofakes3.WithTimeSkewLimit(0), gofakes3.WithMetadataSizeLimit(0)).Server(),
		settings: map[string]map[string]setting{},
	}
}

// A clock is a gofakes3.TimeSource.
type clock struct{ now func() time.Time }

func (c clock) Now() time.Time                  { return c.now() }
func (c clock) Since(t time.Time) time.Duration { return c.now().Sub(t) }

// s3Error is an error in the shape of S3's XML.
type s3Error struct {
	XMLName   xml.Name `xml:"Error"`
	status    int
	Code      string
	Message   string
	Resource  string `xml:",omitempty"`
	RequestID string `xml:"RequestId"`
}

func (e *s3Error) Error() string { return e.Code + ": " + e.Message }

func newS3Error(status int, code, format string, args ...any) *s3Error {
	return &s3Error{status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func (s *s3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.serve(w, r); err != nil {
		var e *s3Error
		if !errors.As(err, &e) {
			e = newS3Error(http.StatusInternalServerError, "InternalError", "%v", err)
		}
		e.RequestID, e.Resource = requestID(), r.URL.Path
		answerXML(w, r, e.status, e)
	}
}

func answerXML(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := xml.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", requestID())
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, xml.Header)
		_, _ = w.Write(b)
	}
}

func (s *s3) serve(w http.ResponseWriter, r *http.Request) error {
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodOptions:
		// gofakes3 allows every origin to do everything. A bucket without CORS rules allows none,
		// and here that also keeps web pages away from a developer's data.
		return newS3Error(http.StatusForbidden, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.")
	case bucket != "" && object == "":
		if name, ok := bucketSetting(query); ok {
			return s.setting(w, r, bucket, name)
		}
		switch r.Method {
		case http.MethodPut:
			return s.createBucket(w, r, bucket)
		case http.MethodHead:
			w.Header().Set("X-Amz-Bucket-Region", s.region)
		case http.MethodDelete:
			defer s.forgetSettings(bucket)
		}
	case object != "":
		for _, name := range []string{"acl", "attributes", "legal-hold", "restore", "retention", "select", "tagging", "torrent"} {
			if query.Has(name) {
				// gofakes3 does not look at these: it would store the body of PutObjectTagging as
				// the object.
				return newS3Error(http.StatusNotImplemented, "NotImplemented", "the embedded S3 has no ?%s of an object", name)
			}
		}
		if r.Method == http.MethodDelete && !query.Has("uploadId") && r.Header.Get("If-Match") != "" {
			return s.deleteIfMatch(w, bucket, object, r.Header.Get("If-Match"))
		}
	}
	if metadataSize(r.Header) > maxMetadata {
		return newS3Error(http.StatusBadRequest, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	upload := r.Method == http.MethodPut && object != "" && r.Header.Get("X-Amz-Copy-Source") == ""
	var sum checksum
	if upload {
		data, err := readUpload(r)
		if err != nil {
			return err
		}
		if sum, err = verify(r, data); err != nil {
			return err
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	}
	r.Header = requestHeader(r.Header)
	if upload {
		r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		r.Header.Set(sum.header(), sum.value)
	}
	out := &s3Writer{ResponseWriter: w, request: r, sum: sum}
	s.next.ServeHTTP(out, r)
	out.WriteHeader(http.StatusOK) // where gofakes3 has left that to the server
	return nil
}

// maxMetadata is how much user-defined metadata an object has at most, in bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
const maxMetadata = 2 << 10

func metadataSize(h http.Header) int {
	size := 0
	for name, values := range h {
		if name, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok {
			size += len(name) + len(strings.Join(values, ","))
		}
	}
	return size
}

// kept are request headers that S3 stores with an object and answers with it, but gofakes3 does
// not; they go through it under a name that it stores.
var kept = []string{"Cache-Control", "Content-Language", "Expires"}

const keptPrefix = "X-Amz-Localaws-"

// requestHeader returns what gofakes3 is to see of a request's header. It stores every X-Amz-
// header with the object and answers it to whoever reads that, session tokens too, and counts them
// against the limit of metadata.
func requestHeader(h http.Header) http.Header {
	out := h.Clone()
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-") && !storedHeader(name) {
			out.Del(name)
		}
	}
	for _, name := range kept {
		if v := h.Get(name); v != "" {
			out.Set(keptPrefix+name, v)
		}
	}
	return out
}

func storedHeader(name string) bool {
	for _, prefix := range []string{
		"X-Amz-Meta-", "X-Amz-Copy-Source", "X-Amz-Server-Side-Encryption", "X-Amz-Website-Redirect-Location", "X-Amz-Checksum-Mode",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// s3Writer puts the header of gofakes3's answers right.
type s3Writer struct {
	http.ResponseWriter
	request *http.Request
	sum     checksum // of an upload
	began   bool
}

func (w *s3Writer) Write(b []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

func (w *s3Writer) WriteHeader(status int) {
	if w.began {
		return
	}
	w.began = true
	h, r := w.Header(), w.request
	h.Del("Access-Control-Allow-Origin")
	for name := range maps.Clone(map[string][]string(h)) {
		switch original, found := strings.CutPrefix(name, keptPrefix); {
		case found:
			h.Set(original, h.Get(name))
			h.Del(name)
		case strings.HasPrefix(name, "X-Amz-Copy-Source") && !strings.HasSuffix(name, "Version-Id"):
			h.Del(name)
		case strings.HasPrefix(name, "X-Amz-Checksum-"):
			// S3 answers the checksum of the whole object, and only when asked.
			if r.Header.Get("X-Amz-Checksum-Mode") != "ENABLED" || status != http.StatusOK {
				h.Del(name)
			}
		}
	}
	if checksumOf(h) != "" {
		h.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
	if w.sum.value != "" && status == http.StatusOK {
		h.Set(w.sum.header(), w.sum.value)
		h.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
	// gofakes3 sets the type of its XML after it has begun to write it. An object has the one it was
	// stored with.
	if h.Get("Content-Type") == "" && r.Method == http.MethodGet || status >= http.StatusBadRequest {
		h.Set("Content-Type", "application/xml")
	}
	w.ResponseWriter.WriteHeader(status)
}

// createBucket makes a bucket. To create it again is no error in us-east-1 and one everywhere else.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
func (s *s3) createBucket(w http.ResponseWriter, r *http.Request, bucket string) error {
	if err := gofakes3.ValidateBucketName(bucket); err != nil {
		return newS3Error(http.StatusBadRequest, "InvalidBucketName", "The specified bucket is not valid.")
	}
	err := s.objects.CreateBucket(bucket)
	if err != nil && s.region != "us-east-1" {
		return newS3Error(http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Location", "/"+bucket)
	w.Header().Set("X-Amz-Request-Id", requestID())
	w.WriteHeader(http.StatusOK)
	return nil
}

// deleteIfMatch deletes an object that has the entity tag, which gofakes3 does not look at.
func (s *s3) deleteIfMatch(w http.ResponseWriter, bucket, object, tag string) error {
	s.objects.mu.Lock()
	defer s.objects.mu.Unlock()
	o, err := s.objects.HeadObject(bucket, object)
	if err != nil {
		return newS3Error(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	}
	if tag != "*" && strings.Trim(tag, `"`) != hex.EncodeToString(o.Hash) {
		return newS3Error(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	if _, err := s.objects.Backend.DeleteObject(bucket, object); err != nil {
		return err
	}
	w.Header().Set("X-Amz-Request-Id", requestID())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// objects are gofakes3's in-memory buckets, with two differences.
type objects struct {
	*s3mem.Backend

	// mu makes one of reading an object's state and changing it.
	mu sync.Mutex
}

// PutObject replaces an object and its metadata. s3mem merges what the new one does not set from
// the old one: its type, its cache control and every x-amz-meta- header.
func (o *objects) PutObject(bucket, name string, meta map[string]string, input io.Reader, size int64, c *gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	data, err := gofakes3.ReadAll(input, size)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	if meta == nil {
		meta = map[string]string{}
	}
	if meta["Content-Type"] == "" {
		meta["Content-Type"] = "binary/octet-stream"
	}
	if !hasChecksum(meta) {
		sum := crc32Of(data)
		meta[sum.header()] = sum.value
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if old, err := o.Backend.HeadObject(bucket, name); err == nil {
		for k := range old.Metadata {
			if _, ok := meta[k]; !ok {
				meta[k] = "" // what is not set can not be kept from being merged
			}
		}
	}
	return o.Backend.PutObject(bucket, name, meta, bytes.NewReader(data), size, c)
}

// CopyObject reads and writes through o, so that metadata is not merged here either.
func (o *objects) CopyObject(fromBucket, from, toBucket, to string, meta map[string]string) (gofakes3.CopyObjectResult, error) {
	return gofakes3.CopyObject(o, fromBucket, from, toBucket, to, meta)
}

// DeleteObject takes part in the lock.
func (o *objects) DeleteObject(bucket, name string) (gofakes3.ObjectDeleteResult, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Backend.DeleteObject(bucket, name)
}

// GetObject answers the metadata that is set.
func (o *objects) GetObject(bucket, name string, r *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	return withoutEmpty(o.Backend.GetObject(bucket, name, r))
}

// GetObjectVersion answers the metadata that is set.
func (o *objects) GetObjectVersion(bucket, name string, id gofakes3.VersionID, r *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	return withoutEmpty(o.Backend.GetObjectVersion(bucket, name, id, r))
}

// HeadObject answers the metadata that is set.
func (o *objects) HeadObject(bucket, name string) (*gofakes3.Object, error) {
	return withoutEmpty(o.Backend.HeadObject(bucket, name))
}

func withoutEmpty(object *gofakes3.Object, err error) (*gofakes3.Object, error) {
	if err != nil {
		return nil, err
	}
	object.Metadata = maps.Clone(object.Metadata)
	maps.DeleteFunc(object.Metadata, func(_, v string) bool { return v == "" })
	return object, nil
}
