package api

import (
	"context"
	"net/http"
	"sync"
	"time"
)

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
	return &slots{perOrganization: perOrganization, all: make(chan struct{}, all), organizations: map[string]*share{}}
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
		status: http.StatusTooManyRequests, message: "Too many requests of this organization are under way: try again in a moment", retryAfter: busyTime,
	}
	errBusy = &statusError{
		status: http.StatusServiceUnavailable, message: "Too many requests are under way: try again in a moment", retryAfter: busyTime,
	}
)
