//go:build unix

package postgres_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// standby makes a standby of the cluster. Commits then wait for the standby, so that it has all
// commits when it takes over.
func (c *cluster) standby(t testing.TB) *cluster {
	t.Helper()
	s := &cluster{dir: clusterDir(t)}
	s.run(t, "pg_basebackup", "-d", c.dsn(""), "-D", s.data(), "-R", "-X", "stream", "--no-sync", "-c",
		"fast")
	s.start(t)
	c.exec(t, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	eventually(t, "the standby must follow", func() bool {
		return queryAt[int](t, c.dsn(""),
			"SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1
	})
	return s
}

// TestFailover crashes the primary under load and promotes its standby.
func TestFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	primary := newCluster(t)
	standby := primary.standby(t)
	both := "host=" + primary.dir + "," + standby.dir + " user=postgres dbname=postgres " +
		"target_session_attrs=read-write"
	l := startLoad(t, both, standby.dsn(""))
	l.progress()
	primary.stop(t, stopImmediate)
	l.refusesMore()
	standby.exec(t, "SELECT pg_promote()")
	l.progress()
	l.finish()
	l.saidOnce(1)
	assert.NotEmpty(t, l.refusals())
	for _, err := range l.refusals() {
		assert.ErrorIs(t, err, postgres.ErrUnavailable)
	}
}

// TestPrimaryBecomesReadOnly keeps connections open to a server that no longer accepts writes, as
// happens behind a proxy or when an address moves.
func TestPrimaryBecomesReadOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	primary := newCluster(t)
	require.NoError(t, open(t, primary.dsn("")).Close()) // makes the tables
	standby := primary.standby(t)
	const port = "/.s.PGSQL.5432"
	p := newProxy(t, "unix", filepath.Join(standby.dir, port))
	dsn := "postgres://postgres@" + p.listener.Addr().String() + "/postgres?sslmode=disable"
	s := open(t, dsn)
	_, err := s.Enqueue(t.Context(), time.Now(), newEvents("evt_1"), nil)
	require.ErrorIs(t, err, postgres.ErrReadOnly)
	p.to("unix", filepath.Join(primary.dir, port))
	_, err = s.Enqueue(t.Context(), time.Now(), newEvents("evt_1"), nil)
	require.NoError(t, err, "the store connects again after it has found that the server is read-only")
	_, err = os.Stat(filepath.Join(standby.data(), "standby.signal"))
	require.NoError(t, err)
}
