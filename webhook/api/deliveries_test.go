package api_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// collect reads a client's sequence to its end.
func collect[T any](t *testing.T, seq func(func(T, error) bool)) []T {
	t.Helper()
	var list []T
	for v, err := range seq {
		require.NoError(t, err)
		list = append(list, v)
	}
	return list
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		c, ctx := f.client(orgA), t.Context()
		good, err := c.Create(ctx, sinkSubscription("good", `{}`))
		require.NoError(t, err)
		bad, err := c.Create(ctx, sinkSubscription("bad", `{"fail": "rejected"}`))
		require.NoError(t, err)
		f.emit(orgA, 150)
		middle := time.Now()
		time.Sleep(time.Minute)
		f.emit(orgA, 5)

		all := collect(t, c.Deliveries(ctx, "", client.DeliveryFilter{}))
		assert.Len(t, all, 2*155)
		for i := range all[1:] {
			require.Less(t, all[i+1].ID, all[i].ID, "the newest first, none twice")
		}
		assert.Len(t, collect(t, c.Deliveries(ctx, good.ID, client.DeliveryFilter{})), 155)
		assert.Len(t, collect(t, c.Deliveries(ctx, "",
			client.DeliveryFilter{Status: webhook.StatusDead})), 155)
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID,
			client.DeliveryFilter{Since: middle.Add(time.Second)})), 5)
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID,
			client.DeliveryFilter{Until: middle.Add(time.Second)})), 150)
		assert.Empty(t, collect(t, c.Deliveries(ctx, bad.ID,
			client.DeliveryFilter{EventType: "object.deleted"})))
		assert.Len(t, collect(t, c.Deliveries(ctx, "", client.DeliveryFilter{EventID: all[0].EventID})),
			2)

		dead := collect(t, c.Deliveries(ctx, bad.ID, client.DeliveryFilter{}))[0]
		one, err := c.Delivery(ctx, bad.ID, dead.ID)
		require.NoError(t, err)
		assert.Equal(t, &api.Delivery{Delivery: *dead}, one)
		require.Len(t, one.Attempts, 1)
		assert.Equal(t, "rejected", one.Attempts[0].Class)
		assert.Equal(t, "it failed", one.Attempts[0].Error)
		assert.Equal(t, "no", one.Attempts[0].Response)
		e, err := c.Event(ctx, bad.ID, dead.ID)
		require.NoError(t, err)
		assert.Equal(t, dead.EventID, e.ID)

		_, err = c.Delivery(ctx, good.ID, dead.ID)
		require.ErrorIs(t, err, webhook.ErrNotFound, "a delivery of another webhook")
		require.NoError(t, c.Delete(ctx, bad.ID))
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID, client.DeliveryFilter{})), 155,
			"history outlives the webhook")
	})
}

// The envelope is answered byte by byte as it was emitted.
func TestEventIsNotRewritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("w", `{}`))
		require.NoError(t, err)
		e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "i<1>"})
		e.Namespace, e.OrganizationID = "acme", orgA
		require.NoError(t, errorOf(f.dispatcher.Emit(t.Context(), e)))
		stored, err := f.store.EventPayload(t.Context(), orgA, e.ID)
		require.NoError(t, err)
		a := f.do("GET", prefix+"/"+sub.ID+"/deliveries/dlv_1/event", "")
		assert.Equal(t, string(stored)+"\n", string(a.Body))
		assert.Contains(t, string(a.Body), "i<1>")
	})
}

func TestDeliveryQueryProblems(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(plainSubscription)
	assert.ElementsMatch(t, []string{"query.status: enum", "query.limit: value_error",
		"query.since: datetime_parsing",
		"query.until: datetime_parsing", "query.cursor: value_error", "query.statuss: extra_forbidden"},
		f.do("GET", prefix+"/"+id+"/deliveries?status=lost&limit=0&since=x&until=y&cursor=z&statuss=dead",
			"").problems())
	assert.Equal(t, "NotFoundError", f.do("GET",
		prefix+"/wh_0123456789abcdef/deliveries", "").errorType(http.StatusNotFound))
	for _, bad := range []string{"1", "dlv_0", "dlv_99", "x"} {
		assert.Equal(t, "NotFoundError",
			f.do("GET", prefix+"/"+id+"/deliveries/"+bad, "").errorType(http.StatusNotFound))
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{}`))
		require.NoError(t, err)
		f.emit(orgA, 1) // nothing runs: it stays pending
		d, err := c.Cancel(ctx, sub.ID, 1)
		require.NoError(t, err)
		assert.Equal(t, webhook.StatusCancelled, d.Status)
		_, err = c.Cancel(ctx, sub.ID, 1)
		require.ErrorIs(t, err, webhook.ErrWrongStatus)
		var answer *client.Error
		require.ErrorAs(t, err, &answer)
		assert.Equal(t, "cancelled", answer.Details["status"])
	})
}

func TestSkip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		c, ctx := f.client(orgA), t.Context()
		held := f.holdSubject()
		f.emit(orgA, 1)
		d, err := c.Delivery(ctx, held.SubscriptionID, held.ID)
		require.NoError(t, err)
		assert.True(t, d.Holds)
		next, err := c.Delivery(ctx, held.SubscriptionID, held.ID+1)
		require.NoError(t, err)
		assert.Equal(t, held.ID, next.WaitsFor)
		assert.Zero(t, next.DueAt)
		d, err = c.Skip(ctx, held.SubscriptionID, held.ID)
		require.NoError(t, err)
		assert.Equal(t, webhook.StatusDead, d.Status)
		assert.False(t, d.Holds)
		next, err = c.Delivery(ctx, held.SubscriptionID, held.ID+1)
		require.NoError(t, err)
		assert.Zero(t, next.WaitsFor)
		_, err = c.Skip(ctx, held.SubscriptionID, held.ID)
		require.ErrorIs(t, err, webhook.ErrWrongStatus)
		_, err = c.Skip(ctx, held.SubscriptionID, 1000)
		require.ErrorIs(t, err, webhook.ErrNotFound)
	})
}

func TestReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{"fail": "rejected"}`))
		require.NoError(t, err)
		f.emit(orgA, 1)

		replay := func(key string) (*api.Delivery, error) {
			d, err := c.Replay(ctx, sub.ID, 1, client.WithIdempotencyKey(key))
			synctest.Wait()
			return d, err
		}
		attempts := func() int {
			d, err := c.Delivery(ctx, sub.ID, 1)
			require.NoError(t, err)
			return len(d.Attempts)
		}
		d, err := replay("a")
		require.NoError(t, err)
		assert.Equal(t, webhook.StatusPending, d.Status)
		assert.Equal(t, 2, attempts())
		d, err = replay("a")
		require.NoError(t, err)
		assert.Equal(t, webhook.StatusDead, d.Status, "as it is now")
		assert.Equal(t, 2, attempts(), "a repetition replays nothing")
		_, err = replay("b")
		require.NoError(t, err)
		assert.Equal(t, 3, attempts())
		assert.Equal(t, []string{"header.Idempotency-Key: idempotency_key_reused"},
			f.do("POST", prefix+"/"+sub.ID+"/deliveries/dlv_1/replay", `{}`, "Idempotency-Key",
				"a").problems())
	})
}

func TestReplayOfWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{}`))
		require.NoError(t, err)
		f.emit(orgA, 1)
		for range 2 { // a refusal is not remembered
			_, err = c.Replay(ctx, sub.ID, 1, client.WithIdempotencyKey("k"))
			require.ErrorIs(t, err, webhook.ErrWrongStatus)
		}
	})
}

func TestReplayByFilter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		c, ctx := f.client(orgA), t.Context()
		bad, err := c.Create(ctx, sinkSubscription("bad", `{"fail": "rejected"}`))
		require.NoError(t, err)
		_, err = c.Create(ctx, sinkSubscription("other", `{"fail": "rejected"}`))
		require.NoError(t, err)
		f.emit(orgA, 25)

		// The endpoint is well again.
		bad.Channels[0].Configs = []byte(`{}`)
		_, err = c.Update(ctx, &bad.Subscription)
		require.NoError(t, err)
		n, err := c.ReplayAll(ctx, bad.ID, api.ReplayRequest{Limit: 10, PerSecond: 1})
		require.NoError(t, err)
		assert.Equal(t, 10, n)
		time.Sleep(3500 * time.Millisecond)
		synctest.Wait()
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID,
			client.DeliveryFilter{Status: webhook.StatusSucceeded})), 4, "gradually")
		time.Sleep(time.Minute)

		n, err = c.ReplayAll(ctx, bad.ID, api.ReplayRequest{})
		require.NoError(t, err)
		assert.Equal(t, 15, n)
		time.Sleep(time.Minute)
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID,
			client.DeliveryFilter{Status: webhook.StatusSucceeded})), 25)
		assert.Len(t, collect(t, c.Deliveries(ctx, "",
			client.DeliveryFilter{Status: webhook.StatusDead})), 25, "of the other webhook")

		a := f.do("POST", prefix+"/"+bad.ID+"/replay",
			`{"status": "succeeded", "limit": 10}`).want(http.StatusAccepted)
		assert.InDelta(t, 10, a["replayed"], 0)
		assert.NotNil(t, a["next_cursor"])
		assert.Equal(t, []string{"body.status: enum", "body.limit: value_error",
			"body.per_second: value_error", "body.cursor: value_error", "body.all: extra_forbidden"},
			f.do("POST", prefix+"/"+bad.ID+"/replay",
				`{"status": "pending", "limit": 0, "per_second": 0, "cursor": "1", "all": true}`).problems())
	})
}

func TestSendTest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	c, ctx := f.client(orgA), t.Context()
	sub := sinkSubscription("w", `{}`, `{"fail": "rejected"}`, `{"panic": true}`)
	sub.Paused = true
	created, err := c.Create(ctx, sub)
	require.NoError(t, err)
	res, err := c.SendTest(ctx, created.ID, api.TestRequest{})
	require.NoError(t, err)
	require.Len(t, res.Results, 3)
	assert.True(t, res.Results[0].Succeeded)
	assert.Equal(t, "yes", res.Results[0].Attempt.Response)
	assert.Equal(t, "sink#2", res.Results[1].Channel)
	assert.Equal(t, []any{"rejected", "it failed", 500},
		[]any{res.Results[1].Attempt.Class, res.Results[1].Attempt.Error,
			res.Results[1].Attempt.StatusCode})
	assert.Equal(t, string(channel.ClassPanic), res.Results[2].Attempt.Class)
	assert.NotContains(t, res.Results[2].Attempt.Error, "s3cr3t")
	assert.Empty(t, collect(t, c.Deliveries(ctx, created.ID, client.DeliveryFilter{})),
		"nothing is stored")

	res, err = c.SendTest(ctx, created.ID,
		api.TestRequest{Channel: "sink#2", Event: &event.Event{ID: "evt_mine", Type: "invoice.paid"}})
	require.NoError(t, err)
	assert.Equal(t, "evt_mine", res.EventID)
	assert.Len(t, res.Results, 1)
	assert.Equal(t, []string{"body.channel: value_error", "body.event_type: value_error",
		"body.event.event_id: value_error"},
		f.do("POST", prefix+"/"+created.ID+"/test",
			`{"channel": "pigeon", "event_type": "X", "event": {"event_id": "x"}}`).problems())
	assert.Equal(t, []string{"body.event.subject: value_error"},
		f.do("POST", prefix+"/"+created.ID+"/test", `{"event": {"subject": 1}}`).problems())
}

// countingStore counts the deliveries and attempts that its lists return.
type countingStore struct {
	webhook.Store
	lists, largest, attempts atomic.Int64
}

func (s *countingStore) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	found, err := s.Store.Deliveries(ctx, q)
	s.lists.Add(1)
	s.largest.Store(max(s.largest.Load(), int64(len(found))))
	for i := range found {
		s.attempts.Add(int64(len(found[i].Attempts)))
	}
	return found, err
}

// A replay of many deliveries reads them in pages, and none of their histories.
func TestReplayByFilterReadsNoHistories(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var counting *countingStore
		f := newFixture(t, options{store: func(s webhook.Store) webhook.Store {
			counting = &countingStore{Store: s}
			return counting
		}})
		f.run()
		sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("bad", `{"fail": "rejected"}`))
		require.NoError(t, err)
		f.emit(orgA, 250)
		a := f.do("POST", prefix+"/"+sub.ID+"/replay", "").want(http.StatusAccepted)
		assert.InDelta(t, 250, a["replayed"], 0)
		assert.Equal(t, []int64{3, 100, 0},
			[]int64{counting.lists.Load(), counting.largest.Load(), counting.attempts.Load()},
			"lists, the largest, attempts")
	})
}

// failsLater is a store of which the second list of deliveries fails.
type failsLater struct {
	webhook.Store
	lists int
}

func (s *failsLater) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	if s.lists++; s.lists == 2 {
		return nil, webhook.ErrUnavailable
	}
	return s.Store.Deliveries(ctx, q)
}

// A replay that the store has cut off says what it has done, and where to continue.
func TestAReplayThatTheStoreCutsOffGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{store: func(s webhook.Store) webhook.Store {
			return &failsLater{Store: s}
		}})
		sub, err := f.client(orgA).Create(t.Context(), sinkSubscription("one", `{}`))
		require.NoError(t, err)
		f.emit(orgA, 150)
		for id := range webhook.DeliveryID(1000) {
			_ = f.store.Cancel(t.Context(), time.Now(), orgA, id)
		}
		time.Sleep(time.Minute)
		path, body := prefix+"/"+sub.ID+"/replay", `{"status": "cancelled", "limit": 150%s}`
		first := f.do("POST", path, fmt.Sprintf(body, "")).want(http.StatusAccepted)
		assert.InDelta(t, 100, first["replayed"], 0)
		require.NotEmpty(t, first["next_cursor"])
		rest := f.do("POST", path, fmt.Sprintf(body, fmt.Sprintf(`, "cursor": %q`,
			first["next_cursor"]))).want(http.StatusAccepted)
		assert.InDelta(t, 50, rest["replayed"], 0)
		assert.Nil(t, rest["next_cursor"])
	})
}

// stuckStore replays nothing until its context ends, except for one organization.
type stuckStore struct {
	webhook.Store
	serves string
}

func (s stuckStore) Replay(
	ctx context.Context, due time.Time, organizationID string, id webhook.DeliveryID,
) error {
	if organizationID == s.serves || id%2 == 0 {
		return s.Store.Replay(ctx, due, organizationID, id)
	}
	<-ctx.Done()
	return ctx.Err()
}

// Long replays leave most of the API to other requests, and end with a cursor when another
// organization needs a place.
func TestLongReplaysKeepNoRequestOut(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHanging(t)
		var err error
		h.api, err = api.New(h.dispatcherOn(stuckStore{h.store, "quick"}), api.BearerToken,
			api.Config{Logger: h.logger})
		require.NoError(t, err)
		dead := func(organization string) (path string) {
			path = h.subscribe(organization, "sink")
			h.emit(organization, 2)
			for id := range webhook.DeliveryID(1000) {
				_ = h.store.Cancel(t.Context(), time.Now(), organization, id)
			}
			return path + "/replay"
		}
		cancelled := `{"status": "cancelled"}`
		cursors := map[string]int{}
		for n := range 20 {
			organization := fmt.Sprint("stuck", n)
			path := dead(organization)
			for range 16 {
				h.all.Go(func() {
					w := h.ask(organization, "POST", path, cancelled)
					h.mu.Lock()
					defer h.mu.Unlock()
					if w.Code == http.StatusAccepted {
						cursors[organization]++
						assert.Contains(t, w.Body.String(), `"next_cursor":"dlv_`)
					}
					h.answers[w.Code]++
				})
				synctest.Wait()
			}
		}
		for n := range 24 {
			w := h.ask(fmt.Sprint("stuck", n), "GET", prefix, "")
			assert.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		}
		path := dead("quick")
		time.Sleep(5 * time.Second)
		w := h.ask("quick", "POST", path, cancelled)
		assert.Equal(t, http.StatusAccepted, w.Code, "%s", w.Body)
		assert.JSONEq(t, `{"replayed": 2, "next_cursor": null}`, w.Body.String())
		h.all.Wait()
		assert.NotEmpty(t, cursors)
		assert.Equal(t, 320, h.answers[202]+h.answers[429]+h.answers[503], "%v", h.answers)
	})
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{dispatcher: func(c *dispatch.Config) {
			c.PollInterval = time.Minute // hours go by
		}})
		f.run()
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{}`, `{}`, `{}`, `{"fail": "rejected"}`))
		require.NoError(t, err)

		begin := time.Now()
		const events = 200
		f.emit(orgA, events)
		s, err := c.Statistics(ctx, sub.ID, time.Time{})
		require.NoError(t, err)
		assert.Equal(t, sub.ID, s.SubscriptionID)
		assert.Equal(t, begin.UTC().Add(-24*time.Hour).Truncate(time.Hour), s.Since)
		assert.Equal(t, map[webhook.Status]int64{
			webhook.StatusSucceeded: 3 * events, webhook.StatusDead: events,
			webhook.StatusPending: 0, webhook.StatusInFlight: 0, webhook.StatusPaused: 0,
			webhook.StatusCancelled: 0,
		}, s.Deliveries)
		assert.InDelta(t, 0.75, *s.SuccessRate, 1e-9)
		assert.InDelta(t, 0.75, *s.AttemptSuccessRate, 1e-9)
		assert.Equal(t, []int64{4 * events, events}, []int64{s.Attempts, s.FailedAttempts})
		assert.Equal(t, begin.UTC(), *s.LastSuccess)
		assert.Equal(t, begin.UTC(), *s.LastFailure)
		failed, err := c.Delivery(ctx, sub.ID, *s.LastFailed)
		require.NoError(t, err)
		assert.Equal(t, "rejected", failed.Attempts[0].Class)

		time.Sleep(2 * time.Hour)
		s, err = c.Statistics(ctx, sub.ID, time.Now().Add(-time.Hour))
		require.NoError(t, err)
		assert.Zero(t, s.Attempts, "of the last hour")
		s, err = c.Statistics(ctx, sub.ID, time.Time{})
		require.NoError(t, err)
		assert.EqualValues(t, 4*events, s.Attempts, "of the last day")
		assert.Equal(t, "NotFoundError",
			f.do("GET", prefix+"/"+sub.ID+"/statistics", "", f.as(orgB)...).errorType(http.StatusNotFound))
	})
}

// Figures that would be a division by zero are null.
func TestStatisticsOfNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		id := f.create(plainSubscription)
		f.emit(orgA, 3) // nothing runs: they stay pending
		require.NoError(t, f.dispatcher.Cancel(t.Context(), orgA, 1))
		answer := f.do("GET", prefix+"/"+id+"/statistics?since=1999-12-31T12:34:56Z",
			"").want(http.StatusOK)
		assert.Equal(t, map[string]any{
			"webhook_id": id, "since": "1999-12-31T12:00:00Z",
			"deliveries": map[string]any{
				"pending": 2., "in_flight": 0., "paused": 0., "succeeded": 0., "dead": 0., "cancelled": 1.,
			},
			"success_rate": nil, "attempt_success_rate": nil, "attempts": 0., "failed_attempts": 0., "average_duration_ms": nil,
			"median_duration_ms": nil, "p95_duration_ms": nil,
			"last_success": nil, "last_failure": nil, "last_failed_delivery_id": nil,
		}, answer)
	})
}

// While everything fails and is retried nothing has ended, and the rate of the attempts says so.
func TestStatisticsWhileEverythingIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		asked := sinkSubscription("w", `{"panic": true}`)
		asked.Retry = &webhook.Retry{Delays: []time.Duration{time.Hour}}
		sub, err := f.client(orgA).Create(t.Context(), asked)
		require.NoError(t, err)
		f.emit(orgA, 3)
		s, err := f.client(orgA).Statistics(t.Context(), sub.ID, time.Time{})
		require.NoError(t, err)
		assert.Nil(t, s.SuccessRate)
		assert.GreaterOrEqual(t, s.FailedAttempts, int64(3))
		assert.Zero(t, *s.AttemptSuccessRate)
	})
}

// An attempt's duration counts in full.
func TestStatisticsAverage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(plainSubscription)
	now := time.Now()
	_, err := f.store.Enqueue(t.Context(), now, []webhook.NewEvent{
		{OrganizationID: orgA, ID: "evt_1", Type: "object.created"},
		{OrganizationID: orgA, ID: "evt_2", Type: "object.created"},
	}, nil)
	require.NoError(t, err)
	tasks, err := f.store.Claim(t.Context(), now,
		webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 2, PerEndpoint: 2})
	require.NoError(t, err)
	_, err = f.store.Settle(t.Context(), now, []webhook.Settlement{
		{Lease: tasks[0].Lease, Status: webhook.StatusSucceeded,
			Attempt: &webhook.Attempt{StartedAt: now, Duration: 3 * time.Millisecond}},
		{Lease: tasks[1].Lease, Status: webhook.StatusDead,
			Attempt: &webhook.Attempt{StartedAt: now, Duration: 2500 * time.Microsecond, Class: "status"}},
	})
	require.NoError(t, err)
	s, err := f.client(orgA).Statistics(t.Context(), id, time.Time{})
	require.NoError(t, err)
	assert.InDelta(t, 2.75, *s.AverageDuration, 1e-9)
	assert.InDelta(t, 5, *s.MedianDuration, 1e-9, "half of the bucket up to 10 ms")
	assert.InDelta(t, 9.5, *s.P95Duration, 1e-9)
}
