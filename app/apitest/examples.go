package apitest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
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

// Reader returns the body for [Client.Do].
func (e Example) Reader() io.Reader {
	if e.Body == nil {
		return nil
	}
	return bytes.NewReader(e.Body)
}

// Examples returns the requests of the description: each body of each operation, and each operation with all of its parameters.
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
			with := e
			with.Name, with.mediaType = mediaType+" "+name, mediaType
			switch value := shown[name].Value; {
			case value.ExternalValue != "":
				with.Body = fromDataURL(value.ExternalValue)
			case mediaType == "multipart/form-data":
				mediaType, with.Body = exampleForm(value.Value.(map[string]any))
			case mediaType == "application/x-www-form-urlencoded":
				form := url.Values{}
				for field, text := range value.Value.(map[string]any) {
					form.Set(field, text.(string))
				}
				with.Body = []byte(form.Encode())
			default:
				with.Body = []byte(quote(value.Value))
			}
			with.Header = []string{"Content-Type: " + strings.ReplaceAll(mediaType, "*/*", "application/octet-stream")}
			examples = append(examples, with)
			mediaType = with.mediaType
		}
	}
	return examples
}

// exampleForm returns a multipart form, in which the avatar is a file.
func exampleForm(fields map[string]any) (contentType string, body []byte) {
	var parts []Part
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fields[name].(string)
		if name == "avatar" {
			parts = append(parts, File(name, name, []byte(value)))
			continue
		}
		parts = append(parts, Field(name, value))
	}
	return Form(parts...)
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

// description is about what is served as the description. That it is right is seen to by everything else.
func (s *suite) description(t *testing.T) {
	// Ensure a client that reads the description has the one that this suite goes by, with a token or without.
	t.Run("it is the one that is checked in", func(t *testing.T) {
		for _, header := range [][]string{nil, {noToken}, {bearer("unknown")}} {
			r := s.Do(t, "GET", config.PathDescription, nil, header...)
			require.Equal(t, http.StatusOK, r.Status, r)
			assert.Equal(t, "application/json", r.Header.Get("Content-Type"), r)
			assert.Equal(t, string(openapi.JSON), string(r.Body))
		}
	})

	// Ensure a client that has it is not sent it again.
	t.Run("a client that has it is told so", func(t *testing.T) {
		etag := s.Do(t, "GET", config.PathDescription, nil).Header.Get("Etag")
		require.Regexp(t, strongETag, etag)
		r := s.Do(t, "GET", config.PathDescription, nil, "If-None-Match: "+etag)
		require.Equal(t, http.StatusNotModified, r.Status, r)
		r = s.Do(t, "GET", config.PathDescription, nil, `If-None-Match: "x"`)
		require.Equal(t, http.StatusOK, r.Status, r)
	})

	// Ensure HEAD is answered as GET is.
	t.Run("it answers HEAD", func(t *testing.T) {
		s.requireHeadLikeGet(t, config.PathDescription)
	})
}

// examples sends the requests that the description shows.
func (s *suite) examples(t *testing.T) {
	for _, example := range Examples() {
		// Ensure what a reader copies out of the description works, and is answered in the form that is shown.
		t.Run(example.Operation+" "+example.Name, func(t *testing.T) {
			created := s.CreateForm(t, "Ann", Email(), PNG(2, 2))
			path := strings.ReplaceAll(example.Path, "{id}", created.ID)
			r := s.Do(t, example.Method, path, example.Reader(), example.Header...)
			shown := example.operation.Responses.Status(r.Status)
			require.NotNil(t, shown, r)
			require.Less(t, r.Status, http.StatusBadRequest, r)
			if media := shown.Value.Content["application/json"]; media != nil {
				var got any
				require.NoError(t, json.Unmarshal(r.Body, &got), r)
				for name, answer := range media.Examples {
					assert.NoError(t, looksLike(answer.Value.Value, got), "the example %s, and %s", name, r)
				}
			}
			if example.Operation == "putAvatar" && strings.HasPrefix(example.mediaType, "image/") {
				image, contentType := s.Avatar(t, r.User(t).AvatarURL)
				assert.Equal(t, example.Body, image)
				assert.Equal(t, example.mediaType, contentType)
			}
		})
	}
}

// longHeaders sends every operation more than a header may have.
func (s *suite) longHeaders(t *testing.T) {
	for _, example := range Examples() {
		if strings.HasSuffix(example.Name, "with parameters") {
			// Ensure every operation refuses it alike.
			r := s.Do(t, example.Method, strings.ReplaceAll(example.Path, "{id}", unknownID()), nil, "X-Y: "+strings.Repeat("y", 17<<10))
			assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, r.Status, r)
		}
	}
}

// looksLike returns an error unless everything that is shown is there in what came, in the same form.
func looksLike(shown, got any) error {
	switch shown := shown.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%v is no object", got)
		}
		for name, value := range shown {
			if _, there := object[name]; !there {
				return fmt.Errorf("%s is missing", name)
			}
			if err := looksLike(value, object[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	case []any:
		items, ok := got.([]any)
		if !ok {
			return fmt.Errorf("%v is no array", got)
		}
		for _, item := range items {
			if err := looksLike(shown[0], item); err != nil {
				return err
			}
		}
	default:
		if fmt.Sprintf("%T", shown) != fmt.Sprintf("%T", got) {
			return fmt.Errorf("%v (%T) is not of the form of %v (%T)", got, got, shown, shown)
		}
	}
	return nil
}
