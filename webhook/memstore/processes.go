package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// PutProcess implements [webhook.ProcessStore].
func (s *Store) PutProcess(ctx context.Context, now time.Time, p webhook.Process) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Heartbeat = moment(micros(now))
	p.StartedAt = moment(micros(p.StartedAt))
	if !p.LastClaim.IsZero() {
		p.LastClaim = moment(micros(p.LastClaim))
	}
	p.StoreTime = p.StoreTime.Truncate(time.Microsecond)
	s.processes[p.ID] = p
	return nil
}

// RemoveProcess implements [webhook.ProcessStore].
func (s *Store) RemoveProcess(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.processes, id)
	return nil
}

// Processes implements [webhook.ProcessStore].
func (s *Store) Processes(ctx context.Context, limit int) ([]webhook.Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("memstore: a list of processes needs a limit of at least 1, not %d", limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.SortedFunc(maps.Values(s.processes), func(a, b webhook.Process) int {
		return cmp.Or(b.Heartbeat.Compare(a.Heartbeat), cmp.Compare(a.ID, b.ID))
	})
	return list[:min(len(list), limit)], nil
}

// pruneProcesses removes processes that were last heard of by then.
func (s *Store) pruneProcesses(then time.Time) {
	maps.DeleteFunc(s.processes, func(_ string, p webhook.Process) bool {
		return !p.Heartbeat.After(then)
	})
}
