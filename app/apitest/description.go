package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"

	"prima.internal/app/openapi"
)

// Beyond stands in place of a header and says that a request is one that the description does not promise to accept, and that the API
// accepts all the same. It fails where the request is within the description, or is refused.
const Beyond = "(beyond the description)"

// unparsed are the statuses of answers to what is no request, or none that any operation could be found for.
var unparsed = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout,
	http.StatusMisdirectedRequest, http.StatusRequestHeaderFieldsTooLarge, http.StatusNotImplemented, http.StatusServiceUnavailable, http.StatusHTTPVersionNotSupported,
}

// A description is what every request and answer is held against.
type description struct {
	document *openapi3.T
	headers  map[string]bool    // that some answer is described with
	answers  map[string]*answer // by answerOf
	problem  *jsonschema.Schema
}

// described reads the description once.
var described = sync.OnceValue(func() *description {
	d, err := parseDescription(openapi.JSON)
	if err != nil {
		panic(err) // package openapi has a test of it
	}
	return d
})

func parseDescription(data []byte) (*description, error) {
	document, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, err
	}
	for _, item := range document.Paths.Map() {
		for _, operation := range item.Operations() {
			for _, response := range operation.Responses.Map() {
				for _, media := range response.Value.Content {
					closeSchema(media.Schema)
				}
			}
		}
	}
	d := &description{document: document, headers: map[string]bool{"Allow": true}}
	if d.answers, d.problem, err = compileAnswers(document); err != nil {
		return nil, err
	}
	for _, answer := range d.answers {
		for name := range answer.headers {
			d.headers[name] = true
		}
	}
	return d, nil
}

// closeSchema makes a member that is not described a fault. Clients are asked to pass over it; the API is not to add it in silence.
func closeSchema(schema *openapi3.SchemaRef) {
	if schema == nil {
		return
	}
	closeSchema(schema.Value.Items)
	if len(schema.Value.Properties) == 0 {
		return
	}
	schema.Value.AdditionalProperties = openapi3.BoolSchema{Has: new(bool)}
	for _, property := range schema.Value.Properties {
		closeSchema(property)
	}
}

func init() {
	openapi3filter.RegisterBodyDecoder("multipart/form-data", decodeForm)
}

// decodeForm reads a form as the API does: what it does not know is skipped, and a field that is there twice is a fault.
func decodeForm(body io.Reader, header http.Header, schema *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
	_, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	form := map[string]any{}
	for parts := multipart.NewReader(body, parameters["boundary"]); ; {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return form, nil
		} else if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		name := part.FormName()
		if schema.Value.Properties[name] == nil {
			continue
		}
		if _, twice := form[name]; twice {
			return nil, fmt.Errorf("the field %s is there twice", name)
		}
		form[name] = string(content)
	}
}

// find returns the operation that a request is for, nil if there is none. others are the methods of its path.
func (d *description) find(method string, target *url.URL) (route *routers.Route, parameters map[string]string, others []string) {
	if method == http.MethodHead { // which is answered like GET, and not described
		method = http.MethodGet
	}
	segments := strings.Split(target.EscapedPath(), "/") // the API reads a path as it was sent
	for path, item := range d.document.Paths.Map() {
		names := strings.Split(path, "/")
		if len(names) != len(segments) {
			continue
		}
		parameters, matches := map[string]string{}, true
		for i, name := range names {
			if inner, ok := strings.CutPrefix(name, "{"); ok && segments[i] != "" {
				parameters[strings.TrimSuffix(inner, "}")] = segments[i]
			} else if name != segments[i] {
				matches = false
			}
		}
		if !matches {
			continue
		}
		if operation := item.GetOperation(method); operation != nil {
			return &routers.Route{Spec: d.document, Path: path, PathItem: item, Method: method, Operation: operation}, parameters, nil
		}
		for name := range item.Operations() {
			others = append(others, name)
			if name == http.MethodGet {
				others = append(others, http.MethodHead)
			}
		}
		return nil, nil, others
	}
	return nil, nil, nil
}

// hold returns what is wrong with a request, or with its answer, by the description.
func (d *description) hold(request *http.Request, body []byte, beyond bool, r *Response) error {
	route, parameters, others := d.find(request.Method, request.URL)
	if route == nil {
		return d.holdWithout(others, r)
	}
	r.operation = route.Operation.OperationID
	if err := d.holdAnswer(route, r); err != nil {
		return err
	}
	accepted := r.Status < http.StatusBadRequest
	if !accepted && !beyond {
		return nil // with a problem that the suite has looked at: there is more to refuse than a description can say
	}
	copied := request.Clone(request.Context())
	if copied.Method == http.MethodHead {
		copied.Method = http.MethodGet
	}
	if len(body) > 0 && copied.Header.Get("Content-Type") == "" {
		copied.Header.Set("Content-Type", "application/octet-stream") // RFC 9110 §8.3
	}
	copied.Body, copied.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	fault := openapi3filter.ValidateRequest(request.Context(), &openapi3filter.RequestValidationInput{
		Request: copied, PathParams: parameters, Route: route, Options: &openapi3filter.Options{
			// Who may do what is told by answers: see access.go.
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
		},
	})
	switch {
	case beyond && !accepted:
		return errors.New("the request is said to be accepted beyond the description, and was refused")
	case beyond && fault == nil:
		return errors.New("the request is said to be beyond the description, and is within")
	case !beyond && fault != nil:
		return fmt.Errorf("the request was accepted, and is not as described: %w", fault)
	}
	return nil
}

// holdAnswer returns what is wrong with an answer of an operation.
func (d *description) holdAnswer(route *routers.Route, r *Response) error {
	described := d.answers[answerOf(route.Operation.OperationID, strconv.Itoa(r.Status))]
	if described == nil {
		return fmt.Errorf("the status %d is not described for %s", r.Status, route.Operation.OperationID)
	}
	for name := range r.Header {
		if _, ok := described.headers[name]; !ok && d.headers[name] {
			return fmt.Errorf("the header %s is not described for %d of %s", name, r.Status, route.Operation.OperationID)
		}
	}
	if err := described.hold(r); err != nil {
		return fmt.Errorf("%d of %s: %w", r.Status, route.Operation.OperationID, err)
	}
	return nil
}

// ofThePages reports whether a path is one that an API with pages serves to people. They are no part of the description.
func ofThePages(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return path == "/" || path == "/docs" || strings.HasPrefix(path, "/assets/")
}

// holdWithout returns what is wrong with an answer to a request that no operation is for. others are the methods that its path has.
func (d *description) holdWithout(others []string, r *Response) error {
	switch {
	case ofThePages(r.Path) && slices.Contains([]int{http.StatusOK, http.StatusNotModified, http.StatusMethodNotAllowed}, r.Status):
		return nil // pagesForPeople has looked at them
	case len(others) > 0 && r.Status == http.StatusMethodNotAllowed:
		var allowed []string
		for name := range strings.SplitSeq(strings.Join(r.Header.Values("Allow"), ","), ",") {
			allowed = append(allowed, strings.TrimSpace(name))
		}
		slices.Sort(allowed)
		slices.Sort(others)
		if !slices.Equal(allowed, others) {
			return fmt.Errorf("the methods %v are allowed, and %v described", allowed, others)
		}
	case len(others) > 0 && r.Status == http.StatusNotFound:
		return errors.New("a path that is described is not found")
	case !slices.Contains(unparsed, r.Status):
		return fmt.Errorf("the status %d came of a request that no operation is described for", r.Status)
	}
	if r.Method == http.MethodHead {
		return nil
	}
	return holdJSON(d.problem, r.Body)
}

// holdRaw is hold of what was written by hand, of which the request is not held against the description: it may be none. Its
// first line says which operation the answer is of.
func (d *description) holdRaw(raw string, r *Response) error {
	line, _, _ := strings.Cut(raw, "\r\n")
	if words := strings.Split(line, " "); len(words) == 3 && strings.HasPrefix(words[1], "/") {
		if target, err := url.ParseRequestURI(words[1]); err == nil {
			if route, _, _ := d.find(words[0], target); route != nil && d.answers[answerOf(route.Operation.OperationID, strconv.Itoa(r.Status))] != nil {
				r.operation = route.Operation.OperationID
				return d.holdAnswer(route, r)
			}
		}
	}
	if r.Status < http.StatusBadRequest || r.Status == http.StatusMethodNotAllowed {
		return nil
	}
	return d.holdWithout(nil, r)
}

// A Coverage is what has been seen of the description, by one suite or several. The zero value has seen nothing.
type Coverage struct {
	mu       sync.Mutex
	answers  map[string]bool // operation and status
	problems map[string]bool // as JSON, without what is the deployment's
}

func (c *Coverage) saw(r *Response) {
	if c == nil || r.operation == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers, c.problems = map[string]bool{}, map[string]bool{}
	}
	c.answers[answerOf(r.operation, strconv.Itoa(r.Status))] = true
	if r.mediaType() == "application/problem+json" {
		c.problems[answerOf(r.operation, canonical(r.Body))] = true
	}
}

func answerOf(operation, answer string) string { return operation + " " + answer }

// canonical returns JSON in one form.
func canonical(data []byte) string {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return ""
	}
	return quote(value)
}

// Require requires that every status of every operation has been seen, and every problem that is an example word by word, unless
// there is a reason why not. Reasons are by "operation status", or "* status" for every operation; those that are none any more fail.
func (c *Coverage) Require(t *testing.T, reasons map[string]string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	needed := map[string]bool{}
	for _, item := range described().document.Paths.Map() {
		for _, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				if answer := answerOf(operation.OperationID, status); !c.answers[answer] {
					reason := answer
					if _, ok := reasons[reason]; !ok {
						reason = answerOf("*", status)
					}
					needed[reason] = true
					assert.NotEmpty(t, reasons[reason], "nobody has seen %s", answer)
				}
				problem := response.Value.Content["application/problem+json"]
				if problem == nil {
					continue
				}
				for name, example := range problem.Examples {
					// The same problem may come of one operation only.
					seen := slices.ContainsFunc(slices.Collect(maps.Keys(c.problems)), func(problem string) bool {
						return strings.HasSuffix(problem, " "+quote(example.Value.Value))
					})
					assert.True(t, seen || needed[answerOf(operation.OperationID, status)], "nobody has seen the example %s of %s %s: %s", name, operation.OperationID, status, quote(example.Value.Value))
				}
			}
		}
	}
	for reason := range reasons {
		assert.True(t, needed[reason], "the reason for %s is none any more", reason)
	}
}
