package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type processStatements struct {
	put, remove, list, old, removeOld string
}

func newProcessStatements(x expander) processStatements {
	return processStatements{
		put: x.sql(`INSERT INTO {p}processes (id, name, version, started_at, heartbeat, stopping, in_flight,
				queued, leased, workers, tripped_breakers, rate_limited, last_claim, store_time)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version,
				started_at = excluded.started_at, heartbeat = excluded.heartbeat,
				stopping = excluded.stopping, in_flight = excluded.in_flight, queued = excluded.queued,
				leased = excluded.leased, workers = excluded.workers,
				tripped_breakers = excluded.tripped_breakers, rate_limited = excluded.rate_limited,
				last_claim = excluded.last_claim, store_time = excluded.store_time`),
		remove: x.sql(`DELETE FROM {p}processes WHERE id = ?`),
		// The table is read as a whole. It has a row for each process of the last hour.
		list: x.sql(`SELECT id, name, version, started_at, heartbeat, stopping, in_flight, queued, leased,
				workers, tripped_breakers, rate_limited, last_claim, store_time
			FROM {p}processes ORDER BY heartbeat DESC, id LIMIT ?`),
		old:       x.sql(`SELECT heartbeat FROM {p}processes WHERE heartbeat <= ? LIMIT 1`),
		removeOld: x.sql(`DELETE FROM {p}processes WHERE heartbeat <= ?`),
	}
}

// PutProcess implements [webhook.ProcessStore].
func (s *Store) PutProcess(ctx context.Context, now time.Time, p webhook.Process) error {
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		_, err := q.Exec(ctx, s.processes.put, p.ID, p.Name, p.Version, micros(p.StartedAt), micros(now),
			flag(p.Stopping), int64(p.InFlight), int64(p.Queued), int64(p.Leased), int64(p.Workers),
			int64(p.TrippedBreakers), int64(p.RateLimited), optionalMicros(p.LastClaim),
			p.StoreTime.Microseconds())
		return err
	})
}

// RemoveProcess implements [webhook.ProcessStore].
func (s *Store) RemoveProcess(ctx context.Context, id string) error {
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		_, err := q.Exec(ctx, s.processes.remove, id)
		return err
	})
}

// Processes implements [webhook.ProcessStore].
func (s *Store) Processes(ctx context.Context, limit int) (list []webhook.Process, err error) {
	if limit < 1 {
		return nil, fmt.Errorf("sqlstore: a list of processes needs a limit of at least 1, not %d", limit)
	}
	err = collect(ctx, s.read, func(row scanner) error {
		var p webhook.Process
		var startedAt, heartbeat, stopping, storeTime int64
		var lastClaim *int64
		err := row.Scan(&p.ID, &p.Name, &p.Version, &startedAt, &heartbeat, &stopping, &p.InFlight,
			&p.Queued, &p.Leased, &p.Workers, &p.TrippedBreakers, &p.RateLimited, &lastClaim, &storeTime)
		p.StartedAt, p.Heartbeat, p.LastClaim = moment(startedAt), moment(heartbeat), optionalMoment(lastClaim)
		p.Stopping = stopping != 0
		p.StoreTime = time.Duration(storeTime) * time.Microsecond
		list = append(list, p)
		return err
	}, s.processes.list, limit)
	if err != nil {
		return nil, s.mapped(err)
	}
	return list, nil
}

// pruneProcesses removes processes that were last heard of by then. Most calls find none, and begin no
// transaction.
func (s *Store) pruneProcesses(ctx context.Context, then time.Time) error {
	some, err := one(ctx, s.read, s.processes.old, []any{micros(then)}, []any{new(int64)})
	if err != nil || !some {
		return s.mapped(err)
	}
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		_, err := q.Exec(ctx, s.processes.removeOld, micros(then))
		return err
	})
}
