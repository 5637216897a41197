package sqlstore

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type apiKeyStatements struct {
	insert, count, removeEnded, get, byID, list, revoke, use string
}

const apiKeyColumns = `id, organization_id, name, role, may_reveal, of_operator, created_at, created_by,
	expires_at, revoked_at, revoked_by, last_used_at`

func newAPIKeyStatements(x expander) apiKeyStatements {
	return apiKeyStatements{
		insert: x.sql(`INSERT INTO {p}api_keys (hash, ` + apiKeyColumns + `)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`),
		count: x.sql(`SELECT count(*) FROM {p}api_keys WHERE organization_id = ?`),
		// A key that has been revoked after it expired ended when it expired.
		removeEnded: x.sql(`DELETE FROM {p}api_keys WHERE id IN (SELECT id FROM (
			SELECT id FROM {p}api_keys WHERE organization_id = ? AND (expires_at <= ? OR revoked_at <= ?)
			ORDER BY CASE WHEN revoked_at IS NULL OR expires_at < revoked_at THEN expires_at
				ELSE revoked_at END, id LIMIT ?) ended)`),
		get:  x.sql(`SELECT ` + apiKeyColumns + ` FROM {p}api_keys WHERE hash = ?`),
		byID: x.sql(`SELECT ` + apiKeyColumns + ` FROM {p}api_keys WHERE id = ? AND organization_id = ?`),
		list: x.sql(`SELECT ` + apiKeyColumns + ` FROM {p}api_keys
			WHERE organization_id = ? AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?`),
		revoke: x.sql(`UPDATE {p}api_keys SET revoked_at = ?, revoked_by = ?
			WHERE id = ? AND organization_id = ? AND revoked_at IS NULL`),
		use: x.sql(`UPDATE {p}api_keys SET last_used_at = ?
			WHERE hash = ? AND coalesce(last_used_at, 0) < ?`),
	}
}

// CreateAPIKey implements [webhook.APIKeyStore].
func (s *Store) CreateAPIKey(
	ctx context.Context, key webhook.APIKey, hash webhook.APIKeyHash, most int,
) error {
	// The change locks the organization, so that its keys are counted and stored by one call at a time.
	return s.change(ctx, key.OrganizationID, func(ctx context.Context, q Querier, _ int64) error {
		var n int
		if _, err := one(ctx, q, s.apiKeys.count, []any{key.OrganizationID}, []any{&n}); err != nil {
			return err
		}
		created := micros(key.CreatedAt)
		if tooMany := n + 1 - most; tooMany > 0 {
			removed, err := q.Exec(ctx, s.apiKeys.removeEnded, key.OrganizationID, created, created, tooMany)
			if err == nil && removed < int64(tooMany) {
				err = webhook.TooManyAPIKeys(most)
			}
			if err != nil {
				return err
			}
		}
		n64, err := q.Exec(ctx, s.apiKeys.insert, hash[:], key.ID, key.OrganizationID, key.Name,
			int64(key.Role), flag(key.Reveal), flag(key.Operator), created, key.CreatedBy,
			optionalMicros(key.ExpiresAt), optionalMicros(key.RevokedAt), key.RevokedBy,
			optionalMicros(key.LastUsedAt))
		return changedOne(n64, err, webhook.ErrExists)
	})
}

// APIKey implements [webhook.APIKeyStore].
func (s *Store) APIKey(
	ctx context.Context, hash webhook.APIKeyHash,
) (webhook.APIKey, error) {
	return oneAPIKey(s.queryAPIKeys(ctx, s.read, s.apiKeys.get, hash[:]))
}

// APIKeys implements [webhook.APIKeyStore].
func (s *Store) APIKeys(
	ctx context.Context, query webhook.APIKeyQuery,
) ([]webhook.APIKey, error) {
	return s.queryAPIKeys(ctx, s.read, s.apiKeys.list, query.OrganizationID,
		micros(query.After.CreatedAt), query.After.ID, query.PageSize())
}

// RevokeAPIKey implements [webhook.APIKeyStore].
func (s *Store) RevokeAPIKey(
	ctx context.Context, now time.Time, organizationID, id, by string,
) (key webhook.APIKey, err error) {
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		if _, err := q.Exec(ctx, s.apiKeys.revoke, micros(now), by, id, organizationID); err != nil {
			return err
		}
		var err error
		key, err = oneAPIKey(s.queryAPIKeys(ctx, q, s.apiKeys.byID, id, organizationID))
		return err
	})
	return key, err
}

// UseAPIKey implements [webhook.APIKeyStore].
func (s *Store) UseAPIKey(
	ctx context.Context, hash webhook.APIKeyHash, at time.Time,
) error {
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		_, err := q.Exec(ctx, s.apiKeys.use, micros(at), hash[:], micros(at))
		return err
	})
}

func oneAPIKey(found []webhook.APIKey, err error) (webhook.APIKey, error) {
	switch {
	case err != nil:
		return webhook.APIKey{}, err
	case len(found) == 0:
		return webhook.APIKey{}, webhook.ErrNotFound
	}
	return found[0], nil
}

func (s *Store) queryAPIKeys(
	ctx context.Context, q Querier, query string, args ...any,
) (found []webhook.APIKey, err error) {
	err = collect(ctx, q, func(row scanner) error {
		var k webhook.APIKey
		var role, reveal, operator, createdAt int64
		var expiresAt, revokedAt, lastUsedAt *int64
		err := row.Scan(&k.ID, &k.OrganizationID, &k.Name, &role, &reveal, &operator, &createdAt,
			&k.CreatedBy, &expiresAt, &revokedAt, &k.RevokedBy, &lastUsedAt)
		k.Rights = webhook.Rights{Role: webhook.Role(role), Reveal: reveal != 0, Operator: operator != 0}
		k.CreatedAt, k.ExpiresAt = moment(createdAt), optionalMoment(expiresAt)
		k.RevokedAt, k.LastUsedAt = optionalMoment(revokedAt), optionalMoment(lastUsedAt)
		found = append(found, k)
		return err
	}, query, args...)
	return found, s.mapped(err)
}

// optionalMicros and optionalMoment convert times that may be zero, which is NULL.
func optionalMicros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return micros(t)
}

func optionalMoment(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return moment(*us)
}
