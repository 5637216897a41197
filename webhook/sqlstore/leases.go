package sqlstore

import (
	"context"
	"sync"

	"github.com/mixpeek/webhooks-go/webhook"
)

// leases remembers which endpoints the deliveries are for that this store has
// handed out, so that settling them need not ask. While a lease is good, its
// delivery stays with its endpoint. The zero value is ready to use.
type leases struct {
	mu        sync.Mutex
	endpoints map[webhook.Lease]int64
}

// maxLeases bounds what is remembered, for leases that are never settled here.
// Forgetting costs a query.
const maxLeases = 100_000

// remember notes the endpoints of tasks, in the same order.
func (l *leases) remember(tasks []webhook.Task, endpointIDs []int64) {
	if len(tasks) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.endpoints == nil || len(l.endpoints)+len(tasks) > maxLeases {
		l.endpoints = make(map[webhook.Lease]int64, len(tasks))
	}
	for i := range tasks {
		l.endpoints[tasks[i].Lease] = endpointIDs[i]
	}
}

// forget is for leases that have ended.
func (l *leases) forget(settlements []webhook.Settlement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range settlements {
		delete(l.endpoints, settlements[i].Lease)
	}
}

// known returns the endpoint of each delivery, 0 for those in unknown.
func (l *leases) known(settlements []webhook.Settlement) (endpointIDs, unknown []int64) {
	endpointIDs = make([]int64, len(settlements))
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range settlements {
		id, ok := l.endpoints[settlements[i].Lease]
		if !ok {
			unknown = append(unknown, int64(settlements[i].DeliveryID))
		}
		endpointIDs[i] = id
	}
	return endpointIDs, unknown
}

// count counts results that were accepted. What another store has handed out
// is looked up.
func (s *Store) count(ctx context.Context, q Querier, settlements []webhook.Settlement) (tally, error) {
	endpointIDs, unknown := s.leases.known(settlements)
	found := make(map[webhook.DeliveryID]int64, len(unknown))
	if len(unknown) > 0 {
		err := collect(ctx, q, func(row scanner) error {
			var id, endpointID int64
			err := row.Scan(&id, &endpointID)
			found[webhook.DeliveryID(id)] = endpointID
			return err
		}, s.settle.endpoint, s.x.dialect.ints(unknown))
		if err != nil {
			return nil, err
		}
	}
	counted := make(tally)
	for i := range settlements {
		v := &settlements[i]
		id := endpointIDs[i]
		if id == 0 {
			id = found[v.DeliveryID]
		}
		counted.of(id).Count(v)
	}
	return counted, nil
}
