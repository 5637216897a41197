package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// results returns all results from the position on, each as the event's id, the status and the number
// of the attempt, and the last Next.
func (f *fixture) results(
	s webhook.TailStore, q webhook.TailQuery,
) (all []string, next webhook.Position) {
	f.t.Helper()
	q.Results = true
	records, next := f.tailAll(s, q)
	for _, r := range records {
		require.NotNil(f.t, r.Result, "a record of a result has it")
		require.Nil(f.t, r.Payload)
		require.Nil(f.t, r.Delivery.Attempts)
		number := 0
		if r.Result.Attempt != nil {
			number = r.Result.Attempt.Number
		}
		all = append(all, fmt.Sprintf("%s %s %d", r.Delivery.EventID, r.Result.Status, number))
	}
	return all, next
}

func tailResults(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	got, next := f.results(s, webhook.TailQuery{})
	require.Empty(f.t, got, "an emit is no result")

	task := f.claimOne(start())
	f.settle(start(), requeued(task))
	task = f.claimOne(start())
	failed := retry(task, start(), start().Add(time.Minute))
	f.settle(start(), failed)
	f.refuse(start(), succeeded(task, start()), "a late result is no result")
	later := start().Add(time.Minute)
	task = f.claimOne(later)
	f.settle(later, succeeded(task, later))
	later = later.Add(time.Minute)
	require.NoError(f.t, f.Replay(f.ctx, later, org, task.DeliveryID))
	task = f.claimOne(later)
	f.settle(later, died(task, later))
	require.NoError(f.t, f.Replay(f.ctx, later, org, task.DeliveryID))
	task = f.claimOne(later)
	f.settle(later, webhook.Settlement{Lease: task.Lease, Status: webhook.StatusDead})
	require.NoError(f.t, f.Replay(f.ctx, later, org, task.DeliveryID))
	require.NoError(f.t, f.Cancel(f.ctx, later, org, task.DeliveryID))
	want := []string{"evt_1 pending 1", "evt_1 succeeded 2", "evt_1 pending 0", "evt_1 dead 3",
		"evt_1 pending 0", "evt_1 dead 0", "evt_1 pending 0", "evt_1 cancelled 0"}
	got, _ = f.results(s, webhook.TailQuery{After: next})
	require.Equal(f.t, want, got,
		"each attempt, replay and cancellation is a result, and a requeue is none")

	records, _ := f.tailAll(s, webhook.TailQuery{Results: true, SubscriptionID: sub.ID})
	require.Len(f.t, records, len(want))
	d := f.get(task.DeliveryID)
	for _, r := range records {
		if a := r.Result.Attempt; a != nil {
			require.Equal(f.t, d.Attempts[a.Number-1], *a, "the attempt is that of the history")
		}
	}
	d.Attempts = nil
	require.Equal(f.t, d, records[0].Delivery, "the delivery is as it is when it is read")
	require.Equal(f.t, start(), records[0].Result.At)
	require.True(f.t, records[2].Result.Replayed())
	require.Equal(f.t, later, records[7].Result.At)
	require.False(f.t, records[7].Result.Replayed())

	since := func(at time.Time) []string {
		got, _ := f.results(s, webhook.TailQuery{Since: at})
		return got
	}
	require.Equal(f.t, want[1:], since(start().Add(time.Minute)), "Since is the time of the result")
	require.Equal(f.t, want[2:], since(start().Add(time.Minute+tick)))
	require.Empty(f.t, since(later.Add(tick)))
}

// tailResultsByPages reads the results of one call in pages, with filters.
func tailResultsByPages(f *fixture, s webhook.TailStore) {
	first, second := f.create(hook()), f.create(hook())
	f.update(first, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{created} })
	f.update(second, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"a.b"} })
	var want, ofSecond []string
	var events []webhook.NewEvent
	// More than a row of a database has.
	for i := range 1100 {
		e := newEvent(fmt.Sprintf("evt_%04d", i))
		if i%2 == 1 {
			e.Type = "a.b"
			ofSecond = append(ofSecond, e.ID+" succeeded 1")
		} else {
			want = append(want, e.ID+" succeeded 1")
		}
		events = append(events, e)
	}
	f.enqueue(start(), events...)
	tasks := f.claimWith(start(), webhook.ClaimRequest{Until: start().Add(time.Minute), Limit: 2000,
		PerEndpoint: 2000})
	require.Len(f.t, tasks, 1100)
	var settlements []webhook.Settlement
	for _, task := range tasks {
		settlements = append(settlements, succeeded(task, start()))
	}
	f.settle(start(), settlements...)
	for _, limit := range []int{77, 2000} {
		for id, ids := range map[string][]string{first.ID: want, second.ID: ofSecond} {
			got, next := f.results(s, webhook.TailQuery{SubscriptionID: id, Limit: limit})
			require.ElementsMatch(f.t, ids, got, "limit %d", limit)
			end, err := s.ResultsEnd(f.ctx)
			require.NoError(f.t, err)
			require.Equal(f.t, end.Position, next, "the last page ends where the results end")
		}
	}
	got, _ := f.results(s, webhook.TailQuery{EventTypes: []event.Pattern{"a.*"}, Limit: 2000})
	require.ElementsMatch(f.t, ofSecond, got)
	got, _ = f.results(s, webhook.TailQuery{EventTypes: []event.Pattern{"b.*"}})
	require.Empty(f.t, got)
	all, _ := f.tailAll(s, webhook.TailQuery{Results: true, Limit: 2000})
	require.Len(f.t, all, 1100)
	for _, i := range []int{0, 1, 500, 1021, 1022, 1023, 1098, 1099} {
		page, err := s.Tail(f.ctx, webhook.TailQuery{OrganizationID: org, Results: true,
			After: all[i].Position, Limit: 1})
		require.NoError(f.t, err)
		if i == len(all)-1 {
			require.Empty(f.t, page.Records)
			continue
		}
		require.Equal(f.t, all[i+1], page.Records[0], "a record's position is just after it")
	}
}

func tailResultsOfOthers(f *fixture, s webhook.TailStore) {
	mine, theirs := f.create(hook()), hook()
	theirs.OrganizationID = other
	f.create(theirs)
	e := newEvent("evt_theirs")
	e.OrganizationID = other
	f.enqueue(start(), newEvent("evt_mine"), e)
	var settlements []webhook.Settlement
	for _, task := range f.claimN(start(), 2) {
		settlements = append(settlements, succeeded(task, start()))
	}
	f.settle(start(), settlements...)
	got, next := f.results(s, webhook.TailQuery{})
	require.Equal(f.t, []string{"evt_mine succeeded 1"}, got)
	end, err := s.ResultsEnd(f.ctx)
	require.NoError(f.t, err)
	require.Equal(f.t, end.Position, next, "Next moves past results of others")
	for _, q := range []webhook.TailQuery{
		{OrganizationID: other, SubscriptionID: mine.ID}, {SubscriptionID: theirs.ID},
		{OrganizationID: "ORG_A"}, {OrganizationID: org + " "},
	} {
		got, _ := f.results(s, q)
		require.Empty(f.t, got, "what belongs to another organization is not found: %v", q)
	}
	f.remove(mine)
	got, _ = f.results(s, webhook.TailQuery{SubscriptionID: mine.ID})
	require.Equal(f.t, []string{"evt_mine succeeded 1"}, got,
		"results of a deleted subscription are read while they are stored")
}

func tailResultsPruned(f *fixture, s webhook.TailStore, h Harness) {
	f.create(hook())
	f.emit(start(), "evt_old")
	task := f.claimOne(start())
	f.settle(start(), retry(task, start(), start()))
	f.settle(start(), succeeded(f.claimOne(start()), start()))
	old, next := f.results(s, webhook.TailQuery{})
	require.Len(f.t, old, 2)
	late := start().Add(time.Hour)
	f.prune(late, time.Time{}, time.Time{})
	kept, _ := f.results(s, webhook.TailQuery{})
	require.Equal(f.t, old, kept)
	f.prune(late, late, late)
	for range 2 {
		for _, after := range []webhook.Position{0, next} {
			got, _ := f.results(s, webhook.TailQuery{After: after})
			require.Empty(f.t, got, "results go with their deliveries")
		}
		if h.Reopen == nil {
			break
		}
		f = f.with(h.Reopen(f.t, f.inner))
		s = f.Capabilities().Tail
	}
	f.emit(late, "evt_new")
	f.settle(late, succeeded(f.claimOne(late), late))
	for _, after := range []webhook.Position{0, next} {
		got, _ := f.results(s, webhook.TailQuery{After: after})
		require.Equal(f.t, []string{"evt_new succeeded 1"}, got, "positions stay valid")
	}
}

func tailResultsBeyond(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	emitted, err := s.TailEnd(f.ctx)
	require.NoError(f.t, err)
	settled, err := s.ResultsEnd(f.ctx)
	require.NoError(f.t, err)
	require.GreaterOrEqual(f.t, settled.Position, webhook.ResultPosition)
	beyond := settled.Position + 1<<40
	for _, q := range []webhook.TailQuery{
		{After: emitted.Position, Results: true}, {After: beyond, Results: true}, {After: settled.Position},
	} {
		q.OrganizationID = org
		_, err := s.Tail(f.ctx, q)
		require.ErrorIs(f.t, err, webhook.ErrPosition, "a position is one of the other kind, or too large")
	}
	_, err = s.TailNews(f.ctx, beyond)
	require.ErrorIs(f.t, err, webhook.ErrPosition)
	name := webhook.NamedPosition{Name: "results", Position: beyond}
	_, err = s.SetPosition(f.ctx, start(), org, sub.ID, name)
	require.ErrorIs(f.t, err, webhook.ErrPosition)
	name.Position = settled.Position
	stored, err := s.SetPosition(f.ctx, start(), org, sub.ID, name)
	require.NoError(f.t, err)
	require.Equal(f.t, settled.Position, stored.Position, "a named position can be one of results")
}

func tailResultsNews(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	f.create(hook())
	end, err := s.ResultsEnd(f.ctx)
	require.NoError(f.t, err)
	at := end.Position
	news := func() []webhook.SubscriptionKey {
		n, err := s.TailNews(f.ctx, at)
		require.NoError(f.t, err)
		require.False(f.t, n.More)
		require.GreaterOrEqual(f.t, n.Next, at)
		at = n.Next
		return n.Subscriptions
	}
	f.emit(start(), "evt_1")
	require.Empty(f.t, news(), "an emit is no result")
	for _, task := range f.claimN(start(), 2) {
		if task.Endpoint.SubscriptionID == sub.ID {
			f.settle(start(), succeeded(task, start()))
			f.settle(start(), requeued(f.claimOne(start().Add(time.Hour))))
		}
	}
	require.Equal(f.t, []webhook.SubscriptionKey{{OrganizationID: org, SubscriptionID: sub.ID}}, news())
	require.Empty(f.t, news())
}

// tailResultsOpen reads results while a caller's transaction is open.
func tailResultsOpen(f *fixture, s webhook.TailStore, h Harness) {
	queue := f.Capabilities().Transactions
	if queue == nil {
		f.t.Skip("the store does not declare Transactions")
	}
	f.create(hook())
	f.emit(start(), "evt_1")
	f.settle(start(), succeeded(f.claimOne(start()), start()))
	tx := h.Begin(f.t, f.inner)
	_, err := queue.EnqueueTx(f.ctx, tx.Tx, start(), []webhook.NewEvent{newEvent("evt_2")})
	require.NoError(f.t, err)
	got, _ := f.results(s, webhook.TailQuery{})
	require.NoError(f.t, tx.Rollback())
	require.Equal(f.t, []string{"evt_1 succeeded 1"}, got,
		"transactions that only emit keep back no results")
}

// tailResultsWhileSettling reads while other goroutines settle, through the store and through a peer.
func tailResultsWhileSettling(f *fixture, s webhook.TailStore, h Harness) {
	f.create(hook("webhook", "slack"))
	const settlers, each = 4, 20
	f.enqueue(start(), newEvents("evt", settlers*each/2)...)
	tasks := f.claimN(start(), settlers*each)
	stores := []webhook.Store{f.Store}
	if h.Peer != nil {
		stores = append(stores, h.Peer(f.t, f.inner))
	}
	var running atomic.Int64
	var wg sync.WaitGroup
	running.Store(settlers)
	for w := range settlers {
		wg.Go(func() {
			defer running.Add(-1)
			for n := range each {
				refused, err := stores[w%len(stores)].Settle(f.ctx, start(),
					[]webhook.Settlement{succeeded(tasks[w*each+n], start())})
				assert.NoError(f.t, err)
				assert.Empty(f.t, refused)
			}
		})
	}
	seen := make(map[webhook.DeliveryID]int)
	q := webhook.TailQuery{Results: true, Limit: 3}
	for last := false; ; {
		records, next := f.tailAll(s, q)
		for _, r := range records {
			seen[r.Delivery.ID]++
		}
		if q.After = next; last {
			break
		}
		last = running.Load() == 0
	}
	wg.Wait()
	require.Len(f.t, seen, settlers*each, "no result is missed")
	for id, n := range seen {
		require.Equal(f.t, 1, n, "no result comes twice: %s", id)
	}
}
