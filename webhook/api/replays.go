package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"
)

const (
	// maxReplayCount is up to how many deliveries are counted before a replay, and maxRemaining while
	// one is under way, because clients ask for that again and again.
	maxReplayCount = 10_000
	maxRemaining   = 1000
	// replayCountTime is how long a count may take.
	replayCountTime = 10 * time.Second
	// maxReplayLimit is the largest limit of a replay.
	maxReplayLimit = 1_000_000_000
)

// BackgroundReplayRequest selects settled deliveries, of one webhook or of all, that are to be
// delivered again in the background. The zero value selects all dead ones.
type BackgroundReplayRequest struct {
	// SubscriptionID selects the deliveries of one webhook. Empty is all.
	SubscriptionID string `json:"webhook_id,omitempty"`
	// Status is dead, succeeded or cancelled. Defaults to dead.
	Status webhook.Status `json:"status,omitempty"`
	// EventType and EventID select deliveries of events with that type, or that id.
	EventType string `json:"event_type,omitempty"`
	EventID   string `json:"event_id,omitempty"`
	// Since and Until select deliveries by when the event was emitted: Since <= t < Until.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Limit is how many are replayed at most. 0 is all.
	Limit int `json:"limit,omitempty"`
	// PerSecond is how many become due each second, so that they do not flood the endpoint.
	// Defaults to 50.
	PerSecond float64 `json:"per_second,omitempty"`
}

// ReplayState says whether a replay goes on.
type ReplayState string

const (
	// ReplayRunning means that it is under way.
	ReplayRunning ReplayState = "running"
	// ReplayEnded means that all deliveries were replayed that fit.
	ReplayEnded ReplayState = "ended"
	// ReplayStopped means that it was stopped before.
	ReplayStopped ReplayState = "stopped"
)

// Replay is a replay of many deliveries that goes on in the background: see [webhook.Replay].
type Replay struct {
	ID    string      `json:"replay_id"`
	State ReplayState `json:"state"`
	// Stalled says that it may be stalled: it is running, and no process has gone on with it for a while.
	Stalled bool `json:"stalled"`
	// Request is what was asked for, with defaults filled in.
	Request BackgroundReplayRequest `json:"request"`
	// SettledBefore is the time before which deliveries must have been settled to be replayed.
	SettledBefore time.Time `json:"settled_before"`
	// Replayed is how many deliveries were replayed.
	Replayed int64 `json:"replayed"`
	// Remaining is how many are still to be replayed, counted up to 1000; MoreRemaining says that there
	// are more. Null if the replay has ended, if counting takes longer than 10 seconds, in the answer
	// that begins the replay, and in lists.
	Remaining     *int `json:"remaining"`
	MoreRemaining bool `json:"more_remaining"`
	// LastDue is when the last of those that were replayed became due, or will.
	LastDue time.Time `json:"last_due,omitzero"`
	// CreatedAt and CreatedBy say when the replay was begun, and by whom.
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	// EndedAt is when it ended. StoppedBy says who stopped it; empty if it came to its end.
	EndedAt   time.Time `json:"ended_at,omitzero"`
	StoppedBy string    `json:"stopped_by,omitempty"`
}

// ReplayList has the replays that are under way, and the last ones that have ended, the newest
// first. They are 61 at most.
type ReplayList struct {
	Results []Replay `json:"results"`
}

// ReplayCount says how many deliveries a replay would replay.
type ReplayCount struct {
	// Deliveries counts up to 10,000; More says that there are more.
	Deliveries int  `json:"deliveries"`
	More       bool `json:"more"`
}

// readReplayRequest reads the body of a replay in the background, which may be absent.
func readReplayRequest(p *problems, r *request) BackgroundReplayRequest {
	asked := BackgroundReplayRequest{Status: webhook.StatusDead, PerSecond: defaultReplayRate}
	o := optionalObject(p, r.body)
	if o == nil {
		return asked
	}
	q := webhook.DeliveryQuery{Status: asked.Status}
	readReplayFilter(o, &q, maxReplayLimit, &asked.PerSecond)
	asked.SubscriptionID, asked.Status, asked.Limit = o.text("webhook_id"), q.Status, q.Limit
	asked.EventType, asked.EventID, asked.Since, asked.Until = q.EventType, q.EventID, q.Since, q.Until
	o.end()
	return asked
}

// replayQuery returns what the request selects. It returns an error if there is no such webhook: a
// typo must not look as though nothing had failed.
func (a *API) replayQuery(
	r *request, asked *BackgroundReplayRequest,
) (webhook.DeliveryQuery, error) {
	q := webhook.DeliveryQuery{OrganizationID: r.organizationID, SubscriptionID: asked.SubscriptionID,
		Status: asked.Status, EventType: asked.EventType, EventID: asked.EventID, Since: asked.Since,
		Until: asked.Until, Limit: asked.Limit}
	if q.SubscriptionID == "" {
		return q, nil
	}
	_, err := a.dispatcher.Subscription(r.Context(), r.organizationID, q.SubscriptionID)
	return q, orNotFound(err, "webhook", q.SubscriptionID)
}

// startReplay begins a replay in the background.
func (a *API) startReplay(r *request) (*response, error) {
	p := &problems{}
	key := idempotencyKey(p, r)
	asked := readReplayRequest(p, r)
	if err := p.err(); err != nil {
		return nil, err
	}
	q, err := a.replayQuery(r, &asked)
	if err != nil {
		return nil, err
	}
	answer, err := a.idempotent(r, key, func(ctx context.Context, t idempotency.Try) ([]byte, error) {
		options := dispatch.ReplayOptions{PerSecond: asked.PerSecond}
		if t.Again { // what the earlier try has begun replays nothing twice
			options.SettledBefore = t.Began
		}
		started, err := a.dispatcher.StartReplay(ctx, q, options, cut(r.holder.Name))
		if err != nil {
			return nil, err
		}
		return json.Marshal(a.presentReplay(started, started.CreatedAt))
	})
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusAccepted, body: json.RawMessage(answer)}, nil
}

// countReplay says how many deliveries a replay would replay, and replays none.
func (a *API) countReplay(r *request) (*response, error) {
	p := &problems{}
	asked := readReplayRequest(p, r)
	if err := p.err(); err != nil {
		return nil, err
	}
	q, err := a.replayQuery(r, &asked)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), replayCountTime)
	defer cancel()
	n, more, err := a.dispatcher.CountReplay(ctx, q, maxReplayCount)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, body: ReplayCount{n, more}}, nil
}

// presentReplay returns a replay as it is answered, without how much remains.
func (a *API) presentReplay(r *webhook.Replay, now time.Time) Replay {
	q := &r.Query
	out := Replay{
		ID: r.ID, State: ReplayRunning,
		Request: BackgroundReplayRequest{SubscriptionID: q.SubscriptionID, Status: q.Status,
			EventType: q.EventType, EventID: q.EventID, Since: q.Since, Until: q.Until, Limit: q.Limit,
			PerSecond: r.PerSecond},
		SettledBefore: r.SettledBefore, Replayed: r.Replayed, LastDue: r.LastDue,
		CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, EndedAt: r.EndedAt, StoppedBy: r.StoppedBy,
	}
	switch {
	case r.StoppedBy != "":
		out.State = ReplayStopped
	case r.Ended():
		out.State = ReplayEnded
	default:
		out.Stalled = a.dispatcher.ReplayStalled(r, now)
	}
	return out
}

func (a *API) listReplays(r *request) (*response, error) {
	list, err := a.dispatcher.Replays(r.Context(), r.organizationID)
	if err != nil {
		return nil, err
	}
	now, err := a.dispatcher.Now(r.Context())
	if err != nil {
		return nil, err
	}
	out := ReplayList{Results: make([]Replay, len(list))}
	for i, stored := range list {
		out.Results[i] = a.presentReplay(stored, now)
	}
	return &response{status: http.StatusOK, body: out}, nil
}

// getReplay answers with a replay, and with how much remains if it is under way.
func (a *API) getReplay(r *request) (*response, error) {
	id := r.PathValue("replay_id")
	stored, err := a.dispatcher.FindReplay(r.Context(), r.organizationID, id)
	if err != nil {
		return nil, orNotFound(err, "replay", id)
	}
	now, err := a.dispatcher.Now(r.Context())
	if err != nil {
		return nil, err
	}
	out := a.presentReplay(stored, now)
	if out.State == ReplayRunning {
		ctx, cancel := context.WithTimeout(r.Context(), replayCountTime)
		defer cancel()
		n, more, err := a.dispatcher.CountRemaining(ctx, stored, maxRemaining)
		switch {
		case err == nil:
			out.Remaining, out.MoreRemaining = &n, more
		case ctx.Err() == nil || r.Context().Err() != nil:
			return nil, err
		}
	}
	return &response{status: http.StatusOK, body: out}, nil
}

// stopReplay ends a replay. One that has ended stays as it is.
func (a *API) stopReplay(r *request) (*response, error) {
	id := r.PathValue("replay_id")
	stopped, err := a.dispatcher.StopReplay(r.Context(), r.organizationID, id, cut(r.holder.Name))
	if err != nil {
		return nil, orNotFound(err, "replay", id)
	}
	return &response{status: http.StatusOK, body: a.presentReplay(stopped, stopped.EndedAt)}, nil
}
