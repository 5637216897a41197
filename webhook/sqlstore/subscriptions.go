package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/mixpeek/webhooks-go/webhook"
)

type subscriptionStatements struct {
	insert, update, remove, exists, get string
	endpoints, addEndpoint, setEndpoint string
	removeEndpoint                      string
	nextEndpoint, count                 organizationChange
	listing                             listingStatements
}

const subscriptionColumns = `id, organization_id, name, event_types, channels, paused,
	created_at, updated_at, revision, retry, rate_limit, ordering`

func newSubscriptionStatements(x expander) subscriptionStatements {
	return subscriptionStatements{
		insert: x.sql(`INSERT INTO {p}webhooks (` + subscriptionColumns + `)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`),
		update: x.sql(`UPDATE {p}webhooks SET name = ?, event_types = ?, channels = ?, paused = ?,
			updated_at = ?, retry = ?, rate_limit = ?, ordering = ?, revision = revision + 1
			WHERE id = ? AND organization_id = ? AND revision = ?`),
		remove: x.sql(`DELETE FROM {p}webhooks WHERE id = ? AND organization_id = ?
			AND revision BETWEEN ? AND ?`),
		exists: x.sql(`SELECT revision FROM {p}webhooks WHERE id = ? AND organization_id = ?`),
		get: x.sql(`SELECT ` + subscriptionColumns + ` FROM {p}webhooks
			WHERE id = ? AND organization_id = ?`),
		listing: newListingStatements(x),
		// TakePermits locks endpoints in this order, too.
		endpoints: x.sql(`SELECT d.id, d.channel, d.health FROM {p}endpoints d
			WHERE d.webhook_id = ? AND d.state < 2 ORDER BY d.id {forupdate}`),
		addEndpoint: x.sql(`INSERT INTO {p}endpoints (id, organization_id, webhook_id, channel, state)
			VALUES (?, ?, ?, ?, ?)`),
		nextEndpoint: x.organizationChange(`UPDATE {p}organizations
			SET number = coalesce(number, {nextnumber}), endpoints = endpoints + 1
			WHERE organization_id = ?`, `number, endpoints`),
		// A disabled endpoint stays so, whether its subscription is paused or not.
		setEndpoint: x.sql(`UPDATE {p}endpoints SET state = CASE WHEN health = 2 THEN 1 ELSE ? END,
			` + wakes + ` WHERE id = ?`),
		removeEndpoint: x.sql(`UPDATE {p}endpoints SET state = 2, health = 0, probe_at = NULL, wake_at = NULL
			WHERE id = ?`),
		count: x.organizationChange(`UPDATE {p}organizations
			SET webhooks = webhooks + ?, channels = channels + ? WHERE organization_id = ?`,
			`webhooks, channels`),
	}
}

// CreateSubscription implements [webhook.SubscriptionStore].
func (s *Store) CreateSubscription(
	ctx context.Context, sub *webhook.Subscription, quota webhook.Quota,
) error {
	eventTypes, channels, err := s.encodeSubscription(ctx, sub)
	if err != nil {
		return err
	}
	retry, err := encodeOptional(sub.Retry)
	if err != nil {
		return err
	}
	limit, err := encodeOptional(sub.RateLimit)
	if err != nil {
		return err
	}
	ordering, err := encodeOptional(sub.Ordering)
	if err != nil {
		return err
	}
	err = s.changeTo(ctx, sub, quota, func(ctx context.Context, q Querier, version int64) error {
		n, err := q.Exec(ctx, s.subscriptions.insert, sub.ID, sub.OrganizationID, sub.Name, eventTypes,
			channels,
			flag(sub.Paused), micros(sub.CreatedAt), micros(sub.UpdatedAt), micros(sub.CreatedAt), retry,
			limit, ordering)
		if err := changedOne(n, err, webhook.ErrExists); err != nil {
			return err
		}
		if err := s.checkEventTypes(ctx, q, sub, version, quota); err != nil {
			return err
		}
		endpoints, more, err := s.setEndpoints(ctx, q, sub, sub.ChannelKeys())
		if err != nil {
			return err
		}
		if err := s.countSubscriptions(ctx, q, sub.OrganizationID, 1, more, quota); err != nil {
			return err
		}
		_, err = q.Exec(ctx, s.routing.add, version, micros(sub.CreatedAt), flag(sub.Paused), 0,
			eventTypes, endpoints,
			sub.OrganizationID, sub.ID, micros(sub.CreatedAt))
		return err
	})
	if err == nil {
		sub.Revision = micros(sub.CreatedAt)
	}
	return err
}

// Subscription implements [webhook.SubscriptionStore]. It returns a [SealedError] if the configs
// cannot be opened.
func (s *Store) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	found, err := s.querySubscriptions(ctx, s.subscriptions.get, id, organizationID)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, webhook.ErrNotFound
	}
	if err := s.openConfigs(ctx, found[0]); err != nil {
		return nil, err
	}
	return &found[0].Subscription, nil
}

// querySubscriptions reads subscriptions without opening sealed configs.
func (s *Store) querySubscriptions(
	ctx context.Context, query string, args ...any,
) ([]*storedSubscription, error) {
	var found []*storedSubscription
	err := collect(ctx, s.read, func(rows scanner) error {
		w, err := scanSubscription(rows)
		found = append(found, w)
		return err
	}, query, args...)
	return found, s.mapped(err)
}

// UpdateSubscription implements [webhook.SubscriptionStore].
func (s *Store) UpdateSubscription(
	ctx context.Context, sub *webhook.Subscription, quota webhook.Quota,
) error {
	eventTypes, channels, err := s.encodeSubscription(ctx, sub)
	if err != nil {
		return err
	}
	retry, err := encodeOptional(sub.Retry)
	if err != nil {
		return err
	}
	limit, err := encodeOptional(sub.RateLimit)
	if err != nil {
		return err
	}
	ordering, err := encodeOptional(sub.Ordering)
	if err != nil {
		return err
	}
	err = s.changeTo(ctx, sub, quota, func(ctx context.Context, q Querier, version int64) error {
		n, err := q.Exec(ctx, s.subscriptions.update, sub.Name, eventTypes, channels, flag(sub.Paused),
			micros(sub.UpdatedAt), retry, limit, ordering,
			sub.ID, sub.OrganizationID, sub.Revision)
		if err != nil {
			return err
		}
		if n == 0 {
			return s.conflict(ctx, q, sub)
		}
		if err := s.checkEventTypes(ctx, q, sub, version, quota); err != nil {
			return err
		}
		endpoints, more, err := s.setEndpoints(ctx, q, sub, sub.ChannelKeys())
		if err != nil {
			return err
		}
		if err := s.countSubscriptions(ctx, q, sub.OrganizationID, 0, more,
			webhook.Quota{Channels: quota.Channels}); err != nil {
			return err
		}
		_, err = q.Exec(ctx, s.routing.set, version, sub.Revision+1, flag(sub.Paused), eventTypes,
			endpoints, sub.OrganizationID, sub.ID)
		return err
	})
	if err == nil {
		sub.Revision++
	}
	return err
}

// changeTo is change for a subscription as it is to be stored.
func (s *Store) changeTo(
	ctx context.Context, sub *webhook.Subscription, quota webhook.Quota,
	fn func(ctx context.Context, q Querier, version int64) error,
) error {
	if countsEventTypes(sub, quota) { // the transaction reads only what changes meanwhile
		if err := s.loadRoutes(ctx, []string{sub.OrganizationID}); err != nil {
			return s.mapped(err)
		}
	}
	return s.change(ctx, sub.OrganizationID, fn)
}

// countsEventTypes reports whether the quota depends on what the other subscriptions have.
func countsEventTypes(sub *webhook.Subscription, quota webhook.Quota) bool {
	return quota.Subscriptions > 0 && len(sub.EventTypes) > webhook.FewEventTypes
}

// checkEventTypes returns an error if the subscription gets more event types than the quota allows. The
// organization is locked, and the version is that of this change.
func (s *Store) checkEventTypes(
	ctx context.Context, q Querier, sub *webhook.Subscription, version int64, quota webhook.Quota,
) error {
	if !countsEventTypes(sub, quota) {
		return nil
	}
	before := s.routes.get([]string{sub.OrganizationID})[sub.OrganizationID]
	known := before
	if known == nil || known.version != version-1 {
		if known != nil && known.version >= version { // the database went back to an earlier state
			known = nil
		}
		var err error
		if known, err = s.readRoutes(ctx, q, sub.OrganizationID, known, version-1); err != nil {
			return err
		}
		s.routes.put(before, known)
	}
	n := len(sub.EventTypes)
	own, others := known.table.EventTypes(sub.ID)
	if n <= own {
		return nil
	}
	return quota.CheckEventTypes(n, n+others)
}

// countSubscriptions adds to the numbers of the organization, and returns an error if they exceed
// the quota. The organization is locked, so no other change runs meanwhile.
func (s *Store) countSubscriptions(
	ctx context.Context, q Querier, organizationID string, subscriptions, channels int,
	quota webhook.Quota,
) error {
	if subscriptions == 0 && channels == 0 {
		return nil
	}
	added := subscriptions > 0 || channels > 0
	if _, err := s.subscriptions.count.run(ctx, q, organizationID, []any{subscriptions, channels},
		[]any{&subscriptions, &channels}); err != nil {
		return err
	}
	if !added {
		return nil
	}
	return quota.Check(subscriptions, channels)
}

// conflict returns why an update or a removal found nothing to change.
func (s *Store) conflict(ctx context.Context, q Querier, sub *webhook.Subscription) error {
	var revision int64
	found, err := one(ctx, q, s.subscriptions.exists, []any{sub.ID, sub.OrganizationID},
		[]any{&revision})
	switch {
	case err != nil:
		return err
	case !found:
		return webhook.ErrNotFound
	}
	return webhook.ErrConflict
}

// DeleteSubscription implements [webhook.SubscriptionStore].
func (s *Store) DeleteSubscription(
	ctx context.Context, organizationID, id string, revision int64,
) error {
	from, to := revision, revision
	if revision == 0 { // a subscription that was created before 1970 has a negative revision
		from, to = math.MinInt64, math.MaxInt64
	}
	sub := &webhook.Subscription{ID: id, OrganizationID: organizationID}
	return s.change(ctx, organizationID, func(ctx context.Context, q Querier, version int64) error {
		n, err := q.Exec(ctx, s.subscriptions.remove, id, organizationID, from, to)
		if err != nil {
			return err
		}
		if n == 0 {
			return s.conflict(ctx, q, sub)
		}
		if _, err := q.Exec(ctx, s.positions.removeAll, organizationID, id); err != nil {
			return err
		}
		none, less, err := s.setEndpoints(ctx, q, sub, nil)
		if err != nil {
			return err
		}
		if err := s.countSubscriptions(ctx, q, organizationID, -1, less, webhook.Quota{}); err != nil {
			return err
		}
		return s.bury(ctx, q, organizationID, id, version, none)
	})
}

// bury marks the route of a subscription as deleted, and removes those that were deleted long before.
func (s *Store) bury(
	ctx context.Context, q Querier, organizationID, id string, version int64, endpoints string,
) error {
	var purged int64
	if _, err := one(ctx, q, s.routing.old, []any{organizationID, version - changesKept},
		[]any{&purged}); err != nil {
		return err
	}
	_, err := q.Exec(ctx, s.routing.bury, version, purged, endpoints, organizationID, id)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, s.routing.purge, organizationID, purged)
	return err
}

// change runs fn in a transaction with the next version of the organization. Taking the version
// locks the organization, so no other change of its subscriptions runs until the transaction ends.
func (s *Store) change(
	ctx context.Context, organizationID string,
	fn func(ctx context.Context, q Querier, version int64) error,
) error {
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		version, err := s.raise(ctx, q, organizationID)
		if err != nil {
			return err
		}
		return fn(ctx, q, version)
	})
}

// setEndpoints gives the subscription one endpoint for each channel key. It returns them in the
// form for the row of a route, and by how many they have grown.
func (s *Store) setEndpoints(
	ctx context.Context, q Querier, sub *webhook.Subscription, keys []string,
) (encoded string, more int, err error) {
	state := int64(endpointActive)
	if sub.Paused {
		state = endpointPaused
	}
	stored := make(map[string]routedEndpoint)
	err = collect(ctx, q, func(rows scanner) error {
		var e routedEndpoint
		var health int
		err := rows.Scan(&e.ID, &e.Channel, &health)
		e.Held = health != healthy
		stored[e.Channel] = e
		return err
	}, s.subscriptions.endpoints, sub.ID)
	if err != nil {
		return "", 0, err
	}
	more = len(keys) - len(stored)
	routed := make([]routedEndpoint, len(keys))
	for i, key := range keys {
		e, ok := stored[key]
		if ok {
			delete(stored, key)
			_, err = q.Exec(ctx, s.subscriptions.setEndpoint, state, e.ID)
		} else {
			e.Channel = key
			if e.ID, err = s.newEndpointID(ctx, q, sub.OrganizationID); err != nil {
				return "", 0, err
			}
			_, err = q.Exec(ctx, s.subscriptions.addEndpoint, e.ID, sub.OrganizationID, sub.ID, key, state)
		}
		if err != nil {
			return "", 0, err
		}
		e.Ordered = sub.Ordering != nil
		routed[i] = e
	}
	for _, e := range stored {
		if _, err := q.Exec(ctx, s.subscriptions.removeEndpoint, e.ID); err != nil {
			return "", 0, err
		}
	}
	raw, err := json.Marshal(routed)
	return string(raw), more, err
}

// newEndpointID returns the id of a new endpoint: see endpointBits.
func (s *Store) newEndpointID(ctx context.Context, q Querier, organizationID string) (int64, error) {
	var number, n int64
	found, err := s.subscriptions.nextEndpoint.run(ctx, q, organizationID, nil, []any{&number, &n})
	if err == nil && (!found || n >= 1<<endpointBits) {
		err = fmt.Errorf("sqlstore: the organization has had %d endpoints, which is the "+
			"maximum", n)
	}
	return number<<endpointBits | n, err
}

func (s *Store) encodeSubscription(
	ctx context.Context, sub *webhook.Subscription,
) (eventTypes, channels string, err error) {
	types, err := json.Marshal(sub.EventTypes)
	if err != nil {
		return "", "", err
	}
	channels, err = s.encodeChannels(ctx, sub)
	return string(types), channels, err
}

// encodeOptional returns the JSON of what a column has, or nil, which is NULL.
func encodeOptional[T any](value *T) (any, error) {
	if value == nil {
		return nil, nil
	}
	encoded, err := json.Marshal(value)
	return string(encoded), err
}

func scanSubscription(rows scanner) (*storedSubscription, error) {
	var w storedSubscription
	var eventTypes, retry, limit, ordering []byte
	var paused, createdAt, updatedAt int64
	err := rows.Scan(&w.ID, &w.OrganizationID, &w.Name, &eventTypes, &w.channels, &paused, &createdAt,
		&updatedAt, &w.Revision, &retry, &limit, &ordering)
	if err != nil {
		return nil, err
	}
	w.Paused, w.CreatedAt, w.UpdatedAt = paused != 0, moment(createdAt), moment(updatedAt)
	if err := json.Unmarshal(eventTypes, &w.EventTypes); err != nil {
		return nil, fmt.Errorf("sqlstore: subscription %s: its event types: %w", w.ID, err)
	}
	if retry != nil {
		if err := json.Unmarshal(retry, &w.Retry); err != nil {
			return nil, fmt.Errorf("sqlstore: subscription %s: its retry policy: %w", w.ID, err)
		}
	}
	if limit != nil {
		if err := json.Unmarshal(limit, &w.RateLimit); err != nil {
			return nil, fmt.Errorf("sqlstore: subscription %s: its rate limit: %w", w.ID, err)
		}
	}
	if ordering != nil {
		if err := json.Unmarshal(ordering, &w.Ordering); err != nil {
			return nil, fmt.Errorf("sqlstore: subscription %s: its ordering: %w", w.ID, err)
		}
	}
	return &w, w.decodeChannels()
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

type listingStatements struct {
	// page selects subscriptions, types the same without names and channels.
	page, types, count string
}

func newListingStatements(x expander) listingStatements {
	// The index has all columns of the condition.
	const organization = ` FROM {p}webhooks WHERE organization_id = ? AND paused >= ? AND paused <= ?`
	const page = organization + ` AND (created_at, id) > (?, ?)
		ORDER BY created_at, id LIMIT ? OFFSET ?`
	return listingStatements{
		page: x.sql(`SELECT ` + subscriptionColumns + page),
		types: x.sql(`SELECT id, organization_id, '', event_types, '[]', paused, created_at, updated_at,
			revision, null, null, null` + page),
		count: x.sql(`SELECT count(*)` + organization),
	}
}

// Subscriptions implements [webhook.SubscriptionStore]. Configs that cannot be opened are null, so
// that one such subscription does not hide the others. [Store.Subscription] returns the reason. A
// Dispatcher refuses to store null configs.
func (s *Store) Subscriptions(
	ctx context.Context, query webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	found, err := s.listSubscriptions(ctx, query)
	if err != nil {
		return nil, err
	}
	var page []*webhook.Subscription
	for _, w := range found {
		if err := s.openConfigs(ctx, w); err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		page = append(page, &w.Subscription)
	}
	return page, nil
}

// listSubscriptions is Subscriptions without opening sealed configs.
func (s *Store) listSubscriptions(
	ctx context.Context, query webhook.SubscriptionQuery,
) ([]*storedSubscription, error) {
	if query.EventType == "" {
		limit := query.Limit
		if limit <= 0 {
			limit = math.MaxInt
		}
		return s.querySubscriptions(ctx, s.subscriptions.listing.page,
			pageOf(query, limit, max(query.Offset, 0))...)
	}
	var found []*storedSubscription
	skip := query.Offset
	err := s.walkSubscriptions(ctx, query, s.subscriptions.listing.page,
		func(w *storedSubscription) bool {
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
func (s *Store) CountSubscriptions(
	ctx context.Context, query webhook.SubscriptionQuery,
) (int, error) {
	query.After = webhook.SubscriptionCursor{}
	n := 0
	if query.EventType == "" {
		least, most := pausedBounds(query)
		_, err := one(ctx, s.read, s.subscriptions.listing.count,
			[]any{query.OrganizationID, least, most}, []any{&n})
		return n, s.mapped(err)
	}
	err := s.walkSubscriptions(ctx, query, s.subscriptions.listing.types,
		func(*storedSubscription) bool {
			n++
			return true
		})
	return n, err
}

// walkStep is how many subscriptions are in memory at a time during a search by event type.
const walkStep = 100

// walkSubscriptions visits the subscriptions that fit the filters, from After on, until
// visit returns false.
func (s *Store) walkSubscriptions(
	ctx context.Context, query webhook.SubscriptionQuery, statement string,
	visit func(*storedSubscription) bool,
) error {
	leave, err := s.scans.enter(ctx, query.OrganizationID)
	if err != nil {
		return err
	}
	defer leave()
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
	return []any{query.OrganizationID, least, most, micros(query.After.CreatedAt), query.After.ID,
		limit, offset}
}

// pausedBounds returns the smallest and the largest value of paused to select.
func pausedBounds(query webhook.SubscriptionQuery) (least, most int64) {
	if query.Paused == nil {
		return 0, 1
	}
	return flag(*query.Paused), flag(*query.Paused)
}
