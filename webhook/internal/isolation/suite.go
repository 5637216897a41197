// Package isolation holds the promise that nothing that one organization does takes from another:
// a suite of attacks beside a victim, for any store, in the virtual time of testing/synctest.
package isolation

import (
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Suite is a suite of attacks.
type Suite struct {
	// Seconds is how many virtual seconds the victim emits beside each attack. 15 covers attempts that
	// run into a timeout of 10 s, and what follows; more than 30 a timeout of 30 s too.
	Seconds int
	// NewStore makes the store of an attack, within its bubble.
	NewStore func(t *testing.T) webhook.Store
	// Config is that of the Dispatcher.
	Config dispatch.Config
	// Only selects attacks by their names. Nil selects all.
	Only *regexp.Regexp
}

// Run runs the attacks, each as a parallel case. Whatever an attack does, the victim keeps 95% of its
// rate in every second, and twice the p99 that it has alone at most.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	for _, a := range attacks() {
		if s.Only != nil && !s.Only.MatchString(a.name) {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { s.run(t, a) })
		})
	}
}

func (s Suite) run(t *testing.T, a attack) {
	store := s.NewStore(t)
	if a.store != nil {
		store = a.store(store)
	}
	w := New(t, store, s.Config)
	w.Subscribe(t, a.victim, 1, &Site{Kind: "victim", HostName: "shop.example", Timed: 10})
	alone, p99 := w.victim(t, a.victim, 2)
	require.InDelta(t, 1, alone, 0, "alone, all that it emits arrives")

	a.begin(t, w)
	worst, slowest := 1.0, time.Duration(0)
	for range s.Seconds {
		var others sync.WaitGroup
		if a.after != nil {
			others.Go(func() { a.after(t, w) })
		}
		share, took := w.victim(t, a.victim, 1)
		worst, slowest = min(worst, share), max(slowest, took)
		others.Wait()
	}
	t.Logf("%.0f%% of the victim's events arrived in time, p99 %s, and %s alone", 100*worst, slowest, p99)
	assert.GreaterOrEqual(t, worst, 0.95, "of the victim's rate, in every second")
	assert.LessOrEqual(t, slowest, 2*p99)
	most := s.Config.MaxInFlight
	if most == 0 {
		most = 2048 // the default
	}
	assert.LessOrEqual(t, w.Hanging.Load(), int64(most), "as many as Config.MaxInFlight says")
}
