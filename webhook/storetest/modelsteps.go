package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// This file is what the random test of model.go does: each step calls the
// store, checks the answer against the model, and changes the model likewise.

// shuffle gives the subscription random patterns and channels.
func (m *model) shuffle(sub *webhook.Subscription) {
	sub.EventTypes = []event.Pattern{[]event.Pattern{"*", "object.*", "invoice.paid"}[m.random.IntN(3)]}
	sub.Channels = hook([]string{"webhook", "webhook", "slack"}[m.random.IntN(3):]...).Channels
	sub.Paused = m.random.IntN(3) == 0
	sub.UpdatedAt = m.now
}

func (m *model) createSubscription() {
	sub := hook()
	// Random ids would make a failing seed fail in another way each time.
	sub.ID = fmt.Sprintf("wh_%016x", m.random.Uint64())
	sub.CreatedAt = m.now
	m.shuffle(sub)
	require.NoError(m.t, m.CreateSubscription(m.ctx, sub, webhook.Quota{}))
	m.subscriptions[sub.ID] = sub.Clone()
}

func (m *model) updateSubscription() {
	sub := m.pickSubscription()
	if sub == nil {
		return
	}
	changed := sub.Clone()
	m.shuffle(changed)
	require.NoError(m.t, m.UpdateSubscription(m.ctx, changed, webhook.Quota{}))
	*sub = *changed.Clone()
	keys := sub.ChannelKeys()
	maps.DeleteFunc(m.figures, func(e webhook.Endpoint, _ webhook.Statistics) bool {
		return e.SubscriptionID == sub.ID && !slices.Contains(keys, e.Channel)
	})
	for _, d := range m.deliveries {
		if d.SubscriptionID != sub.ID {
			continue
		}
		d.subscription = nil
		if slices.Contains(keys, d.Channel) {
			d.subscription = sub
		} else if !d.status.Settled() {
			d.status = webhook.StatusCancelled
		}
	}
}

func (m *model) deleteSubscription() {
	sub := m.pickSubscription()
	if sub == nil {
		return
	}
	require.NoError(m.t, m.DeleteSubscription(m.ctx, org, sub.ID, 0))
	delete(m.subscriptions, sub.ID)
	for _, d := range m.deliveries {
		if d.SubscriptionID == sub.ID {
			d.subscription = nil
		}
	}
}

func (m *model) enqueueEvents() {
	var events []webhook.NewEvent
	for range 1 + m.random.IntN(6) {
		if m.random.IntN(5) > 0 {
			m.nextEvent++
		}
		e := newEvent(fmt.Sprint("evt_", m.nextEvent))
		e.Type = []string{"object.created", "object.deleted", "invoice.paid"}[m.nextEvent%3]
		events = append(events, e)
	}
	enqueued, err := m.Enqueue(m.ctx, m.now, events, &webhook.Prefetch{
		Until: m.now.Add(lease),
		Take:  func(string, webhook.Endpoint) bool { return m.random.IntN(3) == 0 },
	})
	require.NoError(m.t, err)

	want := make(map[string]*webhook.Subscription) // the deliveries that should be new
	emitted := make([]webhook.Emitted, len(events))
	for i, e := range events {
		emitted[i].EventID = e.ID
		if _, stored := m.events[e.ID]; stored {
			emitted[i].Duplicate = true
			continue
		}
		m.events[e.ID] = m.now
		for _, sub := range m.subscriptions {
			if sub.Matches(e.Type) {
				for _, key := range sub.ChannelKeys() {
					want[e.ID+" "+sub.ID+" "+key] = sub
					emitted[i].Deliveries++
				}
			}
		}
	}
	require.Equal(m.t, emitted, enqueued.Events)
	last := m.lastID
	for _, d := range m.list(webhook.DeliveryQuery{Limit: many}) {
		if d.ID <= last {
			break
		}
		m.lastID = max(m.lastID, d.ID)
		key := d.EventID + " " + d.SubscriptionID + " " + d.Channel
		sub := want[key]
		require.NotNil(m.t, sub, "Enqueue made a delivery that is not of this call: %s", key)
		delete(want, key)
		d.CreatedAt = m.now
		m.deliveries[d.ID] = &modelDelivery{Delivery: d, subscription: sub, queued: m.now, status: webhook.StatusPending, due: m.now}
	}
	require.Empty(m.t, want, "Enqueue did not make these deliveries")
	for _, task := range enqueued.Tasks {
		m.take(task, m.now.Add(lease))
	}
}

// take checks a task that the store handed out, and follows.
func (m *model) take(task webhook.Task, until time.Time) {
	m.t.Helper()
	d := m.deliveries[task.DeliveryID]
	require.NotNil(m.t, d, "a task is for a delivery that exists")
	require.False(m.t, d.reported().Settled() || d.reported() == webhook.StatusPaused || d.due.After(m.now),
		"a task is for a delivery that is due: %s is %s, due %s, now %s", d.ID, d.reported(), d.due, m.now)
	require.Greater(m.t, task.Token, d.token, "the token grows with every claim")
	require.Equal(m.t, d.Endpoint, task.Endpoint)
	require.Equal(m.t, d.subscription.Revision, task.Revision)
	require.Equal(m.t, d.EventID, task.EventID)
	require.Equal(m.t, len(d.Attempts), task.Attempts, "Attempts is the number of attempts in the history")
	require.Equal(m.t, d.sinceQueued, task.AttemptsSinceQueued, "AttemptsSinceQueued is the number of attempts since QueuedAt")
	m.requireTime(d.queued, task.QueuedAt, "QueuedAt")
	m.requireTime(until, task.Until, "Until")
	d.token, d.status, d.due = task.Token, webhook.StatusInFlight, until
	d.leases = append(d.leases, task.Lease)
}

// claimable returns what is due, by endpoint: what was not attempted since it was
// queued comes first, and then the longest due.
func (m *model) claimable(skip []webhook.Endpoint) map[webhook.Endpoint][]*modelDelivery {
	due := make(map[webhook.Endpoint][]*modelDelivery)
	for _, d := range m.deliveries {
		if s := d.reported(); !s.Settled() && s != webhook.StatusPaused && !d.due.After(m.now) && !slices.Contains(skip, d.Endpoint) {
			due[d.Endpoint] = append(due[d.Endpoint], d)
		}
	}
	for _, all := range due {
		slices.SortFunc(all, func(a, b *modelDelivery) int {
			return cmp.Or(cmp.Compare(min(a.sinceQueued, 1), min(b.sinceQueued, 1)), a.due.Compare(b.due))
		})
	}
	return due
}

func (m *model) claimDue() {
	r := webhook.ClaimRequest{Until: m.now.Add(lease), Limit: 1 + m.random.IntN(12), PerEndpoint: 1 + m.random.IntN(5)}
	if sub := m.pickSubscription(); sub != nil && m.random.IntN(4) == 0 {
		r.Skip = []webhook.Endpoint{{SubscriptionID: sub.ID, Channel: sub.Channels[0].Channel}}
	}
	due := m.claimable(r.Skip)
	possible := 0
	for _, all := range due {
		possible += min(len(all), r.PerEndpoint)
	}
	tasks := m.claimWith(m.now, r)
	m.byEndpoint(tasks, r)
	require.Len(m.t, tasks, min(possible, r.Limit), "a claim takes all that is due within its bounds")
	next := make(map[webhook.Endpoint]int)
	for _, task := range tasks {
		i := next[task.Endpoint]
		next[task.Endpoint]++
		require.Less(m.t, i, len(due[task.Endpoint]), "a task is for a delivery that is due")
		want, got := due[task.Endpoint][i], m.deliveries[task.DeliveryID]
		require.Equal(m.t, want.sinceQueued > 0, got.sinceQueued > 0, "within an endpoint, what was not attempted since it was queued comes first")
		m.requireTime(want.due, got.due, "within an endpoint, what is due longest comes first: the time of the next task")
		m.requireTime(got.due, task.DueAt, "DueAt")
		m.checkLost(got, task)
	}
	for _, task := range tasks {
		m.take(task, r.Until)
	}
}

// lease picks one that was once given, and says whether it is still good.
func (m *model) lease() (*modelDelivery, webhook.Lease, bool) {
	var candidates []*modelDelivery
	for _, id := range slices.Sorted(maps.Keys(m.deliveries)) {
		if d := m.deliveries[id]; len(d.leases) > 0 && (d.status == webhook.StatusInFlight || m.random.IntN(8) == 0) {
			candidates = append(candidates, d)
		}
	}
	if len(candidates) == 0 {
		return nil, webhook.Lease{}, false
	}
	d := candidates[m.random.IntN(len(candidates))]
	l := d.leases[len(d.leases)-1]
	if m.random.IntN(8) == 0 {
		l = d.leases[m.random.IntN(len(d.leases))]
	}
	return d, l, l.Token == d.token && d.status == webhook.StatusInFlight && d.subscription != nil
}

func (m *model) settleLease() {
	d, l, good := m.lease()
	if d == nil {
		return
	}
	settlement := webhook.Settlement{
		Lease:             l,
		Status:            []webhook.Status{webhook.StatusSucceeded, webhook.StatusDead, webhook.StatusPending}[m.random.IntN(3)],
		DueAt:             m.now.Add(time.Duration(m.random.IntN(60)) * time.Second),
		PauseSubscription: m.random.IntN(15) == 0,
		Lost:              m.random.IntN(3) == 0,
	}
	if m.random.IntN(4) > 0 {
		settlement.Attempt = attempt(m.now, []string{"", "status"}[m.random.IntN(2)])
	}
	if !good {
		m.refuse(m.now, settlement, "a result whose token is not the latest, or on a delivery that is not in flight, is refused")
		return
	}
	m.settle(m.now, settlement)
	figures := m.figures[d.Endpoint]
	figures.Count(&settlement)
	m.figures[d.Endpoint] = figures
	d.status = settlement.Status
	if d.status == webhook.StatusPending {
		d.due = settlement.DueAt
	} else {
		d.SettledAt = m.now
	}
	if settlement.Attempt != nil {
		a := *settlement.Attempt
		a.Number = len(d.Attempts) + 1
		d.Attempts = append(d.Attempts, a)
		d.sinceQueued++
		if !settlement.Lost {
			d.lost = 0
		}
		d.lostAt = time.Time{}
	}
	d.started = time.Time{}
	if settlement.PauseSubscription && !d.subscription.Paused {
		stored, err := m.Subscription(m.ctx, org, d.SubscriptionID)
		require.NoError(m.t, err)
		require.True(m.t, stored.Paused, "PauseSubscription pauses the subscription")
		*d.subscription = *stored // with its new revision
	}
}

// checkLost compares what a claim says of lost leases.
func (m *model) checkLost(d *modelDelivery, task webhook.Task) {
	if d.status == webhook.StatusInFlight && (d.lost == 0 || !d.started.IsZero()) {
		d.lost++
		if !d.started.IsZero() {
			d.started, d.lostAt = time.Time{}, d.started
		}
	}
	m.requireLost(task, d.lost, d.lostAt, "leases that were lost without a result")
}

func (m *model) startAttempt() {
	d, l, good := m.lease()
	if d == nil {
		return
	}
	require.Equal(m.t, good, len(m.startAttempts(m.now, l)) == 0, "an attempt starts with a lease that is held")
	if good {
		d.started, d.lostAt = m.now, time.Time{}
	}
}

func (m *model) extendLease() {
	d, l, good := m.lease()
	if d == nil {
		return
	}
	until := m.now.Add(2 * lease)
	lost := m.extend(until, l)
	require.Equal(m.t, good, len(lost) == 0, "a lease is lost if the delivery was settled, taken over, or given back")
	if good {
		d.due = until
	}
}

func (m *model) replayDelivery() {
	d := m.pickDelivery(webhook.Status.Settled)
	if d == nil {
		return
	}
	err := m.Replay(m.ctx, m.now, org, d.ID)
	switch {
	case !d.reported().Settled():
		require.ErrorIs(m.t, err, webhook.ErrWrongStatus)
	case d.subscription == nil:
		require.ErrorIs(m.t, err, webhook.ErrNotFound)
	default:
		require.NoError(m.t, err)
		d.status, d.due, d.queued, d.sinceQueued, d.SettledAt = webhook.StatusPending, m.now, m.now, 0, time.Time{}
		d.lost, d.started, d.lostAt = 0, time.Time{}, time.Time{}
	}
}

func (m *model) cancelDelivery() {
	d := m.pickDelivery(func(s webhook.Status) bool { return !s.Settled() })
	if d == nil {
		return
	}
	err := m.Cancel(m.ctx, m.now, org, d.ID)
	if d.reported().Settled() {
		require.ErrorIs(m.t, err, webhook.ErrWrongStatus)
		return
	}
	require.NoError(m.t, err)
	d.status, d.SettledAt = webhook.StatusCancelled, m.now
	figures := m.figures[d.Endpoint]
	figures.Cancelled++
	m.figures[d.Endpoint] = figures
}

func (m *model) pruneOld() {
	// Deliveries that an update or a deletion cancelled are settled at a time
	// that the store chooses until Prune ran: ask what it chose.
	m.prune(m.now, time.Time{}, time.Time{})
	for _, d := range m.deliveries {
		if d.reported() == webhook.StatusCancelled && d.SettledAt.IsZero() {
			d.status, d.SettledAt = webhook.StatusCancelled, m.get(d.ID).SettledAt
			require.False(m.t, d.SettledAt.IsZero(), "Prune settles deliveries of deleted subscriptions")
		}
	}
	succeededBefore, deadBefore := m.now.Add(-2*time.Minute), m.now.Add(-4*time.Minute)
	want := 0
	for id, d := range m.deliveries {
		before := succeededBefore
		if d.status == webhook.StatusDead {
			before = deadBefore
		}
		if d.status.Settled() && d.SettledAt.Before(before) {
			delete(m.deliveries, id)
			want++
		}
	}
	for id, emitted := range m.events {
		used := false
		for _, d := range m.deliveries {
			used = used || d.EventID == id
		}
		if !used && emitted.Before(succeededBefore) {
			delete(m.events, id)
			want++
		}
	}
	require.Equal(m.t, want, m.prune(m.now, succeededBefore, deadBefore), "Prune removes what is old, and counts it")
}
