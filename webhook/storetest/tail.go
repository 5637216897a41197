package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// tailCases are for stores that let callers read in order what was emitted.
func tailCases(h Harness) []testCase {
	with := func(run func(f *fixture, s webhook.TailStore)) func(*fixture) {
		return func(f *fixture) {
			s := f.Capabilities().Tail
			if s == nil {
				f.t.Skip("the store does not declare Tail")
			}
			run(f, s)
		}
	}
	return []testCase{
		{"Pages", with(tailPages)},
		{"Filters", with(tailFilters)},
		{"Records", with(tailRecords)},
		{"Quiet", with(tailQuiet)},
		{"Pruned", with(tailPruned)},
		{"Removed", with(tailRemoved)},
		{"Beyond", with(tailBeyond)},
		{"News", with(tailNews)},
		{"FanOut", with(tailFanOut)},
		{"OpenTransaction", with(func(f *fixture, s webhook.TailStore) { tailOpen(f, s, h) })},
		{"ManyInOneTransaction", with(func(f *fixture, s webhook.TailStore) { tailManyInOne(f, s, h) })},
		{"WhileWriting", with(func(f *fixture, s webhook.TailStore) { tailWhileWriting(f, s, h) })},
		{"Positions", with(tailPositions)},
		{"PositionsAreBounded", with(tailPositionsAreBounded)},
		{"PositionsStay", with(func(f *fixture, s webhook.TailStore) { tailPositionsStay(f, s, h) })},
		{"Tenants", with(tailTenants)},
		{"Results", with(tailResults)},
		{"ResultsByPages", with(tailResultsByPages)},
		{"ResultsOfOthers", with(tailResultsOfOthers)},
		{"ResultsPruned", with(func(f *fixture, s webhook.TailStore) { tailResultsPruned(f, s, h) })},
		{"ResultsBeyond", with(tailResultsBeyond)},
		{"ResultsNews", with(tailResultsNews)},
		{"ResultsOpen", with(func(f *fixture, s webhook.TailStore) { tailResultsOpen(f, s, h) })},
		{"ResultsWhileSettling", with(func(f *fixture, s webhook.TailStore) {
			tailResultsWhileSettling(f, s, h)
		})},
	}
}

// tailFanOut reads before all deliveries of an event are stored.
func tailFanOut(f *fixture, s webhook.TailStore) {
	f.wide()
	f.begin(start(), nil, newEvent("evt_1"))
	f.begin(start(), nil, newEvent("evt_2"))
	// What one organization leaves to FanOut does not keep back another one.
	const other = "org_of_others"
	sub := hook()
	sub.OrganizationID = other
	sub = f.create(sub)
	theirs := newEvent("evt_3")
	theirs.OrganizationID = other
	f.enqueue(start(), theirs)
	read, _ := f.tailAll(s, webhook.TailQuery{OrganizationID: other})
	require.Equal(f.t, []string{"evt_3"}, eventsOf(read))
	news, err := s.TailNews(f.ctx, 0)
	require.NoError(f.t, err)
	require.Contains(f.t, news.Subscriptions, webhook.SubscriptionKey{OrganizationID: other,
		SubscriptionID: sub.ID}, "news tells of what can be read")

	all, next := f.tailAll(s, webhook.TailQuery{Deliveries: true})
	require.LessOrEqual(f.t, news.Next, next, "the news of what is kept back is to come")
	f.finish(start(), nil, newEvent("evt_2"), newEvent("evt_1"))
	more, _ := f.tailAll(s, webhook.TailQuery{Deliveries: true, After: next})
	for i, r := range append(all, more...) {
		want := "evt_1"
		if i >= wideDeliveries {
			want = "evt_2"
		}
		require.Equal(f.t, want, r.Delivery.EventID, "what is left to FanOut keeps its place: %d", i)
	}
	require.Len(f.t, append(all, more...), 2*wideDeliveries,
		"a page ends before the first delivery that is left to FanOut")
}

// tailAll reads all pages from q.After on, and returns the records and the last Next.
func (f *fixture) tailAll(
	s webhook.TailStore, q webhook.TailQuery,
) (all []webhook.TailRecord, next webhook.Position) {
	f.t.Helper()
	if q.OrganizationID == "" {
		q.OrganizationID = org
	}
	for {
		page, err := s.Tail(f.ctx, q)
		require.NoError(f.t, err, "reading a tail")
		require.LessOrEqual(f.t, len(page.Records), q.PageSize(), "a page has at most Limit records")
		require.GreaterOrEqual(f.t, page.Next, q.After, "Next never goes back")
		for _, r := range page.Records {
			require.Greater(f.t, r.Position, q.After, "records come in the order of their positions")
			require.LessOrEqual(f.t, r.Position, page.Next)
			q.After = r.Position
		}
		all, q.After = append(all, page.Records...), page.Next
		if !page.More {
			return all, page.Next
		}
	}
}

// eventsOf returns the ids of the records' events.
func eventsOf(records []webhook.TailRecord) []string {
	ids := []string{}
	for _, r := range records {
		ids = append(ids, r.Delivery.EventID)
	}
	return ids
}

func idsOf(events []webhook.NewEvent) []string {
	ids := []string{}
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

func tailPages(f *fixture, s webhook.TailStore) {
	sub := f.create(hook("webhook", "slack"))
	f.create(hook())
	events := newEvents("evt", 7)
	f.enqueue(start(), events[:3]...)
	f.enqueue(start(), events[3:]...)
	for _, limit := range []int{0, 1, 2, 3, 7} {
		got, _ := f.tailAll(s, webhook.TailQuery{SubscriptionID: sub.ID, Limit: limit})
		require.Equal(f.t, idsOf(events), eventsOf(got),
			"an event is one record of a subscription, whatever the number of its channels (limit %d)",
			limit)
		got, _ = f.tailAll(s, webhook.TailQuery{Limit: limit})
		require.Len(f.t, got, 14, "an event is one record of each subscription (limit %d)", limit)
		got, _ = f.tailAll(s, webhook.TailQuery{Limit: limit, Deliveries: true})
		require.Len(f.t, got, 21, "each delivery is a record (limit %d)", limit)
	}
	got, _ := f.tailAll(s, webhook.TailQuery{SubscriptionID: sub.ID})
	for i, r := range got {
		rest, _ := f.tailAll(s, webhook.TailQuery{SubscriptionID: sub.ID, After: r.Position})
		require.Equal(f.t, idsOf(events[i+1:]), eventsOf(rest), "a record's position is just after it")
	}
}

func tailFilters(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	types := []string{"object.created", "object.removed", "invoice.paid", "object.part.added"}
	for i, eventType := range types {
		e := newEvent(fmt.Sprint("evt_", i))
		e.Type = eventType
		f.enqueue(start().Add(time.Duration(i)*time.Hour), e)
	}
	for _, c := range []struct {
		patterns []event.Pattern
		want     []string
	}{
		{[]event.Pattern{"*"}, []string{"evt_0", "evt_1", "evt_2", "evt_3"}},
		{[]event.Pattern{"object.*"}, []string{"evt_0", "evt_1", "evt_3"}},
		{[]event.Pattern{"object.part.*", "invoice.paid"}, []string{"evt_2", "evt_3"}},
		{[]event.Pattern{"object.part"}, []string{}},
	} {
		got, _ := f.tailAll(s, webhook.TailQuery{SubscriptionID: sub.ID, EventTypes: c.patterns})
		require.Equal(f.t, c.want, eventsOf(got), "%v", c.patterns)
	}
	for i := range types {
		at := start().Add(time.Duration(i) * time.Hour)
		got, _ := f.tailAll(s, webhook.TailQuery{Since: at})
		require.Len(f.t, got, len(types)-i, "Since selects what was emitted at that time or later")
		got, _ = f.tailAll(s, webhook.TailQuery{Since: at.Add(tick)})
		require.Len(f.t, got, len(types)-i-1)
	}
}

func tailRecords(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	f.settle(start(), retry(task, start(), start().Add(time.Hour)))

	got, _ := f.tailAll(s, webhook.TailQuery{SubscriptionID: sub.ID, Deliveries: true})
	require.Len(f.t, got, 1)
	f.requireDelivery(f.get(task.DeliveryID), got[0].Delivery)
	require.Len(f.t, got[0].Delivery.Attempts, 1)
	f.requireSameJSON(newEvent("evt_1").Payload, got[0].Payload, "the payload is the envelope")

	got, _ = f.tailAll(s, webhook.TailQuery{SubscriptionID: sub.ID, WithoutPayload: true})
	require.Len(f.t, got, 1)
	require.Nil(f.t, got[0].Payload)
	require.Empty(f.t, got[0].Delivery.Attempts, "attempts are read only with Deliveries")
	require.Equal(f.t, created, got[0].Delivery.EventType)
	require.Equal(f.t, start(), got[0].Delivery.CreatedAt)
}

func tailQuiet(f *fixture, s webhook.TailStore) {
	quiet := f.create(hook())
	f.update(quiet, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"a.b"} })
	f.create(hook())
	_, before := f.tailAll(s, webhook.TailQuery{SubscriptionID: quiet.ID})
	f.enqueue(start(), newEvents("evt", 5)...)
	got, next := f.tailAll(s, webhook.TailQuery{SubscriptionID: quiet.ID, After: before})
	require.Empty(f.t, got)
	require.Greater(f.t, next, before, "Next moves past records of others, so that they are not read "+
		"again")
	end, err := s.TailEnd(f.ctx)
	require.NoError(f.t, err)
	require.Equal(f.t, end.Position, next, "the last page ends where the tail ends")
	require.Zero(f.t, end.HeldSince)
}

func tailPruned(f *fixture, s webhook.TailStore) {
	f.create(hook("webhook", "slack"))
	f.emit(start(), "evt_old")
	got, after := f.tailAll(s, webhook.TailQuery{})
	require.Equal(f.t, []string{"evt_old"}, eventsOf(got))
	for _, task := range f.claimN(start(), 2) {
		f.settle(start(), succeeded(task, start()))
	}
	late := start().Add(time.Hour)
	f.prune(late, late, late)
	f.emit(late, "evt_new")
	for _, from := range []webhook.Position{0, got[0].Position, after} {
		rest, _ := f.tailAll(s, webhook.TailQuery{After: from})
		require.Equal(f.t, []string{"evt_new"}, eventsOf(rest),
			"what was pruned is gone, and positions stay valid")
	}
}

func tailRemoved(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 2)...)
	f.remove(sub)
	got, _ := f.tailAll(s, webhook.TailQuery{SubscriptionID: sub.ID})
	require.Len(f.t, got, 2, "what was emitted to a deleted subscription is read while it is stored")
	require.Equal(f.t, webhook.StatusCancelled, got[0].Delivery.Status)
}

func tailBeyond(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	const beyond = webhook.Position(1 << 40)
	_, err := s.Tail(f.ctx, webhook.TailQuery{OrganizationID: org, After: beyond})
	require.ErrorIs(f.t, err, webhook.ErrPosition, "a reader must not wait for a position that the "+
		"store reaches in years")
	_, err = s.TailNews(f.ctx, beyond)
	require.ErrorIs(f.t, err, webhook.ErrPosition)
	_, err = s.SetPosition(f.ctx, start(), org, sub.ID,
		webhook.NamedPosition{Name: "cache", Position: beyond})
	require.ErrorIs(f.t, err, webhook.ErrPosition)
}

func tailNews(f *fixture, s webhook.TailStore) {
	news := func(after webhook.Position) (keys []webhook.SubscriptionKey, next webhook.Position) {
		for more := true; more; {
			n, err := s.TailNews(f.ctx, after)
			require.NoError(f.t, err)
			keys, after, more = append(keys, n.Subscriptions...), n.Next, n.More
		}
		slices.SortFunc(keys, func(a, b webhook.SubscriptionKey) int {
			return slices.Compare([]string{a.OrganizationID, a.SubscriptionID},
				[]string{b.OrganizationID, b.SubscriptionID})
		})
		return slices.Compact(keys), after
	}
	mine, theirs := f.create(hook("webhook", "slack")), hook()
	theirs.OrganizationID = other
	f.create(theirs)
	f.create(hook())
	keys, at := news(0)
	require.Empty(f.t, keys)
	e := newEvent("evt_1")
	e.OrganizationID = other
	f.enqueue(start(), e)
	keys, at = news(at)
	require.Equal(f.t, []webhook.SubscriptionKey{{OrganizationID: other, SubscriptionID: theirs.ID}},
		keys, "only subscriptions with records after the position have news")
	f.update(mine, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"a.b"} })
	e = newEvent("evt_2")
	e.Type = "a.b"
	f.enqueue(start(), e)
	keys, at = news(at)
	require.Contains(f.t, keys, webhook.SubscriptionKey{OrganizationID: org, SubscriptionID: mine.ID})
	require.Len(f.t, keys, 2)
	keys, next := news(at)
	require.Empty(f.t, keys)
	require.Equal(f.t, at, next)
}

// tailOpen reads while a transaction of a caller is open that has stored events.
func tailOpen(f *fixture, s webhook.TailStore, h Harness) {
	queue := f.Capabilities().Transactions
	if queue == nil {
		f.t.Skip("the store does not declare Transactions")
	}
	f.create(hook())
	f.emit(start(), "evt_before")
	for _, commits := range []bool{true, false} {
		tx := h.Begin(f.t, f.inner)
		id := fmt.Sprint("evt_", commits)
		_, err := queue.EnqueueTx(f.ctx, tx.Tx, start(), []webhook.NewEvent{newEvent(id)})
		require.NoError(f.t, err)
		got, next := f.tailAll(s, webhook.TailQuery{})
		require.NotContains(f.t, eventsOf(got), id, "what is not committed is not read")
		require.Contains(f.t, eventsOf(got), "evt_before", "what was committed before is")
		if !commits {
			require.NoError(f.t, tx.Rollback())
			continue
		}
		require.NoError(f.t, tx.Commit())
		got, _ = f.tailAll(s, webhook.TailQuery{After: next})
		require.Equal(f.t, []string{id}, eventsOf(got), "nothing is stored before a Next")
	}
	f.emit(start(), "evt_after")
	got, _ := f.tailAll(s, webhook.TailQuery{})
	require.Equal(f.t, []string{"evt_before", "evt_true", "evt_after"}, eventsOf(got))
}

// tailManyInOne stores in one transaction what takes more ids than one call does.
func tailManyInOne(f *fixture, s webhook.TailStore, h Harness) {
	queue := f.Capabilities().Transactions
	if queue == nil {
		f.t.Skip("the store does not declare Transactions")
	}
	f.create(hook("webhook", "slack", "email"))
	tx := h.Begin(f.t, f.inner)
	var want []string
	for call := range 30 {
		events := newEvents(fmt.Sprint("evt_", call), 1+call%3*40)
		_, err := queue.EnqueueTx(f.ctx, tx.Tx, start(), events)
		require.NoError(f.t, err)
		want = append(want, idsOf(events)...)
	}
	got, next := f.tailAll(s, webhook.TailQuery{})
	require.Empty(f.t, got)
	require.NoError(f.t, tx.Commit())
	got, _ = f.tailAll(s, webhook.TailQuery{After: next})
	require.Equal(f.t, want, eventsOf(got))
}

// tailWhileWriting reads while other goroutines store, through the store and through a peer.
func tailWhileWriting(f *fixture, s webhook.TailStore, h Harness) {
	sub := f.create(hook("webhook", "slack"))
	stores := []webhook.Store{f.Store}
	if h.Peer != nil {
		stores = append(stores, h.Peer(f.t, f.inner))
	}
	const writers, each = 6, 20
	var running atomic.Int64
	var wg sync.WaitGroup
	running.Store(writers)
	for w := range writers {
		wg.Go(func() {
			defer running.Add(-1)
			for n := range each {
				_, err := stores[w%len(stores)].Enqueue(f.ctx, start(),
					[]webhook.NewEvent{newEvent(fmt.Sprintf("evt_%d_%d", w, n))}, nil)
				assert.NoError(f.t, err)
			}
		})
	}
	read := func(s webhook.TailStore, q webhook.TailQuery) {
		seen := make(map[string]int)
		for last := false; ; {
			got, next := f.tailAll(s, q)
			for _, id := range eventsOf(got) {
				seen[id]++
			}
			q.After = next
			if last {
				break
			}
			last = running.Load() == 0
		}
		require.Len(f.t, seen, writers*each, "no record is missed")
		for id, n := range seen {
			require.Equal(f.t, 1, n, "no record comes twice: %s", id)
		}
	}
	read(s, webhook.TailQuery{SubscriptionID: sub.ID, Limit: 3})
	wg.Wait()
	for _, store := range stores {
		read(store.Capabilities().Tail, webhook.TailQuery{SubscriptionID: sub.ID, Limit: 7})
	}
}

func tailPositions(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	records, _ := f.tailAll(s, webhook.TailQuery{})
	list := func() []webhook.NamedPosition {
		all, err := s.Positions(f.ctx, org, sub.ID)
		require.NoError(f.t, err)
		return all
	}
	set := func(at time.Time, name string, p webhook.Position) webhook.NamedPosition {
		stored, err := s.SetPosition(f.ctx, at, org, sub.ID, webhook.NamedPosition{Name: name, Position: p})
		require.NoError(f.t, err)
		return stored
	}
	require.Empty(f.t, list())
	later := start().Add(time.Minute)
	first := webhook.NamedPosition{Name: "search", Position: records[1].Position, UpdatedAt: start()}
	require.Equal(f.t, first, set(start(), "search", records[1].Position))
	require.Equal(f.t, first, set(later, "search", records[0].Position),
		"a position does not move back")
	require.Equal(f.t, first, set(later, "search", records[1].Position), "UpdatedAt is when it moved")
	moved := webhook.NamedPosition{Name: "search", Position: records[2].Position, UpdatedAt: later}
	require.Equal(f.t, moved, set(later, "search", records[2].Position))
	cache := set(later, "cache", 0)
	require.Equal(f.t, []webhook.NamedPosition{cache, moved}, list(), "positions are listed by name")

	require.NoError(f.t, s.DeletePosition(f.ctx, org, sub.ID, "search"))
	require.ErrorIs(f.t, s.DeletePosition(f.ctx, org, sub.ID, "search"), webhook.ErrNotFound)
	require.Equal(f.t, []webhook.NamedPosition{cache}, list())

	f.remove(sub)
	_, err := s.Positions(f.ctx, org, sub.ID)
	require.ErrorIs(f.t, err, webhook.ErrNotFound)
	_, err = s.SetPosition(f.ctx, start(), org, sub.ID, cache)
	require.ErrorIs(f.t, err, webhook.ErrNotFound)
	again := hook()
	again.ID = sub.ID
	f.create(again)
	require.Empty(f.t, list(), "a deleted subscription takes its positions along")
}

func tailPositionsAreBounded(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	var wg sync.WaitGroup
	var stored, refused atomic.Int64
	for i := range webhook.MaxPositions + 4 {
		wg.Go(func() {
			_, err := s.SetPosition(f.ctx, start(), org, sub.ID,
				webhook.NamedPosition{Name: fmt.Sprint("reader-", i)})
			if err == nil {
				stored.Add(1)
				return
			}
			var limit *webhook.LimitError
			if assert.ErrorAs(f.t, err, &limit) {
				assert.Equal(f.t, webhook.MaxPositions, limit.Max)
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(f.t, webhook.MaxPositions, stored.Load())
	require.EqualValues(f.t, 4, refused.Load(), "concurrent calls do not exceed the bound together")
	all, err := s.Positions(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.Len(f.t, all, webhook.MaxPositions)
	_, err = s.SetPosition(f.ctx, start(), org, sub.ID, all[0])
	require.NoError(f.t, err, "those that are stored can still move")
}

func tailPositionsStay(f *fixture, s webhook.TailStore, h Harness) {
	if h.Reopen == nil {
		f.t.Skip("the store is not durable")
	}
	sub := f.create(hook())
	events := newEvents("evt", 4)
	f.enqueue(start(), events[:2]...)
	got, next := f.tailAll(s, webhook.TailQuery{})
	require.Len(f.t, got, 2)
	want, err := s.SetPosition(f.ctx, start(), org, sub.ID,
		webhook.NamedPosition{Name: "cache", Position: next})
	require.NoError(f.t, err)

	f = f.with(h.Reopen(f.t, f.inner))
	s = f.Capabilities().Tail
	all, err := s.Positions(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.NamedPosition{want}, all)
	f.enqueue(start(), events[2:]...)
	got, _ = f.tailAll(s, webhook.TailQuery{After: all[0].Position})
	require.Equal(f.t, idsOf(events[2:]), eventsOf(got), "a tail goes on after a restart")
}

func tailTenants(f *fixture, s webhook.TailStore) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	_, err := s.SetPosition(f.ctx, start(), org, sub.ID, webhook.NamedPosition{Name: "cache"})
	require.NoError(f.t, err)
	const rule = "what belongs to another organization is not found (asked by %q)"
	for _, stranger := range []string{other, "", org + " ", "ORG_A"} {
		for _, id := range []string{sub.ID, ""} {
			page, err := s.Tail(f.ctx, webhook.TailQuery{OrganizationID: stranger, SubscriptionID: id})
			require.NoError(f.t, err)
			require.Empty(f.t, page.Records, rule, stranger)
		}
		_, err = s.Positions(f.ctx, stranger, sub.ID)
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule, stranger)
		_, err = s.SetPosition(f.ctx, start(), stranger, sub.ID, webhook.NamedPosition{Name: "cache"})
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule, stranger)
		require.ErrorIs(f.t, s.DeletePosition(f.ctx, stranger, sub.ID, "cache"), webhook.ErrNotFound, rule,
			stranger)
	}
}
