package sqlstore

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type requestStatements struct {
	expire, insert, replace, resume, get, answer, forget string
}

func newRequestStatements(x expander) requestStatements {
	return requestStatements{
		expire: x.sql(`DELETE FROM {p}requests WHERE id IN (SELECT id FROM (
			SELECT id FROM {p}requests d WHERE began_at < ? ORDER BY began_at LIMIT ? {skiplocked}
			) found)`),
		insert: x.sql(`INSERT INTO {p}requests (id, digest, began_at, until) VALUES (?, ?, ?, ?)
			ON CONFLICT DO NOTHING`),
		// A request that has expired is replaced.
		replace: x.sql(`UPDATE {p}requests SET digest = ?, until = ?, answer = NULL, began_at = ?
			WHERE id = ? AND began_at < ?`),
		resume: x.sql(`UPDATE {p}requests SET until = ?
			WHERE id = ? AND digest = ? AND answer IS NULL AND until <= ?`),
		get:    x.sql(`SELECT digest, began_at, until, answer FROM {p}requests WHERE id = ?`),
		answer: x.sql(`UPDATE {p}requests SET answer = ? WHERE id = ? AND until = ?`),
		forget: x.sql(`DELETE FROM {p}requests WHERE id = ? AND until = ?`),
	}
}

// BeginIdempotent implements [webhook.IdempotencyStore].
func (s *Store) BeginIdempotent(
	ctx context.Context, r webhook.IdempotentRequest, expired time.Time,
) (stored webhook.IdempotentRequest, work bool, err error) {
	before := micros(expired)
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		if _, err := q.Exec(ctx, s.requests.expire, before, webhook.MaxExpired); err != nil {
			return err
		}
		n, err := q.Exec(ctx, s.requests.insert, r.Key, r.Digest, micros(r.Began), micros(r.Until))
		if err == nil && n == 0 {
			n, err = q.Exec(ctx, s.requests.replace, r.Digest, micros(r.Until), micros(r.Began), r.Key,
				before)
		}
		if err == nil && n == 0 {
			n, err = q.Exec(ctx, s.requests.resume, micros(r.Until), r.Key, r.Digest, micros(r.Began))
		}
		if err != nil {
			return err
		}
		work = n > 0
		// A key that is not found was removed just now, and counts as in progress.
		began, until := micros(r.Began), micros(r.Until)
		stored = webhook.IdempotentRequest{Key: r.Key, Digest: r.Digest}
		_, err = one(ctx, q, s.requests.get, []any{r.Key},
			[]any{&stored.Digest, &began, &until, &stored.Answer})
		stored.Began, stored.Until = moment(began), moment(until)
		return err
	})
	if err != nil {
		return webhook.IdempotentRequest{}, false, err
	}
	return stored, work, nil
}

// EndIdempotent implements [webhook.IdempotencyStore].
func (s *Store) EndIdempotent(ctx context.Context, r webhook.IdempotentRequest) error {
	return s.write(ctx, func(ctx context.Context, q Querier) (err error) {
		if r.Answer == nil {
			_, err = q.Exec(ctx, s.requests.forget, r.Key, micros(r.Until))
		} else {
			_, err = q.Exec(ctx, s.requests.answer, r.Answer, r.Key, micros(r.Until))
		}
		return err
	})
}
