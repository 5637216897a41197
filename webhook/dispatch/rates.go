package dispatch

import (
	"context"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

// maxRate bounds the limit of a channel as that of a subscription is bounded: stores count on it.
const maxRate = 10_000

// rateOf returns the rate limit of an endpoint: that of its subscription or, if it has none, the
// channel's own.
func rateOf(own *webhook.RateLimit, can channel.Capabilities) fairqueue.RateLimit {
	var limit webhook.RateLimit
	switch {
	case own != nil:
		limit = *own
	case can.AttemptsPerSecond > 0: // it may be NaN
		limit.PerSecond = min(can.AttemptsPerSecond, maxRate)
		limit.Burst = min(can.AttemptBurst, maxRate)
	}
	return fairqueue.RateLimit(limit.WithDefaults())
}

// throttles reports whether an endpoint has refused an attempt because there are too many of them.
func throttles(err error) bool {
	if err == nil {
		return false
	}
	failure := channel.AsError(err)
	return failure.StatusCode == http.StatusTooManyRequests ||
		failure.Action == channel.Wait && failure.RetryAfter > 0
}

// maxPermitRequests is how many endpoints one call of the store gets permits for.
const maxPermitRequests = 512

// permitLoop gets permits from the store for endpoints that have a rate limit, for as many of them
// at a time as need some. While the store fails, those endpoints get no attempts.
func (r *run) permitLoop(ctx context.Context) {
	d := r.d
	failures := outage.NewLog(d.cfg.Logger, "take permits of endpoints with a rate limit")
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.queue.PermitSignal():
		}
		asked := d.queue.TakePermitDemands(maxPermitRequests)
		if len(asked) == 0 {
			continue
		}
		d.clock.refresh(r.attemptCtx)
		at := d.now()
		granted, err := d.takePermits(r.attemptCtx, at, asked)
		if err != nil {
			d.queue.SupplyPermits(noPermits(asked, time.Now().Add(failures.Failed(ctx, err))))
			continue
		}
		failures.Over(ctx)
		local := time.Now()
		d.queue.SupplyPermits(supplies(asked, granted, local, d.clock.fromLocal(local),
			d.cfg.PollInterval))
	}
}

// noPermits answers requests while the store fails. What they say is to be said again.
func noPermits(asked []fairqueue.PermitDemand, requestAgainAt time.Time) []fairqueue.PermitSupply {
	answers := make([]fairqueue.PermitSupply, len(asked))
	for i := range asked {
		answers[i] = fairqueue.PermitSupply{Endpoint: asked[i].Endpoint,
			RequestAgainAt: requestAgainAt, Throttled: asked[i].Throttled, RetryAfter: asked[i].RetryAfter}
	}
	return answers
}

// supplies turns what the store has granted, at the time at by its clock, into answers for the
// queue, which has the time of this process.
func supplies(
	asked []fairqueue.PermitDemand, granted []webhook.PermitGrant, local, at time.Time,
	poll time.Duration,
) []fairqueue.PermitSupply {
	answers := make([]fairqueue.PermitSupply, len(asked))
	for i := range asked {
		g := &granted[i]
		answers[i].Endpoint = asked[i].Endpoint
		switch {
		case g.Permits > 0:
			answers[i].Permits, answers[i].Interval = g.Permits, g.Interval
			answers[i].First, answers[i].ValidFor = local.Add(g.First.Sub(at)), webhook.PermitLife
		case g.AskAgain.IsZero(): // the endpoint is gone, or wants none
			answers[i].RequestAgainAt = local.Add(poll)
		default:
			answers[i].RequestAgainAt = local.Add(g.AskAgain.Sub(at))
		}
	}
	return answers
}

// takePermits asks the store for permits, and tells the hook of endpoints that were throttled.
func (d *Dispatcher) takePermits(
	ctx context.Context, at time.Time, asked []fairqueue.PermitDemand,
) ([]webhook.PermitGrant, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	requests := make([]webhook.PermitRequest, len(asked))
	for i := range asked {
		q := &asked[i]
		requests[i] = webhook.PermitRequest{Endpoint: webhook.Endpoint(q.Endpoint),
			Limit: webhook.RateLimit(q.Limit), Want: q.Want, Throttled: q.Throttled,
			RetryAfter: q.RetryAfter}
	}
	granted, err := d.store.TakePermits(ctx, at, requests)
	if err != nil {
		return nil, err
	}
	for i := range requests {
		if q := &requests[i]; q.Throttled && granted[i].PerSecond > 0 {
			hookEnd(ctx, d, "Throttled", d.cfg.Hooks.Throttled, Throttled{Endpoint: q.Endpoint,
				Limit: q.Limit, PerSecond: granted[i].PerSecond, RetryAfter: q.RetryAfter})
		}
	}
	return granted, nil
}
