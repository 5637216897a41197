package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

type subscriptionStatements struct {
	insert, update, remove, get, lock, list, changed string
	endpoints, addEndpoint, setEndpoint              string
}

func newSubscriptionStatements(x expander) subscriptionStatements {
	const columns = `id, organization_id, name, event_types, channels, paused, created_at, updated_at, revision`
	return subscriptionStatements{
		insert: x.sql(`INSERT INTO {p}webhooks (` + columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`),
		update: x.sql(`UPDATE {p}webhooks SET name = ?, event_types = ?, channels = ?, paused = ?, updated_at = ?, revision = revision + 1
			WHERE id = ? AND organization_id = ? AND revision = ?`),
		remove:      x.sql(`DELETE FROM {p}webhooks WHERE id = ? AND organization_id = ?`),
		get:         x.sql(`SELECT ` + columns + ` FROM {p}webhooks WHERE id = ? AND organization_id = ?`),
		lock:        x.sql(`SELECT ` + columns + ` FROM {p}webhooks d WHERE id = ? AND organization_id = ? {forupdate}`),
		list:        x.sql(`SELECT ` + columns + ` FROM {p}webhooks WHERE organization_id = ? ORDER BY created_at, id`),
		changed:     x.sql(`UPDATE {p}meta SET subscriptions = subscriptions + 1`),
		endpoints:   x.sql(`SELECT id, channel FROM {p}endpoints WHERE webhook_id = ? AND state < 2`),
		addEndpoint: x.sql(`INSERT INTO {p}endpoints (organization_id, webhook_id, channel, state) VALUES (?, ?, ?, ?)`),
		setEndpoint: x.sql(`UPDATE {p}endpoints SET state = ? WHERE id = ?`),
	}
}

// CreateWebhook implements [webhook.Subscriptions].
func (s *Store) CreateWebhook(ctx context.Context, w *webhook.Webhook) error {
	eventTypes, channels, err := encodeWebhook(w)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(ctx context.Context, q Tx) error {
		n, err := q.Exec(ctx, s.subscriptions.insert, w.ID, w.OrganizationID, w.Name, eventTypes, channels,
			flag(w.Paused), micros(w.CreatedAt), micros(w.UpdatedAt), micros(w.CreatedAt))
		if err := changedOne(n, err, webhook.ErrExists); err != nil {
			return err
		}
		return s.setEndpoints(ctx, q, w, w.ChannelKeys())
	})
	if err == nil {
		w.Revision = micros(w.CreatedAt)
	}
	return err
}

// Webhook implements [webhook.Subscriptions].
func (s *Store) Webhook(ctx context.Context, organizationID, id string) (*webhook.Webhook, error) {
	w, err := s.getWebhook(ctx, s.read, s.subscriptions.get, organizationID, id)
	return w, s.failed(err)
}

func (s *Store) getWebhook(ctx context.Context, q Tx, statement, organizationID, id string) (*webhook.Webhook, error) {
	var w *webhook.Webhook
	err := collect(ctx, q, func(rows scanner) (err error) {
		w, err = scanWebhook(rows)
		return err
	}, statement, id, organizationID)
	if err == nil && w == nil {
		err = webhook.ErrNotFound
	}
	return w, err
}

// Webhooks implements [webhook.Subscriptions].
func (s *Store) Webhooks(ctx context.Context, query webhook.WebhookQuery) ([]*webhook.Webhook, error) {
	var all []*webhook.Webhook
	err := collect(ctx, s.read, func(rows scanner) error {
		w, err := scanWebhook(rows)
		all = append(all, w)
		return err
	}, s.subscriptions.list, query.OrganizationID)
	if err != nil {
		return nil, s.failed(err)
	}
	all = slices.DeleteFunc(all, func(w *webhook.Webhook) bool {
		return query.EventType != "" && !w.Matches(query.EventType) || query.Paused != nil && *query.Paused != w.Paused
	})
	all = all[min(query.Offset, len(all)):]
	if query.Limit > 0 {
		all = all[:min(query.Limit, len(all))]
	}
	return all, nil
}

// UpdateWebhook implements [webhook.Subscriptions].
func (s *Store) UpdateWebhook(ctx context.Context, w *webhook.Webhook) error {
	err := s.write(ctx, func(ctx context.Context, q Tx) error { return s.updateWebhook(ctx, q, w) })
	if err == nil {
		w.Revision++
	}
	return err
}

func (s *Store) updateWebhook(ctx context.Context, q Tx, w *webhook.Webhook) error {
	eventTypes, channels, err := encodeWebhook(w)
	if err != nil {
		return err
	}
	n, err := q.Exec(ctx, s.subscriptions.update, w.Name, eventTypes, channels, flag(w.Paused), micros(w.UpdatedAt),
		w.ID, w.OrganizationID, w.Revision)
	if err := changedOne(n, err, webhook.ErrConflict); errors.Is(err, webhook.ErrConflict) {
		if _, err := s.getWebhook(ctx, q, s.subscriptions.get, w.OrganizationID, w.ID); err != nil {
			return err
		}
		return webhook.ErrConflict
	} else if err != nil {
		return err
	}
	return s.setEndpoints(ctx, q, w, w.ChannelKeys())
}

// DeleteWebhook implements [webhook.Subscriptions].
func (s *Store) DeleteWebhook(ctx context.Context, organizationID, id string) error {
	return s.write(ctx, func(ctx context.Context, q Tx) error {
		n, err := q.Exec(ctx, s.subscriptions.remove, id, organizationID)
		if err := changedOne(n, err, webhook.ErrNotFound); err != nil {
			return err
		}
		return s.setEndpoints(ctx, q, &webhook.Webhook{ID: id, OrganizationID: organizationID}, nil)
	})
}

// setEndpoints makes the webhook's endpoints those of the channel keys, and
// lets all processes know that a webhook changed.
func (s *Store) setEndpoints(ctx context.Context, q Tx, w *webhook.Webhook, keys []string) error {
	state := int64(endpointActive)
	if w.Paused {
		state = endpointPaused
	}
	stored := make(map[string]int64)
	err := collect(ctx, q, func(rows scanner) error {
		var id int64
		var channel string
		err := rows.Scan(&id, &channel)
		stored[channel] = id
		return err
	}, s.subscriptions.endpoints, w.ID)
	if err != nil {
		return err
	}
	for _, key := range keys {
		var err error
		if id, ok := stored[key]; ok {
			delete(stored, key)
			_, err = q.Exec(ctx, s.subscriptions.setEndpoint, state, id)
		} else {
			_, err = q.Exec(ctx, s.subscriptions.addEndpoint, w.OrganizationID, w.ID, key, state)
		}
		if err != nil {
			return err
		}
	}
	for _, id := range stored {
		if _, err := q.Exec(ctx, s.subscriptions.setEndpoint, int64(endpointDeleted), id); err != nil {
			return err
		}
	}
	_, err = q.Exec(ctx, s.subscriptions.changed)
	return err
}

// pauseWebhook is an update of the webhook, so that whoever read it before must
// read it again. A webhook that is no longer at the revision, unless that is 0,
// stays as it is.
func (s *Store) pauseWebhook(ctx context.Context, q Tx, organizationID, id string, revision, now int64) error {
	w, err := s.getWebhook(ctx, q, s.subscriptions.lock, organizationID, id)
	if err != nil || w.Paused || revision != 0 && revision != w.Revision {
		return err
	}
	w.Paused, w.UpdatedAt = true, moment(now)
	return s.updateWebhook(ctx, q, w)
}

func encodeWebhook(w *webhook.Webhook) (eventTypes, channels string, err error) {
	types, err := json.Marshal(w.EventTypes)
	if err != nil {
		return "", "", err
	}
	encoded, err := json.Marshal(w.Channels)
	if err != nil {
		return "", "", fmt.Errorf("sqlstore: a channel's configs must be JSON: %w", err)
	}
	return string(types), string(encoded), nil
}

func scanWebhook(rows scanner) (*webhook.Webhook, error) {
	var w webhook.Webhook
	var eventTypes, channels []byte
	var paused, createdAt, updatedAt int64
	err := rows.Scan(&w.ID, &w.OrganizationID, &w.Name, &eventTypes, &channels, &paused, &createdAt, &updatedAt, &w.Revision)
	if err != nil {
		return nil, err
	}
	w.Paused, w.CreatedAt, w.UpdatedAt = paused != 0, moment(createdAt), moment(updatedAt)
	if err := json.Unmarshal(eventTypes, &w.EventTypes); err != nil {
		return nil, fmt.Errorf("sqlstore: webhook %s: its event types: %w", w.ID, err)
	}
	if err := json.Unmarshal(channels, &w.Channels); err != nil {
		return nil, fmt.Errorf("sqlstore: webhook %s: its channels: %w", w.ID, err)
	}
	return &w, nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// changedOne returns otherwise if a statement that ran changed no row.
func changedOne(changed int64, err, otherwise error) error {
	if err == nil && changed == 0 {
		return otherwise
	}
	return err
}
