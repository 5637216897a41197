package sqlstore

import (
	"context"
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
func (s *Store) pruneDeleted(ctx context.Context, now time.Time, limit int) error {
	before := micros(now.Add(-endpointsStay))
	for _, due := range []struct {
		query string
		args  []any
	}{
		{s.housekeeping.fresh, []any{deletedPage}},
		{s.housekeeping.checked, []any{before, deletedPage}},
	} {
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
	err = s.write(ctx, func(ctx context.Context, q Querier) (err error) {
		ids, err = collectIDs(ctx, q, query, args...)
		return err
	})
	return ids, err
}

func (s *Store) pruneEndpoints(
	ctx context.Context, now, before int64, limit int, ids string,
) error {
	for _, cancel := range []string{s.housekeeping.cancelPrefetched, s.housekeeping.cancelWaiting,
		s.housekeeping.cancel} {
		if err := s.inSteps(ctx, limit, cancel, now, now, ids, limit); err != nil {
			return err
		}
	}
	if err := s.inSteps(ctx, limit, s.housekeeping.dissolve, ids, limit); err != nil {
		return err
	}
	if err := s.inSteps(ctx, limit, s.housekeeping.figures, ids, limit); err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		if _, err := q.Exec(ctx, s.housekeeping.endpoints, ids, before); err != nil {
			return err
		}
		_, err := q.Exec(ctx, s.housekeeping.note, now, ids)
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

// removeBlocks removes blocks before the oldest delivery, stored or not.
func (s *Store) removeBlocks(ctx context.Context, limit int) error {
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
	return s.inSteps(ctx, limit, s.housekeeping.blocks, oldest>>blockBits, limit)
}
