package dispatch

import "time"

// Attempts that hang must not take what others need, whichever tenant configured them and
// however many they are. So an attempt has a slot of one of two kinds. Fast slots
// are for endpoints that have been answering at once. An attempt that lasts longer
// than slowAfter gives its fast slot back and takes a slow one. Attempts of
// endpoints that are new here, or slow, take a slow slot from the start: if there
// is none, they do not begin.
//
// Of both kinds, and of all together, an organization and a host get a dynamic
// threshold (Choudhury and Hahne, 1998): no more than eagerness times what is
// free. One on its own gets nearly all, many share, and something always stays
// free for one that has nothing yet. The last fast slots, and the last of all, are
// a reserve for endpoints that answered a moment ago, of organizations and hosts
// with a good record.
type slot uint8

const (
	noSlot slot = iota
	fastSlot
	slowSlot
)

// slowAfter is how long an attempt may last before it counts as slow.
const slowAfter = 300 * time.Millisecond

const (
	eagerness = 4
	keptFree  = 32 // one part in so many
)

// share is how much of a limit one party may have, if so much is used by all.
func share(limit, used int) int { return max(1, eagerness*(limit-used-limit/keptFree)) }

// slotLimits are how many slots there are.
type slotLimits struct{ all, fast, slow, reserve int }

func newSlotLimits(inFlight int) slotLimits {
	quarter := inFlight / 4
	return slotLimits{all: inFlight, fast: max(quarter, 1), slow: max(inFlight-quarter, 1), reserve: quarter / 4}
}

// usage counts slots that are taken: in all, by an organization or for a host.
type usage struct{ fast, slow int }

func (u *usage) all() int { return u.fast + u.slow }

func (u *usage) add(s slot, n int) {
	switch s {
	case fastSlot:
		u.fast += n
	case slowSlot:
		u.slow += n
	case noSlot:
	}
}

// record is how attempts have been lasting. A slow one weighs as much as
// slowWeight that are answered at once.
type record struct{ score int }

const (
	slowWeight = 8
	bestScore  = 2 * slowWeight
	worstScore = -8 * slowWeight
)

func (r *record) wasFast()  { r.score = min(r.score+1, bestScore) }
func (r *record) wasSlow()  { r.score = max(r.score-slowWeight, worstScore) }
func (r *record) bad() bool { return r.score < 0 }

// standing is what an endpoint's record says about its next attempt.
type standing int

const (
	standsFast standing = iota // it has been answering at once
	standsNew                  // it has not answered yet
	standsSlow
	standings // their number
)

func (r *record) standing() standing {
	switch {
	case r.score > 0:
		return standsFast
	case r.score == 0:
		return standsNew
	}
	return standsSlow
}

// party is an organization or a host: who gets a share of the slots.
type party struct {
	usage
	record
}

// fits reports whether the party may have one more slot of the kind. Endpoints
// that are slow leave a part of what there is for those that are new.
func (s *scheduler) fits(p *party, kind slot, st standing) bool {
	if p.all() >= share(s.slots.all, s.used.all()) {
		return false
	}
	if kind == fastSlot {
		return p.usage.fast < share(s.slots.fast, s.used.fast)
	}
	most := share(s.slots.slow, s.used.slow)
	if st == standsSlow {
		most = max(most*3/4, 1)
	}
	return p.usage.slow < most
}

// hostFits is fits for a host, which may have a limit of its own.
func (s *scheduler) hostFits(h *host, kind slot, st standing) bool {
	return (h.limit == 0 || h.all() < h.limit) && s.fits(&h.party, kind, st)
}

// free reports whether there is a slot of the kind at all.
func (s *scheduler) free(kind slot) bool {
	if s.used.all() >= s.slots.all {
		return false
	}
	if kind == fastSlot {
		return s.used.fast < s.slots.fast
	}
	return s.used.slow < s.slots.slow
}

// admits reports whether the organization may have some slot for an endpoint of
// that standing.
func (s *scheduler) admits(o *organization, st standing) bool {
	return st == standsFast && s.free(fastSlot) && s.fits(&o.party, fastSlot, st) ||
		s.free(slowSlot) && s.fits(&o.party, slowSlot, st)
}

// slotFor returns the kind of slot that the endpoint may have now. With noSlot,
// it says whether there is none because of the host.
func (s *scheduler) slotFor(q *endpointQueue) (kind slot, full bool) {
	st := q.standing()
	for kind := fastSlot; kind <= slowSlot; kind++ {
		if kind == fastSlot && st != standsFast || !s.free(kind) || !s.fits(&q.organization.party, kind, st) {
			continue
		}
		if q.host != nil && !s.hostFits(q.host, kind, st) {
			full = true
			continue
		}
		if !s.reserved(q, kind) {
			return kind, false
		}
	}
	return noSlot, full
}

// reserved reports whether the slot is one of the last ones, and the endpoint is
// not one that they are kept for.
func (s *scheduler) reserved(q *endpointQueue, kind slot) bool {
	last := s.used.all() >= s.slots.all-s.slots.reserve ||
		kind == fastSlot && s.used.fast >= s.slots.fast-s.slots.reserve
	if !last {
		return false
	}
	return q.standing() != standsFast || q.organization.bad() || q.host != nil && q.host.bad() ||
		time.Since(q.answered) > reserveFor
}

// reserveFor is how long after a fast answer an endpoint may use the reserve.
const reserveFor = time.Second

// count adds n to what the task's organization, its host and all together have of the slot.
func (s *scheduler) count(t *task, n int) {
	s.used.add(t.slot, n)
	t.queue.organization.add(t.slot, n)
	if t.host != nil {
		t.host.add(t.slot, n)
	}
}

// renderWaits is what an attempt waits for places to render. That is no time of its endpoint, which
// can do nothing about it.
type renderWaits struct {
	now   int // renders of it that wait
	since time.Time
	all   time.Duration // what it has waited before
}

func (t *task) waitsToRender() bool { return t.renders != nil && t.renders.now > 0 }

// waits stops the time of an attempt while it waits for a place to render. It keeps its slot.
func (s *scheduler) waits(t *task, waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.ended { // a channel that left something behind
		return
	}
	if t.renders == nil {
		t.renders = new(renderWaits)
	}
	w := t.renders
	if waits {
		if w.now++; w.now == 1 {
			w.since = time.Now()
			if !t.overdue {
				s.running.remove(t)
			}
		}
		return
	}
	if w.now--; w.now > 0 {
		return
	}
	waited := time.Since(w.since)
	w.all += waited
	t.begun = t.begun.Add(waited)
	if !t.overdue {
		s.running.add(t)
		s.watch()
	}
}

// waited returns how long the attempt has waited for places to render.
func (s *scheduler) waited(t *task) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.renders == nil {
		return 0
	}
	return t.renders.all
}

// running are the attempts that are not overdue and do not wait to render, in the order of their
// begin.
type running struct{ first, last *task }

func (r *running) add(t *task) {
	at := r.last // goes before t
	for at != nil && at.begun.After(t.begun) {
		at = at.before
	}
	t.before = at
	if at == nil {
		t.after, r.first = r.first, t
	} else {
		t.after, at.after = at.after, t
	}
	if t.after == nil {
		r.last = t
	} else {
		t.after.before = t
	}
}

func (r *running) remove(t *task) {
	if t.before == nil {
		r.first = t.after
	} else {
		t.before.after = t.after
	}
	if t.after == nil {
		r.last = t.before
	} else {
		t.after.before = t.before
	}
	t.before, t.after = nil, nil
}

// watch sees to it that overdue is called when the first attempt is.
func (s *scheduler) watch() {
	if s.watching || s.running.first == nil {
		return
	}
	s.watching = true
	wait := time.Until(s.running.first.begun.Add(slowAfter))
	if s.watcher == nil {
		s.watcher = time.AfterFunc(wait, s.overdue)
	} else {
		s.watcher.Reset(wait)
	}
}

// overdue gives attempts that last for too long a slow slot for their fast one.
func (s *scheduler) overdue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watching = false
	now := time.Now()
	for t := s.running.first; t != nil && now.Sub(t.begun) >= slowAfter; t = s.running.first {
		s.running.remove(t)
		t.overdue = true
		t.queue.wasSlow()
		t.queue.recount()
		t.queue.organization.wasSlow()
		if t.host != nil {
			t.host.wasSlow()
		}
		if t.slot == fastSlot {
			s.count(t, -1)
			t.slot = slowSlot
			s.count(t, 1)
			s.freed(t)
		}
	}
	s.watch()
	s.startWorker()
}
