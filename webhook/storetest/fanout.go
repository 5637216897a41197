package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// fanOutCases have events that match many endpoints. A store may store their deliveries in several
// transactions, or in one.
func fanOutCases() []testCase {
	return []testCase{
		{"FanOut", fanOut},
		{"ManyEvents", fanOutOfManyEvents},
		{"Finished", fanOutOfFinished},
		{"GoesOnInClaim", fanOutGoesOnInClaim},
		{"StoredLate", fanOutStoredLate},
		{"Leases", fanOutLeases},
		{"LeasesBetween", fanOutLeasesBetween},
		{"ChangedMeanwhile", fanOutChangedMeanwhile},
		{"Duplicate", fanOutDuplicate},
		{"TwiceInOneCall", fanOutTwiceInOneCall},
		{"Prune", fanOutAndPrune},
		{"PruneGoesOn", fanOutGoesOnInPrune},
		{"Repair", fanOutRepaired},
		{"Totals", fanOutInTotals},
	}
}

// wide creates three subscriptions of 100 channels each.
func (f *fixture) wide() (subs []*webhook.Subscription) {
	channels := make([]string, 100)
	for i := range channels {
		channels[i] = fmt.Sprint("channel", i)
	}
	for range 3 {
		subs = append(subs, f.create(hook(channels...)))
	}
	return subs
}

const wideDeliveries = 300

// begin stores a wide event, and leaves to FanOut what the store leaves to it.
func (f *fixture) begin(now time.Time, prefetch *webhook.Prefetch, events ...webhook.NewEvent,
) []webhook.Task {
	f.t.Helper()
	enqueued, err := f.Enqueue(f.ctx, now, events, prefetch)
	require.NoError(f.t, err)
	for i, e := range enqueued.Events {
		require.Equal(f.t, events[i].ID, e.EventID)
		require.Equal(f.t, wideDeliveries, e.Deliveries,
			"Deliveries counts those that are still to be stored as well")
	}
	return enqueued.Tasks
}

// finish goes on with FanOut to the end.
func (f *fixture) finish(
	now time.Time, prefetch *webhook.Prefetch, events ...webhook.NewEvent,
) (tasks []webhook.Task) {
	f.t.Helper()
	for calls := 0; len(events) > 0; calls++ {
		require.Less(f.t, calls, 1000, "each FanOut goes on")
		finished, more, err := f.FanOut(f.ctx, now, events, prefetch)
		require.NoError(f.t, err)
		tasks, events = append(tasks, more...), events[finished:]
	}
	return tasks
}

// An event that stands twice in one call is stored once.
func fanOutTwiceInOneCall(f *fixture) {
	f.wide()
	e := newEvent("evt_1")
	f.begin(start(), nil, e)
	f.finish(start(), nil, e, e)
	f.requireWide("evt_1")
}

// requireWide checks that each of the endpoints has one delivery of the event.
func (f *fixture) requireWide(eventID string) []webhook.Delivery {
	f.t.Helper()
	all := f.list(webhook.DeliveryQuery{EventID: eventID, Limit: many})
	seen := make(map[webhook.Endpoint]bool)
	for _, d := range all {
		require.False(f.t, seen[d.Endpoint], "each endpoint has one delivery of an event")
		seen[d.Endpoint] = true
		f.requireTime(start(), d.CreatedAt, "CreatedAt")
	}
	require.Len(f.t, all, wideDeliveries, "all deliveries are stored once FanOut has finished")
	return all
}

func fanOut(f *fixture) {
	subs := f.wide()
	asked := make(map[webhook.Endpoint]int)
	p := &webhook.Prefetch{Until: start().Add(lease), Take: func(id string, e webhook.Endpoint) bool {
		require.Equal(f.t, org, id)
		asked[e]++
		return e.SubscriptionID != subs[1].ID
	}}
	e := newEvent("evt_1")
	e.Trace.Parent, e.TTL = traceparent, time.Hour
	tasks := f.begin(start(), p, e)
	tasks = append(tasks, f.finish(start(), p, e)...)
	f.requireWide("evt_1")
	for endpoint, n := range asked {
		require.Equal(f.t, 1, n, "Take is asked once for each delivery: %s", endpoint)
	}
	for _, task := range tasks {
		require.NotEqual(f.t, subs[1].ID, task.Endpoint.SubscriptionID,
			"what Take did not take is not handed out")
		sub := subs[0]
		if task.Endpoint.SubscriptionID != sub.ID {
			sub = subs[2]
		}
		f.requireFresh(task, sub, e, start())
		require.Equal(f.t, traceparent, task.Trace.Parent)
		f.requireTime(start().Add(time.Hour), task.ExpiresAt, "ExpiresAt")
	}
	tasks = append(tasks, f.claim(start(), 1000)...)
	require.Len(f.t, sortedIDs(tasks), wideDeliveries, "each delivery is prefetched or due at once")
	for _, task := range tasks {
		f.settle(start(), succeeded(task, start()))
	}
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_1", Limit: many,
		Status: webhook.StatusSucceeded}), wideDeliveries)
}

func fanOutInTotals(f *fixture) {
	f.wide()
	totals := func() webhook.Totals {
		t, err := f.Totals(f.ctx, start(), webhook.TotalsQuery{AllOrganizations: true})
		require.NoError(f.t, err)
		return t
	}
	require.Zero(f.t, totals().FanOuts)
	var events []webhook.NewEvent
	var left int64
	for i := range 2 {
		at := start().Add(time.Duration(i) * time.Minute)
		enqueued, err := f.Enqueue(f.ctx, at, []webhook.NewEvent{newEvent(fmt.Sprint("evt_", i))}, nil)
		require.NoError(f.t, err)
		if enqueued.Events[0].Unfinished {
			left++
		}
		events = append(events, newEvent(fmt.Sprint("evt_", i)))
	}
	require.Equal(f.t, left, totals().FanOuts, "events that are left to FanOut count")
	if left > 0 {
		f.requireTime(start(), totals().OldestFanOut, "OldestFanOut is when the first one was emitted")
	}
	f.finish(start(), nil, events[0])
	require.Equal(f.t, max(0, left-1), totals().FanOuts)
	if left > 0 {
		f.requireTime(start().Add(time.Minute), totals().OldestFanOut, "OldestFanOut")
	}
	f.finish(start(), nil, events[1])
	require.Zero(f.t, totals().FanOuts)
	require.Zero(f.t, totals().OldestFanOut)
}

// fanOutOfManyEvents has events of two organizations that only together have many deliveries.
func fanOutOfManyEvents(f *fixture) {
	for range 10 {
		f.create(hook())
	}
	theirs := hook()
	theirs.OrganizationID = other
	f.create(theirs)
	events := newEvents("evt", 30)
	events[7].OrganizationID, events[21].OrganizationID = other, other
	p := &webhook.Prefetch{Until: start().Add(lease), Take: always}
	tasks := f.prefetch(start(), always, events...)
	f.finish(start(), p, events...)
	tasks = append(tasks, f.claim(start(), 1000)...)
	seen := make(map[webhook.DeliveryID]bool)
	for _, task := range tasks {
		require.False(f.t, seen[task.DeliveryID], "a delivery is handed out once")
		seen[task.DeliveryID] = true
	}
	require.Len(f.t, seen, 28*10+2)
	require.Len(f.t, f.list(webhook.DeliveryQuery{Limit: many}), 28*10)
	require.Len(f.t, f.list(webhook.DeliveryQuery{OrganizationID: other, Limit: many}), 2)
	for _, task := range tasks {
		f.settle(start(), succeeded(task, start()))
	}
	f.requireNothingDue(start().Add(time.Hour), "what was settled is not claimed")
}

func fanOutOfFinished(f *fixture) {
	f.wide()
	f.emit(start(), "evt_1")
	finished, tasks, err := f.FanOut(f.ctx, start(), []webhook.NewEvent{newEvent("evt_1"),
		newEvent("evt_unknown")}, &webhook.Prefetch{Until: start().Add(lease), Take: always})
	require.NoError(f.t, err)
	require.Equal(f.t, 2, finished, "nothing is left of events that are finished or unknown")
	require.Empty(f.t, tasks)
	finished, tasks, err = f.FanOut(f.ctx, start(), nil, nil)
	require.NoError(f.t, err)
	require.Zero(f.t, finished)
	require.Empty(f.t, tasks)
	f.requireWide("evt_1")
}

func fanOutGoesOnInClaim(f *fixture) {
	f.wide()
	f.begin(start(), nil, newEvent("evt_1"))
	stored := len(f.list(webhook.DeliveryQuery{Limit: many}))
	end := start().Add(webhook.FanOutLease)
	tasks := f.claim(end.Add(-tick), 1000)
	require.Len(f.t, tasks, stored, "until FanOutLease has passed, the rest is left to the caller")
	tasks = append(tasks, f.claim(end, 1000)...)
	require.Len(f.t, tasks, wideDeliveries, "then a claim goes on with it")
	for _, task := range tasks {
		f.requireTime(start(), task.QueuedAt, "QueuedAt")
		f.requireTime(start(), task.DueAt, "DueAt")
		f.settle(end, succeeded(task, end))
	}
	require.Empty(f.t, f.finish(end, &webhook.Prefetch{Until: end.Add(lease), Take: always},
		newEvent("evt_1")), "and nothing is left to a caller that comes late")
	f.requireWide("evt_1")
}

// fanOutStoredLate stores an event at a time that lies behind that of the last claim.
func fanOutStoredLate(f *fixture) {
	f.wide()
	late := start().Add(time.Hour)
	f.requireNothingDue(late, "nothing is stored")
	f.begin(start(), nil, newEvent("evt_1"))
	require.Len(f.t, f.claim(late, 2000), wideDeliveries)
}

// requireLeases checks that only deliveries of the tasks are due when their leases have ended.
func (f *fixture) requireLeases(end time.Time, tasks []webhook.Task) {
	f.t.Helper()
	require.Equal(f.t, sortedIDs(tasks), sortedIDs(f.claim(end, 1000)),
		"each delivery is leased until its own lease ends, and not that of another call")
}

// prefetchAll is a prefetch with leases of that length.
func prefetchAll(length time.Duration) *webhook.Prefetch {
	return &webhook.Prefetch{Until: start().Add(length), Take: always}
}

// fanOutLeases has shorter leases in the first call than in those that go on.
func fanOutLeases(f *fixture) {
	f.wide()
	theirs := hook()
	theirs.OrganizationID = other
	f.create(theirs)
	e, their := newEvent("evt_1"), newEvent("evt_1")
	their.OrganizationID = other
	tasks, err := tasksOf(f.Enqueue(f.ctx, start(), []webhook.NewEvent{e, their},
		prefetchAll(lease)))
	require.NoError(f.t, err)
	more := f.finish(start(), prefetchAll(2*lease), e)
	require.Len(f.t, f.claim(start(), 1000), wideDeliveries+1-len(tasks)-len(more))
	f.requireLeases(start().Add(lease), tasks)
}

// fanOutLeasesBetween has events that are stored at once between others.
func fanOutLeasesBetween(f *fixture) {
	for range 5 {
		f.create(hook())
	}
	theirs := hook()
	theirs.OrganizationID = other
	f.create(theirs)
	events := newEvents("evt", 80)
	for i := range events {
		if i%2 > 0 {
			events[i].OrganizationID = other
		}
	}
	tasks, err := tasksOf(f.Enqueue(f.ctx, start(), events, prefetchAll(2*lease)))
	require.NoError(f.t, err)
	more := f.finish(start(), prefetchAll(lease-time.Second), events...)
	require.Len(f.t, f.claim(start(), 1000), 40*6-len(tasks)-len(more))
	f.requireLeases(start().Add(lease-time.Second), more)
}

func fanOutChangedMeanwhile(f *fixture) {
	subs := f.wide()
	f.begin(start(), nil, newEvent("evt_1"))
	f.remove(subs[0])
	f.setPaused(subs[1], true)
	f.update(subs[2], func(sub *webhook.Subscription) {
		sub.Channels, sub.EventTypes = sub.Channels[:99], []event.Pattern{"invoice.*"}
	})
	f.finish(start(), &webhook.Prefetch{Until: start().Add(lease),
		Take: func(_ string, e webhook.Endpoint) bool {
			assert.Equal(f.t, subs[2].ID, e.SubscriptionID,
				"deliveries of paused and deleted subscriptions are never prefetched")
			return false
		}}, newEvent("evt_1"))
	counts := make(map[webhook.Status]int)
	for _, d := range f.requireWide("evt_1") {
		counts[d.Status]++
	}
	require.Equal(f.t, map[webhook.Status]int{
		webhook.StatusCancelled: 101, webhook.StatusPaused: 100, webhook.StatusPending: 99,
	}, counts, "what happened meanwhile counts as though it had been done afterwards")
	require.Len(f.t, f.claim(start(), 1000), 99)
	f.setPaused(subs[1], false)
	require.Len(f.t, f.claim(start(), 1000), 100)
}

func fanOutDuplicate(f *fixture) {
	f.wide()
	f.begin(start(), nil, newEvent("evt_1"))
	enqueued, err := f.Enqueue(f.ctx, start().Add(time.Second),
		[]webhook.NewEvent{newEvent("evt_1")}, nil)
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{{EventID: "evt_1", Duplicate: true}}, enqueued.Events,
		"an event that is unfinished is stored")
	f.finish(start(), nil, newEvent("evt_1"))
	f.requireWide("evt_1")
}

// fanOutAndPrune prunes what an event has before it is finished.
func fanOutAndPrune(f *fixture) {
	f.wide()
	f.begin(start(), nil, newEvent("evt_1"))
	f.emit(start(), "evt_2")
	late := start().Add(time.Second)
	removed := 0
	for range 2 {
		for _, task := range f.claim(late, 2000) {
			f.settle(late, succeeded(task, late))
		}
		removed += f.prune(late.Add(tick), late.Add(tick), late.Add(tick))
	}
	tasks := f.finish(late, &webhook.Prefetch{Until: late.Add(lease), Take: always}, newEvent("evt_1"))
	for _, task := range append(tasks, f.claim(late, 2000)...) {
		require.Equal(f.t, newEvent("evt_1").Payload, task.Payload)
		f.get(task.DeliveryID)
		f.settle(late, succeeded(task, late))
	}
	for range 2 {
		removed += f.prune(late.Add(tick), late.Add(tick), late.Add(tick))
	}
	require.Equal(f.t, 2*wideDeliveries+2, removed, "in the end everything is pruned")
	f.requireEvent("evt_1", false, "in the end everything is pruned")
}

func fanOutGoesOnInPrune(f *fixture) {
	f.wide()
	f.begin(start(), nil, newEvent("evt_1"))
	late := start().Add(webhook.FanOutLease)
	f.prune(late, late, late)
	f.requireWide("evt_1")
}

// fanOutRepaired has an event that was stored while the clock was an hour ahead.
func fanOutRepaired(f *fixture) {
	f.wide()
	ahead := start().Add(time.Hour)
	f.begin(ahead, nil, newEvent("evt_1"))
	f.repair(start(), repairRequest(start()))
	late := start().Add(lease)
	tasks := f.claim(late, 2000)
	f.repair(late, repairRequest(late)) // deliveries that are stored since are due in an hour
	require.Len(f.t, append(tasks, f.claim(late, 2000)...), wideDeliveries,
		"what is left to FanOut is repaired as leases are")
}

// fanOutSurvives goes on after the process that stored the event has ended.
func fanOutSurvives(f *fixture, reopen func(*fixture) *fixture) {
	f.wide()
	p := &webhook.Prefetch{Until: start().Add(lease), Take: always}
	f.begin(start(), p, newEvents("evt", 2)...)
	require.NoError(f.t, errorOf2(f.FanOut(f.ctx, start(), newEvents("evt", 2), p)))
	f = reopen(f)
	late := start().Add(lease)
	require.Len(f.t, f.claim(late, 2000), 2*wideDeliveries,
		"what was left to FanOut survives, and each delivery is claimed once")
	f.requireWide("evt_0")
	f.requireWide("evt_1")
}

func errorOf2[A, B any](_ A, _ B, err error) error { return err }

// concurrentFanOuts goes on with the same events everywhere at once.
func concurrentFanOuts(f, peer *fixture) {
	f.wide()
	const n = 4
	events := newEvents("evt", n)
	f.begin(start(), nil, events...)
	late := start().Add(webhook.FanOutLease)
	var mu sync.Mutex
	claimed := make(map[webhook.DeliveryID]int)
	count := func(tasks []webhook.Task) {
		mu.Lock()
		defer mu.Unlock()
		for i := range tasks {
			claimed[tasks[i].DeliveryID]++
		}
	}
	var wg sync.WaitGroup
	for _, g := range []*fixture{f, peer} {
		wg.Go(func() {
			for left := events; len(left) > 0; {
				finished, tasks, err := g.FanOut(g.ctx, start(), left,
					&webhook.Prefetch{Until: late.Add(lease), Take: always})
				if !assert.NoError(g.t, err) {
					return
				}
				count(tasks)
				left = left[finished:]
			}
		})
		wg.Go(func() {
			for range 3 {
				tasks, err := g.Claim(g.ctx, late,
					webhook.ClaimRequest{Until: late.Add(lease), Limit: 1000, PerEndpoint: 1000})
				assert.NoError(g.t, err)
				count(tasks)
			}
		})
	}
	wg.Wait()
	count(f.claim(late, 2000))
	for _, e := range events {
		f.requireWide(e.ID)
	}
	for id, times := range claimed {
		require.Equal(f.t, 1, times, "%s is handed out once", id)
	}
	require.Len(f.t, claimed, n*wideDeliveries, "each delivery is handed out")
}

func txWide(f *fixture, q webhook.TxQueue, begin func() CallerTx) {
	f.wide()
	tx := begin()
	emitted, err := q.EnqueueTx(context.WithoutCancel(f.ctx), tx.Tx, start(), newEvents("evt", 1))
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{{EventID: "evt_0", Deliveries: wideDeliveries}}, emitted,
		"in a transaction of the caller nothing is left to FanOut")
	require.NoError(f.t, tx.Commit())
	f.requireWide("evt_0")
	require.Len(f.t, f.claim(start(), 1000), wideDeliveries)
}
