// Package gen holds what is generated from proto/ and proto/http.yaml.
package gen

import _ "embed"

// OpenAPI is the API's OpenAPI document.
//
//go:embed openapi.json
var OpenAPI string
