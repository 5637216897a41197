package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// transactionCases are for stores that store events in transactions of the caller's.
func transactionCases(h Harness) []testCase {
	with := func(run func(f *fixture, q webhook.TxQueue, begin func() CallerTx)) func(*fixture) {
		return func(f *fixture) {
			q := f.Capabilities().Transactions
			if q == nil {
				f.t.Skip("the store does not declare Transactions")
			}
			require.NotNil(f.t, h.Begin, "a store that declares Transactions needs Harness.Begin")
			run(f, q, func() CallerTx { return h.Begin(f.t, f.inner) })
		}
	}
	return []testCase{
		{"Commit", with(txCommit)},
		{"Rollback", with(txRollback)},
		{"StoredBefore", with(txStoredBefore)},
		{"Wrong", with(txWrong)},
	}
}

func txCommit(f *fixture, q webhook.TxQueue, begin func() CallerTx) {
	sub := f.create(hook("webhook", "slack"))
	tx := begin()
	emitted, err := q.EnqueueTx(f.ctx, tx.Tx, start(), newEvents("evt", 2))
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{
		{EventID: "evt_0", Deliveries: 2}, {EventID: "evt_1", Deliveries: 2},
	}, emitted)
	emitted, err = q.EnqueueTx(f.ctx, tx.Tx, start(),
		[]webhook.NewEvent{newEvent("evt_1"), newEvent("evt_2"), newEvent("evt_2")})
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{
		{EventID: "evt_1", Duplicate: true}, {EventID: "evt_2", Deliveries: 2}, {EventID: "evt_2", Duplicate: true},
	}, emitted, "an event that the transaction has stored is a duplicate in it")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}), "before the commit there is no delivery")
	require.NoError(f.t, tx.Commit())
	require.Len(f.t, f.list(webhook.DeliveryQuery{SubscriptionID: sub.ID, Status: webhook.StatusPending}), 6,
		"each event has one delivery for each channel, and an event is stored once in a transaction as well")
	tasks := f.claimN(start(), 6)
	require.Equal(f.t, start(), tasks[0].QueuedAt, "the event was emitted at the time that the call was given")
}

func txRollback(f *fixture, q webhook.TxQueue, begin func() CallerTx) {
	f.create(hook())
	tx := begin()
	require.NoError(f.t, errorOf(q.EnqueueTx(f.ctx, tx.Tx, start(), newEvents("evt", 3))))
	require.NoError(f.t, tx.Rollback())
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}), "what was rolled back was never stored")
	_, err := f.EventPayload(f.ctx, org, "evt_0")
	require.ErrorIs(f.t, err, webhook.ErrNotFound)
	f.enqueue(start(), newEvents("evt", 3)...)
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), 3, "the ids of what was rolled back are free")
}

func txStoredBefore(f *fixture, q webhook.TxQueue, begin func() CallerTx) {
	f.create(hook())
	f.emit(start(), "evt_0")
	tx := begin()
	emitted, err := q.EnqueueTx(f.ctx, tx.Tx, start().Add(time.Hour), newEvents("evt", 2))
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{
		{EventID: "evt_0", Duplicate: true}, {EventID: "evt_1", Deliveries: 1},
	}, emitted)
	require.NoError(f.t, tx.Commit())
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_0"}), 1, "an event that is stored is passed over")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_1"}), 1)
}

// strangeTx is a transaction of a store that does not exist.
type strangeTx struct{}

func (strangeTx) TxKind() string { return "strange" }

func txWrong(f *fixture, q webhook.TxQueue, begin func() CallerTx) {
	require.ErrorIs(f.t, errorOf(q.EnqueueTx(f.ctx, nil, start(), newEvents("evt", 1))), webhook.ErrWrongTx, "nil is no transaction")
	_, err := q.EnqueueTx(f.ctx, strangeTx{}, start(), newEvents("evt", 1))
	require.ErrorIs(f.t, err, webhook.ErrWrongTx, "a transaction of another store is refused")
	require.ErrorContains(f.t, err, "strange", "the error says what the transaction is")

	tx := begin()
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	require.Error(f.t, errorOf(q.EnqueueTx(ctx, tx.Tx, start(), newEvents("evt", 1))), "EnqueueTx with a cancelled context is an error")
	require.NoError(f.t, tx.Rollback())
}

// notificationCases are for stores that tell of what became due.
func notificationCases(h Harness) []testCase {
	return []testCase{{"Listen", func(f *fixture) {
		l := f.Capabilities().Notifications
		if l == nil {
			f.t.Skip("the store does not declare Notifications")
		}
		listens(f, h, l)
	}}}
}

func listens(f *fixture, h Harness, l webhook.Listener) {
	f.create(hook())
	ctx, stop := context.WithCancel(f.ctx)
	defer stop()
	woken := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- l.Listen(ctx, func() {
			select {
			case woken <- struct{}{}:
			default: // the test has not seen the last one yet
			}
		})
	}()
	wait := func(rule string) {
		f.t.Helper()
		select {
		case <-woken:
		case err := <-ended:
			if errors.Is(err, errors.ErrUnsupported) {
				f.t.Skip("the store cannot listen here: ", err)
			}
			require.NoError(f.t, err, rule)
			require.Fail(f.t, "Listen ended before its context", rule)
		case <-time.After(2 * time.Minute):
			require.Fail(f.t, "Listen did not call wake in two minutes", rule)
		}
	}
	wait("Listen calls wake when it begins to listen")
	f.emit(start(), "evt_1")
	wait("Listen calls wake after an Enqueue without a prefetch")
	if q := f.Capabilities().Transactions; q != nil {
		tx := h.Begin(f.t, f.inner)
		require.NoError(f.t, errorOf(q.EnqueueTx(f.ctx, tx.Tx, start(), newEvents("tx", 1))))
		require.NoError(f.t, tx.Commit())
		wait("Listen calls wake after the commit of a transaction of the caller's")
	}
	stop()
	require.NoError(f.t, <-ended, "Listen returns nil when its context ends")
}
