package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/webhook"
)

// transactionCases are for stores that store events in transactions of the caller.
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
		{"Wide", with(txWide)},
		{"Wrong", with(txWrong)},
	}
}

func txCommit(f *fixture, q webhook.TxQueue, begin func() CallerTx) {
	sub := f.create(hook("webhook", "slack"))
	tx := begin()
	trace := tracecontext.Context{Parent: traceparent, Baggage: "a=b"}
	events := newEvents("evt", 2)
	events[1].Trace = trace
	emitted, err := q.EnqueueTx(f.ctx, tx.Tx, start(), events)
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{
		{EventID: "evt_0", Deliveries: 2}, {EventID: "evt_1", Deliveries: 2},
	}, emitted)
	emitted, err = q.EnqueueTx(f.ctx, tx.Tx, start(),
		[]webhook.NewEvent{newEvent("evt_1"), newEvent("evt_2"), newEvent("evt_2")})
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{
		{EventID: "evt_1", Duplicate: true}, {EventID: "evt_2", Deliveries: 2},
		{EventID: "evt_2", Duplicate: true},
	}, emitted, "an event that the transaction has stored is a duplicate in it")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}), "before the commit there is no delivery")
	require.NoError(f.t, tx.Commit())
	require.Len(f.t, f.list(webhook.DeliveryQuery{SubscriptionID: sub.ID,
		Status: webhook.StatusPending}), 6,
		"each event has one delivery for each channel, and an event is stored once in a transaction as "+
			"well")
	tasks := f.claimN(start(), 6)
	require.Equal(f.t, start(), tasks[0].QueuedAt,
		"the event was emitted at the time that the call was given")
	for _, task := range tasks {
		require.Equal(f.t, task.EventID == "evt_1", task.Trace == trace, "a task has its event's trace")
	}
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
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_0"}), 1,
		"an event that is stored is passed over")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_1"}), 1)
}

// strangeTx is a transaction of a store that does not exist.
type strangeTx struct{}

func (strangeTx) TxKind() string { return "strange" }

func txWrong(f *fixture, q webhook.TxQueue, begin func() CallerTx) {
	require.ErrorIs(f.t, errorOf(q.EnqueueTx(f.ctx, nil, start(), newEvents("evt", 1))),
		webhook.ErrWrongTx, "nil is no transaction")
	_, err := q.EnqueueTx(f.ctx, strangeTx{}, start(), newEvents("evt", 1))
	require.ErrorIs(f.t, err, webhook.ErrWrongTx, "a transaction of another store is refused")
	require.ErrorContains(f.t, err, "strange", "the error says what the transaction is")

	tx := begin()
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	require.Error(f.t, errorOf(q.EnqueueTx(ctx, tx.Tx, start(), newEvents("evt", 1))),
		"EnqueueTx with a cancelled context is an error")
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
		wait("Listen calls wake after the commit of a transaction of the caller")
	}
	stop()
	require.NoError(f.t, <-ended, "Listen returns nil when its context ends")
}

// requestCases are for stores that remember requests.
func requestCases(h Harness) []testCase {
	once := withIdempotency
	cases := []testCase{
		{"Once", once(requestOnce)},
		{"TakeOver", once(requestTakeOver)},
		{"Forgotten", once(requestForgotten)},
		{"Expiry", once(requestExpiry)},
		{"ManyExpired", once(manyExpiredRequests)},
		{"Concurrently", once(func(f *fixture, s webhook.IdempotencyStore) {
			concurrentRequests(f, s, s)
		})},
		{"Cancellation", once(requestCancellation)},
	}
	if h.Peer != nil {
		cases = append(cases, testCase{"Peers", once(func(f *fixture, s webhook.IdempotencyStore) {
			peer := h.Peer(f.t, f.inner).Capabilities().Idempotency
			require.NotNil(f.t, peer, "all processes have the same capabilities")
			concurrentRequests(f, s, peer)
		})})
	}
	if h.Reopen != nil {
		cases = append(cases, testCase{"Durability", once(func(f *fixture, s webhook.IdempotencyStore) {
			r := beginRequest(f, s, newRequest(1, start()), true)
			r.Answer = []byte("done")
			require.NoError(f.t, s.EndIdempotent(f.ctx, r))
			s = h.Reopen(f.t, f.inner).Capabilities().Idempotency
			requireRequest(f, r, beginRequest(f, s, newRequest(1, start()), false),
				"what a method reported as done survives the death of the process")
		})})
	}
	return cases
}

// withIdempotency runs on what a store declares.
func withIdempotency(run func(f *fixture, s webhook.IdempotencyStore)) func(*fixture) {
	return func(f *fixture) {
		s := f.Capabilities().Idempotency
		if s == nil {
			f.t.Skip("the store does not declare Idempotency")
		}
		run(f, s)
	}
}

func newRequest(n int, at time.Time) webhook.IdempotentRequest {
	return webhook.IdempotentRequest{
		Key: fmt.Appendf(nil, "%032d", n), Digest: bytes.Repeat([]byte{0, 0xff}, 16), Began: at,
		Until: at.Add(lease),
	}
}

// beginRequest begins a request of the last day and checks whether the caller is to work on it.
func beginRequest(
	f *fixture, s webhook.IdempotencyStore, r webhook.IdempotentRequest, work bool,
) webhook.IdempotentRequest {
	stored, got, err := s.BeginIdempotent(f.ctx, r, r.Began.Add(-24*time.Hour))
	require.NoError(f.t, err)
	require.Equal(f.t, work, got, "whether the caller is to work on the request")
	return stored
}

func requireRequest(f *fixture, want, got webhook.IdempotentRequest, rule string) {
	require.Equal(f.t, want.Key, got.Key, rule)
	require.Equal(f.t, want.Digest, got.Digest, rule)
	require.Equal(f.t, want.Answer, got.Answer, rule)
	f.requireTime(want.Began, got.Began, "Began")
	f.requireTime(want.Until, got.Until, "Until")
}

func requestOnce(f *fixture, s webhook.IdempotencyStore) {
	first := newRequest(1, start())
	requireRequest(f, first, beginRequest(f, s, first, true), "a new request is stored as it is")
	second := newRequest(1, start().Add(time.Second))
	second.Digest = bytes.Repeat([]byte{1}, 32)
	requireRequest(f, first, beginRequest(f, s, second, false),
		"a request that is in progress is returned as it is")

	first.Answer = []byte("\x00done\xff")
	require.NoError(f.t, s.EndIdempotent(f.ctx, first))
	late := newRequest(1, start().Add(time.Hour))
	requireRequest(f, first, beginRequest(f, s, late, false),
		"an answered request is returned with its answer, byte by byte")
	beginRequest(f, s, newRequest(2, start()), true)
}

func requestTakeOver(f *fixture, s webhook.IdempotencyStore) {
	first := beginRequest(f, s, newRequest(1, start()), true)
	other := newRequest(1, first.Until)
	other.Digest = bytes.Repeat([]byte{1}, 32)
	beginRequest(f, s, other, false)
	beginRequest(f, s, newRequest(1, first.Until.Add(-tick)), false)
	second := newRequest(1, first.Until)
	taken := beginRequest(f, s, second, true)
	second.Began = first.Began
	requireRequest(f, second, taken, "a caller that takes over learns when the request began")

	for _, answer := range [][]byte{nil, []byte("stale")} {
		first.Answer = answer
		require.NoError(f.t, s.EndIdempotent(f.ctx, first))
		requireRequest(f, second, beginRequest(f, s, newRequest(1, first.Until.Add(tick)), false),
			"the earlier caller cannot end the request any more")
	}
}

func requestForgotten(f *fixture, s webhook.IdempotencyStore) {
	first := beginRequest(f, s, newRequest(1, start()), true)
	require.NoError(f.t, s.EndIdempotent(f.ctx, first))
	again := newRequest(1, start().Add(tick))
	requireRequest(f, again, beginRequest(f, s, again, true),
		"a request that ended without an answer is forgotten")
	require.NoError(f.t, s.EndIdempotent(f.ctx, newRequest(5, start())),
		"ending an unknown request changes nothing")
}

func requestExpiry(f *fixture, s webhook.IdempotencyStore) {
	r := beginRequest(f, s, newRequest(1, start()), true)
	r.Answer = []byte("done")
	require.NoError(f.t, s.EndIdempotent(f.ctx, r))
	again := newRequest(1, start().Add(24*time.Hour))
	requireRequest(f, r, beginRequest(f, s, again, false),
		"a request is there that did not begin before the time")
	again = newRequest(1, start().Add(24*time.Hour+tick))
	requireRequest(f, again, beginRequest(f, s, again, true),
		"a request that began before the time is no longer there")
}

// manyExpiredRequests begins more than one call removes.
func manyExpiredRequests(f *fixture, s webhook.IdempotencyStore) {
	const n = webhook.MaxExpired + 20
	for i := range n {
		beginRequest(f, s, newRequest(i, start()), true)
	}
	late := start().Add(48 * time.Hour)
	for i := range n {
		again := newRequest(n-1-i, late)
		requireRequest(f, again, beginRequest(f, s, again, true),
			"a request that has expired is not there, however many have")
	}
}

// concurrentRequests lets many begin the same requests at once.
func concurrentRequests(f *fixture, stores ...webhook.IdempotencyStore) {
	const keys, callers = 20, 8
	var began [keys]atomic.Int64
	var running sync.WaitGroup
	for caller := range callers {
		s := stores[caller%len(stores)]
		running.Go(func() {
			for n := range keys {
				r, work, err := s.BeginIdempotent(f.ctx, newRequest(n, start()), start())
				if !assert.NoError(f.t, err) || !work {
					continue
				}
				began[n].Add(1)
				r.Answer = []byte("done")
				assert.NoError(f.t, s.EndIdempotent(f.ctx, r))
			}
		})
	}
	running.Wait()
	for n := range keys {
		require.EqualValues(f.t, 1, began[n].Load(),
			"of many concurrent calls that begin a request, one is to work on it")
		require.Equal(f.t, "done", string(beginRequest(f, stores[0], newRequest(n, start()),
			false).Answer))
	}
}

func requestCancellation(f *fixture, s webhook.IdempotencyStore) {
	first := beginRequest(f, s, newRequest(1, start()), true)
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, _, err := s.BeginIdempotent(ctx, newRequest(2, start()), start())
	require.Error(f.t, err, "BeginIdempotent with a cancelled context is an error")
	require.Error(f.t, s.EndIdempotent(ctx, first),
		"EndIdempotent with a cancelled context is an error")
	beginRequest(f, s, newRequest(1, start()), false)
	beginRequest(f, s, newRequest(2, start()), true)
}
