package dispatch

import (
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// The functions here decide what follows from an attempt. They are told all that they decide by,
// the time included, and do nothing.

// decision is what follows for the delivery, and what the attempt says about the endpoint.
type decision struct {
	status   webhook.Status
	dueAt    time.Time // of a pending delivery
	observed breaker.Observation
	// gone says that the endpoint is to be disabled; permanent, that the delivery cannot succeed;
	// expires, that the policy would try again, but only after the event has expired.
	gone, permanent, expires bool
}

// endedAttempt is an attempt that is over.
type endedAttempt struct {
	err   error // nil if it succeeded
	class channel.Class
	// waitedHere says that the time of an attempt that timed out went by in this process.
	waitedHere bool
}

// decide says what follows from an attempt of the delivery that ended at now, by the store's clock.
func decide(t *webhook.Task, a endedAttempt, retry retryRules, now time.Time) decision {
	if a.err == nil {
		return decision{
			status: webhook.StatusSucceeded, observed: breaker.Observation{Health: breaker.Healthy},
		}
	}
	failure := channel.AsError(a.err)
	if failure.Action == channel.Disable {
		return decision{
			status: webhook.StatusDead, gone: true, permanent: true,
			// Leave the endpoint alone until the store knows that it is disabled.
			observed: breaker.Observation{
				Health: breaker.Unhealthy, RetryAfter: breaker.MaxBackoff,
			},
		}
	}
	d := decision{status: webhook.StatusDead, observed: observe(failure, a.class)}
	if a.class == channel.ClassTimeout && a.waitedHere {
		d.observed = breaker.Observation{}
	}
	if d.permanent = failure.Action == channel.Permanent; d.permanent {
		return d
	}
	retryAfter := time.Duration(0)
	if failure.Action == channel.Wait {
		retryAfter = failure.RetryAfter
	}
	return d.retry(t, retry, retryAfter, now)
}

// decideLost says what follows from an attempt without a result: its process stopped, or lost its
// lease. The first lease that was lost may have been that of a bystander, so maxLost do not count.
func decideLost(t *webhook.Task, maxLost int, retry retryRules, now time.Time) decision {
	d := decision{status: webhook.StatusDead}
	if t.Lost > maxLost {
		return d
	}
	return d.retry(t, retry, 0, now)
}

// retry says that the delivery is tried again, if the policy says so and the event does not expire
// before.
func (d decision) retry(
	t *webhook.Task, retry retryRules, retryAfter time.Duration, now time.Time,
) decision {
	due, again := retry.next(t, retryAfter, now)
	switch {
	case !again:
	case t.Probe == nil && expired(t, due): // a failed probe waits for the next one
		d.expires = true
	default:
		d.status, d.dueAt = webhook.StatusPending, due
	}
	return d
}

// observe says what a failure says about the endpoint as a whole. Whatever refuses
// this one event is alive: it does not follow that it would refuse another.
func observe(failure *channel.Error, class channel.Class) breaker.Observation {
	if failure.Action == channel.Wait {
		return breaker.Observation{Health: breaker.Unhealthy, RetryAfter: failure.RetryAfter}
	}
	switch class {
	case channel.ClassTemplate, channel.ClassPayload, channel.ClassConfig, channel.ClassPanic,
		channel.ClassPartial, channel.ClassTooLarge, channel.ClassProxy:
		return breaker.Observation{}
	case channel.ClassRejected:
		return breaker.Observation{Health: breaker.Healthy}
	case channel.ClassStatus:
		if refusesRequest(failure.StatusCode) {
			return breaker.Observation{Health: breaker.Healthy}
		}
	}
	return breaker.Observation{Health: breaker.Unhealthy}
}

// refusesRequest reports whether an HTTP status is the refusal of one request, by an
// endpoint that is there and not overloaded.
func refusesRequest(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status <= 499
}

// retryRules are what decides whether a delivery is tried again, and when: the subscription's own
// policy, nil if it has none, and the Dispatcher's for what that leaves open.
type retryRules struct {
	own    *webhook.Retry
	policy RetryPolicy
	jitter float64 // of the waits of own
}

// next says when the delivery is tried again after an attempt that failed at now.
func (r retryRules) next(
	t *webhook.Task, retryAfter time.Duration, now time.Time,
) (due time.Time, again bool) {
	f := Failure{
		Attempts: t.AttemptsSinceQueued + 1, QueuedAt: later(t.QueuedAt, t.HealthySince), At: now,
		RetryAfter: min(retryAfter, channel.MaxRetryAfter),
	}
	if t.Probe != nil {
		f.QueuedAt = now
	}
	wait, again := r.wait(f)
	if !again {
		return time.Time{}, false
	}
	return now.Add(min(max(wait, f.RetryAfter, 0), maxWait)), true
}

// wait says how long to wait after the failure, or false to give up.
func (r retryRules) wait(f Failure) (wait time.Duration, again bool) {
	own := r.own
	switch {
	case own == nil:
		return r.policy.Next(f)
	case own.MaxAttempts > 0 && f.Attempts >= own.MaxAttempts:
		return 0, false
	case len(own.Delays) > 0:
		wait, again = jitteredSchedule{own.Delays, r.jitter}.Next(f)
	default:
		wait, again = r.policy.Next(f)
	}
	if own.MaxAge > 0 && f.At.Add(max(wait, f.RetryAfter)).Sub(f.QueuedAt) > own.MaxAge {
		return 0, false
	}
	return wait, again
}
