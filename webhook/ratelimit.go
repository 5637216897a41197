package webhook

import (
	"context"
	"math"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// RateLimit bounds how many attempts begin at an endpoint, over all processes that share a store:
//
//	in any time of length t, at most Burst + PerSecond × (t + PermitLife)
//
// whatever the number of processes. The processes' estimates of the store's clock differ by
// milliseconds, which adds to t. Its JSON is
//
//	{"per_second": 5, "burst": 10}
//
// Attempts of all kinds count: retries, replays and probes, but not dispatch.Dispatcher.SendTest. A
// delivery that waits for its turn uses up no attempt.
type RateLimit struct {
	// PerSecond is how many attempts may begin each second, from 0.001 to 10,000. Fractions are less
	// than one a second: 0.5 is one every two seconds.
	PerSecond float64 `json:"per_second"`
	// Burst is how many attempts may begin at once after a pause, up to 10,000. 0 means those of one
	// second, and at least 1.
	Burst int `json:"burst,omitempty"`
}

// The bounds of a RateLimit.
const (
	minPerSecond = 0.001
	maxPerSecond = 10_000
	maxBurst     = 10_000
)

// Validate returns an [*event.ValidationError] that lists every invalid field by its JSON name. A
// nil RateLimit is valid.
func (l *RateLimit) Validate() error {
	if l == nil {
		return nil
	}
	var p event.Problems
	if !(l.PerSecond >= minPerSecond && l.PerSecond <= maxPerSecond) { // it may be NaN
		p.Add("per_second", "must be from %v to %v, is %v", minPerSecond, maxPerSecond, l.PerSecond)
	}
	if l.Burst < 0 || l.Burst > maxBurst {
		p.Add("burst", "must be from 0 to %d, is %d", maxBurst, l.Burst)
	}
	return p.Err()
}

// WithDefaults returns the limit with a Burst that is not 0, unless it is no limit: the zero value.
func (l RateLimit) WithDefaults() RateLimit {
	if l.PerSecond > 0 && l.Burst <= 0 {
		l.Burst = max(int(math.Ceil(l.PerSecond)), 1)
	}
	return l
}

// Clone returns a copy.
func (l *RateLimit) Clone() *RateLimit {
	if l == nil {
		return nil
	}
	c := *l
	return &c
}

// PermitLife is how long a permit is good for from its time on. A process that does not use it by
// then, because it has died or has nothing left to deliver, lets it lapse.
const PermitLife = time.Second

// RateStore is the part of a Store through which processes share the rate limit of an endpoint.
type RateStore interface {
	// TakePermits hands out permits, each of which allows one attempt at an endpoint to begin. It
	// answers requests[i] with the i-th grant, and stores all of it or nothing. A request for an
	// endpoint that does not exist gets a zero grant.
	//
	// A permit has a time, and may be used from then on for PermitLife. No caller gets one that
	// another has got. All that were handed out for an endpoint, to one caller or to several, keep to
	// its limit: in any time of length t lie the times of at most Burst + PerSecond × t of them.
	// No caller can take all of them: of those of the coming second that are left, a caller gets half at
	// most, and at least one, which may lie further ahead. A caller that has a grant asks again when
	// it has used it.
	TakePermits(ctx context.Context, now time.Time, requests []PermitRequest) ([]PermitGrant, error)
}

// PermitRequest asks for permits of an endpoint.
type PermitRequest struct {
	Endpoint Endpoint
	// Limit is that of the endpoint, valid and with a Burst above 0. It may differ from that of the
	// request before.
	Limit RateLimit
	// Want is how many attempts could begin now. 0 asks for none.
	Want int
	// Throttled says that the endpoint has refused an attempt because there are too many of them
	// (429). That halves the rate, to a 32nd of the limit at least, unless it was halved in the last
	// two seconds. From then on it grows by a twentieth of the limit each 10 seconds, until it is the
	// limit again. No burst is allowed before that is earned again.
	Throttled bool
	// RetryAfter is for how long the endpoint has asked to be left alone, if it is Throttled: no permit
	// has a time before that. It counts up to a minute; to wait for longer is up to the caller.
	RetryAfter time.Duration
}

// PermitGrant is what a request got.
type PermitGrant struct {
	// Permits is how many there are. The first one has the time First, and each further one a time
	// that is later by Interval, which is 0 for a burst.
	Permits  int
	First    time.Time
	Interval time.Duration
	// AskAgain is when to ask again if there are none: too many callers wait already. Zero otherwise.
	AskAgain time.Time
	// PerSecond is the rate in force, which is less than that of the limit for a while after the
	// endpoint was throttled.
	PerSecond float64
}
