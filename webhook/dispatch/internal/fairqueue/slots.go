package fairqueue

import "time"

// slotKind is the kind of slot that an attempt takes while it is in flight: see the package
// documentation.
type slotKind uint8

const (
	noSlot slotKind = iota
	fastSlot
	generalSlot
)

// slowAfter is how long an attempt may last before it counts as slow.
const slowAfter = 300 * time.Millisecond

// alpha is the factor of the dynamic threshold. One part in headroomDivisor of each resource counts
// as used when thresholds are computed.
const (
	alpha           = 4
	headroomDivisor = 32
)

// threshold is how much of a resource one user may have, if all of them together have so much.
func threshold(limit, used int) int {
	return max(1, alpha*(limit-used-limit/headroomDivisor))
}

// slotLimits are how many slots there are.
type slotLimits struct{ all, fast, general, reserved int }

func newSlotLimits(inFlight int) slotLimits {
	quarter := inFlight / 4
	return slotLimits{
		all:      inFlight,
		fast:     max(quarter, 1),
		general:  max(inFlight-quarter, 1),
		reserved: quarter / 4,
	}
}

// slotUsage counts slots that are taken: in all, by an organization or for a host.
type slotUsage struct{ fast, general int }

func (u *slotUsage) total() int { return u.fast + u.general }

func (u *slotUsage) add(kind slotKind, n int) {
	switch kind {
	case fastSlot:
		u.fast += n
	case generalSlot:
		u.general += n
	case noSlot:
	}
}

// speedRecord scores how long attempts have been lasting. A slow one weighs as much as slowWeight
// that are fast.
type speedRecord struct{ score int }

const (
	slowWeight = 8
	bestScore  = 2 * slowWeight
	worstScore = -8 * slowWeight
)

func (r *speedRecord) recordFast() { r.score = min(r.score+1, bestScore) }
func (r *speedRecord) recordSlow() { r.score = max(r.score-slowWeight, worstScore) }

// speed is what the record says about the next attempt.
type speed int

const (
	speedFast    speed = iota // attempts have been fast
	speedUnknown              // there was none yet, or slow ones have cancelled out fast ones
	speedSlow
	speeds // their number
)

func (r *speedRecord) speed() speed {
	switch {
	case r.score > 0:
		return speedFast
	case r.score == 0:
		return speedUnknown
	}
	return speedSlow
}

// slotUser is an organization or a host: what gets a share of the slots.
type slotUser struct {
	slotUsage
	speedRecord
}

// withinSlotShare reports whether an organization or a host may have one more slot of the kind, for
// an endpoint of that speed. Endpoints that are slow leave a part of the share for those that are
// new.
func (q *Queue[T]) withinSlotShare(u *slotUser, kind slotKind, sp speed) bool {
	if u.total() >= threshold(q.slots.all, q.slotsUsed.total()) {
		return false
	}
	if kind == fastSlot {
		return u.slotUsage.fast < threshold(q.slots.fast, q.slotsUsed.fast)
	}
	most := threshold(q.slots.general, q.slotsUsed.general)
	if sp == speedSlow {
		most = max(most*3/4, 1)
	}
	return u.slotUsage.general < most
}

// hostWithinSlotShare is withinSlotShare for a host, which may have a limit of its own.
func (q *Queue[T]) hostWithinSlotShare(h *host[T], kind slotKind, sp speed) bool {
	return (h.MaxInFlight == 0 || h.total() < h.MaxInFlight) &&
		q.withinSlotShare(&h.slotUser, kind, sp)
}

// slotFree reports whether any slot of the kind is free.
func (q *Queue[T]) slotFree(kind slotKind) bool {
	if q.slotsUsed.total() >= q.slots.all {
		return false
	}
	if kind == fastSlot {
		return q.slotsUsed.fast < q.slots.fast
	}
	return q.slotsUsed.general < q.slots.general
}

// organizationMayRun reports whether the organization may have a slot of some kind for an endpoint
// of that speed.
func (q *Queue[T]) organizationMayRun(o *organization[T], sp speed) bool {
	return sp == speedFast && q.slotFree(fastSlot) && q.withinSlotShare(&o.slotUser, fastSlot, sp) ||
		q.slotFree(generalSlot) && q.withinSlotShare(&o.slotUser, generalSlot, sp)
}

// slotFor returns the kind of slot that the endpoint may have now. If that is noSlot, it says
// whether the reason is its host.
func (q *Queue[T]) slotFor(e *endpointQueue[T]) (kind slotKind, hostFull bool) {
	sp := e.speed()
	for kind := fastSlot; kind <= generalSlot; kind++ {
		if kind == fastSlot && sp != speedFast || !q.slotFree(kind) ||
			!q.withinSlotShare(&e.organization.slotUser, kind, sp) {
			continue
		}
		if e.host != nil && !q.hostWithinSlotShare(e.host, kind, sp) {
			hostFull = true
			continue
		}
		if !q.onlyReservedLeft(kind) || e.mayUseReserved() {
			return kind, false
		}
	}
	return noSlot, hostFull
}

// onlyReservedLeft reports whether a slot of the kind would be one of the reserved slots.
func (q *Queue[T]) onlyReservedLeft(kind slotKind) bool {
	return q.slotsUsed.total() >= q.slots.all-q.slots.reserved ||
		kind == fastSlot && q.slotsUsed.fast >= q.slots.fast-q.slots.reserved
}

// reservedRecency is how long after a fast answer an endpoint may use the reserved slots.
const reservedRecency = time.Second

func (e *endpointQueue[T]) mayUseReserved() bool {
	return e.speed() == speedFast && e.organization.speed() != speedSlow &&
		(e.host == nil || e.host.speed() != speedSlow) && time.Since(e.lastFastAnswer) <= reservedRecency
}

// countSlot adds n to the slots of the item's kind that its organization, its host and all together
// have.
func (q *Queue[T]) countSlot(item *Item[T], n int) {
	q.slotsUsed.add(item.slot, n)
	item.queue.organization.add(item.slot, n)
	if item.host != nil {
		item.host.add(item.slot, n)
		q.forgetHostIfUnused(item.host)
	}
}

// slotFreed lets those look for a slot again that may have the one that the item had: first those
// that wait for its host, and then its own organization, which has just had a turn there. All
// others do so with the next WakeBlocked.
func (q *Queue[T]) slotFreed(item *Item[T]) {
	if item.host != nil {
		q.wakeWaiters(item.host, maxWakeups)
	}
	if o := item.queue.organization; o.hasRunnable() {
		q.scheduleOrganization(o)
	}
	n := 0
	for o := range q.waitingForSlot {
		if n++; n > maxWakeups {
			break
		}
		q.scheduleOrganization(o)
	}
}

// maxWakeups is how many may look for a slot again when one has come free.
const maxWakeups = 4

// maxScan is how many blocked endpoints of an organization are passed over in one search for one
// that can run.
const maxScan = maxWakeups
