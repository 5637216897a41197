package storetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// requestCases are for stores that remember requests.
func requestCases(h Harness) []testCase {
	once := withIdempotency
	cases := []testCase{
		{"Once", once(requestOnce)},
		{"TakeOver", once(requestTakeOver)},
		{"Forgotten", once(requestForgotten)},
		{"Expiry", once(requestExpiry)},
		{"ManyExpired", once(manyExpiredRequests)},
		{"Concurrently", once(func(f *fixture, s webhook.IdempotencyStore) { concurrentRequests(f, s, s) })},
		{"Cancellation", once(requestCancellation)},
	}
	if h.Peer != nil {
		cases = append(cases, testCase{"Peers", once(func(f *fixture, s webhook.IdempotencyStore) {
			peer := h.Peer(f.t, f.inner).Capabilities().Idempotency
			require.NotNil(f.t, peer, "all processes have the same capabilities")
			concurrentRequests(f, s, peer)
		})})
	}
	if h.Reopen != nil {
		cases = append(cases, testCase{"Durability", once(func(f *fixture, s webhook.IdempotencyStore) {
			r := beginRequest(f, s, newRequest(1, start()), true)
			r.Answer = []byte("done")
			require.NoError(f.t, s.EndIdempotent(f.ctx, r))
			s = h.Reopen(f.t, f.inner).Capabilities().Idempotency
			requireRequest(f, r, beginRequest(f, s, newRequest(1, start()), false), "what a method reported as done survives the death of the process")
		})})
	}
	return cases
}

// withIdempotency runs on what a store declares.
func withIdempotency(run func(f *fixture, s webhook.IdempotencyStore)) func(*fixture) {
	return func(f *fixture) {
		s := f.Capabilities().Idempotency
		if s == nil {
			f.t.Skip("the store does not declare Idempotency")
		}
		run(f, s)
	}
}

func newRequest(n int, at time.Time) webhook.IdempotentRequest {
	return webhook.IdempotentRequest{
		Key: fmt.Appendf(nil, "%032d", n), Digest: bytes.Repeat([]byte{0, 0xff}, 16), Began: at, Until: at.Add(lease),
	}
}

// beginRequest begins a request of the last day and checks who is to work on it.
func beginRequest(f *fixture, s webhook.IdempotencyStore, r webhook.IdempotentRequest, work bool) webhook.IdempotentRequest {
	stored, got, err := s.BeginIdempotent(f.ctx, r, r.Began.Add(-24*time.Hour))
	require.NoError(f.t, err)
	require.Equal(f.t, work, got, "whether the caller is to work on the request")
	return stored
}

func requireRequest(f *fixture, want, got webhook.IdempotentRequest, rule string) {
	require.Equal(f.t, want.Key, got.Key, rule)
	require.Equal(f.t, want.Digest, got.Digest, rule)
	require.Equal(f.t, want.Answer, got.Answer, rule)
	f.requireTime(want.Began, got.Began, "Began")
	f.requireTime(want.Until, got.Until, "Until")
}

func requestOnce(f *fixture, s webhook.IdempotencyStore) {
	first := newRequest(1, start())
	requireRequest(f, first, beginRequest(f, s, first, true), "a new request is stored as it is")
	second := newRequest(1, start().Add(time.Second))
	second.Digest = bytes.Repeat([]byte{1}, 32)
	requireRequest(f, first, beginRequest(f, s, second, false), "a request that is under way is returned as it is")

	first.Answer = []byte("\x00done\xff")
	require.NoError(f.t, s.EndIdempotent(f.ctx, first))
	late := newRequest(1, start().Add(time.Hour))
	requireRequest(f, first, beginRequest(f, s, late, false), "an answered request is returned with its answer, byte by byte")
	beginRequest(f, s, newRequest(2, start()), true)
}

func requestTakeOver(f *fixture, s webhook.IdempotencyStore) {
	first := beginRequest(f, s, newRequest(1, start()), true)
	other := newRequest(1, first.Until)
	other.Digest = bytes.Repeat([]byte{1}, 32)
	beginRequest(f, s, other, false)
	beginRequest(f, s, newRequest(1, first.Until.Add(-tick)), false)
	second := newRequest(1, first.Until)
	taken := beginRequest(f, s, second, true)
	second.Began = first.Began
	requireRequest(f, second, taken, "whoever takes over learns when the first try began")

	for _, answer := range [][]byte{nil, []byte("stale")} {
		first.Answer = answer
		require.NoError(f.t, s.EndIdempotent(f.ctx, first))
		requireRequest(f, second, beginRequest(f, s, newRequest(1, first.Until.Add(tick)), false),
			"whoever was taken over from cannot end the request any more")
	}
}

func requestForgotten(f *fixture, s webhook.IdempotencyStore) {
	first := beginRequest(f, s, newRequest(1, start()), true)
	require.NoError(f.t, s.EndIdempotent(f.ctx, first))
	again := newRequest(1, start().Add(tick))
	requireRequest(f, again, beginRequest(f, s, again, true), "a request that ended without an answer is forgotten")
	require.NoError(f.t, s.EndIdempotent(f.ctx, newRequest(5, start())), "ending an unknown request changes nothing")
}

func requestExpiry(f *fixture, s webhook.IdempotencyStore) {
	r := beginRequest(f, s, newRequest(1, start()), true)
	r.Answer = []byte("done")
	require.NoError(f.t, s.EndIdempotent(f.ctx, r))
	again := newRequest(1, start().Add(24*time.Hour))
	requireRequest(f, r, beginRequest(f, s, again, false), "a request is there that did not begin before the time")
	again = newRequest(1, start().Add(24*time.Hour+tick))
	requireRequest(f, again, beginRequest(f, s, again, true), "a request that began before the time is no longer there")
}

// manyExpiredRequests begins more than one call removes.
func manyExpiredRequests(f *fixture, s webhook.IdempotencyStore) {
	const n = webhook.MaxExpired + 20
	for i := range n {
		beginRequest(f, s, newRequest(i, start()), true)
	}
	late := start().Add(48 * time.Hour)
	for i := range n {
		again := newRequest(n-1-i, late)
		requireRequest(f, again, beginRequest(f, s, again, true), "a request that has expired is not there, however many have")
	}
}

// concurrentRequests lets many begin the same requests at once.
func concurrentRequests(f *fixture, stores ...webhook.IdempotencyStore) {
	const keys, callers = 20, 8
	var began [keys]atomic.Int64
	var running sync.WaitGroup
	for caller := range callers {
		s := stores[caller%len(stores)]
		running.Go(func() {
			for n := range keys {
				r, work, err := s.BeginIdempotent(f.ctx, newRequest(n, start()), start())
				if !assert.NoError(f.t, err) || !work {
					continue
				}
				began[n].Add(1)
				r.Answer = []byte("done")
				assert.NoError(f.t, s.EndIdempotent(f.ctx, r))
			}
		})
	}
	running.Wait()
	for n := range keys {
		require.EqualValues(f.t, 1, began[n].Load(), "of many who begin a request at once, one is to work on it")
		require.Equal(f.t, "done", string(beginRequest(f, stores[0], newRequest(n, start()), false).Answer))
	}
}

func requestCancellation(f *fixture, s webhook.IdempotencyStore) {
	first := beginRequest(f, s, newRequest(1, start()), true)
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, _, err := s.BeginIdempotent(ctx, newRequest(2, start()), start())
	require.Error(f.t, err, "BeginIdempotent with a cancelled context is an error")
	require.Error(f.t, s.EndIdempotent(ctx, first), "EndIdempotent with a cancelled context is an error")
	beginRequest(f, s, newRequest(1, start()), false)
	beginRequest(f, s, newRequest(2, start()), true)
}
