package api

import (
	"net/http"
	"sync"
	"time"
)

// admission bounds the requests under way: in all, and for each organization. An
// organization may have no more of them than are still free, so that several
// organizations together do not take everything.
//
// A request that waits for its client, which sends its body or reads its answer, is
// ended when an organization with fewer requests needs its place. So slow
// clients, however many and of however many organizations, keep no others out.
type admission struct {
	all, perOrganization int
	// patience is how long a request may wait before it loses its place to an
	// organization that has none.
	patience time.Duration

	mu            sync.Mutex
	used          int
	organizations map[string]map[*place]struct{}
}

// place is what a request under way has. A nil one is that of a request that
// needs none.
type place struct {
	admission      *admission
	organizationID string
	lost           bool // to another request
	// hangUp ends the wait for the client; nil while the request does not wait.
	hangUp func()
	since  time.Time
}

const (
	// clientPatience is for a request that waits for its client.
	clientPatience = time.Second
	// workPatience is for a test, which waits for the endpoints that it sends to, and for
	// a replay of many deliveries.
	workPatience = 5 * time.Second
)

func newAdmission(all, perOrganization int, patience time.Duration) *admission {
	return &admission{
		all: all, perOrganization: perOrganization, patience: patience,
		organizations: map[string]map[*place]struct{}{},
	}
}

// newShare bounds the requests of a kind that may take long: tests, because endpoints
// decide how long one takes, and replays of many deliveries. They have a place of this
// kind beside that of every request, and are a quarter of the requests at most, so that
// they keep no others out.
func newShare(requests, perOrganization int) *admission {
	return newAdmission(max(1, requests/4), max(1, perOrganization/4), workPatience)
}

// admit gives the request of the organization a place, or returns errTooMany or
// errBusy at once.
func (a *admission) admit(organizationID string) (*place, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	held := len(a.organizations[organizationID])
	switch free := a.all - a.used; {
	case held >= a.perOrganization:
		return nil, errTooMany
	case held < max(1, free) && free > 0, a.makeRoom(held):
	case free > 0:
		return nil, errTooMany
	default:
		return nil, errBusy
	}
	p := &place{admission: a, organizationID: organizationID}
	if held == 0 {
		a.organizations[organizationID] = map[*place]struct{}{}
	}
	a.organizations[organizationID][p] = struct{}{}
	a.used++
	return p, nil
}

// makeRoom ends the longest wait of the organization that has the most places. It
// reports whether there was one to end for an organization that holds so many.
func (a *admission) makeRoom(held int) bool {
	var longest *place
	most := 0
	for _, places := range a.organizations {
		for p := range places {
			mayLose := len(places) > held+1 || held == 0 && p.hangUp != nil && time.Since(p.since) >= a.patience
			if p.hangUp == nil || !mayLose || len(places) < most {
				continue
			}
			if longest == nil || len(places) > most || p.since.Before(longest.since) {
				longest, most = p, len(places)
			}
		}
	}
	if longest == nil {
		return false
	}
	longest.hangUp()
	longest.lost = true
	a.remove(longest)
	return true
}

func (a *admission) remove(p *place) {
	places := a.organizations[p.organizationID]
	if delete(places, p); len(places) == 0 {
		delete(a.organizations, p.organizationID)
	}
	a.used--
}

// wait says that the request waits from now on, for its client, an endpoint or
// the store, and how that can be ended.
func (p *place) wait(hangUp func()) {
	if p == nil {
		return
	}
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	p.hangUp, p.since = hangUp, time.Now()
}

// resume says that the request no longer waits. It reports whether the request still has its place.
func (p *place) resume() bool {
	if p == nil {
		return true
	}
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	p.hangUp = nil
	return !p.lost
}

// release gives the place back.
func (p *place) release() {
	if p == nil {
		return
	}
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	p.hangUp = nil
	if !p.lost {
		p.admission.remove(p)
	}
}

// hangUpReading and hangUpWriting end the wait for a client. The deadlines that
// they set must not be changed while the request waits.
func hangUpReading(w http.ResponseWriter) func() {
	return func() { _ = http.NewResponseController(w).SetReadDeadline(time.Now()) }
}

func hangUpWriting(w http.ResponseWriter) func() {
	return func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Now()) }
}
