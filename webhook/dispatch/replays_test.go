package dispatch_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// replayBench has n dead deliveries, and an endpoint that accepts them now.
func replayBench(t *testing.T, store webhook.Store, n int) (*dispatch.Dispatcher, *arrivals) {
	t.Helper()
	seen := &arrivals{by: map[string]int{}}
	d := seen.process(t, store)
	require.NoError(t, d.CreateSubscription(t.Context(), &webhook.Subscription{Name: "a",
		EventTypes: []event.Pattern{"*"},
		Channels:   []webhook.ChannelConfig{{Channel: "webhook", Configs: []byte(`{}`)}}}))
	for range n {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace = "acme"
		_, err := d.Emit(t.Context(), e)
		require.NoError(t, err)
	}
	require.NoError(t, d.Drain(t.Context()))
	time.Sleep(time.Second) // a replay leaves alone what is settled when it begins
	seen.watched.Store(true)
	seen.accepts.Store(true)
	return d, seen
}

// logTo has a process write its log to w.
func logTo(w io.Writer) func(*dispatch.Config) {
	return func(cfg *dispatch.Config) { cfg.Logger = slog.New(slog.NewTextHandler(w, nil)) }
}

// arrivals count the attempts by event id, once they are watched.
type arrivals struct {
	watched, accepts atomic.Bool
	mu               sync.Mutex
	by               map[string]int
}

// process returns a Dispatcher on the store, as another process has one.
func (a *arrivals) process(
	t *testing.T, store webhook.Store, change ...func(*dispatch.Config),
) *dispatch.Dispatcher {
	t.Helper()
	channels := channel.NewRegistry()
	require.NoError(t, channels.Register("webhook",
		channel.Func(func(_ context.Context, m *channel.Message) (channel.Result, error) {
			if a.watched.Load() {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.by[m.EventID]++
			}
			if !a.accepts.Load() {
				return channel.Result{}, &channel.Error{Action: channel.Permanent,
					Class: channel.ClassRejected}
			}
			return channel.Result{}, nil
		})))
	cfg := dispatch.Config{Channels: channels}
	for _, change := range change {
		change(&cfg)
	}
	d, err := dispatch.New(store, cfg)
	require.NoError(t, err)
	return d
}

// count returns how many events arrived, and fails if one did twice.
func (a *arrivals) count(t *testing.T) int {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, n := range a.by {
		assert.Equal(t, 1, n, id)
	}
	return len(a.by)
}

// start runs d until the returned function is called.
func start(t *testing.T, d *dispatch.Dispatcher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

var deadOnes = webhook.DeliveryQuery{Status: webhook.StatusDead}

// A replay goes on when the process that began it ends, and replays each delivery once.
func TestReplayGoesOnInAnotherProcess(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		first, seen := replayBench(t, store, 500)
		r, err := first.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 5}, "ada")
		require.NoError(t, err)
		stop := start(t, first)
		time.Sleep(30500 * time.Millisecond)
		stop()
		assert.InDelta(t, 152, seen.count(t), 10, "five a second")
		r, err = first.FindReplay(t.Context(), "", r.ID)
		require.NoError(t, err)
		assert.InDelta(t, 302, r.Replayed, 10, "half a minute ahead")
		assert.False(t, r.Ended())

		second := seen.process(t, store)
		defer start(t, second)()
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 500, seen.count(t))
		r, err = second.FindReplay(t.Context(), "", r.ID)
		require.NoError(t, err)
		assert.EqualValues(t, 500, r.Replayed)
		assert.True(t, r.Ended())
		assert.Equal(t, "ada", r.CreatedBy)
		assert.Empty(t, r.StoppedBy)
	})
}

// dyingStore stores no progress of replays, as though the process died each time before it could.
type dyingStore struct {
	*memstore.Store
	dead atomic.Bool
}

func (s *dyingStore) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Replays = s
	return c
}

func (s *dyingStore) UpdateReplay(ctx context.Context, r *webhook.Replay) error {
	if s.dead.Load() {
		return fmt.Errorf("%w: dead", webhook.ErrUnavailable)
	}
	return s.Store.UpdateReplay(ctx, r)
}

// What a process has replayed before it died, without storing that, is not replayed again, although
// it died again.
func TestReplayStepOfADeadProcessIsNotRepeated(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &dyingStore{Store: memstore.New()}
		first, seen := replayBench(t, store, 300)
		seen.accepts.Store(false)
		r, err := first.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 1000}, "")
		require.NoError(t, err)
		store.dead.Store(true)
		stop := start(t, first)
		time.Sleep(3 * time.Second)
		stop()
		assert.Equal(t, 200, seen.count(t), "one step")
		store.dead.Store(false)
		defer start(t, seen.process(t, store))()
		time.Sleep(50 * time.Second)
		assert.Equal(t, 200, seen.count(t), "the lease of the dead process has not ended")
		time.Sleep(20 * time.Second)
		assert.Equal(t, 300, seen.count(t))
		r, err = first.FindReplay(t.Context(), "", r.ID)
		require.NoError(t, err)
		assert.True(t, r.Ended())
		assert.EqualValues(t, 100, r.Replayed, "the count leaves out the step that was not stored")
	})
}

func TestStopReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, seen := replayBench(t, memstore.New(), 500)
		defer start(t, d)()
		r, err := d.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 2}, "ada")
		require.NoError(t, err)
		time.Sleep(10500 * time.Millisecond)
		r, err = d.StopReplay(t.Context(), "", r.ID, "bob")
		require.NoError(t, err)
		assert.Equal(t, "bob", r.StoppedBy)
		time.Sleep(10 * time.Minute)
		assert.InDelta(t, 81, seen.count(t), 3, "what was replayed before goes out")
		again, err := d.StopReplay(t.Context(), "", r.ID, "eve")
		require.NoError(t, err)
		assert.Equal(t, "bob", again.StoppedBy, "it has ended")
		assert.Equal(t, r.EndedAt, again.EndedAt)
		_, err = d.StopReplay(t.Context(), "org_other", r.ID, "eve")
		require.ErrorIs(t, err, webhook.ErrNotFound)

		limited := deadOnes
		limited.Limit = 7
		_, err = d.StartReplay(t.Context(), limited, dispatch.ReplayOptions{PerSecond: 100}, "")
		require.NoError(t, err)
		before := seen.count(t)
		time.Sleep(time.Minute)
		assert.Equal(t, before+7, seen.count(t))
		list, err := d.Replays(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, list, 2)
		assert.EqualValues(t, 7, list[0].Replayed)
	})
}

// lateStop is a store in which a person stops each replay between a step and storing it.
type lateStop struct{ *memstore.Store }

func (s *lateStop) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Replays = s
	return c
}

func (s *lateStop) UpdateReplay(ctx context.Context, r *webhook.Replay) error {
	if stored, err := s.FindReplay(ctx, r.OrganizationID, r.ID); err == nil && !stored.Ended() {
		stored.EndedAt, stored.StoppedBy = time.Now(), "ada"
		if err := s.Store.UpdateReplay(ctx, stored); err != nil {
			return err
		}
	}
	return s.Store.UpdateReplay(ctx, r)
}

func TestStopDuringAStepOfAReplay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		d, seen := replayBench(t, &lateStop{memstore.New()}, 300)
		defer start(t, d)()
		r, err := d.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 1000}, "")
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		r, err = d.FindReplay(t.Context(), "", r.ID)
		require.NoError(t, err)
		assert.Equal(t, "ada", r.StoppedBy)
		assert.EqualValues(t, 200, r.Replayed, "the step counts")
		assert.Equal(t, 200, seen.count(t))
	})
}

func TestStartReplayIsRefused(t *testing.T) {
	t.Parallel()
	d := new(arrivals).process(t, memstore.New())
	for range webhook.MaxReplays {
		_, err := d.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 1}, "")
		require.NoError(t, err)
	}
	_, err := d.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 1}, "")
	require.ErrorIs(t, err, webhook.ErrLimit)
	_, err = d.StartReplay(t.Context(), webhook.DeliveryQuery{Status: webhook.StatusPending},
		dispatch.ReplayOptions{}, "")
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	require.ErrorContains(t, err, "Status")
	require.ErrorContains(t, err, "PerSecond")
	without, err := dispatch.New(withoutTail{memstore.New()}, dispatch.Config{})
	require.NoError(t, err)
	_, err = without.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 1}, "")
	require.ErrorIs(t, err, dispatch.ErrNoReplays)
	_, err = without.Replays(t.Context(), "")
	require.ErrorIs(t, err, dispatch.ErrNoReplays)
}

// listStore can have Deliveries fail or take long, and counts its calls.
type listStore struct {
	*memstore.Store
	calls atomic.Int64
	// before is called before the nth call, and may return an error in its place.
	before func(ctx context.Context, n int64) error
}

func (s *listStore) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	if err := s.before(ctx, s.calls.Add(1)); err != nil {
		return nil, err
	}
	return s.Store.Deliveries(ctx, q)
}

// untilCutOff has calls take until they are cut off while slow is set.
func untilCutOff(slow *atomic.Bool) func(context.Context, int64) error {
	return func(ctx context.Context, _ int64) error {
		if !slow.Load() {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

// A replay that has come to its limit has ended, also if the limit is at the end of a page and the
// store fails then.
func TestReplayEndsAtItsLimitAlthoughTheStoreFails(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &listStore{Store: memstore.New(), before: func(_ context.Context, n int64) error {
			if n == 2 {
				return fmt.Errorf("%w: for once", webhook.ErrUnavailable)
			}
			return nil
		}}
		d, seen := replayBench(t, store, 300)
		store.calls.Store(0)
		limited := deadOnes
		limited.Limit = 100
		r, err := d.StartReplay(t.Context(), limited, dispatch.ReplayOptions{PerSecond: 1000}, "")
		require.NoError(t, err)
		defer start(t, d)()
		time.Sleep(time.Minute)
		r, err = d.FindReplay(t.Context(), "", r.ID)
		require.NoError(t, err)
		assert.EqualValues(t, 100, r.Replayed)
		assert.True(t, r.Ended())
		assert.Equal(t, 100, seen.count(t))
		assert.EqualValues(t, 1, store.calls.Load(), "one page has them all")
	})
}

// An earlier version may have left a replay at its limit that has not ended.
func TestReplayFoundAtItsLimitReplaysNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		d, seen := replayBench(t, store, 3)
		limited := deadOnes
		limited.Limit = 2
		r, err := d.StartReplay(t.Context(), limited, dispatch.ReplayOptions{PerSecond: 1000}, "")
		require.NoError(t, err)
		r.Replayed = 2
		require.NoError(t, store.Capabilities().Replays.UpdateReplay(t.Context(), r))
		defer start(t, d)()
		time.Sleep(time.Minute)
		r, err = d.FindReplay(t.Context(), "", r.ID)
		require.NoError(t, err)
		assert.EqualValues(t, 2, r.Replayed)
		assert.True(t, r.Ended())
		assert.Zero(t, seen.count(t))
	})
}

// A step that is cut off before it came to any delivery is not repeated at once, and the log says so,
// once a minute.
func TestReplayThatMakesNoProgress(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		store := &listStore{Store: memstore.New(), before: untilCutOff(&slow)}
		first, seen := replayBench(t, store, 3)
		r, err := first.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 100}, "")
		require.NoError(t, err)
		slow.Store(true)
		store.calls.Store(0)
		var log lockedBuffer
		second := seen.process(t, store, logTo(&log))
		defer start(t, second)()
		time.Sleep(10*time.Minute + 10*time.Second)
		assert.EqualValues(t, 11, store.calls.Load(), "30 s of work, and as long a rest")
		lines := regexp.MustCompile(`level=WARN msg="webhook: a replay makes no progress".* replay_id=`+r.ID).
			FindAllString(log.String(), -1)
		assert.Len(t, lines, 10, log.String())

		slow.Store(false)
		time.Sleep(time.Minute)
		r, err = second.FindReplay(t.Context(), "", r.ID)
		require.NoError(t, err)
		assert.True(t, r.Ended())
		assert.EqualValues(t, 3, r.Replayed)
	})
}

// While steps fail, that there is nothing else to claim does not look like the end of the outage.
func TestReplayThatFailsIsLoggedOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		store := &listStore{Store: memstore.New(), before: func(context.Context, int64) error {
			if down.Load() {
				return fmt.Errorf("%w: for a while", webhook.ErrUnavailable)
			}
			return nil
		}}
		first, seen := replayBench(t, store, 3)
		_, err := first.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 100}, "")
		require.NoError(t, err)
		down.Store(true)
		store.calls.Store(0)
		var log lockedBuffer
		second := seen.process(t, store, logTo(&log))
		defer start(t, second)()
		lines := func(text string) int {
			return strings.Count(log.String(), text+`" op="replay deliveries"`)
		}
		time.Sleep(10 * time.Minute)
		assert.Greater(t, store.calls.Load(), int64(5), "it is tried again")
		assert.Equal(t, 1, lines("webhook: the store fails"), log.String())
		assert.Zero(t, lines("webhook: the store works again"), log.String())

		down.Store(false)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 3, seen.count(t))
		assert.Equal(t, 1, lines("webhook: the store works again"), log.String())
	})
}

// A step that the end of its process cuts off is left to the next process at once.
func TestReplayStepThatTheEndOfARunCutsOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		store := &listStore{Store: memstore.New(), before: untilCutOff(&slow)}
		first, seen := replayBench(t, store, 3)
		r, err := first.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 100}, "")
		require.NoError(t, err)
		slow.Store(true)
		stop := start(t, first)
		time.Sleep(time.Second)
		stop()
		slow.Store(false)
		defer start(t, seen.process(t, store))()
		time.Sleep(2 * time.Second)
		r, err = first.FindReplay(t.Context(), "", r.ID)
		require.NoError(t, err)
		assert.True(t, r.Ended())
	})
}

// Processes that look for replays each minute do not have one stalled after 15 seconds.
func TestReplayStalled(t *testing.T) {
	t.Parallel()
	often := new(arrivals).process(t, memstore.New())
	seldom := new(arrivals).process(t, memstore.New(), func(cfg *dispatch.Config) {
		cfg.PollInterval = time.Minute
	})
	now := time.Now()
	waits := func(d time.Duration) *webhook.Replay { return &webhook.Replay{Until: now.Add(-d)} }
	assert.False(t, often.ReplayStalled(waits(15*time.Second), now))
	assert.True(t, often.ReplayStalled(waits(16*time.Second), now))
	assert.False(t, seldom.ReplayStalled(waits(3*time.Minute), now))
	assert.True(t, seldom.ReplayStalled(waits(181*time.Second), now))
	ended := waits(time.Hour)
	ended.EndedAt = now
	assert.False(t, often.ReplayStalled(ended, now))
}

// unsteadyReplays is a store that is an hour behind the clock of the processes. It does not tell the
// time at first, and leaves claims of replays without an answer.
type unsteadyReplays struct {
	*memstore.Store
	silent, hangs atomic.Int64 // how often
	ahead         atomic.Int64 // how far the latest time is that it was given
}

func (s *unsteadyReplays) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Replays = s
	return c
}

func (s *unsteadyReplays) Now(context.Context) (time.Time, error) {
	if s.silent.Add(-1) >= 0 {
		return time.Time{}, webhook.ErrUnavailable
	}
	return time.Now().Add(-time.Hour), nil
}

func (s *unsteadyReplays) ClaimReplay(
	ctx context.Context, now, until time.Time, skipOrganizations []string,
) (*webhook.Replay, error) {
	if s.hangs.Add(-1) >= 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.ahead.Store(max(s.ahead.Load(), int64(now.Sub(time.Now().Add(-time.Hour)))))
	return s.Store.ClaimReplay(ctx, now, until, skipOrganizations)
}

// A store that does not answer once does not end the replays of a process.
func TestReplaysGoOnAfterAClaimThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &unsteadyReplays{Store: memstore.New()}
		d, seen := replayBench(t, store, 5)
		_, err := d.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 100}, "")
		require.NoError(t, err)
		store.hangs.Store(1)
		stop := start(t, d)
		time.Sleep(time.Minute)
		assert.Equal(t, 5, seen.count(t))
		stop()
	})
}

// Before a process knows the time of the store, it claims no replay, which could still be another's,
// and replays nothing.
func TestNothingIsReplayedBeforeTheTimeIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &unsteadyReplays{Store: memstore.New()}
		first, seen := replayBench(t, store, 5)
		_, err := first.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 100}, "")
		require.NoError(t, err)
		dead, err := first.Deliveries(t.Context(), deadOnes)
		require.NoError(t, err)

		store.silent.Store(1)
		second := seen.process(t, store)
		require.ErrorIs(t, second.Replay(t.Context(), "", dead[0].ID), webhook.ErrUnavailable)
		_, err = second.ReplayAll(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 100})
		require.ErrorIs(t, err, webhook.ErrUnavailable)
		_, err = second.StartReplay(t.Context(), deadOnes, dispatch.ReplayOptions{PerSecond: 100}, "")
		require.ErrorIs(t, err, webhook.ErrUnavailable)
		stop := start(t, second)
		time.Sleep(time.Minute)
		stop()
		assert.Equal(t, 5, seen.count(t))
		assert.Less(t, time.Duration(store.ahead.Load()), time.Second)
	})
}

// slowLists is a store that takes longer than a step for the deliveries of some organizations.
type slowLists struct {
	*memstore.Store
	slow           map[string]bool
	underWay, most atomic.Int64
}

func (s *slowLists) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	if s.slow[q.OrganizationID] {
		n := s.underWay.Add(1)
		for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
		}
		defer s.underWay.Add(-1)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Deliveries(ctx, q)
}

// The replays of an organization whose steps take as long as they may hold up no other's: it has one
// of the places of a process, and the others do not wait for it.
func TestSlowReplaysHoldUpNoOtherOrganization(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for _, c := range []struct {
		slow   []string
		within time.Duration
	}{
		{[]string{"org_slow"}, 5 * time.Second},
		// They have all places, and take turns.
		{[]string{"org_1", "org_2", "org_3", "org_4", "org_5", "org_6"}, 5 * time.Minute},
	} {
		if testing.Short() && len(c.slow) > 1 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			store := &slowLists{Store: memstore.New(), slow: map[string]bool{}}
			d, seen := replayBench(t, store, 900)
			options := dispatch.ReplayOptions{PerSecond: 1000}
			for _, id := range c.slow {
				store.slow[id] = true
				for range webhook.MaxReplays {
					q := deadOnes
					q.OrganizationID = id
					_, err := d.StartReplay(t.Context(), q, options, "")
					require.NoError(t, err)
				}
			}
			defer start(t, d)()
			time.Sleep(time.Second)
			r, err := d.StartReplay(t.Context(), deadOnes, options, "")
			require.NoError(t, err)
			time.Sleep(c.within)
			r, err = d.FindReplay(t.Context(), "", r.ID)
			require.NoError(t, err)
			assert.True(t, r.Ended(), "it takes five steps: %d replayed", r.Replayed)
			assert.Equal(t, 900, seen.count(t))
			assert.EqualValues(t, min(len(c.slow), 4), store.most.Load(), "places")
		})
	}
}
