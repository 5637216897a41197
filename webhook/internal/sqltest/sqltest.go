// Package sqltest has what the tests of packages sqlite and postgres share.
package sqltest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/seal"
)

// NewSubscription makes a subscription for all events, with one channel.
func NewSubscription() *webhook.Subscription {
	return &webhook.Subscription{
		ID: webhook.NewID(), Name: "Orders", EventTypes: []event.Pattern{event.MatchAll},
		Channels: []webhook.ChannelConfig{{
			Channel: "webhook", Configs: []byte(`{"url":"https://example.com"}`),
		}},
	}
}

// NewSealer returns a Sealer that seals with the first of the ids. Each id stands for a key.
func NewSealer(t *testing.T, ids ...string) *seal.Sealer {
	t.Helper()
	var keys []seal.Key
	for _, id := range ids {
		key, err := seal.RawKey(id, []byte(strings.Repeat(id, seal.KeySize))[:seal.KeySize])
		require.NoError(t, err)
		keys = append(keys, key)
	}
	s, err := seal.New(keys...)
	require.NoError(t, err)
	return s
}

// SealedStore is a store with a Sealer.
type SealedStore interface {
	webhook.Store
	Reseal(ctx context.Context) (int, error)
}

// ResealDuringUpdates updates subscriptions and reseals them at the same time, in two
// processes that seal with different keys. No update may be lost. Each call of open opens the
// same database with the keys.
func ResealDuringUpdates(t *testing.T, open func(ids ...string) SealedStore) {
	t.Helper()
	const subscriptions, updates = 4, 25
	ctx := t.Context()
	first, other := open("a", "b"), open("b", "a")
	var ids []string
	for range subscriptions {
		sub := NewSubscription()
		require.NoError(t, first.CreateSubscription(ctx, sub, webhook.Quota{}))
		ids = append(ids, sub.ID)
	}
	n, err := other.Reseal(ctx)
	require.NoError(t, err)
	require.Equal(t, subscriptions, n)

	var updating, resealing sync.WaitGroup
	for _, id := range ids {
		for _, s := range []SealedStore{first, other} {
			updating.Go(func() { updateConfigs(t, s, id, updates) })
		}
	}
	done := make(chan struct{})
	for _, s := range []SealedStore{first, other} {
		resealing.Go(func() {
			for {
				_, err := s.Reseal(ctx)
				assert.NoError(t, err)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	updating.Wait()
	close(done)
	resealing.Wait()

	_, err = other.Reseal(ctx)
	require.NoError(t, err)
	last := open("b")
	for _, id := range ids {
		sub, err := last.Subscription(ctx, "", id)
		require.NoError(t, err, "the first key is not needed any more")
		require.JSONEq(t, fmt.Sprintf(`{"n":%d}`, 2*updates), string(sub.Channels[0].Configs),
			"no update is lost")
		require.Equal(t, sub.CreatedAt.UnixMicro()+2*updates, sub.Revision,
			"the revision counts the updates and nothing else")
	}
}

// updateConfigs adds 1 to a number in the configs, as often as updates says.
func updateConfigs(t *testing.T, s webhook.Store, id string, updates int) {
	ctx := t.Context()
	for n := 0; n < updates; {
		sub, err := s.Subscription(ctx, "", id)
		if !assert.NoError(t, err) {
			return
		}
		var configs struct{ N int }
		assert.NoError(t, json.Unmarshal(sub.Channels[0].Configs, &configs))
		sub.Channels[0].Configs = fmt.Appendf(nil, `{"n":%d}`, configs.N+1)
		err = s.UpdateSubscription(ctx, sub, webhook.Quota{})
		switch {
		case err == nil:
			n++
		case !assert.ErrorIs(t, err, webhook.ErrConflict, "only another update may interfere"):
			return
		}
	}
}
