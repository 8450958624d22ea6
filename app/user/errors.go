package user

import (
	"errors"
	"fmt"
)

// A Code is the kind of an [Error].
type Code string

// The codes. Package api maps them to statuses.
const (
	Missing     Code = "missing"     // a required field is missing
	Invalid     Code = "invalid"     // a field breaks its rule
	NotFound    Code = "not_found"   // no such user, or no such image
	KeyReused   Code = "key_reused"  // an idempotency key was used with other content
	Changed     Code = "changed"     // the image is not the one that a [Condition] asks for
	TooLarge    Code = "too_large"   // the image has too many bytes
	NotAnImage  Code = "not_image"   // the image is none of the accepted formats
	Unavailable Code = "unavailable" // a dependency failed; a retry may succeed
	Internal    Code = "internal"    // everything else
)

// ErrResourceMissing is in the chain of errors of a store whose table or bucket does not exist.
var ErrResourceMissing = errors.New("the resource does not exist")

// An Error is a failure that callers tell apart by its code.
type Error struct {
	Code      Code
	Message   string // a fixed sentence for clients
	Detail    string // for clients: what would have been accepted; may be empty
	Uncertain bool   // a write failed, but may have taken effect
	Err       error  // the cause, for operators
}

func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Message
	case e.Message == "":
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", e.Message, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err: Internal if it has none, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

func uncertain(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Uncertain
}

// Errors whose texts are fixed, because clients compare them.
var (
	ErrMissing  error = &Error{Code: Missing, Message: "Missing 'name' or 'email'"}
	ErrNoUser   error = &Error{Code: NotFound, Message: "User not found"}
	ErrNoAvatar error = &Error{Code: NotFound, Message: "Avatar not found"}
	ErrChanged  error = &Error{
		Code: Changed, Message: "Precondition failed", Detail: "If-Match or If-None-Match asks for another version",
	}
	errInvalidName = &Error{Code: Invalid, Message: "Invalid 'name'", Detail: fmt.Sprintf(
		"a name has 1 to %d characters besides the white space around it, begins with no combining mark, "+
			"and has no control or invisible characters except those that change how their neighbors look", MaxNameRunes)}
	errInvalidEmail = &Error{Code: Invalid, Message: "Invalid 'email'", Detail: fmt.Sprintf(
		"an email is one bare address such as jane@example.com, at most %d bytes long "+
			"and without invisible characters", MaxEmailBytes)}
	errKeyReused = &Error{Code: KeyReused, Message: "Idempotency-Key was used with other content"}
)
