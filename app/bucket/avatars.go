// Package bucket keeps avatars in an S3 bucket.
package bucket

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/uuid"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/app/user"
)

// bucketMissing is S3's code for a bucket that does not exist. HeadBucket's is NotFound.
const bucketMissing = "NoSuchBucket"

// Prefix starts the key of every avatar. The roles in AWS allow no other key.
const Prefix = config.AvatarPrefix

// Avatars is a [user.Avatars] in an S3 bucket. It is safe for concurrent use.
type Avatars struct {
	client  *s3.Client
	bucket  *string
	buckets []string // of the contract, this one and others
}

// New returns the avatars of the bucket that c names.
func New(cfg aws.Config, c config.Config) *Avatars {
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		if endpoint := c.S3(); endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
			o.UsePathStyle = true // a bucket's own host name does not resolve with emulators
		}
	})
	return &Avatars{client, aws.String(c.Bucket), contract.Names(c.Resources(), contract.BucketKind)}
}

func key(userID, avatarID string) *string { return aws.String(Prefix + userID + "/" + avatarID) }

// Put implements [user.Avatars]. It sends a CRC-32 in a signed header and an unsigned payload. By
// default the SDK would hash the payload over http, which is a third of an upload's CPU time, and
// send the checksum in a trailer over https, which not every S3 server supports.
func (a *Avatars) Put(ctx context.Context, userID, avatarID string, image *user.Image) error {
	ctx, call := awsclient.Track(ctx)
	checksum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(image.Data))
	out, err := a.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: a.bucket, Key: key(userID, avatarID), Body: bytes.NewReader(image.Data),
		ContentType:   aws.String(image.ContentType),
		ChecksumCRC32: aws.String(base64.StdEncoding.EncodeToString(checksum)),
	}, s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware))
	if err == nil && out.ETag == nil {
		return call.Incomplete("the ETag of the image")
	}
	return call.Fault(err, bucketMissing)
}

// Head implements [user.Avatars].
func (a *Avatars) Head(ctx context.Context, userID, avatarID string) (*user.StoredImage, error) {
	tracked, call := awsclient.Track(ctx)
	out, err := a.client.HeadObject(tracked, &s3.HeadObjectInput{Bucket: a.bucket, Key: key(userID, avatarID)})
	if _, ok := errors.AsType[*types.NotFound](err); ok {
		// Only a response with a body says whether the object or the bucket is missing.
		return a.Get(ctx, userID, avatarID)
	}
	if err != nil {
		return nil, call.Fault(err)
	}
	return opened(call, http.NoBody, out.ContentLength, out.ContentType)
}

// Get implements [user.Avatars]. Closing the image, or the end of ctx, ends the transfer.
func (a *Avatars) Get(ctx context.Context, userID, avatarID string) (*user.StoredImage, error) {
	ctx, call := awsclient.Track(ctx)
	out, err := a.client.GetObject(ctx, &s3.GetObjectInput{Bucket: a.bucket, Key: key(userID, avatarID)})
	if _, ok := errors.AsType[*types.NoSuchKey](err); ok {
		return nil, user.ErrNoAvatar
	}
	if err != nil {
		return nil, call.Fault(err, bucketMissing)
	}
	return opened(call, out.Body, out.ContentLength, out.ContentType)
}

func opened(call *awsclient.Call, body io.ReadCloser, size *int64, contentType *string) (*user.StoredImage, error) {
	if size == nil {
		_ = body.Close()
		return nil, call.Incomplete("the length of the image")
	}
	return &user.StoredImage{ReadCloser: body, Size: *size, ContentType: aws.ToString(contentType)}, nil
}

// Delete implements [user.Avatars].
func (a *Avatars) Delete(ctx context.Context, userID, avatarID string) error {
	ctx, call := awsclient.Track(ctx)
	_, err := a.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: a.bucket, Key: key(userID, avatarID)})
	return call.Fault(err, bucketMissing)
}

// List calls each with the avatars, up to a thousand at a time, ordered by key.
func (a *Avatars) List(ctx context.Context, each func([]user.ListedImage) error) error {
	in := &s3.ListObjectsV2Input{Bucket: a.bucket, Prefix: aws.String(Prefix)}
	for pages := s3.NewListObjectsV2Paginator(a.client, in); pages.HasMorePages(); {
		ctx, call := awsclient.Track(ctx)
		page, err := pages.NextPage(ctx)
		if err != nil {
			return call.Fault(err, bucketMissing)
		}
		if page.IsTruncated == nil || *page.IsTruncated && aws.ToString(page.NextContinuationToken) == "" {
			return call.Incomplete("where the list goes on")
		}
		listed := make([]user.ListedImage, 0, len(page.Contents))
		for _, object := range page.Contents {
			if object.Key == nil || object.LastModified == nil {
				return call.Incomplete("the key or the time of an object")
			}
			userID, avatarID, _ := strings.Cut(strings.TrimPrefix(*object.Key, Prefix), "/")
			if userID != "" && uuid.Validate(avatarID) == nil {
				image := user.ListedImage{UserID: userID, AvatarID: avatarID, Stored: *object.LastModified}
				listed = append(listed, image)
			}
		}
		if err := each(listed); err != nil {
			return err
		}
	}
	return nil
}

// Check calls HeadBucket for every bucket of the contract. user.ErrResourceMissing if one is
// missing.
func (a *Avatars) Check(ctx context.Context) error {
	for _, name := range a.buckets {
		ctx, call := awsclient.Track(ctx)
		_, err := a.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name})
		if err := call.Fault(err, bucketMissing, "NotFound"); err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	return nil
}
