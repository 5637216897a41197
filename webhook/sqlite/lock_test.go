package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// TestWritersTakeTurns waits for processes that leave the write lock for less than a hundredth of the
// time. SQLite's own waiting looks a hundred times in 10 seconds, and may find the lock taken each
// time.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	locked := fmt.Errorf("another writes: %w", sqlite.ErrLocked)
	synctest.Test(t, func(t *testing.T) {
		looked := 0
		begun := time.Now()
		err := sqlite.WaitForLock(t.Context(), 10*time.Second, func() error {
			looked++
			return locked
		})
		require.ErrorIs(t, err, sqlite.ErrLocked)
		assert.GreaterOrEqual(t, time.Since(begun), 10*time.Second)
		assert.Less(t, time.Since(begun), 11*time.Second)
		assert.Greater(t, looked, 3000)
	})
	synctest.Test(t, func(t *testing.T) {
		looked := 0
		require.NoError(t, sqlite.WaitForLock(t.Context(), 10*time.Second, func() error {
			if looked++; looked < 500 {
				return locked
			}
			return nil
		}))
		require.Equal(t, 500, looked)
	})
	synctest.Test(t, func(t *testing.T) { // what is another error is not tried again
		require.ErrorIs(t, sqlite.WaitForLock(t.Context(), 10*time.Second,
			func() error { return sqlite.ErrFull }), sqlite.ErrFull)
	})
}

// TestWritesEndWithTheirContext writes while another process holds the write lock.
func TestWritesEndWithTheirContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s, err := sqlite.Open(t.Context(), path, sqlite.Config{BusyTimeout: time.Hour})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	other, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Close()) }()
	writing, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	event := []webhook.NewEvent{{ID: "evt_1", Type: "a.b", Payload: []byte(`{}`)}}
	_, err = s.Enqueue(ctx, time.Now(), event, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, writing.Rollback())
	_, err = s.Enqueue(t.Context(), time.Now(), event, nil)
	require.NoError(t, err)
}
