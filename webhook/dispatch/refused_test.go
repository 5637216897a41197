package dispatch_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// An endpoint cannot take events of one type, and takes all others. One of the
// others must not wait for those to be given up, however many they are.
func TestRefusedEventsDoNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	timeout := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		<-ctx.Done()
		return channel.ContextError(ctx)
	}
	answers := func(code int) func(context.Context) error {
		return func(context.Context) error { return status(code) }
	}
	type poison struct {
		name   string
		events int
		answer func(context.Context) error
	}
	var cases []poison
	numbers, codes := []int{5, 20, 60}, []int{400, 401, 404, 405, 413, 415, 422}
	if testing.Short() {
		numbers, codes = numbers[2:], codes[6:]
	}
	for _, code := range codes {
		cases = append(cases, poison{fmt.Sprintf("20 answered %d", code), 20, answers(code)})
	}
	for _, events := range numbers {
		cases = append(cases, poison{fmt.Sprintf("%d rejected", events), events,
			func(context.Context) error {
				return &channel.Error{Class: channel.ClassRejected, StatusCode: 200}
			}})
	}
	cases = append(cases, poison{"5 answered 500", 5, answers(500)}, poison{"5 time out", 5, timeout})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				arrived := make(map[string]time.Time)
				b := newBench(t, dispatch.Config{PollInterval: slowPoll},
					func(ctx context.Context, m *channel.Message) (channel.Result, error) {
						if m.EventType == "report.created" {
							return channel.Result{}, c.answer(ctx)
						}
						mu.Lock()
						defer mu.Unlock()
						arrived[m.EventID] = time.Now()
						return channel.Result{StatusCode: 200}, nil
					})
				b.subscribe(t, "*")
				b.run(t)
				for range c.events {
					b.emit(t, "report.created")
				}
				var worst time.Duration
				for range 60 {
					elapse(time.Minute)
					sent := time.Now()
					e := b.emit(t, event.ObjectCreated)
					elapse(20 * time.Second)
					at, ok := arrived[e.ID]
					assert.True(t, ok, "an event that the endpoint takes is held up by those that it does not")
					worst = max(worst, at.Sub(sent))
				}
				assert.Zero(t, worst, "in virtual time it goes out at once")
			})
		})
	}
}

// An endpoint has failed for so many deliveries that it is only probed now. Those
// fail again and again; what was never attempted goes before them, with a pause
// of its own. No endpoint becomes degraded here: then the store decides what is probed.
func TestAProbeTakesWhatWasNeverAttempted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	if testing.Short() {
		t.Skip("takes hours of virtual time")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var arrived []string
		attempts := 0
		cfg := dispatch.Config{PollInterval: 10 * time.Second,
			Lifecycle: dispatch.Lifecycle{DegradedAfter: dispatch.Never}}
		b := newBench(t, cfg,
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				if m.EventType == "report.created" {
					attempts++
					return channel.Result{}, status(500)
				}
				arrived = append(arrived, m.EventID)
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		for range 30 {
			b.emit(t, "report.created")
		}
		elapse(30 * time.Minute)
		assert.Less(t, attempts, 90, "it is probed once a minute in the end")
		for range 3 {
			var sent []string
			mu.Lock()
			arrived = nil
			mu.Unlock()
			for range 5 {
				sent = append(sent, b.emit(t, event.ObjectCreated).ID)
			}
			elapse(time.Second)
			mu.Lock()
			// Once the probe has been answered, several attempts are under way at once.
			assert.ElementsMatch(t, sent, arrived, "all of them, with the next poll at the latest")
			assert.Equal(t, sent[:1], arrived[:min(1, len(arrived))], "the probe is the oldest")
			mu.Unlock()
			elapse(time.Hour)
		}
	})
}

// An endpoint that refuses one type of event, and takes the others, is named with the type, from
// then on and not when the first delivery is dead.
func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{Retry: dispatch.RetrySchedule{time.Hour}},
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				switch m.EventType {
				case "report.created":
					return channel.Result{}, status(422)
				case "report.deleted":
					return channel.Result{}, status(503)
				}
				return channel.Result{StatusCode: 200}, nil
			})
		sub := b.subscribe(t, "*")
		stop := b.run(t)
		look := func() dispatch.Refusals {
			found, err := b.Refusals(t.Context(), "", sub.ID)
			require.NoError(t, err)
			return found
		}
		assert.Zero(t, look())
		b.emit(t, event.ObjectCreated)
		b.emit(t, "report.deleted") // a failure of the endpoint as a whole refuses nothing
		elapse(time.Second)
		assert.Equal(t, dispatch.Refusals{LookedAt: 2}, look())

		var refused []*event.Event
		for range 3 {
			refused = append(refused, b.emit(t, "report.created"))
		}
		elapse(time.Second)
		found := look()
		require.Len(t, found.Types, 1)
		r := found.Types[0]
		assert.Equal(t, 5, found.LookedAt)
		assert.Equal(t, []any{"report.created", 3, 3, sub.ID, sub.ChannelKeys()[0], 422},
			[]any{r.EventType, r.Refused, r.Attempted, r.SubscriptionID, r.Channel, r.Attempt.StatusCode})
		d, err := b.Delivery(t.Context(), "", r.DeliveryID)
		require.NoError(t, err)
		assert.Equal(t, webhook.StatusPending, d.Status, "nothing has died yet")
		assert.Contains(t, []string{refused[0].ID, refused[1].ID, refused[2].ID}, d.EventID)

		for range 200 { // more than are looked at: what waits longest is found nevertheless
			b.emit(t, event.ObjectCreated)
		}
		elapse(time.Second)
		found = look()
		assert.Equal(t, 104, found.LookedAt, "a bounded number, and each once")
		require.Len(t, found.Types, 1)
		assert.Equal(t, 3, found.Types[0].Refused)

		stop()
		time.Sleep(25 * time.Hour)
		assert.Zero(t, look(), "what was refused a day ago may be repaired")

		_, err = b.Refusals(t.Context(), "other", sub.ID)
		assert.ErrorIs(t, err, webhook.ErrNotFound)
	})
}

// Those that are dead at once count too, and each channel of a subscription by itself.
func TestRefusalsOfDeadDeliveries(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{},
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				if m.EventType == "report.created" {
					return channel.Result{}, &channel.Error{Action: channel.Permanent,
						Class: channel.ClassTemplate}
				}
				return channel.Result{StatusCode: 200}, nil
			})
		sub := b.subscribe(t, "*")
		sub.Channels = append(sub.Channels, sub.Channels[0])
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		b.run(t)
		b.emit(t, "report.created")
		elapse(time.Second)
		for range 200 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(time.Second)
		found, err := b.Refusals(t.Context(), "", sub.ID)
		require.NoError(t, err)
		require.Len(t, found.Types, 2)
		for i, key := range sub.ChannelKeys() {
			r := found.Types[i]
			assert.Equal(t, []any{key, 1, 1, "template"},
				[]any{r.Channel, r.Refused, r.Attempted, r.Attempt.Class})
		}
	})
}

// The type of the latest failure is suggested for a test, as long as the subscription gets it.
func TestLastFailedType(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{Retry: dispatch.RetrySchedule{time.Hour}},
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				switch m.EventType {
				case "report.created":
					return channel.Result{}, status(422)
				case "report.deleted":
					return channel.Result{}, &channel.Error{Action: channel.Permanent}
				}
				return channel.Result{StatusCode: 200}, nil
			})
		sub := b.subscribe(t, "*")
		want := func(eventType string) {
			t.Helper()
			got, err := b.LastFailedType(t.Context(), sub)
			require.NoError(t, err)
			assert.Equal(t, eventType, got)
		}
		for _, step := range []struct{ emitted, suggested string }{
			{event.ObjectCreated, ""},
			{"report.created", "report.created"}, // and will be tried again
			{"report.deleted", "report.deleted"}, // and is dead
			{event.ObjectCreated, "report.deleted"},
		} {
			b.emit(t, step.emitted)
			require.NoError(t, b.Drain(t.Context()))
			want(step.suggested)
			time.Sleep(time.Second)
		}
		sub.EventTypes = []event.Pattern{"object.*", "report.created"}
		want("report.created")
	})
}
