package dispatch_test

import (
	"flag"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/isolation"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

var isolationSeconds = flag.Int("isolation.seconds", 2,
	"how many virtual seconds the victim of TestIsolation emits during each attack: 2 show what an attack\n"+
		"does at once, and 15 what follows attempts that run into their timeouts")

// Whatever others do, a victim keeps 95% of its rate, and twice its p99 at most.
func TestIsolation(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	isolation.Suite{Seconds: *isolationSeconds,
		NewStore: func(*testing.T) webhook.Store { return memstore.New() }}.Run(t)
}

// A hook that takes its time does not keep results from being stored.
func TestASlowHook(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var called atomic.Int64
		w := isolation.New(t, memstore.New(), dispatch.Config{Hooks: dispatch.Hooks{Attempted: func(dispatch.Result) {
			time.Sleep(10 * time.Second)
			called.Add(1)
		}}, DrainTimeout: time.Hour})
		w.Subscribe(t, "victim", 1, &isolation.Site{Kind: "victim", HostName: "shop.example", Timed: 10})
		for range 100 {
			w.EmitKind(t, "victim", "victim")
		}
		elapse(2 * time.Second)
		deliveries, err := w.Deliveries(t.Context(),
			webhook.DeliveryQuery{OrganizationID: "victim", Status: webhook.StatusSucceeded})
		require.NoError(t, err)
		assert.Len(t, deliveries, 100, "stored, though the hook has not even heard of the second")
		elapse(20 * time.Minute)
		assert.EqualValues(t, 100, called.Load(), "each is told")
	})
}
