package api

import (
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Published says what became of an event that was published.
type Published struct {
	EventID string `json:"event_id"`
	// Deliveries is how many deliveries were made. 0 means that no webhook matches, or that the event
	// is a duplicate.
	Deliveries int `json:"deliveries"`
	// Duplicate says that the organization had an event of this id before, so that nothing was stored.
	Duplicate bool `json:"duplicate"`
	// Unfinished says that some of the deliveries are still to be stored: see [webhook.Emitted].
	Unfinished bool `json:"unfinished"`
}

// publish emits the event in the body.
func (a *API) publish(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	ttl := q.integer("ttl_seconds", 1, int(webhook.MaxTTL/time.Second), 0)
	q.end()
	readObject(p, r.body, nil)
	if err := p.err(); err != nil {
		return nil, err
	}
	e, err := event.Decode(r.body)
	if err != nil {
		var found event.Problems
		found.AddError("", err)
		return nil, found.Err()
	}
	e.OrganizationID, e.TTL = r.organizationID, time.Duration(ttl)*time.Second
	emitted, err := a.dispatcher.Emit(r.Context(), e)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusAccepted, body: Published{EventID: e.ID,
		Deliveries: emitted[0].Deliveries, Duplicate: emitted[0].Duplicate,
		Unfinished: emitted[0].Unfinished}}, nil
}
