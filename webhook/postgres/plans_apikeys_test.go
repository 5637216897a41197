package postgres_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Each request reads the row of its API key, so that has to cost the same however many there are.
func TestPlansOfAPIKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	db, s, seen := explainedStore(t)
	_, err := db.ExecContext(ctx, `INSERT INTO webhooks_api_keys (hash, id, organization_id, name, role,
			may_reveal, of_operator, created_at, created_by, revoked_by)
		SELECT sha256(i::text::bytea), 'key_' || i, 'org_' || i / 100, 'x', 0, 0, 0, i, '', ''
			FROM generate_series(1, 30000) i`)
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, "ANALYZE webhooks_api_keys")
	require.NoError(t, err)
	hash := webhook.APIKeyHash(sha256.Sum256([]byte("12345")))
	for name, step := range map[string]struct {
		run   func() error
		using []string
	}{
		"look up": {func() error { _, err := s.APIKey(ctx, hash); return err }, []string{"pkey"}},
		"use":     {func() error { return s.UseAPIKey(ctx, hash, time.Now()) }, []string{"pkey"}},
		"revoke": {func() error {
			_, err := s.RevokeAPIKey(ctx, time.Now(), "org_7", "key_700", "ann")
			return err
		}, []string{"id"}},
		"list": {func() error {
			_, err := s.APIKeys(ctx, webhook.APIKeyQuery{OrganizationID: "org_7"})
			return err
		}, []string{"listed"}},
		"create": {func() error {
			return s.CreateAPIKey(ctx, webhook.APIKey{ID: "key_new", OrganizationID: "org_8",
				CreatedAt: time.Now()}, webhook.APIKeyHash{1}, 200)
		}, []string{"listed"}},
	} {
		seen.take()
		require.NoError(t, step.run(), name)
		all := strings.Join(seen.take(), "\n")
		for _, index := range step.using {
			require.Contains(t, all, "webhooks_api_keys_"+index, name)
		}
		require.NotContains(t, all, "Seq Scan on webhooks_api_keys", name)
	}
}
