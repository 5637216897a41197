package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/groupcommit"
)

// Never is the value of [Lifecycle.DegradedAfter] or [Lifecycle.DisabledAfter] that means that
// endpoints that keep failing are not degraded or not disabled.
const Never time.Duration = math.MaxInt64

// Lifecycle says when an endpoint that keeps failing becomes degraded and then disabled, and how
// often a degraded one is probed. All processes that share a store should have the same. See Health
// of an endpoint in the documentation of the package.
type Lifecycle struct {
	// DegradedAfter is how long an endpoint must fail in one process, for at least 8 different
	// deliveries and without an answer in between, before it becomes degraded. Defaults to 1 minute;
	// [Never] leaves every endpoint healthy, unless it says that it is gone or a person disables it.
	DegradedAfter time.Duration
	// FirstProbe is how long a degraded endpoint gets no attempt until the first probe. After each
	// probe that fails, the wait is twice as long, up to MaxProbe, or what the endpoint asks for if
	// that is longer. They default to 1 minute and 30 minutes, or FirstProbe if that is longer.
	FirstProbe, MaxProbe time.Duration
	// DisabledAfter is how long after its first failure an endpoint that keeps failing becomes
	// disabled, with the eighth probe that fails at the earliest. Defaults to 5 days; [Never] leaves
	// it degraded.
	DisabledAfter time.Duration
}

func (l Lifecycle) withDefaults() Lifecycle {
	settings.Default(&l.DegradedAfter, time.Minute)
	settings.Default(&l.FirstProbe, time.Minute)
	settings.Default(&l.MaxProbe, max(30*time.Minute, l.FirstProbe))
	settings.Default(&l.DisabledAfter, 5*24*time.Hour)
	return l
}

func (l Lifecycle) validate(p *event.Problems) {
	settings.AtLeast(p, "Lifecycle.DegradedAfter", l.DegradedAfter, time.Millisecond)
	settings.AtLeast(p, "Lifecycle.FirstProbe", l.FirstProbe, time.Millisecond)
	settings.AtLeast(p, "Lifecycle.MaxProbe", l.MaxProbe, l.FirstProbe)
	settings.AtLeast(p, "Lifecycle.DisabledAfter", l.DisabledAfter, time.Millisecond)
	if l.MaxProbe > maxWait {
		p.Add("Lifecycle.MaxProbe", "must be at most a year")
	}
}

// probeWait is how long a degraded endpoint is left alone after so many probes have failed.
func (l Lifecycle) probeWait(failedProbes int) time.Duration {
	wait := l.FirstProbe
	for range failedProbes {
		if wait >= l.MaxProbe/2 {
			return l.MaxProbe
		}
		wait *= 2
	}
	return wait
}

// minFailedProbes is how many probes must have failed before an endpoint is disabled. An endpoint
// may have had nothing to deliver for days, or no process to deliver it: that is no failure.
const minFailedProbes = 8

// afterProbe returns the state of a degraded endpoint after a probe that ended at a time.
func (l Lifecycle) afterProbe(
	state webhook.EndpointState, observed breaker.Observation, at time.Time,
) webhook.EndpointState {
	switch observed.Health {
	case breaker.Healthy:
		return state.Recovered(at, "")
	case breaker.Unhealthy:
		state.FailedProbes++
		state.InconclusiveProbes = 0
		if state.FailedProbes >= minFailedProbes && at.Sub(state.FailingSince) >= l.DisabledAfter {
			state.Health, state.Since, state.NextProbe = webhook.Disabled, at, time.Time{}
			state.ChangedBy = ""
			return state
		}
		state.NextProbe = at.Add(max(l.probeWait(state.FailedProbes), observed.RetryAfter))
	case breaker.Unknown: // the next one may say more
		state.NextProbe = at
		if state.InconclusiveProbes++; state.InconclusiveProbes >= maxInconclusiveProbes {
			state.NextProbe, state.InconclusiveProbes = at.Add(l.FirstProbe), 0
		}
	}
	return state
}

// maxInconclusiveProbes is how many probes may follow upon each other that say nothing about the
// endpoint, such as those of events that cannot be rendered, before it is left alone again. One
// that has recovered must not wait for them, but each costs two writes, and some send a request.
const maxInconclusiveProbes = 100

// settleAsProbe makes the result of a failed probe one that costs the delivery nothing: it waits as
// the others do.
func settleAsProbe(res *result, at time.Time) {
	if res.settlement.Status == webhook.StatusSucceeded || res.observed.Health != breaker.Unhealthy ||
		res.permanent {
		return
	}
	// It is due at once, because the store knows when the endpoint is probed next.
	res.settlement.Status, res.settlement.DueAt, res.settlement.Probe = webhook.StatusPending, at, true
	if res.task.Attempts >= maxRecordedProbes {
		res.settlement.Attempt = nil
	}
}

// maxRecordedProbes is how many attempts a delivery may have in its history for another failed
// probe to be added: an endpoint that is never disabled is probed without end.
const maxRecordedProbes = MaxReplayed / 2

// mayChangeState reports whether the state of the endpoint may change by a result that is stored.
func (d *Dispatcher) mayChangeState(res *result) bool {
	return d.cfg.Lifecycle.mayChangeState(res, time.Now(), d.reach.cutOff())
}

// mayChangeState is that of Dispatcher, at now by the clock of this process.
func (l Lifecycle) mayChangeState(res *result, now time.Time, cutOff bool) bool {
	return res.gone || res.task.storedProbe.Load() != nil ||
		!res.failingSince.IsZero() && now.Sub(res.failingSince) >= l.DegradedAfter && !cutOff
}

// changeState changes the state of the endpoint as a result says. If the store fails it is tried
// again for a while: until it is stored, other attempts are made at an endpoint that is gone.
func (d *Dispatcher) changeState(ctx context.Context, res *result) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := d.tryChangeState(ctx, res)
	for wait := 100 * time.Millisecond; err != nil && sleep(ctx, wait); wait *= 2 {
		err = d.tryChangeState(ctx, res)
	}
	if err != nil {
		d.logStateNotStored(ctx, res.task, err)
	}
}

func (d *Dispatcher) logStateNotStored(ctx context.Context, t *task, err error) {
	if kind := &d.lines.notStored; kind.throttle.Allow(time.Now(), t.Endpoint) {
		d.cfg.Logger.WarnContext(ctx, kind.message, "webhook_id", t.Endpoint.SubscriptionID,
			"channel", t.Endpoint.Channel, "error", err)
	}
}

// stateChange is a change of the state of an endpoint.
type stateChange struct{ before, after *webhook.EndpointState }

// stored reports whether a state is the one that the change has made. Stores keep microseconds.
func (c *stateChange) stored(state *webhook.EndpointState) bool {
	same := func(a, b time.Time) bool {
		return a.Truncate(time.Microsecond).Equal(b.Truncate(time.Microsecond))
	}
	return c != nil && state.Health == c.after.Health && state.FailedProbes == c.after.FailedProbes &&
		same(state.Since, c.after.Since) && same(state.NextProbe, c.after.NextProbe)
}

func (d *Dispatcher) tryChangeState(ctx context.Context, res *result) error {
	switch {
	case res.gone:
		return d.changeHealth(ctx, res, webhook.Disabled)
	case res.task.storedProbe.Load() != nil:
		return d.endProbe(ctx, res)
	default:
		return d.changeHealth(ctx, res, webhook.Degraded)
	}
}

// changeHealth makes an endpoint degraded or disabled, unless it is already, or its subscription
// has been changed since the attempt: then the attempt says nothing of the endpoint as it is now.
func (d *Dispatcher) changeHealth(ctx context.Context, res *result, health webhook.Health) error {
	t, at := res.task, d.now()
	var stale, changed, stored bool
	var change stateChange
	err := d.updateState(ctx, t.OrganizationID, t.Endpoint, res.revision, t.EventType,
		func(state *webhook.EndpointState) bool {
			if stored = res.tried.stored(state); stored {
				return false
			}
			change.before = state.Clone()
			failingSince := res.failingSince
			if !failingSince.IsZero() {
				failingSince = d.clock.fromLocal(failingSince)
			}
			changed, stale = d.cfg.Lifecycle.afterFailure(state, res, health, failingSince, at)
			change.after = state.Clone()
			return changed
		})
	if stale {
		d.resetEndpoint(ctx, t.Endpoint) // and forget what was seen of it
		d.queue.SignalClaim()
	}
	switch {
	case errors.Is(err, webhook.ErrConflict), errors.Is(err, webhook.ErrNotFound):
		return nil
	case err != nil && changed:
		res.tried = &change
	case err == nil && stored:
		d.afterStateChange(ctx, res.tried.before, res.tried.after, t.EventType)
	}
	return err
}

// afterFailure makes the state of an endpoint degraded or disabled at a time, because of a result,
// unless it is already. failingSince is when it began to fail, zero if that is not known. stale says
// that it has become healthy since, by another process or a person.
func (l Lifecycle) afterFailure(
	state *webhook.EndpointState, res *result, health webhook.Health, failingSince, at time.Time,
) (changed, stale bool) {
	switch {
	case state.Health == webhook.Disabled || state.Health == health:
		return false, false
	case health == webhook.Disabled && state.Health == webhook.Healthy && res.attempt != nil &&
		state.Since.After(res.attempt.StartedAt):
		return false, true
	case health == webhook.Degraded && !state.Since.IsZero() && state.Since.After(failingSince):
		return false, true
	}
	if state.FailingSince.IsZero() {
		state.FailingSince = failingSince
		if failingSince.IsZero() {
			state.FailingSince = at
		}
	}
	state.Health, state.Since, state.ChangedBy, state.Cause = health, at, "", causeOf(res)
	state.NextProbe = time.Time{}
	if health == webhook.Degraded {
		state.NextProbe = at.Add(max(l.probeWait(0), res.observed.RetryAfter))
	}
	return true, false
}

func causeOf(res *result) *webhook.EndpointCause {
	a := res.attempt
	if a == nil {
		return nil
	}
	return &webhook.EndpointCause{DeliveryID: res.task.DeliveryID, Class: a.Class,
		StatusCode: a.StatusCode, Error: a.Error}
}

// endProbe stores what a probe says of its endpoint. If there was no attempt, the next probe may
// come at once. It changes nothing if the state was changed meanwhile, such as by a person.
func (d *Dispatcher) endProbe(ctx context.Context, res *result) error {
	t := res.task
	if t.storedProbe.Load() == nil {
		return nil
	}
	select {
	case t.storingProbe <- struct{}{}:
		defer func() { <-t.storingProbe }()
	case <-ctx.Done():
		return ctx.Err()
	}
	before := t.storedProbe.Load()
	if before == nil {
		return nil
	}
	after := d.cfg.Lifecycle.afterClaimedProbe(before, res, d.now(), d.reach.cutOff())
	if res.tried != nil { // the same again, so that it is known if it has been stored
		after = *res.tried.after.Clone()
		after.Revision = before.Revision
	}
	change := &stateChange{before, after.Clone()}
	err := d.commitState(ctx, &after, res.revision)
	if errors.Is(err, webhook.ErrConflict) && res.tried != nil {
		state, readErr := d.store.EndpointState(ctx, t.OrganizationID, t.Endpoint)
		if readErr != nil && !errors.Is(readErr, webhook.ErrNotFound) {
			return readErr
		}
		if readErr == nil && res.tried.stored(&state) {
			after, err = state, nil
		}
	}
	switch {
	case errors.Is(err, webhook.ErrConflict), errors.Is(err, webhook.ErrNotFound):
		t.storedProbe.Store(nil)
		return nil
	case err != nil:
		res.tried = change
		return err
	}
	t.storedProbe.Store(nil)
	d.afterStateChange(ctx, before, &after, t.EventType)
	d.queue.SignalClaim()
	return nil
}

// afterClaimedProbe returns the state of a degraded endpoint after a delivery that was claimed as a
// probe has come to a result. cutOff says that this process reaches nothing.
func (l Lifecycle) afterClaimedProbe(
	before *webhook.EndpointState, res *result, at time.Time, cutOff bool,
) webhook.EndpointState {
	after := *before.Clone()
	if res.attempt == nil {
		after.NextProbe = at
		return after
	}
	if res.observed.Health == breaker.Unhealthy && cutOff {
		after.NextProbe = at.Add(l.FirstProbe) // it says more of this process
	} else {
		after = l.afterProbe(after, res.observed, at)
	}
	if res.observed.Health == breaker.Unhealthy {
		after.Cause = causeOf(res)
	}
	return after
}

// extendProbes keeps other processes from probing the endpoints of leases that were extended. If it
// fails, another process may probe a little early, which does no harm.
func (d *Dispatcher) extendProbes(ctx context.Context, leases []webhook.Lease, until time.Time) {
	for probes := range slices.Chunk(d.leases.probes(leases), maxStates) {
		var changes []webhook.EndpointChange
		var extended []*task
		for _, t := range probes {
			select {
			case t.storingProbe <- struct{}{}:
			default:
				continue // the next time, or the probe has just ended
			}
			state := t.storedProbe.Load()
			if state == nil {
				<-t.storingProbe
				continue
			}
			next := state.Clone()
			next.NextProbe = until
			changes, extended = append(changes, webhook.EndpointChange{State: next}), append(extended, t)
		}
		if len(changes) == 0 {
			continue
		}
		results, err := d.store.SetEndpointStates(ctx, changes)
		for i, t := range extended {
			if err == nil && results[i] == nil {
				t.storedProbe.Store(changes[i].State)
			}
			<-t.storingProbe
		}
	}
}

// maxStates bounds how many states of endpoints are stored at a time.
const maxStates = 256

func newStateCommits(d *Dispatcher) groupcommit.Group[webhook.EndpointChange, error] {
	return groupcommit.Group[webhook.EndpointChange, error]{
		Commit:    d.store.SetEndpointStates,
		Weight:    func(webhook.EndpointChange) int { return 1 },
		MaxWeight: maxStates,
		Timeout:   storeTimeout,
	}
}

// commitState stores a state, together with those that other goroutines store at the same time: when
// a host dies, thousands of endpoints may change at once. It sets the new revision in the state. The
// caller must not use the state after an error of ctx.
func (d *Dispatcher) commitState(
	ctx context.Context, state *webhook.EndpointState, subscriptionRevision int64,
) error {
	results, err := d.states.Do(ctx, []webhook.EndpointChange{
		{State: state, SubscriptionRevision: subscriptionRevision}})
	if err != nil {
		return err
	}
	return results[0]
}

// updateState reads a state, changes it, and stores it, again if another call has changed it
// meanwhile. change returns false to leave it as it is. Revision is the subscription's, or 0, and
// eventType that of the event whose attempt changes the state, if one does.
func (d *Dispatcher) updateState(
	ctx context.Context, organizationID string, e webhook.Endpoint, revision int64, eventType string,
	change func(*webhook.EndpointState) bool,
) error {
	const attempts = 5
	for n := 1; ; n++ {
		before, err := d.store.EndpointState(ctx, organizationID, e)
		if err != nil {
			return err
		}
		after := *before.Clone()
		changed := change(&after)
		if changed {
			err = d.commitState(ctx, &after, revision)
		}
		switch {
		case errors.Is(err, webhook.ErrConflict) && n < attempts:
			continue
		case err != nil:
			return err
		case changed:
			d.afterStateChange(ctx, &before, &after, eventType)
		case before.Health != webhook.Healthy:
			d.resetEndpoint(ctx, e) // another process has found out
		}
		return nil
	}
}

// afterStateChange does what follows if a change that this process has stored is one of the health:
// nothing that is queued is attempted, and what was known of the endpoint is forgotten, so that one
// that is healthy again begins with few attempts at a time.
func (d *Dispatcher) afterStateChange(
	ctx context.Context, before, after *webhook.EndpointState, eventType string,
) {
	if before.Health == after.Health {
		return
	}
	d.resetEndpoint(ctx, after.Endpoint)
	level, message, since := slog.LevelInfo, "webhook: an endpoint is healthy again",
		before.FailingSince
	switch {
	case after.Health == webhook.Degraded:
		level, message, since = slog.LevelWarn, "webhook: an endpoint is degraded", after.FailingSince
	case after.Health == webhook.Disabled:
		message, since = "webhook: an endpoint is disabled", after.FailingSince
		if after.ChangedBy == "" {
			level = slog.LevelError
		}
	}
	attributes := d.namesOf(ctx, after.OrganizationID, after.Endpoint).append([]slog.Attr{
		slog.String("organization_id", after.OrganizationID),
		slog.String("webhook_id", after.SubscriptionID), slog.String("channel", after.Channel),
	})
	if !since.IsZero() {
		attributes = append(attributes, slog.Time("failing_since", since))
	}
	if last := after.LastFailure; last != nil && after.Health != webhook.Healthy {
		attributes = append(attributes, slog.Time("failed_before_since", last.Since),
			slog.Time("failed_before_until", last.Until))
	}
	if c := after.Cause; c != nil {
		attributes = append(attributes, slog.String("class", c.Class), slog.String("error", c.Error))
	}
	if after.ChangedBy != "" {
		attributes = append(attributes, slog.String("changed_by", after.ChangedBy))
	}
	d.cfg.Logger.LogAttrs(ctx, level, message, attributes...)
	hookEnd(ctx, d, "HealthChanged", d.cfg.Hooks.HealthChanged,
		HealthChange{Before: *before.Clone(), After: *after.Clone(), EventType: eventType})
}

// namesOf returns the names of an endpoint, as far as they can be had.
func (d *Dispatcher) namesOf(
	ctx context.Context, organizationID string, e webhook.Endpoint,
) names {
	entry, err := d.channels.get(ctx, organizationID, e.SubscriptionID, 0, time.Time{})
	if err != nil {
		return names{}
	}
	return entry.names(e.Channel)
}

// resetEndpoint forgets what was seen of the endpoint, and returns what is queued for it to the
// store, so that the store decides again.
func (d *Dispatcher) resetEndpoint(ctx context.Context, e webhook.Endpoint) {
	d.requeueRemoved(ctx, d.queue.ResetEndpoint(fairqueue.Endpoint(e)))
}
