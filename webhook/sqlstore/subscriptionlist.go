package sqlstore

import (
	"context"
	"math"

	"github.com/mixpeek/webhooks-go/webhook"
)

type listingStatements struct {
	// page selects subscriptions, types the same without names and channels.
	page, types, count string
}

func newListingStatements(x expander) listingStatements {
	// The index has all columns that decide.
	const organization = ` FROM {p}webhooks WHERE organization_id = ? AND paused >= ? AND paused <= ?`
	const page = organization + ` AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ? OFFSET ?`
	return listingStatements{
		page:  x.sql(`SELECT ` + subscriptionColumns + page),
		types: x.sql(`SELECT id, organization_id, '', event_types, '[]', paused, created_at, updated_at, revision` + page),
		count: x.sql(`SELECT count(*)` + organization),
	}
}

// Subscriptions implements [webhook.SubscriptionStore]. Configs that cannot be opened are
// null, so that one such subscription does not hide the others; [Store.Subscription] says
// why. A Dispatcher refuses to store null.
func (s *Store) Subscriptions(ctx context.Context, query webhook.SubscriptionQuery) ([]*webhook.Subscription, error) {
	found, err := s.listSubscriptions(ctx, query)
	if err != nil {
		return nil, err
	}
	var page []*webhook.Subscription
	for _, w := range found {
		if err := s.open(ctx, w); err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		page = append(page, &w.Subscription)
	}
	return page, nil
}

// listSubscriptions is Subscriptions, without opening what is sealed.
func (s *Store) listSubscriptions(ctx context.Context, query webhook.SubscriptionQuery) ([]*storedSubscription, error) {
	if query.EventType == "" {
		limit := query.Limit
		if limit <= 0 {
			limit = math.MaxInt
		}
		return s.querySubscriptions(ctx, s.subscriptions.listing.page, pageOf(query, limit, max(query.Offset, 0))...)
	}
	var found []*storedSubscription
	skip := query.Offset
	err := s.walkSubscriptions(ctx, query, s.subscriptions.listing.page, func(w *storedSubscription) bool {
		if skip > 0 {
			skip--
			return true
		}
		found = append(found, w)
		return len(found) != query.Limit
	})
	return found, err
}

// CountSubscriptions implements [webhook.SubscriptionStore].
func (s *Store) CountSubscriptions(ctx context.Context, query webhook.SubscriptionQuery) (int, error) {
	query.After = webhook.SubscriptionCursor{}
	n := 0
	if query.EventType == "" {
		least, most := pausedBounds(query)
		_, err := one(ctx, s.read, s.subscriptions.listing.count, []any{query.OrganizationID, least, most}, []any{&n})
		return n, s.failed(err)
	}
	err := s.walkSubscriptions(ctx, query, s.subscriptions.listing.types, func(*storedSubscription) bool {
		n++
		return true
	})
	return n, err
}

// walkStep is how many subscriptions are in memory at once while those of an event
// type are looked for.
const walkStep = 100

// walkSubscriptions visits the subscriptions that fit the filters, from After on, until
// visit returns false.
func (s *Store) walkSubscriptions(ctx context.Context, query webhook.SubscriptionQuery, statement string, visit func(*storedSubscription) bool) error {
	for {
		page, err := s.querySubscriptions(ctx, statement, pageOf(query, walkStep, 0)...)
		if err != nil {
			return err
		}
		for _, w := range page {
			if query.Fits(&w.Subscription) && !visit(w) {
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
func pageOf(query webhook.SubscriptionQuery, limit, offset int) []any {
	least, most := pausedBounds(query)
	return []any{query.OrganizationID, least, most, micros(query.After.CreatedAt), query.After.ID, limit, offset}
}

// pausedBounds returns what paused is between.
func pausedBounds(query webhook.SubscriptionQuery) (least, most int64) {
	if query.Paused == nil {
		return 0, 1
	}
	return flag(*query.Paused), flag(*query.Paused)
}
