// Package client is a typed client of the API, for programs in Go.
//
// client.gen.go is generated from the description of the API, app/openapi: a method for each operation, in two forms. GetUser
// gives the [http.Response] as it comes; GetUserWithResponse reads it into the type of its status, such as JSON200. What a
// description cannot say in Go is written by hand: [New], whose calls return an [Error] for what the API refuses,
// [ClientWithResponses.Users], which follows the pages of a list, and [ClientWithResponses.CreateUserFormWithResponse], which
// sends an avatar along.
//
// A call lasts as long as its context says. None is repeated but by [net/http], where a connection that was kept breaks: it
// does that to every method but POST, and to a POST with an Idempotency-Key.
package client
