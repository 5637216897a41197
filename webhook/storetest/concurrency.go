package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// goroutines is how many run against the store at once.
const goroutines = 16

func concurrencyCases() []testCase {
	return []testCase{
		{"Claimers", func(f *fixture) { concurrentClaimers(f, f) }},
		{"TakeOvers", func(f *fixture) { concurrentTakeOvers(f, f) }},
		{"SameEvents", func(f *fixture) { concurrentSameEvents(f, f) }},
		{"CreateThenEmit", func(f *fixture) { concurrentCreateThenEmit(f, f) }},
		{"Quota", func(f *fixture) { concurrentQuota(f, f) }},
		{"ChangeThenEmit", func(f *fixture) { concurrentChangeThenEmit(f, f) }},
		{"Updaters", func(f *fixture) { concurrentUpdaters(f, f) }},
		{"Statistics", func(f *fixture) { concurrentStatistics(f, f) }},
		{"Probers", func(f *fixture) { concurrentProbers(f, f) }},
		{"Creators", concurrentCreators},
		{"ReplayAndCancel", concurrentReplayAndCancel},
		{"RemovingWhileEmitting", removingWhileEmitting},
		{"Pruning", concurrentPruning},
	}
}

// inParallel runs fn in many goroutines that start together.
func inParallel(fn func(n int)) {
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for n := range goroutines {
		wg.Go(func() {
			<-begin
			fn(n)
		})
	}
	close(begin)
	wg.Wait()
}

// The cases that take several views do the same through each of them in turn:
// one for a store in one process, two for a store and its peer.

// concurrentProbers claims probes and changes states at the same time.
func concurrentProbers(views ...*fixture) {
	f := views[0]
	const probes = 5
	e := endpointOf(f.create(hook()))
	f.enqueue(start(), newEvents("evt", probes*goroutines)...)
	f.setHealth(e, webhook.Degraded, start(), start())
	for i := range probes {
		now := start().Add(time.Duration(i) * lease)
		var claimed, changed atomic.Int64
		inParallel(func(n int) {
			f := views[n%len(views)]
			tasks, err := f.Claim(f.ctx, now,
				webhook.ClaimRequest{Until: now.Add(lease), Limit: 5, PerEndpoint: 5})
			assert.NoError(f.t, err)
			claimed.Add(int64(len(tasks)))
			for _, task := range tasks {
				assert.NotNil(f.t, task.Probe)
			}
		})
		require.EqualValues(f.t, 1, claimed.Load(), "one caller gets the probe")
		inParallel(func(n int) {
			f := views[n%len(views)]
			state, err := f.EndpointState(f.ctx, org, e)
			assert.NoError(f.t, err)
			switch err := webhook.SetEndpointState(f.ctx, f, &state, 0); {
			case err == nil:
				changed.Add(1)
			default:
				assert.ErrorIs(f.t, err, webhook.ErrConflict)
			}
		})
		require.Positive(f.t, changed.Load(), "of changes at the same time, one is made")
	}
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusInFlight}), probes)
}

// concurrentClaimers claims and settles while events are enqueued, partly with
// a prefetch. The time stands still, so no lease ends: nothing may come twice.
func concurrentClaimers(views ...*fixture) {
	f := views[0]
	f.create(hook("webhook", "slack"))
	f.create(hook())
	const batches, batch, perEvent = 6, 5, 3
	const total = goroutines * batches * batch * perEvent

	var mu sync.Mutex
	seen := make(map[webhook.DeliveryID]int)
	settle := func(f *fixture, tasks []webhook.Task) {
		var settlements []webhook.Settlement
		mu.Lock()
		for _, task := range tasks {
			seen[task.DeliveryID]++
			settlements = append(settlements, succeeded(task, start()))
		}
		mu.Unlock()
		refused, err := f.Settle(f.ctx, start(), settlements)
		assert.NoError(f.t, err)
		assert.Empty(f.t, refused, "a result on a delivery that only the caller holds is accepted")
	}
	inParallel(func(n int) {
		f := views[n%len(views)]
		accepted := 0
		prefetch := &webhook.Prefetch{Until: start().Add(lease),
			Take: func(string, webhook.Endpoint) bool {
				accepted++
				return accepted%3 == 0
			}}
		r := webhook.ClaimRequest{Until: start().Add(lease), Limit: 7, PerEndpoint: 5}
		for i := range batches {
			tasks, err := tasksOf(f.Enqueue(f.ctx, start(), newEvents(fmt.Sprintf("evt_%d_%d", n, i), batch),
				prefetch))
			if !assert.NoError(f.t, err) {
				return
			}
			claimed, err := f.Claim(f.ctx, start(), r)
			if !assert.NoError(f.t, err) {
				return
			}
			settle(f, append(tasks, claimed...))
		}
	})
	for range total {
		tasks := f.claim(start(), 100)
		if len(tasks) == 0 {
			break
		}
		settle(f, tasks)
	}
	require.Len(f.t, seen, total, "every delivery is handed out")
	for id, n := range seen {
		require.Equal(f.t, 1, n, "no delivery is handed out twice under one lease: %s", id)
	}
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusSucceeded, Limit: total + 1}),
		total)
}

// concurrentTakeOvers lets every claim find the leases of the others ended. Of
// the claimers that hold a delivery in turn, at most the last one's result
// counts, and the history has exactly the results that counted.
func concurrentTakeOvers(views ...*fixture) {
	f := views[0]
	f.create(hook())
	const deliveries, rounds = 4, 15
	f.enqueue(start(), newEvents("evt", deliveries)...)
	var mu sync.Mutex
	tokens := make(map[webhook.Lease]int)
	accepted := make(map[webhook.DeliveryID]int)
	var clock atomic.Int64
	inParallel(func(n int) {
		f := views[n%len(views)]
		for range rounds {
			now := start().Add(time.Duration(clock.Add(1)) * lease)
			tasks, err := f.Claim(f.ctx, now,
				webhook.ClaimRequest{Until: now.Add(lease), Limit: deliveries, PerEndpoint: deliveries})
			if !assert.NoError(f.t, err) {
				return
			}
			for _, task := range tasks {
				refused, err := f.Settle(f.ctx, now, []webhook.Settlement{retry(task, now, now)})
				assert.NoError(f.t, err)
				mu.Lock()
				tokens[task.Lease]++
				if len(refused) == 0 {
					accepted[task.DeliveryID]++
				}
				mu.Unlock()
			}
		}
	})
	for l, n := range tokens {
		require.Equal(f.t, 1, n, "the token grows with every claim: %s was claimed twice with token %d",
			l.DeliveryID, l.Token)
	}
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.Len(f.t, d.Attempts, accepted[d.ID],
			"the history has exactly the attempts whose results were accepted")
		for i, a := range d.Attempts {
			require.Equal(f.t, i+1, a.Number, "attempts are numbered from 1 without a gap")
		}
	}
}

// concurrentSameEvents emits the same events from all views, as producers that retry do, in orders
// that can make a store deadlock.
func concurrentSameEvents(views ...*fixture) {
	f := views[0]
	f.create(hook())
	const events = 10
	inParallel(func(n int) {
		f := views[n%len(views)]
		batch := make([]webhook.NewEvent, 0, events)
		for i := range events {
			if n%2 == 1 {
				i = events - 1 - i
			}
			batch = append(batch, newEvent(fmt.Sprint("evt_", i)))
		}
		_, err := f.Enqueue(f.ctx, start(), batch, nil)
		assert.NoError(f.t, err,
			"an event that is stored already is passed over, also when both calls come at once")
	})
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), events,
		"an event that many emit at once is stored once")
	require.Len(f.t, f.claim(start(), 100), events)
}

func concurrentCreateThenEmit(views ...*fixture) {
	inParallel(func(n int) {
		mine, yours := views[n%len(views)], views[(n+1)%len(views)]
		name := fmt.Sprint("type", n)
		sub := hook()
		sub.EventTypes = []event.Pattern{event.Pattern(name + ".*")}
		if !assert.NoError(mine.t, mine.CreateSubscription(mine.ctx, sub, webhook.Quota{})) {
			return
		}
		e := newEvent("evt_" + name)
		e.Type = name + ".sent"
		_, err := yours.Enqueue(yours.ctx, start(), []webhook.NewEvent{e}, nil)
		assert.NoError(yours.t, err)
		found, err := mine.Deliveries(mine.ctx, webhook.DeliveryQuery{OrganizationID: org, EventID: e.ID})
		assert.NoError(mine.t, err)
		assert.Len(mine.t, found, 1,
			"a subscription that was created before Enqueue began is matched, whatever happens meanwhile")
	})
}

// concurrentChangeThenEmit changes subscriptions of one organization in many goroutines, and emits
// through another view after each change: the event goes to the subscription as it is now, and not
// as it was before.
func concurrentChangeThenEmit(views ...*fixture) {
	const rounds = 8
	inParallel(func(n int) {
		mine, yours := views[n%len(views)], views[(n+1)%len(views)]
		sub := hook()
		sub.EventTypes = []event.Pattern{event.Pattern(fmt.Sprintf("type%d_0.*", n))}
		if !assert.NoError(mine.t, mine.CreateSubscription(mine.ctx, sub, webhook.Quota{})) {
			return
		}
		for round := range rounds {
			emit := func(want int) {
				e := newEvent(fmt.Sprintf("evt_%d_%d_%d", n, round, want))
				e.Type = fmt.Sprintf("type%d_%d.sent", n, round)
				_, err := yours.Enqueue(yours.ctx, start(), []webhook.NewEvent{e}, nil)
				assert.NoError(yours.t, err)
				found, err := mine.Deliveries(mine.ctx,
					webhook.DeliveryQuery{OrganizationID: org, EventID: e.ID})
				assert.NoError(mine.t, err)
				assert.Len(mine.t, found, want,
					"a change that returned before Enqueue began counts, whatever else changes meanwhile")
			}
			emit(1)
			sub.EventTypes = []event.Pattern{event.Pattern(fmt.Sprintf("type%d_%d.*", n, round+1))}
			sub.Paused = round%2 == 0
			if !assert.NoError(mine.t, mine.UpdateSubscription(mine.ctx, sub, webhook.Quota{})) {
				return
			}
			emit(0)
		}
		if assert.NoError(mine.t, mine.DeleteSubscription(mine.ctx, org, sub.ID, 0)) {
			e := newEvent(fmt.Sprint("evt_last_", n))
			e.Type = fmt.Sprintf("type%d_%d.sent", n, rounds)
			_, err := yours.Enqueue(yours.ctx, start(), []webhook.NewEvent{e}, nil)
			assert.NoError(yours.t, err)
			found, err := mine.Deliveries(mine.ctx,
				webhook.DeliveryQuery{OrganizationID: org, EventID: e.ID})
			assert.NoError(mine.t, err)
			assert.Empty(mine.t, found, "a subscription that was deleted before Enqueue began gets nothing")
		}
	})
}

// concurrentUpdaters checks that exactly one update is based on each revision.
func concurrentUpdaters(views ...*fixture) {
	f := views[0]
	sub := f.create(hook())
	const perGoroutine = 3
	var mu sync.Mutex
	winners := make(map[int64]string)
	inParallel(func(n int) {
		f := views[n%len(views)]
		for won, tries := 0, 0; won < perGoroutine && tries < 5_000; tries++ {
			current, err := f.Subscription(f.ctx, org, sub.ID)
			if !assert.NoError(f.t, err) {
				return
			}
			base := current.Revision
			current.Name = fmt.Sprintf("%d of goroutine %d", won, n)
			err = f.UpdateSubscription(f.ctx, current, webhook.Quota{})
			if errors.Is(err, webhook.ErrConflict) {
				continue
			}
			if !assert.NoError(f.t, err) {
				return
			}
			won++
			mu.Lock()
			assert.Empty(f.t, winners[base], "of the updates based on one revision, exactly one wins")
			assert.Equal(f.t, base+1, current.Revision, "the revision counts the updates")
			winners[base] = current.Name
			mu.Unlock()
		}
	})
	got, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.Equal(f.t, sub.Revision+goroutines*perGoroutine, got.Revision,
		"the revision counts the updates: none is lost")
	require.Equal(f.t, winners[got.Revision-1], got.Name, "the last update is what is stored")
}

func concurrentCreators(f *fixture) {
	sub := hook()
	var winners atomic.Int64
	inParallel(func(int) {
		err := f.CreateSubscription(f.ctx, sub.Clone(), webhook.Quota{})
		if err == nil {
			winners.Add(1)
			return
		}
		assert.ErrorIs(f.t, err, webhook.ErrExists,
			"a used id returns ErrExists, also when both calls run at the same time")
	})
	require.EqualValues(f.t, 1, winners.Load(),
		"of the concurrent calls that create one id, exactly one succeeds")
}

func concurrentReplayAndCancel(f *fixture) {
	f.create(hook())
	id := f.settled("evt_1", start(), webhook.StatusDead)
	race := func(what string, call func() error) {
		var winners atomic.Int64
		inParallel(func(int) {
			err := call()
			if err == nil {
				winners.Add(1)
				return
			}
			assert.ErrorIs(f.t, err, webhook.ErrWrongStatus)
		})
		require.EqualValues(f.t, 1, winners.Load(),
			"of the concurrent calls that %s one delivery, exactly one succeeds", what)
	}
	race("replay", func() error { return f.Replay(f.ctx, start(), org, id) })
	race("cancel", func() error { return f.Cancel(f.ctx, start(), org, id) })
}

// removingWhileEmitting deletes subscriptions and removes channels while events for them are
// enqueued. Nothing may be left to be claimed, whichever comes first.
func removingWhileEmitting(f *fixture) {
	const webhooks = 4
	var hooks []*webhook.Subscription
	for range webhooks {
		hooks = append(hooks, f.create(hook("webhook", "slack")))
	}
	inParallel(func(n int) {
		if n < webhooks {
			sub := hooks[n]
			if n%2 == 0 {
				assert.NoError(f.t, f.DeleteSubscription(f.ctx, org, sub.ID, 0))
				return
			}
			changed := sub.Clone()
			changed.Channels = changed.Channels[:1]
			assert.NoError(f.t, f.UpdateSubscription(f.ctx, changed, webhook.Quota{}))
			return
		}
		for i := range 5 {
			prefetch := &webhook.Prefetch{Until: start().Add(lease),
				Take: func(string, webhook.Endpoint) bool { return i%2 == 0 }}
			_, err := f.Enqueue(f.ctx, start(), newEvents(fmt.Sprintf("evt_%d_%d", n, i), 2), prefetch)
			assert.NoError(f.t, err)
		}
	})
	gone := map[webhook.Endpoint]bool{
		{SubscriptionID: hooks[0].ID, Channel: "webhook"}: true,
		{SubscriptionID: hooks[0].ID, Channel: "slack"}:   true,
		{SubscriptionID: hooks[1].ID, Channel: "slack"}:   true,
		{SubscriptionID: hooks[2].ID, Channel: "webhook"}: true,
		{SubscriptionID: hooks[2].ID, Channel: "slack"}:   true,
		{SubscriptionID: hooks[3].ID, Channel: "slack"}:   true,
	}
	for _, task := range f.claim(start().Add(lease), 10_000) {
		require.False(f.t, gone[task.Endpoint], "a delivery to an endpoint that is gone is not claimed")
	}
	for _, d := range f.list(webhook.DeliveryQuery{Limit: 10_000}) {
		want := webhook.StatusInFlight
		if gone[d.Endpoint] {
			want = webhook.StatusCancelled
		}
		require.Equal(f.t, want, d.Status,
			"a delivery that was made just before its endpoint went is cancelled, others are not")
	}
}

// concurrentPruning prunes while other goroutines work. Deliveries that are not old must stay.
func concurrentPruning(f *fixture) {
	f.create(hook())
	const events = 20
	now := start().Add(24 * time.Hour)
	for i := range events {
		f.emit(start(), fmt.Sprint("old_", i))
	}
	for _, task := range f.claim(start(), events) {
		f.settle(start(), succeeded(task, start()))
	}
	var pruned atomic.Int64
	inParallel(func(n int) {
		if n%4 == 0 {
			for range events {
				count, err := f.Prune(f.ctx, now,
					webhook.PruneRequest{SucceededBefore: now, DeadBefore: now, Limit: 4})
				if !assert.NoError(f.t, err) {
					return
				}
				pruned.Add(int64(count))
				if count < 4 {
					return
				}
			}
		}
		id := fmt.Sprint("new_", n)
		_, err := f.Enqueue(f.ctx, now, []webhook.NewEvent{newEvent(id)}, nil)
		assert.NoError(f.t, err)
		tasks, err := f.Claim(f.ctx, now,
			webhook.ClaimRequest{Until: now.Add(lease), Limit: 1, PerEndpoint: 1})
		assert.NoError(f.t, err)
		for _, task := range tasks {
			refused, err := f.Settle(f.ctx, now, []webhook.Settlement{succeeded(task, now)})
			assert.NoError(f.t, err)
			assert.Empty(f.t, refused)
		}
	})
	pruned.Add(int64(f.prune(now, now, now)))
	require.EqualValues(f.t, 2*events, pruned.Load(),
		"every row that went is counted once, though many prune at once")
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), goroutines*3/4,
		"Prune keeps what is younger, whatever happens meanwhile")
}
