package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type historyStatements struct {
	deliveries, brief, delivery, payload string
	event                                string
	// Pages of endpoints, of an organization or one subscription, and of blocks, of
	// listed endpoints or of all.
	endpoints, endpointsOf                         string
	blocks, organizationBlocks, subscriptionBlocks string
	standing, replay, cancel                       string
}

func newHistoryStatements(x expander) historyStatements {
	// Written in the order that the tables are to be read in.
	const columns = `SELECT d.id, e.organization_id, e.event_id, e.type, p.webhook_id, p.channel,
			d.state, p.state, d.at, e.created_at, `
	const from = ` FROM {p}deliveries d
		{join} {p}endpoints p ON p.id = d.endpoint_id
		{join} {p}events e ON e.id = d.event_id
		WHERE `
	const organizationBlocks = `SELECT DISTINCT b.block FROM {p}endpoints p {join} {p}blocks b ON b.endpoint_id = p.id
		WHERE p.organization_id = ?`
	const nextBlocks = ` AND b.block <= ? ORDER BY b.block DESC LIMIT ?`
	const deliveries = columns + `d.history` + from
	return historyStatements{
		deliveries: x.sql(deliveries),
		brief:      x.sql(columns + `NULL` + from),
		delivery:   x.sql(deliveries + `d.id = ? AND e.organization_id = ?`),
		payload:    x.sql(`SELECT payload FROM {p}events WHERE event_id = ? AND organization_id = ?`),
		event:      x.sql(`SELECT id, last_id FROM {p}events WHERE event_id = ? AND organization_id = ?`),
		endpoints: x.sql(`SELECT id, webhook_id FROM {p}endpoints
			WHERE organization_id = ? AND (webhook_id, id) > (?, ?) ORDER BY webhook_id, id LIMIT ?`),
		endpointsOf: x.sql(`SELECT id, webhook_id FROM {p}endpoints
			WHERE organization_id = ? AND webhook_id = ? AND id > ? ORDER BY id LIMIT ?`),
		blocks:             x.sql(`SELECT DISTINCT block FROM {p}blocks WHERE endpoint_id {in} AND block <= ? ORDER BY block DESC LIMIT ?`),
		organizationBlocks: x.sql(organizationBlocks + nextBlocks),
		subscriptionBlocks: x.sql(organizationBlocks + ` AND p.webhook_id = ?` + nextBlocks),
		standing: x.sql(`SELECT d.state, p.state, coalesce((
				SELECT live.id FROM {p}endpoints live
				WHERE live.webhook_id = p.webhook_id AND live.channel = p.channel AND live.state < 2
					AND live.organization_id = e.organization_id), 0)
			FROM {p}deliveries d
			{join} {p}endpoints p ON p.id = d.endpoint_id
			{join} {p}events e ON e.id = d.event_id
			WHERE d.id = ? AND e.organization_id = ? {forupdate}`),
		replay: x.sql(`UPDATE {p}deliveries SET state = 0, at = ?, queued_at = ?, tries = 0, lost = 0, started_at = 0, endpoint_id = ?,
			progress = CASE WHEN state = 2 THEN NULL ELSE progress END WHERE id = ?`),
		cancel: x.sql(`UPDATE {p}deliveries SET state = 4, at = ? WHERE id = ?`),
	}
}

// Delivery implements [webhook.History].
func (s *Store) Delivery(ctx context.Context, organizationID string, id webhook.DeliveryID) (*webhook.Delivery, error) {
	var found *webhook.Delivery
	err := collect(ctx, s.read, func(rows scanner) error {
		d, err := scanDelivery(rows, true)
		found = &d
		return err
	}, s.history.delivery, int64(id), organizationID)
	switch {
	case err != nil:
		return nil, s.failed(err)
	case found == nil:
		return nil, webhook.ErrNotFound
	}
	return found, nil
}

func scanDelivery(rows scanner, attempts bool) (webhook.Delivery, error) {
	var d webhook.Delivery
	var id, at, createdAt int64
	var state, endpointState int
	var history []byte
	err := rows.Scan(&id, &d.OrganizationID, &d.EventID, &d.EventType, &d.SubscriptionID, &d.Channel,
		&state, &endpointState, &at, &createdAt, &history)
	if err != nil {
		return d, err
	}
	d.ID, d.CreatedAt, d.Status = webhook.DeliveryID(id), moment(createdAt), reported(state, endpointState)
	switch {
	case state >= stateSucceeded:
		d.SettledAt = moment(at)
	case !d.Status.Settled():
		d.DueAt = moment(at)
	}
	if !attempts {
		return d, nil
	}
	if d.Attempts, err = decodeHistory(history); err != nil {
		return d, fmt.Errorf("sqlstore: the history of %s: %w", d.ID, err)
	}
	return d, nil
}

// reported returns the status that the outside sees.
func reported(state, endpointState int) webhook.Status {
	return statuses[state].Reported(endpointState == endpointPaused, endpointState == endpointDeleted)
}

// statuses are those of the states of deliveries as they are stored.
var statuses = map[int]webhook.Status{
	statePending:   webhook.StatusPending,
	stateInFlight:  webhook.StatusInFlight,
	stateSucceeded: webhook.StatusSucceeded,
	stateDead:      webhook.StatusDead,
	stateCancelled: webhook.StatusCancelled,
}

// EventPayload implements [webhook.History].
func (s *Store) EventPayload(ctx context.Context, organizationID, eventID string) ([]byte, error) {
	payload := []byte{}
	found, err := one(ctx, s.read, s.history.payload, []any{eventID, organizationID}, []any{&payload})
	if err == nil && !found {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return nil, s.failed(err)
	}
	return payload, nil
}

// standing is what Replay and Cancel decide on.
type standing struct {
	status webhook.Status
	// endpointID is the endpoint that the delivery's subscription now has for the
	// channel, 0 if there is none. It may be another than the delivery's, when
	// the channel was removed and added again.
	endpointID int64
}

func (s *Store) standing(ctx context.Context, q Querier, organizationID string, id webhook.DeliveryID) (standing, error) {
	var result standing
	var state, endpointState int
	found, err := one(ctx, q, s.history.standing, []any{int64(id), organizationID}, []any{&state, &endpointState, &result.endpointID})
	if err == nil && !found {
		err = webhook.ErrNotFound
	}
	result.status = reported(state, endpointState)
	return result, err
}

// Replay implements [webhook.History].
func (s *Store) Replay(ctx context.Context, due time.Time, organizationID string, id webhook.DeliveryID) error {
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		d, err := s.standing(ctx, q, organizationID, id)
		switch {
		case err != nil:
			return err
		case !d.status.Settled():
			return webhook.ErrWrongStatus
		case d.endpointID == 0:
			return webhook.ErrNotFound
		}
		if _, err := q.Exec(ctx, s.history.replay, micros(due), micros(due), d.endpointID, int64(id)); err != nil {
			return err
		}
		b := blockOf(d.endpointID, int64(id))
		_, err = s.x.dialect.execBatch(ctx, q, s.enqueue.blocks, []any{b.endpointID, b.number}, nil)
		return err
	})
}

// Cancel implements [webhook.History].
func (s *Store) Cancel(ctx context.Context, now time.Time, organizationID string, id webhook.DeliveryID) error {
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		d, err := s.standing(ctx, q, organizationID, id)
		switch {
		case err != nil:
			return err
		case d.status.Settled():
			return webhook.ErrWrongStatus
		}
		if _, err := q.Exec(ctx, s.history.cancel, micros(now), int64(id)); err != nil {
			return err
		}
		return s.record(ctx, q, now, tally{d.endpointID: {Cancelled: 1}})
	})
}
