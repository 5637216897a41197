package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

// routes is what the webhooks were at one version of the subscriptions. It
// never changes, so transactions can share it.
type routes struct {
	version int64
	table   *match.Table
	ids     map[webhook.Endpoint]int64 // of the live endpoints
	byID    map[int64]*route
}

// route is a live endpoint with what a task says about it.
type route struct {
	endpoint       webhook.Endpoint
	organizationID string
	revision       int64
}

type routingStatements struct {
	version, webhooks, endpoints string
}

// routedColumns are what matching needs of a webhook, and scanRouted reads.
const routedColumns = `id, organization_id, event_types, channels, paused, revision`

func newRoutingStatements(x expander) routingStatements {
	return routingStatements{
		version:   x.sql(`SELECT subscriptions FROM {p}meta`),
		webhooks:  x.sql(`SELECT ` + routedColumns + ` FROM {p}webhooks ORDER BY created_at, id`),
		endpoints: x.sql(`SELECT id, organization_id, webhook_id, channel FROM {p}endpoints WHERE state < 2`),
	}
}

// currentRoutes returns the routes as the transaction sees the webhooks.
func (s *Store) currentRoutes(ctx context.Context, q Tx) (*routes, error) {
	var version int64
	if _, err := one(ctx, q, s.routing.version, nil, []any{&version}); err != nil {
		return nil, err
	}
	return s.routesAt(ctx, q, version)
}

// routesAt returns the routes at the version that the transaction has read.
func (s *Store) routesAt(ctx context.Context, q Tx, version int64) (*routes, error) {
	if r := s.routes.Load(); r.version == version {
		return r, nil
	}
	r := &routes{version: version, ids: make(map[webhook.Endpoint]int64), byID: make(map[int64]*route)}
	var webhooks []*webhook.Webhook
	revisions := make(map[string]int64)
	err := collect(ctx, q, func(rows scanner) error {
		w, err := scanRouted(rows)
		webhooks = append(webhooks, w)
		revisions[w.ID] = w.Revision
		return err
	}, s.routing.webhooks)
	if err != nil {
		return nil, err
	}
	r.table = match.NewTable(webhooks)
	err = collect(ctx, q, func(rows scanner) error {
		var id int64
		to := &route{}
		err := rows.Scan(&id, &to.organizationID, &to.endpoint.WebhookID, &to.endpoint.Channel)
		to.revision = revisions[to.endpoint.WebhookID]
		r.ids[to.endpoint], r.byID[id] = id, to
		return err
	}, s.routing.endpoints)
	if err != nil {
		return nil, err
	}
	s.routes.Store(r)
	return r, nil
}

// scanRouted reads a webhook without its configs, which may be sealed.
func scanRouted(rows scanner) (*webhook.Webhook, error) {
	w := &webhook.Webhook{}
	var eventTypes, channels []byte
	var paused int64
	if err := rows.Scan(&w.ID, &w.OrganizationID, &eventTypes, &channels, &paused, &w.Revision); err != nil {
		return w, err
	}
	w.Paused = paused != 0
	if err := json.Unmarshal(eventTypes, &w.EventTypes); err != nil {
		return w, fmt.Errorf("sqlstore: webhook %s: its event types: %w", w.ID, err)
	}
	var names []struct {
		Channel string `json:"channel"`
	}
	if err := json.Unmarshal(channels, &names); err != nil {
		return w, fmt.Errorf("sqlstore: webhook %s: its channels: %w", w.ID, err)
	}
	for _, n := range names {
		w.Channels = append(w.Channels, webhook.ChannelConfig{Channel: n.Channel})
	}
	return w, nil
}
