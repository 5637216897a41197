package isolation

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// pool wraps a store so that what it does to emit, to settle and to read tails takes a connection
// of a pool for some virtual time, as on a server: whoever takes all of them holds up the others.
type pool struct {
	webhook.Store
	connections chan struct{}
	lasts       time.Duration
}

func newPool(store webhook.Store, connections int, lasts time.Duration) webhook.Store {
	return &pool{Store: store, connections: make(chan struct{}, connections), lasts: lasts}
}

// use takes a connection, and gives it back when the call is over.
func (p *pool) use() {
	p.connections <- struct{}{}
	time.Sleep(p.lasts)
	<-p.connections
}

func (p *pool) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	p.use()
	return p.Store.Enqueue(ctx, now, events, prefetch)
}

func (p *pool) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) (refused []webhook.Lease, err error) {
	p.use()
	return p.Store.Settle(ctx, now, settlements)
}

func (p *pool) Capabilities() webhook.Capabilities {
	c := p.Store.Capabilities()
	if c.Tail != nil {
		c.Tail = &pooledTails{c.Tail, p}
	}
	return c
}

type pooledTails struct {
	webhook.TailStore
	pool *pool
}

func (s *pooledTails) Tail(ctx context.Context, q webhook.TailQuery) (webhook.TailPage, error) {
	s.pool.use()
	return s.TailStore.Tail(ctx, q)
}

func (s *pooledTails) TailNews(
	ctx context.Context, after webhook.Position,
) (webhook.TailNews, error) {
	s.pool.use()
	return s.TailStore.TailNews(ctx, after)
}
