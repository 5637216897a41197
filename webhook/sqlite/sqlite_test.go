package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// stored is a store that knows its file, for the suite to open it again.
type stored struct {
	*sqlite.Store
	path string
}

func open(t *testing.T, path string) *stored {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &stored{s, path}
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) webhook.Store { return open(t, filepath.Join(t.TempDir(), "webhooks.db")) },
		Reopen: func(t *testing.T, s webhook.Store) webhook.Store {
			require.NoError(t, s.(*stored).Close())
			return open(t, s.(*stored).path)
		},
		Peer: func(t *testing.T, s webhook.Store) webhook.Store { return open(t, s.(*stored).path) },
	})
}
