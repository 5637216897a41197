package sqlstore

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Deliveries implements [webhook.History].
func (s *Store) Deliveries(ctx context.Context, q webhook.DeliveryQuery) ([]webhook.Delivery, error) {
	l := newListing(q)
	var err error
	switch {
	case q.EventID != "":
		err = s.listEvent(ctx, l)
	case q.Status == webhook.StatusDead:
		err = s.listEndpoints(ctx, l, `d.state = 3`)
	case q.Status != "" && !q.Status.Settled():
		err = s.listEndpoints(ctx, l, `d.state < 2`)
	default:
		err = s.listBlocks(ctx, l)
	}
	if err != nil {
		return nil, s.failed(err)
	}
	return l.found, nil
}

// listing is one call of Deliveries. The three ways to find deliveries differ
// in the index that they read; what is common is here.
type listing struct {
	query webhook.DeliveryQuery
	limit int
	// below is what ids must be smaller than.
	below int64
	// filter is what the rows must fulfil, whatever the index.
	filter conditions
	found  []webhook.Delivery
}

func newListing(q webhook.DeliveryQuery) *listing {
	l := &listing{query: q, limit: q.PageSize(), below: int64(q.Before)}
	if l.below <= 0 {
		l.below = math.MaxInt64
	}
	if q.EventType != "" {
		l.filter.add(`e.type = ?`, q.EventType)
	}
	if q.SubscriptionID != "" {
		l.filter.add(`p.webhook_id = ?`, q.SubscriptionID)
	}
	if q.Status != "" {
		condition, ok := statusConditions[q.Status]
		if !ok {
			condition = `1 = 0`
		}
		l.filter.add(condition)
	}
	if !q.Since.IsZero() {
		l.filter.add(`e.created_at >= ?`, micros(q.Since))
	}
	if !q.Until.IsZero() {
		l.filter.add(`e.created_at < ?`, micros(q.Until))
	}
	if q.AttemptsBelow > 0 {
		l.filter.add(`d.attempts < ?`, q.AttemptsBelow)
	}
	return l
}

// statusConditions says of deliveries d and their endpoints p what reported
// says of a row. An unknown status has no deliveries.
var statusConditions = map[webhook.Status]string{
	webhook.StatusPending:   `d.state = 0 AND p.state = 0`,
	webhook.StatusInFlight:  `d.state = 1 AND p.state = 0`,
	webhook.StatusPaused:    `d.state < 2 AND p.state = 1`,
	webhook.StatusSucceeded: `d.state = 2`,
	webhook.StatusDead:      `d.state = 3`,
	webhook.StatusCancelled: `(d.state = 4 OR d.state < 2 AND p.state = 2)`,
}

// conditions are joined by AND.
type conditions struct {
	sql  strings.Builder
	args []any
}

func (c *conditions) add(condition string, args ...any) {
	if c.sql.Len() > 0 {
		c.sql.WriteString(" AND ")
	}
	c.sql.WriteString(condition)
	c.args = append(c.args, args...)
}

// fetch adds the newest deliveries that meet the condition and the filter.
func (s *Store) fetch(ctx context.Context, l *listing, condition string, args ...any) error {
	var all conditions
	all.add(condition, args...)
	if l.filter.sql.Len() > 0 {
		all.add(l.filter.sql.String(), l.filter.args...)
	}
	columns := s.history.deliveries
	if l.query.WithoutAttempts {
		columns = s.history.brief
	}
	statement := columns + s.x.sql(all.sql.String()) + ` ORDER BY d.id DESC LIMIT ?`
	return collect(ctx, s.read, func(rows scanner) error {
		d, err := scanDelivery(rows, !l.query.WithoutAttempts)
		l.found = append(l.found, d)
		return err
	}, statement, append(all.args, l.limit-len(l.found))...)
}

// listEvent reads the deliveries of one event, which are a range of ids.
func (s *Store) listEvent(ctx context.Context, l *listing) error {
	var id, last int64
	found, err := one(ctx, s.read, s.history.event, []any{l.query.EventID, l.query.OrganizationID}, []any{&id, &last})
	if err != nil || !found {
		return err
	}
	return s.fetch(ctx, l, `d.id > ? AND d.id <= ? AND d.id < ? AND d.event_id = ?`, id, last, l.below, id)
}

// endpointsPage is how many endpoints of an organization a list looks at in one
// statement, and the most that it has in memory. blocksPage is how many ranges of ids.
const (
	endpointsPage = 1000
	blocksPage    = 64
)

// listEndpoints reads a partial index that begins with the endpoint, for a page of
// endpoints at a time, and keeps the newest of what they have.
func (s *Store) listEndpoints(ctx context.Context, l *listing, part string) error {
	var kept []webhook.Delivery
	above := int64(0) // what ids must be larger than to be among the newest
	for at := (endpointCursor{}); ; {
		ids, err := s.endpointsOf(ctx, l, &at)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			l.found = nil
			err := s.fetch(ctx, l, part+` AND d.endpoint_id {in} AND d.id > ? AND d.id < ?`,
				s.x.dialect.ints(ids), above, l.below)
			if err != nil {
				return err
			}
			kept = newest(append(kept, l.found...), l.limit)
			if len(kept) == l.limit {
				above = int64(kept[len(kept)-1].ID)
			}
		}
		if len(ids) < endpointsPage {
			l.found = kept
			return nil
		}
	}
}

// newest returns the newest of the deliveries, in their order.
func newest(all []webhook.Delivery, limit int) []webhook.Delivery {
	slices.SortFunc(all, func(a, b webhook.Delivery) int { return cmp.Compare(b.ID, a.ID) })
	if len(all) > limit {
		clear(all[limit:]) // so that they are not kept in memory
		all = all[:limit]
	}
	return all
}

// listBlocks reads the ranges of ids in which the endpoints have deliveries. The ids of
// a page of endpoints are named in the statements; an organization with more is
// looked for by its name, so that a range is read once.
func (s *Store) listBlocks(ctx context.Context, l *listing) error {
	ids, err := s.endpointsOf(ctx, l, &endpointCursor{})
	if err != nil || len(ids) == 0 {
		return err
	}
	mine, args := ` AND d.endpoint_id {in}`, []any{s.x.dialect.ints(ids)}
	statement, owner := s.history.blocks, args
	if len(ids) == endpointsPage {
		mine, args = ` AND p.organization_id = ?`, []any{l.query.OrganizationID}
		statement, owner = s.history.organizationBlocks, args
		if l.query.SubscriptionID != "" { // the filter of the listing has it, too
			statement, owner = s.history.subscriptionBlocks, append(owner, l.query.SubscriptionID)
		}
	}
	for last := l.below >> blockBits; ; {
		blocks, err := s.blocksBefore(ctx, statement, append(slices.Clone(owner), last, blocksPage))
		if err != nil {
			return err
		}
		for _, b := range blocks {
			bounds := []any{b << blockBits, min((b+1)<<blockBits, l.below)}
			err := s.fetch(ctx, l, `d.id >= ? AND d.id < ?`+mine, append(bounds, args...)...)
			if err != nil || len(l.found) == l.limit {
				return err
			}
		}
		if len(blocks) < blocksPage {
			return nil
		}
		last = blocks[len(blocks)-1] - 1
	}
}

func (s *Store) blocksBefore(ctx context.Context, statement string, args []any) (blocks []int64, err error) {
	err = collect(ctx, s.read, func(rows scanner) error {
		var b int64
		err := rows.Scan(&b)
		blocks = append(blocks, b)
		return err
	}, statement, args...)
	return blocks, err
}

// endpointCursor is the last endpoint that was read.
type endpointCursor struct {
	subscriptionID string
	id             int64
}

// endpointsOf returns the next page of endpoints of the query's organization and
// subscription, those that were deleted too.
func (s *Store) endpointsOf(ctx context.Context, l *listing, at *endpointCursor) ([]int64, error) {
	statement, args := s.history.endpoints, []any{l.query.OrganizationID, at.subscriptionID, at.id, endpointsPage}
	if l.query.SubscriptionID != "" {
		statement, args[1] = s.history.endpointsOf, l.query.SubscriptionID
	}
	var ids []int64
	err := collect(ctx, s.read, func(rows scanner) error {
		err := rows.Scan(&at.id, &at.subscriptionID)
		ids = append(ids, at.id)
		return err
	}, statement, args...)
	return ids, err
}
