// Package bucket is the token bucket of an endpoint's rate limit, as stores keep it: how many
// permits may be handed out at what time, and how the rate adapts to an endpoint that is throttled.
// It has no clock and no lock: a [Bucket] is a row that is read, changed by [Bucket.Take] and
// written back in one transaction.
//
// The level of a bucket may fall below zero: then permits were handed out whose time has not come
// yet. So each caller knows when it is its turn, and need not ask again and again. The level, and not
// the time of the next permit, is what is kept, because it stays right when the rate changes.
package bucket

import (
	"math"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Bucket is the state of one endpoint. The zero value is that of an endpoint that never had an
// attempt. Times are microseconds since 1970.
type Bucket struct {
	// Level is how many permits may be handed out at At.
	Level float64 `json:"level"`
	// At is when the level was as Level says. It lies ahead if no permit may have an earlier time.
	At int64 `json:"at"`
	// Share is the part of the limit that was in force at ShareAt. 0 is all of it.
	Share   float64 `json:"share,omitempty"`
	ShareAt int64   `json:"share_at,omitempty"`
}

const (
	// horizon is how far ahead the times of permits lie, except for a single one.
	horizon = time.Second
	// farthest is how far ahead the time of that one may lie, and how long an endpoint that is
	// throttled can ask for. A Bucket with a time beyond that was written under a wrong clock.
	farthest = time.Minute

	// The share is halved at most once in calm: until then, what was handed out before may still be
	// refused. It recovers by recoverPerSecond.
	calm             = 2 * time.Second
	minShare         = 1.0 / 32
	recoverPerSecond = 0.05 / 10
)

// Take hands out permits at the time now.
func (b *Bucket) Take(now time.Time, r *webhook.PermitRequest) webhook.PermitGrant {
	at := now.UnixMicro()
	b.refill(at, r.Limit)
	if r.Throttled {
		b.throttle(at, r.RetryAfter)
	}
	rate := r.Limit.PerSecond * b.share(at)
	grant := webhook.PermitGrant{PerSecond: rate}
	if r.Want <= 0 {
		return grant
	}
	if b.Level >= 1 && b.At <= at {
		grant.Permits, grant.First = min(r.Want, int(b.Level)), now
		b.Level -= float64(grant.Permits)
		return grant
	}
	interval := time.Duration(float64(time.Second) / rate)
	first := time.UnixMicro(b.At).Add(time.Duration(max(1-b.Level, 0) * float64(interval)))
	if last := now.Add(max(farthest, interval)); first.After(last) {
		grant.AskAgain = now.Add(first.Sub(last)).UTC()
		return grant
	}
	grant.Permits = 1
	if ahead := now.Add(horizon).Sub(first); ahead > 0 {
		left := int(ahead/interval) + 1
		grant.Permits = min(r.Want, (left+1)/2)
	}
	grant.First, grant.Interval = first.UTC(), interval
	b.Level -= float64(grant.Permits)
	return grant
}

// refill brings the level to the time.
func (b *Bucket) refill(at int64, limit webhook.RateLimit) {
	if b.At == 0 {
		b.At, b.Level = at, float64(limit.Burst)
	}
	if b.At > at+farthest.Microseconds() {
		b.At = at // it was written under a wrong clock
	}
	b.ShareAt = min(b.ShareAt, at)
	if elapsed := at - b.At; elapsed > 0 {
		b.Level += float64(elapsed) / 1e6 * limit.PerSecond * b.share(at)
		b.At = at
	}
	b.Level = min(b.Level, float64(limit.Burst))
}

// share returns the part of the limit that is in force at the time.
func (b *Bucket) share(at int64) float64 {
	if b.Share == 0 {
		return 1
	}
	return math.Min(1, b.Share+float64(at-b.ShareAt)/1e6*recoverPerSecond)
}

func (b *Bucket) throttle(at int64, retryAfter time.Duration) {
	if b.Share == 0 || at-b.ShareAt >= calm.Microseconds() {
		b.Share, b.ShareAt = max(b.share(at)/2, minShare), at
	}
	b.Level = min(b.Level, 0)
	b.At = max(b.At, at+min(max(retryAfter, 0), farthest).Microseconds())
}
