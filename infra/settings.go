package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"prima.internal/infra/charts"
)

//go:embed stack.schema.json
var stackSchema []byte

// formats are the patterns that tags of [Stack] name, with what they allow in words.
var formats = map[string]struct{ pattern, allowed string }{
	"context":    {`.`, "the name of a context in the kubeconfig"},
	"host":       {`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`, "a host name or an IPv4 address"},
	"url":        {`^(https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[^?# ]*)?)?$`, "an http or https URL"},
	"image":      {`^[a-z0-9][A-Za-z0-9._/-]*(:[A-Za-z0-9._/-]+)*(@sha256:[0-9a-f]{64})?$`, "the name of an image"},
	"repository": {`^([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$`, "the name of an image without a tag"},
	"tag":        {`^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$`, "the tag of an image, or empty"},
	"digest":     {`^(sha256:[0-9a-f]{64})?$`, "sha256: and 64 hexadecimal digits, or empty"},
	"account":    {`^([0-9]{12})?$`, "the 12 digits of an account, or empty"},
	"cluster":    {`^([0-9A-Za-z][0-9A-Za-z_-]{0,99})?$`, "the name of an EKS cluster, or empty"},
	"issuer":     {`^(https://[a-z0-9.-]+(/[A-Za-z0-9._-]+)*)?$`, "the https URL of the cluster's issuer, or empty"},
	"policy":     {`^(arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+)?$`, "the ARN of a policy"},
}

// secretKeys are the settings that Pulumi encrypts. See tokens.go for the first.
var secretKeys = []string{"tokens", "localstackAuthToken"}

// loadStack reads the settings of the stack from config. Its error lists every fault.
func loadStack(ctx *pulumi.Context, config map[string]string) (Stack, error) {
	s := defaultStack(ctx.Stack())
	settings, err := readSettings(ctx.Project(), config)
	if err != nil {
		return s, err
	}
	if token, err := pulumiconfig.New(ctx, "").TrySecret("localstackAuthToken"); err == nil {
		s.LocalStackAuthToken = token
	}
	faults, err := schemaFaults(settings)
	if err != nil {
		return s, err
	}
	s.fill(settings)
	if s.Values, err = charts.PrimaAPIWith(s.API.Values); err != nil && len(faults) == 0 { // a schema says more
		faults = append(faults, fmt.Errorf("api.values: %w", err))
	}
	tokens, tokenFaults := readTokens(ctx)
	s.AccessTokens = tokens
	if faults = append(faults, s.faults(tokenFaults)...); len(faults) == 0 {
		s.Contract, err = s.apiConfig()
		return s, err
	}
	var lines []string
	for _, fault := range faults {
		lines = append(lines, "\n  "+ctx.Project()+":"+fault.Error())
	}
	slices.Sort(lines)
	return s, fmt.Errorf("wrong settings in Pulumi.%s.yaml:%s", s.Name, strings.Join(slices.Compact(lines), ""))
}

// readSettings returns the settings of the project that are no secrets, by their keys. Pulumi has
// an object as JSON.
func readSettings(project string, config map[string]string) (map[string]any, error) {
	settings := map[string]any{}
	for key, text := range config {
		key, ours := strings.CutPrefix(key, project+":")
		if !ours || text == "" || slices.Contains(secretKeys, key) {
			continue
		}
		settings[key] = text
		if strings.HasPrefix(text, "{") {
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			settings[key] = value
		}
	}
	return settings, nil
}

// fill sets the fields of a stack, but for those of a wrong type, which the schema finds.
func (s *Stack) fill(settings map[string]any) {
	storage, _ := settings["storage"].(map[string]any)
	for _, r := range s.Contract.Resources() {
		if name, ok := storage[storageKey(r)].(string); ok {
			*r.Name = name
		}
	}
	data, _ := json.Marshal(settings)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	_ = decoder.Decode(s)
}

// compileSchema returns the schema at a path in stack.schema.json, and its compiler.
func compileSchema(path string) (*jsonschema.Compiler, *jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	for name, data := range map[string][]byte{
		"stack.schema.json": stackSchema, charts.PrimaAPIChart + "/values.schema.json": charts.PrimaAPISchema,
	} {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			return nil, nil, err
		}
		if err := c.AddResource("prima:///"+name, document); err != nil {
			return nil, nil, err
		}
	}
	schema, err := c.Compile("prima:///stack.schema.json#" + path)
	return c, schema, err
}

// schemaFaults returns the faults that the schemas of the stack and of the chart find.
func schemaFaults(settings map[string]any) ([]error, error) {
	c, schema, err := compileSchema("/definitions/settings")
	if err != nil {
		return nil, err
	}
	if invalid, ok := errors.AsType[*jsonschema.ValidationError](schema.Validate(any(settings))); ok {
		return explain(invalid, c), nil
	}
	return nil, nil
}

// ofContract reports whether the contract checks a value too. Its errors say more.
func ofContract(e *jsonschema.ValidationError) bool {
	at := e.InstanceLocation
	switch e.ErrorKind.(type) {
	case *kind.AdditionalProperties, *kind.Const:
		return false
	case *kind.Pattern:
		return at[0] == "storage" || len(at) > 1 && at[1] == "config"
	}
	return len(at) > 1 && at[0] == "api" && at[1] == "config"
}

// explain returns faults that name the key, its value and what the schema allows.
func explain(e *jsonschema.ValidationError, c *jsonschema.Compiler) (faults []error) {
	for _, cause := range e.Causes {
		faults = append(faults, explain(cause, c)...)
	}
	if len(e.Causes) > 0 || ofContract(e) {
		return faults
	}
	key := strings.Join(e.InstanceLocation, ".")
	must := func(value any, allowed string) []error {
		return []error{fmt.Errorf("%s is %v, must be %s", key, value, allowed)}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		var known []string
		if at, err := c.Compile(e.SchemaURL); err == nil {
			removed := func(name string) bool { return at.Properties[name].Const != nil }
			known = slices.DeleteFunc(slices.Sorted(maps.Keys(at.Properties)), removed)
		}
		if key == "" {
			known = append(known, secretKeys...)
		}
		for _, name := range k.Properties {
			name = strings.TrimPrefix(key+"."+name, ".")
			faults = append(faults, fmt.Errorf("%s is no setting: there are %s", name, strings.Join(known, ", ")))
		}
		return faults
	case *kind.Const: // a setting that was removed, with its notice
		return []error{fmt.Errorf("%s: %v", key, k.Want)}
	case *kind.Type:
		return must("of the type "+k.Got, strings.Join(k.Want, " or "))
	case *kind.Enum:
		return must(fmt.Sprintf("%q", k.Got), "one of "+strings.Trim(fmt.Sprintf("%q", k.Want), "[]"))
	case *kind.Minimum:
		return must(k.Got.RatString(), "at least "+k.Want.RatString())
	case *kind.Maximum:
		return must(k.Got.RatString(), "at most "+k.Want.RatString())
	case *kind.Pattern:
		allowed := "like " + k.Want
		for _, f := range formats {
			if f.pattern == k.Want {
				allowed = f.allowed
			}
		}
		return must(strconv.Quote(k.Got), allowed)
	}
	return []error{fmt.Errorf("%s: %w", key, e)}
}
