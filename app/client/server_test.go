package client_test

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"prima.internal/app/api"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

// serve serves the API on a free port, with an AWS of its own, until stop is called. If there are
// tokens, requests need one of them.
func serve(ctx context.Context, tokens ...config.AccessToken) (base string, stop func() error, err error) {
	a, stopAWS, err := awstest.Serve(ctx)
	if err != nil {
		return "", nil, err
	}
	c, sdk, log := a.Config, a.SDK, slog.New(slog.DiscardHandler)
	c.AccessTokens = tokens
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
		defer stopAWS()
		return errors.Join(server.Shutdown(context.WithoutCancel(ctx)), <-served)
	}
	return "http://" + listener.Addr().String(), stop, nil
}
