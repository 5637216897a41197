package api_test

import (
	"net/http"
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
		assert.Len(t, collect(t, c.Deliveries(ctx, "", client.DeliveryFilter{Status: webhook.StatusDead})), 155)
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID, client.DeliveryFilter{Since: middle.Add(time.Second)})), 5)
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID, client.DeliveryFilter{Until: middle.Add(time.Second)})), 150)
		assert.Empty(t, collect(t, c.Deliveries(ctx, bad.ID, client.DeliveryFilter{EventType: "object.deleted"})))
		assert.Len(t, collect(t, c.Deliveries(ctx, "", client.DeliveryFilter{EventID: all[0].EventID})), 2)

		dead := collect(t, c.Deliveries(ctx, bad.ID, client.DeliveryFilter{}))[0]
		one, err := c.Delivery(ctx, bad.ID, dead.ID)
		require.NoError(t, err)
		assert.Equal(t, dead, one)
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
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID, client.DeliveryFilter{})), 155, "history outlives the webhook")
	})
}

// The envelope comes back byte by byte.
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
	assert.ElementsMatch(t, []string{"query.status: enum", "query.limit: value_error", "query.since: datetime_parsing",
		"query.until: datetime_parsing", "query.cursor: value_error", "query.statuss: extra_forbidden"},
		f.do("GET", prefix+"/"+id+"/deliveries?status=lost&limit=0&since=x&until=y&cursor=z&statuss=dead", "").problems())
	assert.Equal(t, "NotFoundError", f.do("GET", prefix+"/wh_0123456789abcdef/deliveries", "").errorType(http.StatusNotFound))
	for _, bad := range []string{"1", "dlv_0", "dlv_99", "x"} {
		assert.Equal(t, "NotFoundError", f.do("GET", prefix+"/"+id+"/deliveries/"+bad, "").errorType(http.StatusNotFound))
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

func TestReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{"fail": "rejected"}`))
		require.NoError(t, err)
		f.emit(orgA, 1)

		replay := func(key string) (*webhook.Delivery, error) {
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
			f.do("POST", prefix+"/"+sub.ID+"/deliveries/dlv_1/replay", `{}`, "Idempotency-Key", "a").problems())
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
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID, client.DeliveryFilter{Status: webhook.StatusSucceeded})), 4, "gradually")
		time.Sleep(time.Minute)

		n, err = c.ReplayAll(ctx, bad.ID, api.ReplayRequest{})
		require.NoError(t, err)
		assert.Equal(t, 15, n)
		time.Sleep(time.Minute)
		assert.Len(t, collect(t, c.Deliveries(ctx, bad.ID, client.DeliveryFilter{Status: webhook.StatusSucceeded})), 25)
		assert.Len(t, collect(t, c.Deliveries(ctx, "", client.DeliveryFilter{Status: webhook.StatusDead})), 25, "of the other webhook")

		a := f.do("POST", prefix+"/"+bad.ID+"/replay", `{"status": "succeeded", "limit": 10}`).want(http.StatusAccepted)
		assert.InDelta(t, 10, a["replayed"], 0)
		assert.NotNil(t, a["next_cursor"])
		assert.Equal(t, []string{"body.status: enum", "body.limit: value_error", "body.per_second: value_error", "body.cursor: value_error", "body.all: extra_forbidden"},
			f.do("POST", prefix+"/"+bad.ID+"/replay", `{"status": "pending", "limit": 0, "per_second": 0, "cursor": "1", "all": true}`).problems())
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
		[]any{res.Results[1].Attempt.Class, res.Results[1].Attempt.Error, res.Results[1].Attempt.StatusCode})
	assert.Equal(t, string(channel.ClassPanic), res.Results[2].Attempt.Class)
	assert.NotContains(t, res.Results[2].Attempt.Error, "s3cr3t")
	assert.Empty(t, collect(t, c.Deliveries(ctx, created.ID, client.DeliveryFilter{})), "nothing is stored")

	res, err = c.SendTest(ctx, created.ID, api.TestRequest{Channel: "sink#2", Event: &event.Event{ID: "evt_mine", Type: "invoice.paid"}})
	require.NoError(t, err)
	assert.Equal(t, "evt_mine", res.EventID)
	assert.Len(t, res.Results, 1)
	assert.Equal(t, []string{"body.channel: value_error", "body.event_type: value_error", "body.event.event_id: value_error"},
		f.do("POST", prefix+"/"+created.ID+"/test", `{"channel": "pigeon", "event_type": "X", "event": {"event_id": "x"}}`).problems())
	assert.Equal(t, []string{"body.event.subject: value_error"},
		f.do("POST", prefix+"/"+created.ID+"/test", `{"event": {"subject": 1}}`).problems())
}
