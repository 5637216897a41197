package inbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/inbox"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

func TestAcknowledgesWhatIsStoredAndHandlesItLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, h := memstore.New(), &handled{}
		in := newInbox(t, store, h.HandleEvent)
		rcv := mount(t, in)

		require.Equal(t, http.StatusOK, post(rcv, envelope(t, "evt_1")))
		require.Empty(t, h.ids(), "nothing runs it yet")
		list := deliveries(t, in)
		require.Len(t, list, 1)
		assert.Equal(t, webhook.StatusPending, list[0].Status)
		assert.Equal(t, "evt_1", list[0].EventID)
		assert.Equal(t, event.ObjectCreated, list[0].EventType)

		run(t, in)
		synctest.Wait()
		assert.Equal(t, []string{"evt_1"}, h.ids())
		assert.Equal(t, webhook.StatusSucceeded, deliveries(t, in)[0].Status)

		// New events do not wait for the next poll.
		require.Equal(t, http.StatusOK, post(rcv, envelope(t, "evt_2")))
		synctest.Wait()
		assert.Equal(t, []string{"evt_1", "evt_2"}, h.ids())
	})
}

// The answer does not wait for the handler.
func TestAcknowledgesWhileTheHandlerWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInbox(t, memstore.New(), func(ctx context.Context, _ *event.Event) error {
			select {
			case <-time.After(20 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		run(t, in)
		start := time.Now()
		require.Equal(t, http.StatusOK, post(mount(t, in), envelope(t, "evt_1")))
		assert.Zero(t, time.Since(start))
		synctest.Wait()
		assert.Equal(t, webhook.StatusInFlight, deliveries(t, in)[0].Status)
		time.Sleep(21 * time.Second)
		synctest.Wait()
		assert.Equal(t, webhook.StatusSucceeded, deliveries(t, in)[0].Status)
	})
}

// All events that a receiver accepts reach the handler as the receiver decoded them.
func TestHandlerGetsTheEventAsItWasReceived(t *testing.T) {
	t.Parallel()
	custom := func(e event.Event) func(*receiver.Config) {
		return func(c *receiver.Config) {
			c.Decode = func(http.Header, []byte) (*event.Event, error) { return &e, nil }
		}
	}
	for name, tc := range map[string]struct {
		body     string
		change   func(*receiver.Config)
		wantType string // in the history
		ownID    bool   // in the history too
	}{
		"complete": {body: envelope(t, "evt_1"), wantType: "object.created", ownID: true},
		"namespace_id only, without actor and version": {
			body:     `{"event_id":"evt_1","event_type":"object.created","occurred_at":"2025-10-08T16:09:00Z","namespace_id":"ns_1","subject":{"type":"object","id":"obj_1"},"cache_scope":{"scope":"namespace","namespace_id":"ns_1"}}`,
			wantType: "object.created", ownID: true,
		},
		"all that is optional": {
			body:     `{"event_id":"evt_1","event_type":"object.created","occurred_at":"2025-10-08T16:09:00.123456789Z","namespace":"acme","collection":"c","actor":"usr_1","subject":{"type":"object","id":"obj_1","x":[1]},"version":"v1","index_signature":"sig","cache_scope_to_invalidate":{"scope":"key","keys":["a"],"y":null},"metadata":{"n":1.50,"big":12345678901234567890,"s":"<&>\u0000","nil":null},"received":{"event_id":"evt_other"},"z":"extra"}`,
			wantType: "object.created", ownID: true,
		},
		"partial": {
			body:     `{"event_id":"evt_1","event_type":"object.created"}`,
			wantType: "object.created", ownID: true,
		},
		"unknown version": {
			body:     `{"event_id":"evt_1","event_type":"object.created","version":"v9","namespace":"acme"}`,
			wantType: "object.created", ownID: true,
		},
		"id and type of another kind": {
			body:     `{"event_id":"550e8400-e29b-41d4-a716-446655440000","event_type":"Push"}`,
			wantType: "inbox.received",
		},
		"empty": {body: `{}`, change: custom(event.Event{}), wantType: "inbox.received"},
		"from a decoder": {
			body: `[1]`,
			change: custom(event.Event{Type: "payment_intent.succeeded",
				Metadata: map[string]any{"amount": json.Number("5")}}),
			wantType: "payment_intent.succeeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var want *event.Event
				h := &handled{}
				in := newInbox(t, memstore.New(), h.HandleEvent)
				run(t, in)
				require.Equal(t, http.StatusOK, post(mount(t, in, func(c *receiver.Config) {
					if tc.change != nil {
						tc.change(c)
					}
					c.Hooks.OnResult = func(r receiver.Result) { want = r.Delivery.Event }
				}), tc.body))
				synctest.Wait()

				require.Len(t, h.events, 1)
				assert.Equal(t, want, h.events[0])
				list := deliveries(t, in)
				require.Len(t, list, 1)
				assert.Equal(t, tc.wantType, list[0].EventType)
				assert.Equal(t, tc.ownID, list[0].EventID == want.ID, list[0].EventID)
			})
		})
	}
}

func TestOrganizationsStayOutOfTheHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &handled{}
		in := newInbox(t, memstore.New(), h.HandleEvent)
		run(t, in)
		e := newEvent("evt_1")
		e.OrganizationID = "org_1"
		require.NoError(t, in.HandleEvent(t.Context(), e))
		synctest.Wait()
		require.Len(t, h.events, 1)
		assert.Empty(t, h.events[0].OrganizationID)
		assert.Equal(t, "org_1", e.OrganizationID, "the caller's event is not changed")
		assert.Len(t, deliveries(t, in), 1)
	})
}

// An event that the receiver does not remember is not stored again.
func TestStoresAnEventOnce(t *testing.T) {
	t.Parallel()
	custom := func(c *receiver.Config) {
		c.Decode = func(http.Header, []byte) (*event.Event, error) {
			return &event.Event{Type: "push"}, nil
		}
	}
	for name, tc := range map[string]struct {
		bodies []string
		change func(*receiver.Config)
	}{
		"by the event's id": {bodies: []string{envelope(t, "evt_1"), envelope(t, "evt_2")}},
		"by an id of any form": {bodies: []string{`{"event_id":"1","event_type":"a.b"}`,
			`{"event_id":"2","event_type":"a.b"}`}},
		"by the body": {bodies: []string{`{"event_type":"object.created"}`,
			`{"event_type":"object.deleted"}`}},
		"by the body, if equal": {bodies: []string{`{"n":1}`, `{"n":2}`}, change: custom},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, h := memstore.New(), &handled{}
				in := newInbox(t, store, h.HandleEvent)
				run(t, in)
				synctest.Wait() // until Run takes what is emitted
				for range 3 {
					var changes []func(*receiver.Config)
					if tc.change != nil {
						changes = append(changes, tc.change)
					}
					restarted := mount(t, in, changes...)
					for _, body := range tc.bodies {
						require.Equal(t, http.StatusOK, post(restarted, body))
					}
					synctest.Wait()
				}
				assert.Len(t, h.ids(), len(tc.bodies))
				assert.Len(t, deliveries(t, in), len(tc.bodies))
			})
		})
	}
}

// Without a receiver, an event without an id is identified by its content.
func TestEventsThatComeByOtherWays(t *testing.T) {
	t.Parallel()
	in := newInbox(t, memstore.New(), (&handled{}).HandleEvent)
	for _, e := range []event.Event{{Type: "object.created"}, {Type: "object.created"},
		{Type: "object.deleted"}} {
		require.NoError(t, in.HandleEvent(t.Context(), &e))
	}
	assert.Len(t, deliveries(t, in), 2)
}

// A body of a third of what can be stored is stored, however much longer its JSON becomes.
func TestStoresWhatBecomesLonger(t *testing.T) {
	t.Parallel()
	in := newInbox(t, memstore.New(), (&handled{}).HandleEvent)
	const before, after = `{"event_id":"evt_1","event_type":"a.b","metadata":{"s":"`, `"}}`
	const size = (dispatch.MaxPayload - 400) / 3
	body := before + strings.Repeat(`\b`, (size-len(before)-len(after))/2) + after
	e, err := event.Decode([]byte(body))
	require.NoError(t, err)
	stored, err := e.MarshalJSON()
	require.NoError(t, err)
	require.Greater(t, len(stored), 3*len(body)-500, "it is about three times as long")
	require.NoError(t, in.HandleEvent(t.Context(), e))
}

// An event that can never be stored is not sent again.
func TestRefusesForGoodWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	deep := `{"event_id":"evt_1","event_type":"a.b","metadata":` + strings.Repeat(`{"a":`,
		event.MaxDepth-2) + `{}` + strings.Repeat(`}`, event.MaxDepth-2) + `}`
	long := `{"event_id":"evt_1","event_type":"a.b","actor":"` + strings.Repeat("x",
		dispatch.MaxPayload-100) + `"}`
	for name, tc := range map[string]struct {
		body   string
		change func(*receiver.Config)
	}{
		"nested too deep": {body: deep},
		"too long":        {body: long},
		"not encodable": {body: `{}`, change: func(c *receiver.Config) {
			c.Decode = func(http.Header, []byte) (*event.Event, error) {
				return &event.Event{Metadata: map[string]any{"c": make(chan int)}}, nil
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var results []receiver.Result
			in := newInbox(t, memstore.New(), (&handled{}).HandleEvent)
			rcv := mount(t, in, func(c *receiver.Config) {
				c.Hooks.OnResult = func(r receiver.Result) { results = append(results, r) }
				if tc.change != nil {
					tc.change(c)
				}
			})
			require.Equal(t, http.StatusOK, post(rcv, tc.body))
			require.Len(t, results, 1)
			assert.Equal(t, receiver.GivenUp, results[0].Outcome)
			var invalid *event.ValidationError
			assert.ErrorAs(t, results[0].Err, &invalid)
			assert.Empty(t, deliveries(t, in))

			require.Equal(t, http.StatusOK, post(rcv, tc.body))
			require.Len(t, results, 2)
			assert.Equal(t, receiver.Duplicate, results[1].Outcome)
		})
	}
}

// While the store fails, the sender gets 503. When it works again, the event is stored.
func TestStoreThatIsDown(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Webhook", "Enqueue"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &handled{}
				store := &failingStore{Store: memstore.New()}
				store.set(method, true)
				in := newInbox(t, store, h.HandleEvent)
				rcv := mount(t, in)
				run(t, in)
				require.Equal(t, http.StatusServiceUnavailable, post(rcv, envelope(t, "evt_1")))
				require.ErrorIs(t, in.HandleEvent(t.Context(), newEvent("evt_1")), errDown)
				store.set(method, false)
				require.Equal(t, http.StatusOK, post(rcv, envelope(t, "evt_1")))
				synctest.Wait()
				assert.Equal(t, []string{"evt_1"}, h.ids())
			})
		})
	}
}

// Storing an event is one write, and only the first one reads from the store.
func TestLooksForItsSubscriptionOnce(t *testing.T) {
	t.Parallel()
	store := &failingStore{Store: memstore.New()}
	in := newInbox(t, store, (&handled{}).HandleEvent)
	require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
	store.set("Webhook", true)
	require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_2")))
}

// Processes that start at the same time create one subscription.
func TestReplicasShareOneSubscription(t *testing.T) {
	t.Parallel()
	store, h := memstore.New(), &handled{}
	var replicas sync.WaitGroup
	for i := range 8 {
		in := newInbox(t, store, h.HandleEvent)
		replicas.Go(func() {
			assert.NoError(t, in.HandleEvent(t.Context(), newEvent(fmt.Sprintf("evt_%d", i))))
		})
	}
	replicas.Wait()
	in := newInbox(t, store, h.HandleEvent)
	assert.Len(t, deliveries(t, in), 8)
	hooks, err := in.Dispatcher().Subscriptions(t.Context(),
		webhook.SubscriptionQuery{OrganizationID: in.OrganizationID()})
	require.NoError(t, err)
	assert.Len(t, hooks, 1)
}

// If another organization has a subscription with the inbox's id, no event is acknowledged,
// because none would be delivered.
func TestSubscriptionOfAnotherOrganization(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	in := newInbox(t, store, (&handled{}).HandleEvent)
	require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
	w, err := in.Dispatcher().Subscriptions(t.Context(),
		webhook.SubscriptionQuery{OrganizationID: in.OrganizationID()})
	require.NoError(t, err)

	taken := memstore.New()
	w[0].OrganizationID = "org_1"
	require.NoError(t, taken.CreateSubscription(t.Context(), w[0], webhook.Quota{}))
	require.ErrorIs(t, newInbox(t, taken, (&handled{}).HandleEvent).HandleEvent(t.Context(),
		newEvent("evt_1")), webhook.ErrNotFound)
}

// A paused inbox stays paused after a restart.
func TestPausedInboxStoresAndWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, h := memstore.New(), &handled{}
		in := newInbox(t, store, h.HandleEvent)
		require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
		setPaused := func(paused bool) {
			hooks, err := in.Dispatcher().Subscriptions(t.Context(),
				webhook.SubscriptionQuery{OrganizationID: in.OrganizationID()})
			require.NoError(t, err)
			require.Len(t, hooks, 1)
			hooks[0].Paused = paused
			require.NoError(t, in.Dispatcher().UpdateSubscription(t.Context(), hooks[0]))
		}
		setPaused(true)

		in = newInbox(t, store, h.HandleEvent) // the restart
		run(t, in)
		require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_2")))
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Empty(t, h.ids())
		setPaused(false)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.ElementsMatch(t, []string{"evt_1", "evt_2"}, h.ids())
	})
}

// An emitter and two inboxes, each with its own Dispatcher, on one store.
func TestSharesItsStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, registry := memstore.New(), channel.NewRegistry()
		var mu sync.Mutex
		var sent []string
		require.NoError(t, registry.Register("print",
			channel.Func(func(_ context.Context, m *channel.Message) (channel.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, m.EventID)
				return channel.Result{}, nil
			})))
		emitter, err := dispatch.New(store, dispatch.Config{Channels: registry, Logger: quiet})
		require.NoError(t, err)
		shared := func(name string) func(*inbox.Config) {
			return func(c *inbox.Config) { c.Name, c.Dispatcher.Channels = name, registry }
		}
		github, stripe := &handled{}, &handled{}
		inGithub := newInbox(t, store, github.HandleEvent, shared("github"))
		inStripe := newInbox(t, store, stripe.HandleEvent, shared("stripe"))
		_, err = inbox.New(store, stripe.HandleEvent,
			inbox.Config{Name: "stripe", Dispatcher: dispatch.Config{Channels: registry}})
		require.ErrorContains(t, err, "stripe")

		require.NoError(t, emitter.CreateSubscription(t.Context(), &webhook.Subscription{
			Name: "all", EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{{Channel: "print", Configs: json.RawMessage(`{}`)}},
		}))
		run(t, emitter)
		run(t, inGithub)
		run(t, inStripe)
		require.NoError(t, errorOf(emitter.Emit(t.Context(), newEvent("evt_1"))))
		require.NoError(t, inGithub.HandleEvent(t.Context(), newEvent("evt_1")))
		require.NoError(t, inStripe.HandleEvent(t.Context(), newEvent("evt_1")))
		require.NoError(t, inStripe.HandleEvent(t.Context(), newEvent("evt_2")))
		time.Sleep(time.Second)
		synctest.Wait()

		assert.Equal(t, []string{"evt_1"}, sent)
		assert.Equal(t, []string{"evt_1"}, github.ids())
		assert.ElementsMatch(t, []string{"evt_1", "evt_2"}, stripe.ids())
		for _, in := range []*inbox.Inbox{inGithub, inStripe} {
			for _, d := range deliveries(t, in) {
				assert.Len(t, d.Attempts, 1, "no Dispatcher without the channel has tried")
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	h := (&handled{}).HandleEvent
	_, err := inbox.New(nil, h, inbox.Config{})
	require.ErrorContains(t, err, "store is nil")
	_, err = inbox.New(memstore.New(), nil, inbox.Config{})
	require.ErrorContains(t, err, "handler is nil")

	_, err = inbox.New(memstore.New(), h, inbox.Config{
		Name: "Git Hub",
		Dispatcher: dispatch.Config{Lease: time.Millisecond,
			Retry: dispatch.ExponentialRetry{MaxAttempts: -1}},
	})
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	fields := []string{}
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{"Name", "Dispatcher.Retry.MaxAttempts", "Dispatcher.Lease"}, fields)
}
