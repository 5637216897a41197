// Package fairset bounds what is kept for all organizations together, such as connections, so that
// one of them cannot push out what is kept for the others.
package fairset

import "container/heap"

// A Set has items, each of which counts for an owner. The zero value is empty. It is not safe for
// concurrent use. Its methods take logarithmic time in the number of owners.
type Set[T any] struct {
	n      int
	added  uint64 // how many were added so far
	shares map[string]*share[T]
	order  byMost[T]
	spare  *share[T] // for the next owner: one whose only item is in use has no share meanwhile
}

// An Item can be in one Set. It has no owner before it is added for the first time.
type Item[T any] struct {
	Value T

	share        *share[T] // nil while it is in no Set
	older, newer *Item[T]  // of the same owner
	owner        string    // that it counts for, also when others use it
	owned        bool      // it has an owner
	number       uint64    // as counted in Set.added
}

// share is what an owner has. There is none without items.
type share[T any] struct {
	owner          string
	n              int
	oldest, newest *Item[T]
	at             int // in byMost
}

// Len returns the number of items.
func (s *Set[T]) Len() int { return s.n }

// Add adds an item, as the newest. It counts for the owner with which it was added for the first
// time: to use what others use must not be a way to take it away from them.
func (s *Set[T]) Add(it *Item[T], owner string) {
	if !it.owned {
		it.owner, it.owned = owner, true
	}
	s.add(it)
}

// Renew makes an item of the Set the newest.
func (s *Set[T]) Renew(it *Item[T]) {
	s.Remove(it)
	s.add(it)
}

func (s *Set[T]) add(it *Item[T]) {
	s.n++
	s.added++
	it.number = s.added
	sh := s.shares[it.owner]
	if sh == nil {
		if sh, s.spare = s.spare, nil; sh == nil {
			sh = &share[T]{}
		}
		sh.owner = it.owner
		if s.shares == nil {
			s.shares = make(map[string]*share[T])
		}
		s.shares[it.owner] = sh
	}
	it.share, it.older, it.newer = sh, sh.newest, nil
	if sh.newest != nil {
		sh.newest.newer = it
	} else {
		sh.oldest = it
	}
	sh.newest = it
	if sh.n++; sh.n == 1 {
		heap.Push(&s.order, sh)
	} else {
		heap.Fix(&s.order, sh.at)
	}
}

// Remove removes an item, which must be in the Set.
func (s *Set[T]) Remove(it *Item[T]) {
	s.n--
	sh := it.share
	if it.older != nil {
		it.older.newer = it.newer
	} else {
		sh.oldest = it.newer
	}
	if it.newer != nil {
		it.newer.older = it.older
	} else {
		sh.newest = it.older
	}
	it.share, it.older, it.newer = nil, nil, nil
	if sh.n--; sh.n > 0 {
		heap.Fix(&s.order, sh.at)
		return
	}
	heap.Remove(&s.order, sh.at)
	delete(s.shares, sh.owner)
	sh.owner, s.spare = "", sh
}

// Surplus returns the item that is to go if there are too many: the oldest of the owner that has
// most. Of several that have as many, it is the one whose oldest is older. It returns nil if there
// is none.
func (s *Set[T]) Surplus() *Item[T] {
	if s.n == 0 {
		return nil
	}
	return s.order[0].oldest
}

// byMost is a heap: the share from which the next item is to go is the first.
type byMost[T any] []*share[T]

func (o byMost[T]) Len() int { return len(o) }

func (o byMost[T]) Less(i, j int) bool {
	if a, b := o[i].n, o[j].n; a != b {
		return a > b
	}
	return o[i].oldest.number < o[j].oldest.number
}

func (o byMost[T]) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].at, o[j].at = i, j
}

func (o *byMost[T]) Push(x any) {
	sh := x.(*share[T])
	sh.at = len(*o)
	*o = append(*o, sh)
}

func (o *byMost[T]) Pop() any {
	last := len(*o) - 1
	sh := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return sh
}
