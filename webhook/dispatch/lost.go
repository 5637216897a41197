package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/groupcommit"
)

// ClassLost is the class of an attempt without a result: the process stopped, or
// lost its lease to another, before it had one.
const ClassLost channel.Class = "lost"

var errLost = errors.New("the process stopped, or lost its lease, before there was a result")

// suspects sees to it that a delivery which stops the process whenever it is
// attempted dies in the end, and that those which were in memory beside it do
// not. What lost a lease before is attempted only after the store has noted that
// it begins. What then was lost with that note has no other such attempt beside
// it, so that only the one which is to blame is lost again.
type suspects struct {
	starts groupcommit.Group[webhook.Lease, struct{}]
	// alone has one place: that of the attempt of a delivery that was lost twice or more.
	alone rotation

	mu sync.Mutex
	// waiting counts the workers that wait for it or have it, maxWaiting at most, by organization.
	waiting           map[string]int
	total, maxWaiting int
}

// join reports whether one worker more may wait with a delivery of the organization. It may have as
// many places as it leaves free, so that there is one for another.
func (s *suspects) join(organizationID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[organizationID] >= (s.maxWaiting-s.total+1)/2 {
		return false
	}
	s.waiting[organizationID]++
	s.total++
	return true
}

func (s *suspects) leave(organizationID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.waiting[organizationID]--; s.waiting[organizationID] == 0 {
		delete(s.waiting, organizationID)
	}
}

// suspectPause is how long a suspect waits in the store if too many wait here.
const suspectPause = 5 * time.Second

func (s *suspects) init(d *Dispatcher) {
	s.starts = groupcommit.Group[webhook.Lease, struct{}]{
		Commit:    d.commitStarts,
		Weight:    func(webhook.Lease) int { return 1 },
		MaxWeight: maxSettle,
		Timeout:   storeTimeout,
	}
	s.waiting, s.maxWaiting = make(map[string]int), max(d.cfg.MaxInFlight/16, 1)
}

func (d *Dispatcher) commitStarts(ctx context.Context, leases []webhook.Lease) ([]struct{}, error) {
	lost, err := d.store.Start(ctx, d.now(), leases)
	d.reportLeasesLost(ctx, d.leases.lose(lost))
	return make([]struct{}, len(leases)), err
}

// attemptSuspect is attempt for a delivery that has lost a lease.
func (r *run) attemptSuspect(t *task) (result, bool) {
	switch {
	case !t.LostAt.IsZero():
		return r.resultOfLost(t), true
	case t.Lost > 1:
		return r.attemptAlone(t)
	}
	return r.attempt(t)
}

// attemptAlone makes an attempt when that of no other such delivery is under way,
// and no result on one is still to be stored.
func (r *run) attemptAlone(t *task) (result, bool) {
	s := &r.d.suspects
	if !s.join(t.OrganizationID) {
		res := requeue(t)
		res.settlement.DueAt = r.d.now().Add(suspectPause)
		return res, true
	}
	defer s.leave(t.OrganizationID)
	if s.alone.begin(r.attemptCtx, t.OrganizationID) != nil {
		return requeue(t), true
	}
	res, ok := r.attempt(t)
	if ok {
		res.onSettled = s.alone.end
	} else {
		s.alone.end()
	}
	return res, ok
}

// noteStart has the store note that the attempt of a suspect begins. It returns false if the store
// fails, which others will log, or if the lease is lost: then there is no attempt. It is called
// when the attempt has its place, so that waiting for one never counts as an attempt.
func (r *run) noteStart(t *task) bool {
	d := r.d
	d.pauseStopwatch(t)
	_, err := d.suspects.starts.Do(r.attemptCtx, []webhook.Lease{t.Lease})
	if err != nil || !d.leases.owns(t, d.clock.latest()) {
		return false // the stopwatch stays paused: this is not to count as a fast answer
	}
	d.queue.ResumeStopwatch(&t.item)
	return true
}

// resultOfLost is the result of a delivery that had an attempt without one.
func (r *run) resultOfLost(t *task) result {
	d := r.d
	d.logDelivery(r.storeCtx, &d.lines.attemptLost, t, nil, slog.Int("lost", t.Lost))
	rules := retryRules{policy: d.retry, jitter: d.cfg.ScheduleJitter}
	entry, err := d.channels.get(
		r.attemptCtx, t.OrganizationID, t.Endpoint.SubscriptionID, t.Revision, time.Time{})
	switch {
	case err == nil:
		rules.own, t.names = entry.retry, entry.names(t.Endpoint.Channel)
	case !errors.Is(err, webhook.ErrNotFound):
		return requeueForOthers(t, d.cfg.PollInterval) // its own policy is not known now
	}
	at := d.now()
	res := resultOfLostAttempt(t, d.cfg.MaxLostAttempts, rules, at)
	if entry != nil {
		res.setSkip(entry.ordering, at)
	}
	return res
}

// resultOfLostAttempt is resultOfLost for what is known by then.
func resultOfLostAttempt(t *task, maxLost int, rules retryRules, at time.Time) result {
	res := resultOf(t, &webhook.Attempt{
		Number: t.Attempts + 1, StartedAt: t.LostAt, Class: string(ClassLost), Error: errLost.Error(),
	}, decideLost(&t.Task, maxLost, rules, at))
	res.settlement.Lost = true
	return res
}
