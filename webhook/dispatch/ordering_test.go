package dispatch_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// lines is a Dispatcher with an ordered subscription, and what its endpoint has seen.
type lines struct {
	*testBench
	mu sync.Mutex
	// fails has errors by event id.
	fails     map[string]error
	attempted []string
	accepted  map[string][]string // by subject
	subjects  map[string]string   // by event id
}

func newLines(t *testing.T, cfg dispatch.Config, ordering webhook.Ordering) *lines {
	t.Helper()
	l := &lines{fails: make(map[string]error), accepted: make(map[string][]string),
		subjects: make(map[string]string)}
	cfg.PollInterval = time.Minute // tests last for hours
	l.testBench = newBench(t, cfg, l.send)
	require.NoError(t, l.CreateSubscription(t.Context(), &webhook.Subscription{
		Name: "test", EventTypes: []event.Pattern{event.MatchAll}, Ordering: &ordering,
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: "https://example.com/"})},
	}))
	return l
}

func (l *lines) send(_ context.Context, m *channel.Message) (channel.Result, error) {
	time.Sleep(time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempted = append(l.attempted, m.EventID)
	if err := l.fails[m.EventID]; err != nil {
		return channel.Result{}, err
	}
	s := l.subjects[m.EventID]
	l.accepted[s] = append(l.accepted[s], m.EventID)
	return channel.Result{StatusCode: 200}, nil
}

func (l *lines) fail(id string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails[id] = err
}

func (l *lines) got(subject string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.accepted[subject])
}

func (l *lines) attempts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.attempted)
}

func (l *lines) emitAbout(t *testing.T, subject string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.NoError(t, errorOf(l.Emit(t.Context(), l.about(subject, id))))
	}
}

func (l *lines) about(subject, id string) *event.Event {
	e := newEvent(event.ObjectCreated)
	e.ID, e.Subject.ID = id, subject
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subjects[id] = subject
	return e
}

// of returns the only delivery of an event.
func (l *lines) of(t *testing.T, id string) webhook.Delivery {
	t.Helper()
	list := l.deliveries(t, webhook.DeliveryQuery{EventID: id})
	require.Len(t, list, 1)
	return list[0]
}

func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("evt_%s_%d", prefix, i)
	}
	return all
}

var refused = &channel.Error{Action: channel.Permanent, Class: channel.ClassRejected}

// A failing event holds back its own subject and no other, and then its subject goes on in order.
func TestAFailingEventHoldsBackItsSubjectOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLines(t, dispatch.Config{}, webhook.Ordering{})
		l.run(t)
		l.fail("evt_a_0", status(404))
		a, b := ids("a", 5), ids("b", 5)
		for i := range a {
			l.emitAbout(t, "a", a[i])
			l.emitAbout(t, "b", b[i])
		}
		elapse(time.Second)
		assert.Equal(t, b, l.got("b"), "each delivery lets the next one be made at once")
		assert.Empty(t, l.got("a"))
		assert.Equal(t, l.of(t, "evt_a_0").ID, l.of(t, "evt_a_4").WaitsFor)
		l.fail("evt_a_0", nil)
		elapse(time.Hour)
		assert.Equal(t, a, l.got("a"))
		l.emitAbout(t, "a", "evt_a_5")
		synctest.Wait()
		elapse(10 * time.Millisecond)
		assert.Equal(t, append(a, "evt_a_5"), l.got("a"), "a line that is empty waits for no poll")
	})
}

// A dead delivery holds its subject until it is skipped or replayed.
func TestADeadEventHoldsItsSubject(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLines(t, dispatch.Config{}, webhook.Ordering{})
		l.run(t)
		l.fail("evt_a_0", refused)
		l.fail("evt_a_2", refused)
		l.emitAbout(t, "a", ids("a", 5)...)
		elapse(10 * time.Hour)
		assert.Equal(t, []string{"evt_a_0"}, l.attempts())
		dead := l.of(t, "evt_a_0")
		require.True(t, dead.Holds)
		assert.ErrorIs(t, l.Skip(t.Context(), "another", dead.ID), webhook.ErrNotFound)
		assert.ErrorIs(t, l.Skip(t.Context(), "a\x00", dead.ID), webhook.ErrNotFound)
		require.NoError(t, l.Skip(t.Context(), "", dead.ID))
		elapse(10 * time.Millisecond)
		assert.Equal(t, []string{"evt_a_1"}, l.got("a"), "the next one is attempted at once")
		assert.ErrorIs(t, l.Skip(t.Context(), "", dead.ID), webhook.ErrWrongStatus)
		l.fail("evt_a_2", nil)
		require.NoError(t, l.Replay(t.Context(), "", l.of(t, "evt_a_2").ID))
		elapse(10 * time.Millisecond)
		assert.Equal(t, []string{"evt_a_1", "evt_a_2", "evt_a_3", "evt_a_4"}, l.got("a"))
	})
}

// The subscription says after which time a dead delivery is skipped.
func TestADeadEventIsSkippedAfterAWhile(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLines(t, dispatch.Config{}, webhook.Ordering{SkipAfter: time.Hour})
		l.run(t)
		l.fail("evt_a_0", refused)
		l.emitAbout(t, "a", ids("a", 3)...)
		elapse(time.Minute)
		dead := l.of(t, "evt_a_0")
		assert.True(t, dead.Holds)
		assert.Equal(t, dead.Attempts[0].StartedAt.Add(time.Hour+time.Millisecond), dead.SkipAt)
		elapse(time.Hour - 2*time.Minute)
		assert.Empty(t, l.got("a"))
		elapse(2 * time.Minute)
		assert.Equal(t, []string{"evt_a_1", "evt_a_2"}, l.got("a"))
		assert.False(t, l.of(t, "evt_a_0").Holds)
	})
}

// An event that has expired holds up no subject: neither one whose turn comes too late, nor one that
// could not be tried again in time.
func TestExpiredEventsHoldNoSubject(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLines(t, dispatch.Config{Retry: dispatch.RetrySchedule{time.Hour, time.Hour}},
			webhook.Ordering{})
		l.run(t)
		emit := func(id string, ttl time.Duration) {
			e := l.about("a", id)
			e.TTL = ttl
			require.NoError(t, errorOf(l.Emit(t.Context(), e)))
		}
		l.fail("evt_a_0", status(503))
		l.fail("evt_a_1", status(503))
		emit("evt_a_0", time.Minute)
		elapse(time.Second)
		emit("evt_a_1", 0)
		emit("evt_a_2", time.Minute)
		emit("evt_a_3", 0)
		elapse(time.Second)
		assert.Equal(t, []string{"evt_a_0", "evt_a_1"}, l.attempts(), "the first one expires before its retry")
		l.fail("evt_a_1", nil)
		elapse(2 * time.Hour)
		assert.Equal(t, []string{"evt_a_1", "evt_a_3"}, l.got("a"))
		for _, id := range []string{"evt_a_0", "evt_a_2"} {
			assert.Equal(t, webhook.StatusDead, l.of(t, id).Status)
			assert.False(t, l.of(t, id).Holds)
		}
	})
}

// What is cancelled lets the next one have its turn, although its attempt goes on.
func TestACancelledEventHoldsNoSubject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLines(t, dispatch.Config{}, webhook.Ordering{})
		l.run(t)
		l.fail("evt_a_0", status(404))
		l.emitAbout(t, "a", ids("a", 3)...)
		elapse(time.Second)
		require.NoError(t, l.Cancel(t.Context(), "", l.of(t, "evt_a_0").ID))
		elapse(10 * time.Millisecond)
		assert.Equal(t, []string{"evt_a_1", "evt_a_2"}, l.got("a"))
	})
}

// ReplayAll visits the newest first, but replays those of ordered subscriptions in their order.
func TestReplayAllKeepsTheOrder(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLines(t, dispatch.Config{}, webhook.Ordering{})
		l.run(t)
		a, b := ids("a", 120), ids("b", 120)
		for i := range a {
			l.emitAbout(t, "a", a[i])
			l.emitAbout(t, "b", b[i])
		}
		elapse(time.Minute)
		require.Equal(t, a, l.got("a"))
		progress, err := l.ReplayAll(t.Context(), webhook.DeliveryQuery{},
			dispatch.ReplayOptions{PerSecond: 10})
		require.NoError(t, err)
		assert.Equal(t, 240, progress.Replayed)
		elapse(12 * time.Second)
		assert.Less(t, len(l.got("a")), 200, "at the rate")
		elapse(time.Minute)
		assert.Equal(t, slices.Concat(a, a), l.got("a"))
		assert.Equal(t, slices.Concat(b, b), l.got("b"))

		all := l.deliveries(t, webhook.DeliveryQuery{Limit: 1000})
		progress, err = l.ReplayAll(t.Context(), webhook.DeliveryQuery{Limit: 50, Before: all[9].ID},
			dispatch.ReplayOptions{PerSecond: 1000})
		require.NoError(t, err)
		assert.Equal(t, dispatch.ReplayProgress{Replayed: 50, Before: all[59].ID}, progress)
		elapse(time.Minute)
		assert.Equal(t, slices.Concat(a, a, a[90:115]), l.got("a"))
	})
}

// A store that cannot deliver in order gets no subscription that asks for it.
func TestOrderingNeedsAStoreThatCan(t *testing.T) {
	t.Parallel()
	b := benchOn(t, plainStore{memstore.New()}, dispatch.Config{}, accept)
	sub := b.subscribe(t, "*")
	sub.Ordering = &webhook.Ordering{}
	var invalid *event.ValidationError
	require.ErrorAs(t, b.UpdateSubscription(t.Context(), sub), &invalid)
	assert.Equal(t, "ordering", invalid.Problems[0].Field)
	b.emit(t, event.ObjectCreated)
	require.ErrorIs(t, b.Skip(t.Context(), "", b.only(t).ID), webhook.ErrWrongStatus)
	require.ErrorIs(t, b.Skip(t.Context(), "", 1000), webhook.ErrNotFound)

	l := newLines(t, dispatch.Config{}, webhook.Ordering{})
	sub = l.subscribe(t, "*")
	sub.Ordering = &webhook.Ordering{SkipAfter: time.Second / 2}
	require.ErrorAs(t, l.UpdateSubscription(t.Context(), sub), &invalid)
	assert.Equal(t, "ordering.skip_after_seconds", invalid.Problems[0].Field)
}

type plainStore struct{ webhook.Store }

func (s plainStore) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Ordering = nil
	return c
}

// A subject that fails for days, with 10,000 events that wait, slows down neither other subjects of
// the same endpoint nor those of others.
func TestASubjectThatFailsForDaysSlowsDownNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a second")
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLines(t, dispatch.Config{}, webhook.Ordering{})
		l.run(t)
		l.fail("evt_slow_0", status(404))
		for waiting := range slices.Chunk(ids("slow", 10_000), 500) {
			var events []*event.Event
			for _, id := range waiting {
				events = append(events, l.about("slow", id))
			}
			require.NoError(t, errorOf(l.Emit(t.Context(), events...)))
		}
		elapse(48 * time.Hour)
		require.Empty(t, l.got("slow"))
		began := time.Now()
		want := ids("fast", 500)
		for _, id := range want {
			l.emitAbout(t, "fast", id)
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		assert.Equal(t, want, l.got("fast"))
		assert.Less(t, time.Since(began), 6*time.Second)
	})
}
