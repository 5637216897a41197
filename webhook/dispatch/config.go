package dispatch

import (
	"log/slog"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Config tunes a Dispatcher. The zero value works.
type Config struct {
	// Channels holds the channels that subscriptions can use. Defaults to
	// standard.New with a zero Config: webhook and slack, HTTPS only, no private
	// addresses.
	Channels *channel.Registry

	// Retry says when failed deliveries are tried again. Defaults to the zero
	// [ExponentialRetry]; [RetrySchedule] is a list of waits. A subscription may have a
	// policy of its own, which goes before this one: see [webhook.Retry].
	Retry RetryPolicy

	// MaxInFlight bounds the attempts under way in this process. A quarter of it
	// is for endpoints that have been answering within 300 ms; attempts that last
	// longer, and those of other endpoints, have the rest. Of either part, and of
	// the whole, one organization and one host get at most four times what is
	// free, so that many that hang leave something to all others: see Fairness
	// in the documentation of the package. Attempts that hang cost memory and not
	// much else. Defaults to 2048.
	//
	// Eight times as many deliveries wait in memory for their turn, 4096 at most
	// unless twice as many are more, or 64 MiB of payload and what the last claim
	// brought beyond that; the rest waits in the store.
	MaxInFlight int

	// MaxInFlightPerEndpoint bounds the attempts under way to one endpoint in
	// this process. Defaults to 16. Channels may allow fewer to their host (see
	// [channel.Capabilities]): what waits for that is not under way.
	MaxInFlightPerEndpoint int

	// AttemptTimeout bounds attempts of channels that do not bound their own
	// (see [channel.Capabilities]). Defaults to 30 s.
	AttemptTimeout time.Duration

	// MaxAttemptTimeout bounds every attempt, whatever its channel or the
	// subscriber's configuration says: a longer timeout is cut to it. Channels
	// that limit their attempts themselves (see [channel.Capabilities]), as mail does,
	// are not cut. Defaults to 5 minutes, the longest that a subscription may ask for;
	// lower it to have slots come free earlier.
	MaxAttemptTimeout time.Duration

	// Lease is how long deliveries claimed by a process that died stay claimed.
	// A living process extends its leases. Defaults to 30 s; at least 1 s.
	Lease time.Duration

	// MaxLostAttempts is how many attempts of a delivery may begin, one after the
	// other, without a result, because the process stopped or lost its lease.
	// With the last of them it dies, so that an event which stops every process
	// does not do so without end. That a lease was lost while no attempt was known
	// to have begun does not count. Defaults to 5.
	MaxLostAttempts int

	// PollInterval is how often the store is asked for retries and for
	// deliveries of other processes. Defaults to 500 ms.
	PollInterval time.Duration

	// DrainTimeout is how long [Dispatcher.Run], when its context is cancelled,
	// waits for attempts under way before it cancels them too. What the endpoint
	// had been handed by then, and not answered, is handed to it again: a mail
	// server may take minutes to answer. Defaults to 15 s.
	DrainTimeout time.Duration

	// Renders bounds how many templates are rendered at once, and with them the
	// memory that templates can take: 64 MiB each. Defaults to a Gate of the
	// Dispatcher's own with a place for each core, and two for a single core;
	// Dispatchers of one process that are given the same are bounded together.
	Renders *template.Gate

	// Lifecycle says when endpoints that keep failing become degraded and disabled. Defaults as its
	// fields say.
	Lifecycle Lifecycle

	// Quota bounds the subscriptions and channels of one organization. Defaults as its
	// fields say.
	Quota webhook.Quota

	// Tests bounds what [Dispatcher.SendTest] does for one organization. Defaults
	// as its fields say.
	Tests TestLimits

	// Retention says how long finished deliveries are kept.
	Retention Retention

	// Logger hears of trouble: a store that fails, an endpoint that is degraded or disabled, a
	// delivery that is dead, a lease that was lost, a channel that panicked. At Debug it hears of
	// each attempt. Defaults to slog.Default().
	Logger *slog.Logger

	// Hooks are called as things happen. The zero value calls nothing.
	Hooks Hooks
}

// Retention says how long finished deliveries, and events that have no
// deliveries left, are kept. [Forever] keeps them without end.
type Retention struct {
	// Succeeded is for deliveries that succeeded or were cancelled. It is also
	// how long an event_id is remembered: emitting the same event again after
	// that delivers it again. Defaults to 7 days.
	Succeeded time.Duration
	// Dead is for deliveries that were given up. Defaults to 30 days.
	Dead time.Duration
}

// tooOld is the time before which everything is that was kept for long enough, zero if
// nothing ever is.
func tooOld(at time.Time, keep time.Duration) time.Time {
	if keep == Forever {
		return time.Time{}
	}
	return at.Add(-keep)
}

func (c Config) withDefaults() (Config, error) {
	if c.Channels == nil {
		channels, err := standard.New(standard.Config{})
		if err != nil {
			return c, err
		}
		c.Channels = channels
	}
	if c.Renders == nil {
		gate, err := template.NewGate(0)
		if err != nil {
			return c, err
		}
		c.Renders = gate
	}
	if c.Retry == nil {
		c.Retry = ExponentialRetry{}
	}
	c.Tests = c.Tests.withDefaults()
	c.Lifecycle = c.Lifecycle.withDefaults()
	settings.Default(&c.Quota.Subscriptions, 20_000)
	settings.Default(&c.Quota.Channels, 50_000)
	settings.Default(&c.MaxInFlight, 2048)
	settings.Default(&c.MaxInFlightPerEndpoint, 16)
	settings.Default(&c.AttemptTimeout, 30*time.Second)
	settings.Default(&c.MaxAttemptTimeout, 5*time.Minute)
	settings.Default(&c.Lease, 30*time.Second)
	settings.Default(&c.MaxLostAttempts, 5)
	settings.Default(&c.PollInterval, 500*time.Millisecond)
	settings.Default(&c.DrainTimeout, 15*time.Second)
	settings.Default(&c.Retention.Succeeded, 7*24*time.Hour)
	settings.Default(&c.Retention.Dead, 30*24*time.Hour)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	var p event.Problems
	p.AddError("Retry", c.Retry.Validate())
	c.Tests.validate(&p)
	c.Lifecycle.validate(&p)
	settings.AtLeast(&p, "Quota.Subscriptions", c.Quota.Subscriptions, 1)
	settings.AtLeast(&p, "Quota.Channels", c.Quota.Channels, 1)
	settings.AtLeast(&p, "MaxInFlight", c.MaxInFlight, 1)
	settings.AtLeast(&p, "MaxInFlightPerEndpoint", c.MaxInFlightPerEndpoint, 1)
	settings.AtLeast(&p, "AttemptTimeout", c.AttemptTimeout, time.Millisecond)
	settings.AtLeast(&p, "MaxAttemptTimeout", c.MaxAttemptTimeout, time.Millisecond)
	settings.AtLeast(&p, "Lease", c.Lease, time.Second)
	settings.AtLeast(&p, "MaxLostAttempts", c.MaxLostAttempts, 1)
	settings.AtLeast(&p, "PollInterval", c.PollInterval, time.Millisecond)
	settings.AtLeast(&p, "DrainTimeout", c.DrainTimeout, time.Millisecond)
	settings.AtLeast(&p, "Retention.Succeeded", c.Retention.Succeeded, time.Millisecond)
	settings.AtLeast(&p, "Retention.Dead", c.Retention.Dead, time.Millisecond)
	return c, p.Err()
}
