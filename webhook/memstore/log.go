package memstore

import (
	"cmp"
	"iter"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

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
	entries := l.entries
	if cursor > 0 {
		n, _ := slices.BinarySearchFunc(entries, cursor, func(d *delivery, id webhook.DeliveryID) int {
			return cmp.Compare(d.id, id)
		})
		entries = entries[:n]
	}
	return func(yield func(*delivery) bool) {
		for _, d := range slices.Backward(entries) {
			if !d.pruned && !yield(d) {
				return
			}
		}
	}
}
