package isolation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// attack is one way to hurt neighbours.
type attack struct {
	name   string
	victim string // its organization
	begin  func(t *testing.T, w *World)
	after  func(t *testing.T, w *World) // what goes on, once a second
	// store wraps the store, if what the attack takes from others is in it.
	store func(webhook.Store) webhook.Store
}

func silent(host string, timeout int) *Site {
	return &Site{Kind: "silent", HostName: host, Timed: timeout}
}

// attacks returns all ways that are known. A new one that hurts is added here.
func attacks() []attack {
	return []attack{
		{"11 subscriptions of 50 channels hang for 5 minutes", "victim", func(t *testing.T, w *World) {
			for range 11 {
				w.Subscribe(t, "attacker", 50, silent("a.example", 300))
			}
			for range 50 {
				w.EmitKind(t, "attacker", "silent")
			}
		}, nil, nil},
		{"2000 endpoints hang for 10 s, 50 events", "victim", func(t *testing.T, w *World) {
			for i := range 2000 {
				w.Subscribe(t, "attacker", 1, silent(fmt.Sprint("a", i, ".example"), 10))
			}
			for range 50 {
				w.EmitKind(t, "attacker", "silent")
			}
		}, nil, nil},
		fallSilent("a host that 400 organizations use hangs", func(int) Site {
			return Site{Kind: "turns", HostName: "hooks.example", Timed: 10}
		}, 2),
		fallSilent("the hosts of 400 organizations hang", func(i int) Site {
			return Site{Kind: "turns", HostName: fmt.Sprint(i, ".example"), Timed: 30}
		}, 1),
		{"550 silent endpoints in the victim's organization", "one", func(t *testing.T, w *World) {
			for i := range 550 {
				w.Subscribe(t, "one", 1, silent(fmt.Sprint("a", i, ".example"), 30))
			}
			for range 20 {
				w.EmitKind(t, "one", "silent")
			}
		}, func(t *testing.T, w *World) { w.EmitKind(t, "one", "silent") }, nil},
		{"550 endpoints of the victim's organization fall silent", "one", func(t *testing.T, w *World) {
			for i := range 550 {
				w.Subscribe(t, "one", 1, &Site{Kind: "turns", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 30})
			}
			for range 3 {
				w.EmitKind(t, "one", "turns")
				time.Sleep(time.Second)
			}
			w.turned.Store(true)
		}, func(t *testing.T, w *World) { w.EmitKind(t, "one", "turns") }, nil},
		{"2000 endpoints that answered fall silent", "victim", func(t *testing.T, w *World) {
			for i := range 2000 {
				w.Subscribe(t, "attacker", 1, &Site{Kind: "turns", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 300})
			}
			for range 3 {
				w.EmitKind(t, "attacker", "turns")
				time.Sleep(2 * time.Second)
			}
			w.turned.Store(true)
		}, func(t *testing.T, w *World) { w.EmitKind(t, "attacker", "turns") }, nil},
		{"the templates of 100 endpoints burn CPU", "victim", func(t *testing.T, w *World) {
			for i := range 100 {
				w.Subscribe(t, "attacker", 1, &Site{Kind: "burns", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 10})
			}
		}, func(t *testing.T, w *World) { w.EmitKind(t, "attacker", "burns") }, nil},
		{"the templates of 100 organizations burn CPU", "victim", func(t *testing.T, w *World) {
			for i := range 100 {
				w.Subscribe(t, fmt.Sprint("org", i), 1,
					&Site{Kind: "burns", HostName: fmt.Sprint(i, ".example"), Timed: 10})
			}
		}, func(t *testing.T, w *World) {
			for i := range 100 {
				w.EmitKind(t, fmt.Sprint("org", i), "burns")
			}
		}, nil},
		{"the templates of 100 organizations take just under 10 ms", "victim",
			func(t *testing.T, w *World) {
				for i := range 100 {
					w.Subscribe(t, fmt.Sprint("org", i), 1,
						&Site{Kind: "brief", HostName: fmt.Sprint(i, ".example"), Timed: 10})
				}
				for range 5 {
					brief(t, w)
				}
			}, brief, nil},
		{"500 endpoints drip", "victim", func(t *testing.T, w *World) {
			for i := range 10 {
				w.Subscribe(t, "attacker", 50, &Site{Kind: "drips",
					HostName: fmt.Sprint("a", i, ".example"), Timed: 60})
			}
			for range 20 {
				w.EmitKind(t, "attacker", "drips")
			}
		}, func(t *testing.T, w *World) { w.EmitKind(t, "attacker", "drips") }, nil},
		{"events of 200 KB, more than there is memory for", "victim", func(t *testing.T, w *World) {
			for i := range 4 {
				kind := fmt.Sprint("large", i) // events of its own, which take memory of their own
				w.Subscribe(t, "attacker", 1, &Site{Kind: kind, HostName: kind + ".example", Timed: 30})
			}
			for i := range 3 * 4 {
				w.EmitKind(t, "attacker", fmt.Sprint("large", i%4))
				time.Sleep(300 * time.Millisecond)
			}
			for i := range 120 * 4 { // what answers in time may have much in memory
				w.EmitKind(t, "attacker", fmt.Sprint("large", i%4))
			}
		}, nil, nil},
		{"events of 200 KB of 40 organizations", "victim", func(t *testing.T, w *World) {
			for i := range 20 {
				for _, name := range []string{"org", "late"} {
					w.Subscribe(t, fmt.Sprint(name, i), 5,
						&Site{Kind: "large", HostName: fmt.Sprint(name, i, ".example"), Timed: 30})
				}
			}
			for i := range 400 {
				if i == 60 {
					time.Sleep(time.Second)
					w.turned.Store(true)
				}
				w.EmitKind(t, fmt.Sprint("org", i%20), "large")
			}
		}, func(t *testing.T, w *World) {
			for i := range 40 { // they have no backlog yet
				w.EmitKind(t, fmt.Sprint("late", i%20), "large")
			}
		}, nil},
		{"subscriptions with a backlog change all the time", "victim", func(t *testing.T, w *World) {
			for i := range 40 {
				w.Subscribe(t, "attacker", 5, silent(fmt.Sprint("a", i, ".example"), 60))
			}
			for range 50 {
				w.EmitKind(t, "attacker", "silent")
			}
		}, func(t *testing.T, w *World) {
			for range 5 {
				subs, err := w.Subscriptions(t.Context(), webhook.SubscriptionQuery{OrganizationID: "attacker"})
				require.NoError(t, err)
				for _, sub := range subs {
					sub.Paused = !sub.Paused
					require.NoError(t, w.UpdateSubscription(t.Context(), sub))
				}
			}
		}, nil},
		{"500 events a second for endpoints that answer", "victim", func(t *testing.T, w *World) {
			for i := range 4 {
				w.Subscribe(t, "attacker", 1, &Site{Kind: "under", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 10})
			}
		}, func(t *testing.T, w *World) {
			for range 500 {
				w.EmitKind(t, "attacker", "under")
			}
		}, nil},
		{"500 deliveries are replayed once a second", "victim", func(t *testing.T, w *World) {
			for i := range 5 {
				w.Subscribe(t, "attacker", 1, &Site{Kind: "under", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 10})
			}
			for i := range 4 {
				w.Subscribe(t, "attacker", 50, &Site{Kind: "turns", HostName: fmt.Sprint("b", i, ".example"),
					Timed: 60})
			}
			for range 100 {
				w.EmitKind(t, "attacker", "under")
			}
			for range 15 { // what is replayed first
				w.EmitKind(t, "attacker", "turns")
			}
			time.Sleep(30 * time.Second)
			w.turned.Store(true)
		}, func(t *testing.T, w *World) {
			settled, err := w.Deliveries(t.Context(), webhook.DeliveryQuery{OrganizationID: "attacker",
				Status: webhook.StatusSucceeded, Limit: 500, WithoutAttempts: true})
			require.NoError(t, err)
			require.NotEmpty(t, settled)
			for i := range settled {
				require.NoError(t, w.Replay(t.Context(), "attacker", settled[i].ID))
			}
		}, nil},
		{"tests of 50 silent channels, by 40 organizations", "victim", func(t *testing.T, w *World) {
			for i := range 40 {
				w.Subscribe(t, fmt.Sprint("org", i), 50, silent(fmt.Sprint("a", i, ".example"), 60))
			}
		}, func(t *testing.T, w *World) {
			for i := range 40 {
				subs, err := w.Subscriptions(t.Context(),
					webhook.SubscriptionQuery{OrganizationID: fmt.Sprint("org", i)})
				require.NoError(t, err)
				go func() { // the limits refuse most of them
					_, _ = w.SendTest(t.Context(), subs[0], newEvent("silent.sent"))
				}()
			}
			synctest.Wait()
			assert.Positive(t, w.Hanging.Load())
		}, nil},
		{"events that 200 endpoints refuse after 3 s", "victim", func(t *testing.T, w *World) {
			for i := range 4 {
				w.Subscribe(t, "attacker", 50, &Site{Kind: "refuses", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 10})
			}
		}, func(t *testing.T, w *World) {
			for range 6 {
				w.EmitKind(t, "attacker", "refuses")
			}
		}, nil},
		{"100 readers of tails that select nothing", "victim", func(t *testing.T, w *World) {
			w.Subscribe(t, "attacker", 1, &Site{Kind: "under", HostName: "a.example", Timed: 10})
			for range 100 {
				w.EmitKind(t, "attacker", "under")
			}
			for range 100 {
				go func() { // until the end of the test
					for r, err := range w.Tail(t.Context(), webhook.TailQuery{
						OrganizationID: "attacker", EventTypes: []event.Pattern{"never.sent"}}) {
						if err == nil {
							t.Errorf("a record that was not asked for: %v", r)
						}
					}
				}()
			}
		}, func(t *testing.T, w *World) {
			for range 20 {
				w.EmitKind(t, "attacker", "under")
			}
		}, func(s webhook.Store) webhook.Store { return newPool(s, 5, 3*time.Millisecond) }},
		{"all at once", "victim", func(t *testing.T, w *World) {
			for _, kind := range []string{"silent", "under", "fails", "alternates"} {
				for i := range 6 {
					w.Subscribe(t, "attacker", 50, &Site{Kind: kind,
						HostName: fmt.Sprint(kind, i, ".example"), Timed: 60})
				}
			}
		}, func(t *testing.T, w *World) {
			for _, kind := range []string{"silent", "under", "fails", "alternates"} {
				for range 5 {
					w.EmitKind(t, "attacker", kind)
				}
			}
		}, nil},
	}
}

// brief has 100 organizations render for 2.7 seconds in a second, which two places cannot.
func brief(t *testing.T, w *World) {
	for range 100 {
		for range 3 {
			w.EmitKind(t, fmt.Sprint("org", rand.IntN(100)), "brief")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// fallSilent is the attack of 400 organizations whose endpoints, so many channels of each, answer
// at first and then hang. site returns that of an organization's endpoints.
func fallSilent(name string, site func(organization int) Site, channels int) attack {
	emit := func(t *testing.T, w *World) {
		for i := range 400 {
			w.EmitKind(t, fmt.Sprint("org", i), "turns")
		}
	}
	return attack{name, "victim", func(t *testing.T, w *World) {
		for i := range 400 {
			s := site(i)
			w.Subscribe(t, fmt.Sprint("org", i), channels, &s)
		}
		for range 3 {
			emit(t, w)
			time.Sleep(time.Second)
		}
		w.turned.Store(true)
	}, emit, nil}
}
