package sqlstore

import (
	"context"
	"sync"
)

// scans bounds the reads of an organization that may pass over very much, such as all that is
// unfinished, or a history in which a filter selects nothing. All of them together have half of the
// connections at most, or three of four, so that the others are left to what delivers. One organization
// leaves at least one of these to others, if there are several. The rest waits without a connection.
type scans struct {
	all             chan struct{}
	perOrganization int

	mu            sync.Mutex
	organizations map[string]*scanning
}

// scanning is the reads of one organization, and how many of them hold a place or wait for one.
type scanning struct {
	places chan struct{}
	users  int
}

// newScans is for a number of connections.
func newScans(connections int) *scans {
	all := max(1, min(3, connections-1), connections/2)
	return &scans{all: make(chan struct{}, all), perOrganization: max(1, all-1),
		organizations: make(map[string]*scanning)}
}

// enter waits for a place until ctx ends. The caller calls leave when it has read.
func (g *scans) enter(ctx context.Context, organizationID string) (leave func(), err error) {
	o := g.join(organizationID)
	for i, places := range []chan struct{}{o.places, g.all} {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-o.places
			}
			g.part(organizationID, o)
			return nil, ctx.Err()
		}
	}
	return func() {
		<-g.all
		<-o.places
		g.part(organizationID, o)
	}, nil
}

func (g *scans) join(organizationID string) *scanning {
	g.mu.Lock()
	defer g.mu.Unlock()
	o := g.organizations[organizationID]
	if o == nil {
		o = &scanning{places: make(chan struct{}, g.perOrganization)}
		g.organizations[organizationID] = o
	}
	o.users++
	return o
}

func (g *scans) part(organizationID string, o *scanning) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if o.users--; o.users == 0 {
		delete(g.organizations, organizationID)
	}
}
