package postgres_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// Tables that another service has in a later schema of the search_path are not used. Neither are
// tables hidden by new ones, when a schema is added before theirs.
func TestTablesOfALaterSchemaAreRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	ctx := t.Context()
	theirs := tablesDSN(t)
	s := open(t, theirs)
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	ours := schemaDSN(t)
	both := withParameter(t, ours, "search_path", schemaOf(t, ours)+","+schemaOf(t, theirs))
	for name, config := range map[string]postgres.Config{
		"at the newest version": {},
		"without migrations":    {NoMigrate: true},
	} {
		_, err := postgres.Open(ctx, both, config)
		for _, says := range []string{schemaOf(t, ours), schemaOf(t, theirs), "search_path="} {
			require.ErrorContains(t, err, says, name)
		}
	}
	_, err := postgres.Open(ctx, both, postgres.Config{TablePrefix: "other_"})
	require.NoError(t, err, "there are no such tables in either")

	s = open(t, ours)
	all, err := s.Subscriptions(ctx, webhook.SubscriptionQuery{})
	require.NoError(t, err)
	assert.Empty(t, all)
	open(t, both) // finds its own first
}

// The rights that ErrPermission names are enough.
func TestDocumentedRights(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := schemaDSN(t)
	open(t, dsn) // makes the tables
	role, schema := "webhooks_"+strings.ToLower(rand.Text()), schemaOf(t, dsn)
	execOnServer(t, "CREATE ROLE "+role)
	t.Cleanup(func() {
		execOnServer(t, "DROP OWNED BY "+role)
		execOnServer(t, "DROP ROLE "+role)
	})
	execOnServer(t, "GRANT USAGE ON SCHEMA "+schema+" TO "+role+
		"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+schema+" TO "+role+
		"; GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "+schema+" TO "+role)
	s := open(t, withParameter(t, dsn, "role", role))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	enqueue(t, s, "evt_1")
	now := time.Now()
	tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 5,
		PerEndpoint: 5})
	require.NoError(t, err)
	require.NotEmpty(t, tasks)
	refused, err := s.Settle(ctx, now, []webhook.Settlement{{Lease: tasks[0].Lease,
		Status: webhook.StatusSucceeded, Attempt: &webhook.Attempt{StartedAt: now, StatusCode: 200}}})
	require.NoError(t, err)
	assert.Empty(t, refused)
	got, _, _ := tailed(t, s, 0)
	assert.Equal(t, []string{"evt_1"}, got)
	_, err = s.Prune(ctx, now.Add(time.Hour), webhook.PruneRequest{SucceededBefore: now.Add(time.Minute),
		Limit: 10})
	require.NoError(t, err)
}
