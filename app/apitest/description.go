package apitest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	"github.com/stretchr/testify/assert"

	"prima.internal/app/openapi"
)

// A description is what every response is held against.
type description struct {
	document *openapi3.T
	paths    *http.ServeMux  // to find the path of a request in the document
	headers  map[string]bool // that some response is described with
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
	// Of OpenAPI 3.1, for which kin-openapi compiles a schema each time, it needs nothing but const.
	document.OpenAPI = "3.0.3"
	d := &description{document: document, paths: http.NewServeMux(), headers: map[string]bool{}}
	for path, item := range document.Paths.Map() {
		d.paths.Handle(path, http.NotFoundHandler())
		for _, operation := range item.Operations() {
			for _, response := range operation.Responses.Map() {
				headers := openapi3.Headers{}
				for name, header := range response.Value.Headers {
					headers[http.CanonicalHeaderKey(name)] = header
					d.headers[http.CanonicalHeaderKey(name)] = true
				}
				response.Value.Headers = headers
				for _, media := range response.Value.Content {
					closeSchema(media.Schema)
				}
			}
		}
	}
	closeSchema(d.problem())
	return d, nil
}

// problem returns the schema of an error.
func (d *description) problem() *openapi3.SchemaRef { return d.document.Components.Schemas["Problem"] }

// closeSchema makes a member that is not described a fault, which it is not for clients.
func closeSchema(schema *openapi3.SchemaRef) {
	if schema == nil {
		return
	}
	if schema.Value.Const != nil {
		schema.Value.Enum, schema.Value.Const = []any{schema.Value.Const}, nil
	}
	closeSchema(schema.Value.Items)
	for _, property := range schema.Value.Properties {
		schema.Value.AdditionalProperties = openapi3.BoolSchema{Has: new(bool)}
		closeSchema(property)
	}
}

// find returns the path of a request in the document, nil if there is none.
func (d *description) find(request *http.Request) *openapi3.PathItem {
	_, path := d.paths.Handler(request)
	names, segments := strings.Split(path, "/"), strings.Split(request.URL.EscapedPath(), "/")
	if path == "" || len(names) != len(segments) { // the API reads a path as it was sent, and does not clean it
		return nil
	}
	for i, name := range names {
		if !strings.HasPrefix(name, "{") && name != segments[i] {
			return nil
		}
	}
	return d.document.Paths.Value(path)
}

// hold returns what is wrong with the response to a request, and notes the operation in it. HEAD is
// like GET, and not described.
func (d *description) hold(request *http.Request, r *Response) error {
	path := d.find(request)
	if path == nil {
		return d.holdProblem(r)
	}
	operation := path.GetOperation(strings.Replace(request.Method, http.MethodHead, http.MethodGet, 1))
	if operation == nil {
		return errors.Join(holdAllow(path, r), d.holdProblem(r))
	}
	described := operation.Responses.Status(r.Status)
	if described == nil {
		return fmt.Errorf("the status %d is not described for %s", r.Status, operation.OperationID)
	}
	r.operation = operation.OperationID
	for name, values := range r.Header {
		if d.headers[name] && (described.Value.Headers[name] == nil || len(values) > 1) {
			return fmt.Errorf("the header %s is not described for %d of %s, or not twice", name, r.Status, r.operation)
		}
	}
	switch {
	case len(described.Value.Content) == 0 && len(r.Body) > 0:
		return fmt.Errorf("there is a body, of %d bytes", len(r.Body))
	case strings.HasSuffix(r.mediaType(), "json") && request.Method != http.MethodHead && !json.Valid(r.Body):
		return errors.New("the body is no JSON") // ValidateResponse reads no further than one value
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request, Route: &routers.Route{Spec: d.document, Operation: operation},
		},
		Status: r.Status, Header: r.Header,
	}
	return openapi3filter.ValidateResponse(context.Background(), input.SetBodyBytes(r.Body))
}

// holdRaw is hold of a request that was written by hand, which may be none. Its first line says
// which operation the response is of.
func (d *description) holdRaw(raw string, r *Response) error {
	line, _, _ := strings.Cut(raw, "\r\n")
	method, path, _ := strings.Cut(strings.TrimSuffix(line, " HTTP/1.1"), " ")
	target, err := url.ParseRequestURI(path)
	if err != nil || target.Host != "" {
		return d.holdProblem(r)
	}
	fault := d.hold(&http.Request{Method: method, URL: target, Host: "localhost"}, r)
	if r.operation == "" && r.Status != http.StatusMethodNotAllowed {
		return d.holdProblem(r) // of a parser that did not come to the operation
	}
	return fault
}

// holdAllow returns what is wrong with the header Allow of a 405.
func holdAllow(path *openapi3.PathItem, r *Response) error {
	methods := slices.Collect(maps.Keys(path.Operations()))
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	allowed := strings.Split(r.Header.Get("Allow"), ", ")
	slices.Sort(allowed)
	if r.Status == http.StatusMethodNotAllowed && !slices.Equal(methods, allowed) {
		return fmt.Errorf("the methods %v are allowed, and %v described", allowed, methods)
	}
	return nil
}

// holdProblem returns what is wrong with an error of no operation.
func (d *description) holdProblem(r *Response) error {
	if r.Status < http.StatusBadRequest || r.Method == http.MethodHead {
		return nil
	}
	var problem any
	if err := json.Unmarshal(r.Body, &problem); err != nil {
		return err
	}
	return d.problem().Value.VisitJSON(problem)
}

// A Coverage is what suites have seen of the description. The zero value has seen nothing.
type Coverage struct {
	mu       sync.Mutex
	statuses map[string]bool // of an operation
	problems map[string]bool // as JSON; the same may come of one operation only
}

func (c *Coverage) saw(r *Response) {
	if c == nil || r.operation == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.statuses == nil {
		c.statuses, c.problems = map[string]bool{}, map[string]bool{}
	}
	c.statuses[r.operation+" "+strconv.Itoa(r.Status)] = true
	var problem any
	if r.mediaType() == "application/problem+json" && json.Unmarshal(r.Body, &problem) == nil {
		c.problems[quote(problem)] = true
	}
}

// Require requires that every status of every operation has been seen and, word by word, every
// error that is an example. reasons tell why one cannot be, by "operation status" or "operation
// status example". A reason that is not needed fails.
func (c *Coverage) Require(t *testing.T, reasons map[string]string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	needed := map[string]bool{}
	for _, item := range described().document.Paths.Map() {
		for _, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				outcome := operation.OperationID + " " + status
				if needed[outcome] = !c.statuses[outcome]; needed[outcome] {
					assert.NotEmpty(t, reasons[outcome], "no test has seen %s: bring it about, or give a reason", outcome)
					continue
				}
				if problem := response.Value.Content["application/problem+json"]; problem != nil {
					for name, example := range problem.Examples {
						of := outcome + " " + name
						needed[of] = !c.problems[quote(example.Value.Value)]
						assert.False(t, needed[of] && reasons[of] == "",
							"no test has seen the error that is the example %q of %s: bring it about, or give a reason", name, of)
					}
				}
			}
		}
	}
	for reason := range reasons {
		assert.True(t, needed[reason], "the reason for %s is not needed", reason)
	}
}
