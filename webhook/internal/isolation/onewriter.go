package isolation

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// OneWriter wraps a store so that its transactions take turns, as on SQLite, and that each lasts for
// some virtual time. What an attack costs others that way shows only then: in the time of a bubble,
// nothing else that a store does takes any. A store that waits for locks of a database hangs in a
// bubble, and does not wait here.
func OneWriter(store webhook.Store, lasts time.Duration) webhook.Store {
	return &oneWriter{Store: store, turn: make(chan struct{}, 1), lasts: lasts}
}

type oneWriter struct {
	webhook.Store
	turn  chan struct{}
	lasts time.Duration
}

// begin waits for the turn. The returned function ends the transaction.
func (s *oneWriter) begin() func() {
	s.turn <- struct{}{}
	return func() {
		time.Sleep(s.lasts)
		<-s.turn
	}
}

func (s *oneWriter) CreateSubscription(
	ctx context.Context, sub *webhook.Subscription, quota webhook.Quota,
) error {
	defer s.begin()()
	return s.Store.CreateSubscription(ctx, sub, quota)
}

func (s *oneWriter) UpdateSubscription(
	ctx context.Context, sub *webhook.Subscription, quota webhook.Quota,
) error {
	defer s.begin()()
	return s.Store.UpdateSubscription(ctx, sub, quota)
}

func (s *oneWriter) DeleteSubscription(
	ctx context.Context, organizationID, id string, revision int64,
) error {
	defer s.begin()()
	return s.Store.DeleteSubscription(ctx, organizationID, id, revision)
}

func (s *oneWriter) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) (results []error, err error) {
	defer s.begin()()
	return s.Store.SetEndpointStates(ctx, changes)
}

func (s *oneWriter) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	defer s.begin()()
	return s.Store.Enqueue(ctx, now, events, prefetch)
}

func (s *oneWriter) FanOut(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (finished int, tasks []webhook.Task, err error) {
	defer s.begin()()
	return s.Store.FanOut(ctx, now, events, prefetch)
}

func (s *oneWriter) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	defer s.begin()()
	return s.Store.Claim(ctx, now, r)
}

func (s *oneWriter) Start(
	ctx context.Context, now time.Time, leases []webhook.Lease,
) (lost []webhook.Lease, err error) {
	defer s.begin()()
	return s.Store.Start(ctx, now, leases)
}

func (s *oneWriter) Extend(
	ctx context.Context, until time.Time, leases []webhook.Lease,
) (lost []webhook.Lease, err error) {
	defer s.begin()()
	return s.Store.Extend(ctx, until, leases)
}

func (s *oneWriter) ClaimExpired(
	ctx context.Context, now, until time.Time, limit int,
) ([]webhook.Task, error) {
	defer s.begin()()
	return s.Store.ClaimExpired(ctx, now, until, limit)
}

func (s *oneWriter) Repair(
	ctx context.Context, now time.Time, r webhook.RepairRequest,
) (int, error) {
	defer s.begin()()
	return s.Store.Repair(ctx, now, r)
}

func (s *oneWriter) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) (refused []webhook.Lease, err error) {
	defer s.begin()()
	return s.Store.Settle(ctx, now, settlements)
}

func (s *oneWriter) Replay(
	ctx context.Context, due time.Time, organizationID string, id webhook.DeliveryID,
) error {
	defer s.begin()()
	return s.Store.Replay(ctx, due, organizationID, id)
}

func (s *oneWriter) Cancel(
	ctx context.Context, now time.Time, organizationID string, id webhook.DeliveryID,
) error {
	defer s.begin()()
	return s.Store.Cancel(ctx, now, organizationID, id)
}

func (s *oneWriter) Prune(
	ctx context.Context, now time.Time, r webhook.PruneRequest,
) (int, error) {
	defer s.begin()()
	return s.Store.Prune(ctx, now, r)
}

func (s *oneWriter) TakePermits(
	ctx context.Context, now time.Time, requests []webhook.PermitRequest,
) ([]webhook.PermitGrant, error) {
	defer s.begin()()
	return s.Store.TakePermits(ctx, now, requests)
}
