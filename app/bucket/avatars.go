// Package bucket keeps avatars in an S3 bucket.
package bucket

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/google/uuid"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// bucketMissing is what S3 answers where there is no such bucket; HeadBucket, whose answer has no
// body, says NotFound.
const bucketMissing = "NoSuchBucket"

// Prefix starts the key of every avatar. It is that of the contract, because a role may touch nothing else.
const Prefix = config.AvatarPrefix

// Avatars is a [user.Avatars] in an S3 bucket. It is safe for concurrent use.
type Avatars struct {
	client *s3.Client
	bucket *string
}

// New returns the avatars of the bucket that c names.
func New(cfg aws.Config, c config.Config) *Avatars {
	return &Avatars{
		client: s3.NewFromConfig(cfg, func(o *s3.Options) {
			if endpoint := c.S3(); endpoint != "" {
				o.BaseEndpoint = aws.String(endpoint)
				// A bucket's name in the host resolves only where somebody made it do so.
				o.UsePathStyle = true
			}
		}),
		bucket: aws.String(c.Bucket),
	}
}

func key(userID, avatarID string) *string { return aws.String(Prefix + userID + "/" + avatarID) }

// Put implements [user.Avatars].
func (a *Avatars) Put(ctx context.Context, userID, avatarID string, image *user.Image) error {
	ctx, call := awsclient.Track(ctx)
	body := newUpload(image.Data)
	defer body.revoke()
	out, err := a.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:      a.bucket,
		Key:         key(userID, avatarID),
		ContentType: aws.String(image.ContentType),
		Body:        body,
		// Given a checksum, the SDK makes none of its own, which over https it would send behind the image, in a coding that not all
		// that is called S3 knows.
		ChecksumCRC32: checksum(image.Data),
	}, unsigned)
	if err == nil && out.ETag == nil {
		return call.Incomplete("the ETag of the image")
	}
	return call.Fault(err, bucketMissing)
}

// checksum returns the CRC-32 (IEEE) of data as S3 takes it: big-endian, in base64.
func checksum(data []byte) *string {
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data))))
}

// unsigned leaves an image out of the signature of its request, as the SDK does by itself where the endpoint is https. Over http it would
// hash it by SHA-256, which is a third of the processor time of an upload and protects nothing: whoever can change an image on its way
// there can change it on its way back. What a fault changes is refused by the checksum, which is in a signed header.
func unsigned(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// Get implements [user.Avatars]. Closing what it returns, or the end of ctx, ends the transfer.
func (a *Avatars) Get(ctx context.Context, userID, avatarID string) (*user.StoredImage, error) {
	ctx, call := awsclient.Track(ctx)
	out, err := a.client.GetObject(ctx, &s3.GetObjectInput{Bucket: a.bucket, Key: key(userID, avatarID)})
	if err != nil {
		if hasCode(err, "NoSuchKey") {
			return nil, user.ErrNoAvatar
		}
		return nil, call.Fault(err, bucketMissing)
	}
	if out.ContentLength == nil {
		_ = out.Body.Close()
		return nil, call.Incomplete("the length of the image")
	}
	return &user.StoredImage{
		ReadCloser:  out.Body,
		ContentType: aws.ToString(out.ContentType),
		Size:        *out.ContentLength,
	}, nil
}

// Delete implements [user.Avatars].
func (a *Avatars) Delete(ctx context.Context, userID, avatarID string) error {
	ctx, call := awsclient.Track(ctx)
	_, err := a.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: a.bucket, Key: key(userID, avatarID)})
	return call.Fault(err, bucketMissing)
}

// List calls each with the avatars in the bucket, up to a thousand at a time, in the order of their
// keys. Objects whose key is not that of an avatar are left out.
func (a *Avatars) List(ctx context.Context, each func([]user.ListedImage) error) error {
	pages := s3.NewListObjectsV2Paginator(a.client, &s3.ListObjectsV2Input{Bucket: a.bucket, Prefix: aws.String(Prefix)})
	for pages.HasMorePages() {
		ctx, call := awsclient.Track(ctx)
		page, err := pages.NextPage(ctx)
		if err != nil {
			return call.Fault(err, bucketMissing)
		}
		if page.IsTruncated == nil || *page.IsTruncated && page.NextContinuationToken == nil {
			return call.Incomplete("where the list goes on")
		}
		listed := make([]user.ListedImage, 0, len(page.Contents))
		for _, object := range page.Contents {
			if object.Key == nil || object.LastModified == nil {
				return call.Incomplete("an object's key or time")
			}
			userID, avatarID, ok := strings.Cut(strings.TrimPrefix(*object.Key, Prefix), "/")
			if !ok || userID == "" || uuid.Validate(avatarID) != nil {
				continue
			}
			listed = append(listed, user.ListedImage{UserID: userID, AvatarID: avatarID, Stored: *object.LastModified})
		}
		if err := each(listed); err != nil {
			return err
		}
	}
	return nil
}

// Check asks whether the bucket is there and may be used. The error is user.ErrResourceMissing
// where it is known not to be.
func (a *Avatars) Check(ctx context.Context) error {
	ctx, call := awsclient.Track(ctx)
	_, err := a.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: a.bucket})
	return call.Fault(err, bucketMissing, "NotFound")
}

func hasCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}
