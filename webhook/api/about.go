package api

import (
	"bytes"
	"cmp"
	_ "embed" // the document
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
)

// EventTypes is the list of the types in [Config.Catalogue].
type EventTypes struct {
	Results []EventType `json:"results"`
}

// EventType describes a type of the catalogue. Webhooks can subscribe to other types too.
type EventType struct {
	Type     string           `json:"event_type"`
	Category string           `json:"category"`
	Status   event.TypeStatus `json:"status"`
	// DefaultScope is how much of a cache such an event makes stale. Null means nothing.
	DefaultScope *event.ScopeKind `json:"default_scope"`
	Description  string           `json:"description"`
	// Example is a sample envelope, or a part of one. Absent if there is none.
	Example json.RawMessage `json:"example,omitempty"`
}

func (a *API) listEventTypes(*request) (*response, error) {
	catalogue := a.cfg.Catalogue
	types := EventTypes{Results: make([]EventType, len(catalogue))}
	for i, t := range catalogue {
		types.Results[i] = EventType{
			Type: t.Type, Category: t.Category, Status: cmp.Or(t.Status, event.TypeImplemented),
			Description: t.Description,
		}
		if t.DefaultScope != event.ScopeNone {
			types.Results[i].DefaultScope = &catalogue[i].DefaultScope
		}
		if t.Example != "" {
			types.Results[i].Example = json.RawMessage(t.Example)
		}
	}
	return &response{status: http.StatusOK, body: types}, nil
}

func (a *API) getOpenAPI(*request) (*response, error) {
	document, err := a.openAPI()
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, body: json.RawMessage(document)}, nil
}

// openapi.json is written by hand. Tests compare it with the routes, the answers and the
// published contract.
//
//go:embed openapi.json
var openAPISource []byte

// openAPIDocument returns the document of an API: its prefix, and the operations that it has.
func openAPIDocument(cfg *Config) ([]byte, error) {
	var document map[string]json.RawMessage
	if err := json.Unmarshal(openAPISource, &document); err != nil {
		return nil, fmt.Errorf("api: openapi.json: %w", err)
	}
	servers, err := json.Marshal([]map[string]string{{"url": cfg.Prefix}})
	if err != nil {
		return nil, err
	}
	document["servers"] = servers
	var paths map[string]map[string]json.RawMessage
	if err := json.Unmarshal(document["paths"], &paths); err != nil {
		return nil, err
	}
	if !cfg.Publish {
		delete(paths["/events"], "post")
	}
	maps.DeleteFunc(paths, func(path string, _ map[string]json.RawMessage) bool {
		return cfg.APIKeys == nil && strings.HasPrefix(path, "/api-keys")
	})
	if document["paths"], err = json.Marshal(paths); err != nil {
		return nil, err
	}
	if err := dropUnused(document); err != nil {
		return nil, err
	}
	return json.Marshal(document)
}

// dropUnused removes the components that nothing refers to. Linters complain about them, and
// generators make types of them.
func dropUnused(document map[string]json.RawMessage) error {
	var components map[string]map[string]json.RawMessage
	if err := json.Unmarshal(document["components"], &components); err != nil {
		return err
	}
	for removed := true; removed; {
		removed = false
		text, err := json.Marshal(document)
		if err != nil {
			return err
		}
		for kind, named := range components {
			if kind == "securitySchemes" { // these are referred to by name alone
				continue
			}
			for name := range named {
				if !bytes.Contains(text, []byte(`"#/components/`+kind+"/"+name+`"`)) {
					delete(named, name)
					removed = true
				}
			}
		}
		if document["components"], err = json.Marshal(components); err != nil {
			return err
		}
	}
	return nil
}
