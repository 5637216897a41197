package sqlite_test

import (
	"flag"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

var linearSeed = flag.Uint64("linear.seed", 0, "what the clients do; 0 for a random seed")

// TestLinearizable records what two stores on one file return, also to callers that give up, and
// finds an order of the calls that explains it. That the check can fail is tested in package
// postgres.
func TestLinearizable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second of CPU time")
	}
	t.Parallel()
	seed := *linearSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-linear.seed %d has the clients do the same", seed)
	path := filepath.Join(t.TempDir(), "webhooks.db")
	stores := []*stored{open(t, path), open(t, path)}
	h := sqltest.NewHistory(t, stores[0])
	end := time.Now().Add(400 * time.Millisecond)
	var over atomic.Bool
	time.AfterFunc(time.Minute, func() { over.Store(true) })
	more := func() bool { return !over.Load() && (time.Now().Before(end) || !h.Seen().Enough()) }
	var running sync.WaitGroup
	for n, s := range stores {
		running.Go(func() { h.Client(n, seed, s, more) })
		running.Go(func() { h.Client(n+len(stores), seed, s, more) })
	}
	running.Wait()
	require.False(t, over.Load(), "%+v", h.Seen())
	model := porcupine.Model{Init: sqltest.InitDelivery, Step: sqltest.StepDelivery}
	for _, calls := range h.Finish(stores[0]) {
		operations := make([]porcupine.Operation, len(calls))
		for i, c := range calls {
			operations[i] = porcupine.Operation{ClientId: c.Client, Input: c.Input, Call: c.Began,
				Output: c.Output, Return: c.Ended}
		}
		assert.Equal(t, porcupine.Ok,
			porcupine.CheckOperationsTimeout(model, operations, 5*time.Minute), "%v", calls)
	}
	t.Logf("%+v", h.Seen())
}
