package monitor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Monitor emits operational events of what happens in one Dispatcher. All methods are safe for
// concurrent use.
type Monitor struct {
	cfg     Config
	running atomic.Bool
	dropped atomic.Int64
	wake    chan struct{} // a health change waits

	mu      sync.Mutex
	changes []dispatch.HealthChange
	dead    table[deadKey, *deadCount]
	failing table[endpointKey, failure]
	// refusing are the endpoints that refuse everything.
	refusing table[endpointKey, *refusals]
	// silent are the endpoints that operational events do not reach, and heard those that they have
	// reached again.
	silent table[endpointKey, *silence]
	heard  []endpointKey

	// What follows is Run's alone.
	queue     []*report
	followUps []*report
	told      map[toldKey]time.Time // of which hour, or about which run of failures
	backlog   backlog
	outage    outage
	logged    int64 // dropped reports that the log has told of
}

// New returns a Monitor, or an [*event.ValidationError] that lists every invalid field of cfg. It
// does nothing until its [Monitor.Hooks] are those of a Dispatcher and [Monitor.Run] is running.
func New(cfg Config) (*Monitor, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Monitor{cfg: cfg, wake: make(chan struct{}, 1), told: map[toldKey]time.Time{}}
	m.dead = newTable[deadKey](cfg.QueueSize, &m.dropped, func(c *deadCount) time.Time { return c.first })
	m.failing = newTable[endpointKey](cfg.QueueSize, &m.dropped, func(f failure) time.Time { return f.at })
	m.refusing = newTable[endpointKey](cfg.QueueSize, &m.dropped,
		func(r *refusals) time.Time { return r.since })
	m.silent = newTable[endpointKey](cfg.QueueSize, nil, // only the log tells of it
		func(s *silence) time.Time { return s.since })
	return m, nil
}

// Dispatcher is what a Monitor asks and emits with: a *dispatch.Dispatcher.
type Dispatcher interface {
	Emit(ctx context.Context, events ...*event.Event) ([]webhook.Emitted, error)
	Stats(ctx context.Context) (dispatch.Stats, error)
	EndpointState(
		ctx context.Context, organizationID string, e webhook.Endpoint,
	) (webhook.EndpointState, error)
	Subscription(ctx context.Context, organizationID, id string) (*webhook.Subscription, error)
	Deliveries(ctx context.Context, q webhook.DeliveryQuery) ([]webhook.Delivery, error)
}

// Dropped returns how many reports were dropped because too many were waiting, or because they
// could not be emitted. Of an endpoint that had no room, what is of one kind counts once in each
// [Config.Interval], however many deliveries it failed.
func (m *Monitor) Dropped() int64 { return m.dropped.Load() }

// ErrRunning is what Run returns if it is running already.
var ErrRunning = errors.New("monitor: Run is running already")

// finalTime bounds what Run emits after its context has ended.
const finalTime = 5 * time.Second

// Run emits what the hooks have noticed, and looks at the Stats of the Dispatcher, until ctx ends.
// Then it emits what is left, for at most 5 seconds, and returns nil. It may be run again. To have
// events of what the last attempts of a Dispatcher bring about, end ctx after the Run of the
// Dispatcher has returned.
//
// While the store fails, Run tries again after a wait that doubles from 1 second to 1 minute. So it
// does with a report that fails for a reason of its own, which holds up no other. A report that has
// failed for an hour is dropped.
func (m *Monitor) Run(ctx context.Context, d Dispatcher) error {
	if !m.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer m.running.Store(false)
	ticker := time.NewTicker(m.cfg.Interval)
	defer ticker.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	m.look(ctx, d)
	for {
		select {
		case <-ctx.Done():
			m.finish(ctx, d)
			return nil
		case <-ticker.C:
			m.listen(ctx, d)
			m.collect(ctx)
			m.look(ctx, d)
		case <-m.wake:
		case <-again.C:
		}
		if wait := m.flush(ctx, d); wait > 0 {
			again.Reset(wait)
		}
	}
}

// finish emits what is left.
func (m *Monitor) finish(ctx context.Context, d Dispatcher) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalTime)
	defer cancel()
	m.collect(ctx)
	m.outage.until = time.Time{}
	for _, r := range m.queue {
		r.outage.until = time.Time{}
	}
	m.flush(ctx, d)
	if left := len(m.queue); left > 0 {
		m.cfg.Logger.WarnContext(ctx, "webhook: operational events were not emitted", "reports", left)
	}
}
