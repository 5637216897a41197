package sqlite_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// TestCheckpointsBesideCommits writes less than what makes the log start again.
func TestCheckpointsBesideCommits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	subscribeChannels(t, s, "org", 1)
	const events, size = 60, 100_000 // 1500 pages, and some more
	payload := fmt.Appendf(nil, "%q", bytes.Repeat([]byte("x"), size))
	for i := range events {
		_, err := s.Enqueue(t.Context(), time.Now(), []webhook.NewEvent{{OrganizationID: "org",
			ID: fmt.Sprint("evt_", i), Type: "a.b", Payload: payload}}, nil)
		require.NoError(t, err)
	}
	// What is not copied yet may be 500 pages.
	const least = events*size - 500*4096
	require.Eventually(t, func() bool {
		file, err := os.Stat(s.path)
		return assert.NoError(t, err) && file.Size() > least
	}, time.Minute, 10*time.Millisecond, "the log is copied into the file while the store is open")
	log, err := os.Stat(s.path + "-wal")
	require.NoError(t, err)
	assert.Less(t, log.Size(), int64(4000*4096), "it was not started again")
}

// TestTheLogShrinks has a reader that makes the log grow beyond its limit. When it has ended, the log
// is cut.
func TestTheLogShrinks(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	subscribeChannels(t, s, "org", 1)
	emitted, payload := 0, fmt.Appendf(nil, "%q", bytes.Repeat([]byte("x"), 1_000_000))
	emit := func() {
		emitted++
		_, err := s.Enqueue(t.Context(), time.Now(), []webhook.NewEvent{{OrganizationID: "org",
			ID: fmt.Sprint("evt_", emitted), Type: "a.b", Payload: payload}}, nil)
		require.NoError(t, err)
	}
	emit()
	other, err := sql.Open("sqlite", "file:"+s.path)
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Close()) }()
	reading, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	var n int
	require.NoError(t, reading.QueryRowContext(t.Context(),
		"SELECT count(*) FROM webhooks_events").Scan(&n))
	size := func() int64 {
		log, err := os.Stat(s.path + "-wal")
		require.NoError(t, err)
		return log.Size()
	}
	const limit = 64 << 20
	for size() <= limit {
		emit()
	}
	require.NoError(t, reading.Rollback())
	require.Eventually(t, func() bool {
		time.Sleep(30 * time.Millisecond) // the log is started again between two writes
		emit()
		return size() <= limit
	}, 5*time.Minute, time.Millisecond)
}

// restartBytes is how long the log becomes before the store starts it again.
const restartBytes = 4000 * 4096

// ownTable returns a handle for transactions of the caller, who has a table own with a column data, and
// how many bytes of the log are in use.
func ownTable(t *testing.T) (db *sql.DB, size func() int64) {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	_, err := s.DB().ExecContext(t.Context(), "CREATE TABLE own (data)")
	require.NoError(t, err)
	return s.DB(), func() int64 {
		n, err := sqlite.Written(s.path + "-wal")
		require.NoError(t, err)
		return n
	}
}

// TestTheLogIsStartedAgain writes only in transactions of the caller, of which the store does not hear.
func TestTheLogIsStartedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	db, size := ownTable(t)
	write := func() {
		_, err := db.ExecContext(t.Context(), "INSERT INTO own VALUES (zeroblob(1000000))")
		require.NoError(t, err)
	}
	for size() <= restartBytes {
		write()
	}
	require.Eventually(t, func() bool {
		write()
		return size() < restartBytes/2
	}, 5*time.Minute, 200*time.Millisecond)
}

// TestTheLogIsStartedAgainBesideLongTransactions writes without a pause, in transactions that are each
// open for longer than a checkpoint waits for queries.
func TestTheLogIsStartedAgainBesideLongTransactions(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	db, size := ownTable(t)
	last, times := int64(0), 0
	for times < 2 {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "DELETE FROM own; INSERT INTO own VALUES (zeroblob(4000000))")
		require.NoError(t, err)
		time.Sleep(400 * time.Millisecond)
		require.NoError(t, tx.Commit())
		now := size()
		if now < last {
			times++
		}
		last = now
		require.Less(t, now, int64(6*restartBytes), "it must be started again soon")
	}
}
