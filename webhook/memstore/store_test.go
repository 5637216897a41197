package memstore_test

import (
	"testing"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) webhook.Store {
			s := memstore.New()
			t.Cleanup(func() { s.CheckCounts(t) })
			return s
		},
		Begin: func(_ *testing.T, s webhook.Store) storetest.CallerTx {
			tx := s.(*memstore.Store).Begin()
			return storetest.CallerTx{Tx: tx, Commit: tx.Commit, Rollback: tx.Rollback}
		},
	})
}

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, func(*testing.B) webhook.Store { return memstore.New() })
}
