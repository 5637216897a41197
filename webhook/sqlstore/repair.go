package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type repairStatements struct {
	// find looks, endpoint by endpoint, at the end of each of the two parts that
	// the queue's index has of it.
	find, set string
}

// ahead is true of unfinished deliveries that lie too far ahead.
const ahead = `(d.state = 1 AND d.at > ? OR d.state = 0 AND d.at > CASE WHEN d.tries > 0 THEN CAST(? AS bigint) ELSE CAST(? AS bigint) END
	AND (d.tries > 0 OR d.queued_at IS NULL))`

func newRepairStatements(x expander) repairStatements {
	const walk = `WITH RECURSIVE waiting (endpoint_id) AS (
		SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE state < 2)
		UNION ALL
		SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE state < 2 AND endpoint_id > waiting.endpoint_id)
		FROM waiting WHERE waiting.endpoint_id IS NOT NULL)`
	const part = `SELECT d.id FROM waiting {join} {p}deliveries d
		ON d.endpoint_id = waiting.endpoint_id AND d.state < 2 AND {tried} = %d AND d.at > ? AND ` + ahead
	return repairStatements{
		find: x.sql(walk + fmt.Sprintf(part, 0) + ` UNION ALL ` + fmt.Sprintf(part, 1) + ` LIMIT ?`),
		set: x.sql(`UPDATE {p}deliveries AS d SET at = CASE WHEN state = 1 THEN CAST(? AS bigint) ELSE CAST(? AS bigint) END
			WHERE d.id IN (SELECT d.id FROM {p}deliveries d WHERE d.id {in} {skiplocked}) AND d.state < 2 AND ` + ahead),
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
	// Outside of a transaction, because most often there is nothing.
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
