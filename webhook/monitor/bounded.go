package monitor

import (
	"sync/atomic"
	"time"
)

// ownedKey is a key of what an organization owns.
type ownedKey interface {
	comparable
	owner() string
}

// table keeps what is noticed, up to a number of entries. When it is full, an idle entry makes
// room, or the organization that has the most gives up its newest one to an organization that has
// at least two less: none keeps the others out.
type table[K ownedKey, V any] struct {
	size    int
	dropped *atomic.Int64 // nil if no report is dropped with an entry
	since   func(V) time.Time
	of      map[K]V
	counts  map[string]int // of the entries, by organization
	idle    map[K]struct{} // entries that may be lost
	lost    map[K]struct{} // counted in dropped since forgetLost
}

// maxLost bounds what a table remembers to have counted. What is lost beyond it is not counted.
const maxLost = 8192

func newTable[K ownedKey, V any](
	size int, dropped *atomic.Int64, since func(V) time.Time,
) table[K, V] {
	return table[K, V]{size: size, dropped: dropped, since: since, of: map[K]V{},
		counts: map[string]int{}, idle: map[K]struct{}{}, lost: map[K]struct{}{}}
}

// put stores an entry, if there is room.
func (t *table[K, V]) put(key K, v V) {
	if _, known := t.of[key]; !known {
		if len(t.of) >= t.size && !t.makeRoom(key) {
			return
		}
		t.counts[key.owner()]++
	}
	t.of[key] = v
}

// makeRoom removes an entry for one of another organization, or returns false. What is dropped is
// counted, unless it is idle.
func (t *table[K, V]) makeRoom(key K) bool {
	for key := range t.idle {
		t.remove(key)
		return true
	}
	newcomer := key.owner()
	most := newcomer
	for organizationID, n := range t.counts {
		if n > t.counts[most] {
			most = organizationID
		}
	}
	if t.counts[most] < t.counts[newcomer]+2 {
		t.lose(key)
		return false
	}
	var newest K
	var at time.Time
	for key, v := range t.of {
		if since := t.since(v); key.owner() == most && !since.Before(at) {
			newest, at = key, since
		}
	}
	t.remove(newest)
	t.lose(newest)
	return true
}

// lose counts what has no room: once, however often it is noticed until forgetLost.
func (t *table[K, V]) lose(key K) {
	if _, counted := t.lost[key]; t.dropped != nil && !counted && len(t.lost) < maxLost {
		t.lost[key] = struct{}{}
		t.dropped.Add(1)
	}
}

// forgetLost has what is lost from now on counted again.
func (t *table[K, V]) forgetLost() { clear(t.lost) }

func (t *table[K, V]) remove(key K) {
	if _, known := t.of[key]; !known {
		return
	}
	delete(t.of, key)
	delete(t.idle, key)
	if t.counts[key.owner()]--; t.counts[key.owner()] == 0 {
		delete(t.counts, key.owner())
	}
}

func (t *table[K, V]) clear() {
	clear(t.of)
	clear(t.counts)
	clear(t.idle)
	t.forgetLost()
}

// mark notes whether an entry is idle.
func (t *table[K, V]) mark(key K, idle bool) {
	delete(t.idle, key)
	if idle {
		t.idle[key] = struct{}{}
	}
}

// enqueue appends to a list of at most size elements, by the same rule as a table. What does not
// fit is counted.
func enqueue[T any](
	list []T, v T, size int, dropped *atomic.Int64, owner func(T) string,
) []T {
	if len(list) < size {
		return append(list, v)
	}
	dropped.Add(1)
	counts := map[string]int{}
	most := owner(v)
	for _, old := range list {
		counts[owner(old)]++
	}
	for organizationID, n := range counts {
		if n > counts[most] {
			most = organizationID
		}
	}
	if counts[most] < counts[owner(v)]+2 {
		return list
	}
	for i := len(list) - 1; ; i-- {
		if owner(list[i]) == most {
			return append(append(list[:i], list[i+1:]...), v)
		}
	}
}
