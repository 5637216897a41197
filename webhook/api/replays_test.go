package api_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// dead makes n dead deliveries of a new webhook of organization A, and returns its id.
func (f *fixture) dead(n int) string {
	f.t.Helper()
	sub, err := f.client(orgA).Create(f.t.Context(), sinkSubscription("bad", `{"fail": "rejected"}`))
	require.NoError(f.t, err)
	f.emit(orgA, n)
	require.NoError(f.t, f.dispatcher.Drain(f.t.Context()))
	time.Sleep(time.Second) // a replay leaves alone what is settled when it begins
	return sub.ID
}

func TestBackgroundReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		id := f.dead(20)
		c, ctx := f.client(orgA), t.Context()
		asked := api.BackgroundReplayRequest{SubscriptionID: id, PerSecond: 0.1, Limit: 15,
			EventType: "object.created"}
		count, err := c.CountReplay(ctx, asked)
		require.NoError(t, err)
		assert.Equal(t, &api.ReplayCount{Deliveries: 15}, count)

		begun, err := c.StartReplay(ctx, asked, client.WithIdempotencyKey("k"))
		require.NoError(t, err)
		again, err := c.StartReplay(ctx, asked, client.WithIdempotencyKey("k"))
		require.NoError(t, err)
		assert.Equal(t, begun, again)
		assert.Equal(t, api.ReplayRunning, begun.State)
		assert.Equal(t, "api", begun.CreatedBy)
		assert.Nil(t, begun.Remaining, "nothing is counted yet")
		asked.Status = webhook.StatusDead
		assert.Equal(t, asked, begun.Request)

		stalled := func() bool {
			t.Helper()
			list, err := c.Replays(ctx)
			require.NoError(t, err)
			require.Len(t, list, 1)
			assert.Nil(t, list[0].Remaining)
			return list[0].Stalled
		}
		assert.False(t, stalled(), "a process may still go on with it")
		time.Sleep(time.Minute) // nothing runs
		assert.True(t, stalled())
		found, err := c.FindReplay(ctx, begun.ID)
		require.NoError(t, err)
		assert.True(t, found.Stalled)
		require.NotNil(t, found.Remaining)
		assert.Equal(t, 15, *found.Remaining)

		f.run()
		time.Sleep(time.Minute)
		synctest.Wait() // for the step of this moment, which would count after the replay is stopped
		found, err = c.FindReplay(ctx, begun.ID)
		require.NoError(t, err)
		assert.False(t, found.Stalled)
		assert.Positive(t, found.Replayed)
		assert.EqualValues(t, 15, found.Replayed+int64(*found.Remaining))
		assert.False(t, found.MoreRemaining)

		stopped, err := c.StopReplay(ctx, begun.ID)
		require.NoError(t, err)
		assert.Equal(t, api.ReplayStopped, stopped.State)
		assert.Equal(t, "api", stopped.StoppedBy)
		list, err := c.Replays(ctx)
		require.NoError(t, err)
		assert.Equal(t, []api.Replay{*stopped}, list)

		all, err := c.StartReplay(ctx, api.BackgroundReplayRequest{})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		synctest.Wait()
		all, err = c.FindReplay(ctx, all.ID)
		require.NoError(t, err)
		assert.Equal(t, api.ReplayEnded, all.State)
		assert.Nil(t, all.Remaining)
		assert.False(t, all.EndedAt.IsZero())
	})
}

// What is counted are the deliveries that would be replayed; while they are, up to a bound.
func TestCountReplay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		id := f.dead(1003)
		c, ctx := f.client(orgA), t.Context()
		count := func(asked api.BackgroundReplayRequest) api.ReplayCount {
			t.Helper()
			n, err := c.CountReplay(ctx, asked)
			require.NoError(t, err)
			return *n
		}
		assert.Equal(t, api.ReplayCount{Deliveries: 1003},
			count(api.BackgroundReplayRequest{SubscriptionID: id}))
		assert.Equal(t, api.ReplayCount{Deliveries: 1001},
			count(api.BackgroundReplayRequest{Limit: 1001}))
		assert.Zero(t, count(api.BackgroundReplayRequest{Status: webhook.StatusSucceeded}))
		assert.Zero(t, count(api.BackgroundReplayRequest{Since: time.Now()}))

		begun, err := c.StartReplay(ctx, api.BackgroundReplayRequest{})
		require.NoError(t, err)
		found, err := c.FindReplay(ctx, begun.ID)
		require.NoError(t, err)
		assert.Equal(t, 1000, *found.Remaining)
		assert.True(t, found.MoreRemaining)
	})
}

// watchedLists counts calls of Deliveries, and lets them take until they are cut off once slow is set.
type watchedLists struct {
	webhook.Store
	calls *atomic.Int64
	slow  *atomic.Bool
}

func (s watchedLists) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	s.calls.Add(1)
	if s.slow.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Deliveries(ctx, q)
}

// What dies after a replay began is not among what remains, and takes few calls of the store to leave
// out. A count that takes too long is left out of an answer that has more to say.
func TestRemainingOfAReplay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		var slow atomic.Bool
		f := newFixture(t, options{store: func(s webhook.Store) webhook.Store {
			return watchedLists{s, &calls, &slow}
		}})
		f.dead(2)
		c, ctx := f.client(orgA), t.Context()
		begun, err := c.StartReplay(ctx, api.BackgroundReplayRequest{Limit: 5})
		require.NoError(t, err)
		time.Sleep(time.Second)
		f.emit(orgA, 1500)
		require.NoError(t, f.dispatcher.Drain(ctx))
		calls.Store(0)
		found, err := c.FindReplay(ctx, begun.ID)
		require.NoError(t, err)
		assert.Equal(t, 2, *found.Remaining)
		assert.False(t, found.MoreRemaining)
		assert.EqualValues(t, 2, calls.Load(), "large pages")

		slow.Store(true)
		began := time.Now()
		found, err = c.FindReplay(ctx, begun.ID)
		require.NoError(t, err)
		assert.Nil(t, found.Remaining, "the rest is known")
		assert.Equal(t, api.ReplayRunning, found.State)
		assert.Equal(t, "ServiceUnavailableError", f.do("POST", prefix+"/deliveries/replays/count", "",
			f.as(orgA)...).errorType(http.StatusServiceUnavailable))
		assert.Equal(t, 20*time.Second, time.Since(began))
	})
}

// A replay belongs to its organization, and needs the role operate.
func TestWhoMayReplay(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	a, b, ctx := f.client(orgA), f.client(orgB), t.Context()
	begun, err := a.StartReplay(ctx, api.BackgroundReplayRequest{})
	require.NoError(t, err)
	list, err := b.Replays(ctx)
	require.NoError(t, err)
	assert.Empty(t, list)
	_, err = b.FindReplay(ctx, begun.ID)
	require.ErrorIs(t, err, webhook.ErrNotFound)
	for method, path := range map[string]string{"GET": "", "POST": "/stop"} {
		answered := f.do(method, prefix+"/deliveries/replays/"+begun.ID+path, "", f.as(orgB)...)
		assert.Contains(t, string(answered.Body), "There is no such replay")
	}
	_, err = b.StopReplay(ctx, begun.ID)
	require.ErrorIs(t, err, webhook.ErrNotFound)
	sub, err := b.Create(ctx, sinkSubscription("b", `{}`))
	require.NoError(t, err)
	_, err = a.StartReplay(ctx, api.BackgroundReplayRequest{SubscriptionID: sub.ID})
	require.ErrorIs(t, err, webhook.ErrNotFound)

	for role, may := range map[webhook.Role]bool{webhook.RoleRead: false, webhook.RoleOperate: true} {
		key, made, err := f.apiKeys.Create(ctx, apikey.Service(""), webhook.APIKey{OrganizationID: orgA,
			Name: "ada", Rights: webhook.Rights{Role: role}})
		require.NoError(t, err)
		bearer := []string{"Authorization", "Bearer " + key}
		started := f.do("POST", prefix+"/deliveries/replays", "", bearer...)
		stopped := f.do("POST", prefix+"/deliveries/replays/"+begun.ID+"/stop", "", bearer...)
		f.do("POST", prefix+"/deliveries/replays/count", "", bearer...).want(http.StatusOK)
		if may {
			assert.Equal(t, made.ID+" ada", started.want(http.StatusAccepted)["created_by"])
			assert.Equal(t, made.ID+" ada", stopped.want(http.StatusOK)["stopped_by"])
		} else {
			started.want(http.StatusForbidden)
			stopped.want(http.StatusForbidden)
		}
	}
}

func TestReplaysAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	c, ctx := f.client(orgA), t.Context()
	for range webhook.MaxReplays {
		_, err := c.StartReplay(ctx, api.BackgroundReplayRequest{})
		require.NoError(t, err)
	}
	_, err := c.StartReplay(ctx, api.BackgroundReplayRequest{})
	require.ErrorIs(t, err, webhook.ErrLimit)
	assert.Equal(t, []string{"body.status: enum", "body.limit: value_error",
		"body.per_second: value_error", "body.cursor: extra_forbidden"},
		f.do("POST", prefix+"/deliveries/replays", `{"status": "pending", "limit": 0, "per_second": 0,
			"cursor": "dlv_1"}`).problems())
}

// A delivery that has as many attempts as a replay allows is not counted, because it is not replayed.
func TestCountReplayLeavesOutWhatCannotBeReplayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		c, ctx := f.client(orgA), t.Context()
		_, err := c.Create(ctx, sinkSubscription("w", `{}`))
		require.NoError(t, err)
		f.emit(orgA, 1)
		for n := 1; n <= dispatch.MaxReplayed; n++ {
			now := time.Now()
			tasks, err := f.store.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 1,
				PerEndpoint: 1})
			require.NoError(t, err)
			require.Len(t, tasks, 1)
			settled := webhook.Settlement{Lease: tasks[0].Lease, Status: webhook.StatusDead,
				Attempt: &webhook.Attempt{StartedAt: now, Class: "rejected"}}
			refused, err := f.store.Settle(ctx, now, []webhook.Settlement{settled})
			require.NoError(t, err)
			require.Empty(t, refused)
			count, err := c.CountReplay(ctx, api.BackgroundReplayRequest{})
			require.NoError(t, err)
			if n == dispatch.MaxReplayed {
				require.Zero(t, count.Deliveries)
				return
			}
			require.Equal(t, 1, count.Deliveries, "after %d attempts", n)
			require.NoError(t, f.store.Replay(ctx, now, orgA, tasks[0].DeliveryID))
		}
	})
}

// What dies after a replay was begun does not remain to be replayed.
func TestRemainingLeavesOutWhatDiedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.dead(2)
		c, ctx := f.client(orgA), t.Context()
		begun, err := c.StartReplay(ctx, api.BackgroundReplayRequest{})
		require.NoError(t, err)
		f.emit(orgA, 1)
		now := time.Now()
		tasks, err := f.store.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 1,
			PerEndpoint: 1})
		require.NoError(t, err)
		require.Len(t, tasks, 1)
		_, err = f.store.Settle(ctx, now, []webhook.Settlement{{Lease: tasks[0].Lease,
			Status: webhook.StatusDead, Attempt: &webhook.Attempt{StartedAt: now, Class: "rejected"}}})
		require.NoError(t, err)
		found, err := c.FindReplay(ctx, begun.ID)
		require.NoError(t, err)
		require.NotNil(t, found.Remaining)
		assert.Equal(t, 2, *found.Remaining)
	})
}

// endless is a store that cannot store the end of a request.
type endless struct{ webhook.Store }

func (s endless) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Idempotency = endlessRequests{c.Idempotency}
	return c
}

type endlessRequests struct{ webhook.IdempotencyStore }

func (endlessRequests) EndIdempotent(context.Context, webhook.IdempotentRequest) error {
	return webhook.ErrUnavailable
}

// What the first try has replayed, and what died since, is left alone by a repetition of which the
// API cannot know how the first one ended.
func TestBackgroundReplayAfterAnUnknownEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{store: func(s webhook.Store) webhook.Store { return endless{s} }})
		f.dead(2)
		c, ctx := f.client(orgA), t.Context()
		begun, err := c.StartReplay(ctx, api.BackgroundReplayRequest{}, client.WithIdempotencyKey("k"))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		again, err := c.StartReplay(ctx, api.BackgroundReplayRequest{}, client.WithIdempotencyKey("k"))
		require.NoError(t, err)
		assert.Equal(t, begun.SettledBefore, again.SettledBefore)
		later, err := c.StartReplay(ctx, api.BackgroundReplayRequest{})
		require.NoError(t, err)
		assert.Equal(t, time.Minute, later.SettledBefore.Sub(begun.SettledBefore), "another request")
	})
}

// noReplays is a store that cannot keep replays.
type noReplays struct{ webhook.Store }

func (s noReplays) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Replays = nil
	return c
}

func TestStoreWithoutReplays(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{store: func(s webhook.Store) webhook.Store { return noReplays{s} }})
	assert.Equal(t, "NotFoundError",
		f.do("POST", prefix+"/deliveries/replays", "").errorType(http.StatusNotFound))
	_, err := f.dispatcher.Replays(t.Context(), orgA)
	require.ErrorIs(t, err, dispatch.ErrNoReplays)
}
