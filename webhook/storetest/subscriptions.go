package storetest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func subscriptionCases() []testCase {
	return []testCase{
		{"KeepsEveryField", keepsEveryField},
		{"CreateSetsRevision", createSetsRevision},
		{"UsedIDExists", usedIDExists},
		{"Quota", quotaBounds},
		{"QuotaOfEventTypes", quotaOfEventTypes},
		{"UnknownIsNotFound", unknownSubscriptionIsNotFound},
		{"UpdateReplaces", updateReplaces},
		{"UpdateConflict", updateConflict},
		{"DeleteRemoves", deleteRemoves},
		{"DeleteConflict", deleteConflict},
		{"ListOrderAndPaging", listOrderAndPaging},
		{"ListFilters", listFilters},
		{"ListAfter", listAfter},
		{"ListMany", listMany},
		{"ResultsAreCopies", subscriptionsAreCopies},
	}
}

func keepsEveryField(f *fixture) {
	want := hook("webhook", "slack", "webhook")
	want.Name = "Ünïcode \"quoted\" 'single' \\ 日本語 🚚"
	want.EventTypes = []event.Pattern{"object.*", "invoice.paid", "object.*"}
	want.Paused = true
	want.Retry = &webhook.Retry{
		Delays: []time.Duration{0, time.Minute}, MaxAttempts: 3, MaxAge: time.Hour,
	}
	want.RateLimit = &webhook.RateLimit{PerSecond: 0.125, Burst: 7}
	want.UpdatedAt = start().Add(time.Hour + 999_999*tick)
	want.Channels[0].Configs = json.RawMessage(
		`{"z":1,"a":{"big":12345678901234567890.10,"list":[1,"<&>",null]},"nul":"\u0000"}`)
	f.create(want)

	got, err := f.Subscription(f.ctx, org, want.ID)
	require.NoError(f.t, err)
	f.requireSameSubscription(want, got)

	all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(f.t, err)
	require.Len(f.t, all, 1)
	f.requireSameSubscription(want, all[0])
}

// requireSameSubscription compares every field.
func (f *fixture) requireSameSubscription(want, got *webhook.Subscription) {
	f.t.Helper()
	require.Len(f.t, got.Channels, len(want.Channels), "a store keeps every channel")
	for i := range want.Channels {
		require.Equal(f.t, want.Channels[i].Channel, got.Channels[i].Channel,
			"a store keeps the channels in their order")
		f.requireSameJSON(want.Channels[i].Configs, got.Channels[i].Configs,
			"a store keeps a channel's configs, with the order of fields and the digits of numbers")
	}
	require.True(f.t, want.CreatedAt.Equal(got.CreatedAt),
		"CreatedAt is kept to the microsecond: want %s, got %s", want.CreatedAt, got.CreatedAt)
	require.True(f.t, want.UpdatedAt.Equal(got.UpdatedAt),
		"UpdatedAt is kept to the microsecond: want %s, got %s", want.UpdatedAt, got.UpdatedAt)
	a, b := want.Clone(), got.Clone()
	for _, sub := range []*webhook.Subscription{a, b} {
		sub.Channels, sub.CreatedAt, sub.UpdatedAt = nil, time.Time{}, time.Time{}
	}
	require.Equal(f.t, a, b, "a store keeps every field of a subscription")
}

func createSetsRevision(f *fixture) {
	sub := hook()
	sub.Revision = 7
	f.create(sub)
	first := sub.CreatedAt.UnixMicro()
	require.Equal(f.t, first, sub.Revision,
		"CreateSubscription sets the first revision in the subscription it is given: the microseconds "+
			"of CreatedAt")
	got, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.Equal(f.t, first, got.Revision, "CreateSubscription stores the first revision")
}

func usedIDExists(f *fixture) {
	sub := f.create(hook())
	for _, organization := range []string{org, other} {
		again := hook()
		again.ID, again.OrganizationID, again.Name = sub.ID, organization, "Changed"
		require.ErrorIs(f.t, f.CreateSubscription(f.ctx, again, webhook.Quota{}), webhook.ErrExists,
			"a used id returns ErrExists, whichever organization uses it (used by %s, tried by %s)", org,
			organization)
		require.Zero(f.t, again.Revision, "an error leaves everything as it was: no revision is set")
	}
	got, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	f.requireSameSubscription(sub, got)
}

func unknownSubscriptionIsNotFound(f *fixture) {
	sub := hook()
	sub.Revision = 1
	_, err := f.Subscription(f.ctx, org, sub.ID)
	assert.ErrorIs(f.t, err, webhook.ErrNotFound, "reading an unknown subscription")
	assert.ErrorIs(f.t, f.UpdateSubscription(f.ctx, sub, webhook.Quota{}), webhook.ErrNotFound,
		"updating an unknown subscription")
	assert.ErrorIs(f.t, f.DeleteSubscription(f.ctx, org, sub.ID, 0), webhook.ErrNotFound,
		"deleting an unknown subscription")
	all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	assert.NoError(f.t, err, "an empty list is not an error")
	assert.Empty(f.t, all)
}

func updateReplaces(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	update := hook("email")
	update.ID, update.Name, update.Paused, update.Revision = sub.ID, "Renamed", true, sub.Revision
	update.EventTypes = []event.Pattern{"invoice.paid"}
	update.Retry = &webhook.Retry{MaxAttempts: 1}
	update.RateLimit = &webhook.RateLimit{PerSecond: 1}
	update.CreatedAt, update.UpdatedAt = start().Add(time.Hour), start().Add(2*time.Hour)
	require.NoError(f.t, f.UpdateSubscription(f.ctx, update, webhook.Quota{}))
	require.Greater(f.t, update.Revision, sub.Revision,
		"UpdateSubscription sets the new revision in the subscription it is given")

	got, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	update.CreatedAt = sub.CreatedAt // which an update keeps
	f.requireSameSubscription(update, got)

	update.Name, update.Retry, update.RateLimit = "Renamed again", nil, nil
	require.NoError(f.t, f.UpdateSubscription(f.ctx, update, webhook.Quota{}),
		"the revision that an update sets is the one the next update is based on")
	require.Equal(f.t, sub.Revision+2, update.Revision, "the revision counts the updates")
	got, err = f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.Nil(f.t, got.Retry, "an update can remove the retry policy")
	require.Nil(f.t, got.RateLimit, "an update can remove the rate limit")
}

func updateConflict(f *fixture) {
	sub := f.create(hook())
	first, stale, ahead := sub.Clone(), sub.Clone(), sub.Clone()
	first.Name, stale.Name, ahead.Name = "First", "Stale", "Ahead"
	require.NoError(f.t, f.UpdateSubscription(f.ctx, first, webhook.Quota{}))

	ahead.Revision = 9
	for _, late := range []*webhook.Subscription{stale, ahead} {
		before := late.Revision
		require.ErrorIs(f.t, f.UpdateSubscription(f.ctx, late, webhook.Quota{}), webhook.ErrConflict,
			"an update that is not based on the stored revision is refused, so that no change is lost")
		require.Equal(f.t, before, late.Revision,
			"an error leaves everything as it was: the revision is not set")
	}
	got, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	f.requireSameSubscription(first, got)
}

func deleteConflict(f *fixture) {
	sub := f.create(hook())
	changed := f.update(sub, func(sub *webhook.Subscription) { sub.Name = "Changed" })
	for _, revision := range []int64{sub.Revision, changed.Revision + 1, -1} {
		require.ErrorIs(f.t, f.DeleteSubscription(f.ctx, org, sub.ID, revision), webhook.ErrConflict,
			"a removal that is not based on the stored revision is refused, so that no change is lost")
	}
	require.ErrorIs(f.t, f.DeleteSubscription(f.ctx, other, sub.ID, changed.Revision),
		webhook.ErrNotFound)
	f.emit(start(), "evt_1")
	require.Len(f.t, f.claim(start(), 10), 1,
		"an error leaves everything as it was: the subscription gets its deliveries")
	require.NoError(f.t, f.DeleteSubscription(f.ctx, org, sub.ID, changed.Revision))
	require.ErrorIs(f.t, f.DeleteSubscription(f.ctx, org, sub.ID, changed.Revision),
		webhook.ErrNotFound)
}

func deleteRemoves(f *fixture) {
	sub, stays := f.create(hook()), f.create(hook())
	f.remove(sub)
	_, err := f.Subscription(f.ctx, org, sub.ID)
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "a deleted subscription is gone")
	require.ErrorIs(f.t, f.UpdateSubscription(f.ctx, sub, webhook.Quota{}), webhook.ErrNotFound,
		"a deleted subscription cannot be updated")
	require.ErrorIs(f.t, f.DeleteSubscription(f.ctx, org, sub.ID, 0), webhook.ErrNotFound,
		"a deleted subscription cannot be deleted again")
	all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(f.t, err)
	require.Equal(f.t, []string{stays.ID}, hookIDs(all),
		"a deleted subscription is not listed, others are")

	f.emit(start(), "evt_1")
	require.Equal(f.t, stays.ID, f.only().SubscriptionID, "a deleted subscription matches no event")
}

func listOrderAndPaging(f *fixture) {
	var want []string
	for i := range 7 {
		sub := hook()
		sub.CreatedAt = start().Add(time.Duration(i/2) * tick) // pairs share a time
		f.create(sub)
		want = append(want, sub.ID)
		if i%2 == 1 && want[i] < want[i-1] {
			want[i-1], want[i] = want[i], want[i-1]
		}
	}
	late := hook() // created last, but older than all
	late.CreatedAt = start().Add(-time.Hour)
	want = slices.Insert(want, 0, f.create(late).ID)

	for _, q := range []struct{ limit, offset int }{{0, 0}, {0, 3}, {3, 0}, {3, 3}, {3, 6}, {8, 0},
		{100, 0}, {3, 8}, {3, 100}, {1, 7}, {-1, -1}} {
		got, err := f.Subscriptions(f.ctx,
			webhook.SubscriptionQuery{OrganizationID: org, Limit: q.limit, Offset: q.offset})
		require.NoError(f.t, err)
		expect := want[min(max(q.offset, 0), len(want)):]
		if q.limit > 0 {
			expect = expect[:min(q.limit, len(expect))]
		}
		require.Equal(f.t, append([]string{}, expect...), hookIDs(got),
			"webhooks are listed by CreatedAt, then id, in pages of Limit (0 is no bound) after Offset; "+
				"limit %d, offset %d", q.limit, q.offset)
	}
}

func listFilters(f *fixture) {
	patterns := [][]event.Pattern{
		{"*"}, {"object.*"}, {"object.created"}, {"invoice.paid", "object.created"}, {"collection.*"},
		{"objects.*"},
	}
	names := make(map[string]string)
	for i, p := range patterns {
		for _, paused := range []bool{false, true} {
			sub := hook()
			sub.EventTypes, sub.Paused = p, paused
			sub.CreatedAt = start().Add(time.Duration(i) * time.Second)
			f.create(sub)
			names[sub.ID] = fmt.Sprintf("%v paused=%t", p, paused)
		}
	}
	yes, no := true, false
	for _, paused := range []*bool{nil, &yes, &no} {
		for _, eventType := range []string{"", "object.created", "object.metadata.updated",
			"invoice.paid", "invoice", "object", "object.*", "invoice.*", "*"} {
			all, err := f.Subscriptions(f.ctx,
				webhook.SubscriptionQuery{OrganizationID: org, EventType: eventType, Paused: paused})
			require.NoError(f.t, err)
			got := make(map[string]bool)
			for _, sub := range all {
				got[names[sub.ID]] = true
			}
			want := make(map[string]bool)
			for _, p := range patterns {
				for _, is := range []bool{false, true} {
					matches := (&webhook.Subscription{EventTypes: p}).Matches(eventType)
					if strings.Contains(eventType, "*") {
						matches = slices.Contains(p, event.Pattern(eventType))
					}
					if (eventType == "" || matches) && (paused == nil || *paused == is) {
						want[fmt.Sprintf("%v paused=%t", p, is)] = true
					}
				}
			}
			n, err := f.CountSubscriptions(f.ctx,
				webhook.SubscriptionQuery{OrganizationID: org, EventType: eventType, Paused: paused})
			require.NoError(f.t, err)
			require.Equal(f.t, len(all), n, "as many subscriptions are counted as are listed")
			require.Equal(f.t, want, got,
				"EventType %q keeps the subscriptions that match it or, with \"*\", have it; Paused the "+
					"paused or the active ones", eventType)
		}
	}
	page, err := f.Subscriptions(f.ctx,
		webhook.SubscriptionQuery{OrganizationID: org, EventType: "object.created", Paused: &no, Limit: 2,
			Offset: 1})
	require.NoError(f.t, err)
	require.Len(f.t, page, 2, "Limit and Offset count what fits the filters")
	require.Equal(f.t, []string{"[object.*] paused=false", "[object.created] paused=false"},
		[]string{names[page[0].ID], names[page[1].ID]}, "Limit and Offset count what fits the filters")
}

// after returns the place behind a subscription of org.
func (f *fixture) after(id string) webhook.SubscriptionCursor {
	f.t.Helper()
	sub, err := f.Subscription(f.ctx, org, id)
	require.NoError(f.t, err)
	return sub.Cursor()
}

func listAfter(f *fixture) {
	var all []*webhook.Subscription
	for i := range 7 {
		sub := hook()
		sub.CreatedAt = start().Add(time.Duration(i/3) * tick) // several share a time
		sub.Paused = i%2 == 1
		f.create(sub)
	}
	all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(f.t, err)
	ids := hookIDs(all)
	for i, id := range ids {
		for _, eventType := range []string{"", created} {
			q := webhook.SubscriptionQuery{OrganizationID: org, EventType: eventType, After: f.after(id)}
			got, err := f.Subscriptions(f.ctx, q)
			require.NoError(f.t, err)
			require.Equal(f.t, append([]string{}, ids[i+1:]...), hookIDs(got),
				"After keeps what stands behind it in the order of the list")
			q.Limit, q.Offset = 2, 1
			got, err = f.Subscriptions(f.ctx, q)
			require.NoError(f.t, err)
			rest := ids[min(i+2, len(ids)):]
			require.Equal(f.t, append([]string{}, rest[:min(2, len(rest))]...), hookIDs(got),
				"Offset and Limit count from After on")
			n, err := f.CountSubscriptions(f.ctx, q)
			require.NoError(f.t, err)
			require.Equal(f.t, len(ids), n, "After, Limit and Offset do not change what is counted")
		}
	}
	gone := f.after(ids[2])
	f.remove(all[2])
	yes := true
	got, err := f.Subscriptions(f.ctx,
		webhook.SubscriptionQuery{OrganizationID: org, Paused: &yes, After: gone, Limit: 2})
	require.NoError(f.t, err)
	var want []string
	for _, sub := range all[3:] {
		if sub.Paused && len(want) < 2 {
			want = append(want, sub.ID)
		}
	}
	require.Equal(f.t, want, hookIDs(got),
		"a place stays where it was when its subscription is deleted; Limit counts what fits the filters")
}

// listMany has more subscriptions than a store may look at in one step.
func listMany(f *fixture) {
	const n = 230
	var want []string
	for i := range n {
		sub := hook()
		sub.CreatedAt = start().Add(time.Duration(i/50) * tick)
		sub.EventTypes = []event.Pattern{[]event.Pattern{"object.*", "invoice.*", "invoice.paid"}[i%3]}
		f.create(sub)
	}
	all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(f.t, err)
	require.Len(f.t, all, n, "Limit 0 is no bound")
	for _, sub := range all {
		if sub.Matches("invoice.paid") {
			want = append(want, sub.ID)
		}
	}
	q := webhook.SubscriptionQuery{OrganizationID: org, EventType: "invoice.paid"}
	count, err := f.CountSubscriptions(f.ctx, q)
	require.NoError(f.t, err)
	require.Equal(f.t, len(want), count, "all subscriptions that fit are counted")
	for _, limit := range []int{0, 7, 60, 100, 1000} {
		var got []string
		for q.Limit, q.After = limit, (webhook.SubscriptionCursor{}); ; {
			page, err := f.Subscriptions(f.ctx, q)
			require.NoError(f.t, err)
			got = append(got, hookIDs(page)...)
			if limit == 0 || len(page) < limit {
				break
			}
			require.Len(f.t, page, limit, "Limit bounds the answer")
			require.LessOrEqual(f.t, len(got), len(want),
				"a page has only what stands behind the one before it")
			q.After = page[limit-1].Cursor()
		}
		require.Equal(f.t, want, got,
			"pages of %d, each after the last subscription of the one before it, are the whole list", limit)
	}
	q.Limit, q.Offset, q.After = 3, 140, webhook.SubscriptionCursor{}
	page, err := f.Subscriptions(f.ctx, q)
	require.NoError(f.t, err)
	require.Equal(f.t, want[140:143], hookIDs(page), "Limit and Offset count what fits the filters")
}

func subscriptionsAreCopies(f *fixture) {
	mine := hook()
	mine.Retry = &webhook.Retry{Delays: []time.Duration{time.Minute}}
	mine.RateLimit = &webhook.RateLimit{PerSecond: 1}
	want := mine.Clone()
	want.Revision = want.CreatedAt.UnixMicro()
	f.create(mine)
	scribble := func(sub *webhook.Subscription) {
		sub.Name, sub.Paused, sub.EventTypes[0], sub.Channels[0].Channel = "Changed", true, "x.y", "slack"
		copy(sub.Channels[0].Configs, `{"evil":1}`)
		sub.Retry.Delays[0] = time.Hour
		sub.RateLimit.PerSecond = 2
	}
	scribble(mine)
	for range 2 {
		got, err := f.Subscription(f.ctx, org, want.ID)
		require.NoError(f.t, err)
		f.requireSameSubscription(want, got)
		scribble(got)
		all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: org})
		require.NoError(f.t, err)
		require.Len(f.t, all, 1)
		f.requireSameSubscription(want, all[0])
		scribble(all[0])
	}
	updated := want.Clone()
	want.Revision++
	require.NoError(f.t, f.UpdateSubscription(f.ctx, updated, webhook.Quota{}))
	scribble(updated)
	got, err := f.Subscription(f.ctx, org, want.ID)
	require.NoError(f.t, err)
	f.requireSameSubscription(want, got)
	f.emit(start(), "evt_1")
	require.Equal(f.t, "webhook", f.only().Channel,
		"changing a subscription outside of the store must not reach into it")
}

func hookIDs(all []*webhook.Subscription) []string {
	ids := []string{}
	for _, sub := range all {
		ids = append(ids, sub.ID)
	}
	return ids
}

// quotaOfEventTypes creates as many event types as any quota allows.
func quotaOfEventTypes(f *fixture) {
	quota := webhook.Quota{Subscriptions: 100}
	with := func(n int) *webhook.Subscription {
		sub := hook()
		sub.EventTypes = nil
		for i := range n {
			sub.EventTypes = append(sub.EventTypes, event.Pattern("object.type_"+strconv.Itoa(i)))
		}
		return sub
	}
	full := func(err error) {
		f.t.Helper()
		var e *webhook.LimitError
		require.ErrorAs(f.t, err, &e, "what is beyond the quota is refused")
		require.Equal(f.t, webhook.LimitError{Limit: "event types", Max: 10_000}, *e)
	}
	var all []*webhook.Subscription
	for range 10_000 / webhook.MaxEventTypes {
		all = append(all, with(webhook.MaxEventTypes))
		require.NoError(f.t, f.CreateSubscription(f.ctx, all[len(all)-1], quota))
	}
	refused := with(webhook.FewEventTypes + 1)
	full(f.CreateSubscription(f.ctx, refused, quota))
	_, err := f.Subscription(f.ctx, org, refused.ID)
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "nothing is stored")
	again := with(webhook.MaxEventTypes)
	again.ID = all[0].ID
	require.ErrorIs(f.t, f.CreateSubscription(f.ctx, again, quota), webhook.ErrExists)
	stranger := with(webhook.MaxEventTypes)
	stranger.OrganizationID = other
	require.NoError(f.t, f.CreateSubscription(f.ctx, stranger, quota),
		"what another organization has does not count")
	unbounded := with(webhook.FewEventTypes + 1)
	require.NoError(f.t, f.CreateSubscription(f.ctx, unbounded,
		webhook.Quota{Subscriptions: math.MaxInt}), "no bound")
	f.remove(unbounded)
	small := with(webhook.FewEventTypes)
	require.NoError(f.t, f.CreateSubscription(f.ctx, small, quota), "a few are always possible")

	small.EventTypes = with(webhook.FewEventTypes + 1).EventTypes
	full(f.UpdateSubscription(f.ctx, small, quota))
	all[0].Name = "Renamed"
	require.NoError(f.t, f.UpdateSubscription(f.ctx, all[0], quota), "an update that adds none is made")
	all[0].EventTypes = all[0].EventTypes[:webhook.MaxEventTypes-webhook.FewEventTypes-1]
	require.NoError(f.t, f.UpdateSubscription(f.ctx, all[0], quota))
	require.NoError(f.t, f.UpdateSubscription(f.ctx, small, quota), "what is removed no longer counts")
	full(f.CreateSubscription(f.ctx, refused, quota))
	require.NoError(f.t, f.CreateSubscription(f.ctx, refused, webhook.Quota{}), "zero is no bound")
	f.remove(all[1])
	require.NoError(f.t, f.CreateSubscription(f.ctx, with(webhook.MaxEventTypes/2), quota))
}

// quotaBounds holds subscriptions and channels of one organization against a quota.
func quotaBounds(f *fixture) {
	full := func(limit string, most int, err error) {
		f.t.Helper()
		var e *webhook.LimitError
		require.ErrorAs(f.t, err, &e, "what is beyond the quota is refused")
		require.Equal(f.t, webhook.LimitError{Limit: limit, Max: most}, *e)
	}
	quota := webhook.Quota{Subscriptions: 2, Channels: 4}
	first, second := hook(), hook("webhook", "slack")
	require.NoError(f.t, f.CreateSubscription(f.ctx, first, quota))
	full("channels", 4, f.CreateSubscription(f.ctx, hook("a", "b", "c", "d"), quota))
	require.NoError(f.t, f.CreateSubscription(f.ctx, second, quota))
	again := hook()
	again.ID = first.ID
	require.ErrorIs(f.t, f.CreateSubscription(f.ctx, again, quota), webhook.ErrExists,
		"a used id returns ErrExists, also when the quota is used up")
	refused := hook()
	full("webhooks", 2, f.CreateSubscription(f.ctx, refused, quota))
	require.Zero(f.t, refused.Revision, "an error leaves everything as it was: no revision is set")
	_, err := f.Subscription(f.ctx, org, refused.ID)
	require.ErrorIs(f.t, err, webhook.ErrNotFound,
		"an error leaves everything as it was: nothing is stored")
	stranger := hook()
	stranger.OrganizationID = other
	require.NoError(f.t, f.CreateSubscription(f.ctx, stranger, quota),
		"what another organization has does not count")

	grow := func(channels ...string) error {
		sub, err := f.Subscription(f.ctx, org, second.ID)
		require.NoError(f.t, err)
		sub.Channels = hook(channels...).Channels
		return f.UpdateSubscription(f.ctx, sub, quota)
	}
	require.NoError(f.t, grow("webhook", "slack", "email"))
	full("channels", 4, grow("webhook", "slack", "email", "sms"))
	got, err := f.Subscription(f.ctx, org, second.ID)
	require.NoError(f.t, err)
	require.Len(f.t, got.Channels, 3, "an error leaves everything as it was")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}))
	f.emit(start(), "evt_1")
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), 4,
		"an error leaves everything as it was: events go to what was there")
	quota = webhook.Quota{Subscriptions: 1, Channels: 1}
	require.NoError(f.t, grow("sms", "email", "slack"),
		"an update that adds no channels is made, whatever there is")
	require.NoError(f.t, grow("sms"))
	full("channels", 1, grow("sms", "email"))
	f.remove(first)
	require.NoError(f.t, f.DeleteSubscription(f.ctx, org, second.ID, 0))
	require.NoError(f.t, f.CreateSubscription(f.ctx, hook(), quota),
		"what is deleted no longer counts")
	require.NoError(f.t, f.CreateSubscription(f.ctx, hook(), webhook.Quota{}),
		"a quota of zero is none")
}

// concurrentQuota creates subscriptions in all views at once, and must not exceed the
// quota of them together.
func concurrentQuota(views ...*fixture) {
	const most = 5
	var created atomic.Int64
	inParallel(func(n int) {
		mine := views[n%len(views)]
		for range 3 {
			err := mine.CreateSubscription(mine.ctx, hook("webhook", "slack"),
				webhook.Quota{Subscriptions: most, Channels: 2*most + 1})
			if err == nil {
				created.Add(1)
				continue
			}
			assert.ErrorIs(mine.t, err, webhook.ErrLimit)
		}
	})
	n, err := views[0].CountSubscriptions(views[0].ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(views[0].t, err)
	require.Equal(views[0].t, most, n, "calls at the same time do not exceed the quota together")
	require.EqualValues(views[0].t, most, created.Load())
}
