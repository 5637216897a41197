package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/webhook"
)

func enqueueCases() []testCase {
	return []testCase{
		{"MakesDeliveries", enqueueMakesDeliveries},
		{"EveryChannel", everyChannel},
		{"Patterns", enqueuePatterns},
		{"WithoutSubscribers", withoutSubscribers},
		{"Idempotent", idempotent},
		{"SaysWhatBecameOfEach", saysWhatBecameOfEach},
		{"FirstOfEqualEvents", firstOfEqualEvents},
		{"IdempotentPerOrganization", idempotentPerOrganization},
		{"WebhookCreatedBefore", subscriptionCreatedBefore},
		{"FollowsUpdates", followsUpdates},
		{"Payloads", payloads},
		{"PayloadIsNotAliased", payloadIsNotAliased},
		{"Traces", traces},
		{"TimesToLive", timesToLive},
		{"LargePayload", largePayload},
		{"LargeBatch", largeBatch},
		{"NoEvents", noEvents},
	}
}

func enqueueMakesDeliveries(f *fixture) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	d := f.only()
	require.Positive(f.t, d.ID, "ids are positive")
	want := webhook.Delivery{
		ID: d.ID, OrganizationID: org, EventID: "evt_1", EventType: created,
		Endpoint: webhook.Endpoint{SubscriptionID: sub.ID, Channel: "webhook"},
		Status:   webhook.StatusPending, CreatedAt: start(), DueAt: start(),
	}
	f.requireDelivery(want, d)
}

// requireDelivery compares every field, with times as instants in UTC.
func (f *fixture) requireDelivery(want, got webhook.Delivery) {
	f.t.Helper()
	for name, at := range map[string][2]time.Time{
		"CreatedAt": {want.CreatedAt, got.CreatedAt},
		"DueAt":     {want.DueAt, got.DueAt},
		"SettledAt": {want.SettledAt, got.SettledAt},
		"ExpiresAt": {want.ExpiresAt, got.ExpiresAt},
	} {
		f.requireTime(at[0], at[1], name)
	}
	require.Len(f.t, got.Attempts, len(want.Attempts), "the history has every attempt")
	for i := range want.Attempts {
		a, b := want.Attempts[i], got.Attempts[i]
		f.requireTime(a.StartedAt, b.StartedAt, "StartedAt")
		a.StartedAt, b.StartedAt = time.Time{}, time.Time{}
		require.Equal(f.t, a, b, "the history has an attempt as it was reported, numbered from 1")
	}
	for _, d := range []*webhook.Delivery{&want, &got} {
		d.CreatedAt, d.DueAt, d.SettledAt, d.Attempts = time.Time{}, time.Time{}, time.Time{}, nil
	}
	require.Equal(f.t, want, got, "a delivery has every field")
}

// requireTime compares a time that the store kept.
func (f *fixture) requireTime(want, got time.Time, what string) {
	f.t.Helper()
	require.True(f.t, want.Equal(got), "%s is kept to the microsecond: want %s, got %s", what, want,
		got)
	_, offset := got.Zone()
	require.Zero(f.t, offset, "%s is in UTC, not %s", what, got)
}

func everyChannel(f *fixture) {
	sub := f.create(hook("webhook", "slack", "webhook", "webhook"))
	f.enqueue(start(), newEvents("evt", 2)...)
	perEvent := make(map[string][]string)
	for _, d := range f.list(webhook.DeliveryQuery{SubscriptionID: sub.ID}) {
		perEvent[d.EventID] = append(perEvent[d.EventID], d.Channel)
	}
	for _, id := range []string{"evt_0", "evt_1"} {
		require.ElementsMatch(f.t, []string{"webhook", "slack", "webhook#2", "webhook#3"}, perEvent[id],
			"an event gets one delivery for every channel of a subscription, under the keys of "+
				"Webhook.ChannelKeys")
	}
}

func enqueuePatterns(f *fixture) {
	patterns := [][]event.Pattern{{"*"}, {"object.*"}, {"object.created"},
		{"invoice.paid", "object.created"}, {"object.*", "*"}, {"collection.*"}}
	names := make(map[string]string)
	for _, p := range patterns {
		sub := hook()
		sub.EventTypes = p
		names[f.create(sub).ID] = fmt.Sprint(p)
	}
	for i, eventType := range []string{"object.created", "object.metadata.updated",
		"objects.created.batch", "invoice.paid", "collection.documents.written", "object"} {
		e := newEvent(fmt.Sprintf("evt_%d", i))
		e.Type = eventType
		f.enqueue(start(), e)
		var got, want []string
		for _, d := range f.list(webhook.DeliveryQuery{EventID: e.ID}) {
			got = append(got, names[d.SubscriptionID])
			require.Equal(f.t, eventType, d.EventType)
		}
		for _, p := range patterns {
			if (&webhook.Subscription{EventTypes: p}).Matches(eventType) {
				want = append(want, fmt.Sprint(p))
			}
		}
		require.ElementsMatch(f.t, want, got,
			"%s goes to the subscriptions with a pattern that matches, once each", eventType)
	}
}

func withoutSubscribers(f *fixture) {
	f.emit(start(), "evt_1")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}),
		"an event without subscriptions has no deliveries")
	payload, err := f.EventPayload(f.ctx, org, "evt_1")
	require.NoError(f.t, err, "an event without subscriptions is stored")
	require.JSONEq(f.t, `{"event_id":"evt_1"}`, string(payload))

	f.create(hook())
	f.emit(start().Add(time.Second), "evt_1")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}),
		"an event that is stored already is passed over, even if it would match now")
}

func idempotent(f *fixture) {
	f.create(hook())
	first := newEvent("evt_1")
	second := newEvent("evt_1")
	second.Type, second.Payload = "object.deleted", []byte(`{"second":true}`)
	f.enqueue(start(), first, second, newEvent("evt_2"), first)
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), 2,
		"an event that stands earlier in the same call is passed over")

	f.enqueue(start().Add(time.Hour), newEvent("evt_3"), second, newEvent("evt_2"))
	all := f.list(webhook.DeliveryQuery{})
	require.Len(f.t, all, 3,
		"an event that is stored already is passed over, new ones in the same call are stored")
	ones := f.list(webhook.DeliveryQuery{EventID: "evt_1"})
	require.Len(f.t, ones, 1)
	require.Equal(f.t, created, ones[0].EventType, "the event that came first stays")
	f.requireTime(start(), ones[0].CreatedAt, "CreatedAt")
	payload, err := f.EventPayload(f.ctx, org, "evt_1")
	require.NoError(f.t, err)
	require.Equal(f.t, first.Payload, payload, "the payload that came first stays")

	prefetch := &webhook.Prefetch{Until: start().Add(lease),
		Take: func(string, webhook.Endpoint) bool { return true }}
	tasks, err := tasksOf(f.Enqueue(f.ctx, start(),
		[]webhook.NewEvent{first, newEvent("evt_4"), newEvent("evt_4")}, prefetch))
	require.NoError(f.t, err)
	require.Len(f.t, tasks, 1, "an event that is passed over is not prefetched")
	require.Equal(f.t, "evt_4", tasks[0].EventID)
}

// saysWhatBecameOfEach looks at the results, without a prefetch and with one.
func saysWhatBecameOfEach(f *fixture) {
	two, paused := hook("webhook", "slack"), hook()
	two.EventTypes, paused.EventTypes = []event.Pattern{"object.*"}, []event.Pattern{created}
	paused.Paused = true
	f.create(two)
	f.create(paused)
	f.emit(start(), "evt_0")
	for i, prefetch := range []*webhook.Prefetch{nil, {Until: start().Add(lease), Take: always}} {
		mine, alone := newEvent(fmt.Sprint("mine_", i)), newEvent(fmt.Sprint("alone_", i))
		alone.Type = "invoice.paid"
		theirs := newEvent("evt_0")
		theirs.OrganizationID = other
		if i > 0 {
			theirs.ID = "evt_00"
		}
		enqueued, err := f.Enqueue(f.ctx, start(),
			[]webhook.NewEvent{mine, newEvent("evt_0"), alone, mine, theirs}, prefetch)
		require.NoError(f.t, err)
		require.Equal(f.t, []webhook.Emitted{
			{EventID: mine.ID, Deliveries: 3},
			{EventID: "evt_0", Duplicate: true},
			{EventID: alone.ID},
			{EventID: mine.ID, Duplicate: true},
			{EventID: theirs.ID},
		}, enqueued.Events, "each event has its result, in the order of the call")
	}
}

// firstOfEqualEvents has so many events that an unstable order would show.
func firstOfEqualEvents(f *fixture) {
	f.create(hook())
	const different = 5
	events := make([]webhook.NewEvent, 40*different)
	for i := range events {
		events[i] = newEvent(fmt.Sprint("evt_", i%different))
		events[i].Payload = fmt.Appendf(nil, `{"n":%d}`, i)
	}
	enqueued, err := f.Enqueue(f.ctx, start(), events, nil)
	require.NoError(f.t, err)
	for i, e := range enqueued.Events {
		require.Equal(f.t, i >= different, e.Duplicate, "of equal events the first is stored: %d", i)
	}
	for i := range different {
		payload, err := f.EventPayload(f.ctx, org, events[i].ID)
		require.NoError(f.t, err)
		require.Equal(f.t, string(events[i].Payload), string(payload))
	}
}

func idempotentPerOrganization(f *fixture) {
	f.create(hook())
	theirs := hook()
	theirs.OrganizationID = other
	f.create(theirs)
	mine, their := newEvent("evt_1"), newEvent("evt_1")
	their.OrganizationID, their.Payload = other, []byte(`{"their":1}`)
	f.enqueue(start(), mine, their, their)
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), 1)
	require.Len(f.t, f.list(webhook.DeliveryQuery{OrganizationID: other}), 1,
		"an event is identified by organization and id: two organizations may use the same id")
	for organization, want := range map[string][]byte{org: mine.Payload, other: their.Payload} {
		got, err := f.EventPayload(f.ctx, organization, "evt_1")
		require.NoError(f.t, err)
		require.Equal(f.t, want, got, "every organization has its own event")
	}
	for _, task := range f.claim(start(), 10) {
		want := mine.Payload
		if task.OrganizationID == other {
			want = their.Payload
		}
		require.Equal(f.t, want, task.Payload, "every organization gets its own payload")
	}
}

func subscriptionCreatedBefore(f *fixture) {
	for i := range 5 {
		id := fmt.Sprintf("evt_%d", i)
		f.emit(start(), id+"_warm") // lets a store remember which subscriptions matched
		f.create(hook())
		f.emit(start(), id)
		require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: id}), i+1,
			"a subscription that was created before Enqueue began is matched")
	}
}

func followsUpdates(f *fixture) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	f.update(sub, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"invoice.*"} })
	f.emit(start(), "evt_2")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_2"}),
		"an update that removed the event type counts at once")
	f.update(sub, func(sub *webhook.Subscription) {
		sub.EventTypes = []event.Pattern{"*"}
		sub.Channels = append(sub.Channels,
			webhook.ChannelConfig{Channel: "slack", Configs: []byte(`{}`)})
	})
	f.emit(start(), "evt_3")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_3"}), 2,
		"an update that added a channel counts at once")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_1"}), 1,
		"an update adds no delivery to earlier events")
}

func payloads(f *fixture) {
	f.create(hook())
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	for name, payload := range map[string][]byte{
		"white space":    []byte("{ \"a\" :\t1 ,\r\n \"b\": 2 }\n"),
		"field order":    []byte(`{"z":1,"a":2,"z":3}`),
		"numbers":        []byte(`{"n":12345678901234567890.100,"e":1e400,"z":-0}`),
		"escapes":        []byte(`{"s":"\u0000 \u003c <&> \ud83d\ude9a 🚚 \\ \" '"}`),
		"every byte":     everyByte,
		"single quote":   []byte(`'); DROP TABLE deliveries; --`),
		"looks like hex": []byte(`\x00ff`),
	} {
		e := newEvent("evt " + name)
		e.Payload = payload
		f.enqueue(start(), e)
		got, err := f.EventPayload(f.ctx, org, e.ID)
		require.NoError(f.t, err)
		require.Equal(f.t, payload, got, "a payload is kept byte for byte (%s)", name)
		require.Equal(f.t, payload, f.claimOne(start()).Payload,
			"a task has the payload byte for byte (%s)", name)
	}
}

func payloadIsNotAliased(f *fixture) {
	f.create(hook())
	e := newEvent("evt_1")
	want := bytes.Clone(e.Payload)
	f.enqueue(start(), e)
	got, err := f.EventPayload(f.ctx, org, "evt_1")
	require.NoError(f.t, err)
	require.Equal(f.t, want, got)
	copy(got, "YYYYYYYY")
	require.Equal(f.t, want, f.claimOne(start()).Payload,
		"changing what EventPayload returned must not reach into the store")
}

// traced returns an event with a trace.
func traced(id string, trace tracecontext.Context) webhook.NewEvent {
	e := newEvent(id)
	e.Trace = trace
	return e
}

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func traces(f *fixture) {
	f.create(hook())
	const rule = "a task has the trace of its event, which another one does not get"
	for name, trace := range map[string]tracecontext.Context{
		"none":    {},
		"parent":  {Parent: traceparent},
		"baggage": {Baggage: "a=b"},
		"all": {Parent: traceparent, State: "vendor=<&'>\"\\\\",
			Baggage: "user=a%20b;c, d = '&<>'"},
		"longest": {Parent: traceparent, State: "s=" + strings.Repeat("v", 256),
			Baggage: "b=" + strings.Repeat("v", 8190)},
	} {
		require.Equal(f.t, trace, trace.Clean(), name)
		f.enqueue(start(), newEvent(name+" before"), traced(name, trace), newEvent(name+" after"))
		for _, task := range f.claimN(start(), 3) {
			want := tracecontext.Context{}
			if task.EventID == name {
				want = trace
			}
			require.Equal(f.t, want, task.Trace, rule)
			f.settle(start(), succeeded(task, start()))
		}
	}

	trace := tracecontext.Context{Parent: traceparent, State: "a=b", Baggage: "c=d"}
	tasks := f.prefetch(start(), always, traced("evt_1", trace), newEvent("evt_2"))
	tasks = append(tasks, f.claim(start(), 2)...)
	require.Len(f.t, tasks, 2)
	for _, task := range tasks {
		want := tracecontext.Context{}
		if task.EventID == "evt_1" {
			want = trace
		}
		require.Equal(f.t, want, task.Trace, "a delivery that is prefetched has it too")
	}
	task := tasks[slices.IndexFunc(tasks, func(t webhook.Task) bool { return t.EventID == "evt_1" })]
	f.settle(start(), retry(task, start(), start().Add(time.Second)))
	task = f.claimOne(start().Add(time.Second))
	require.Equal(f.t, trace, task.Trace, "a retry keeps the trace")
	f.settle(start().Add(time.Second), died(task, start().Add(time.Second)))
	require.NoError(f.t, f.Replay(f.ctx, start().Add(2*time.Second), org, task.DeliveryID))
	require.Equal(f.t, trace, f.claimOne(start().Add(2*time.Second)).Trace,
		"a replay keeps the trace")
}

func timesToLive(f *fixture) {
	f.create(hook())
	const ttl = time.Minute + tick
	const rule = "a task has the time to live of its event, counted from QueuedAt"
	short := newEvent("evt_short")
	short.TTL = ttl
	tasks := f.prefetch(start(), always, short, newEvent("evt_1"))
	short.ID = "evt_claimed"
	f.enqueue(start(), newEvent("evt_2"), short)
	tasks = append(tasks, f.claim(start(), 4)...)
	require.Len(f.t, tasks, 4)
	for _, task := range tasks {
		want := time.Time{}
		if task.EventID == "evt_short" || task.EventID == "evt_claimed" {
			want = start().Add(ttl)
		}
		f.requireTime(want, task.ExpiresAt, rule)
		f.requireTime(want, f.get(task.DeliveryID).ExpiresAt, "a Delivery has it too")
		if task.EventID != "evt_short" {
			f.settle(start(), succeeded(task, start()))
		}
	}
	task := tasks[slices.IndexFunc(tasks, func(t webhook.Task) bool { return t.EventID == "evt_short" })]
	f.settle(start(), retry(task, start(), start().Add(2*ttl)))
	task = f.claimOne(start().Add(2 * ttl))
	f.requireTime(start().Add(ttl), task.ExpiresAt, "a retry does not begin it again")
	f.settle(start().Add(2*ttl), died(task, start().Add(2*ttl)))
	f.requireTime(start().Add(ttl), f.get(task.DeliveryID).ExpiresAt, "a dead delivery keeps it")
	require.NoError(f.t, f.Replay(f.ctx, start().Add(3*ttl), org, task.DeliveryID))
	f.requireTime(start().Add(4*ttl), f.get(task.DeliveryID).ExpiresAt, "a replay begins it again")
	f.requireTime(start().Add(4*ttl), f.claimOne(start().Add(3*ttl)).ExpiresAt,
		"a replay begins it again")
}

func largePayload(f *fixture) {
	f.create(hook("webhook", "slack"))
	e := newEvent("evt_1")
	e.Payload = slices.Concat([]byte(`{"s":"`), bytes.Repeat([]byte("0123456789abcdef"), 1<<16),
		[]byte(`"}`))
	f.enqueue(start(), e)
	tasks := f.claim(start(), 10)
	require.Len(f.t, tasks, 2)
	for _, task := range tasks {
		require.True(f.t, bytes.Equal(e.Payload, task.Payload),
			"a payload of a mebibyte is kept byte for byte")
	}
}

func largeBatch(f *fixture) {
	f.create(hook())
	f.create(hook("slack", "email"))
	const n = 2_000
	f.enqueue(start(), newEvents("evt", n)...)
	seen := make(map[webhook.DeliveryID]bool)
	for cursor := webhook.DeliveryID(0); ; {
		page := f.list(webhook.DeliveryQuery{Before: cursor, Limit: 1_000})
		for _, d := range page {
			require.False(f.t, seen[d.ID], "a page has only ids below the cursor")
			seen[d.ID] = true
		}
		if len(page) < 1_000 {
			break
		}
		cursor = page[len(page)-1].ID
	}
	require.Len(f.t, seen, 3*n,
		"one call may carry thousands of events: every one of them has its deliveries")
}

func noEvents(f *fixture) {
	f.create(hook())
	enqueued, err := f.Enqueue(f.ctx, start(), nil, nil)
	require.NoError(f.t, err, "enqueuing nothing does nothing")
	require.Empty(f.t, enqueued.Events)
	require.Empty(f.t, enqueued.Tasks)
	_, err = f.Extend(f.ctx, start(), nil)
	require.NoError(f.t, err, "extending nothing does nothing")
	_, err = f.Settle(f.ctx, start(), nil)
	require.NoError(f.t, err, "settling nothing does nothing")
}

func prefetchCases() []testCase {
	return []testCase{
		{"AcceptedIsInFlight", acceptedIsInFlight},
		{"RefusedIsPending", refusedIsPending},
		{"Paused", pausedIsNotPrefetched},
		{"LeaseExpires", prefetchedLeaseExpires},
		{"AsksForEachDelivery", asksForEachDelivery},
	}
}

// prefetch enqueues with a Prefetch. A store may ignore it: then it returns no
// tasks, and the deliveries are pending.
func (f *fixture) prefetch(
	now time.Time, take func(string, webhook.Endpoint) bool, events ...webhook.NewEvent,
) []webhook.Task {
	f.t.Helper()
	tasks, err := tasksOf(enqueueAll(f.ctx, f.Store, now, events,
		&webhook.Prefetch{Until: now.Add(lease), Take: take}))
	require.NoError(f.t, err, "enqueuing with a prefetch")
	return tasks
}

func always(string, webhook.Endpoint) bool { return true }
func never(string, webhook.Endpoint) bool  { return false }

func acceptedIsInFlight(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	tasks := f.prefetch(start(), always, newEvent("evt_1"))
	prefetched := make(map[webhook.DeliveryID]bool)
	for _, task := range tasks {
		prefetched[task.DeliveryID] = true
		f.requireFresh(task, sub, newEvent("evt_1"), start())
	}
	require.Len(f.t, prefetched, len(tasks), "a delivery is handed out once")
	all := f.list(webhook.DeliveryQuery{})
	require.Len(f.t, all, 2)
	for _, d := range all {
		want := webhook.StatusPending
		if prefetched[d.ID] {
			want = webhook.StatusInFlight
		}
		require.Equal(f.t, want, d.Status,
			"what Enqueue returned as a task is in flight, everything else is pending")
	}
	for _, task := range f.claim(start(), 10) {
		require.False(f.t, prefetched[task.DeliveryID],
			"what Enqueue returned as a task is leased, and not claimed as well")
		tasks = append(tasks, task)
	}
	require.Len(f.t, tasks, 2, "every delivery is either prefetched or left to be claimed")
	for _, task := range tasks {
		f.settle(start(), succeeded(task, start()))
	}
}

// requireFresh checks a task for a delivery that was never attempted.
func (f *fixture) requireFresh(
	task webhook.Task, sub *webhook.Subscription, e webhook.NewEvent, queuedAt time.Time,
) {
	f.t.Helper()
	require.Positive(f.t, task.DeliveryID, "a task has its delivery's id")
	require.Positive(f.t, task.Token, "a token grows with every claim, from 1 or more")
	f.requireTime(queuedAt.Add(lease), task.Until, "Until")
	f.requireTime(queuedAt, task.QueuedAt, "QueuedAt")
	f.requireTime(queuedAt, task.DueAt, "DueAt")
	require.Equal(f.t, sub.ID, task.Endpoint.SubscriptionID)
	require.Contains(f.t, sub.ChannelKeys(), task.Endpoint.Channel, "a task names the channel's key")
	require.Equal(f.t, sub.OrganizationID, task.OrganizationID)
	require.Equal(f.t, sub.Revision, task.Revision, "a task has the subscription's revision")
	require.Equal(f.t, e.ID, task.EventID)
	require.Equal(f.t, e.Type, task.EventType)
	require.Equal(f.t, e.Payload, task.Payload, "a task has the payload")
	require.Zero(f.t, task.Attempts, "no attempt was made")
	require.Zero(f.t, task.AttemptsSinceQueued, "no attempt was made")
	require.Nil(f.t, task.Progress, "nothing left progress")
}

func refusedIsPending(f *fixture) {
	f.create(hook("webhook", "slack"))
	require.Empty(f.t, f.prefetch(start(), never, newEvent("evt_1")),
		"what is not accepted is not handed out")
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.Equal(f.t, webhook.StatusPending, d.Status, "what is not accepted is pending")
	}
	onlySlack := func(_ string, e webhook.Endpoint) bool { return e.Channel == "slack" }
	for _, task := range f.prefetch(start(), onlySlack, newEvent("evt_2")) {
		require.Equal(f.t, "slack", task.Endpoint.Channel,
			"Take is asked about the delivery's own endpoint")
		f.settle(start(), succeeded(task, start()))
	}
	for _, task := range f.claim(start(), 10) {
		f.settle(start(), succeeded(task, start()))
	}
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusSucceeded}), 4,
		"what is not accepted is due at once")
}

func pausedIsNotPrefetched(f *fixture) {
	sub := f.create(hook())
	for _, task := range f.prefetch(start(), always,
		newEvent("evt_1")) { // the store may remember which subscriptions matched
		f.settle(start(), succeeded(task, start()))
	}
	f.setPaused(sub, true)
	refuse := func(string, webhook.Endpoint) bool {
		f.t.Error("deliveries of paused subscriptions are never prefetched: Take must not be asked")
		return true
	}
	require.Empty(f.t, f.prefetch(start(), refuse, newEvent("evt_2")),
		"deliveries of paused subscriptions are never prefetched")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_2", Status: webhook.StatusPaused}), 1,
		"an event for a paused subscription is kept, and its delivery is paused")
}

func prefetchedLeaseExpires(f *fixture) {
	f.create(hook())
	tasks := f.prefetch(start(), always, newEvent("evt_1"))
	if len(tasks) == 0 {
		tasks = f.claimN(start(), 1)
	}
	again := f.claimOne(start().Add(lease))
	require.Equal(f.t, tasks[0].DeliveryID, again.DeliveryID)
	require.Greater(f.t, again.Token, tasks[0].Token,
		"a prefetched lease ends like any other, and the token grows")
	f.refuse(start().Add(lease), succeeded(tasks[0], start()),
		"a result from before the take-over is stale")
	f.settle(start().Add(lease), succeeded(again, start()))
}

func asksForEachDelivery(f *fixture) {
	f.create(hook("webhook", "slack"))
	asked := make(map[webhook.Endpoint]int)
	take := func(organizationID string, e webhook.Endpoint) bool {
		require.Equal(f.t, org, organizationID, "Take is told whose delivery it is")
		asked[e]++
		return asked[e] <= 3
	}
	tasks := f.prefetch(start(), take, newEvents("evt", 5)...)
	taken := make(map[webhook.Endpoint]int)
	for _, task := range tasks {
		taken[task.Endpoint]++
	}
	for endpoint, n := range asked {
		require.LessOrEqual(f.t, n, 5, "Take is asked once for each delivery")
		require.Equal(f.t, min(n, 3), taken[endpoint],
			"every delivery that Take took is handed out, and none besides")
	}
	require.Len(f.t, f.claim(start(), 100), 10-len(tasks), "what Take did not take is due at once")
}
