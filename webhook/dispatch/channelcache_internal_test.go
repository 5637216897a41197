package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// slowReads is a store that takes ten seconds to read a subscription, and counts how often the states
// of endpoints are read.
type slowReads struct {
	webhook.Store
	states atomic.Int64
}

func (s *slowReads) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	select {
	case <-time.After(10 * time.Second):
		return s.Store.Subscription(ctx, organizationID, id)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *slowReads) EndpointStates(
	ctx context.Context, q webhook.EndpointQuery,
) ([]webhook.EndpointState, error) {
	s.states.Add(1)
	return s.Store.EndpointStates(ctx, q)
}

func newSlowReads(t *testing.T) (*slowReads, *channelCache, *webhook.Subscription) {
	t.Helper()
	store := &slowReads{Store: memstore.New()}
	sub := &webhook.Subscription{ID: webhook.NewID(), Name: "One", EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}}}
	require.NoError(t, store.CreateSubscription(t.Context(), sub, webhook.Quota{}))
	return store, newChannelCache(store, channel.NewRegistry()), sub
}

// The context of the first caller does not end the read of a subscription for the other callers, and
// each caller waits only until its own context ends.
func TestASubscriptionIsReadForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, cache, sub := newSlowReads(t)
		start := time.Now()
		get := func(timeout time.Duration) <-chan error {
			answered := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				_, err := cache.get(ctx, "", sub.ID, sub.Revision, time.Time{})
				answered <- err
			}()
			synctest.Wait()
			return answered
		}
		first, second, third := get(time.Second), get(time.Minute), get(2*time.Second)
		require.ErrorIs(t, <-first, context.DeadlineExceeded)
		require.ErrorIs(t, <-third, context.DeadlineExceeded)
		assert.Equal(t, 2*time.Second, time.Since(start))
		require.NoError(t, <-second)
		assert.Equal(t, 10*time.Second, time.Since(start), "it was read once")
	})
}

// What was read without the states of the endpoints does not serve who asks for those.
func TestStatesAreReadForWhoAsksForThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, cache, sub := newSlowReads(t)
		for _, c := range []struct {
			since  time.Time
			states int64
		}{{time.Time{}, 0}, {time.Now(), 1}, {time.Now(), 1}, {time.Time{}, 1}} {
			_, err := cache.get(t.Context(), "", sub.ID, sub.Revision, c.since)
			require.NoError(t, err)
			assert.Equal(t, c.states, store.states.Load())
		}
	})
}

// An organization that fills the cache, with many subscriptions or with large ones, takes no place
// of those that have less, and the cache never has more than it may.
func TestTheCacheIsSharedByOrganizations(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for _, bytes := range []int{600, 5_000, 130_000} {
		cache := newChannelCache(memstore.New(), channel.NewRegistry())
		key := func(organization string, i int) cacheKey {
			return cacheKey{organization, strconv.Itoa(i)}
		}
		for i := range 100 {
			cache.put(key("victim", i), &cacheEntry{bytes: 600})
			cache.put(key(fmt.Sprint("small", i), 0), &cacheEntry{bytes: 600})
		}
		mostBytes, most := 0, 0
		for i := range maxCachedSubscriptions + 100 {
			cache.put(key([]string{"one", "two"}[i%2], i), &cacheEntry{bytes: bytes})
			mostBytes, most = max(mostBytes, cache.bytes), max(most, len(cache.entries))
		}
		require.LessOrEqual(t, mostBytes, maxCachedBytes)
		require.LessOrEqual(t, most, maxCachedSubscriptions)
		for i := range 100 {
			for _, k := range []cacheKey{key("victim", i), key(fmt.Sprint("small", i), 0)} {
				assert.NotNil(t, cache.entries[k], "%v", k) // Contains would copy all keys
			}
		}
		one, two := cache.byID["one"], cache.byID["two"]
		assert.InDelta(t, one.bytes, two.bytes, float64(2*bytes), "what is left is shared")
		assert.Greater(t, one.bytes+two.bytes, min(maxCachedBytes, maxCachedSubscriptions*bytes)*9/10)

		for key := range maps.Clone(cache.entries) {
			cache.remove(key)
		}
		assert.Zero(t, cache.bytes)
		assert.Empty(t, cache.shares)
		assert.Empty(t, cache.byID)
	}
}

// What another process has deleted does not stay.
func TestTheCacheForgetsWhatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, cache, sub := newSlowReads(t)
		_, err := cache.get(t.Context(), "", sub.ID, sub.Revision, time.Time{})
		require.NoError(t, err)
		require.Len(t, cache.entries, 1)
		require.NoError(t, store.DeleteSubscription(t.Context(), "", sub.ID, sub.Revision))
		_, err = cache.get(t.Context(), "", sub.ID, sub.Revision, time.Now())
		require.ErrorIs(t, err, webhook.ErrNotFound)
		assert.Empty(t, cache.entries)
		assert.Zero(t, cache.bytes)
	})
}
