package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"prima.internal/app/client"
	"prima.internal/app/config"
)

// A user with an avatar is created, found in the list, changed and deleted.
func Example() {
	ctx := context.Background()
	token := config.NewToken() // task token prints one
	entry := config.AccessToken{Name: "example", Read: true, Write: true, Hash: config.HashToken(token)}
	base, stop, err := serve(ctx, entry)
	if err != nil {
		panic(err)
	}
	defer func() { _ = stop() }()

	c, err := client.New(base, client.WithToken(token))
	if err != nil {
		panic(err)
	}
	image, err := os.ReadFile("../../docs/face.png")
	if err != nil {
		panic(err)
	}
	created, err := c.CreateUserFormWithResponse(ctx,
		&client.CreateUserParams{IdempotencyKey: new("order-17")}, // so that it can be sent again
		client.NewUserForm{Name: "Grace", Email: "grace@example.com", Avatar: image})
	if err != nil {
		panic(err)
	}
	id := created.JSON201.ID

	for user, err := range c.Users(ctx, 100) {
		if err != nil {
			panic(err)
		}
		fmt.Println("listed:", user.Name, user.Email)
	}

	changed, err := c.UpdateUserWithResponse(ctx, id, client.UserPatch{Name: new("Grace Hopper")})
	if err != nil {
		panic(err)
	}
	fmt.Println("changed:", changed.JSON200.Name, changed.JSON200.Email)

	if _, err := c.DeleteUserWithResponse(ctx, id); err != nil {
		panic(err)
	}
	_, err = c.GetUserWithResponse(ctx, id)
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.Status == http.StatusNotFound {
		fmt.Println("deleted:", refused.Problem.Error)
	}
	// Output:
	// listed: Grace grace@example.com
	// changed: Grace Hopper grace@example.com
	// deleted: User not found
}
