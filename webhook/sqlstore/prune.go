package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type pruneStatements struct {
	deleted, cancel    string
	old, remove        string
	removeEvents, idle string
	removeIdle         string
	oldest, blocks     string
	note, endpoints    string
	// figures are those of removed channels, oldFigures those of long ago.
	figures, oldFigures string
}

func newPruneStatements(x expander) pruneStatements {
	// An event without deliveries left, among those whose deliveries went.
	// Written so that PostgreSQL asks for each of them, instead of joining all
	// deliveries.
	const emptied = `id {in} AND last_id > id AND (
		SELECT d.id FROM {p}deliveries d
		WHERE d.id > {p}events.id AND d.id <= {p}events.last_id AND d.event_id = {p}events.id LIMIT 1) IS NULL`
	const figures = `DELETE FROM {p}statistics WHERE (endpoint_id, hour, shard) IN (
		SELECT endpoint_id, hour, shard FROM {p}statistics WHERE `
	return pruneStatements{
		deleted: x.sql(`SELECT id FROM {p}endpoints WHERE state = 2`),
		cancel: x.sql(`UPDATE {p}deliveries SET state = 4, at = ? WHERE id IN (
			SELECT d.id FROM {p}deliveries d WHERE d.endpoint_id {in} AND d.state < 2 LIMIT ?)`),
		old:          x.sql(`SELECT id, event_id FROM {p}deliveries d WHERE state = ? AND state >= 2 AND at < ? ORDER BY at LIMIT ? {skiplocked}`),
		remove:       x.sql(`DELETE FROM {p}deliveries WHERE id {in}`),
		removeEvents: x.sql(`DELETE FROM {p}events WHERE created_at < ? AND ` + emptied),
		idle:         x.sql(`UPDATE {p}events SET last_id = id WHERE ` + emptied),
		removeIdle: x.sql(`DELETE FROM {p}events WHERE id IN (
			SELECT id FROM {p}events WHERE last_id = id AND created_at < ? ORDER BY created_at LIMIT ?)`),
		oldest: x.sql(`SELECT coalesce((SELECT min(id) FROM {p}deliveries), {nextid})`),
		blocks: x.sql(`DELETE FROM {p}blocks WHERE endpoint_id IN (SELECT id FROM {p}endpoints) AND block < ?`),
		// A transaction that is still open may have stored a delivery for an
		// endpoint that was deleted meanwhile, so they stay for a day.
		note: x.sql(`UPDATE {p}endpoints SET pruned_at = ? WHERE state = 2 AND pruned_at IS NULL`),
		endpoints: x.sql(`DELETE FROM {p}endpoints WHERE state = 2 AND pruned_at < ?
			AND NOT EXISTS (SELECT 1 FROM {p}blocks b WHERE b.endpoint_id = {p}endpoints.id)`),
		figures:    x.sql(figures + `endpoint_id {in} LIMIT ?)`),
		oldFigures: x.sql(figures + `hour < ? LIMIT ?)`),
	}
}

// Prune implements [webhook.History]. Deliveries of deleted subscriptions are settled,
// and figures removed, in transactions of r.Limit rows.
func (s *Store) Prune(ctx context.Context, now time.Time, r webhook.PruneRequest) (int, error) {
	if r.Limit < 1 {
		return 0, fmt.Errorf("sqlstore: pruning needs a Limit of at least 1, not %d", r.Limit)
	}
	if err := s.pruneDeleted(ctx, micros(now), r.Limit); err != nil {
		return 0, err
	}
	err := s.inSteps(ctx, r.Limit, s.prune.oldFigures, hourOf(now.Add(-webhook.StatisticsKept)), r.Limit)
	if err != nil {
		return 0, err
	}
	p := &pruning{request: r}
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		p.removed = 0
		for _, old := range []struct {
			state  int
			before time.Time
		}{{stateSucceeded, r.SucceededBefore}, {stateCancelled, r.SucceededBefore}, {stateDead, r.DeadBefore}} {
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
		return s.removeTraces(ctx, q, now)
	})
	if err != nil {
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

// pruneDeleted settles the deliveries of deleted subscriptions, and removes their
// figures.
func (s *Store) pruneDeleted(ctx context.Context, now int64, limit int) error {
	var ids []int64
	err := collect(ctx, s.read, func(row scanner) error {
		var id int64
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}, s.prune.deleted)
	if err != nil || len(ids) == 0 {
		return s.failed(err)
	}
	deleted := s.x.dialect.ints(ids)
	if err := s.inSteps(ctx, limit, s.prune.cancel, now, deleted, limit); err != nil {
		return err
	}
	return s.inSteps(ctx, limit, s.prune.figures, deleted, limit)
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

// removeDeliveries removes what was settled as state before the time, and the
// events that lose their last delivery with it if they are old enough. Half of
// what may be removed is left for the events, in each of a few rounds.
func (s *Store) removeDeliveries(ctx context.Context, q Querier, p *pruning, state int, before int64) error {
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

// removeEmptied removes events without deliveries left, and notes the others
// for later.
func (s *Store) removeEmptied(ctx context.Context, q Querier, p *pruning, events []int64) error {
	if before := p.request.SucceededBefore; !before.IsZero() {
		n, err := q.Exec(ctx, s.prune.removeEvents, micros(before), s.x.dialect.ints(events[:min(p.left(), len(events))]))
		if err != nil {
			return err
		}
		p.removed += int(n)
	}
	_, err := q.Exec(ctx, s.prune.idle, s.x.dialect.ints(events))
	return err
}

// removeTraces removes blocks before the oldest delivery, and deleted endpoints
// without any.
func (s *Store) removeTraces(ctx context.Context, q Querier, now time.Time) error {
	var oldest int64
	if _, err := one(ctx, q, s.prune.oldest, nil, []any{&oldest}); err != nil {
		return err
	}
	if _, err := q.Exec(ctx, s.prune.blocks, oldest>>blockBits); err != nil {
		return err
	}
	if _, err := q.Exec(ctx, s.prune.note, micros(now)); err != nil {
		return err
	}
	_, err := q.Exec(ctx, s.prune.endpoints, micros(now.Add(-endpointsStay)))
	return err
}

// endpointsStay is how long deleted endpoints are kept without deliveries.
const endpointsStay = 24 * time.Hour
