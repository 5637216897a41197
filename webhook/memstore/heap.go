package memstore

import (
	"cmp"
	"iter"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

// rank is the order of an item in a heap, and its place there. A
// struct that embeds one can be in one heap at a time.
type rank struct {
	at   int64 // microseconds
	tie  int64 // decides between equal times
	slot int   // place in the heap, from 1; 0 is in none
}

func (r *rank) ranked() *rank { return r }

func (r *rank) less(other *rank) bool {
	if r.at != other.at {
		return r.at < other.at
	}
	return r.tie < other.tie
}

// heap has the item of the lowest rank in front. Unlike container/heap it keeps
// the items' places itself, so that any of them can be removed at any time.
type heap[T interface{ ranked() *rank }] struct {
	items []T
}

func (h *heap[T]) len() int { return len(h.items) }

// head returns the item of the lowest rank. The heap must not be empty.
func (h *heap[T]) head() T { return h.items[0] }

// push adds an item at the given time.
func (h *heap[T]) push(item T, at int64) {
	item.ranked().at = at
	h.items = append(h.items, item)
	h.up(len(h.items) - 1)
}

// move changes the time of an item of the heap.
func (h *heap[T]) move(item T, at int64) {
	r := item.ranked()
	r.at = at
	if i := r.slot - 1; h.up(i) == i {
		h.down(i)
	}
}

// remove takes an item out of the heap.
func (h *heap[T]) remove(item T) {
	var none T
	r := item.ranked()
	i, last := r.slot-1, len(h.items)-1
	moved := h.items[last]
	h.items[last] = none // releases the memory
	h.items = h.items[:last]
	r.slot = 0
	if i != last {
		h.items[i] = moved
		if h.up(i) == i {
			h.down(i)
		}
	}
}

// up and down let the item at i rise or sink to where it belongs, and return
// that place.
func (h *heap[T]) up(i int) int {
	item := h.items[i]
	r := item.ranked()
	for i > 0 {
		parent := (i - 1) / 2
		if !r.less(h.items[parent].ranked()) {
			break
		}
		h.set(i, h.items[parent])
		i = parent
	}
	h.set(i, item)
	return i
}

func (h *heap[T]) down(i int) int {
	item := h.items[i]
	r := item.ranked()
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			break
		}
		if right := child + 1; right < len(h.items) &&
			h.items[right].ranked().less(h.items[child].ranked()) {
			child = right
		}
		if !h.items[child].ranked().less(r) {
			break
		}
		h.set(i, h.items[child])
		i = child
	}
	h.set(i, item)
	return i
}

func (h *heap[T]) set(i int, item T) {
	h.items[i] = item
	item.ranked().slot = i + 1
}

// log is a list of deliveries in the order of their ids. Pruned ones stay in it
// until they are half of it, so that forgetting one costs no more than a step.
type log struct {
	entries []*delivery
	pruned  int
}

func (l *log) add(d *delivery) { l.entries = append(l.entries, d) }

func (l *log) len() int { return len(l.entries) - l.pruned }

// forget notes that one of the entries was marked as pruned.
func (l *log) forget() {
	l.pruned++
	if l.pruned*2 > len(l.entries) {
		kept := make([]*delivery, 0, l.len())
		for _, d := range l.entries {
			if !d.pruned {
				kept = append(kept, d)
			}
		}
		l.entries, l.pruned = kept, 0
	}
}

// newestBefore walks the deliveries with ids below the cursor, the newest
// first. A zero cursor walks all.
func (l *log) newestBefore(cursor webhook.DeliveryID) iter.Seq[*delivery] {
	return unpruned(slices.Backward(l.between(0, cursor)))
}

// oldestBetween walks the deliveries with ids between the two, the oldest first. Zero bounds nothing.
func (l *log) oldestBetween(after, before webhook.DeliveryID) iter.Seq[*delivery] {
	return unpruned(slices.All(l.between(after, before)))
}

// between returns the entries with ids between the two. Zero bounds nothing.
func (l *log) between(after, before webhook.DeliveryID) []*delivery {
	compare := func(d *delivery, id webhook.DeliveryID) int { return cmp.Compare(d.id, id) }
	entries := l.entries
	if before > 0 {
		n, _ := slices.BinarySearchFunc(entries, before, compare)
		entries = entries[:n]
	}
	n, found := slices.BinarySearchFunc(entries, after, compare)
	if found {
		n++
	}
	return entries[n:]
}

func unpruned(entries iter.Seq2[int, *delivery]) iter.Seq[*delivery] {
	return func(yield func(*delivery) bool) {
		for _, d := range entries {
			if !d.pruned && !yield(d) {
				return
			}
		}
	}
}
