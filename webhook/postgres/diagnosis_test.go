package postgres_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// databaseDSN returns the URL of a database in which no other test has sessions.
func databaseDSN(t testing.TB) string {
	t.Helper()
	name := "webhooks_" + strings.ToLower(rand.Text())
	execOnServer(t, "CREATE DATABASE "+name+" TEMPLATE template0")
	t.Cleanup(func() { execOnServer(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(serverDSN())
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

// diagnose asks how the store will be after a while, if nothing else happens.
func diagnose(t testing.TB, s webhook.Store, after time.Duration) webhook.Diagnosis {
	t.Helper()
	now, err := s.Now(t.Context())
	require.NoError(t, err)
	d, err := s.Capabilities().Diagnostics.Diagnose(t.Context(), now.Add(after))
	require.NoError(t, err)
	require.NotNil(t, d.Transactions)
	return d
}

// A transaction that another program holds open is named, with its age, and without what it does.
func TestDiagnoseTellsLongTransactions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	dsn := databaseDSN(t)
	s := open(t, dsn)
	holder := connect(t, withParameter(t, dsn, "application_name", "nightly_report"))
	began, err := s.Now(t.Context())
	require.NoError(t, err)
	tx, err := holder.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT 's3cr3t'`)
	require.NoError(t, err)
	assert.Empty(t, diagnose(t, s, 0).Transactions.Oldest, "it is not long yet")

	found := diagnose(t, s, webhook.LongTransactionAge)
	assert.Equal(t, "postgres", found.Kind)
	assert.Equal(t, found.NeededVersion, found.SchemaVersion)
	require.Len(t, found.Transactions.Oldest, 1)
	since := found.Transactions.Oldest[0].Since
	assert.Equal(t, &webhook.LongTransactions{Oldest: []webhook.LongTransaction{{
		PID: int(holder.PgConn().PID()), Application: "nightly_report",
		State: "idle in transaction", Since: since}}}, found.Transactions)
	assert.WithinRange(t, since, began, began.Add(time.Minute))

	require.NoError(t, tx.Commit(t.Context()))
	assert.Empty(t, diagnose(t, s, time.Hour).Transactions.Oldest, "its session is idle")

	for range webhook.MaxLongTransactions + 2 {
		_, err := connect(t, dsn).Exec(t.Context(), "BEGIN")
		require.NoError(t, err)
	}
	many := diagnose(t, s, time.Hour).Transactions
	require.Len(t, many.Oldest, webhook.MaxLongTransactions)
	assert.True(t, many.More)
	for i := range many.Oldest[1:] {
		assert.False(t, many.Oldest[i+1].Since.Before(many.Oldest[i].Since), "the oldest first")
	}
}

// A role that may not see the sessions of others says how many those are.
func TestDiagnoseSaysWhatItMayNotSee(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	dsn := databaseDSN(t)
	role := "webhooks_" + strings.ToLower(rand.Text())
	execOnServer(t, "CREATE ROLE "+role)
	t.Cleanup(func() {
		execAt(t, dsn, "DROP OWNED BY "+role)
		execOnServer(t, "DROP ROLE "+role)
	})
	execAt(t, dsn, "GRANT CREATE ON SCHEMA public TO "+role)
	holder := connect(t, dsn)
	_, err := holder.Exec(context.WithoutCancel(t.Context()), "BEGIN")
	require.NoError(t, err)

	s := open(t, withParameter(t, dsn, "role", role))
	found := diagnose(t, s, time.Hour).Transactions
	assert.Empty(t, found.Oldest)
	assert.Positive(t, found.Hidden)
	execOnServer(t, "GRANT pg_read_all_stats TO "+role)
	found = diagnose(t, s, time.Hour).Transactions
	require.Len(t, found.Oldest, 1)
	assert.Equal(t, int(holder.PgConn().PID()), found.Oldest[0].PID)
	assert.Zero(t, found.Hidden)
}

// A process tells that another one, newer or older, has made the tables what they are.
func TestDiagnoseComparesSchemas(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	dsn := schemaDSN(t)
	s := open(t, dsn)
	needed := diagnose(t, s, 0).NeededVersion
	execAt(t, dsn, "INSERT INTO webhooks_migrations VALUES ("+strconv.Itoa(needed+1)+")")
	d := diagnose(t, s, 0)
	assert.Equal(t, []int{needed + 1, needed}, []int{d.SchemaVersion, d.NeededVersion})
	execAt(t, dsn, "DELETE FROM webhooks_migrations WHERE version >= "+strconv.Itoa(needed))
	d = diagnose(t, s, 0)
	assert.Equal(t, []int{needed - 1, needed}, []int{d.SchemaVersion, d.NeededVersion})
}
