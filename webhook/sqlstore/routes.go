package sqlstore

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

// Every change of a subscription takes the next version of its organization, and keeps the
// organization's row locked until it commits. So versions are committed in order and without gaps.
// The row of a route has the version of its last change, so the routes with a higher version than a
// known one are those that have changed since.
//
// A deleted subscription leaves a row for at least the next changesKept changes. When a later one is
// deleted, its row says which versions were removed: a process whose version is older than one of
// those cannot know which routes are gone, and reads all of them again. Other changes remove nothing,
// so that a process reads only what has changed, however many they were.
const changesKept = 256

const (
	// routesPage is how many routes are read at a time.
	routesPage = 500
	// maxRoutesBytes bounds the memory for the routes of the organizations that emitted last, in
	// bytes: that of large ones, each of which has more than largeRoutes, and that of all others. The
	// routes of a single large organization may take more.
	maxRoutesBytes = 64 << 20
	largeRoutes    = maxRoutesBytes / 8
)

type routeStatements struct {
	versions, changes string
	raise             organizationChange
	add, set          string
	old, bury, purge  string
}

func newRouteStatements(x expander) routeStatements {
	return routeStatements{
		versions: x.sql(`SELECT {versions}`),
		changes: x.sql(`SELECT version, webhook_id, created_at, revision, paused, deleted, purged,
			event_types, endpoints
			FROM {p}routes WHERE organization_id = ? AND version > ? ORDER BY version LIMIT ?`),
		raise: x.organizationChange(`INSERT INTO {p}organizations (version, organization_id)
			VALUES (1, ?)
			ON CONFLICT (organization_id) DO UPDATE SET version = {p}organizations.version + 1`, `version`),
		add: x.sql(`INSERT INTO {p}routes (version, revision, paused, deleted, event_types, endpoints,
			organization_id, webhook_id, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (organization_id, webhook_id) DO UPDATE
				SET version = excluded.version, revision = excluded.revision,
				paused = excluded.paused, deleted = excluded.deleted, event_types = excluded.event_types,
				endpoints = excluded.endpoints, created_at = excluded.created_at`),
		set: x.sql(`UPDATE {p}routes SET version = ?, revision = ?, paused = ?, event_types = ?,
			endpoints = ?
			WHERE organization_id = ? AND webhook_id = ?`),
		old: x.sql(`SELECT coalesce(max(version), 0) FROM {p}routes
			WHERE organization_id = ? AND version <= ? AND deleted = 1`),
		bury: x.sql(`UPDATE {p}routes SET version = ?, revision = 0, paused = 0, deleted = 1, purged = ?,
			event_types = '[]', endpoints = ? WHERE organization_id = ? AND webhook_id = ?`),
		purge: x.sql(`DELETE FROM {p}routes WHERE organization_id = ? AND version <= ? AND deleted = 1`),
	}
}

// routedEndpoint is the JSON of an endpoint in the row of a route.
type routedEndpoint struct {
	ID      int64  `json:"id"`
	Channel string `json:"channel"`
	// Held says that the endpoint is not healthy, so that nothing is prefetched for it.
	Held bool `json:"held,omitempty"`
	// Ordered says that its subscription has an Ordering.
	Ordered bool `json:"ordered,omitempty"`
}

// routes are those of one organization at one version. They never change, so that transactions can
// share them. Nil stands for an organization that never had a subscription.
type routes struct {
	organizationID string
	version        int64
	table          *match.Table
}

func (r *routes) targets(eventType string) []match.Target {
	if r == nil {
		return nil
	}
	return r.table.Targets(eventType)
}

// routeCache keeps the routes of the organizations that emitted last. A large organization takes the
// place of other large ones only, so that those of all others are not read again and again for it.
// The zero value is ready to use.
type routeCache struct {
	mu            sync.Mutex
	entries       map[string]*list.Element // of *routes
	others, large recentRoutes
}

// recentRoutes are routes, and how many bytes they take together.
type recentRoutes struct {
	used list.List // the last one first
	size int
}

// like returns the routes among which r counts.
func (c *routeCache) like(r *routes) *recentRoutes {
	if r.size() > largeRoutes {
		return &c.large
	}
	return &c.others
}

// get returns the routes that are in memory, by organization.
func (c *routeCache) get(organizationIDs []string) map[string]*routes {
	known := make(map[string]*routes, len(organizationIDs))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range organizationIDs {
		if e := c.entries[id]; e != nil {
			known[id] = e.Value.(*routes)
			c.like(known[id]).used.MoveToFront(e)
		}
	}
	return known
}

// put replaces the routes that the caller had before, unless another call has put newer ones.
func (c *routeCache) put(before, r *routes) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = make(map[string]*list.Element)
	}
	if e := c.entries[r.organizationID]; e != nil {
		there := e.Value.(*routes)
		if there != before && there.version >= r.version {
			return
		}
		c.remove(e)
	}
	kind := c.like(r)
	c.entries[r.organizationID] = kind.used.PushFront(r)
	kind.size += r.size()
	for kind.size > maxRoutesBytes && kind.used.Len() > 1 {
		c.remove(kind.used.Back())
	}
}

func (c *routeCache) remove(e *list.Element) {
	r := e.Value.(*routes)
	kind := c.like(r)
	kind.used.Remove(e)
	kind.size -= r.size()
	delete(c.entries, r.organizationID)
}

func (r *routes) size() int { return 256 + r.table.Size() }

// maxLoads is how often an Enqueue reads routes before its transaction. If they are still missing
// then, it reads them inside.
const maxLoads = 3

// errBehind says that routes must be read outside of the transaction, because there may be many.
var errBehind = errors.New("sqlstore: routes must be read before the transaction")

// follow brings the routes to the versions that the transaction has read. In the caller's
// transaction it reads all that is missing. In a transaction of the store it returns errBehind if
// that may be much, so that other transactions need not wait.
func (s *Store) follow(
	ctx context.Context, q Querier, e *enqueuing, versions map[string]int64,
) (changed bool, err error) {
	for id, version := range versions {
		before := e.routes[id]
		known := before
		switch {
		case known == nil:
		case known.version == version:
			continue
		case known.version > version && e.callers:
			continue // the transaction's snapshot is an old one
		case known.version > version:
			known = nil // the database went back to an earlier state
		}
		behind := known == nil || version-known.version > changesKept
		if behind && !e.callers && e.loads < maxLoads {
			return false, errBehind
		}
		if e.routes[id], err = s.readRoutes(ctx, q, id, known, version); err != nil {
			return false, err
		}
		s.routes.put(before, e.routes[id])
		changed = true
	}
	return changed, nil
}

// loadRoutes reads the routes that are not in memory or far out of date, outside of any
// transaction.
func (s *Store) loadRoutes(ctx context.Context, organizationIDs []string) error {
	known := s.routes.get(organizationIDs)
	versions, err := s.versions(ctx, s.read, organizationIDs)
	if err != nil {
		return err
	}
	for id, version := range versions {
		before := known[id]
		base := before
		switch {
		case before == nil:
		case before.version > version:
			base = nil
		case version-before.version <= changesKept:
			continue
		}
		r, err := s.readRoutes(ctx, s.read, id, base, version)
		if err != nil {
			return err
		}
		s.routes.put(before, r)
	}
	return nil
}

// versions returns the versions of the organizations that have had subscriptions.
func (s *Store) versions(
	ctx context.Context, q Querier, organizationIDs []string,
) (map[string]int64, error) {
	var encoded []byte
	if _, err := one(ctx, q, s.routing.versions, []any{s.x.dialect.texts(organizationIDs)},
		[]any{&encoded}); err != nil {
		return nil, err
	}
	return decodeVersions(encoded)
}

func decodeVersions(encoded []byte) (versions map[string]int64, err error) {
	if err = json.Unmarshal(encoded, &versions); err != nil {
		err = fmt.Errorf("sqlstore: the versions of organizations: %w", err)
	}
	return versions, err
}

// readRoutes returns the routes of an organization at the version, or a later
// one. It reads what changed since those that are known, or all if none are.
func (s *Store) readRoutes(
	ctx context.Context, q Querier, id string, known *routes, version int64,
) (*routes, error) {
	for {
		next := &routes{organizationID: id}
		since := version // what was deleted after it must still be there to be read
		var table *match.Table
		if known != nil {
			next.version, since, table = known.version, known.version, known.table
		}
		changes, purged, err := s.readChanges(ctx, q, next)
		if err != nil {
			return nil, err
		}
		next.version = max(next.version, version)
		if purged <= since {
			next.table = table.With(changes...)
			return next, nil
		}
		known, version = nil, next.version
	}
}

// readChanges reads page by page what changed after the version, and sets the version of the last
// change. Rows of deleted subscriptions up to the version purged were removed meanwhile.
func (s *Store) readChanges(
	ctx context.Context, q Querier, r *routes,
) (changes []match.Route, purged int64, err error) {
	for n := routesPage; n == routesPage; {
		n = 0
		err := collect(ctx, q, func(row scanner) error {
			n++
			changed, err := scanRoute(row, &r.version, &purged)
			changes = append(changes, changed)
			return err
		}, s.routing.changes, r.organizationID, r.version, routesPage)
		if err != nil {
			return nil, 0, err
		}
	}
	return changes, purged, nil
}

// scanRoute reads a route, sets the version to its own, and raises purged to its own.
func scanRoute(row scanner, version, purged *int64) (match.Route, error) {
	var id string
	var createdAt, revision, paused, deleted, removed int64
	var eventTypes, endpoints []byte
	if err := row.Scan(version, &id, &createdAt, &revision, &paused, &deleted, &removed, &eventTypes,
		&endpoints); err != nil {
		return match.Route{}, err
	}
	*purged = max(*purged, removed)
	r := match.Route{At: webhook.SubscriptionCursor{CreatedAt: moment(createdAt), ID: id}}
	if deleted != 0 {
		return r, nil
	}
	var routed []routedEndpoint
	if err := errors.Join(json.Unmarshal(eventTypes, &r.EventTypes),
		json.Unmarshal(endpoints, &routed)); err != nil {
		return r, fmt.Errorf("sqlstore: the route of subscription %s: %w", id, err)
	}
	for _, e := range routed {
		r.Targets = append(r.Targets, match.Target{
			Endpoint:   webhook.Endpoint{SubscriptionID: id, Channel: e.Channel},
			EndpointID: e.ID, Revision: revision, Paused: paused != 0 || e.Held, Ordered: e.Ordered,
		})
	}
	return r, nil
}

// organizationChange is a statement that changes the row of an organization, whose id is its last
// parameter, and returns columns of the row.
type organizationChange struct {
	change string
	// read selects the columns. It is empty if change returns them.
	read string
}

func (x expander) organizationChange(change, columns string) organizationChange {
	if x.dialect.returning() {
		return organizationChange{change: x.sql(change + ` RETURNING ` + columns)}
	}
	return organizationChange{
		change: x.sql(change),
		read:   x.sql(`SELECT ` + columns + ` FROM {p}organizations WHERE organization_id = ?`),
	}
}

// run runs the statement with the parameters args. It reports whether the organization has a row.
func (o organizationChange) run(
	ctx context.Context, q Querier, organizationID string, args, into []any,
) (found bool, err error) {
	args = append(args, organizationID)
	if o.read == "" {
		return one(ctx, q, o.change, args, into)
	}
	if _, err := q.Exec(ctx, o.change, args...); err != nil {
		return false, err
	}
	return one(ctx, q, o.read, []any{organizationID}, into) // the change has locked the row
}

// raise returns the next version of the organization, and locks the organization until the
// transaction ends.
func (s *Store) raise(
	ctx context.Context, q Querier, organizationID string,
) (version int64, err error) {
	_, err = s.routing.raise.run(ctx, q, organizationID, nil, []any{&version})
	return version, err
}
