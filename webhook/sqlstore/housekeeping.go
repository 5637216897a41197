package sqlstore

import (
	"context"
	"slices"
	"time"
)

type housekeepingStatements struct {
	fresh, checked           string
	cancel, cancelPrefetched string
	// cancelWaiting cancels what waits in line, and dissolve ends the lines after that.
	cancelWaiting, dissolve string
	oldest, blocks          string
	endpoints, note         string
	// figures are those of removed channels, oldFigures those of long ago.
	figures, oldFigures string
}

// Statements that change what an inner query finds lock it there. Without that, PostgreSQL would
// change rows that another transaction has settled or replayed meanwhile: after it has waited for a
// row it asks again for the id alone.
func newHousekeepingStatements(x expander) housekeepingStatements {
	const figures = `DELETE FROM {p}statistics WHERE (endpoint_id, hour, shard) IN (
		SELECT endpoint_id, hour, shard FROM (
			SELECT endpoint_id, hour, shard FROM {p}statistics WHERE `
	cancel := `UPDATE {p}deliveries SET state = 4, settled_at = ?, due_at = NULL, turn = 0, ` + keepAs("") +
		` WHERE id IN (SELECT id FROM (SELECT d.id `
	return housekeepingStatements{
		fresh: x.sql(`SELECT id FROM {p}endpoints WHERE state = 2 AND pruned_at IS NULL
			ORDER BY pruned_at LIMIT ?`),
		checked: x.sql(`SELECT id FROM {p}endpoints WHERE state = 2 AND pruned_at < ? ORDER BY pruned_at
			LIMIT ?`),
		cancel: x.sql(cancel + `FROM {p}deliveries d WHERE d.endpoint_id {in} AND d.due_at IS NOT NULL
			LIMIT ? {forupdate}) found)`),
		cancelWaiting: x.sql(cancel + `FROM {p}deliveries d WHERE d.endpoint_id {in} AND ` + inLine + `
			LIMIT ? {forupdate}) found)`),
		dissolve: x.sql(`UPDATE {p}deliveries SET turn = 0, skip_at = NULL
			WHERE id IN (SELECT id FROM (SELECT d.id FROM {p}deliveries d
				WHERE d.endpoint_id {in} AND d.turn > 0 LIMIT ? {forupdate}) found)`),
		cancelPrefetched: x.sql(cancel + prefetched + ` AND p.id {in} LIMIT ? {forupdate}) found)`),
		oldest:           x.sql(`SELECT coalesce((SELECT min(id) FROM {p}deliveries), {nextid})`),
		blocks:           x.sql(`DELETE FROM {p}blocks WHERE {blocksbelow}`),
		endpoints: x.sql(`DELETE FROM {p}endpoints WHERE id {in} AND state = 2 AND pruned_at < ?
			AND NOT EXISTS (SELECT 1 FROM {p}blocks b WHERE b.endpoint_id = {p}endpoints.id)`),
		note:       x.sql(`UPDATE {p}endpoints SET pruned_at = ? WHERE id {in} AND state = 2`),
		figures:    x.sql(figures + `endpoint_id {in} LIMIT ?) found)`),
		oldFigures: x.sql(figures + `hour < ? LIMIT ?) found)`),
	}
}

const (
	// deletedPage is how many deleted endpoints are read at a time.
	deletedPage = 500
	// endpointsStay is after how long a deleted endpoint is visited again, and removed if it has no
	// deliveries any more.
	endpointsStay = 24 * time.Hour
)

// pruneDeleted settles the deliveries of endpoints that are newly deleted or were visited a day
// ago. It removes their figures, and those endpoints that have no deliveries any more.
func (s *Store) pruneDeleted(ctx context.Context, now time.Time, p *pruning) error {
	before := micros(now.Add(-endpointsStay))
	for _, due := range []struct {
		query string
		args  []any
	}{
		{s.housekeeping.fresh, []any{deletedPage}},
		{s.housekeeping.checked, []any{before, deletedPage}},
	} {
		if p.left == 0 {
			return nil
		}
		ids, err := s.deletedEndpoints(ctx, due.query, due.args...)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			continue
		}
		if err := s.pruneEndpoints(ctx, micros(now), before, s.x.dialect.ints(ids), p); err != nil {
			return err
		}
		if len(ids) == deletedPage {
			p.left = 0 // the next page is for the next call
		}
	}
	return nil
}

// deletedEndpoints reads in a transaction of the writer, which sees the changes of the page before.
func (s *Store) deletedEndpoints(
	ctx context.Context, query string, args ...any,
) (ids []int64, err error) {
	err = s.write(ctx, func(ctx context.Context, q Querier) (err error) {
		ids, err = collectIDs(ctx, q, query, args...)
		return err
	})
	return ids, err
}

func (s *Store) pruneEndpoints(
	ctx context.Context, now, before int64, ids string, p *pruning,
) error {
	for _, step := range []struct {
		statement string
		args      []any
	}{
		{s.housekeeping.cancelPrefetched, []any{now, now, ids}},
		{s.housekeeping.cancelWaiting, []any{now, now, ids}},
		{s.housekeeping.cancel, []any{now, now, ids}},
		{s.housekeeping.dissolve, []any{ids}},
		{s.housekeeping.figures, []any{ids}},
	} {
		if err := s.inSteps(ctx, p, step.statement, step.args...); err != nil || p.left == 0 {
			return err // with nothing left, the next call visits the same endpoints
		}
	}
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		if _, err := q.Exec(ctx, s.housekeeping.endpoints, ids, before); err != nil {
			return err
		}
		_, err := q.Exec(ctx, s.housekeeping.note, now, ids)
		return err
	})
}

// inSteps runs a statement, each time in a transaction of its own, until it changes fewer rows than
// its last parameter says, or nothing is left for this call of Prune.
func (s *Store) inSteps(ctx context.Context, p *pruning, statement string, args ...any) error {
	for more := true; more && p.left > 0; {
		most := min(p.limit, p.left)
		var n int64
		err := s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			n, err = q.Exec(ctx, statement, slices.Concat(args, []any{most})...)
			return err
		})
		if err != nil {
			return err
		}
		p.left -= int(n)
		more = int(n) >= most
	}
	return nil
}

// removeBlocks removes blocks before the oldest delivery, stored or not.
func (s *Store) removeBlocks(ctx context.Context, p *pruning) error {
	var notStored int64 // read first, because it may be stored meanwhile
	some, err := one(ctx, s.read, s.fanOut.oldest, []any{1},
		[]any{&notStored, new(int64), new(string)})
	if err != nil {
		return s.mapped(err)
	}
	var oldest int64
	if _, err := one(ctx, s.read, s.housekeeping.oldest, nil, []any{&oldest}); err != nil {
		return s.mapped(err)
	}
	if some {
		oldest = min(oldest, notStored)
	}
	return s.inSteps(ctx, p, s.housekeeping.blocks, oldest>>blockBits)
}
