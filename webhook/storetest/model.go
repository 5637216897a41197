package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func modelCases(histories int) []testCase {
	var cases []testCase
	for seed := range uint64(histories) {
		cases = append(cases, testCase{fmt.Sprint("Seed", seed),
			func(f *fixture) { followModel(f, seed, 300) }})
	}
	return cases
}

// model is what a store should contain after the operations so far, in the simplest form: without
// queues or order.
type model struct {
	*fixture
	random        *rand.Rand
	now           time.Time
	subscriptions map[string]*webhook.Subscription
	events        map[string]time.Time // when they were emitted
	deliveries    map[webhook.DeliveryID]*modelDelivery
	// figures are what was recorded for the endpoints that are there now.
	figures map[webhook.Endpoint]webhook.Statistics
	// states are those of endpoints that are not healthy.
	states    map[webhook.Endpoint]*webhook.EndpointState
	lastID    webhook.DeliveryID
	nextEvent int
}

type modelDelivery struct {
	webhook.Delivery
	model        *model
	subscription *webhook.Subscription // nil when it or the channel is gone
	token        int64
	sinceQueued  int
	queued       time.Time
	// status leaves out what follows from the subscription: paused and cancelled.
	status webhook.Status
	due    time.Time
	leases []webhook.Lease // all that were ever given
	// lost leases, and when an attempt was started of which there is no result
	lost            int
	started, lostAt time.Time
}

// followModel runs random operations, checks every answer, and regularly compares everything that
// is stored. Where the contract leaves a choice to the store, such as which of the due deliveries
// it hands out, the model checks the choice and follows it.
func followModel(f *fixture, seed uint64, operations int) {
	m := &model{
		fixture:       f,
		random:        rand.New(rand.NewPCG(seed, seed)),
		now:           start(),
		subscriptions: make(map[string]*webhook.Subscription),
		events:        make(map[string]time.Time),
		deliveries:    make(map[webhook.DeliveryID]*modelDelivery),
		figures:       make(map[webhook.Endpoint]webhook.Statistics),
		states:        make(map[webhook.Endpoint]*webhook.EndpointState),
	}
	steps := []struct {
		weight int
		run    func()
	}{
		{3, m.createSubscription}, {4, m.updateSubscription}, {1, m.deleteSubscription},
		{10, m.enqueueEvents}, {12, m.claimDue}, {20, m.settleLease}, {4, m.extendLease},
		{6, m.startAttempt},
		{4, m.changeHealth},
		{6, m.replayDelivery}, {3, m.cancelDelivery}, {2, m.pruneOld},
	}
	var deck []func()
	for _, step := range steps {
		deck = append(deck, slices.Repeat([]func(){step.run}, step.weight)...)
	}
	m.createSubscription()
	for n := range operations {
		m.now = m.now.Add(time.Duration(m.random.IntN(20_000)) * time.Millisecond)
		deck[m.random.IntN(len(deck))]()
		if n%10 == 0 || n == operations-1 {
			m.compare()
		}
	}
}

func (m *model) pickSubscription() *webhook.Subscription {
	if len(m.subscriptions) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(m.subscriptions))
	return m.subscriptions[ids[m.random.IntN(len(ids))]]
}

// pickDelivery picks one that fits, or sometimes any one.
func (m *model) pickDelivery(fits func(webhook.Status) bool) *modelDelivery {
	var candidates []*modelDelivery
	anyStatus := m.random.IntN(5) == 0
	for _, id := range slices.Sorted(maps.Keys(m.deliveries)) {
		if d := m.deliveries[id]; anyStatus || fits(d.reported()) {
			candidates = append(candidates, d)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	return candidates[m.random.IntN(len(candidates))]
}

// reported returns the status that the store should report.
func (d *modelDelivery) reported() webhook.Status {
	switch {
	case d.status.Settled():
		return d.status
	case d.subscription == nil:
		return webhook.StatusCancelled
	case d.subscription.Paused, d.model.health(d.Endpoint) == webhook.Disabled:
		return webhook.StatusPaused
	default:
		return d.status
	}
}

func (m *model) health(e webhook.Endpoint) webhook.Health {
	if s := m.states[e]; s != nil {
		return s.Health
	}
	return webhook.Healthy
}

// compare checks that the store holds what the model holds.
func (m *model) compare() {
	stored := m.list(webhook.DeliveryQuery{Limit: many})
	require.Len(m.t, stored, len(m.deliveries))
	for _, got := range stored {
		d := m.deliveries[got.ID]
		require.NotNil(m.t, d, "%s should not exist", got.ID)
		want := d.Delivery
		want.Status = d.reported()
		if !want.Status.Settled() {
			want.DueAt = d.due
		} else {
			want.DueAt = time.Time{}
		}
		if want.Status == webhook.StatusCancelled && want.SettledAt.IsZero() {
			want.SettledAt = got.SettledAt // of the store's choice
		}
		m.requireDelivery(want, got)
	}
	all, err := m.Subscriptions(m.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(m.t, err)
	require.Len(m.t, all, len(m.subscriptions))
	for _, sub := range all {
		m.requireSameSubscription(m.subscriptions[sub.ID], sub)
		m.requireStatistics(m.wantStatistics(sub), sub,
			"the figures are those of all that happened to the subscription's channels")
	}
}

// wantStatistics returns all figures of a webhook.
func (m *model) wantStatistics(sub *webhook.Subscription) webhook.Statistics {
	var want webhook.Statistics
	for _, d := range m.deliveries {
		if d.subscription == nil || d.SubscriptionID != sub.ID {
			continue
		}
		switch d.reported() {
		case webhook.StatusPending:
			want.Pending++
		case webhook.StatusInFlight:
			want.InFlight++
		case webhook.StatusPaused:
			want.Paused++
		}
	}
	for _, key := range sub.ChannelKeys() {
		f := m.figures[webhook.Endpoint{SubscriptionID: sub.ID, Channel: key}]
		want.Succeeded += f.Succeeded
		want.Failed += f.Failed
		want.Dead += f.Dead
		want.Cancelled += f.Cancelled
		want.Duration += f.Duration
		want.Durations.Add(&f.Durations)
		if f.LastSuccess.After(want.LastSuccess) {
			want.LastSuccess = f.LastSuccess
		}
		if f.LastFailure.After(want.LastFailure) {
			want.LastFailure, want.LastFailed = f.LastFailure, f.LastFailed
		}
	}
	return want
}

// The steps follow. Each one calls the store, checks the answer against the model, and changes the
// model in the same way.

// shuffle gives the subscription random patterns and channels.
func (m *model) shuffle(sub *webhook.Subscription) {
	sub.EventTypes = []event.Pattern{[]event.Pattern{"*", "object.*",
		"invoice.paid"}[m.random.IntN(3)]}
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
	m.removeStates(sub.ID, keys)
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
	m.removeStates(sub.ID, nil)
	for _, d := range m.deliveries {
		if d.SubscriptionID == sub.ID {
			d.subscription = nil
		}
	}
}

// removeStates removes the states of a subscription's endpoints but for the channels that it has.
func (m *model) removeStates(subscriptionID string, keys []string) {
	maps.DeleteFunc(m.states, func(e webhook.Endpoint, _ *webhook.EndpointState) bool {
		return e.SubscriptionID == subscriptionID && !slices.Contains(keys, e.Channel)
	})
}

func (m *model) changeHealth() {
	sub := m.pickSubscription()
	if sub == nil {
		return
	}
	keys := sub.ChannelKeys()
	e := webhook.Endpoint{SubscriptionID: sub.ID, Channel: keys[m.random.IntN(len(keys))]}
	s := m.state(e)
	s.Health = []webhook.Health{webhook.Healthy, webhook.Degraded, webhook.Disabled}[m.random.IntN(3)]
	s.Since, s.NextProbe = m.now, time.Time{}
	if s.Health == webhook.Degraded {
		s.NextProbe = m.now.Add(time.Duration(m.random.IntN(90)-30) * time.Second)
	}
	require.NoError(m.t, webhook.SetEndpointState(m.ctx, m, &s, sub.Revision))
	if m.states[e] = &s; s.Health == webhook.Healthy {
		delete(m.states, e)
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
	enqueued, err := enqueueAll(m.ctx, m.Store, m.now, events, &webhook.Prefetch{
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
		m.deliveries[d.ID] = &modelDelivery{Delivery: d, model: m, subscription: sub, queued: m.now,
			status: webhook.StatusPending, due: m.now}
	}
	require.Empty(m.t, want, "Enqueue did not make these deliveries")
	for _, task := range enqueued.Tasks {
		require.Equal(m.t, webhook.Healthy, m.health(task.Endpoint),
			"only deliveries of healthy endpoints are prefetched")
		m.take(task, m.now.Add(lease))
	}
}

// take checks a task that the store handed out, and records it in the model.
func (m *model) take(task webhook.Task, until time.Time) {
	m.t.Helper()
	d := m.deliveries[task.DeliveryID]
	require.NotNil(m.t, d, "a task is for a delivery that exists")
	require.False(m.t, d.reported().Settled() || d.reported() == webhook.StatusPaused ||
		d.due.After(m.now),
		"a task is for a delivery that is due: %s is %s, due %s, now %s", d.ID, d.reported(), d.due,
		m.now)
	require.Greater(m.t, task.Token, d.token, "the token grows with every claim")
	require.Equal(m.t, d.Endpoint, task.Endpoint)
	require.Equal(m.t, d.subscription.Revision, task.Revision)
	require.Equal(m.t, d.EventID, task.EventID)
	require.Equal(m.t, len(d.Attempts), task.Attempts,
		"Attempts is the number of attempts in the history")
	require.Equal(m.t, d.sinceQueued, task.AttemptsSinceQueued,
		"AttemptsSinceQueued is the number of attempts since QueuedAt")
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
		if s := d.reported(); !s.Settled() && s != webhook.StatusPaused && !d.due.After(m.now) &&
			!slices.Contains(skip, d.Endpoint) {
			due[d.Endpoint] = append(due[d.Endpoint], d)
		}
	}
	for _, all := range due {
		slices.SortFunc(all, func(a, b *modelDelivery) int {
			return cmp.Or(cmp.Compare(min(a.sinceQueued, 1), min(b.sinceQueued, 1)), a.due.Compare(b.due))
		})
	}
	maps.DeleteFunc(due, func(e webhook.Endpoint, _ []*modelDelivery) bool {
		return m.health(e) == webhook.Degraded && m.states[e].NextProbe.After(m.now)
	})
	return due
}

func (m *model) claimDue() {
	r := webhook.ClaimRequest{Until: m.now.Add(lease), Limit: 1 + m.random.IntN(12),
		PerEndpoint: 1 + m.random.IntN(5)}
	if sub := m.pickSubscription(); sub != nil && m.random.IntN(4) == 0 {
		r.Skip = []webhook.Endpoint{{SubscriptionID: sub.ID, Channel: sub.Channels[0].Channel}}
	}
	due := m.claimable(r.Skip)
	possible := 0
	for e, all := range due {
		if m.health(e) == webhook.Degraded {
			possible++
		} else {
			possible += min(len(all), r.PerEndpoint)
		}
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
		require.Equal(m.t, want.sinceQueued > 0, got.sinceQueued > 0,
			"within an endpoint, what was not attempted since it was queued comes first")
		m.requireTime(want.due, got.due,
			"within an endpoint, what is due longest comes first: the time of the next task")
		m.requireTime(got.due, task.DueAt, "DueAt")
		m.checkLost(got, task)
	}
	for _, task := range tasks {
		require.Equal(m.t, m.health(task.Endpoint) == webhook.Degraded, task.Probe != nil)
		if s := m.states[task.Endpoint]; s != nil {
			require.False(m.t, s.NextProbe.After(m.now), "there is one probe at a time")
			s.NextProbe, s.Revision = r.Until, task.Probe.Revision
			require.Equal(m.t, *s, *task.Probe)
		}
		m.take(task, r.Until)
	}
}

// lease picks a lease, and reports whether it is still valid.
func (m *model) lease() (*modelDelivery, webhook.Lease, bool) {
	var candidates []*modelDelivery
	for _, id := range slices.Sorted(maps.Keys(m.deliveries)) {
		if d := m.deliveries[id]; len(d.leases) > 0 &&
			(d.status == webhook.StatusInFlight || m.random.IntN(8) == 0) {
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
		Lease: l,
		Status: []webhook.Status{webhook.StatusSucceeded, webhook.StatusDead,
			webhook.StatusPending}[m.random.IntN(3)],
		DueAt: m.now.Add(time.Duration(m.random.IntN(60)) * time.Second),
		Lost:  m.random.IntN(3) == 0,
	}
	if m.random.IntN(4) > 0 {
		settlement.Attempt = attempt(m.now, []string{"", "status"}[m.random.IntN(2)])
	}
	if !good {
		m.refuse(m.now, settlement,
			"a result whose token is not the latest, or on a delivery that is not in flight, is refused")
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
	require.Equal(m.t, good, len(m.startAttempts(m.now, l)) == 0,
		"an attempt starts with a lease that is held")
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
	require.Equal(m.t, good, len(lost) == 0,
		"a lease is lost if the delivery was settled, taken over, or requeued")
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
		d.status, d.due, d.queued, d.sinceQueued, d.SettledAt = webhook.StatusPending, m.now, m.now, 0,
			time.Time{}
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
	// Until Prune has run, the store chooses the time at which deliveries are settled that an update
	// or a deletion cancelled. Read which time it chose.
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
	require.Equal(m.t, want, m.prune(m.now, succeededBefore, deadBefore),
		"Prune removes what is old, and counts it")
}
