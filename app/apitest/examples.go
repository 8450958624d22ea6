package apitest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/app/openapi"
)

// An Example is a request as the description shows it.
type Example struct {
	Operation, Name string
	Method, Path    string   // with {id} for that of a user
	Header          []string // each "Name: value"
	Body            []byte   // nil: none

	operation *openapi3.Operation
	mediaType string
}

// Examples returns the requests of the description: each body of each operation, and each operation
// with all of its parameters.
func Examples() []Example {
	var examples []Example
	paths := described().document.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		operations := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			operation := operations[method]
			plain := Example{Operation: operation.OperationID, Name: "plain", Method: method, Path: path, operation: operation}
			bodies := []Example{plain}
			if operation.RequestBody != nil {
				bodies = plain.bodies(operation.RequestBody.Value.Content)
			}
			examples = append(append(examples, bodies...), bodies[0].withParameters())
		}
	}
	return examples
}

// bodies returns e with each of the bodies that are shown.
func (e Example) bodies(content openapi3.Content) []Example {
	var examples []Example
	for _, mediaType := range slices.Sorted(maps.Keys(content)) {
		shown := content[mediaType].Examples
		for _, name := range slices.Sorted(maps.Keys(shown)) {
			value, contentType := shown[name].Value, strings.ReplaceAll(mediaType, "*/*", "application/octet-stream")
			e.Name, e.mediaType = mediaType+" "+name, mediaType
			switch fields, _ := value.Value.(map[string]any); {
			case value.ExternalValue != "":
				e.Body = fromDataURL(value.ExternalValue)
			case mediaType == "multipart/form-data":
				var parts []Part
				for name, value := range fields {
					part := Field(name, value.(string))
					if name == "avatar" {
						part = File(name, name, part.Content)
					}
					parts = append(parts, part)
				}
				contentType, e.Body = Form(parts...)
			case mediaType == "application/x-www-form-urlencoded":
				form := url.Values{}
				for name, value := range fields {
					form.Set(name, value.(string))
				}
				e.Body = []byte(form.Encode())
			default:
				e.Body = []byte(quote(value.Value))
			}
			e.Header = []string{"Content-Type: " + contentType}
			examples = append(examples, e)
		}
	}
	return examples
}

// fromDataURL returns what a URL holds (RFC 2397).
func fromDataURL(u string) []byte {
	_, encoded, _ := strings.Cut(u, ";base64,")
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		panic(err) // the description's own
	}
	return data
}

// withParameters returns e with the parameters that are shown, but that of the path.
func (e Example) withParameters() Example {
	e.Name, e.Header = e.Name+", with parameters", slices.Clone(e.Header)
	query := url.Values{}
	for _, parameter := range e.operation.Parameters {
		value := parameter.Value.Example
		for _, example := range parameter.Value.Examples {
			value = example.Value.Value
		}
		switch parameter.Value.In {
		case openapi3.ParameterInQuery:
			query.Set(parameter.Value.Name, fmt.Sprint(value))
		case openapi3.ParameterInHeader:
			e.Header = append(e.Header, fmt.Sprintf("%s: %v", parameter.Value.Name, value))
		}
	}
	if len(query) > 0 {
		e.Path += "?" + query.Encode()
	}
	return e
}

// description is about how the description is served. Everything else ensures that it is right.
func (s *suite) description(t *testing.T) {
	// Ensure a client gets this suite's description, with a token or without, and only once.
	for _, header := range []string{"Accept: */*", noToken, bearer("unknown"), `If-None-Match: "x"`} {
		r := s.Do(t, "GET", config.PathDescription, nil, header).Is(t, http.StatusOK)
		assert.Equal(t, string(openapi.JSON), string(r.Body))
		s.Do(t, "GET", config.PathDescription, nil, "If-None-Match: "+r.Header.Get("Etag")).Is(t, http.StatusNotModified)
		s.Do(t, "GET", config.PathDescription, nil, "If-Match: "+r.Header.Get("Etag")).Is(t, http.StatusOK)
	}
	s.requireHeadLikeGet(t, config.PathDescription)
}

// examples sends the requests that the description shows.
func (s *suite) examples(t *testing.T) {
	for _, example := range Examples() {
		// Ensure what a reader copies out of the description works.
		t.Run(example.Operation+" "+example.Name, func(t *testing.T) {
			created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
			path := strings.ReplaceAll(example.Path, "{id}", created.ID)
			r := s.Do(t, example.Method, path, bytes.NewReader(example.Body), example.Header...)
			require.Less(t, r.Status, http.StatusBadRequest, r)
			if example.Operation == "putAvatar" && strings.HasPrefix(example.mediaType, "image/") {
				s.requireAvatar(t, r.User(t).AvatarURL, example.Body, example.mediaType)
			}
			s.refusals(t, example, strings.ReplaceAll(example.Path, "{id}", unknownID()))
		})
	}
}

// refusals sends an example in the ways that every operation refuses.
func (s *suite) refusals(t *testing.T, e Example, path string) {
	t.Helper()
	if s.Proxied {
		return
	}
	send := func(s *suite, header string) *Response {
		return s.Do(t, e.Method, path, bytes.NewReader(e.Body), append(e.Header, header)...)
	}
	if e.operation.Responses.Status(http.StatusRequestHeaderFieldsTooLarge) != nil {
		send(s, "X-Y: "+strings.Repeat("x", 17<<10)).Is(t, http.StatusRequestHeaderFieldsTooLarge)
	}
	if s.Token != "" && e.operation.Responses.Status(http.StatusUnauthorized) != nil {
		other, want := s.ReadToken, mayNotWrite
		if e.Method == http.MethodGet {
			other, want = s.WriteToken, mayNotRead
		}
		send(s, noToken).refused(t, noCredentials)
		send(s.as(t, other), "Accept: */*").refused(t, want)
	}
}
