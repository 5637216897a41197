package dispatch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// fanOut has the store write the deliveries that Enqueue has left for later. That is not a part of
// the shared commits of emits, so that those of others come in between. If ctx ends or the store
// fails, the rest stays unfinished, and a claim goes on with it.
func (d *Dispatcher) fanOut(
	ctx context.Context, records []webhook.NewEvent, emitted []webhook.Emitted,
) {
	for first := range emitted {
		if !emitted[first].Unfinished {
			continue
		}
		// Those of the same organization share transactions.
		var events []webhook.NewEvent
		var places []int
		for i := first; i < len(emitted); i++ {
			if emitted[i].Unfinished && records[i].OrganizationID == records[first].OrganizationID {
				events, places = append(events, records[i]), append(places, i)
			}
		}
		for len(events) > 0 {
			finished, err := d.fanOutPiece(ctx, events)
			if err != nil {
				if ctx.Err() == nil {
					d.cfg.Logger.WarnContext(ctx, "webhook: deliveries of an event wait for a claim to store them",
						"event_id", events[0].ID, "events", len(events), "error", err)
				}
				return
			}
			for _, i := range places[:finished] {
				emitted[i].Unfinished = false
			}
			d.claimOrdered(emitted)
			events, places = events[finished:], places[finished:]
		}
	}
}

// fanOutPiece has the store write some of the deliveries, and returns how many events are finished.
// All events are of one organization.
func (d *Dispatcher) fanOutPiece(ctx context.Context, events []webhook.NewEvent) (int, error) {
	if err := d.fanOuts.begin(ctx, events[0].OrganizationID); err != nil {
		return 0, err
	}
	type piece struct {
		finished int
		err      error
	}
	done := make(chan piece, 1)
	// A goroutine of its own, because the caller may leave. What is prefetched would wait for the end
	// of its lease if the call were cut off.
	go func() {
		defer d.fanOuts.end()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		var p piece
		p.err = d.prefetching(ctx, func(
			at time.Time, prefetch *webhook.Prefetch,
		) (tasks []webhook.Task, err error) {
			p.finished, tasks, err = d.store.FanOut(ctx, at, events, prefetch)
			return tasks, err
		})
		done <- p
	}()
	select {
	case p := <-done:
		return p.finished, p.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// rotation lets one caller in at a time, and organizations take turns. So many emits of one
// organization, each to many endpoints, do not keep the store from the emits of others for longer
// than one piece takes. The zero value is ready to use.
type rotation struct {
	mu   sync.Mutex
	busy bool
	// turns are the organizations that have callers waiting, the next one first.
	turns   []string
	waiting map[string][]chan struct{}
}

// begin waits for a turn. Unless it returns an error, the caller calls end.
func (r *rotation) begin(ctx context.Context, organizationID string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	turn, ok := r.join(organizationID)
	if ok {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		if !r.leave(organizationID, turn) {
			r.end() // the turn came at the same time
		}
		return ctx.Err()
	}
}

// join reports whether it is the caller's turn already, and otherwise returns what tells of it.
func (r *rotation) join(organizationID string) (turn chan struct{}, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.busy {
		r.busy = true
		return nil, true
	}
	if r.waiting == nil {
		r.waiting = make(map[string][]chan struct{})
	}
	if len(r.waiting[organizationID]) == 0 {
		r.turns = append(r.turns, organizationID)
	}
	turn = make(chan struct{})
	r.waiting[organizationID] = append(r.waiting[organizationID], turn)
	return turn, false
}

// leave reports whether the caller was still waiting.
func (r *rotation) leave(organizationID string, turn chan struct{}) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.waiting[organizationID], turn)
	if i < 0 {
		return false
	}
	r.set(organizationID, slices.Delete(r.waiting[organizationID], i, i+1))
	if r.waiting[organizationID] == nil {
		r.turns = slices.DeleteFunc(r.turns, func(id string) bool { return id == organizationID })
	}
	return true
}

// end gives the turn to the next caller.
func (r *rotation) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.turns) == 0 {
		r.busy = false
		return
	}
	id := r.turns[0]
	r.turns = r.turns[1:]
	callers := r.waiting[id]
	close(callers[0])
	if r.set(id, callers[1:]); len(callers) > 1 {
		r.turns = append(r.turns, id)
	}
}

func (r *rotation) set(organizationID string, callers []chan struct{}) {
	if len(callers) == 0 {
		delete(r.waiting, organizationID)
	} else {
		r.waiting[organizationID] = callers
	}
}
