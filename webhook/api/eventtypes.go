package api

import (
	"cmp"
	"net/http"

	"github.com/mixpeek/webhooks-go/event"
)

// EventTypes is the list of [Config.Catalogue].
type EventTypes struct {
	Results []EventType `json:"results"`
}

// EventType describes a type of the catalogue. Others work just as well.
type EventType struct {
	Type     string           `json:"event_type"`
	Category string           `json:"category"`
	Status   event.TypeStatus `json:"status"`
	// DefaultScope is how much of a cache such an event makes stale; null is nothing.
	DefaultScope *event.ScopeKind `json:"default_scope"`
	Description  string           `json:"description"`
}

func (a *API) listEventTypes(*request) (*response, error) {
	catalogue := a.cfg.Catalogue
	types := EventTypes{Results: make([]EventType, len(catalogue))}
	for i, t := range catalogue {
		types.Results[i] = EventType{t.Type, t.Category, cmp.Or(t.Status, event.TypeImplemented), nil, t.Description}
		if t.DefaultScope != event.ScopeNone {
			types.Results[i].DefaultScope = &catalogue[i].DefaultScope
		}
	}
	return &response{status: http.StatusOK, body: types}, nil
}
