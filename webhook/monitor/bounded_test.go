package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/monitor"
)

// recorder is a Dispatcher that keeps the events, by the organizations that they are about.
type recorder struct {
	mu sync.Mutex
	// broken is the error with which everything about an organization fails; "*" is about all.
	broken map[string]error
	told   map[string][]string
	at     map[string]time.Time // of the last event
}

func newRecorder() *recorder {
	return &recorder{broken: map[string]error{}, told: map[string][]string{}, at: map[string]time.Time{}}
}

func (d *recorder) Emit(_ context.Context, events ...*event.Event) ([]webhook.Emitted, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.broken["*"]; err != nil {
		return nil, err
	}
	for _, e := range events {
		about, _ := e.Metadata["organization_id"].(string)
		d.told[about] = append(d.told[about], e.Type)
		d.at[about] = time.Now()
	}
	return make([]webhook.Emitted, len(events)), nil
}

func (d *recorder) Subscription(
	_ context.Context, organizationID, _ string,
) (*webhook.Subscription, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.broken[organizationID]; err != nil {
		return nil, err
	}
	return nil, webhook.ErrNotFound
}

func (d *recorder) EndpointState(
	_ context.Context, organizationID string, e webhook.Endpoint,
) (webhook.EndpointState, error) {
	return webhook.EndpointState{OrganizationID: organizationID, Endpoint: e, Health: webhook.Degraded,
		FailingSince: failingSince}, nil
}

func (d *recorder) Stats(context.Context) (dispatch.Stats, error) { return dispatch.Stats{}, nil }

func (d *recorder) Deliveries(context.Context, webhook.DeliveryQuery) ([]webhook.Delivery, error) {
	return nil, nil
}

func (d *recorder) breaks(organizationID string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken[organizationID] = err
}

func (d *recorder) toldOf(organizationID string) (types []string, last time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.told[organizationID], d.at[organizationID]
}

var failingSince = time.Date(1999, 12, 28, 0, 0, 0, 0, time.UTC) // four days before a bubble begins

func endpointNumber(i int) webhook.Endpoint {
	return webhook.Endpoint{SubscriptionID: fmt.Sprint("wh_", i), Channel: "webhook"}
}

// attempted is the result of an attempt that is answered 401.
func attempted(organizationID string, i int, eventType string, s webhook.Status) dispatch.Result {
	return dispatch.Result{OrganizationID: organizationID, Endpoint: endpointNumber(i), EventType: eventType,
		Status: s, Attempt: webhook.Attempt{Number: 1, StartedAt: time.Now(), Class: "status",
			StatusCode: 401}}
}

// An organization with more broken endpoints than there is room for keeps no other from being told
// of, whatever it is that breaks.
func TestOneOrganizationLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	changed := func(h dispatch.Hooks, organizationID string, i int) {
		h.HealthChanged(context.Background(), dispatch.HealthChange{After: webhook.EndpointState{
			OrganizationID: organizationID, Endpoint: endpointNumber(i), Health: webhook.Disabled,
			Since: time.Now()}})
	}
	for name, notice := range map[string]func(h dispatch.Hooks, organizationID string, i int){
		monitor.WebhookDisabled: changed,
		monitor.DeliveryDead: func(h dispatch.Hooks, organizationID string, i int) {
			h.Attempted(attempted(organizationID, i, event.ObjectCreated, webhook.StatusDead))
		},
		monitor.WebhookFailing: func(h dispatch.Hooks, organizationID string, i int) {
			start := attempted(organizationID, i, event.ObjectCreated, webhook.StatusPending)
			h.AttemptEnd(context.Background(), dispatch.AttemptEnd{Attempt: start.Attempt, Err: status(500),
				AttemptStart: dispatch.AttemptStart{OrganizationID: organizationID, Endpoint: start.Endpoint,
					EventType: start.EventType, FailingSince: failingSince}})
		},
		monitor.WebhookRefusing: func(h dispatch.Hooks, organizationID string, i int) {
			h.Attempted(attempted(organizationID, i, event.ObjectCreated, webhook.StatusPending))
		},
		"silence": func(h dispatch.Hooks, organizationID string, i int) {
			h.Attempted(attempted(organizationID, i, monitor.DeliveryDead, webhook.StatusPending))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log lockedBuffer
				m, err := monitor.New(monitor.Config{QueueSize: 4, RefusingEvents: 2,
					Logger: slog.New(slog.NewTextHandler(&log, nil))})
				require.NoError(t, err)
				d := newRecorder()
				rounds := 1
				if name == monitor.WebhookRefusing {
					rounds = 2 // an hour apart
				}
				for round := range rounds {
					elapse(time.Duration(round) * time.Hour)
					for i := range 10 {
						notice(m.Hooks(), "large", i)
					}
					notice(m.Hooks(), "small", 0)
				}
				if name == "silence" {
					assert.Zero(t, m.Dropped(), "no event is")
				} else {
					assert.Positive(t, m.Dropped())
				}
				start(t, func(ctx context.Context) error { return m.Run(ctx, d) })
				elapse(31 * time.Second)
				if name == "silence" {
					assert.Contains(t, log.String(), "organization_id=small")
					assert.Contains(t, log.String(), "organization_id=large")
					return
				}
				small, _ := d.toldOf("small")
				assert.Equal(t, []string{name}, small)
				large, _ := d.toldOf("large")
				assert.Len(t, large, 3)
			})
		})
	}
	t.Run("reports that wait", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m, err := monitor.New(monitor.Config{QueueSize: 4, Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			d := newRecorder()
			d.breaks("*", webhook.Unavailable("down"))
			start(t, func(ctx context.Context) error { return m.Run(ctx, d) })
			for i := range 10 {
				changed(m.Hooks(), "large", i)
				elapse(time.Second)
			}
			changed(m.Hooks(), "small", 0)
			elapse(time.Second)
			d.breaks("*", nil)
			elapse(2 * time.Minute)
			small, _ := d.toldOf("small")
			assert.Equal(t, []string{monitor.WebhookDisabled}, small)
			large, _ := d.toldOf("large")
			assert.Len(t, large, 3)
			assert.EqualValues(t, 7, m.Dropped())
		})
	})
}

// An endpoint that has no room is counted as one report, and not once for each of its attempts.
func TestDroppedCountsNoAttempts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		eventType string
		status    webhook.Status
		want      int64 // in an Interval
	}{
		"refusing": {event.ObjectCreated, webhook.StatusPending, 6},
		"dead":     {event.ObjectCreated, webhook.StatusDead, 12}, // they refuse as well
		"silent":   {monitor.DeliveryDead, webhook.StatusPending, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, err := monitor.New(monitor.Config{QueueSize: 4, Logger: slog.New(slog.DiscardHandler)})
				require.NoError(t, err)
				start(t, func(ctx context.Context) error { return m.Run(ctx, newRecorder()) })
				for interval := range int64(3) {
					for range 5 {
						for i := range 10 {
							m.Hooks().Attempted(attempted("large", i, test.eventType, test.status))
						}
						elapse(time.Second)
					}
					assert.Equal(t, (interval+1)*test.want, m.Dropped())
					elapse(25 * time.Second)
				}
			})
		})
	}
}

// Endpoints that refuse everything and were told of make room for others, if there is none.
func TestMoreEndpointsRefuseThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, err := monitor.New(monitor.Config{QueueSize: 4, RefusingEvents: 2,
			Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		d := newRecorder()
		start(t, func(ctx context.Context) error { return m.Run(ctx, d) })
		const organizations = 7
		for range 5 * 60 {
			for i := range organizations {
				m.Hooks().Attempted(attempted(fmt.Sprint("org_", i), 0, event.ObjectCreated,
					webhook.StatusPending))
			}
			elapse(time.Minute)
		}
		for i := range organizations {
			told, _ := d.toldOf(fmt.Sprint("org_", i))
			assert.NotEmpty(t, told, i)
		}
	})
}

// A report that cannot be made for a reason of its own, such as a webhook that cannot be read,
// holds up no other.
func TestAReportThatFailsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		m, err := monitor.New(monitor.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		d := newRecorder()
		d.breaks("sealed", errors.New("the key is missing"))
		start(t, func(ctx context.Context) error { return m.Run(ctx, d) })
		change := func(organizationID string, i int) {
			m.Hooks().HealthChanged(t.Context(), dispatch.HealthChange{After: webhook.EndpointState{
				OrganizationID: organizationID, Endpoint: endpointNumber(i), Health: webhook.Disabled,
				Since: time.Now()}})
		}
		for i := range 20 {
			change("sealed", i)
			elapse(time.Second)
			change("sound", i)
			elapse(0)
			told, last := d.toldOf("sound")
			require.Len(t, told, i+1)
			assert.Equal(t, time.Now(), last)
		}
		elapse(40 * time.Minute)
		told, _ := d.toldOf("sealed")
		assert.Empty(t, told)
		d.breaks("sealed", nil)
		elapse(time.Minute)
		told, _ = d.toldOf("sealed")
		assert.Len(t, told, 20, "each is tried again")
		assert.Zero(t, m.Dropped())
	})
}

// emitter is a recorder whose Emit may fail by the organization that an event is about.
type emitter struct {
	*recorder
	fail func(ctx context.Context, about string) error
}

func (d emitter) Emit(ctx context.Context, events ...*event.Event) ([]webhook.Emitted, error) {
	for _, e := range events {
		about, _ := e.Metadata["organization_id"].(string)
		if err := d.fail(ctx, about); err != nil {
			return nil, err
		}
	}
	return d.recorder.Emit(ctx, events...)
}

// Neither an event that an open transaction has stored nor one that hangs holds up the others each
// time.
func TestAnEventThatCannotBeEmittedHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fail   func(ctx context.Context) error
		within time.Duration
	}{
		"blocked": {func(context.Context) error { return webhook.ErrBlocked }, 0},
		"hangs": {func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, 31 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, err := monitor.New(monitor.Config{Logger: slog.New(slog.DiscardHandler)})
				require.NoError(t, err)
				var ends atomic.Bool
				d := emitter{newRecorder(), func(ctx context.Context, about string) error {
					if about == "bad" && !ends.Load() {
						return test.fail(ctx)
					}
					return nil
				}}
				start(t, func(ctx context.Context) error { return m.Run(ctx, d) })
				begin := time.Now()
				for _, organizationID := range []string{"bad", "sound", "another"} {
					m.Hooks().HealthChanged(t.Context(), dispatch.HealthChange{After: webhook.EndpointState{
						OrganizationID: organizationID, Endpoint: endpointNumber(0), Health: webhook.Disabled,
						Since: time.Now()}})
				}
				elapse(10 * time.Minute)
				for _, organizationID := range []string{"sound", "another"} {
					told, at := d.toldOf(organizationID)
					if assert.Equal(t, []string{monitor.WebhookDisabled}, told, organizationID) {
						assert.LessOrEqual(t, at.Sub(begin), test.within, organizationID)
					}
				}
				ends.Store(true)
				elapse(2 * time.Minute)
				told, _ := d.toldOf("bad")
				assert.Equal(t, []string{monitor.WebhookDisabled}, told)
				assert.Zero(t, m.Dropped())
			})
		})
	}
}
