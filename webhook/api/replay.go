package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"

	"github.com/mixpeek/webhooks-go/webhook"
)

const (
	maxReplays        = 10000 // of one request
	defaultReplayRate = 50
	minReplayRate     = 0.001
	maxReplayRate     = 10000.0

	// replayTime is after how long a replay by filter answers with what it has
	// done, and a cursor for the rest: earlier if another organization needs its place.
	replayTime = 20 * time.Second
)

// ReplayRequest selects settled deliveries of one webhook to be made again.
// Its zero value selects the dead ones.
type ReplayRequest struct {
	// Status is dead, succeeded or cancelled. Defaults to dead.
	Status webhook.Status `json:"status,omitempty"`
	// EventType and EventID select deliveries of such events.
	EventType string `json:"event_type,omitempty"`
	EventID   string `json:"event_id,omitempty"`
	// Since and Until bound when the event was emitted: Since <= t < Until.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Limit bounds how many are replayed by this request. Defaults to 1000.
	Limit int `json:"limit,omitempty"`
	// PerSecond is how fast they become due, so that they do not flood the endpoint.
	// Defaults to 50.
	PerSecond float64 `json:"per_second,omitempty"`
	// Cursor is the NextCursor of the request that this one goes on for.
	Cursor string `json:"cursor,omitempty"`
}

// ReplayResponse says what a replay by filter has done.
type ReplayResponse struct {
	Replayed int `json:"replayed"`
	// NextCursor asks to go on where this request ended. Null says that all
	// deliveries have been looked at.
	NextCursor *string `json:"next_cursor"`
}

// replayDelivery makes one settled delivery again.
func (a *API) replayDelivery(r *request) (*response, error) {
	p := &problems{}
	key := idempotencyKey(p, r)
	if err := p.err(); err != nil {
		return nil, err
	}
	d, err := a.delivery(r)
	if err != nil {
		return nil, err
	}
	_, err = a.idempotent(r, key, func(ctx context.Context, t idempotency.Try) ([]byte, error) {
		if replayed := !d.Status.Settled() || !d.SettledAt.Before(t.Began); replayed && t.Again {
			return []byte(`{}`), nil // by the earlier try
		}
		return []byte(`{}`), a.dispatcher.Replay(ctx, r.organizationID, d.ID)
	})
	if err != nil {
		return nil, inState(err, d)
	}
	res, err := a.getDelivery(r)
	if err != nil {
		return nil, err
	}
	res.status = http.StatusAccepted
	return res, nil
}

// replayDeliveries makes the settled deliveries again that a filter selects.
func (a *API) replayDeliveries(r *request) (*response, error) {
	p := &problems{}
	key := idempotencyKey(p, r)
	filter, options := readReplay(p, r)
	if err := p.err(); err != nil {
		return nil, err
	}
	sub, err := a.subscription(r)
	if err != nil {
		return nil, err
	}
	filter.OrganizationID, filter.SubscriptionID = r.organizationID, sub.ID
	// What ReplayAll must know of the attempts is how many there are, and the store can
	// say that without reading them.
	filter.AttemptsBelow, filter.WithoutAttempts = dispatch.MaxReplayed, true
	place, err := a.replays.admit(r.organizationID)
	if err != nil {
		return nil, err
	}
	defer place.release()
	answer, err := a.idempotent(r, key, func(ctx context.Context, t idempotency.Try) ([]byte, error) {
		if t.Again {
			options.SettledBefore = t.Began
		}
		res, err := a.replayAll(ctx, place, filter, options)
		if err != nil {
			return nil, err
		}
		return json.Marshal(res)
	})
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusAccepted, body: json.RawMessage(answer)}, nil
}

// replayAll replays for as long as one request may take, and the place is not lost.
func (a *API) replayAll(
	ctx context.Context, p *place, filter webhook.DeliveryQuery, options dispatch.ReplayOptions,
) (*ReplayResponse, error) {
	bounded, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	p.wait(cancel)
	progress, err := a.dispatcher.ReplayAll(bounded, filter, options)
	kept := p.resume()
	outOfTime := bounded.Err() != nil && errors.Is(err, bounded.Err()) && ctx.Err() == nil
	switch {
	case outOfTime && progress.Before == 0 && !kept:
		return nil, errBusy
	case outOfTime && progress.Before == 0:
		return nil, bounded.Err() // there is nothing to go on from
	case err != nil && !outOfTime:
		return nil, err
	}
	res := &ReplayResponse{Replayed: progress.Replayed}
	if outOfTime || progress.Replayed == filter.Limit && progress.Before != 0 {
		cursor := progress.Before.String()
		res.NextCursor = &cursor
	}
	return res, nil
}

func readReplay(p *problems, r *request) (q webhook.DeliveryQuery, options dispatch.ReplayOptions) {
	q.Status, q.Limit, options.PerSecond = webhook.StatusDead, 1000, defaultReplayRate
	o := optionalObject(p, r.body)
	if o == nil {
		return q, options
	}
	if s := o.text("status"); s != "" {
		if q.Status = webhook.Status(s); !q.Status.Settled() {
			p.add(o.at("status"), "enum", "must be dead, succeeded or cancelled")
		}
	}
	q.EventType, q.EventID = o.text("event_type"), o.text("event_id")
	q.Since, q.Until = o.time("since"), o.time("until")
	if o.read("limit", "integer", &q.Limit) && (q.Limit < 1 || q.Limit > maxReplays) {
		p.add(o.at("limit"), typeValue, "must be between 1 and %d", maxReplays)
	}
	if o.read("per_second", "number", &options.PerSecond) && !(options.PerSecond >= minReplayRate && options.PerSecond <= maxReplayRate) {
		p.add(o.at("per_second"), typeValue, "must be between %v and %v", minReplayRate, maxReplayRate)
	}
	q.Before = readDeliveryCursor(p, o.at("cursor"), o.text("cursor"))
	o.end()
	return q, options
}
