package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"prima.internal/app/apitest"
)

const (
	avatarBytes = 1 << 20
	bucketName  = "prima-tech-challenge"
)

// runLoop calls the SDK in a loop and nothing else: what a server that does no work of its own would come to.
func runLoop(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("loop", flag.ContinueOnError)
	call := flags.String("call", "PutItem", "PutItem, PutObject, or PutObject-unhashed, whose content is not in the signature")
	table := flags.String("table", "users-100", "table of PutItem")
	callers := flags.Int("callers", 8, "goroutines that call")
	duration := flags.Duration("duration", time.Second, "how long they do")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	send := putItems(cfg, *table)
	switch *call {
	case "PutItem":
	case "PutObject":
		send = putObjects(cfg, false)
	case "PutObject-unhashed":
		send = putObjects(cfg, true)
	default:
		return fmt.Errorf("there is no call %s", *call)
	}
	if err := send(ctx); err != nil { // makes the first connection, as a server has at its first request
		return err
	}

	result, err := repeat(ctx, *callers, *duration, func(ctx context.Context, _ int) error { return send(ctx) })
	if err != nil {
		return fmt.Errorf("%s: %w", *call, err)
	}
	return json.NewEncoder(out).Encode(result)
}

func putItems(cfg aws.Config, table string) func(context.Context) error {
	client := dynamodb.NewFromConfig(cfg)
	return func(ctx context.Context) error {
		_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(table), Item: map[string]types.AttributeValue{
			"id":    &types.AttributeValueMemberS{Value: uuid.NewString()},
			"name":  &types.AttributeValueMemberS{Value: newName},
			"email": &types.AttributeValueMemberS{Value: newEmail},
		}})
		return err
	}
}

// putObjects stores an avatar by the SDK's defaults, or with the checksum that it would make and no signature of the content, which is
// what it does over https.
func putObjects(cfg aws.Config, unhashed bool) func(context.Context) error {
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = true
		if unhashed {
			o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
		}
	})
	avatar := apitest.PaddedPNG(avatarBytes)
	return func(ctx context.Context) error {
		in := &s3.PutObjectInput{
			Bucket:      aws.String(bucketName),
			Key:         aws.String("avatars/" + uuid.NewString() + "/" + uuid.NewString()),
			Body:        bytes.NewReader(avatar),
			ContentType: aws.String("image/png"),
		}
		if unhashed {
			in.ChecksumCRC32 = aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(avatar))))
		}
		_, err := client.PutObject(ctx, in)
		return err
	}
}
