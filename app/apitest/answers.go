package apitest

import (
	"bytes"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// An answer is what the description says of one status of one operation. Its schemas are compiled once: openapi3filter compiles
// those of each header and each body for each answer, which was most of what the suite's run took.
type answer struct {
	headers  map[string]answerHeader
	contents map[string]*jsonschema.Schema // by media type; nil: the bytes are not JSON
}

type answerHeader struct {
	required bool
	number   bool
	schema   *jsonschema.Schema
}

// compileAnswers returns the answers of a description, by answerOf, and the schema of a problem. What has been changed in the
// document is in them.
func compileAnswers(document *openapi3.T) (answers map[string]*answer, problem *jsonschema.Schema, err error) {
	data, err := document.MarshalJSON()
	if err != nil {
		return nil, nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	const name = "description:///openapi.json" // of no file
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020) // that of OpenAPI 3.1
	compiler.AssertFormat()
	if err := compiler.AddResource(name, value); err != nil {
		return nil, nil, err
	}
	compile := func(pointer string) (*jsonschema.Schema, error) { return compiler.Compile(name + pointer) }

	answers = map[string]*answer{}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				at := pointerTo(response.Ref, "#/paths", path, strings.ToLower(method), "responses", status)
				a := &answer{headers: map[string]answerHeader{}, contents: map[string]*jsonschema.Schema{}}
				for header, ref := range response.Value.Headers {
					schema, err := compile(pointerTo(ref.Ref, at, "headers", header) + "/schema")
					if err != nil {
						return nil, nil, err
					}
					a.headers[http.CanonicalHeaderKey(header)] = answerHeader{
						required: ref.Value.Required, number: ref.Value.Schema.Value.Type.Is(openapi3.TypeInteger), schema: schema,
					}
				}
				for mediaType := range response.Value.Content {
					a.contents[mediaType] = nil
					if mediaType != "application/json" && !strings.HasSuffix(mediaType, "+json") {
						continue
					}
					if a.contents[mediaType], err = compile(pointerTo("", at, "content", mediaType) + "/schema"); err != nil {
						return nil, nil, err
					}
				}
				answers[answerOf(operation.OperationID, status)] = a
			}
		}
	}
	problem, err = compile("#/components/schemas/Problem")
	return answers, problem, err
}

// pointerTo returns ref, or, without one, the JSON pointer of a place below base, as the fragment of a URL (RFC 6901 §6).
func pointerTo(ref, base string, names ...string) string {
	if ref != "" {
		return ref
	}
	for _, name := range names {
		base += "/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return base
}

// hold returns what is wrong with the headers and the body of an answer.
func (a *answer) hold(r *Response) error {
	for _, name := range slices.Sorted(maps.Keys(a.headers)) {
		header := a.headers[name]
		values := r.Header.Values(name)
		switch {
		case len(values) == 0 && header.required:
			return fmt.Errorf("the header %s is missing", name)
		case len(values) == 0:
			continue
		case len(values) > 1:
			return fmt.Errorf("the header %s is there more than once", name)
		}
		var value any = values[0]
		if header.number {
			number, err := strconv.Atoi(values[0])
			if err != nil {
				return fmt.Errorf("the header %s: %w", name, err)
			}
			value = number
		}
		if err := header.schema.Validate(value); err != nil {
			return fmt.Errorf("the header %s: %w", name, err)
		}
	}
	if len(a.contents) == 0 {
		if len(r.Body) > 0 {
			return fmt.Errorf("there is a body, of %d bytes", len(r.Body))
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	schema, ok := a.contents[mediaType]
	switch {
	case !ok:
		return fmt.Errorf("the body is %s", mediaType)
	case schema == nil || r.Method == http.MethodHead:
		return nil
	}
	return holdJSON(schema, r.Body)
}

// holdJSON returns what is wrong with a body of JSON.
func holdJSON(schema *jsonschema.Schema, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
