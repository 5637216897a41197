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

// rateOf returns the rate limit of an endpoint: that of its subscription or, if it has none, the
// channel's own.
func rateOf(own *webhook.RateLimit, can channel.Capabilities) fairqueue.Rate {
	limit := webhook.RateLimit{PerSecond: can.AttemptsPerSecond, Burst: can.AttemptBurst}
	if own != nil {
		limit = *own
	}
	return fairqueue.Rate(limit.WithDefaults())
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

// permitLoop gets permits from the store for endpoints that have a rate limit, for as many of them at
// a time as need some. While the store fails, those endpoints get no attempts.
func (r *run) permitLoop(ctx context.Context) {
	d := r.d
	failures := outage.NewLog(d.cfg.Logger, "take permits of endpoints with a rate limit")
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.queue.AskSignal():
		}
		asked := d.queue.PermitRequests(maxPermitRequests)
		if len(asked) == 0 {
			continue
		}
		d.clock.refresh(r.attemptCtx)
		at := d.now()
		granted, err := d.takePermits(r.attemptCtx, at, asked)
		// The queue has the time of this process.
		local := func(t time.Time) time.Time { return time.Now().Add(t.Sub(d.now())) }
		grants := make([]fairqueue.PermitGrant, len(asked))
		pause := time.Duration(0)
		if err != nil {
			pause = failures.Failed(ctx, err)
		} else {
			failures.Over(ctx)
		}
		for i := range asked {
			grants[i].Endpoint = asked[i].Endpoint
			switch {
			case err != nil:
				grants[i].AskAgain = time.Now().Add(pause)
			case granted[i].Permits > 0:
				g := &granted[i]
				grants[i].Permits, grants[i].First, grants[i].Interval = g.Permits, local(g.First), g.Interval
				grants[i].Life = webhook.PermitLife
			case granted[i].AskAgain.IsZero(): // the endpoint is gone, or wants none
				grants[i].AskAgain = time.Now().Add(d.cfg.PollInterval)
			default:
				grants[i].AskAgain = local(granted[i].AskAgain)
			}
		}
		d.queue.GrantPermits(grants)
	}
}

// takePermits asks the store for permits, and tells the hook of endpoints that were throttled.
func (d *Dispatcher) takePermits(
	ctx context.Context, at time.Time, asked []fairqueue.PermitRequest,
) ([]webhook.PermitGrant, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	requests := make([]webhook.PermitRequest, len(asked))
	for i := range asked {
		q := &asked[i]
		requests[i] = webhook.PermitRequest{Endpoint: webhook.Endpoint(q.Endpoint),
			Limit: webhook.RateLimit(q.Rate), Want: q.Want, Throttled: q.Throttled,
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
