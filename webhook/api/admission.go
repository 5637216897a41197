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

// admission bounds the requests in progress, in all and for each organization. An organization
// may have no more of them than there are free places, so that several organizations together do
// not take every place.
//
// A request that waits, for its client to send the body or to read the answer, ends when an
// organization with fewer requests needs its place. Slow clients, however many there are and of
// however many organizations, therefore leave the API to others.
type admission struct {
	all, perOrganization int
	// patience is how long a request may wait before it loses its place to an
	// organization that has none.
	patience time.Duration

	mu            sync.Mutex
	used          int
	organizations map[string]map[*place]struct{}
}

// place is the place of one request in progress. Requests that need none have a nil place.
type place struct {
	admission      *admission
	organizationID string
	lost           bool // another request has it now
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

// newShare bounds the requests of one kind that may take long: tests, which take as long as their
// endpoints do, and replays of many deliveries. Such a request has a place of its kind beside its
// place among all requests. There are places of a kind for at most a quarter of the requests.
func newShare(requests, perOrganization int) *admission {
	return newAdmission(max(1, requests/4), max(1, perOrganization/4), workPatience)
}

// admit gives a request of the organization a place. If there is none, it returns errTooMany or
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

// makeRoom ends the request that has waited longest, of the organization with the most places, to
// make room for an organization that holds so many. It returns false if no request may be ended.
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

// wait says that the request begins to wait, for its client, an endpoint or the store, and that
// hangUp ends the wait.
func (p *place) wait(hangUp func()) {
	if p == nil {
		return
	}
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	p.hangUp, p.since = hangUp, time.Now()
}

// resume says that the request no longer waits. It returns whether the request still has its
// place.
func (p *place) resume() bool {
	if p == nil {
		return true
	}
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	p.hangUp = nil
	return !p.lost
}

// release frees the place. It may be called more than once.
func (p *place) release() {
	if p == nil {
		return
	}
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	p.hangUp = nil
	if !p.lost {
		p.lost = true
		p.admission.remove(p)
	}
}

// hangUpReading and hangUpWriting end the wait for a client by a deadline. The request must not
// change the deadline while it waits.
func hangUpReading(w http.ResponseWriter) func() {
	return func() { _ = http.NewResponseController(w).SetReadDeadline(time.Now()) }
}

func hangUpWriting(w http.ResponseWriter) func() {
	return func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Now()) }
}

// slots bounds how much work is done at once, in all and for each organization, so that no
// organization takes every slot.
type slots struct {
	perOrganization int
	all             chan struct{}
	mu              sync.Mutex
	organizations   map[string]*share
}

// share is the slots that one organization holds, and how many of its requests hold or want one.
type share struct {
	slots chan struct{}
	users int
}

func newSlots(all, perOrganization int) *slots {
	return &slots{perOrganization: perOrganization, all: make(chan struct{}, all),
		organizations: map[string]*share{}}
}

// take waits for a slot until ctx ends. The returned function frees it.
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

// busyTime is the Retry-After of a request for which there was no place.
const busyTime = time.Second

// errTooMany says that the organization has too many requests, and errBusy that all have.
var (
	errTooMany = &statusError{
		status:     http.StatusTooManyRequests,
		message:    "Too many requests of this organization are in progress: try again in a moment",
		retryAfter: busyTime,
	}
	errBusy = &statusError{
		status:  http.StatusServiceUnavailable,
		message: "Too many requests are in progress: try again in a moment", retryAfter: busyTime,
	}
)

// drain reads the rest of the body of a refused request, and discards it, after the answer was
// written. Otherwise the connection would be reset while a proxy is still sending, and nginx
// would answer its client with 502 instead of the refusal.
//
// The bytes, the time and the number of drains at once are bounded. Beyond the number, the
// connection ends at once.
type drain chan struct{}

const (
	drainBytes  = 1 << 20
	drainTime   = 2 * time.Second
	drainLinger = 250 * time.Millisecond // for a client that sends more, to read its answer
	drainsAll   = 64
)

// run is called after the answer was written. The connection can be used again only if the rest
// of the body was short.
func (d drain) run(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	connection := http.NewResponseController(w)
	end := func(t time.Time) { _ = connection.SetReadDeadline(t) } // fails for the recorder of a test
	if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		end(time.Now()) // the client has its answer and will not send the body
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
	end(time.Now()) // so that the server does not wait for the rest
}
