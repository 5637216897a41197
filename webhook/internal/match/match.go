// Package match answers, for stores, which endpoints an event goes to.
package match

import (
	"cmp"
	"slices"
	"sync"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Target is one endpoint that an event goes to.
type Target struct {
	Endpoint webhook.Endpoint
	// EndpointID is the store's own name of the endpoint.
	EndpointID int64
	Revision   int64
	Paused     bool
	// Ordered says that the subscription has an Ordering.
	Ordered bool
}

// Route says where the events of one subscription go. It has nothing of the configs.
type Route struct {
	// At is the subscription's place among the others.
	At         webhook.SubscriptionCursor
	EventTypes []event.Pattern
	// Targets are the subscription's channels. None at all says that it was deleted.
	Targets []Target
}

// size is about what a route takes in memory, in bytes.
func (r *Route) size() int {
	n := 128 + 160*len(r.Targets)
	for _, p := range r.EventTypes {
		n += 16 + len(p)
	}
	return n
}

// Table holds the routes of one organization as they were at one moment. It is
// safe for concurrent use, and never changes: With makes the next one.
type Table struct {
	sorted []*Route // by place
	size   int

	mu       sync.RWMutex
	memo     map[string][]Target // by event type
	memoized int                 // how many targets there are in memo
}

// maxMemo and maxMemoized bound the memory that emitters of ever new event types can take: how many
// types are remembered, and how many targets of them together, some 15 MB. The targets of a single
// type may be more.
const (
	maxMemo     = 1_000
	maxMemoized = 1 << 18
)

// Size is about how much memory the routes take, in bytes.
func (t *Table) Size() int {
	if t == nil {
		return 0
	}
	return t.size
}

// With returns the table after the changes, of which the last one of a subscription
// counts. The routes must not be changed afterwards. Nil is the empty table.
func (t *Table) With(changes ...Route) *Table {
	latest := make(map[string]*Route, len(changes))
	for i := range changes {
		r := changes[i] // a copy, so that one that stays does not keep them all
		latest[r.At.ID] = &r
	}
	next := &Table{memo: make(map[string][]Target)}
	if t != nil {
		next.sorted = make([]*Route, 0, len(t.sorted)+len(latest))
		next.sorted = append(next.sorted, t.sorted...)
		next.size = t.size
	}
	next.sorted = slices.DeleteFunc(next.sorted, func(r *Route) bool {
		changed := latest[r.At.ID] != nil
		if changed {
			next.size -= r.size()
		}
		return changed
	})
	for _, r := range latest {
		if len(r.Targets) > 0 {
			next.size += r.size()
			next.sorted = append(next.sorted, r)
		}
	}
	slices.SortFunc(next.sorted, func(a, b *Route) int {
		return cmp.Or(a.At.CreatedAt.Compare(b.At.CreatedAt), cmp.Compare(a.At.ID, b.At.ID))
	})
	return next
}

// Targets returns the endpoints for an event, in the order of the webhooks.
// The result is shared: not to be modified. Nil is the empty table.
func (t *Table) Targets(eventType string) []Target {
	if t == nil {
		return nil
	}
	t.mu.RLock()
	targets, ok := t.memo[eventType]
	t.mu.RUnlock()
	if ok {
		return targets
	}
	for _, r := range t.sorted {
		if slices.ContainsFunc(r.EventTypes, func(p event.Pattern) bool { return p.Match(eventType) }) {
			targets = append(targets, r.Targets...)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.memo) >= maxMemo || t.memoized+len(targets) > maxMemoized {
		clear(t.memo)
		t.memoized = 0
	}
	t.memoized += len(targets) - len(t.memo[eventType])
	t.memo[eventType] = targets
	return targets
}
