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

// Avatars is a [user.Avatars] in an S3 bucket. It is safe for concurrent use.
type Avatars struct {
	client *s3.Client
	config config.Config
}

// New returns the avatars of the bucket that c names.
func New(cfg aws.Config, c config.Config) *Avatars {
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		if endpoint := c.S3(); endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
			o.UsePathStyle = true // a bucket's own host name does not resolve with emulators
		}
	})
	return &Avatars{client, c}
}

func key(userID, avatarID string) *string {
	return aws.String(config.AvatarPrefix + userID + "/" + avatarID)
}

// Put implements [user.Avatars]. It signs a CRC-32. By default the SDK hashes the image over http,
// a third of an upload's CPU time, and sends a trailer over https, which not every server supports.
func (a *Avatars) Put(ctx context.Context, userID, avatarID string, image *user.Image) error {
	ctx, call := awsclient.Track(ctx)
	checksum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(image.Data))
	out, err := a.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &a.config.Bucket, Key: key(userID, avatarID), Body: bytes.NewReader(image.Data),
		ContentType:   aws.String(image.ContentType),
		ChecksumCRC32: aws.String(base64.StdEncoding.EncodeToString(checksum)),
	}, s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware))
	if err == nil && out.ETag == nil {
		return call.Incomplete("the ETag of the image")
	}
	return call.Fault(err)
}

// Head implements [user.Avatars]. If nothing is found it calls Get, because only a response with a
// body says whether the object or the bucket is missing.
func (a *Avatars) Head(ctx context.Context, userID, avatarID string) (*user.StoredImage, error) {
	tracked, call := awsclient.Track(ctx)
	out, err := a.client.HeadObject(tracked, &s3.HeadObjectInput{Bucket: &a.config.Bucket, Key: key(userID, avatarID)})
	if _, missing := errors.AsType[*types.NotFound](err); missing {
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
	out, err := a.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &a.config.Bucket, Key: key(userID, avatarID)})
	if _, missing := errors.AsType[*types.NoSuchKey](err); missing {
		return nil, user.ErrNoAvatar
	}
	if err != nil {
		return nil, call.Fault(err)
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
	_, err := a.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &a.config.Bucket, Key: key(userID, avatarID)})
	return call.Fault(err)
}

// List calls each with the avatars, up to a thousand at a time, ordered by key.
func (a *Avatars) List(ctx context.Context, each func([]user.ListedImage) error) error {
	in := &s3.ListObjectsV2Input{Bucket: &a.config.Bucket, Prefix: aws.String(config.AvatarPrefix)}
	for pages := s3.NewListObjectsV2Paginator(a.client, in); pages.HasMorePages(); {
		ctx, call := awsclient.Track(ctx)
		page, err := pages.NextPage(ctx)
		if err != nil {
			return call.Fault(err)
		}
		if page.IsTruncated == nil || *page.IsTruncated && aws.ToString(page.NextContinuationToken) == "" {
			return call.Incomplete("where the list goes on")
		}
		listed := make([]user.ListedImage, 0, len(page.Contents))
		for _, object := range page.Contents {
			if object.Key == nil || object.LastModified == nil {
				return call.Incomplete("the key or the time of an object")
			}
			userID, avatarID, _ := strings.Cut(strings.TrimPrefix(*object.Key, config.AvatarPrefix), "/")
			if userID != "" && uuid.Validate(avatarID) == nil { // otherwise another program's object
				listed = append(listed, user.ListedImage{UserID: userID, AvatarID: avatarID, Stored: *object.LastModified})
			}
		}
		if err := each(listed); err != nil {
			return err
		}
	}
	return nil
}

// Check calls HeadBucket for every bucket of the contract. user.ErrResourceMissing.
func (a *Avatars) Check(ctx context.Context) error {
	for _, name := range contract.Names(a.config.Resources(), contract.BucketKind) {
		ctx, call := awsclient.Track(ctx)
		if _, err := a.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name}); err != nil {
			return fmt.Errorf("bucket %s: %w", name, call.Fault(err))
		}
	}
	return nil
}
