package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// tailStore counts what the readers of a store cost, and fails on demand.
type tailStore struct {
	webhook.Store
	webhook.TailStore
	tails, news atomic.Int64
	failing     atomic.Bool
	hangs       atomic.Int64  // how many calls of Tail end with their context only
	held        atomic.Int64  // since when, in microseconds
	emptyTakes  time.Duration // of a page without records, of which there is no end; 0 is none such
	endTakes    time.Duration
	setTakes    time.Duration // of SetPosition
}

func newTailStore() *tailStore {
	s := memstore.New()
	return &tailStore{Store: s, TailStore: s}
}

func (s *tailStore) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Tail = s
	return c
}

func (s *tailStore) Tail(ctx context.Context, q webhook.TailQuery) (webhook.TailPage, error) {
	s.tails.Add(1)
	if s.hangs.Add(-1) >= 0 {
		<-ctx.Done()
		return webhook.TailPage{}, ctx.Err()
	}
	if s.emptyTakes > 0 {
		time.Sleep(s.emptyTakes)
		return webhook.TailPage{Next: q.After + 1, More: true}, nil
	}
	return s.TailStore.Tail(ctx, q)
}

func (s *tailStore) TailEnd(ctx context.Context) (webhook.TailEnd, error) {
	time.Sleep(s.endTakes)
	return s.TailStore.TailEnd(ctx)
}

func (s *tailStore) SetPosition(
	ctx context.Context, now time.Time, organizationID, id string, p webhook.NamedPosition,
) (webhook.NamedPosition, error) {
	time.Sleep(s.setTakes)
	return s.TailStore.SetPosition(ctx, now, organizationID, id, p)
}

func (s *tailStore) TailNews(
	ctx context.Context, after webhook.Position,
) (webhook.TailNews, error) {
	s.news.Add(1)
	if s.failing.Load() {
		return webhook.TailNews{}, webhook.ErrUnavailable
	}
	n, err := s.TailStore.TailNews(ctx, after)
	if us := s.held.Load(); us > 0 {
		n.HeldSince = time.UnixMicro(us)
	}
	return n, err
}

// tailFixture is a Dispatcher that delivers nothing, with subscriptions of two organizations.
type tailFixture struct {
	t     *testing.T
	d     *dispatch.Dispatcher
	store *tailStore
	n     int
}

func newTailFixture(t *testing.T, cfg dispatch.Config) *tailFixture {
	t.Helper()
	f := &tailFixture{t: t, store: newTailStore()}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	f.d = f.process(cfg)
	return f
}

// process is another process on the store.
func (f *tailFixture) process(cfg dispatch.Config) *dispatch.Dispatcher {
	f.t.Helper()
	d, err := dispatch.New(f.store, cfg)
	require.NoError(f.t, err)
	return d
}

func (f *tailFixture) subscribe(organizationID string, channels int) string {
	f.t.Helper()
	sub := &webhook.Subscription{OrganizationID: organizationID, Name: "tailed",
		EventTypes: []event.Pattern{event.MatchAll}}
	for i := range channels {
		sub.Channels = append(sub.Channels, webhook.ChannelConfig{Channel: "webhook",
			Configs: fmt.Appendf(nil, `{"url":"https://example.com/%d"}`, i)})
	}
	require.NoError(f.t, f.d.CreateSubscription(f.t.Context(), sub))
	return sub.ID
}

// emit publishes an event of the organization, and returns its id.
func (f *tailFixture) emit(d *dispatch.Dispatcher, organizationID string) string {
	f.t.Helper()
	f.n++
	e := event.New("order.paid", event.Subject{Type: "order", ID: "o_1"})
	e.ID, e.OrganizationID = fmt.Sprint("evt_", f.n), organizationID
	require.NoError(f.t, errorOf(d.Emit(f.t.Context(), e)))
	return e.ID
}

// follow tails in a goroutine, until the bubble's test ends.
func (f *tailFixture) follow(q webhook.TailQuery) chan string {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	ids, done := make(chan string, 1000), make(chan struct{})
	go func() {
		defer close(done)
		for r, err := range f.d.Tail(ctx, q) {
			if err != nil {
				ids <- err.Error()
				return
			}
			ids <- r.Delivery.EventID
		}
	}()
	f.t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return ids
}

// taken returns what has come so far.
func taken(ids chan string) []string {
	synctest.Wait()
	all := []string{}
	for len(ids) > 0 {
		all = append(all, <-ids)
	}
	return all
}

func TestTailGoesOnLive(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		sub, quiet := f.subscribe("org_a", 2), f.subscribe("org_b", 1)
		first := f.emit(f.d, "org_a")
		ids := f.follow(webhook.TailQuery{OrganizationID: "org_a", SubscriptionID: sub})
		others := f.follow(webhook.TailQuery{OrganizationID: "org_b", SubscriptionID: quiet})
		require.Equal(t, []string{first}, taken(ids), "what is stored comes at once")

		time.Sleep(time.Hour)
		second := f.emit(f.d, "org_a")
		time.Sleep(50 * time.Millisecond)
		require.Equal(t, []string{second}, taken(ids), "what this process emits comes within 50 ms")

		time.Sleep(time.Hour + 100*time.Millisecond) // not at the moment of a poll
		peer := f.process(dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
		third := f.emit(peer, "org_a")
		require.Empty(t, taken(ids))
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, []string{third}, taken(ids), "what another emits comes within PollInterval")
		require.Empty(t, taken(others))
	})
}

// Queries that the store never answers do not keep all other readers out for good, and end no tail.
func TestTailOutlivesAStoreThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		f.store.hangs.Store(8) // as many as may read at once
		var tails []chan string
		for i := range 10 {
			organization := fmt.Sprint("org_", i)
			f.subscribe(organization, 1)
			f.emit(f.d, organization)
			tails = append(tails, f.follow(webhook.TailQuery{OrganizationID: organization}))
		}
		time.Sleep(31 * time.Second)
		for i, ids := range tails {
			require.Equal(t, []string{fmt.Sprint("evt_", i+1)}, taken(ids))
		}
	})
}

// A reader is told that the store does not answer, and can go on.
func TestTailReaderGoesOnAfterAStoreThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		sub := f.subscribe("org_a", 1)
		f.emit(f.d, "org_a")
		f.store.hangs.Store(1)
		r, err := f.d.OpenTail(webhook.TailQuery{OrganizationID: "org_a", SubscriptionID: sub})
		require.NoError(t, err)
		defer r.Close()
		_, err = r.Next(t.Context(), 0)
		require.ErrorIs(t, err, webhook.ErrUnavailable)
		page, err := r.Next(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, page.Records, 1)
	})
}

// TestTailNeitherMissesNorRepeats emits all the time, while readers begin and end.
func TestTailNeitherMissesNorRepeats(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		sub := f.subscribe("org_a", 2)
		f.subscribe("org_b", 1)
		peer := f.process(dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
		var want []string
		var tails []chan string
		for i := range 200 {
			d := []*dispatch.Dispatcher{f.d, peer}[i%2]
			want = append(want, f.emit(d, "org_a"))
			f.emit(d, "org_b")
			if i%20 == 0 {
				q := webhook.TailQuery{OrganizationID: "org_a", Limit: 1 + i%3}
				if i%40 == 0 {
					q.SubscriptionID = sub
				}
				tails = append(tails, f.follow(q))
			}
			time.Sleep(time.Duration(i*7%90) * time.Millisecond)
		}
		time.Sleep(time.Second)
		for _, ids := range tails {
			require.Equal(t, want, taken(ids))
		}
	})
}

// TestTailOfResults reads what becomes of deliveries while it happens, in the process that makes the
// attempts and in another one.
func TestTailOfResults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		b := newBench(t, dispatch.Config{Retry: dispatch.RetrySchedule{time.Minute}},
			func(context.Context, *channel.Message) (channel.Result, error) {
				if attempts.Add(1) == 1 {
					return channel.Result{}, &channel.Error{Action: channel.Retry, Class: channel.ClassStatus}
				}
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		peer, err := dispatch.New(b.store, dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var followers sync.WaitGroup
		follow := func(d *dispatch.Dispatcher) chan string {
			got := make(chan string, 100)
			followers.Go(func() {
				for r, err := range d.Tail(ctx, webhook.TailQuery{Results: true}) {
					switch {
					case err != nil:
						got <- err.Error()
						return
					case r.Result.Attempt != nil:
						got <- fmt.Sprint(r.Result.Status, r.Result.Attempt.Number)
					default:
						got <- fmt.Sprint(r.Result.Status, 0)
					}
				}
			})
			return got
		}
		mine, theirs := follow(b.Dispatcher), follow(peer)
		defer followers.Wait()
		defer cancel()
		time.Sleep(time.Minute + 100*time.Millisecond) // not at the moment of a poll
		b.emit(t, event.ObjectCreated)
		time.Sleep(50 * time.Millisecond)
		require.Equal(t, []string{"pending1"}, taken(mine), "what this process stores comes within 50 ms")
		require.Empty(t, taken(theirs))
		time.Sleep(450 * time.Millisecond)
		require.Equal(t, []string{"pending1"}, taken(theirs), "what others store within PollInterval")
		time.Sleep(2 * time.Minute)
		require.Equal(t, []string{"succeeded2"}, taken(mine))
		require.NoError(t, b.Replay(t.Context(), "", b.only(t).ID))
		time.Sleep(time.Second)
		require.Equal(t, []string{"pending0", "succeeded3"}, taken(mine))
		require.Equal(t, []string{"succeeded2", "pending0", "succeeded3"}, taken(theirs))
	})
}

func TestTailCost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		f.subscribe("org_a", 1)
		for range 100 {
			f.follow(webhook.TailQuery{OrganizationID: "org_a"})
		}
		time.Sleep(time.Minute)
		f.store.tails.Store(0)
		f.store.news.Store(0)
		f.subscribe("org_b", 1)
		for range 60 {
			f.emit(f.process(dispatch.Config{Logger: slog.New(slog.DiscardHandler)}), "org_b")
			time.Sleep(time.Second)
		}
		require.Zero(t, f.store.tails.Load(), "others' events make no reader read")
		require.LessOrEqual(t, f.store.news.Load(), int64(121),
			"a process asks once each PollInterval, however many readers it has")
	})
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		f.subscribe("org_a", 1)
		r, err := f.d.OpenTail(webhook.TailQuery{OrganizationID: "org_a"})
		require.NoError(t, err)
		require.NoError(t, errorOf(r.Next(t.Context(), time.Second)))
		r.Close()
		r.Close()
		synctest.Wait()
		f.store.news.Store(0)
		time.Sleep(time.Hour)
		require.Zero(t, f.store.news.Load(), "without readers nothing is asked")
	})
}

// TestTailPosition reads by pages: the position moves on although nothing comes.
func TestTailPosition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		f.subscribe("org_a", 1)
		f.subscribe("org_b", 1)
		r, err := f.d.OpenTail(webhook.TailQuery{OrganizationID: "org_a"})
		require.NoError(t, err)
		defer r.Close()
		page, err := r.Next(t.Context(), 15*time.Second)
		require.NoError(t, err)
		require.Empty(t, page.Records)
		for range 3 {
			f.emit(f.d, "org_b")
			began, before := time.Now(), r.Position()
			page, err = r.Next(t.Context(), 15*time.Second)
			require.NoError(t, err)
			require.Empty(t, page.Records)
			require.Equal(t, 15*time.Second, time.Since(began))
			require.Greater(t, page.Next, before)
			require.Equal(t, page.Next, r.Position())
		}
		reads := f.store.tails.Load()
		id := f.emit(f.d, "org_a")
		page, err = r.Next(t.Context(), 15*time.Second)
		require.NoError(t, err)
		require.Len(t, page.Records, 1)
		require.Equal(t, id, page.Records[0].Delivery.EventID)
		require.Equal(t, reads+1, f.store.tails.Load())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = r.Next(ctx, dispatch.Forever)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestTailDuringAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		f.subscribe("org_a", 1)
		ids := f.follow(webhook.TailQuery{OrganizationID: "org_a"})
		time.Sleep(time.Second)
		f.store.failing.Store(true)
		want := []string{f.emit(f.d, "org_a")}
		time.Sleep(time.Minute)
		require.Empty(t, taken(ids), "a reader that waits does not end with an outage")
		want = append(want, f.emit(f.d, "org_a"))
		f.store.failing.Store(false)
		time.Sleep(10 * time.Second)
		require.Equal(t, want, taken(ids))
	})
}

// TestTailBeginsSlowly emits between the first page of a reader and the first look of the process.
func TestTailBeginsSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		f.store.endTakes = time.Second
		f.subscribe("org_a", 1)
		ids := f.follow(webhook.TailQuery{OrganizationID: "org_a"})
		id := f.emit(f.process(dispatch.Config{Logger: slog.New(slog.DiscardHandler)}), "org_a")
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{id}, taken(ids))
	})
}

// TestTailThatSelectsNothing has a filter select nothing of all that is stored.
func TestTailThatSelectsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		f.store.emptyTakes = 100 * time.Millisecond
		r, err := f.d.OpenTail(webhook.TailQuery{OrganizationID: "org_a"})
		require.NoError(t, err)
		defer r.Close()
		start := time.Now()
		page, err := r.Next(t.Context(), 0)
		require.NoError(t, err)
		require.Equal(t, webhook.TailPage{Next: 8, More: true}, page, "the caller goes on from there")
		require.Equal(t, 800*time.Millisecond, time.Since(start))
		page, err = r.Next(t.Context(), 2*time.Second)
		require.NoError(t, err)
		require.True(t, page.More)
		require.GreaterOrEqual(t, time.Since(start), 2800*time.Millisecond, "it waits for that time")
		require.Less(t, time.Since(start), 3*time.Second)
	})
}

func TestTailHeldIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lines lineCounter
		f := newTailFixture(t, dispatch.Config{Logger: slog.New(&lines)})
		f.subscribe("org_a", 1)
		f.follow(webhook.TailQuery{OrganizationID: "org_a"})
		f.store.held.Store(time.Now().UnixMicro())
		time.Sleep(59 * time.Second)
		require.Zero(t, lines.Load())
		time.Sleep(2*time.Minute + 2*time.Second)
		require.EqualValues(t, 3, lines.Load(), "an open transaction is logged once a minute")
	})
}

// lineCounter counts lines of a log at Warn.
type lineCounter struct{ atomic.Int64 }

func (c *lineCounter) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (c *lineCounter) Handle(context.Context, slog.Record) error    { c.Add(1); return nil }
func (c *lineCounter) WithAttrs([]slog.Attr) slog.Handler           { return c }
func (c *lineCounter) WithGroup(string) slog.Handler                { return c }

func TestTailLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{Tails: dispatch.TailLimits{PerOrganization: 2, All: 3}})
		open := func(organizationID string) (*dispatch.TailReader, error) {
			return f.d.OpenTail(webhook.TailQuery{OrganizationID: organizationID})
		}
		first, err := open("org_a")
		require.NoError(t, err)
		second, err := open("org_a")
		require.NoError(t, err)
		defer second.Close()
		for range 2 {
			_, err = open("org_a")
			var limit *webhook.LimitError
			require.ErrorAs(t, err, &limit)
			require.Equal(t, "tails", limit.Limit)
			require.Equal(t, 2, limit.Max)
			require.Positive(t, limit.RetryAfter)
		}
		third, err := open("org_b")
		require.NoError(t, err)
		defer third.Close()
		_, err = open("org_c")
		require.ErrorIs(t, err, webhook.ErrLimit)
		first.Close()
		fourth, err := open("org_c")
		require.NoError(t, err, "a reader that ended makes room")
		fourth.Close()
	})
}

func TestTailRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTailFixture(t, dispatch.Config{})
		sub := f.subscribe("org_a", 1)
		_, err := f.d.OpenTail(webhook.TailQuery{OrganizationID: "a\x00", SubscriptionID: "\xff",
			EventTypes: []event.Pattern{"a.b", "a.*.b"}, After: -1})
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid)
		fields := []string{}
		for _, p := range invalid.Problems {
			fields = append(fields, p.Field)
		}
		require.Equal(t, []string{"OrganizationID", "SubscriptionID", "EventTypes[1]", "After"}, fields)

		ids := f.follow(webhook.TailQuery{OrganizationID: "org_a", After: 1 << 40})
		require.Equal(t, []string{webhook.ErrPosition.Error()}, taken(ids))

		_, err = f.d.Acknowledge(t.Context(), "org_a", sub, "No Name", 0)
		require.ErrorAs(t, err, &invalid)
		_, err = f.d.Acknowledge(t.Context(), "org_b", sub, "name", 0)
		require.ErrorIs(t, err, webhook.ErrNotFound)
	})
	none, err := dispatch.New(withoutTail{memstore.New()}, dispatch.Config{})
	require.NoError(t, err)
	for _, err := range none.Tail(t.Context(), webhook.TailQuery{}) {
		require.ErrorIs(t, err, dispatch.ErrNoTail)
	}
	require.ErrorIs(t, errorOf(none.Positions(t.Context(), "", "wh_1")), dispatch.ErrNoTail)
	require.ErrorIs(t, errorOf(none.Acknowledge(t.Context(), "", "wh_1", "a", 0)), dispatch.ErrNoTail)
	require.ErrorIs(t, none.DeletePosition(t.Context(), "", "wh_1", "a"), dispatch.ErrNoTail)
	_, err = dispatch.New(memstore.New(), dispatch.Config{Tails: dispatch.TailLimits{All: -1}})
	require.ErrorContains(t, err, "Tails.All")
}

type withoutTail struct{ webhook.Store }

func (withoutTail) Capabilities() webhook.Capabilities { return webhook.Capabilities{} }

// TestAcknowledgeTakesTurns checks that an organization that acknowledges without end does not hold
// up the others.
func TestAcknowledgeTakesTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTailStore()
		s.setTakes = time.Second
		d, err := dispatch.New(s, dispatch.Config{Channels: channel.NewRegistry()})
		require.NoError(t, err)
		acknowledge := func(organizationID string) {
			_, err := d.Acknowledge(t.Context(), organizationID, "wh", "reader", 0)
			require.ErrorIs(t, err, webhook.ErrNotFound)
		}
		var calls sync.WaitGroup
		began := time.Now()
		for range 10 {
			calls.Go(func() { acknowledge("org_a") })
		}
		synctest.Wait()
		acknowledge("org_b")
		require.LessOrEqual(t, time.Since(began), 3*time.Second)
		calls.Wait()
		require.Equal(t, 11*time.Second, time.Since(began), "one writes at a time")
	})
}

// TestTailNewsWhenTheWaitEnds has what another process emits become news at the very instant at
// which a reader has waited long enough.
func TestTailNewsWhenTheWaitEnds(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		const interval = time.Second
		f := newTailFixture(t, dispatch.Config{PollInterval: interval})
		other := f.process(dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
		sub := f.subscribe("org_a", 1)
		r, err := f.d.OpenTail(webhook.TailQuery{OrganizationID: "org_a", SubscriptionID: sub})
		require.NoError(t, err)
		defer r.Close()
		late := 0
		for range 500 {
			id := f.emit(other, "org_a")
			page, err := r.Next(t.Context(), interval) // from one query for news to the next
			require.NoError(t, err)
			if len(page.Records) == 0 {
				late++
				f.emit(other, "org_b") // news for others
				page, err = r.Next(t.Context(), 3*interval)
				require.NoError(t, err)
			}
			require.Len(t, page.Records, 1)
			require.Equal(t, id, page.Records[0].Delivery.EventID)
		}
		t.Log("waits that ended before a record came:", late)
	})
}
