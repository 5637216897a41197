package dispatch_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// countingStore counts the events that were given to a Store. All else is done by the Store that
// it embeds, whichever that is.
type countingStore struct {
	webhook.Store
	events atomic.Int64
}

func (c *countingStore) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	enqueued, err := c.Store.Enqueue(ctx, now, events, prefetch)
	if err == nil {
		c.events.Add(int64(len(events)))
	}
	return enqueued, err
}

// Capabilities are those of the embedded Store. Events come in by transactions of the
// caller's as well, where it has them, so these are counted too.
func (c *countingStore) Capabilities() webhook.Capabilities {
	capabilities := c.Store.Capabilities()
	if capabilities.Transactions != nil {
		capabilities.Transactions = countingTx{capabilities.Transactions, &c.events}
	}
	return capabilities
}

type countingTx struct {
	webhook.TxQueue
	events *atomic.Int64
}

func (c countingTx) EnqueueTx(
	ctx context.Context, tx webhook.Tx, now time.Time, events []webhook.NewEvent,
) ([]webhook.Emitted, error) {
	emitted, err := c.TxQueue.EnqueueTx(ctx, tx, now, events)
	if err == nil {
		c.events.Add(int64(len(events)))
	}
	return emitted, err
}

// A Store can be wrapped, here to count events. The wrapper embeds the interface, so that
// it keeps all that it does not change.
func ExampleNew_wrappedStore() {
	memory := memstore.New()
	store := &countingStore{Store: memory}
	d, err := dispatch.New(store, dispatch.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	paid := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"})
	if _, err := d.Emit(ctx, paid); err != nil {
		fmt.Println(err)
		return
	}
	tx := memory.Begin()
	sent := event.New("invoice.sent", event.Subject{Type: "invoice", ID: "inv_2"})
	if _, err := d.EmitTx(ctx, tx, sent); err != nil {
		fmt.Println(err)
		return
	}
	if err := tx.Commit(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(store.events.Load(), "events")
	// Output: 2 events
}
