package memstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// ErrTxDone says that a transaction was committed or rolled back before.
var ErrTxDone = errors.New("memstore: the transaction was committed or rolled back already")

// Tx is a transaction that stores events, and nothing else, so that code which
// publishes in a transaction can be tested without a database. It is a [webhook.Tx].
type Tx struct {
	store *Store
	mu    sync.Mutex
	done  bool
	calls []enqueueCall
}

type enqueueCall struct {
	now    time.Time
	events []webhook.NewEvent
}

// Begin starts a transaction. It keeps nothing locked.
func (s *Store) Begin() *Tx { return &Tx{store: s} }

// TxKind implements [webhook.Tx].
func (t *Tx) TxKind() string { return "memstore" }

// EnqueueTx implements [webhook.TxQueue] for transactions of this store's Begin.
func (s *Store) EnqueueTx(
	ctx context.Context, tx webhook.Tx, now time.Time, events []webhook.NewEvent,
) ([]webhook.Emitted, error) {
	t, ok := tx.(*Tx)
	if !ok || t == nil {
		return nil, webhook.WrongTx(tx, "memstore")
	}
	if t.store != s {
		return nil, webhook.WrongTx(tx, "this memstore.Store")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return nil, ErrTxDone
	}
	emitted := t.preview(events)
	t.calls = append(t.calls, enqueueCall{now, events})
	return emitted, nil
}

// preview says what becomes of the events if nothing changes before the commit.
func (t *Tx) preview(events []webhook.NewEvent) []webhook.Emitted {
	seen := make(map[eventKey]bool)
	for _, call := range t.calls {
		for i := range call.events {
			seen[eventKey{call.events[i].OrganizationID, call.events[i].ID}] = true
		}
	}
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	out := make([]webhook.Emitted, len(events))
	for i := range events {
		e := &events[i]
		key := eventKey{e.OrganizationID, e.ID}
		out[i] = webhook.Emitted{EventID: e.ID, Duplicate: seen[key] || t.store.events[key] != nil}
		if !out[i].Duplicate {
			out[i].Deliveries = len(t.store.organization(e.OrganizationID).routes.Targets(e.Type))
		}
		seen[key] = true
	}
	return out
}

// Commit stores the events, all at once. It returns ErrTxDone if the transaction was
// committed or rolled back before.
func (t *Tx) Commit() error {
	calls, err := t.end()
	if err != nil {
		return err
	}
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	for _, call := range calls {
		t.store.enqueue(call.now, call.events, nil)
	}
	return nil
}

// Rollback forgets the events. It returns ErrTxDone if the transaction was committed
// or rolled back before, so that it can be deferred, as with database/sql.
func (t *Tx) Rollback() error {
	_, err := t.end()
	return err
}

func (t *Tx) end() ([]enqueueCall, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return nil, ErrTxDone
	}
	t.done = true
	return t.calls, nil
}
