package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type pruneStatements struct {
	fresh, checked     string
	cancel             string
	old, remove        string
	removeEvents, idle string
	removeIdle         string
	oldest, blocks     string
	endpoints, note    string
	// figures are those of removed channels, oldFigures those of long ago.
	figures, oldFigures string
}

func newPruneStatements(x expander) pruneStatements {
	// Those of the given events that have no deliveries any more. In this form PostgreSQL checks each
	// of them instead of joining all deliveries.
	const emptied = `id {in} AND last_id > id AND (
		SELECT d.id FROM {p}deliveries d
		WHERE d.id > {p}events.id AND d.id <= {p}events.last_id AND d.event_id = {p}events.id
			LIMIT 1) IS NULL`
	const figures = `DELETE FROM {p}statistics WHERE (endpoint_id, hour, shard) IN (
		SELECT endpoint_id, hour, shard FROM {p}statistics WHERE `
	return pruneStatements{
		fresh: x.sql(`SELECT id FROM {p}endpoints WHERE state = 2 AND pruned_at IS NULL
			ORDER BY pruned_at LIMIT ?`),
		checked: x.sql(`SELECT id FROM {p}endpoints WHERE state = 2 AND pruned_at < ? ORDER BY pruned_at
			LIMIT ?`),
		cancel: x.sql(`UPDATE {p}deliveries SET state = 4, at = ? WHERE id IN (
			SELECT d.id FROM {p}deliveries d WHERE d.endpoint_id {in} AND d.state < 2 LIMIT ?)`),
		old: x.sql(`SELECT id, event_id FROM {p}deliveries d WHERE state = ? AND state >= 2
			AND at < ? ORDER BY at LIMIT ? {skiplocked}`),
		remove:       x.sql(`DELETE FROM {p}deliveries WHERE id {in}`),
		removeEvents: x.sql(`DELETE FROM {p}events WHERE created_at < ? AND ` + emptied),
		idle:         x.sql(`UPDATE {p}events SET last_id = id WHERE ` + emptied),
		removeIdle: x.sql(`DELETE FROM {p}events WHERE id IN (
			SELECT id FROM {p}events WHERE last_id = id AND created_at < ? ORDER BY created_at LIMIT ?)`),
		oldest: x.sql(`SELECT coalesce((SELECT min(id) FROM {p}deliveries), {nextid})`),
		blocks: x.sql(`DELETE FROM {p}blocks WHERE {blocksbelow}`),
		endpoints: x.sql(`DELETE FROM {p}endpoints WHERE id {in} AND state = 2 AND pruned_at < ?
			AND NOT EXISTS (SELECT 1 FROM {p}blocks b WHERE b.endpoint_id = {p}endpoints.id)`),
		note:       x.sql(`UPDATE {p}endpoints SET pruned_at = ? WHERE id {in} AND state = 2`),
		figures:    x.sql(figures + `endpoint_id {in} LIMIT ?)`),
		oldFigures: x.sql(figures + `hour < ? LIMIT ?)`),
	}
}

// Prune implements [webhook.History]. It settles the deliveries of deleted subscriptions, and
// removes old figures and deleted endpoints, in transactions of r.Limit rows or 500 endpoints. It
// visits a deleted endpoint once, and then once a day for as long as deliveries of it are kept. So
// deliveries of a transaction that was open when the endpoint was deleted are settled a day later.
func (s *Store) Prune(ctx context.Context, now time.Time, r webhook.PruneRequest) (int, error) {
	if r.Limit < 1 {
		return 0, fmt.Errorf("sqlstore: pruning needs a Limit of at least 1, not %d", r.Limit)
	}
	if err := s.pruneDeleted(ctx, now, r.Limit); err != nil {
		return 0, err
	}
	err := s.inSteps(ctx, r.Limit, s.prune.oldFigures, hourOf(now.Add(-webhook.StatisticsKept)),
		r.Limit)
	if err != nil {
		return 0, err
	}
	p := &pruning{request: r}
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		p.removed = 0
		for _, old := range []struct {
			state  int
			before time.Time
		}{{stateSucceeded, r.SucceededBefore}, {stateCancelled, r.SucceededBefore},
			{stateDead, r.DeadBefore}} {
			if old.before.IsZero() {
				continue
			}
			if err := s.removeDeliveries(ctx, q, p, old.state, micros(old.before)); err != nil {
				return err
			}
		}
		if !r.SucceededBefore.IsZero() {
			n, err := q.Exec(ctx, s.prune.removeIdle, micros(r.SucceededBefore), p.left())
			if err != nil {
				return err
			}
			p.removed += int(n)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := s.removeBlocks(ctx, r.Limit); err != nil {
		return 0, err
	}
	return p.removed, nil
}

// pruning is one call of Prune.
type pruning struct {
	request webhook.PruneRequest
	removed int
}

func (p *pruning) left() int { return p.request.Limit - p.removed }

const (
	// deletedPage is how many deleted endpoints are read at a time.
	deletedPage = 500
	// endpointsStay is after how long a deleted endpoint is visited again, and removed if it has no
	// deliveries any more.
	endpointsStay = 24 * time.Hour
)

// pruneDeleted settles the deliveries of endpoints that are newly deleted or were visited a day
// ago. It removes their figures, and those endpoints that have no deliveries any more.
func (s *Store) pruneDeleted(ctx context.Context, now time.Time, limit int) error {
	before := micros(now.Add(-endpointsStay))
	for _, due := range []struct {
		query string
		args  []any
	}{{s.prune.fresh, []any{deletedPage}}, {s.prune.checked, []any{before, deletedPage}}} {
		for n := deletedPage; n == deletedPage; {
			ids, err := s.deletedEndpoints(ctx, due.query, due.args...)
			if err != nil {
				return err
			}
			if n = len(ids); n == 0 {
				break
			}
			if err := s.pruneEndpoints(ctx, micros(now), before, limit, s.x.dialect.ints(ids)); err != nil {
				return err
			}
		}
	}
	return nil
}

// deletedEndpoints reads in a transaction of the writer, which sees the changes of the page before.
func (s *Store) deletedEndpoints(
	ctx context.Context, query string, args ...any,
) (ids []int64, err error) {
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		ids = nil
		return collect(ctx, q, func(row scanner) error {
			var id int64
			err := row.Scan(&id)
			ids = append(ids, id)
			return err
		}, query, args...)
	})
	return ids, err
}

func (s *Store) pruneEndpoints(
	ctx context.Context, now, before int64, limit int, ids string,
) error {
	if err := s.inSteps(ctx, limit, s.prune.cancel, now, ids, limit); err != nil {
		return err
	}
	if err := s.inSteps(ctx, limit, s.prune.figures, ids, limit); err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		if _, err := q.Exec(ctx, s.prune.endpoints, ids, before); err != nil {
			return err
		}
		_, err := q.Exec(ctx, s.prune.note, now, ids)
		return err
	})
}

// inSteps runs a statement, each time in a transaction of its own, until it
// changes less than limit rows.
func (s *Store) inSteps(ctx context.Context, limit int, statement string, args ...any) error {
	for n := int64(limit); n >= int64(limit); {
		err := s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			n, err = q.Exec(ctx, statement, args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// removeDeliveries removes the deliveries that were settled as state before the time, and their
// events if they have no other deliveries and are old enough. In each of a few rounds it leaves
// half of the limit for events.
func (s *Store) removeDeliveries(
	ctx context.Context, q Querier, p *pruning, state int, before int64,
) error {
	for p.left() > 0 {
		var ids, events []int64
		err := collect(ctx, q, func(rows scanner) error {
			var id, event int64
			err := rows.Scan(&id, &event)
			ids, events = append(ids, id), append(events, event)
			return err
		}, s.prune.old, state, before, (p.left()+1)/2)
		if err != nil || len(ids) == 0 {
			return err
		}
		n, err := q.Exec(ctx, s.prune.remove, s.x.dialect.ints(ids))
		if err != nil {
			return err
		}
		p.removed += int(n)
		if err := s.removeEmptied(ctx, q, p, events); err != nil {
			return err
		}
	}
	return nil
}

// removeEmptied removes old events that have no deliveries any more, and marks younger ones for
// later.
func (s *Store) removeEmptied(ctx context.Context, q Querier, p *pruning, events []int64) error {
	if before := p.request.SucceededBefore; !before.IsZero() {
		n, err := q.Exec(ctx, s.prune.removeEvents, micros(before),
			s.x.dialect.ints(events[:min(p.left(), len(events))]))
		if err != nil {
			return err
		}
		p.removed += int(n)
	}
	_, err := q.Exec(ctx, s.prune.idle, s.x.dialect.ints(events))
	return err
}

// removeBlocks removes blocks before the oldest delivery.
func (s *Store) removeBlocks(ctx context.Context, limit int) error {
	var oldest int64
	if _, err := one(ctx, s.read, s.prune.oldest, nil, []any{&oldest}); err != nil {
		return s.failed(err)
	}
	return s.inSteps(ctx, limit, s.prune.blocks, oldest>>blockBits, limit)
}

type repairStatements struct {
	// find reads, for each endpoint, the ends of its two ranges in the queue's index.
	find, set string
}

// ahead is true for unfinished deliveries whose time is too far in the future.
const ahead = `(d.state = 1 AND d.at > ? OR d.state = 0 AND d.at >
		CASE WHEN d.attempts_since_queued > 0 THEN CAST(? AS bigint) ELSE CAST(? AS bigint) END
	AND (d.attempts_since_queued > 0 OR d.queued_at IS NULL))`

func newRepairStatements(x expander) repairStatements {
	const walk = `WITH RECURSIVE waiting (endpoint_id) AS (
		SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE state < 2)
		UNION ALL
		SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE state < 2
			AND endpoint_id > waiting.endpoint_id)
		FROM waiting WHERE waiting.endpoint_id IS NOT NULL)`
	const part = `SELECT d.id FROM waiting {join} {p}deliveries d
		ON d.endpoint_id = waiting.endpoint_id AND d.state < 2 AND {attempted} = %d AND d.at > ?
			AND ` + ahead
	return repairStatements{
		find: x.sql(walk + fmt.Sprintf(part, 0) + ` UNION ALL ` + fmt.Sprintf(part, 1) + ` LIMIT ?`),
		set: x.sql(`UPDATE {p}deliveries AS d SET at = CASE WHEN state = 1 THEN CAST(? AS bigint)
			ELSE CAST(? AS bigint) END
			WHERE d.id IN (SELECT d.id FROM {p}deliveries d WHERE d.id {in} {skiplocked}) AND d.state < 2
				AND ` + ahead),
	}
}

// Repair implements [webhook.Queue].
func (s *Store) Repair(ctx context.Context, now time.Time, r webhook.RepairRequest) (int, error) {
	if r.Limit < 1 {
		return 0, fmt.Errorf("sqlstore: repairing needs a Limit of at least 1, not %d", r.Limit)
	}
	bounds := []any{micros(r.LeasesAfter), micros(r.RetriesAfter), micros(r.FreshAfter)}
	least := min(micros(r.LeasesAfter), micros(r.RetriesAfter), micros(r.FreshAfter))
	part := append([]any{least}, bounds...)
	var ids []int64
	// Outside of a transaction, because there is usually nothing to repair.
	err := collect(ctx, s.read, func(row scanner) error {
		var id int64
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}, s.repair.find, append(append(part, part...), r.Limit)...)
	if err != nil || len(ids) == 0 {
		return 0, s.failed(err)
	}
	var repaired int64
	err = s.write(ctx, func(ctx context.Context, q Querier) (err error) {
		args := append([]any{micros(r.Until), micros(now), s.x.dialect.ints(ids)}, bounds...)
		repaired, err = q.Exec(ctx, s.repair.set, args...)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(repaired), nil
}
