//go:build unix

package postgres_test

import (
	"cmp"
	"context"
	"flag"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

var (
	linearSeed     = flag.Uint64("linear.seed", 0, "what the clients do; 0 for a random seed")
	linearRestarts = flag.Bool("linear.restarts", false, "run TestLinearizableThroughRestarts")
)

const (
	// recording is short, because the search for an order takes longer the more calls have failed that
	// may have claimed a delivery.
	recording = 700 * time.Millisecond
	// checkTime bounds the search for an order of the calls of one delivery.
	checkTime = 5 * time.Minute
)

// linearizable looks for an order of each delivery's calls. It returns how many deliveries have
// none.
func linearizable(t *testing.T, histories [][]sqltest.Call) (wrong int) {
	t.Helper()
	var shortest []sqltest.Call
	model := porcupine.Model{Init: sqltest.InitDelivery, Step: sqltest.StepDelivery}
	for _, calls := range histories {
		operations := make([]porcupine.Operation, len(calls))
		for i, c := range calls {
			operations[i] = porcupine.Operation{ClientId: c.Client, Input: c.Input, Call: c.Began,
				Output: c.Output, Return: c.Ended}
		}
		switch porcupine.CheckOperationsTimeout(model, operations, checkTime) {
		case porcupine.Illegal:
			wrong++
			if shortest == nil || len(calls) < len(shortest) {
				shortest = calls
			}
		case porcupine.Unknown:
			assert.Fail(t, "no answer", "%d calls", len(calls))
		}
	}
	if wrong > 0 {
		slices.SortFunc(shortest, func(a, b sqltest.Call) int { return cmp.Compare(a.Began, b.Began) })
		for _, c := range shortest {
			t.Log(c)
		}
	}
	return wrong
}

// record has eight clients make calls while the function runs, and returns the history of each
// delivery. The function is given what was recorded.
func record(
	t *testing.T, dsn, direct string, wrap func(webhook.Store) webhook.Store,
	during func(h *sqltest.History),
) [][]sqltest.Call {
	t.Helper()
	const clients = 8
	seed := *linearSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-linear.seed %d has the clients do the same", seed)
	s := open(t, direct)
	h := sqltest.NewHistory(t, s)
	var over atomic.Bool
	var running sync.WaitGroup
	for n := range clients {
		store, err := postgres.Open(t.Context(), dsn, postgres.Config{MaxConns: 2})
		require.NoError(t, err)
		running.Go(func() {
			h.Client(n, seed, wrap(store), func() bool { return !over.Load() })
			assert.NoError(t, store.Close())
		})
	}
	during(h)
	over.Store(true)
	running.Wait()
	histories := h.Finish(s)
	t.Logf("%d deliveries, %+v", len(histories), h.Seen())
	return histories
}

func asIs(s webhook.Store) webhook.Store { return s }

// TestLinearizable records what eight stores on one database return while their connections break,
// and finds an order of the calls that explains it.
func TestLinearizable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second of CPU time")
	}
	t.Parallel()
	dsn := tablesDSN(t)
	p, proxied := proxied(t, dsn)
	end := time.Now().Add(recording)
	assert.Zero(t, linearizable(t, record(t, proxied, dsn, asIs, func(h *sqltest.History) {
		before := 0
		eventually(t, "something must happen", func() bool {
			time.Sleep(time.Duration(100+rand.IntN(200)) * time.Millisecond)
			// On a machine so busy that no call ends in that time all would fail, and the search for an
			// order of those that may have claimed a delivery would not end.
			if seen := h.Seen(); seen.Refused+seen.TakenOver > before {
				before = seen.Refused + seen.TakenOver
				p.set(closed)
			}
			return time.Now().After(end) && h.Seen().Enough()
		})
	})))
}

// forgetfulStore does not compare fencing tokens: it takes any result as one of the latest claim.
type forgetfulStore struct {
	webhook.Store
	*forgetful
}

// forgetful is what the clients' stores share.
type forgetful struct {
	latest sync.Map     // token by DeliveryID
	taken  atomic.Int64 // stale results
}

// Settle implements [webhook.Queue].
func (f forgetfulStore) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	forged := slices.Clone(settlements)
	mine := make(map[webhook.Lease]webhook.Lease, len(forged))
	for i := range forged {
		if token, ok := f.latest.Load(forged[i].DeliveryID); ok {
			forged[i].Token = token.(int64)
		}
		mine[forged[i].Lease] = settlements[i].Lease
	}
	refused, err := f.Store.Settle(ctx, now, forged)
	for i := range forged {
		if err == nil && forged[i].Token != settlements[i].Token &&
			!slices.Contains(refused, forged[i].Lease) {
			f.taken.Add(1)
		}
	}
	for i, l := range refused {
		refused[i] = mine[l]
	}
	return refused, err
}

// Claim implements [webhook.Queue].
func (f forgetfulStore) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	tasks, err := f.Store.Claim(ctx, now, r)
	for i := range tasks {
		f.latest.Store(tasks[i].DeliveryID, tasks[i].Token)
	}
	return tasks, err
}

// TestLinearizableFindsBugs makes sure that the check can fail.
func TestLinearizableFindsBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second of CPU time")
	}
	t.Parallel()
	dsn := tablesDSN(t)
	bug := &forgetful{}
	wrong := linearizable(t, record(t, dsn, dsn,
		func(s webhook.Store) webhook.Store { return forgetfulStore{s, bug} },
		func(*sqltest.History) {
			eventually(t, "stale results must be taken", func() bool { return bug.taken.Load() >= 3 })
		}))
	assert.Positive(t, wrong, "a store that ignores tokens must be found out")
}

// TestLinearizableThroughRestarts does the same on a server that crashes and restarts.
func TestLinearizableThroughRestarts(t *testing.T) {
	if !*linearRestarts {
		t.Skip("runs with -linear.restarts")
	}
	t.Parallel()
	c := newCluster(t)
	assert.Zero(t, linearizable(t, record(t, c.dsn(""), c.dsn(""), asIs, func(h *sqltest.History) {
		for _, how := range []syscall.Signal{stopImmediate, stopFast} {
			eventually(t, "something must happen", func() bool { return h.Seen().Enough() })
			c.stop(t, how)
			c.start(t)
		}
		time.Sleep(recording / 2)
	})))
}
