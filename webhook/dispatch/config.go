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

// Config configures a Dispatcher. In every field zero means the default. New returns an error for a
// negative value other than [NoJitter] in ScheduleJitter, a duration below 1 ms, and a Lease below 1 s.
type Config struct {
	// Channels holds the channels that subscriptions can use. Defaults to
	// standard.New with a zero Config: webhook and slack, HTTPS only, no private
	// addresses.
	Channels *channel.Registry

	// Retry says when failed deliveries are tried again. Defaults to the zero [ExponentialRetry];
	// [RetrySchedule] is a list of waits. A subscription may have a policy of its own, which takes
	// precedence: see [webhook.Retry].
	Retry RetryPolicy

	// ScheduleJitter makes each wait of a list longer by a random share of it, from nothing to
	// ScheduleJitter, so that deliveries that failed together do not come back together. It applies
	// where Retry is a [RetrySchedule], and to [webhook.Retry].Delays. [ExponentialRetry] has a Jitter
	// of its own. At most 1. Defaults to 0.1; [NoJitter] means that the waits are those of the list.
	ScheduleJitter float64

	// MaxInFlight is the largest number of attempts in flight in this process. A quarter of it is
	// reserved for endpoints that have been answering within 300 ms; all other attempts share the
	// rest. In each part, and in the whole, an organization or a host may have at most four times as
	// many attempts in flight as there are free places: see Fairness in the package documentation. An
	// attempt that hangs costs memory and little else. Defaults to 2048.
	//
	// The Dispatcher keeps further deliveries in memory, ready to be attempted: 8 times MaxInFlight
	// but at most 4096, or 2 times MaxInFlight if that is more, and about 64 MiB of payloads. All
	// others wait in the store.
	MaxInFlight int

	// MaxInFlightPerEndpoint is the largest number of attempts in flight at one endpoint in this
	// process. Channels may allow fewer at their host: see [channel.Capabilities]. Defaults to 16.
	MaxInFlightPerEndpoint int

	// AttemptTimeout bounds attempts of channels that do not bound their own attempts (see
	// [channel.Capabilities]). Defaults to 30 s.
	AttemptTimeout time.Duration

	// MaxAttemptTimeout bounds every attempt, whatever its channel or the subscriber's configuration
	// says: a longer timeout is cut to it. It does not apply to channels with a MaxInFlight of their
	// own, such as mail (see [channel.Capabilities]). Defaults to 5 minutes, the longest that a
	// subscription may ask for. With less, endpoints that hang occupy places for a shorter time.
	MaxAttemptTimeout time.Duration

	// Lease is how long deliveries stay claimed after their process has died. A living process extends
	// its leases. Defaults to 30 s; at least 1 s.
	Lease time.Duration

	// MaxLostAttempts is how many attempts of a delivery in a row may end without a result, because
	// the process stopped or lost its lease. After that many the delivery is dead, so that an event
	// that crashes every process is not attempted without end. A lost lease counts only if an attempt
	// is known to have begun under it. Defaults to 5.
	MaxLostAttempts int

	// PollInterval is how often the store is asked for retries and for
	// deliveries of other processes. Defaults to 500 ms.
	PollInterval time.Duration

	// DrainTimeout is how long [Dispatcher.Run] waits for attempts in flight when its context is
	// cancelled, before it cancels them. A cancelled attempt is repeated later, although the endpoint
	// may have accepted it. Mail servers may take minutes to answer. Defaults to 15 s.
	DrainTimeout time.Duration

	// Renders bounds how many templates this Dispatcher renders at once. Each render can use 64 MiB.
	// Defaults to template.NewGate(0). To bound several Dispatchers together, give them the same Gate.
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

	// Tails bounds the readers of [Dispatcher.Tail]. Defaults as its fields say.
	Tails TailLimits

	// Retention says how long settled deliveries are kept. Defaults to 7 days for those that
	// succeeded or were cancelled, and 30 days for dead ones.
	Retention Retention

	// ProcessName is what people know this process by, where all processes of the store are shown: see
	// [Dispatcher.Processes]. At most 200 bytes. Defaults to the name of the host and the id of the
	// process, such as "web-1/4711".
	ProcessName string

	// Logger gets warnings and errors: the store fails, an endpoint is degraded or disabled, a
	// delivery is dead, a lease was lost, a channel panicked. At Debug it gets each attempt. Defaults
	// to slog.Default().
	Logger *slog.Logger

	// Hooks are functions for traces and metrics. The zero value calls none.
	Hooks Hooks
}

// Retention says how long settled deliveries, and events that have no deliveries left, are kept.
// [Forever] keeps them without end.
type Retention struct {
	// Succeeded is how long deliveries are kept that succeeded or were cancelled. It is also how long
	// an event_id is remembered: emitting the same event again after that delivers it again. Defaults
	// to 7 days.
	Succeeded time.Duration
	// Dead is how long dead deliveries are kept. Defaults to 30 days.
	Dead time.Duration
}

// retentionCutoff is the time before which everything is that was kept for long enough, zero if
// nothing ever is.
func retentionCutoff(at time.Time, keep time.Duration) time.Time {
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
	settings.Default(&c.ScheduleJitter, 0.1)
	c.Tests = c.Tests.withDefaults()
	c.Tails = c.Tails.withDefaults()
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
	if c.ProcessName == "" {
		c.ProcessName = defaultProcessName()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	var p event.Problems
	p.AddError("Retry", c.Retry.Validate())
	if j := c.ScheduleJitter; j != NoJitter && !(j > 0 && j <= 1) {
		p.Add("ScheduleJitter", "must be from 0 to 1, or NoJitter")
	}
	c.Tests.validate(&p)
	c.Tails.validate(&p)
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
	validateProcessName(&p, c.ProcessName)
	return c, p.Err()
}
