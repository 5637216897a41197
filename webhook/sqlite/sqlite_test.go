package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// stored is a store with the path of its file, so that the suite can open the file again.
type stored struct {
	*sqlite.Store
	path string
}

// fresh returns the content of the file of a new store. Most tests begin with a copy of it, because
// making the tables would take longer than they do.
var fresh = sync.OnceValues(func() (file []byte, err error) {
	folder, err := os.MkdirTemp("", "sqlite")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	path := filepath.Join(folder, "webhooks.db")
	s, err := sqlite.Open(context.Background(), path, sqlite.Config{})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// made copies fresh to a path, if there is no file, and returns the path.
func made(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		file, err := fresh()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, file, 0o600))
	}
	return path
}

// open opens the store in a file. If there is none, it begins with a copy of fresh.
func open(t *testing.T, path string) *stored {
	t.Helper()
	made(t, path)
	// Two stores of one file wait for each other for as long as a slow machine needs.
	s, err := sqlite.Open(t.Context(), path, sqlite.Config{BusyTimeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &stored{s, path}
}

// begin begins a transaction on another handle, like a caller.
func begin(t *testing.T, path string) storetest.CallerTx {
	t.Helper()
	tx, err := handle(t, "file:"+path+allPragmas).BeginTx(t.Context(), nil)
	require.NoError(t, err)
	return storetest.CallerTx{Tx: sqlite.Tx(tx), Commit: tx.Commit, Rollback: tx.Rollback}
}

// histories returns how many TestStore runs. Zero means all.
func histories() int {
	if *sqltest.Thorough {
		return 0
	}
	return 1
}

func TestStore(t *testing.T) {
	t.Parallel()
	var groups []string // all
	if testing.Short() {
		// One of them calls every method.
		groups = []string{"Tenants/EveryMethod", "Durability/EverythingSurvives", "Claim/OnlyOnce",
			"Settle/Succeeded", "Transactions/Commit"}
	}
	storetest.Run(t, storetest.Harness{
		Groups: groups, Histories: histories(),
		New: func(t *testing.T) webhook.Store { return open(t, filepath.Join(t.TempDir(), "webhooks.db")) },
		Reopen: func(t *testing.T, s webhook.Store) webhook.Store {
			require.NoError(t, s.(*stored).Close())
			return open(t, s.(*stored).path)
		},
		Begin: func(t *testing.T, s webhook.Store) storetest.CallerTx {
			return begin(t, s.(*stored).path)
		},
		Peer: func(t *testing.T, s webhook.Store) webhook.Store { return open(t, s.(*stored).path) },
	})
}

// errorOf returns the error of a call that returns a value and an error.
func errorOf[T any](_ T, err error) error { return err }
