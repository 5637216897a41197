package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

	"github.com/mixpeek/webhooks-go/webhook"
)

// maxDeliveries bounds a page: every delivery comes with all of its attempts.
const maxDeliveries = 250

// DeliveryPage is a part of the deliveries that were asked for, the newest first.
type DeliveryPage struct {
	Results []webhook.Delivery `json:"results"`
	// NextCursor asks for the next page. Null says that this is the last.
	NextCursor *string `json:"next_cursor"`
}

// listDeliveries is about all webhooks, those that were deleted too.
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

// listSubscriptionDeliveries is about one webhook, which may be deleted.
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

// hasSubscription reports whether the organization has the webhook, or had it and
// still has deliveries of it.
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

// readDeliveryQuery reads what all lists of deliveries can be filtered by.
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

// readDeliveryCursor reads a cursor, which is the id of the last delivery seen.
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

// readDeliveries reads up to filter.Limit deliveries, and says whether there are
// more. Each has all of its attempts, so that many are not read at once.
func (a *API) readDeliveries(ctx context.Context, filter webhook.DeliveryQuery) (list []webhook.Delivery, more bool, err error) {
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

// sizeOfDelivery is about how many bytes the delivery has in an answer.
func sizeOfDelivery(d *webhook.Delivery) int {
	const fixed = 256 // names of members, ids, times
	n := fixed
	for i := range d.Attempts {
		n += fixed + len(d.Attempts[i].Error) + len(d.Attempts[i].Response)
	}
	return n
}

// presentable writes no attempts as an empty list.
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
	return &response{status: http.StatusOK, body: presentable(*d)}, nil
}

// getEvent answers with the envelope that a delivery carries, as it was emitted.
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

// delivery returns the delivery that the path names, if it is the webhook's.
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
		return nil, inState(err, d)
	}
	return a.getDelivery(r)
}

// inState says which state a delivery was in that did not allow the call.
func inState(err error, d *webhook.Delivery) error {
	if !errors.Is(err, webhook.ErrWrongStatus) {
		return orNotFound(err, "channel of the delivery", d.Channel)
	}
	return &statusError{
		status:  http.StatusConflict,
		kind:    TypeWrongStatus,
		message: "This is not possible in the delivery's state: see its status and, for a replay, its number of attempts",
		details: map[string]any{"delivery_id": d.ID, "status": d.Status, "attempts": len(d.Attempts), "max_attempts": dispatch.MaxReplayed},
		cause:   webhook.ErrWrongStatus,
	}
}
