// Package client is a typed client of the API, for programs in Go.
//
// client.gen.go is generated from the description of the API, app/openapi. It has two methods for
// each operation: GetUser returns the [http.Response], and GetUserWithResponse reads it into the
// type of its status, such as JSON200. The rest is written by hand: [New], whose calls return an
// [Error] for an error of the API, [ClientWithResponses.Users], which follows the pages of a list,
// and [ClientWithResponses.CreateUserFormWithResponse], which sends an avatar.
//
// A call ends with its context. Only [net/http] repeats calls, if a connection that it kept breaks:
// every method but POST, and a POST with an Idempotency-Key.
package client
