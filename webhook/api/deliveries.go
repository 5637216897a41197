package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"
)

// maxDeliveries is the longest page: every delivery is answered with all of its attempts.
const maxDeliveries = 250

// DeliveryPage is one page of a list of deliveries, the newest first.
type DeliveryPage struct {
	Results []webhook.Delivery `json:"results"`
	// NextCursor asks for the next page. Null on the last page.
	NextCursor *string `json:"next_cursor"`
}

// Delivery is one delivery, with why it has not been settled. Lists of deliveries do not say that.
type Delivery struct {
	webhook.Delivery
	// Waiting is absent if the delivery is settled.
	Waiting *dispatch.Waiting `json:"waiting,omitempty"`
}

// listDeliveries lists the deliveries of all webhooks, deleted ones included.
func (a *API) listDeliveries(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	filter := readDeliveryQuery(q, r)
	filter.SubscriptionID = q.text("webhook_id")
	q.end()
	if err := p.err(); err != nil {
		return nil, err
	}
	return a.deliveryPage(r, filter)
}

// listSubscriptionDeliveries lists the deliveries of one webhook, which may be deleted.
func (a *API) listSubscriptionDeliveries(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	filter := readDeliveryQuery(q, r)
	filter.SubscriptionID = r.PathValue("identifier")
	q.end()
	if err := p.err(); err != nil {
		return nil, err
	}
	known, err := a.hasSubscription(r, filter.SubscriptionID)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, notFound("webhook", filter.SubscriptionID)
	}
	return a.deliveryPage(r, filter)
}

// hasSubscription reports whether the organization has the webhook, or had it and still has
// deliveries of it.
func (a *API) hasSubscription(r *request, id string) (bool, error) {
	_, err := a.dispatcher.Subscription(r.Context(), r.organizationID, id)
	if !errors.Is(err, webhook.ErrNotFound) {
		return err == nil, err
	}
	rest, err := a.dispatcher.Deliveries(r.Context(), webhook.DeliveryQuery{
		OrganizationID: r.organizationID, SubscriptionID: id, Limit: 1, WithoutAttempts: true,
	})
	return len(rest) > 0, err
}

// readDeliveryQuery reads the filters of all lists of deliveries.
func readDeliveryQuery(q *query, r *request) webhook.DeliveryQuery {
	filter := webhook.DeliveryQuery{
		OrganizationID: r.organizationID,
		EventID:        q.text("event_id"),
		EventType:      q.text("event_type"),
		Status:         webhook.Status(q.text("status")),
		Since:          q.time("since"),
		Until:          q.time("until"),
		Limit:          q.integer("limit", 1, maxDeliveries, min(defaultPage, maxDeliveries)),
	}
	checkDeliveryStatus(q.found, at("status"), filter.Status)
	filter.Before = readDeliveryCursor(q.found, at("cursor"), q.text("cursor"))
	return filter
}

func checkDeliveryStatus(p *problems, location []any, s webhook.Status) {
	switch s {
	case "", webhook.StatusPending, webhook.StatusInFlight, webhook.StatusPaused,
		webhook.StatusSucceeded, webhook.StatusDead, webhook.StatusCancelled:
	default:
		p.add(location, "enum", "must be pending, in_flight, paused, succeeded, dead or cancelled")
	}
}

// readDeliveryCursor reads a cursor, which is the id of the last delivery of the page before.
func readDeliveryCursor(p *problems, location []any, s string) webhook.DeliveryID {
	if s == "" {
		return 0
	}
	id, err := webhook.ParseDeliveryID(s)
	if err != nil {
		p.add(location, typeValue, "must be the next_cursor of an earlier answer")
	}
	return id
}

// deliveryPage answers with the deliveries that fit the filter.
func (a *API) deliveryPage(r *request, filter webhook.DeliveryQuery) (*response, error) {
	list, more, err := a.readDeliveries(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	page := DeliveryPage{Results: list}
	if more {
		cursor := list[len(list)-1].ID.String()
		page.NextCursor = &cursor
	}
	return &response{status: http.StatusOK, body: page}, nil
}

// readDeliveries reads up to filter.Limit deliveries, and says whether there are more. Each has
// all of its attempts, so it reads few at a time.
func (a *API) readDeliveries(
	ctx context.Context, filter webhook.DeliveryQuery,
) (list []webhook.Delivery, more bool, err error) {
	limit, size := filter.Limit, 0
	list = []webhook.Delivery{}
	for {
		filter.Limit = min(limit-len(list), readStep-1) + 1 // one more says whether there are more
		found, err := a.dispatcher.Deliveries(ctx, filter)
		if err != nil {
			return nil, false, err
		}
		for _, d := range found {
			size += sizeOfDelivery(&d)
			if len(list) == limit || len(list) > 0 && size > maxPageBytes {
				return list, true, nil
			}
			list = append(list, presentable(d))
		}
		if len(found) < filter.Limit {
			return list, false, nil
		}
		filter.Before = found[len(found)-1].ID
	}
}

// sizeOfDelivery returns about how many bytes the delivery has in an answer.
func sizeOfDelivery(d *webhook.Delivery) int {
	const fixed = 256 // names of members, ids, times
	n := fixed
	for i := range d.Attempts {
		n += fixed + len(d.Attempts[i].Error) + len(d.Attempts[i].Response)
	}
	return n
}

// presentable replaces nil attempts with an empty list.
func presentable(d webhook.Delivery) webhook.Delivery {
	if d.Attempts == nil {
		d.Attempts = []webhook.Attempt{}
	}
	return d
}

func (a *API) getDelivery(r *request) (*response, error) {
	d, err := a.delivery(r)
	if err != nil {
		return nil, err
	}
	waiting, err := a.dispatcher.Waiting(r.Context(), d)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK,
		body: Delivery{Delivery: presentable(*d), Waiting: waiting}}, nil
}

// getEvent answers with the envelope of a delivery's event, as it was emitted.
func (a *API) getEvent(r *request) (*response, error) {
	d, err := a.delivery(r)
	if err != nil {
		return nil, err
	}
	payload, err := a.dispatcher.EventPayload(r.Context(), r.organizationID, d.EventID)
	if err != nil {
		return nil, orNotFound(err, "event", d.EventID)
	}
	return &response{status: http.StatusOK, body: json.RawMessage(payload)}, nil
}

// delivery returns the delivery that the path names, if it is one of the webhook in the path.
func (a *API) delivery(r *request) (*webhook.Delivery, error) {
	text := r.PathValue("delivery_id")
	id, err := webhook.ParseDeliveryID(text)
	if err != nil {
		return nil, notFound("delivery", text)
	}
	d, err := a.dispatcher.Delivery(r.Context(), r.organizationID, id)
	if err != nil {
		return nil, orNotFound(err, "delivery", text)
	}
	if d.SubscriptionID != r.PathValue("identifier") {
		return nil, notFound("delivery", text)
	}
	return d, nil
}

// cancelDelivery ends a delivery that is not settled.
func (a *API) cancelDelivery(r *request) (*response, error) {
	d, err := a.delivery(r)
	if err != nil {
		return nil, err
	}
	if err := a.dispatcher.Cancel(r.Context(), r.organizationID, d.ID); err != nil {
		return nil, inState(err, d, "The delivery is settled: only one that waits or is in flight can be "+
			"cancelled")
	}
	return a.getDelivery(r)
}

// skipDelivery lets the next event of a subject have its turn in place of a dead delivery.
func (a *API) skipDelivery(r *request) (*response, error) {
	d, err := a.delivery(r)
	if err != nil {
		return nil, err
	}
	if err := a.dispatcher.Skip(r.Context(), r.organizationID, d.ID); err != nil {
		return nil, inState(err, d, "The delivery does not hold its subject: only a dead one of a webhook "+
			"with an ordering does, until it is skipped or replayed")
	}
	return a.getDelivery(r)
}

// inState adds the delivery's status to an error that says that its status does not allow the
// call, and the message, which says what the call is for.
func inState(err error, d *webhook.Delivery, message string) error {
	if !errors.Is(err, webhook.ErrWrongStatus) {
		return orNotFound(err, "channel of the delivery", d.Channel)
	}
	return &statusError{
		status:  http.StatusConflict,
		kind:    TypeWrongStatus,
		message: message,
		details: map[string]any{"delivery_id": d.ID, "status": d.Status, "attempts": len(d.Attempts),
			"max_attempts": dispatch.MaxReplayed},
		cause: webhook.ErrWrongStatus,
	}
}

const (
	maxReplays        = 10000 // of one request
	defaultReplayRate = 50
	minReplayRate     = 0.001
	maxReplayRate     = 10000.0

	// replayTime is after how long a replay by filter answers with what it has done and a cursor
	// for the rest. It answers earlier if another organization needs its place.
	replayTime = 20 * time.Second
)

// ReplayRequest selects settled deliveries of one webhook that are to be delivered again. The
// zero value selects the dead ones.
type ReplayRequest struct {
	// Status is dead, succeeded or cancelled. Defaults to dead.
	Status webhook.Status `json:"status,omitempty"`
	// EventType and EventID select deliveries of events with that type, or that id.
	EventType string `json:"event_type,omitempty"`
	EventID   string `json:"event_id,omitempty"`
	// Since and Until select deliveries by when the event was emitted: Since <= t < Until.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Limit is how many this request replays at most, from 1 to 10,000. Defaults to 1000.
	Limit int `json:"limit,omitempty"`
	// PerSecond is how many become due each second, so that they do not flood the endpoint.
	// Defaults to 50.
	PerSecond float64 `json:"per_second,omitempty"`
	// Cursor is the NextCursor of an earlier request, which this one continues.
	Cursor string `json:"cursor,omitempty"`
}

// ReplayResponse says what a replay by filter has done.
type ReplayResponse struct {
	// Replayed is how many deliveries were replayed. Deliveries that already have 250 attempts
	// ([dispatch.MaxReplayed]), or whose channel is gone, are skipped and not counted.
	Replayed int `json:"replayed"`
	// NextCursor asks to continue where this request ended: at its limit, when its time was over, or
	// because the store failed. Null if all deliveries were looked at.
	NextCursor *string `json:"next_cursor"`
}

// replayDelivery delivers one settled delivery again.
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
			return []byte(`{}`), nil // the earlier try has replayed it
		}
		return []byte(`{}`), a.dispatcher.Replay(ctx, r.organizationID, d.ID)
	})
	if err != nil {
		return nil, inState(err, d, "The delivery is not settled, or has too many attempts to be replayed")
	}
	res, err := a.getDelivery(r)
	if err != nil {
		return nil, err
	}
	res.status = http.StatusAccepted
	return res, nil
}

// replayDeliveries delivers the settled deliveries that a filter selects again.
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
	// ReplayAll needs the number of attempts only, which the store knows without reading them.
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

// replayAll replays until it is done, its time is over, it has lost its place, or the store fails.
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
		return nil, bounded.Err() // there is nothing to continue from
	case err != nil && !outOfTime && (progress.Replayed == 0 || progress.Before == 0):
		return nil, err
	case err != nil && !outOfTime:
		// An error would have the client begin again, with the whole limit.
		a.cfg.Logger.WarnContext(ctx, "api: a replay has ended early",
			"organization_id", filter.OrganizationID, "replayed", progress.Replayed, "error", err)
	}
	res := &ReplayResponse{Replayed: progress.Replayed}
	if err != nil || progress.Replayed == filter.Limit && progress.Before != 0 {
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
	readReplayFilter(o, &q, maxReplays, &options.PerSecond)
	q.Before = readDeliveryCursor(p, o.at("cursor"), o.text("cursor"))
	o.end()
	return q, options
}

// readReplayFilter reads the members that all replays have. Those that are absent keep their value.
func readReplayFilter(o *object, q *webhook.DeliveryQuery, maxLimit int, perSecond *float64) {
	if s := o.text("status"); s != "" {
		if q.Status = webhook.Status(s); !q.Status.Settled() {
			o.found.add(o.at("status"), "enum", "must be dead, succeeded or cancelled")
		}
	}
	q.EventType, q.EventID = o.text("event_type"), o.text("event_id")
	q.Since, q.Until = o.time("since"), o.time("until")
	if o.read("limit", "integer", &q.Limit) && (q.Limit < 1 || q.Limit > maxLimit) {
		o.found.add(o.at("limit"), typeValue, "must be between 1 and %d", maxLimit)
	}
	if o.read("per_second", "number", perSecond) &&
		!(*perSecond >= minReplayRate && *perSecond <= maxReplayRate) {
		o.found.add(o.at("per_second"), typeValue, "must be between %v and %v", minReplayRate,
			maxReplayRate)
	}
}

// Statistics says what a webhook's deliveries did since a time, and how many are unfinished now.
// See [webhook.Statistics] for what is counted, and when it counts twice.
type Statistics struct {
	SubscriptionID string `json:"webhook_id"`
	// Since is the time in the request, rounded down to the hour.
	Since time.Time `json:"since"`
	// Deliveries counts deliveries by status, and has every status. Pending, in flight and paused are
	// the present numbers, whatever Since is. The others count settlements since Since: a delivery
	// that settles again after a replay counts again.
	Deliveries map[webhook.Status]int64 `json:"deliveries"`
	// SuccessRate is the share of the deliveries that succeeded, of those that succeeded or died.
	// Null if there are none.
	SuccessRate *float64 `json:"success_rate"`
	// AttemptSuccessRate is the share of the attempts that succeeded: while everything fails and is
	// retried, it falls, and SuccessRate does not, because nothing has ended. Null if there are none.
	AttemptSuccessRate *float64 `json:"attempt_success_rate"`
	// Attempts counts all attempts, and FailedAttempts those that failed.
	Attempts       int64 `json:"attempts"`
	FailedAttempts int64 `json:"failed_attempts"`
	// AverageDuration is that of an attempt, in milliseconds. Null if there are no attempts.
	AverageDuration *float64 `json:"average_duration_ms"`
	// MedianDuration and P95Duration are estimates of how long half and 95% of the attempts took at
	// most, in milliseconds: see [webhook.Durations]. Null if there are no attempts.
	MedianDuration *float64 `json:"median_duration_ms"`
	P95Duration    *float64 `json:"p95_duration_ms"`
	// LastSuccess and LastFailure are when the latest successful and the latest failed attempt
	// began. Null if there is none.
	LastSuccess *time.Time `json:"last_success"`
	LastFailure *time.Time `json:"last_failure"`
	// LastFailed is the delivery of the latest failed attempt. It may have been pruned since.
	// Null if there is none.
	LastFailed *webhook.DeliveryID `json:"last_failed_delivery_id"`
}

// readSince returns the time in a query that has no other parameter. It is a day ago by default.
func readSince(r *request) (time.Time, error) {
	p := &problems{}
	q := newQuery(p, r)
	since := q.time("since")
	q.end()
	if since.IsZero() {
		since = time.Now().UTC().Add(-24 * time.Hour)
	}
	return since, p.err()
}

func (a *API) getStatistics(r *request) (*response, error) {
	since, err := readSince(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("identifier")
	figures, err := a.dispatcher.Statistics(r.Context(), webhook.StatisticsQuery{
		OrganizationID: r.organizationID, SubscriptionID: id, Since: since,
	})
	if err != nil {
		return nil, orNotFound(err, "webhook", id)
	}
	return &response{status: http.StatusOK, body: newStatistics(id, &figures)}, nil
}

func newStatistics(subscriptionID string, f *webhook.Statistics) *Statistics {
	s := &Statistics{
		SubscriptionID: subscriptionID,
		Since:          f.Since,
		Deliveries: map[webhook.Status]int64{
			webhook.StatusPending: f.Pending, webhook.StatusInFlight: f.InFlight,
			webhook.StatusPaused:    f.Paused,
			webhook.StatusSucceeded: f.Succeeded, webhook.StatusDead: f.Dead,
			webhook.StatusCancelled: f.Cancelled,
		},
		SuccessRate:        ratio(float64(f.Succeeded), f.Succeeded+f.Dead),
		AttemptSuccessRate: ratio(float64(f.Succeeded), f.Attempts()),
		Attempts:           f.Attempts(),
		FailedAttempts:     f.Failed,
		// In whole microseconds, because JSON has them as fractions of milliseconds.
		AverageDuration: ratio(float64(f.Duration.Microseconds())/1000, f.Attempts()),
	}
	if f.Attempts() > 0 {
		s.MedianDuration, s.P95Duration = quantile(f, 0.5), quantile(f, 0.95)
	}
	if !f.LastSuccess.IsZero() {
		s.LastSuccess = &f.LastSuccess
	}
	if !f.LastFailure.IsZero() {
		s.LastFailure, s.LastFailed = &f.LastFailure, &f.LastFailed
	}
	return s
}

// quantile is in milliseconds.
func quantile(f *webhook.Statistics, q float64) *float64 {
	ms := float64(f.Durations.Quantile(q).Microseconds()) / 1000
	return &ms
}

// ratio returns nil if whole is 0.
func ratio(part float64, whole int64) *float64 {
	if whole == 0 {
		return nil
	}
	part /= float64(whole)
	return &part
}
