// Package match answers, for stores, which endpoints an event goes to.
package match

import (
	"cmp"
	"maps"
	"slices"
	"strings"
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

// size is about what a route takes in memory, in bytes, with its entries in an index.
func (r *Route) size() int {
	n := 128 + 160*len(r.Targets)
	for _, p := range r.EventTypes {
		n += 56 + len(p)
	}
	return n
}

// compare orders routes by place.
func compare(a, b *Route) int {
	return cmp.Or(a.At.CreatedAt.Compare(b.At.CreatedAt), cmp.Compare(a.At.ID, b.At.ID))
}

// Table holds the routes of one organization as they were at one moment. It is
// safe for concurrent use, and never changes: With makes the next one.
//
// An event of a type that is not remembered costs as much as the routes that it matches, however many
// others there are and whatever patterns they have. A change costs about as much as the route that
// changes, and a short step for each other route.
type Table struct {
	routes []*Route // by place
	size   int
	// levels find the routes. Each has more than twice as many as the next one, so that there are few,
	// and tables share those that stay.
	levels []*index
	// gone are routes that are still in levels. There are no more of them than routes.
	gone map[*Route]struct{}

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

// EventTypes returns how many patterns the subscription has, and how many all others have.
func (t *Table) EventTypes(subscriptionID string) (own, others int) {
	if t == nil {
		return 0, 0
	}
	for _, r := range t.routes {
		if r.At.ID == subscriptionID {
			own = len(r.EventTypes)
		} else {
			others += len(r.EventTypes)
		}
	}
	return own, others
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
		next.keep(t, latest)
	}
	var added []*Route
	for _, r := range latest {
		if len(r.Targets) > 0 {
			next.size += r.size()
			added = append(added, r)
		}
	}
	slices.SortFunc(added, compare)
	next.routes = merge(next.routes, added)
	next.index(added)
	return next
}

// keep takes over what does not change of the table before.
func (t *Table) keep(before *Table, latest map[string]*Route) {
	t.size, t.levels, t.gone = before.size, slices.Clone(before.levels), maps.Clone(before.gone)
	t.routes = make([]*Route, 0, len(before.routes)+len(latest))
	if t.gone == nil {
		t.gone = make(map[*Route]struct{})
	}
	for _, r := range before.routes {
		if latest[r.At.ID] == nil {
			t.routes = append(t.routes, r)
			continue
		}
		t.size -= r.size()
		t.gone[r] = struct{}{}
	}
}

// index adds routes, by place, to the levels.
func (t *Table) index(added []*Route) {
	if len(t.gone) > len(t.routes) {
		t.levels, t.gone, added = nil, nil, t.routes
	}
	if len(added) == 0 {
		return
	}
	for n := len(t.levels); n > 0 && len(t.levels[n-1].routes) <= 2*len(added); n-- {
		var stay []*Route
		for _, r := range t.levels[n-1].routes {
			if _, gone := t.gone[r]; gone {
				delete(t.gone, r)
			} else {
				stay = append(stay, r)
			}
		}
		added, t.levels = merge(stay, added), t.levels[:n-1]
	}
	t.levels = append(t.levels, newIndex(added))
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
	n := 0
	found := t.find(eventType)
	for _, r := range found {
		n += len(r.Targets)
	}
	if n > 0 {
		targets = make([]Target, 0, n)
	}
	for _, r := range found {
		targets = append(targets, r.Targets...)
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

// find returns the routes of which a pattern selects the event type, by place.
func (t *Table) find(eventType string) (found []*Route) {
	for _, x := range t.levels {
		found = x.find(found, eventType, t.gone)
	}
	return found
}

// index finds routes by their patterns. It never changes.
type index struct {
	routes []*Route // by place
	// first has for each pattern the place in posts of its first route.
	first map[string]int32
	posts []post
}

// post says that a route has a pattern.
type post struct {
	route int32
	next  int32 // the place of the next route that has the pattern, or none
}

const none = -1

func newIndex(routes []*Route) *index {
	x := &index{routes: routes, first: make(map[string]int32)}
	for i, r := range slices.Backward(routes) {
		for _, p := range r.EventTypes {
			next, known := x.first[string(p)]
			switch {
			case !known:
				next = none
			case int(x.posts[next].route) == i:
				continue // it has the pattern twice
			}
			x.first[string(p)] = int32(len(x.posts))
			x.posts = append(x.posts, post{int32(i), next})
		}
	}
	return x
}

// find adds to found, by place, the routes that have one of the patterns that select the event type:
// see [event.Pattern]. It leaves out those that are gone.
func (x *index) find(found []*Route, eventType string, gone map[*Route]struct{}) []*Route {
	found = x.with(found, string(event.MatchAll), gone)
	for i := range len(eventType) - 1 {
		if eventType[i] == '.' {
			found = x.with(found, eventType[:i+1]+"*", gone)
		}
	}
	if !strings.HasSuffix(eventType, "*") {
		found = x.with(found, eventType, gone)
	}
	return found
}

// with adds to found the routes that have the pattern.
func (x *index) with(found []*Route, pattern string, gone map[*Route]struct{}) []*Route {
	at, ok := x.first[pattern]
	if !ok {
		return found
	}
	var list []*Route
	for ; at != none; at = x.posts[at].next {
		r := x.routes[x.posts[at].route]
		if _, isGone := gone[r]; !isGone {
			list = append(list, r)
		}
	}
	return merge(found, list)
}

// merge returns the routes of both lists, which are in order of their places, once each. It may
// return one of the lists.
func merge(a, b []*Route) []*Route {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	both := make([]*Route, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := compare(a[0], b[0]); {
		case c < 0:
			both, a = append(both, a[0]), a[1:]
		case c > 0:
			both, b = append(both, b[0]), b[1:]
		default:
			both, a, b = append(both, a[0]), a[1:], b[1:]
		}
	}
	return append(append(both, a...), b...)
}
