package dispatch

import (
	"math"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/rate"
)

// NoLimit is the value of [ExponentialRetry.MaxAttempts], or of a field of [Config.Quota],
// [TestLimits] or [TailLimits], that means that there is no limit.
const NoLimit = math.MaxInt

// TestLimits bounds what [Dispatcher.SendTest] may do for one organization in this process, because
// a test makes a request for each channel, and customers may ask for tests as often as they like.
// In every field zero means the default, and [NoLimit] means no limit.
type TestLimits struct {
	// PerMinute is how many messages an organization's tests may send in a minute: one for each
	// attempt, or as many as the attempt sends (see [channel.Capabilities]). It is a token bucket of
	// PerMinute tokens that refills evenly within a minute. A test that sends more than PerMinute
	// messages is possible only when the bucket is full; tests after it are refused until the bucket
	// has recovered. Defaults to 60.
	PerMinute int
	// InFlight is how many attempts of an organization's tests may be in flight at once. Defaults to
	// [webhook.MaxChannels], so that any subscription can be tested as a whole.
	InFlight int
	// TotalInFlight is how many attempts of tests may be in flight at once for all organizations
	// together. Defaults to 200, or InFlight if that is more.
	TotalInFlight int
}

func (l TestLimits) withDefaults() TestLimits {
	settings.Default(&l.PerMinute, 60)
	settings.Default(&l.InFlight, webhook.MaxChannels)
	settings.Default(&l.TotalInFlight, max(4*webhook.MaxChannels, l.InFlight))
	return l
}

func (l TestLimits) validate(p *event.Problems) {
	settings.AtLeast(p, "Tests.PerMinute", l.PerMinute, 1)
	settings.AtLeast(p, "Tests.InFlight", l.InFlight, 1)
	settings.AtLeast(p, "Tests.TotalInFlight", l.TotalInFlight, 1)
}

// testGate holds tests against their limits.
type testGate struct {
	limits TestLimits

	mu       sync.Mutex
	inFlight int
	// byOrganization has those organizations whose allowance is not whole, or that have attempts under
	// way.
	byOrganization map[string]*organizationTests
}

type organizationTests struct {
	rate.Allowance
	inFlight int
}

func newTestGate(limits TestLimits) *testGate {
	return &testGate{limits: limits, byOrganization: make(map[string]*organizationTests)}
}

// limitTests is LimitError.Limit of tests.
const limitTests = "tests"

// enter lets n attempts of the organization begin, which send a message each, or returns a
// [*webhook.LimitError]. leave is called with the same n once they have ended. What is refused has
// cost nothing: the channels are opened afterwards, and then weigh says how many messages that is.
func (g *testGate) enter(organizationID string, n int, now time.Time) error {
	if most := min(g.limits.InFlight, g.limits.TotalInFlight); n > most {
		return &webhook.LimitError{Limit: limitTests, Max: most}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.byOrganization[organizationID]
	if t == nil {
		g.forgetIdle(now)
		t = &organizationTests{Allowance: rate.Allowance{At: now}}
		g.byOrganization[organizationID] = t
	}
	if err := g.allows(t, n, now); err != nil {
		return err
	}
	if t.inFlight+n > g.limits.InFlight {
		return &webhook.LimitError{Limit: limitTests, Max: g.limits.InFlight, RetryAfter: time.Second}
	}
	if g.inFlight+n > g.limits.TotalInFlight {
		return &webhook.LimitError{Limit: limitTests, Max: g.limits.TotalInFlight,
			RetryAfter: time.Second}
	}
	t.Spent += float64(n)
	t.inFlight += n
	g.inFlight += n
	return nil
}

// weigh lets n attempts that have entered send that many messages, or returns a
// [*webhook.LimitError] and lets them send none.
func (g *testGate) weigh(organizationID string, n, messages int, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.byOrganization[organizationID]
	t.Spent = max(0, t.Spent-float64(n))
	if err := g.allows(t, messages, now); err != nil {
		return err
	}
	t.Spent += float64(messages)
	return nil
}

// allows returns a [*webhook.LimitError] if the organization must not send that many messages now.
func (g *testGate) allows(t *organizationTests, messages int, now time.Time) error {
	t.Refill(now, g.limits.PerMinute)
	perMinute := float64(g.limits.PerMinute)
	if over := t.Spent - max(0, perMinute-float64(messages)); over > 0 {
		wait := time.Duration(over / perMinute * float64(time.Minute))
		return &webhook.LimitError{Limit: limitTests, Max: g.limits.PerMinute,
			RetryAfter: max(wait, time.Millisecond)}
	}
	return nil
}

func (g *testGate) leave(organizationID string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight -= n
	g.byOrganization[organizationID].inFlight -= n
}

// forgetIdle drops organizations of which there is nothing to remember, once in a
// while.
func (g *testGate) forgetIdle(now time.Time) {
	const few = 1000
	if len(g.byOrganization) < few {
		return
	}
	for id, t := range g.byOrganization {
		if t.Refill(now, g.limits.PerMinute); t.Spent == 0 && t.inFlight == 0 {
			delete(g.byOrganization, id)
		}
	}
}
