package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/keybench"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, benchmarkStore) }

func BenchmarkAPIKey(b *testing.B) { keybench.Run(b, benchmarkStore(b)) }

func benchmarkStore(b *testing.B) webhook.Store {
	b.Helper()
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "webhooks.db"), sqlite.Config{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}
