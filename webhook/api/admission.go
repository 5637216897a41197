package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
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
			mayLose := len(places) > held+1 || held == 0 && p.hangUp != nil &&
				time.Since(p.since) >= a.patience
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

// slots bounds the work that goes on at once: in all, and for each organization, so
// that one cannot take everything.
type slots struct {
	perOrganization int
	all             chan struct{}
	mu              sync.Mutex
	organizations   map[string]*share
}

// share is the slots of one organization, and how many hold or want one.
type share struct {
	slots chan struct{}
	users int
}

func newSlots(all, perOrganization int) *slots {
	return &slots{perOrganization: perOrganization, all: make(chan struct{}, all),
		organizations: map[string]*share{}}
}

// take takes a slot, and waits for it until ctx ends. What it returns gives the
// slot back.
func (s *slots) take(ctx context.Context, organizationID string) (release func(), err error) {
	o := s.join(organizationID)
	if !enter(ctx, o.slots) {
		s.leave(organizationID, o)
		return nil, errTooMany
	}
	if !enter(ctx, s.all) {
		<-o.slots
		s.leave(organizationID, o)
		return nil, errBusy
	}
	return func() {
		<-s.all
		<-o.slots
		s.leave(organizationID, o)
	}, nil
}

func enter(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *slots) join(organizationID string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.organizations[organizationID]
	if o == nil {
		o = &share{slots: make(chan struct{}, s.perOrganization)}
		s.organizations[organizationID] = o
	}
	o.users++
	return o
}

func (s *slots) leave(organizationID string, o *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.users--; o.users == 0 {
		delete(s.organizations, organizationID)
	}
}

// busyTime is after how long a request that found no slot may be tried again.
const busyTime = time.Second

// errTooMany and errBusy say that there is no slot: for the organization, or at all.
var (
	errTooMany = &statusError{
		status:     http.StatusTooManyRequests,
		message:    "Too many requests of this organization are under way: try again in a moment",
		retryAfter: busyTime,
	}
	errBusy = &statusError{
		status:  http.StatusServiceUnavailable,
		message: "Too many requests are under way: try again in a moment", retryAfter: busyTime,
	}
)

// drain reads what is left of the body of a request that was refused, and throws it
// away. The answer has left by then. Without it the connection would end with a
// reset while a proxy is still sending, and nginx makes a 502 of the refusal.
//
// What a hostile client gains by it is bounded in bytes, in time and in number
// at once. Where more drains are asked for, the connection ends at once.
type drain chan struct{}

const (
	drainBytes  = 1 << 20
	drainTime   = 2 * time.Second
	drainLinger = 250 * time.Millisecond // for a client that sends more, to read its answer
	drainsAll   = 64
)

// run is called after the answer was written. The connection can be used again
// only if the rest of the body was short.
func (d drain) run(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	connection := http.NewResponseController(w)
	end := func(t time.Time) { _ = connection.SetReadDeadline(t) } // a test's recorder has none
	if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		end(time.Now()) // the client has its answer instead of the leave to send
		return
	}
	select {
	case d <- struct{}{}:
		defer func() { <-d }()
	default:
		end(time.Now())
		return
	}
	if connection.Flush() != nil || connection.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return
	}
	_, err := io.CopyN(io.Discard, r.Body, drainBytes+1)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err,
		http.ErrBodyReadAfterClose): // the server may have read the rest itself
		end(time.Time{})
		return
	case err == nil:
		select {
		case <-time.After(drainLinger):
		case <-r.Context().Done():
		}
	}
	end(time.Now()) // the server would wait for the rest again
}
