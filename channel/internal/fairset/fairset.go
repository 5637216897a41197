// Package fairset has a set of items that organizations use, such as connections, and says which of
// them is to go when there are too many. It is one of the organization that has most, so that no
// organization can push out what is kept for the others. The set itself has no limit: its user
// compares Len with a limit of its own, and removes the Victim.
package fairset

import "container/heap"

// A Set has items, each of which counts for an owner. The zero value is empty. It is not safe for
// concurrent use. Its methods take logarithmic time in the number of owners.
type Set[T any] struct {
	count   int    // of items
	lastSeq uint64 // the Item.seq given out last; 0 before the first
	shares  map[string]*share[T]
	byMost  byMost[T]
	// spare is a share that became empty, for reuse; nil if there is none. An owner with a single item
	// loses its share each time that the item is taken out for use, and needs one when it comes back.
	spare *share[T]
}

// An Item can be in one Set. It has no owner before it is added for the first time.
type Item[T any] struct {
	Value T

	share        *share[T] // nil while it is in no Set
	older, newer *Item[T]  // of the same owner
	owner        string    // that it counts for, also when others use it
	hasOwner     bool      // since the first Add; owner cannot tell, because "" is an owner too
	seq          uint64    // higher than that of all items that were added or touched before
}

// share is what an owner has. There is none without items.
type share[T any] struct {
	owner          string
	count          int // of items
	oldest, newest *Item[T]
	heapIndex      int // in Set.byMost
}

// Len returns the number of items.
func (s *Set[T]) Len() int { return s.count }

// Add adds an item, as the newest. It counts for the owner with which it was added for the first
// time. Otherwise an owner with very many items could make an item of another one its own by using
// it, and the item would be removed with the rest of them.
func (s *Set[T]) Add(it *Item[T], owner string) {
	if !it.hasOwner {
		it.owner, it.hasOwner = owner, true
	}
	s.add(it)
}

// Touch makes an item of the Set the newest.
func (s *Set[T]) Touch(it *Item[T]) {
	s.Remove(it)
	s.add(it)
}

func (s *Set[T]) add(it *Item[T]) {
	s.count++
	s.lastSeq++
	it.seq = s.lastSeq
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
	if sh.count++; sh.count == 1 {
		heap.Push(&s.byMost, sh)
	} else {
		heap.Fix(&s.byMost, sh.heapIndex)
	}
}

// Remove removes an item, which must be in the Set.
func (s *Set[T]) Remove(it *Item[T]) {
	s.count--
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
	if sh.count--; sh.count > 0 {
		heap.Fix(&s.byMost, sh.heapIndex)
		return
	}
	heap.Remove(&s.byMost, sh.heapIndex)
	delete(s.shares, sh.owner)
	sh.owner, s.spare = "", sh
}

// Victim returns the item that is to go if there are too many: the oldest of the owner that has
// most. If several owners have as many, it is the oldest of all their items. It returns nil if the
// Set is empty. It does not remove the item.
func (s *Set[T]) Victim() *Item[T] {
	if s.count == 0 {
		return nil
	}
	return s.byMost[0].oldest
}

// byMost is a heap: the share from which the next item is to go is the first.
type byMost[T any] []*share[T]

func (o byMost[T]) Len() int { return len(o) }

func (o byMost[T]) Less(i, j int) bool {
	if a, b := o[i].count, o[j].count; a != b {
		return a > b
	}
	return o[i].oldest.seq < o[j].oldest.seq
}

func (o byMost[T]) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].heapIndex, o[j].heapIndex = i, j
}

func (o *byMost[T]) Push(x any) {
	sh := x.(*share[T])
	sh.heapIndex = len(*o)
	*o = append(*o, sh)
}

func (o *byMost[T]) Pop() any {
	last := len(*o) - 1
	sh := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return sh
}
