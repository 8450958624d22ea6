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

const (
	problemType = "application/problem+json"
	retryAfter  = "1" // what a 503 asks a client to wait, in seconds
)

// A problem is a response that reports an error: RFC 9457, with the member error that clients of
// the earlier service look for.
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
	errBodyTooLarge = newProblem(http.StatusRequestEntityTooLarge, "Request body is too large", "")
	errMediaType    = newProblem(http.StatusUnsupportedMediaType, "Unsupported media type", "")
	errInvalidJSON  = newProblem(http.StatusBadRequest, "Invalid JSON", "")
	errInvalidForm  = newProblem(http.StatusBadRequest, "Invalid form", "")
	errTimeout      = newProblem(http.StatusRequestTimeout, "Request timed out", "")
	errIncomplete   = newProblem(http.StatusBadRequest, "Request body is incomplete", "")
	errVersion      = newProblem(http.StatusHTTPVersionNotSupported, "HTTP version not supported", "this is HTTP/1")
	errBusy         = newProblem(http.StatusServiceUnavailable, "Server is busy",
		"there is no memory for the request now")
	errHost = newProblem(http.StatusBadRequest, "Bad Request",
		"Host is a name or an IP address, with or without a port")
	errMisdirected = newProblem(http.StatusMisdirectedRequest, "Misdirected request",
		"ALLOWED_HOSTS does not name the host of the request")
	errCrossSite = newProblem(http.StatusForbidden, "Cross-site request",
		"only pages of this origin, and of those in CORS_ALLOWED_ORIGINS, can change anything")

	// errContinue is no response: the handler needs a body that the client has not sent yet.
	errContinue = newProblem(http.StatusContinue, "", "")
)

func newProblem(status int, text, detail string) *problem {
	return &problem{status: status, error: text, detail: detail}
}

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

// statuses are the HTTP statuses of the domain's codes, without those that failed replaces.
var statuses = map[user.Code]int{
	user.Missing:    http.StatusBadRequest,
	user.Invalid:    http.StatusBadRequest,
	user.NotFound:   http.StatusNotFound,
	user.KeyReused:  http.StatusUnprocessableEntity,
	user.Changed:    http.StatusPreconditionFailed,
	user.TooLarge:   http.StatusRequestEntityTooLarge,
	user.NotAnImage: http.StatusUnsupportedMediaType,
}

// fiberProblems are the responses to Fiber's errors that have a text of their own.
var fiberProblems = map[int]*problem{
	http.StatusNotFound:              newProblem(http.StatusNotFound, "Not found", ""),
	http.StatusMethodNotAllowed:      newProblem(http.StatusMethodNotAllowed, "Method not allowed", ""),
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
		return &problem{status: framework.Code, error: http.StatusText(framework.Code), cause: err}
	}
	if isTimeout(err) {
		return errTimeout.with("", err)
	}
	return &problem{status: http.StatusInternalServerError, error: "Internal error", cause: err}
}

func isTimeout(err error) bool {
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout()
}

// send makes the problem the response.
func (p *problem) send(r *fasthttp.Response) {
	r.ResetBody()
	r.SetStatusCode(p.status)
	r.Header.SetContentType(problemType)
	for _, name := range []string{ // of what the handler was about to send
		fiber.HeaderCacheControl, fiber.HeaderContentSecurityPolicy, fiber.HeaderETag, fiber.HeaderLink,
	} {
		r.Header.Del(name)
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
