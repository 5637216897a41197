package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type replayStatements struct {
	lock, running, ended, remove    string
	insert, get, list, next, change string
}

func newReplayStatements(x expander) replayStatements {
	const columns = `SELECT until, revision, details FROM {p}replays WHERE `
	return replayStatements{
		lock: x.sql(`SELECT d.version FROM {p}organizations d WHERE d.organization_id = ? {forupdate}`),
		running: x.sql(`SELECT count(*) FROM {p}replays
			WHERE organization_id = ? AND until IS NOT NULL`),
		ended: x.sql(`SELECT id FROM {p}replays WHERE organization_id = ? AND until IS NULL
			ORDER BY created_at DESC, id DESC LIMIT ?`),
		remove: x.sql(`DELETE FROM {p}replays WHERE organization_id = ? AND id = ?`),
		insert: x.sql(`INSERT INTO {p}replays (id, organization_id, created_at, until, revision, details)
			VALUES (?, ?, ?, ?, 1, ?)`),
		get:  x.sql(columns + `organization_id = ? AND id = ?`),
		list: x.sql(columns + `organization_id = ? ORDER BY created_at DESC, id DESC`),
		next: x.sql(columns + `until IS NOT NULL AND until <= ? AND organization_id {notintexts}
			ORDER BY until LIMIT 1`),
		change: x.sql(`UPDATE {p}replays SET until = ?, details = ?, revision = revision + 1
			WHERE organization_id = ? AND id = ? AND revision = ?`),
	}
}

// replayRow returns what the columns until and details hold. Times are kept to the microsecond.
func replayRow(r *webhook.Replay) (until any, details string, err error) {
	stored := *r
	for _, at := range []*time.Time{&stored.Query.Since, &stored.Query.Until, &stored.SettledBefore,
		&stored.CreatedAt, &stored.LastDue, &stored.EndedAt, &stored.Until} {
		if !at.IsZero() {
			*at = moment(micros(*at))
		}
	}
	if !r.Ended() {
		until = micros(r.Until)
	}
	raw, err := json.Marshal(&stored)
	return until, string(raw), err
}

// scanReplay reads a row. The columns are newer than the details after a claim.
func scanReplay(row scanner) (*webhook.Replay, error) {
	var until *int64
	var revision int64
	var details []byte
	if err := row.Scan(&until, &revision, &details); err != nil {
		return nil, err
	}
	r := new(webhook.Replay)
	if err := json.Unmarshal(details, r); err != nil {
		return nil, fmt.Errorf("sqlstore: the details of a replay: %w", err)
	}
	if until != nil {
		r.Until = moment(*until)
	}
	r.Revision = revision
	return r, nil
}

func (s *Store) selectReplays(
	ctx context.Context, q Querier, statement string, args ...any,
) (list []*webhook.Replay, err error) {
	err = collect(ctx, q, func(row scanner) error {
		r, err := scanReplay(row)
		list = append(list, r)
		return err
	}, statement, args...)
	return list, err
}

// CreateReplay implements [webhook.ReplayStore].
func (s *Store) CreateReplay(ctx context.Context, r *webhook.Replay) error {
	until, details, err := replayRow(r)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		// An organization without a row has no deliveries.
		if _, err := one(ctx, q, s.replays.lock, []any{r.OrganizationID}, []any{new(int64)}); err != nil {
			return err
		}
		running := 0
		_, err := one(ctx, q, s.replays.running, []any{r.OrganizationID}, []any{&running})
		if err == nil && running >= webhook.MaxReplays {
			err = webhook.TooManyReplays()
		}
		if err != nil {
			return err
		}
		var ended []string
		err = collect(ctx, q, func(row scanner) error {
			var id string
			err := row.Scan(&id)
			ended = append(ended, id)
			return err
		}, s.replays.ended, r.OrganizationID, webhook.EndedReplaysKept+1)
		if err == nil && len(ended) > webhook.EndedReplaysKept {
			_, err = q.Exec(ctx, s.replays.remove, r.OrganizationID, ended[webhook.EndedReplaysKept])
		}
		if err != nil {
			return err
		}
		_, err = q.Exec(ctx, s.replays.insert, r.ID, r.OrganizationID, micros(r.CreatedAt), until, details)
		return err
	})
	if err == nil {
		r.Revision = 1
	}
	return err
}

// FindReplay implements [webhook.ReplayStore].
func (s *Store) FindReplay(
	ctx context.Context, organizationID, id string,
) (*webhook.Replay, error) {
	found, err := s.selectReplays(ctx, s.read, s.replays.get, organizationID, id)
	if err == nil && len(found) == 0 {
		return nil, webhook.ErrNotFound
	}
	if err != nil {
		return nil, s.mapped(err)
	}
	return found[0], nil
}

// Replays implements [webhook.ReplayStore].
func (s *Store) Replays(ctx context.Context, organizationID string) ([]*webhook.Replay, error) {
	list, err := s.selectReplays(ctx, s.read, s.replays.list, organizationID)
	return list, s.mapped(err)
}

// UpdateReplay implements [webhook.ReplayStore].
func (s *Store) UpdateReplay(ctx context.Context, r *webhook.Replay) error {
	err := s.write(ctx, func(ctx context.Context, q Querier) error { return s.changeReplay(ctx, q, r) })
	if err == nil {
		r.Revision++
	}
	return err
}

// changeReplay stores r if the stored revision is that of r.
func (s *Store) changeReplay(ctx context.Context, q Querier, r *webhook.Replay) error {
	until, details, err := replayRow(r)
	if err != nil {
		return err
	}
	n, err := q.Exec(ctx, s.replays.change, until, details, r.OrganizationID, r.ID, r.Revision)
	if err != nil || n == 1 {
		return err
	}
	found, err := s.selectReplays(ctx, q, s.replays.get, r.OrganizationID, r.ID)
	if err == nil && len(found) == 0 {
		return webhook.ErrNotFound
	}
	if err == nil {
		err = webhook.ErrConflict
	}
	return err
}

// ClaimReplay implements [webhook.ReplayStore]. It begins no transaction if there is nothing to do.
func (s *Store) ClaimReplay(
	ctx context.Context, now, until time.Time, skipOrganizations []string,
) (*webhook.Replay, error) {
	found, err := s.selectReplays(ctx, s.read, s.replays.next, micros(now),
		s.x.dialect.texts(skipOrganizations))
	if err != nil || len(found) == 0 {
		return nil, s.mapped(err)
	}
	r := found[0]
	r.Until = moment(micros(until))
	switch err := s.UpdateReplay(ctx, r); {
	case errors.Is(err, webhook.ErrConflict), errors.Is(err, webhook.ErrNotFound):
		return nil, nil // another process was first, or it was stopped
	case err != nil:
		return nil, err
	}
	return r, nil
}
