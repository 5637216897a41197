package api

import (
	_ "embed" // the document
	"encoding/json"
	"fmt"
)

// openapi.json is written by hand. Tests hold it against the routes, the
// answers and the published contract.
//
//go:embed openapi.json
var openAPISource []byte

// openAPIDocument is the document for an API at the prefix.
func openAPIDocument(prefix string) ([]byte, error) {
	var document map[string]json.RawMessage
	if err := json.Unmarshal(openAPISource, &document); err != nil {
		return nil, fmt.Errorf("api: openapi.json: %w", err)
	}
	servers, err := json.Marshal([]map[string]string{{"url": prefix}})
	if err != nil {
		return nil, err
	}
	document["servers"] = servers
	return json.Marshal(document)
}
