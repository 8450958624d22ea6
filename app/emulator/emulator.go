// Package emulator creates the resources of the contract in an emulator of AWS.
package emulator

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"prima.internal/app/contract"
)

// Create makes the resources. Those that exist stay as they are.
func Create(ctx context.Context, db *dynamodb.Client, storage *s3.Client, resources []contract.Resource) error {
	for _, r := range resources {
		var err error
		switch r.Kind {
		case contract.TableKind:
			err = createTable(ctx, db, r)
		case contract.BucketKind:
			err = createBucket(ctx, storage, r)
		default:
			err = errors.New("app/emulator cannot create this kind: add a case")
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", r.Kind, *r.Name, err)
		}
	}
	return nil
}

func createTable(ctx context.Context, client *dynamodb.Client, r contract.Resource) error {
	_, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: r.Name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &r.Key, AttributeType: contract.KeyType}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: &r.Key, KeyType: types.KeyTypeHash}},
	})
	if _, exists := errors.AsType[*types.ResourceInUseException](err); exists {
		return nil
	}
	return err
}

func createBucket(ctx context.Context, client *s3.Client, r contract.Resource) error {
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: r.Name})
	if _, exists := errors.AsType[*s3types.BucketAlreadyOwnedByYou](err); exists {
		return nil
	}
	return err
}

// Delete removes the resources with what is in them. Those that do not exist are no error.
func Delete(ctx context.Context, db *dynamodb.Client, storage *s3.Client, resources []contract.Resource) error {
	for _, r := range resources {
		var err error
		switch r.Kind {
		case contract.TableKind:
			_, err = db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: r.Name})
			if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
				err = nil
			}
		case contract.BucketKind:
			err = deleteBucket(ctx, storage, r)
		default:
			err = errors.New("app/emulator cannot delete this kind: add a case")
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", r.Kind, *r.Name, err)
		}
	}
	return nil
}

func deleteBucket(ctx context.Context, client *s3.Client, r contract.Resource) error {
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: r.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if _, missing := errors.AsType[*s3types.NoSuchBucket](err); missing {
			return nil
		}
		if err != nil {
			return err
		}
		for _, object := range page.Contents {
			if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: r.Name, Key: object.Key}); err != nil {
				return err
			}
		}
	}
	_, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: r.Name})
	return err
}

// Clients returns clients of DynamoDB and S3 that call an emulator at an endpoint.
func Clients(cfg aws.Config, endpoint string) (*dynamodb.Client, *s3.Client) {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &endpoint }),
		s3.NewFromConfig(cfg, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &endpoint, true })
}
