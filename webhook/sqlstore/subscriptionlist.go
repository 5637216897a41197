package sqlstore

import (
	"context"
	"math"

	"github.com/mixpeek/webhooks-go/webhook"
)

type listingStatements struct {
	// page selects webhooks, types the same without names and channels.
	page, types, count string
}

func newListingStatements(x expander) listingStatements {
	// The index has all columns that decide.
	const organization = ` FROM {p}webhooks WHERE organization_id = ? AND paused >= ? AND paused <= ?`
	const page = organization + ` AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ? OFFSET ?`
	return listingStatements{
		page:  x.sql(`SELECT ` + webhookColumns + page),
		types: x.sql(`SELECT id, organization_id, '', event_types, '[]', paused, created_at, updated_at, revision` + page),
		count: x.sql(`SELECT count(*)` + organization),
	}
}

// Webhooks implements [webhook.Subscriptions]. Configs that cannot be opened are
// null, so that one such webhook does not hide the others; [Store.Webhook] says
// why. A Dispatcher refuses to store null.
func (s *Store) Webhooks(ctx context.Context, query webhook.WebhookQuery) ([]*webhook.Webhook, error) {
	found, err := s.listWebhooks(ctx, query)
	if err != nil {
		return nil, err
	}
	var page []*webhook.Webhook
	for _, w := range found {
		if err := s.open(ctx, w); err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		page = append(page, &w.Webhook)
	}
	return page, nil
}

// listWebhooks is Webhooks, without opening what is sealed.
func (s *Store) listWebhooks(ctx context.Context, query webhook.WebhookQuery) ([]*storedWebhook, error) {
	if query.EventType == "" {
		limit := query.Limit
		if limit <= 0 {
			limit = math.MaxInt
		}
		return s.webhooks(ctx, s.subscriptions.listing.page, pageOf(query, limit, max(query.Offset, 0))...)
	}
	var found []*storedWebhook
	skip := query.Offset
	err := s.walkWebhooks(ctx, query, s.subscriptions.listing.page, func(w *storedWebhook) bool {
		if skip > 0 {
			skip--
			return true
		}
		found = append(found, w)
		return len(found) != query.Limit
	})
	return found, err
}

// CountWebhooks implements [webhook.Subscriptions].
func (s *Store) CountWebhooks(ctx context.Context, query webhook.WebhookQuery) (int, error) {
	query.After = webhook.WebhookCursor{}
	n := 0
	if query.EventType == "" {
		least, most := pausedBounds(query)
		_, err := one(ctx, s.read, s.subscriptions.listing.count, []any{query.OrganizationID, least, most}, []any{&n})
		return n, s.failed(err)
	}
	err := s.walkWebhooks(ctx, query, s.subscriptions.listing.types, func(*storedWebhook) bool {
		n++
		return true
	})
	return n, err
}

// walkStep is how many webhooks are in memory at once while those of an event
// type are looked for.
const walkStep = 100

// walkWebhooks visits the webhooks that fit the filters, from After on, until
// visit returns false.
func (s *Store) walkWebhooks(ctx context.Context, query webhook.WebhookQuery, statement string, visit func(*storedWebhook) bool) error {
	for {
		page, err := s.webhooks(ctx, statement, pageOf(query, walkStep, 0)...)
		if err != nil {
			return err
		}
		for _, w := range page {
			if query.Fits(&w.Webhook) && !visit(w) {
				return nil
			}
		}
		if len(page) < walkStep {
			return nil
		}
		query.After = page[len(page)-1].Cursor()
	}
}

// pageOf returns the parameters of a page.
func pageOf(query webhook.WebhookQuery, limit, offset int) []any {
	least, most := pausedBounds(query)
	return []any{query.OrganizationID, least, most, micros(query.After.CreatedAt), query.After.ID, limit, offset}
}

// pausedBounds returns what paused is between.
func pausedBounds(query webhook.WebhookQuery) (least, most int64) {
	if query.Paused == nil {
		return 0, 1
	}
	return flag(*query.Paused), flag(*query.Paused)
}
