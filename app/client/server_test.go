package client_test

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"prima.internal/app/api"
	"prima.internal/app/awsclient"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/localaws"
	"prima.internal/app/user"
)

// serve serves the API from a free port, on an AWS of its own, until stop is called. With tokens, it lets in nobody else.
func serve(ctx context.Context, tokens ...config.AccessToken) (base string, stop func() error, err error) {
	c := config.Default()
	c.AccessTokens = tokens
	local, err := localaws.New(localaws.Options{Table: c.Table, Bucket: c.Bucket, Region: c.Region})
	if err != nil {
		return "", nil, err
	}
	aws, err := local.Listen("127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	c.Endpoint = aws.URL()
	log := slog.New(slog.DiscardHandler)
	sdk, err := awsclient.Load(ctx, c, log)
	if err != nil {
		return "", nil, err
	}
	sdk.Credentials = credentials.NewStaticCredentialsProvider("test", "test", "")
	users, avatars := dynamo.New(sdk, c), bucket.New(sdk, c)
	server := api.New(c, &user.Service{Users: users, Avatars: avatars, Log: log},
		[]api.Dependency{{Name: "dynamodb", Check: users.Check}, {Name: "s3", Check: avatars.Check}}, log)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	stop = func() error {
		return errors.Join(server.Shutdown(context.WithoutCancel(ctx)), <-served, aws.Close())
	}
	return "http://" + listener.Addr().String(), stop, nil
}
