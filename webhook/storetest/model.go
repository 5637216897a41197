package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func modelCases() []testCase {
	var cases []testCase
	for seed := range uint64(6) {
		cases = append(cases, testCase{fmt.Sprint("Seed", seed), func(f *fixture) { followModel(f, seed, 300) }})
	}
	return cases
}

// model is what a store should hold after the operations so far, in the most
// naive form: no queues and no order, everything is searched from end to end.
type model struct {
	*fixture
	random        *rand.Rand
	now           time.Time
	subscriptions map[string]*webhook.Subscription
	events        map[string]time.Time // when they were emitted
	deliveries    map[webhook.DeliveryID]*modelDelivery
	// figures are what was recorded for the endpoints that are there now.
	figures   map[webhook.Endpoint]webhook.Statistics
	lastID    webhook.DeliveryID
	nextEvent int
}

type modelDelivery struct {
	webhook.Delivery
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

// followModel does random operations, checks every answer, and now and then
// compares all that is stored. Where the contract leaves a choice to the store, such as which of
// the due deliveries it hands out, the model checks the choice and follows it.
func followModel(f *fixture, seed uint64, operations int) {
	m := &model{
		fixture:       f,
		random:        rand.New(rand.NewPCG(seed, seed)),
		now:           start(),
		subscriptions: make(map[string]*webhook.Subscription),
		events:        make(map[string]time.Time),
		deliveries:    make(map[webhook.DeliveryID]*modelDelivery),
		figures:       make(map[webhook.Endpoint]webhook.Statistics),
	}
	steps := []struct {
		weight int
		run    func()
	}{
		{3, m.createSubscription}, {4, m.updateSubscription}, {1, m.deleteSubscription},
		{10, m.enqueueEvents}, {12, m.claimDue}, {20, m.settleLease}, {4, m.extendLease}, {6, m.startAttempt},
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

// pickDelivery picks one that fits, or now and then any.
func (m *model) pickDelivery(fits func(webhook.Status) bool) *modelDelivery {
	var candidates []*modelDelivery
	anyone := m.random.IntN(5) == 0
	for _, id := range slices.Sorted(maps.Keys(m.deliveries)) {
		if d := m.deliveries[id]; anyone || fits(d.reported()) {
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
	case d.subscription.Paused:
		return webhook.StatusPaused
	default:
		return d.status
	}
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
		if want.Status == webhook.StatusInFlight || want.Status == webhook.StatusPaused {
			want.DueAt = got.DueAt // not laid down while a lease may be open
		}
		m.requireDelivery(want, got)
	}
	all, err := m.Subscriptions(m.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(m.t, err)
	require.Len(m.t, all, len(m.subscriptions))
	for _, sub := range all {
		m.requireSameSubscription(m.subscriptions[sub.ID], sub)
		m.requireStatistics(m.wantStatistics(sub), sub, "the figures are those of all that happened to the subscription's channels")
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
		if f.LastSuccess.After(want.LastSuccess) {
			want.LastSuccess = f.LastSuccess
		}
		if f.LastFailure.After(want.LastFailure) {
			want.LastFailure, want.LastFailed = f.LastFailure, f.LastFailed
		}
	}
	return want
}
