package sqlstore

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type positionStatements struct {
	lock, list, get, count, insert, update, remove, removeAll string
}

func newPositionStatements(x expander) positionStatements {
	const of = ` WHERE organization_id = ? AND webhook_id = ?`
	return positionStatements{
		// Calls for one subscription wait for each other, and for its deletion.
		lock: x.sql(`SELECT d.revision FROM {p}webhooks d WHERE d.id = ? AND d.organization_id = ?
			{forupdate}`),
		list:  x.sql(`SELECT name, reached, updated_at FROM {p}positions` + of + ` ORDER BY name`),
		get:   x.sql(`SELECT reached, updated_at FROM {p}positions` + of + ` AND name = ?`),
		count: x.sql(`SELECT count(*) FROM {p}positions` + of),
		insert: x.sql(`INSERT INTO {p}positions (reached, updated_at, organization_id, webhook_id, name)
			VALUES (?, ?, ?, ?, ?)`),
		update:    x.sql(`UPDATE {p}positions SET reached = ?, updated_at = ?` + of + ` AND name = ?`),
		remove:    x.sql(`DELETE FROM {p}positions` + of + ` AND name = ?`),
		removeAll: x.sql(`DELETE FROM {p}positions` + of),
	}
}

// Positions implements [webhook.TailStore].
func (s *Store) Positions(
	ctx context.Context, organizationID, subscriptionID string,
) (list []webhook.NamedPosition, err error) {
	known, err := one(ctx, s.read, s.subscriptions.exists, []any{subscriptionID, organizationID},
		[]any{new(int64)})
	if err == nil && !known {
		return nil, webhook.ErrNotFound
	}
	if err == nil {
		err = collect(ctx, s.read, func(row scanner) error {
			var p webhook.NamedPosition
			var reached, updatedAt int64
			err := row.Scan(&p.Name, &reached, &updatedAt)
			p.Position, p.UpdatedAt = webhook.Position(reached), moment(updatedAt)
			list = append(list, p)
			return err
		}, s.positions.list, organizationID, subscriptionID)
	}
	return list, s.mapped(err)
}

// SetPosition implements [webhook.TailStore].
func (s *Store) SetPosition(
	ctx context.Context, now time.Time, organizationID, subscriptionID string,
	p webhook.NamedPosition,
) (stored webhook.NamedPosition, err error) {
	end := s.tailEnd
	if p.Position >= webhook.ResultPosition {
		end = s.resultsEnd
	}
	if _, err := end(ctx, p.Position); err != nil {
		return stored, err
	}
	key := []any{organizationID, subscriptionID, p.Name}
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		known, err := one(ctx, q, s.positions.lock, []any{subscriptionID, organizationID},
			[]any{new(int64)})
		if err == nil && !known {
			err = webhook.ErrNotFound
		}
		if err != nil {
			return err
		}
		var reached, updatedAt int64
		found, err := one(ctx, q, s.positions.get, key, []any{&reached, &updatedAt})
		if err != nil {
			return err
		}
		statement := s.positions.update
		if !found {
			statement = s.positions.insert
			if err := s.checkPositions(ctx, q, key[:2]); err != nil {
				return err
			}
		}
		if !found || reached < int64(p.Position) {
			reached, updatedAt = int64(p.Position), micros(now)
			if _, err := q.Exec(ctx, statement, append([]any{reached, updatedAt}, key...)...); err != nil {
				return err
			}
		}
		stored = webhook.NamedPosition{Name: p.Name, Position: webhook.Position(reached),
			UpdatedAt: moment(updatedAt)}
		return nil
	})
	return stored, err
}

// checkPositions returns an error if the subscription cannot have one more.
func (s *Store) checkPositions(ctx context.Context, q Querier, key []any) error {
	var n int
	_, err := one(ctx, q, s.positions.count, key, []any{&n})
	if err == nil && n >= webhook.MaxPositions {
		err = webhook.TooManyPositions()
	}
	return err
}

// DeletePosition implements [webhook.TailStore].
func (s *Store) DeletePosition(
	ctx context.Context, organizationID, subscriptionID, name string,
) error {
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		n, err := q.Exec(ctx, s.positions.remove, organizationID, subscriptionID, name)
		return changedOne(n, err, webhook.ErrNotFound)
	})
}
