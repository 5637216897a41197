package dispatch

import (
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// heldLeases are the leases of this process: of deliveries that it has claimed and not yet settled.
type heldLeases struct {
	mu    sync.Mutex
	tasks map[webhook.DeliveryID]*task
}

// hold adds the leases of claimed deliveries. One that a later lease of this process has followed is
// lost: its task is dropped when its turn comes.
func (h *heldLeases) hold(items []*fairqueue.Item[*task]) {
	if len(items) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tasks == nil {
		h.tasks = make(map[webhook.DeliveryID]*task)
	}
	for _, item := range items {
		t := item.Value
		if latest := h.tasks[t.DeliveryID]; latest != nil && latest.Token > t.Token {
			t.leaseLost = true
			continue
		}
		h.tasks[t.DeliveryID] = t
	}
}

// held returns the task if this process holds that very lease.
func (h *heldLeases) held(l webhook.Lease) *task {
	if t, ok := h.tasks[l.DeliveryID]; ok && t.Token == l.Token {
		return t
	}
	return nil
}

// release removes those of settled or abandoned deliveries.
func (h *heldLeases) release(leases []webhook.Lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range leases {
		if h.held(l) != nil {
			delete(h.tasks, l.DeliveryID)
		}
	}
}

// any reports whether this process holds a lease.
func (h *heldLeases) any() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.tasks) > 0
}

// countAndOldest returns how many leases this process holds, and the earliest time at which one of
// the deliveries was due.
func (h *heldLeases) countAndOldest() (n int, due time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.tasks {
		if due.IsZero() || t.DueAt.Before(due) {
			due = t.DueAt
		}
	}
	return len(h.tasks), due
}

// markCancelled notes that a delivery was cancelled: it will not be attempted. It is not known which
// lease that has ended. If it was replayed since, and claimed again, the store takes it back.
func (h *heldLeases) markCancelled(id webhook.DeliveryID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t, ok := h.tasks[id]; ok {
		t.cancelled = true
	}
}

// expiring returns the leases that end before the given time.
func (h *heldLeases) expiring(before time.Time) []webhook.Lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	var leases []webhook.Lease
	for _, t := range h.tasks {
		if !t.leaseLost && !t.cancelled && t.Until.Before(before) {
			leases = append(leases, t.Lease)
		}
	}
	return leases
}

// toExtend returns the leases that are to be extended at now, to the length of a whole lease. One
// that ends later than that was granted by a clock that was wrong, and counts as one that ends then.
func (h *heldLeases) toExtend(now time.Time, lease time.Duration) []webhook.Lease {
	latest := now.Add(lease)
	h.mu.Lock()
	for _, t := range h.tasks {
		if t.Until.After(latest) {
			t.Until = latest
		}
	}
	h.mu.Unlock()
	return h.expiring(now.Add(lease * 2 / 3))
}

// recordExtended notes leases that were extended, and those of them that were lost, whose tasks it
// returns.
func (h *heldLeases) recordExtended(
	leases, lost []webhook.Lease, until time.Time,
) (lostTasks []*task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range leases {
		if t := h.held(l); t != nil {
			t.Until = until
		}
	}
	return h.loseLocked(lost)
}

// beginSettling notes that results are being stored. The store knows no lease whose result it has, and
// may be asked to extend it before this process learns that.
func (h *heldLeases) beginSettling(leases []webhook.Lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range leases {
		if t := h.held(l); t != nil {
			t.settling = true
		}
	}
}

// lostMeanwhile returns the tasks of those refused results whose lease was lost since beginSettling.
func (h *heldLeases) lostMeanwhile(refused []webhook.Lease) (lostTasks []*task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range refused {
		if t := h.held(l); t != nil && t.lostMeanwhile {
			lostTasks = append(lostTasks, t)
		}
	}
	return lostTasks
}

// lose notes which leases are lost, and returns the tasks of those that this process held. A lease
// of an earlier claim of a delivery that it has claimed again says nothing of the latest one.
func (h *heldLeases) lose(lost []webhook.Lease) (lostTasks []*task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.loseLocked(lost)
}

func (h *heldLeases) loseLocked(lost []webhook.Lease) (lostTasks []*task) {
	for _, l := range lost {
		if t := h.held(l); t != nil && !t.leaseLost {
			t.leaseLost = true
			if t.settling {
				t.lostMeanwhile = true
				continue
			}
			lostTasks = append(lostTasks, t)
		}
	}
	return lostTasks
}

// probes returns those of the leases that are held and are of probes.
func (h *heldLeases) probes(leases []webhook.Lease) (probes []*task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range leases {
		if t := h.held(l); t != nil && !t.leaseLost && t.storedProbe.Load() != nil {
			probes = append(probes, t)
		}
	}
	return probes
}

// leaseState is what is known of a lease.
type leaseState int

const (
	leaseOwned leaseState = iota // it is this process's
	// leaseEnded says that another process may have the delivery, as far as the clocks tell, or that it
	// was cancelled.
	leaseEnded
	leaseLost // the store knows it no more
)

// state returns what is known of the lease of the delivery at now.
func (h *heldLeases) state(t *task, now time.Time) leaseState {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case t.leaseLost:
		return leaseLost
	case t.cancelled || !now.Before(t.Until):
		return leaseEnded
	}
	return leaseOwned
}

// owns reports whether the lease of the delivery is this process's at now.
func (h *heldLeases) owns(t *task, now time.Time) bool { return h.state(t, now) == leaseOwned }
