package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

const (
	org   = "org_a"
	other = "org_b"

	created = "object.created"
	tick    = time.Microsecond
	lease   = time.Minute
	many    = 1_000_000
)

// start returns the time at which every case begins. It has microseconds, which a store must keep.
func start() time.Time { return time.Date(2025, 10, 8, 16, 9, 0, 123_456_000, time.UTC) }

// hook makes an active subscription of org for all events, with one channel unless
// more are named.
func hook(channels ...string) *webhook.Subscription {
	if len(channels) == 0 {
		channels = []string{"webhook"}
	}
	sub := &webhook.Subscription{
		ID:             webhook.NewID(),
		Name:           "Orders",
		EventTypes:     []event.Pattern{event.MatchAll},
		CreatedAt:      start(),
		UpdatedAt:      start(),
		OrganizationID: org,
	}
	for i, name := range channels {
		config := fmt.Sprintf(`{"url":"https://example.com/hooks/%d"}`, i)
		sub.Channels = append(sub.Channels,
			webhook.ChannelConfig{Channel: name, Configs: json.RawMessage(config)})
	}
	return sub
}

// newEvent makes an event of org.
func newEvent(id string) webhook.NewEvent {
	return webhook.NewEvent{
		OrganizationID: org,
		ID:             id,
		Type:           created,
		Payload:        []byte(`{"event_id":"` + id + `"}`),
	}
}

func newEvents(prefix string, n int) []webhook.NewEvent {
	events := make([]webhook.NewEvent, n)
	for i := range events {
		events[i] = newEvent(fmt.Sprintf("%s_%d", prefix, i))
	}
	return events
}

// create stores a subscription and returns it.
func (f *fixture) create(sub *webhook.Subscription) *webhook.Subscription {
	f.t.Helper()
	require.NoError(f.t, f.CreateSubscription(f.ctx, sub, webhook.Quota{}), "creating a subscription")
	return sub
}

// update changes the stored subscription.
func (f *fixture) update(
	sub *webhook.Subscription, change func(*webhook.Subscription),
) *webhook.Subscription {
	f.t.Helper()
	current, err := f.Subscription(f.ctx, sub.OrganizationID, sub.ID)
	require.NoError(f.t, err, "reading a subscription")
	change(current)
	require.NoError(f.t, f.UpdateSubscription(f.ctx, current, webhook.Quota{}),
		"updating a subscription that was not changed meanwhile")
	return current
}

func (f *fixture) setPaused(sub *webhook.Subscription, paused bool) {
	f.t.Helper()
	f.update(sub, func(sub *webhook.Subscription) { sub.Paused = paused })
}

func (f *fixture) remove(sub *webhook.Subscription) {
	f.t.Helper()
	require.NoError(f.t, f.DeleteSubscription(f.ctx, sub.OrganizationID, sub.ID, 0),
		"deleting a subscription")
}

// enqueue stores events without a prefetch.
func (f *fixture) enqueue(now time.Time, events ...webhook.NewEvent) {
	f.t.Helper()
	tasks, err := tasksOf(enqueueAll(f.ctx, f.Store, now, events, nil))
	require.NoError(f.t, err, "enqueuing events")
	require.Empty(f.t, tasks, "without a prefetch, Enqueue must not hand out tasks")
}

// enqueueAll stores events and all of their deliveries.
func enqueueAll(
	ctx context.Context, s webhook.Store, now time.Time, events []webhook.NewEvent,
	prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	enqueued, err := s.Enqueue(ctx, now, events, prefetch)
	var left []webhook.NewEvent
	for i := range enqueued.Events {
		if enqueued.Events[i].Unfinished {
			left = append(left, events[i])
		}
		enqueued.Events[i].Unfinished = false
	}
	for len(left) > 0 && err == nil {
		var finished int
		var tasks []webhook.Task
		finished, tasks, err = s.FanOut(ctx, now, left, prefetch)
		left = left[finished:]
		enqueued.Tasks = append(enqueued.Tasks, tasks...)
	}
	return enqueued, err
}

// tasksOf and errorOf take one of the results of Enqueue and EnqueueTx.
func tasksOf(e webhook.Enqueued, err error) ([]webhook.Task, error) { return e.Tasks, err }

func errorOf[T any](_ T, err error) error { return err }

// emit stores one event of org under the id.
func (f *fixture) emit(now time.Time, id string) {
	f.t.Helper()
	f.enqueue(now, newEvent(id))
}

// claim takes up to limit deliveries, whatever their endpoints.
func (f *fixture) claim(now time.Time, limit int) []webhook.Task {
	f.t.Helper()
	return f.claimWith(now, webhook.ClaimRequest{Limit: limit, PerEndpoint: limit})
}

// claimWith claims with leases of the usual length unless r says otherwise.
func (f *fixture) claimWith(now time.Time, r webhook.ClaimRequest) []webhook.Task {
	f.t.Helper()
	if r.Until.IsZero() {
		r.Until = now.Add(lease)
	}
	tasks, err := f.Claim(f.ctx, now, r)
	require.NoError(f.t, err, "claiming")
	require.LessOrEqual(f.t, len(tasks), r.Limit, "Claim must not return more than Limit tasks")
	return tasks
}

// claimN claims n deliveries. At least n must be due.
func (f *fixture) claimN(now time.Time, n int) []webhook.Task {
	f.t.Helper()
	tasks := f.claim(now, n)
	require.Len(f.t, tasks, n,
		"at least %d deliveries are due at %s, and a claim takes as many as it may", n, now)
	return tasks
}

// claimOne takes the only delivery that is due.
func (f *fixture) claimOne(now time.Time) webhook.Task {
	f.t.Helper()
	tasks := f.claim(now, 10)
	require.Len(f.t, tasks, 1, "exactly one delivery is due at %s", now)
	return tasks[0]
}

// sortedIDs returns the ids of the deliveries that tasks are for, ascending.
func sortedIDs(tasks []webhook.Task) []webhook.DeliveryID {
	ids := make([]webhook.DeliveryID, len(tasks))
	for i, task := range tasks {
		ids[i] = task.DeliveryID
	}
	slices.Sort(ids)
	return ids
}

// requireNothingDue fails if a claim finds something.
func (f *fixture) requireNothingDue(now time.Time, rule string) {
	f.t.Helper()
	require.Empty(f.t, f.claim(now, 100), rule)
}

// settle records results that must be accepted.
func (f *fixture) settle(now time.Time, settlements ...webhook.Settlement) {
	f.t.Helper()
	refused, err := f.Settle(f.ctx, now, settlements)
	require.NoError(f.t, err, "settling")
	require.Empty(f.t, refused,
		"a result with the latest token of a delivery in flight must be accepted")
}

// refuse records a result that must be refused.
func (f *fixture) refuse(now time.Time, s webhook.Settlement, rule string) {
	f.t.Helper()
	refused, err := f.Settle(f.ctx, now, []webhook.Settlement{s})
	require.NoError(f.t, err, "a refused result is not an error")
	require.Equal(f.t, []webhook.Lease{s.Lease}, refused, rule)
}

// only returns the only delivery of org.
func (f *fixture) only() webhook.Delivery {
	f.t.Helper()
	all := f.list(webhook.DeliveryQuery{})
	require.Len(f.t, all, 1, "exactly one delivery exists")
	return all[0]
}

// get returns a delivery of org.
func (f *fixture) get(id webhook.DeliveryID) webhook.Delivery {
	f.t.Helper()
	d, err := f.Delivery(f.ctx, org, id)
	require.NoError(f.t, err, "reading %s", id)
	return *d
}

// list queries deliveries of org, unless the query names an organization.
func (f *fixture) list(q webhook.DeliveryQuery) []webhook.Delivery {
	f.t.Helper()
	if q.OrganizationID == "" {
		q.OrganizationID = org
	}
	all, err := f.Deliveries(f.ctx, q)
	require.NoError(f.t, err, "querying deliveries")
	return all
}

// status returns what a delivery of org reports.
func (f *fixture) status(id webhook.DeliveryID) webhook.Status {
	f.t.Helper()
	return f.get(id).Status
}

// prune removes all that is older than the two times.
func (f *fixture) prune(now, succeededBefore, deadBefore time.Time) int {
	f.t.Helper()
	n, err := f.Prune(f.ctx, now, webhook.PruneRequest{
		SucceededBefore: succeededBefore, DeadBefore: deadBefore, Limit: many,
	})
	require.NoError(f.t, err, "pruning")
	return n
}

// attempt is what a channel reports: a failure, or a success with class "".
func attempt(at time.Time, class string) *webhook.Attempt {
	a := &webhook.Attempt{StartedAt: at, Duration: 12345 * time.Microsecond, StatusCode: 204}
	if class != "" {
		a.StatusCode, a.Class, a.Error, a.Response = 503, class, "the endpoint answered 503", "try later"
	}
	return a
}

// The three results.

func succeeded(task webhook.Task, at time.Time) webhook.Settlement {
	return webhook.Settlement{Lease: task.Lease, Status: webhook.StatusSucceeded,
		Attempt: attempt(at, "")}
}

func died(task webhook.Task, at time.Time) webhook.Settlement {
	return webhook.Settlement{Lease: task.Lease, Status: webhook.StatusDead,
		Attempt: attempt(at, "status")}
}

func retry(task webhook.Task, at, due time.Time) webhook.Settlement {
	return webhook.Settlement{Lease: task.Lease, Status: webhook.StatusPending, DueAt: due,
		Attempt: attempt(at, "status")}
}

// requeued returns a delivery as it was.
func requeued(task webhook.Task) webhook.Settlement {
	return webhook.Settlement{Lease: task.Lease, Status: webhook.StatusPending, DueAt: task.DueAt}
}

// requireSameJSON compares JSON with the order of its fields and the spelling
// of its numbers, but without its white space and escapes.
func (f *fixture) requireSameJSON(want, got []byte, rule string) {
	f.t.Helper()
	require.Equal(f.t, jsonTokens(want), jsonTokens(got), rule)
}

func jsonTokens(raw []byte) []json.Token {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var tokens []json.Token
	for {
		token, err := decoder.Token()
		if err != nil {
			return tokens
		}
		tokens = append(tokens, token)
	}
}
