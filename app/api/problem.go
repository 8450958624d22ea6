package api

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"prima.internal/app/user"
)

// problemType is the media type of a problem.
const problemType = "application/problem+json"

// retryAfter is what a 503 asks a client to wait, in seconds.
const retryAfter = "1"

// A problem is a response that reports an error: RFC 9457, with the member error that clients of the
// earlier service look for.
type problem struct {
	status    int
	error     string // a fixed sentence
	detail    string // what would have been accepted; may be empty
	challenge string // the header WWW-Authenticate; may be empty
	cause     error  // for the log only
	// dependencies is a further member, of /readyz.
	dependencies map[string]dependencyState
}

func (p *problem) Error() string {
	if p.cause != nil {
		return p.cause.Error()
	}
	return p.error
}

func (p *problem) Unwrap() error { return p.cause }

var (
	errNotFound         = &problem{status: http.StatusNotFound, error: "Not found"}
	errMethodNotAllowed = &problem{status: http.StatusMethodNotAllowed, error: "Method not allowed"}
	errBodyTooLarge     = &problem{status: http.StatusRequestEntityTooLarge, error: "Request body is too large"}
	errMediaType        = &problem{status: http.StatusUnsupportedMediaType, error: "Unsupported media type"}
	errInvalidJSON      = &problem{status: http.StatusBadRequest, error: "Invalid JSON"}
	errInvalidForm      = &problem{status: http.StatusBadRequest, error: "Invalid form"}
	errTimeout          = &problem{status: http.StatusRequestTimeout, error: "Request timed out"}
	errBusy             = &problem{status: http.StatusServiceUnavailable, error: "Server is busy", detail: "there is no memory for the request now"}
	errIncomplete       = &problem{status: http.StatusBadRequest, error: "Request body is incomplete"}
	errHost             = &problem{status: http.StatusBadRequest, error: "Bad Request", detail: "Host is a name or an IP address, with or without a port"}
	errMisdirected      = &problem{status: http.StatusMisdirectedRequest, error: "Misdirected request", detail: "ALLOWED_HOSTS does not name the host of the request"}
	errVersion          = &problem{status: http.StatusHTTPVersionNotSupported, error: "HTTP version not supported", detail: "this is HTTP/1"}
	errCrossSite        = &problem{status: http.StatusForbidden, error: "Cross-site request", detail: "only pages of this origin, and of those in CORS_ALLOWED_ORIGINS, can change anything"}

	// errContinue is no response: the handler needs a body that the client has not sent yet.
	errContinue = &problem{status: http.StatusContinue, error: http.StatusText(http.StatusContinue)}
)

// with returns a copy of p that says more.
func (p *problem) with(detail string, cause error) *problem {
	q := *p
	q.detail, q.cause = detail, cause
	return &q
}

// failed replaces an error that is not the client's fault by text: its cause is for the log. Other
// errors are returned as they are.
func failed(text string, err error) error {
	if _, ok := errors.AsType[*problem](err); ok {
		return err
	}
	switch user.CodeOf(err) {
	case user.Unavailable:
		return &problem{status: http.StatusServiceUnavailable, error: text, cause: err}
	case user.Internal:
		return &problem{status: http.StatusInternalServerError, error: text, cause: err}
	}
	return err
}

// statuses are the HTTP statuses of the domain's codes.
var statuses = map[user.Code]int{
	user.Missing:     http.StatusBadRequest,
	user.Invalid:     http.StatusBadRequest,
	user.NotFound:    http.StatusNotFound,
	user.KeyReused:   http.StatusUnprocessableEntity,
	user.Changed:     http.StatusPreconditionFailed,
	user.TooLarge:    http.StatusRequestEntityTooLarge,
	user.NotAnImage:  http.StatusUnsupportedMediaType,
	user.Unavailable: http.StatusServiceUnavailable,
}

// fiberProblems are the responses to Fiber's errors that have a text of their own.
var fiberProblems = map[int]*problem{
	http.StatusNotFound:              errNotFound,
	http.StatusMethodNotAllowed:      errMethodNotAllowed,
	http.StatusRequestEntityTooLarge: errBodyTooLarge,
	http.StatusRequestTimeout:        errTimeout,
	http.StatusBadGateway:            errIncomplete, // the connection broke in the middle of a request
}

// asProblem returns the response to an error. Only fixed texts reach the client.
func asProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if domain, ok := errors.AsType[*user.Error](err); ok {
		if status, ok := statuses[domain.Code]; ok {
			return &problem{status: status, error: domain.Message, detail: domain.Detail, cause: err}
		}
	}
	if framework, ok := errors.AsType[*fiber.Error](err); ok {
		if p, ok := fiberProblems[framework.Code]; ok {
			return p
		}
		if framework.Code < http.StatusInternalServerError || framework.Code == http.StatusNotImplemented {
			return &problem{status: framework.Code, error: http.StatusText(framework.Code), cause: err}
		}
	}
	if isTimeout(err) {
		return errTimeout.with("", err)
	}
	return &problem{status: http.StatusInternalServerError, error: "Internal error", cause: err}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// send makes the problem the response.
func (p *problem) send(r *fasthttp.Response) {
	r.ResetBody()
	r.SetStatusCode(p.status)
	r.Header.SetContentType(problemType)
	r.Header.Set(fiber.HeaderCacheControl, "no-store")
	for _, name := range []string{fiber.HeaderETag, fiber.HeaderLink, fiber.HeaderContentSecurityPolicy} {
		r.Header.Del(name) // of what the handler was about to send
	}
	if p.status == http.StatusServiceUnavailable {
		r.Header.Set(fiber.HeaderRetryAfter, retryAfter)
	}
	if p.challenge != "" {
		r.Header.Set(fiber.HeaderWWWAuthenticate, p.challenge)
	}
	r.SetBodyRaw(p.body())
}

// body returns the problem as JSON.
func (p *problem) body() []byte {
	body, _ := json.Marshal(struct { // strings and numbers, which cannot fail
		Type         string                     `json:"type"`
		Title        string                     `json:"title"`
		Status       int                        `json:"status"`
		Detail       string                     `json:"detail,omitempty"`
		Error        string                     `json:"error"`
		Dependencies map[string]dependencyState `json:"dependencies,omitempty"`
	}{"about:blank", http.StatusText(p.status), p.status, p.detail, p.error, p.dependencies})
	return body
}
