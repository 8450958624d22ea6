// Package openapi is the description of the API in OpenAPI 3.1. Its source is openapi.yaml.
package openapi

import _ "embed"

// JSON is the description as it is served. Nobody changes it.
//
//go:embed openapi.json
var JSON []byte
