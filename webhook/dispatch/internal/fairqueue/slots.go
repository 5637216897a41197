package fairqueue

import (
	"container/list"
	"time"
)

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

// thresholdAlpha is the factor of the dynamic threshold. One part in headroomDivisor of each
// resource counts as used when thresholds are computed.
const (
	thresholdAlpha  = 4
	headroomDivisor = 32
)

// dynamicThreshold returns how much of a resource one user may have. capacity is how much of it
// there is, and used what all users together have. It is at least 1.
func dynamicThreshold(capacity, used int) int {
	return max(1, thresholdAlpha*(capacity-used-capacity/headroomDivisor))
}

// slotCounts are how many slots there are. Those that are held back are among the others.
type slotCounts struct{ total, fast, general, heldBack int }

func newSlotCounts(inFlight int) slotCounts {
	quarter := inFlight / 4
	return slotCounts{
		total:    inFlight,
		fast:     max(quarter, 1),
		general:  max(inFlight-quarter, 1),
		heldBack: quarter / 4,
	}
}

// slotUsage counts slots that are taken: all of them, or those of an organization or of a host.
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

// speedRecord scores how long attempts have been lasting: each fast one adds 1, and each slow one
// takes slowPenalty away.
type speedRecord struct{ score int }

const (
	slowPenalty = 8
	bestScore   = 2 * slowPenalty
	worstScore  = -8 * slowPenalty
)

func (r *speedRecord) recordFast() { r.score = min(r.score+1, bestScore) }
func (r *speedRecord) recordSlow() { r.score = max(r.score-slowPenalty, worstScore) }

// speed is what the record says about the next attempt. Endpoints are called fast, neutral or slow
// by it.
type speed int

const (
	speedFast    speed = iota // attempts have been fast
	speedNeutral              // there was none yet, or slow ones have cancelled out fast ones
	speedSlow                 // slow attempts outweigh fast ones
	speedCount                // how many speeds there are
)

func (r *speedRecord) speed() speed {
	switch {
	case r.score > 0:
		return speedFast
	case r.score == 0:
		return speedNeutral
	}
	return speedSlow
}

// slotUser is an organization or a host: what gets a share of the slots.
type slotUser struct {
	slotUsage
	speedRecord
}

// withinSlotShare reports whether an organization or a host may have one more slot of the kind, for
// an endpoint of that speed. Slow endpoints leave a part of the share for neutral ones.
func (c *Core[T]) withinSlotShare(u *slotUser, kind slotKind, speed speed) bool {
	if u.total() >= dynamicThreshold(c.slots.total, c.slotsUsed.total()) {
		return false
	}
	if kind == fastSlot {
		return u.fast < dynamicThreshold(c.slots.fast, c.slotsUsed.fast)
	}
	share := dynamicThreshold(c.slots.general, c.slotsUsed.general)
	if speed == speedSlow {
		share = max(share*3/4, 1)
	}
	return u.general < share
}

// hostWithinSlotShare reports whether a host may have one more slot of the kind, for that endpoint:
// it may have a limit of its own beside its share.
func (c *Core[T]) hostWithinSlotShare(h *hostState[T], kind slotKind, e *endpointQueue[T]) bool {
	return h.withinHostLimit(e.organization, c.now) && c.withinSlotShare(&h.slotUser, kind, e.speed())
}

// slotFree reports whether any slot of the kind is free.
func (c *Core[T]) slotFree(kind slotKind) bool {
	if c.slotsUsed.total() >= c.slots.total {
		return false
	}
	if kind == fastSlot {
		return c.slotsUsed.fast < c.slots.fast
	}
	return c.slotsUsed.general < c.slots.general
}

// organizationMayRun reports whether the organization may have a slot of some kind for an endpoint
// of that speed.
func (c *Core[T]) organizationMayRun(o *organization[T], speed speed) bool {
	mayUse := func(kind slotKind) bool {
		return c.slotFree(kind) && c.withinSlotShare(&o.slotUser, kind, speed)
	}
	return speed == speedFast && mayUse(fastSlot) || mayUse(generalSlot)
}

// slotFor returns the kind of slot that the endpoint may have now. If that is noSlot, it says
// whether the reason is its host.
func (c *Core[T]) slotFor(e *endpointQueue[T]) (kind slotKind, hostFull bool) {
	speed := e.speed()
	for kind = fastSlot; kind <= generalSlot; kind++ {
		if kind == fastSlot && speed != speedFast || !c.slotFree(kind) ||
			!c.withinSlotShare(&e.organization.slotUser, kind, speed) {
			continue
		}
		if e.host != nil && !c.hostWithinSlotShare(e.host, kind, e) {
			hostFull = true
			continue
		}
		if !c.onlyHeldBackLeft(kind) || e.mayUseHeldBackSlot(c.now) {
			return kind, false
		}
	}
	return noSlot, hostFull
}

// onlyHeldBackLeft reports whether a slot of the kind would be one of those that are held back.
func (c *Core[T]) onlyHeldBackLeft(kind slotKind) bool {
	return c.slotsUsed.total() >= c.slots.total-c.slots.heldBack ||
		kind == fastSlot && c.slotsUsed.fast >= c.slots.fast-c.slots.heldBack
}

// fastAnswerRecency is how long after a fast answer an endpoint may use the slots that are held
// back.
const fastAnswerRecency = time.Second

func (e *endpointQueue[T]) mayUseHeldBackSlot(now time.Time) bool {
	return e.speed() == speedFast && e.organization.speed() != speedSlow &&
		(e.host == nil || e.host.speed() != speedSlow) &&
		now.Sub(e.lastFastAnswer) <= fastAnswerRecency
}

// adjustSlots adds n to the slots of the item's kind that its organization, its host and all
// together have.
func (c *Core[T]) adjustSlots(item *Item[T], n int) {
	c.slotsUsed.add(item.slot, n)
	item.endpointQueue.organization.add(item.slot, n)
	if item.slotHost != nil {
		item.slotHost.add(item.slot, n)
		item.slotHost.countInFlight(item.endpointQueue.organization, n, c.now)
		c.forgetHostIfUnused(item.slotHost)
	}
}

// exchangeSlot gives the item a slot of that kind for the one that it has.
func (c *Core[T]) exchangeSlot(item *Item[T], kind slotKind) {
	users := []*slotUsage{&c.slotsUsed, &item.endpointQueue.organization.slotUsage}
	if item.slotHost != nil {
		users = append(users, &item.slotHost.slotUsage)
	}
	for _, u := range users {
		u.add(item.slot, -1)
		u.add(kind, 1)
	}
	item.slot = kind
}

// wakeForFreedSlot lets those look for a slot again that may have the one that the item had: first
// endpoints that wait for its host, then organizations that wait for any slot, as far as maxWakeups
// goes, and its own organization last, because it has just had a turn. The others look again with
// the next RescheduleAll.
func (c *Core[T]) wakeForFreedSlot(item *Item[T]) {
	if item.slotHost != nil {
		c.wakeWaiters(item.slotHost, maxWakeups)
	}
	for n := 0; n < maxWakeups && !c.waitingForSlot.empty(); n++ {
		c.scheduleOrganization(c.waitingForSlot.head)
	}
	if o := item.endpointQueue.organization; o.hasScheduledEndpoint() {
		c.scheduleOrganization(o)
	}
}

// maxWakeups is how many endpoints that wait for a host, and how many organizations, look for a
// slot again when one has come free.
const maxWakeups = 4

// maxBlockedSkipped is how many blocked endpoints of a run queue are passed over in one search for
// one that can run. Like maxWakeups, it bounds the work that follows, with the lock held, from one
// slot that comes free, and so is the same number.
const maxBlockedSkipped = maxWakeups

// stopwatchPauses are the times in which an attempt waits for something in this process, such as a
// place to render its templates: its endpoint can do nothing about that, so they do not count.
type stopwatchPauses struct {
	depth     int           // how many things it waits for now
	pausedAt  time.Time     // when the pause began that goes on, if depth is not 0
	completed time.Duration // how long the pauses lasted that are over
}

func (i *Item[T]) stopwatchPaused() bool {
	return i.stopwatchPauses != nil && i.stopwatchPauses.depth > 0
}

// PauseStopwatch stops the stopwatch of an attempt that begins to wait for something in this
// process. The attempt keeps its slot, and does not get slow meanwhile. It may wait for several
// things at once: the stopwatch goes on when ResumeStopwatch was called as often. Both do nothing
// once the attempt is finished.
func (c *Core[T]) PauseStopwatch(now time.Time, item *Item[T]) {
	if item.finished || item.stopwatchStart.IsZero() { // a channel has left something running
		return
	}
	if item.stopwatchPauses == nil {
		item.stopwatchPauses = new(stopwatchPauses)
	}
	p := item.stopwatchPauses
	if p.depth++; p.depth > 1 {
		return
	}
	p.pausedAt = now
	if !item.slow {
		c.notYetSlow.remove(item)
	}
}

// ResumeStopwatch lets the stopwatch go on: see PauseStopwatch.
func (c *Core[T]) ResumeStopwatch(now time.Time, item *Item[T]) {
	if item.finished || !item.stopwatchPaused() {
		return
	}
	p := item.stopwatchPauses
	if p.depth--; p.depth > 0 {
		return
	}
	waited := now.Sub(p.pausedAt)
	p.completed += waited
	item.stopwatchStart = item.stopwatchStart.Add(waited)
	if !item.slow {
		c.notYetSlow.add(item)
	}
}

// PausedFor returns how long the stopwatch of the attempt was paused, without a pause that goes on.
func (c *Core[T]) PausedFor(item *Item[T]) time.Duration {
	if item.stopwatchPauses == nil {
		return 0
	}
	return item.stopwatchPauses.completed
}

// attemptList is a linked list of attempts whose stopwatch runs, in the order of stopwatchStart.
type attemptList[T any] struct{ first, last *Item[T] }

func (l *attemptList[T]) add(item *Item[T]) {
	previous := l.last
	for previous != nil && previous.stopwatchStart.After(item.stopwatchStart) {
		previous = previous.previousInList
	}
	item.previousInList = previous
	if previous == nil {
		item.nextInList, l.first = l.first, item
	} else {
		item.nextInList, previous.nextInList = previous.nextInList, item
	}
	if item.nextInList == nil {
		l.last = item
	} else {
		item.nextInList.previousInList = item
	}
}

func (l *attemptList[T]) remove(item *Item[T]) {
	if item.previousInList == nil {
		l.first = item.nextInList
	} else {
		item.previousInList.nextInList = item.nextInList
	}
	if item.nextInList == nil {
		l.last = item.previousInList
	} else {
		item.nextInList.previousInList = item.previousInList
	}
	item.previousInList, item.nextInList = nil, nil
}

// markSlow marks attempts that have lasted for slowAfter as slow, and gives those that have a fast
// slot a general one for it.
func (c *Core[T]) markSlow() {
	for item := c.notYetSlow.first; item != nil &&
		c.now.Sub(item.stopwatchStart) >= slowAfter; item = c.notYetSlow.first {
		c.notYetSlow.remove(item)
		item.slow = true
		item.endpointQueue.recordSlow()
		c.updateCountedSpeed(item.endpointQueue)
		item.endpointQueue.organization.recordSlow()
		if item.slotHost != nil {
			item.slotHost.recordSlow()
		}
		if item.slot == fastSlot {
			c.exchangeSlot(item, generalSlot)
			c.wakeForFreedSlot(item)
		}
	}
	c.ensureWorker()
}

// Host is where attempts go, of any organization. One name with two values of MaxInFlight is two
// hosts. The zero Host stands for one that is not known.
type Host struct {
	Name string
	// MaxInFlight is how many attempts to it may be in flight, as its channel says. 0 means that only
	// its share of the slots bounds them.
	MaxInFlight int
}

// hostState is what is known of a host, and what waits for its slots.
type hostState[T any] struct {
	slotUser
	Host
	hostUse
	endpointCount int // endpoints that go there
	// waitingOrganizations has an *organizationWaiters for each organization with endpoints that could
	// run something when they came, if the host had a slot for them, and waitersByOrganization finds
	// its element.
	// Organizations take turns: one with many endpoints gets no more of the host than one with a
	// single endpoint.
	waitingOrganizations  list.List
	waitersByOrganization map[*organization[T]]*list.Element
}

// organizationWaiters are the endpoints of one organization that wait for one host. The
// organization keeps its place while they look for a slot, so that it loses no turn if they find
// none.
type organizationWaiters[T any] struct {
	organization *organization[T]
	endpoints    fifo[*endpointQueue[T]]
}

// hostUse says which organizations use a host with a limit of its own.
type hostUse struct {
	inFlight map[string]int // attempts there, by the id of the organization
	// lastUser is the organization that was the last to use the host or to wait for it, and
	// lastOtherUser the last one that is not lastUser. Both are zero if there is none.
	lastUser, lastOtherUser hostUser
}

type hostUser struct {
	organizationID string
	at             time.Time // when it last used the host or waited for it
}

// hostUseRecency is for how long an organization that has used a host, or waited for it, keeps any
// other from having all of the attempts in flight that the host may have. The attempts for a mail
// to many recipients can take minutes, and an organization that seldom sends one would have to wait
// for them each time.
const hostUseRecency = time.Hour

// recordUse notes that the organization uses the host or waits for it.
func (u *hostUse) recordUse(organizationID string, now time.Time) {
	if u.lastUser.organizationID != organizationID {
		u.lastOtherUser = u.lastUser
	}
	u.lastUser = hostUser{organizationID, now}
}

// usedByOthersLately reports whether an organization other than this one has used the host, or
// waited for it, within hostUseRecency.
func (u *hostUse) usedByOthersLately(organizationID string, now time.Time) bool {
	other := u.lastUser
	if other.organizationID == organizationID {
		other = u.lastOtherUser
	}
	return now.Sub(other.at) <= hostUseRecency
}

// countInFlight adds n to what the organization has in flight at the host.
func (h *hostState[T]) countInFlight(o *organization[T], n int, now time.Time) {
	if h.MaxInFlight == 0 {
		return
	}
	h.recordUse(o.id, now)
	if h.inFlight[o.id] += n; h.inFlight[o.id] == 0 {
		delete(h.inFlight, o.id)
	}
}

// withinHostLimit reports whether the limit of the host lets the organization have one more attempt
// in flight there. If others have used the host lately, it may have all but one of them, and always
// one: its attempts may last for minutes.
func (h *hostState[T]) withinHostLimit(o *organization[T], now time.Time) bool {
	if h.MaxInFlight == 0 {
		return true
	}
	limit := h.MaxInFlight // of the organization
	if h.usedByOthersLately(o.id, now) {
		limit = max(limit-1, 1)
	}
	return h.total() < h.MaxInFlight && h.inFlight[o.id] < limit
}

// addWaiter adds an endpoint that is in no run queue, at a time.
func (h *hostState[T]) addWaiter(e *endpointQueue[T], now time.Time) {
	h.recordUse(e.organization.id, now)
	element := h.waitersByOrganization[e.organization]
	if element == nil {
		element = h.waitingOrganizations.PushBack(&organizationWaiters[T]{organization: e.organization})
		h.waitersByOrganization[e.organization] = element
	}
	e.joinFIFO(&element.Value.(*organizationWaiters[T]).endpoints)
}

// moveToBack moves the organization behind the others.
func (h *hostState[T]) moveToBack(o *organization[T]) {
	if element := h.waitersByOrganization[o]; element != nil {
		h.waitingOrganizations.MoveToBack(element)
	}
}

// popWaiters takes out up to n endpoints: one of each organization before another of the same.
func (h *hostState[T]) popWaiters(n int) (popped []*endpointQueue[T]) {
	for again := true; again; {
		again = false
		for element := h.waitingOrganizations.Front(); element != nil && len(popped) < n; {
			w, this := element.Value.(*organizationWaiters[T]), element
			element = element.Next()
			switch {
			case !w.endpoints.empty():
				popped, again = append(popped, w.endpoints.head), true
				w.endpoints.head.leaveFIFO()
			case len(popped) == 0: // its endpoints look for a slot, or did so and did not come back
				h.waitingOrganizations.Remove(this)
				delete(h.waitersByOrganization, w.organization)
			}
		}
	}
	return popped
}

// popWaitersOf takes out the endpoints of an organization, which keeps its place.
func (h *hostState[T]) popWaitersOf(o *organization[T]) (popped []*endpointQueue[T]) {
	if element := h.waitersByOrganization[o]; element != nil {
		for w := element.Value.(*organizationWaiters[T]); !w.endpoints.empty(); {
			popped = append(popped, w.endpoints.head)
			w.endpoints.head.leaveFIFO()
		}
	}
	return popped
}

// setHost notes where the endpoint's attempts go: the zero Host if that is not known.
func (c *Core[T]) setHost(e *endpointQueue[T], to Host) {
	if e.host != nil && e.host.Host == to {
		return
	}
	if e.host != nil {
		// The endpoint may wait for a slot of the host that it leaves, where it would not be found
		// again. All of its organization that wait there look for a slot again.
		waiters := e.host.popWaitersOf(e.organization)
		defer func() { c.reschedule(waiters) }()
		e.host.endpointCount--
		c.forgetHostIfUnused(e.host)
		e.host = nil
	}
	if to.Name == "" {
		return
	}
	h := c.hosts[to]
	if h == nil {
		h = &hostState[T]{
			Host: to, hostUse: hostUse{inFlight: make(map[string]int)},
			waitersByOrganization: make(map[*organization[T]]*list.Element),
		}
		c.hosts[to] = h
	}
	h.endpointCount++
	e.host = h
}

// forgetHostIfUnused forgets a host that no endpoint has and no attempt in flight goes to. Until
// then, attempts in flight count for whatever endpoint goes there next.
func (c *Core[T]) forgetHostIfUnused(h *hostState[T]) {
	if h.endpointCount == 0 && h.total() == 0 && c.hosts[h.Host] == h {
		delete(c.hosts, h.Host)
	}
}

// wakeWaiters lets up to n endpoints that wait for the host look for a slot again. Those that have
// nothing to run any more do not count.
func (c *Core[T]) wakeWaiters(h *hostState[T], n int) {
	for n > 0 {
		popped := h.popWaiters(n)
		if len(popped) == 0 {
			return
		}
		n -= c.reschedule(popped)
	}
}

// reschedule schedules endpoints that have waited for a host, and returns how many of them have
// something to run.
func (c *Core[T]) reschedule(endpoints []*endpointQueue[T]) (scheduled int) {
	for _, e := range endpoints {
		c.schedule(e)
		if e.inList != nil {
			scheduled++
		}
	}
	return scheduled
}
