package dispatch_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// What waits for a paused subscription or a disabled endpoint expires while it waits.
func TestDeliveriesExpireWhileTheyWait(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{PollInterval: slowPoll}, func(
			context.Context, *channel.Message,
		) (channel.Result, error) {
			t.Error("an attempt was made")
			return channel.Result{StatusCode: 200}, nil
		})
		paused, disabled := b.subscribe(t, "*"), b.subscribe(t, "*")
		paused.Paused = true
		require.NoError(t, b.UpdateSubscription(t.Context(), paused))
		require.NoError(t, b.DisableEndpoint(t.Context(), "",
			webhook.Endpoint{SubscriptionID: disabled.ID, Channel: "webhook"}, "ada"))
		b.run(t)
		for range 600 { // more than are taken at once
			b.emitTTL(t, time.Hour)
		}
		b.emitTTL(t, 0)
		elapse(59 * time.Minute)
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusPaused, Limit: 2000}), 1202)
		elapse(3 * time.Minute)
		dead := b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusDead, Limit: 2000})
		require.Len(t, dead, 1200)
		last := dead[0].Attempts[len(dead[0].Attempts)-1]
		assert.Equal(t, string(dispatch.ClassExpired), last.Class)
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusPaused}), 2)
		elapse(time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		assert.Len(t, b.outcomes, 1200, "the hook hears of each")
	})
}

// However much there is to prune, looking for what has expired does not keep the store from others.
func TestExpiringLeavesTimeForOthers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		const call = 80 * time.Millisecond
		store := &expiringStore{Store: memstore.New()}
		store.claimExpired = func() error { time.Sleep(call); return nil }
		store.pruned = func(limit int) int { return limit }
		b := benchOn(t, store, dispatch.Config{}, nil)
		b.run(t)
		elapse(time.Minute)
		assert.Greater(t, store.calls.Load(), int64(100), "it goes on as long as there is more")
		assert.LessOrEqual(t, time.Duration(store.calls.Load())*call, 30*time.Second)
	})
}

// A store that cannot say what has expired is pruned all the same, and asked again.
func TestPruneWhileExpiryAndRepairFail(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var prunes, fails, repairs atomic.Int64
		store := &expiringStore{Store: memstore.New()}
		store.claimExpired = func() error { fails.Add(1); return errors.New("no index") }
		store.repair = func() error { repairs.Add(1); return errors.New("no time") }
		store.pruned = func(limit int) int { prunes.Add(1); time.Sleep(time.Second); return limit }
		var logged lockedBuffer
		b := benchOn(t, store, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))}, nil)
		b.run(t)
		elapse(10*time.Minute + 30*time.Second)
		assert.Greater(t, prunes.Load(), int64(100))
		assert.InDelta(t, 10, fails.Load(), 1, "once a minute, however often it prunes")
		assert.InDelta(t, 10, repairs.Load(), 1, "once a minute, however often it prunes")
		assert.Equal(t, 1, strings.Count(logged.String(), "no index"), "logged once")
		assert.Equal(t, 1, strings.Count(logged.String(), "no time"), "logged once")
	})
}

// expiringStore has calls of its own of what pruneLoop asks for.
type expiringStore struct {
	webhook.Store
	claimExpired func() error
	repair       func() error
	pruned       func(limit int) int
	calls        atomic.Int64 // of ClaimExpired
}

func (s *expiringStore) ClaimExpired(
	context.Context, time.Time, time.Time, int,
) ([]webhook.Task, error) {
	s.calls.Add(1)
	return nil, s.claimExpired()
}

func (s *expiringStore) Repair(
	ctx context.Context, now time.Time, r webhook.RepairRequest,
) (int, error) {
	if s.repair == nil {
		return s.Store.Repair(ctx, now, r)
	}
	return 0, s.repair()
}

func (s *expiringStore) Prune(_ context.Context, _ time.Time, r webhook.PruneRequest) (int, error) {
	return s.pruned(r.Limit), nil
}
