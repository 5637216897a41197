package dispatch

import (
	"fmt"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/bucket"
)

// simStore is a store as the contract of webhook.Store describes one, as simple as it can be: all
// deliveries in a list, and each call is one step. All processes of a simWorld share it.
type simStore struct {
	w             *simWorld
	organizations []*simOrganization
	endpoints     []*simEndpoint // those that exist, and those that are gone while deliveries are left
	deliveries    []*simDelivery // by their ids, which begin with 1; nil for those that were pruned
	events        map[string]bool
	turn          int // which organization a claim serves first
	// Of the claim that is being served, kept for their memory:
	shares []simShare
	due    []*simDelivery // those of all shares
}

// simShare is what a claim may take of an endpoint, in its order.
type simShare struct {
	e   *simEndpoint
	due []*simDelivery
}

type simOrganization struct {
	id string
	// The account: what was accepted, and what has become of it, also of what was pruned.
	accepted, succeeded, dead, cancelled, pending int

	taken int // by the claim that is being served
}

// simEndpoint is a subscription with one channel.
type simEndpoint struct {
	organization *simOrganization
	key          webhook.Endpoint
	name         string
	revision     int64
	paused, gone bool
	pausedSince  time.Duration
	state        webhook.EndpointState
	rate         webhook.RateLimit
	bucket       bucket.Bucket
	unfinished   []*simDelivery
	// What the world makes of it:
	behaviour    simBehaviour
	answersSince time.Duration // since when it answers all and nothing about it has changed
	createdAt    time.Duration
	begun        int // attempts
}

func (e *simEndpoint) held() bool {
	return e.paused || e.state.Health == webhook.Disabled
}

type simDelivery struct {
	id          webhook.DeliveryID
	endpoint    *simEndpoint
	event       *simEvent
	status      webhook.Status
	token       int64
	at          time.Duration // when it is due, its lease ends, or it was settled
	queuedAt    time.Duration
	attempts    int
	sinceQueued int
	lost        int
	startedAt   time.Duration // 0 is never, and negative that the attempt was lost
	// The account:
	settled  webhook.Status // as it was recorded when it was settled; empty before
	tokens   int64          // the latest token that was handed out
	claimed  time.Duration  // when that was
	leaseEnd time.Duration
	replayed time.Duration
	waits    time.Duration // since when the next attempt is waited for
	running  int           // attempts under way, in any process
}

// simEvent is what the deliveries of one event share.
type simEvent struct {
	number  int
	id      string
	payload []byte
	ttl     time.Duration
}

func (s *simStore) emit(e *simEvent, organization *simOrganization, now time.Duration,
	take func(*simEndpoint) bool, until time.Time, tasks []webhook.Task,
) []webhook.Task {
	if s.events[e.id] && s.w.bug != bugEmitsTwice {
		return tasks
	}
	s.events[e.id] = true
	for _, endpoint := range s.endpoints {
		if endpoint.gone || endpoint.organization != organization {
			continue
		}
		d := &simDelivery{id: s.lastID() + 1, endpoint: endpoint, event: e, status: webhook.StatusPending,
			at: now, queuedAt: now, waits: s.w.now}
		s.deliveries = append(s.deliveries, d)
		endpoint.unfinished = append(endpoint.unfinished, d)
		organization.accepted++
		organization.pending++
		s.w.isEmitted(d)
		if !endpoint.held() && endpoint.state.Health != webhook.Degraded && take != nil && take(endpoint) {
			tasks = append(tasks, s.lease(d, until))
		}
	}
	return tasks
}

// lastID is the id of the latest delivery, 0 if there was none.
func (s *simStore) lastID() webhook.DeliveryID { return webhook.DeliveryID(len(s.deliveries)) }

// delivery returns nil if the delivery was pruned.
func (s *simStore) delivery(id webhook.DeliveryID) *simDelivery { return s.deliveries[id-1] }

func (s *simStore) lease(d *simDelivery, until time.Time) webhook.Task {
	due, lostAt := d.at, time.Time{}
	if d.status == webhook.StatusInFlight && (d.lost == 0 || d.startedAt > 0) {
		d.lost++
		d.startedAt = -d.startedAt
	}
	if d.startedAt < 0 {
		lostAt = simTime(-d.startedAt)
	}
	d.token++
	d.tokens, d.claimed = d.token, s.w.now
	d.status, d.at = webhook.StatusInFlight, sinceEpoch(until)
	d.leaseEnd = d.at
	t := webhook.Task{
		Lease: webhook.Lease{DeliveryID: d.id, Token: d.token}, Until: until,
		OrganizationID: d.endpoint.organization.id, Endpoint: d.endpoint.key,
		Revision: d.endpoint.revision, EventID: d.event.id, Payload: d.event.payload,
		Attempts: d.attempts, AttemptsSinceQueued: d.sinceQueued, QueuedAt: simTime(d.queuedAt),
		DueAt: simTime(due), Lost: d.lost, LostAt: lostAt,
	}
	if d.event.ttl > 0 {
		t.ExpiresAt = simTime(d.queuedAt + d.event.ttl)
	}
	if d.endpoint.state.Health == webhook.Healthy {
		t.HealthySince = d.endpoint.state.Since
	}
	return t
}

// claim takes turns between organizations, and within each between endpoints.
func (s *simStore) claim(
	now time.Duration, r webhook.ClaimRequest, tasks []webhook.Task,
) []webhook.Task {
	s.turn++
	s.shares, s.due = s.shares[:0], s.due[:0]
	for i := range s.endpoints {
		e := s.endpoints[(i+s.turn)%len(s.endpoints)]
		if e.gone || e.held() && s.w.bug != bugClaimsPaused || slices.Contains(r.Skip, e.key) ||
			slices.Contains(r.SkipOrganizations, e.organization.id) {
			continue
		}
		limit := r.PerEndpoint
		if e.state.Health == webhook.Degraded {
			limit = 1
			if e.state.NextProbe.After(simTime(now)) {
				continue
			}
		}
		if due := s.dueOf(e, now); len(due) > 0 {
			s.shares = append(s.shares, simShare{e, due[:min(len(due), limit)]})
		}
	}
	for _, o := range s.organizations {
		o.taken = 0
	}
	for again := true; again; {
		again = false
		for i := range s.shares {
			share := &s.shares[i]
			e := share.e
			if len(share.due) == 0 || len(tasks) == r.Limit || e.organization.taken == r.PerOrganization {
				continue
			}
			d := share.due[0]
			share.due = share.due[1:]
			s.w.isClaimed(d)
			task := s.lease(d, r.Until)
			if e.state.Health == webhook.Degraded {
				e.state.NextProbe = r.Until
				e.state.Revision++
				task.Probe = e.state.Clone()
			}
			tasks = append(tasks, task)
			e.organization.taken++
			again = true
		}
	}
	return tasks
}

// dueOf returns what may be claimed of an endpoint, in its order, in memory of the latest claim.
func (s *simStore) dueOf(e *simEndpoint, now time.Duration) []*simDelivery {
	from := len(s.due)
	for _, d := range e.unfinished {
		if d.at > now || d.status == webhook.StatusInFlight && s.w.bug == bugForgetsTheDead {
			continue
		}
		s.due = append(s.due, d)
	}
	due := s.due[from:]
	slices.SortFunc(due, func(a, b *simDelivery) int {
		if fresh, other := a.sinceQueued == 0, b.sinceQueued == 0; fresh != other {
			if fresh {
				return -1
			}
			return 1
		}
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return int(a.id - b.id)
	})
	return due
}

// heldBy returns the delivery if the lease is its latest, and nil otherwise.
func (s *simStore) heldBy(l webhook.Lease, ignoreToken, ignoreStatus bool) *simDelivery {
	d := s.delivery(l.DeliveryID)
	if d == nil || d.endpoint.gone || d.token != l.Token && !ignoreToken ||
		d.status != webhook.StatusInFlight && !ignoreStatus {
		return nil
	}
	return d
}

func (s *simStore) extend(until time.Time, leases, lost []webhook.Lease) []webhook.Lease {
	for _, l := range leases {
		d := s.heldBy(l, s.w.bug == bugExtendsStale, false)
		if d == nil {
			lost = append(lost, l)
			continue
		}
		if end := sinceEpoch(until); end > d.at || s.w.bug == bugShortensLeases {
			d.at = end
		}
		d.leaseEnd = d.at
	}
	return lost
}

func (s *simStore) start(now time.Duration, leases, lost []webhook.Lease) []webhook.Lease {
	for _, l := range leases {
		if d := s.heldBy(l, false, false); d != nil {
			d.startedAt = max(now, 1)
		} else {
			lost = append(lost, l)
		}
	}
	return lost
}

func (s *simStore) settle(
	now time.Duration, settlements []webhook.Settlement, refused []webhook.Lease,
) []webhook.Lease {
	for i := range settlements {
		v := &settlements[i]
		d := s.heldBy(v.Lease, s.w.bug == bugIgnoresTokens, s.w.bug == bugSettlesTwice)
		if d == nil {
			refused = append(refused, v.Lease)
			continue
		}
		s.w.isSettledWith(d, v.Token)
		if v.Attempt != nil {
			d.attempts++
			if !v.Probe {
				d.sinceQueued++
			}
			if !v.Lost {
				d.lost = 0
			}
		}
		if v.Attempt != nil || d.startedAt > 0 {
			d.startedAt = 0
		}
		at := now
		if v.Status == webhook.StatusPending {
			at = sinceEpoch(v.DueAt)
			d.waits = max(s.w.now, at)
		}
		s.move(d, v.Status, at)
	}
	return refused
}

// move changes the status of a delivery.
func (s *simStore) move(d *simDelivery, to webhook.Status, at time.Duration) {
	was := d.status
	d.status, d.at = to, at
	if to.Settled() == was.Settled() {
		s.w.moved(d)
		return
	}
	e := d.endpoint
	if to.Settled() {
		e.unfinished = slices.DeleteFunc(e.unfinished,
			func(other *simDelivery) bool { return other == d })
	} else {
		e.unfinished = append(e.unfinished, d)
	}
	s.w.moved(d)
}

func (s *simStore) cancel(now time.Duration, d *simDelivery) {
	if !d.status.Settled() && !d.endpoint.gone {
		s.move(d, webhook.StatusCancelled, now)
	}
}

func (s *simStore) replay(now time.Duration, d *simDelivery) {
	if d.status.Settled() && !d.endpoint.gone {
		d.settled, d.waits, d.replayed = "", s.w.now, s.w.now
		d.queuedAt, d.sinceQueued, d.lost, d.startedAt = now, 0, 0, 0
		d.endpoint.organization.replayed(d.status)
		s.move(d, webhook.StatusPending, now)
	}
}

// delete removes a subscription. Its deliveries count as cancelled from then on.
func (s *simStore) delete(e *simEndpoint) {
	for len(e.unfinished) > 0 {
		s.move(e.unfinished[0], webhook.StatusCancelled, s.w.now)
	}
	e.gone = true
}

func (s *simStore) prune(r webhook.PruneRequest) {
	for i, d := range s.deliveries {
		if d == nil {
			continue
		}
		before := r.SucceededBefore
		if d.status == webhook.StatusDead {
			before = r.DeadBefore
		}
		old := simTime(d.at).Before(before)
		if old && (d.status.Settled() || s.w.bug == bugPrunesPending) {
			s.w.isPruned(d)
			s.deliveries[i] = nil
		}
	}
}

func (s *simStore) repair(now time.Duration, r webhook.RepairRequest) (repaired int) {
	for _, e := range s.endpoints {
		for _, d := range e.unfinished {
			at := simTime(d.at)
			switch {
			case d.status == webhook.StatusInFlight:
				if at.After(r.LeasesAfter) {
					d.at = sinceEpoch(r.Until)
					d.leaseEnd = d.at
					repaired++
				}
			case d.sinceQueued > 0 && at.After(r.RetriesAfter),
				d.sinceQueued == 0 && at.After(r.FreshAfter):
				d.at = now
				repaired++
			}
		}
	}
	return repaired
}

// setState stores a state if it is based on the latest one.
func (e *simEndpoint) setState(state *webhook.EndpointState) bool {
	if e.gone || e.state.Revision != state.Revision {
		return false
	}
	state.Revision++
	e.state = *state.Clone()
	return true
}

func (o *simOrganization) replayed(from webhook.Status) {
	o.pending++
	switch from {
	case webhook.StatusSucceeded:
		o.succeeded--
	case webhook.StatusDead:
		o.dead--
	default:
		o.cancelled--
	}
}

// The account, which a bug of the store does not change.

// moved checks a change of the status.
func (w *simWorld) moved(d *simDelivery) {
	o := d.endpoint.organization
	if d.settled != "" && d.status != d.settled {
		w.fail("%v was %s and is %s", d, d.settled, d.status)
		return
	}
	if !d.status.Settled() {
		return
	}
	if d.settled != "" {
		w.fail("%v is settled twice", d)
	}
	d.settled = d.status
	o.pending--
	switch d.status {
	case webhook.StatusSucceeded:
		o.succeeded++
	case webhook.StatusDead:
		o.dead++
	default:
		o.cancelled++
	}
	w.log("", "%v is %s", d, d.status)
}

// isEmitted checks that an event makes one delivery for each endpoint.
func (w *simWorld) isEmitted(d *simDelivery) {
	key := simEmitted{d.event.number, d.endpoint}
	if w.emitted[key] {
		w.fail("%v is a second delivery of an event for an endpoint", d)
	}
	w.emitted[key] = true
}

// isSettledWith checks that a result that counts is that of the latest claim.
func (w *simWorld) isSettledWith(d *simDelivery, token int64) {
	if token != d.tokens {
		w.fail("%v is settled with token %d, the latest is %d", d, token, d.tokens)
	}
}

// isClaimed checks that nothing is claimed that may not be. The processes know the time of the store
// as well as its answers let them.
func (w *simWorld) isClaimed(d *simDelivery) {
	if d.endpoint.held() {
		w.fail("%v is claimed while its endpoint is paused or disabled", d)
	}
	if d.status == webhook.StatusInFlight && d.leaseEnd > w.now+maxClockError {
		w.fail("%v is claimed %v before the lease of another claim ends", d, d.leaseEnd-w.now)
	}
}

func (w *simWorld) isPruned(d *simDelivery) {
	if d.settled == "" {
		w.fail("%v is pruned before it is settled", d)
	}
	delete(w.emitted, simEmitted{d.event.number, d.endpoint})
}

// account compares what is stored with what was accepted.
func (w *simWorld) account() {
	for _, o := range w.store.organizations {
		pending := 0
		for _, e := range w.store.endpoints {
			if e.organization == o {
				pending += len(e.unfinished)
			}
		}
		if pending != o.pending || o.accepted != o.succeeded+o.dead+o.cancelled+pending {
			w.fail("of %s, %d are accepted, %d succeeded, %d dead, %d cancelled and %d pending", o.id,
				o.accepted, o.succeeded, o.dead, o.cancelled, pending)
		}
	}
}

// String names the delivery as stories do.
func (d *simDelivery) String() string {
	return fmt.Sprintf("delivery %d for %s", d.id, d.endpoint.name)
}

// simEpoch is when every simulation begins.
var simEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func simTime(at time.Duration) time.Time    { return simEpoch.Add(at) }
func sinceEpoch(at time.Time) time.Duration { return at.Sub(simEpoch) }
