package sqlstore

import (
	"context"
	"math"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type totalsStatements struct {
	number                   string
	unfinished, dead, oldest string
	holding                  string
	unhealthy, unhealthyOf   string
	fanOuts                  string
}

func newTotalsStatements(x expander) totalsStatements {
	const first = `(SELECT due_at FROM {p}deliveries WHERE due_at IS NOT NULL
		AND endpoint_id = w.endpoint_id AND {attempted} = `
	const unhealthy = `SELECT count(CASE WHEN health = 1 THEN 1 END),
		count(CASE WHEN health = 2 THEN 1 END)
		FROM (SELECT health FROM {p}endpoints WHERE health > 0 AND state < 2 `
	return totalsStatements{
		number: x.sql(`SELECT coalesce(number, 0) FROM {p}organizations WHERE organization_id = ?`),
		// One statement, so that it neither misses what moves from one place to another meanwhile, nor
		// counts it twice. It reads a part of the queue's index in its order, and one row for each entry.
		// The endpoints are looked up one by one, whatever the database knows of the sizes.
		unfinished: x.sql(`SELECT 0 AS place, v.state, v.endpoint_state, v.health,
				coalesce(sum(v.n), 0) AS n, min(v.due_at) AS due_at
			FROM (
				SELECT u.state, u.n, u.due_at,
					(SELECT p.state FROM {p}endpoints p WHERE p.id = u.endpoint_id) AS endpoint_state,
					(SELECT p.health FROM {p}endpoints p WHERE p.id = u.endpoint_id) AS health FROM (
					SELECT q.endpoint_id, q.state, count(*) AS n, min(q.due_at) AS due_at FROM (
						SELECT d.endpoint_id, d.state, d.due_at FROM {p}deliveries d
						WHERE d.due_at IS NOT NULL AND d.endpoint_id > ? AND d.endpoint_id <= ?
						ORDER BY d.endpoint_id LIMIT ?) q
					GROUP BY q.endpoint_id, q.state) u) v
			WHERE v.endpoint_state < 2 GROUP BY v.state, v.endpoint_state, v.health
			UNION ALL SELECT 1, 0, u.endpoint_state, 0, count(*), 0 FROM (
				SELECT (SELECT p.state FROM {p}endpoints p WHERE p.id = w.endpoint_id) AS endpoint_state FROM (
					SELECT d.endpoint_id FROM {p}deliveries d
					WHERE ` + inLine + ` AND d.endpoint_id > ? AND d.endpoint_id <= ?
					ORDER BY d.endpoint_id LIMIT ?) w) u
			WHERE u.endpoint_state < 2 GROUP BY u.endpoint_state
			UNION ALL SELECT 2, 1, u.state, u.health, count(*), min(u.until) FROM (
				SELECT p.state, p.health, l.until ` + prefetched +
			` AND p.state < 2 AND d.endpoint_id > ? AND d.endpoint_id <= ? LIMIT ?) u
			GROUP BY u.state, u.health`),
		dead: x.sql(`SELECT count(*) FROM (SELECT d.endpoint_id FROM {p}deliveries d
			WHERE d.kept = 3 AND d.endpoint_id > ? AND d.endpoint_id <= ?
			ORDER BY d.endpoint_id LIMIT ?) u`),
		holding: x.sql(`SELECT count(*), coalesce(min(u.kept_at), 0) FROM (
			SELECT d.kept_at FROM {p}deliveries d
			WHERE d.kept = 3 AND d.turn = 2 AND d.endpoint_id > ? AND d.endpoint_id <= ?
			ORDER BY d.endpoint_id, d.kept_at LIMIT ?) u`),
		// It walks from endpoint to endpoint, as claims do: not over those that are paused or degraded.
		oldest: x.sql(`WITH RECURSIVE visited (endpoint_id, n) AS (
				SELECT (SELECT endpoint_id FROM {p}deliveries WHERE due_at IS NOT NULL AND parked = 0
					AND endpoint_id > ? ORDER BY endpoint_id LIMIT 1), 1
				UNION ALL
				SELECT (SELECT endpoint_id FROM {p}deliveries WHERE due_at IS NOT NULL AND parked = 0
					AND endpoint_id > visited.endpoint_id ORDER BY endpoint_id LIMIT 1), visited.n + 1
				FROM visited WHERE visited.endpoint_id <= ? AND visited.n < ?
			)
			SELECT coalesce(min(f.fresh), ?), coalesce(min(f.retried), ?) FROM (
				SELECT ` + first + `0 ORDER BY due_at LIMIT 1) AS fresh,
					` + first + `1 ORDER BY due_at LIMIT 1) AS retried
				FROM visited w WHERE w.endpoint_id <= ?
					AND (SELECT p.state + p.health FROM {p}endpoints p WHERE p.id = w.endpoint_id) = 0) f`),
		fanOuts: x.sql(`SELECT count(DISTINCT u.event_id), coalesce(min(u.created_at), 0) FROM (
				SELECT d.event_id, e.created_at FROM {p}fanouts d {join} {p}events e ON e.id = d.event_id
				WHERE d.first_id > 0 ORDER BY d.first_id LIMIT ?) u`),
		// The order is that of the index.
		unhealthy:   x.sql(unhealthy + `ORDER BY organization_id, webhook_id, channel LIMIT ?) u`),
		unhealthyOf: x.sql(unhealthy + `AND organization_id = ? ORDER BY webhook_id, channel LIMIT ?) u`),
	}
}

// minOldest and maxOldest bound how many endpoints Totals looks at for the oldest delivery that is
// due, when there are too many deliveries to look at all of them: a tenth of the query's Limit, because
// an endpoint costs ten times what counting a delivery does.
const (
	minOldest = 1_000
	maxOldest = 10_000
)

// Totals implements [webhook.History]. It reads up to the limit entries of the queue's index, and
// of that of dead deliveries, and the rows of the table leases. If there are more in the queue, the
// oldest is looked for among these entries, and among a tenth as many endpoints as the limit says, but
// at least 1,000 and at most 10,000.
func (s *Store) Totals(
	ctx context.Context, now time.Time, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	if !q.AllOrganizations {
		leave, err := s.scans.enter(ctx, q.OrganizationID)
		if err != nil {
			return webhook.Totals{}, err
		}
		defer leave()
	}
	t, err := s.readTotals(ctx, micros(now), q)
	if err != nil {
		return webhook.Totals{}, s.mapped(err)
	}
	return t, nil
}

func (s *Store) readTotals(
	ctx context.Context, now int64, q webhook.TotalsQuery,
) (t webhook.Totals, err error) {
	from, to := int64(0), int64(math.MaxInt64)
	if !q.AllOrganizations {
		var number int64
		_, err = one(ctx, s.read, s.totals.number, []any{q.OrganizationID}, []any{&number})
		if err != nil || number == 0 { // it has had no endpoint
			return t, err
		}
		from, to = endpointIDRange(number)
	}
	limit := q.CountLimit()
	oldest, more, err := s.countPlaces(ctx, &t, from, to, limit)
	if err != nil {
		return t, err
	}
	if _, err = one(ctx, s.read, s.totals.dead, []any{from, to, limit}, []any{&t.Dead}); err != nil {
		return t, err
	}
	t.MoreDead = t.Dead >= int64(limit)
	var oldestHolding int64
	if _, err = one(ctx, s.read, s.totals.holding, []any{from, to, limit},
		[]any{&t.Holding, &oldestHolding}); err != nil {
		return t, err
	}
	t.OldestHolding = momentOrZero(oldestHolding)
	if err = s.countUnhealthy(ctx, &t, q); err != nil {
		return t, err
	}
	if q.AllOrganizations {
		if err = s.countFanOuts(ctx, &t, limit); err != nil {
			return t, err
		}
	}
	if more {
		found, err := s.oldest(ctx, from, to, limit)
		if err != nil {
			return t, err
		}
		oldest = min(oldest, found)
	}
	if oldest <= now {
		t.OldestDue = moment(oldest)
	}
	return t, nil
}

// The places of deliveries that are unfinished, as [totalsStatements.unfinished] numbers them.
const (
	inQueue = iota
	waitingInLine
	underLeases
)

// countPlaces counts what is unfinished. oldest is the first time at which any of that is due, or
// its lease ends, for endpoints that are neither paused nor degraded. more says that there is more in
// the queue, so that oldest may be too late.
func (s *Store) countPlaces(
	ctx context.Context, t *webhook.Totals, from, to int64, limit int,
) (oldest int64, more bool, err error) {
	oldest = math.MaxInt64
	var counted [underLeases + 1]int64
	err = collect(ctx, s.read, func(row scanner) error {
		var place, state, endpointState, health int
		var n, due int64
		err := row.Scan(&place, &state, &endpointState, &health, &n, &due)
		if err != nil {
			return err
		}
		t.CountUnfinished(reported(state, endpointState), n)
		counted[place] += n
		if place != waitingInLine && endpointState == endpointActive && health == 0 {
			oldest = min(oldest, due)
		}
		return nil
	}, s.totals.unfinished, from, to, limit, from, to, limit, from, to, limit)
	t.InLine = counted[waitingInLine]
	for _, n := range counted {
		t.MoreUnfinished = t.MoreUnfinished || n >= int64(limit)
	}
	return oldest, counted[inQueue] >= int64(limit), err
}

// countUnhealthy counts the endpoints that are not healthy.
func (s *Store) countUnhealthy(
	ctx context.Context, t *webhook.Totals, q webhook.TotalsQuery,
) error {
	statement, args := s.totals.unhealthyOf, []any{q.OrganizationID, q.CountLimit()}
	if q.AllOrganizations {
		statement, args = s.totals.unhealthy, args[1:]
	}
	_, err := one(ctx, s.read, statement, args, []any{&t.DegradedEndpoints, &t.DisabledEndpoints})
	return err
}

// countFanOuts counts the events that are left to FanOut.
func (s *Store) countFanOuts(ctx context.Context, t *webhook.Totals, limit int) error {
	var created int64
	_, err := one(ctx, s.read, s.totals.fanOuts, []any{min(limit, maxUnfinished)},
		[]any{&t.FanOuts, &created})
	t.OldestFanOut = momentOrZero(created)
	return err
}

func (s *Store) oldest(ctx context.Context, from, to int64, limit int) (int64, error) {
	var fresh, retried int64
	endpoints := min(max(limit/10, minOldest), maxOldest)
	_, err := one(ctx, s.read, s.totals.oldest,
		[]any{from, to, endpoints, int64(math.MaxInt64), int64(math.MaxInt64), to},
		[]any{&fresh, &retried})
	return min(fresh, retried), err
}
