package dispatch

import (
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// breaker remembers how an endpoint has been answering. Once breakerThreshold
// deliveries have failed, with no answer of a living endpoint in between, it
// opens: the endpoint is left alone for a while that doubles with each further
// failure, and is then probed until it answers. Being left alone costs a
// delivery no attempt.
//
// Deliveries that have failed before have a pause of their own: it never ends
// before that of the others, and only their failures double it. So an event
// that the endpoint cannot take holds back no event that was never attempted.
type breaker struct {
	// failed are the deliveries that failed since the endpoint last answered,
	// up to the threshold. One that fails again and again counts once: it says
	// less about the endpoint than about itself.
	failed      []webhook.DeliveryID
	lastFailure time.Time
	fresh       pause // of deliveries that were never attempted
	retries     pause // of those that were
	// asked is until when the endpoint has asked to be left alone (429 or 503
	// with Retry-After). An answer to an earlier request does not end that.
	skippedIn time.Time
}

// pause is a time to leave an endpoint alone.
type pause struct {
	length time.Duration
	until  time.Time
}

const (
	breakerThreshold = 8
	breakerFirstWait = time.Second
	breakerMaxWait   = time.Minute
	// breakerMemory is how long an idle endpoint's failures are remembered.
	breakerMemory = 10 * time.Minute
)

// health is what an attempt says about its endpoint.
type health struct {
	result healthSignal
	// wait is what the endpoint asked for.
	wait time.Duration
}

type healthSignal int

const (
	unknownHealth healthSignal = iota // the attempt says nothing about the endpoint
	healthy                           // it answers, if only to refuse this event
	unhealthy
)

// record notes how an attempt of the delivery went. retry says that the delivery
// had been attempted before, and weight how many failures it counts for.
func (b *breaker) record(h health, id webhook.DeliveryID, retry bool, weight int) {
	switch h.result {
	case unknownHealth:
		return
	case healthy:
		*b = breaker{skippedIn: b.skippedIn}
		return
	case unhealthy:
	}
	now := time.Now()
	b.lastFailure = now
	if asked := now.Add(h.wait); h.wait > 0 && asked.After(b.skippedIn) {
		b.skippedIn = asked
	}
	switch {
	case b.tripped() && retry:
		b.retries.lengthen(now)
	case b.tripped():
		b.fresh.lengthen(now)
	case h.wait > 0 || !slices.Contains(b.failed, id): // who asks for time asks for all
		for range weight {
			b.failed = append(b.failed, id)
		}
		switch {
		case !b.tripped():
		case retry:
			b.retries.lengthen(now)
		default:
			b.fresh.lengthen(now)
		}
	}
	if b.retries.until.Before(b.fresh.until) {
		b.retries = b.fresh
	}
}

// lengthen begins a pause twice as long as the last one. What fails during a
// pause was under way before it.
func (p *pause) lengthen(now time.Time) {
	if now.Before(p.until) {
		return
	}
	p.length = min(max(2*p.length, breakerFirstWait), breakerMaxWait)
	p.until = now.Add(p.length)
}

// tripped reports whether the endpoint has to answer a probe before it gets more
// than one attempt at a time.
func (b *breaker) tripped() bool { return len(b.failed) >= breakerThreshold }

// open reports whether the endpoint is to be left alone now.
func (b *breaker) open() bool {
	return !b.quiet() && b.blockedUntil().After(time.Now())
}

// openForRetries reports whether it is to be spared deliveries that have failed
// before.
func (b *breaker) openForRetries() bool {
	return !b.quiet() && b.retriesBlockedUntil().After(time.Now())
}

// quiet saves asking for the time, for nearly all endpoints.
func (b *breaker) quiet() bool { return b.skippedIn.IsZero() && b.retries.length == 0 }

func (b *breaker) blockedUntil() time.Time { return later(b.skippedIn, b.fresh.until) }

func (b *breaker) retriesBlockedUntil() time.Time { return later(b.skippedIn, b.retries.until) }

// forgettable reports whether nothing is held against the endpoint any more.
func (b *breaker) forgettable() bool {
	return !b.open() && time.Since(b.lastFailure) > breakerMemory
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
