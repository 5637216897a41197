package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
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

// TestCallersTakeTurns begins transactions of the caller while the store writes without a pause.
func TestCallersTakeTurns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	subscribeChannels(t, s, "org", 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var emits sync.WaitGroup
	defer emits.Wait()
	defer stop()
	var stored atomic.Int64
	for i := range 4 {
		emits.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_, err := s.Enqueue(context.WithoutCancel(ctx), time.Now(), []webhook.NewEvent{{
					OrganizationID: "org", ID: fmt.Sprint("evt_", i, "_", n), Type: "a.b",
					Payload: []byte(`{}`)}}, nil)
				assert.NoError(t, err)
				stored.Add(1)
			}
		})
	}
	for n := range 300 {
		before := stored.Load()
		tx, err := s.DB().BeginTx(ctx, nil)
		require.NoError(t, err)
		require.LessOrEqual(t, stored.Load()-before, int64(300), "that many went before number %d", n)
		require.NoError(t, tx.Commit())
	}
	stop()
	emits.Wait()
	// Single statements wait for others, too, and what only reads waits for nothing.
	ctx = t.Context()
	_, err := s.DB().ExecContext(ctx, "CREATE TABLE own (id)")
	require.NoError(t, err)
	writing, err := s.DB().BeginTx(ctx, nil)
	require.NoError(t, err)
	single := make(chan error, 1)
	go func() {
		_, err := s.DB().ExecContext(ctx, "INSERT INTO own VALUES (1)")
		single <- err
	}()
	reading, err := s.DB().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, reading.Rollback())
	waiting, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = s.DB().BeginTx(waiting, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, writing.Rollback())
	require.NoError(t, <-single)
}

// TestAMarkedFileIsOpenedAtOnce opens a file of which a process has said that a sync failed, and ended.
func TestAMarkedFileIsOpenedAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("each file that is opened takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s, err := sqlite.Open(t.Context(), path, sqlite.Config{})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, os.WriteFile(path+"-unsynced", nil, 0o600))
	var opens sync.WaitGroup
	for range 3 { // as when the processes of a service are restarted
		opens.Go(func() {
			s, err := sqlite.Open(t.Context(), path, sqlite.Config{BusyTimeout: time.Minute})
			if assert.NoError(t, err) {
				assert.NoError(t, s.Ping(t.Context()))
				assert.NoError(t, s.Close())
			}
		})
	}
	opens.Wait()
	require.NoFileExists(t, path+"-unsynced")
}
