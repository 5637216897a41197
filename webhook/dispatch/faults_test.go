package dispatch_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

var simulationAll = flag.Bool("simulation.all", false,
	"TestStoreFaults has all faults happen, in nine days of virtual time")

// faultKind is what becomes of a call of a store.
type faultKind int

const (
	noFault faultKind = iota
	// failsBefore returns an error, and nothing has happened.
	failsBefore
	// failsAfter returns an error although the call has taken effect.
	failsAfter
	// failsHalfway returns an error, and the first half of what the call was about has taken effect.
	// The contract does not allow it; a store that is several databases could do it.
	failsHalfway
	// isSlow takes effect, and answers later than a lease, or than the caller waits.
	isSlow
	// answersTwice has an element twice in the answer.
	answersTwice
	// answersStrangely has an element in the answer that was not asked for, or a lease that another
	// one has followed.
	answersStrangely
	faultKinds
)

// fault is what happens to calls of a method: to the first one, or to all until the time is over.
type fault struct {
	method string
	kind   faultKind
	lasts  bool
}

// faulty is a store whose calls fail as it is told. It overrides each method of a store: a test
// makes sure.
type faulty struct {
	inner webhook.Store

	mu      sync.Mutex
	now     fault
	spent   bool
	met     map[fault]int
	calls   map[string]int
	account account
	bug     faultBug
}

// account is what the store itself has done, whatever it has answered.
type account struct {
	settled, replayed map[webhook.DeliveryID]int
}

// faultBug is a bug that the store has, so that a test can tell whether the check finds it.
type faultBug int

const (
	noFaultBug faultBug = iota
	// forgetsEvents reports an Enqueue that has failed as done.
	forgetsEvents
	// forgetsResults stores nothing each third time, and reports results as stored.
	forgetsResults
	// settlesAgain makes deliveries pending again if their results were stored and the reply was lost.
	settlesAgain
	// forgetsEnds does not tell the hook of calls that have failed.
	forgetsEnds
)

// storeMethods are the methods that can fail, and what else than that can happen to them.
var storeMethods = map[string][]faultKind{
	"CreateSubscription": nil, "Subscription": nil, "Subscriptions": {answersTwice},
	"CountSubscriptions": nil, "UpdateSubscription": nil, "DeleteSubscription": nil,
	"EndpointState": nil, "EndpointStates": {answersTwice},
	"SetEndpointStates": {failsHalfway},
	"TakePermits":       {failsHalfway},
	"Now":               nil,
	"Enqueue":           {answersTwice, answersStrangely},
	"FanOut":            {failsHalfway, answersTwice},
	"Claim":             {failsHalfway, answersTwice, answersStrangely},
	"Start":             {failsHalfway, answersTwice, answersStrangely},
	"Extend":            {failsHalfway, answersTwice, answersStrangely},
	"Repair":            {failsHalfway},
	"ClaimExpired":      {failsHalfway},
	"Settle":            {failsHalfway, answersTwice, answersStrangely},
	"Deliveries":        {answersTwice}, "Delivery": nil, "EventPayload": nil,
	"Replay": nil, "Cancel": nil, "Statistics": nil, "HourlyStatistics": nil, "Totals": nil,
	"Prune": {failsHalfway}, "Ping": nil, "EnqueueTx": nil,
}

// allFaults are all of them, in an order that stays the same.
func allFaults() (faults []fault) {
	for method, others := range storeMethods {
		for _, kind := range append([]faultKind{failsBefore, failsAfter, isSlow}, others...) {
			faults = append(faults, fault{method, kind, false}, fault{method, kind, true})
		}
	}
	slices.SortFunc(faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.method, b.method), cmp.Compare(a.kind, b.kind),
			cmp.Compare(strconv.FormatBool(a.lasts), strconv.FormatBool(b.lasts)))
	})
	return faults
}

// set makes f happen from now on.
func (s *faulty) set(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.spent = f, false
}

// next is what happens to a call.
func (s *faulty) next(method string) faultKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	if s.now.method != method || s.spent && !s.now.lasts {
		return noFault
	}
	s.spent = true
	s.met[s.now]++
	return s.now.kind
}

func (s *faulty) count(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

const slowCall = 40 * time.Second // longer than a lease, and than the Dispatcher waits for a store

// faultyCall makes a call. Half makes the half of it, and strange changes the answer; nil does what
// the call does.
func faultyCall[T any](ctx context.Context, s *faulty, method string, call func() (T, error),
	half func() error, strange func(T, faultKind) T,
) (none T, err error) {
	kind := s.next(method)
	switch kind {
	case failsBefore:
		return none, errUnreliable
	case failsHalfway:
		if err := half(); err != nil {
			return none, err
		}
		return none, errUnreliable
	case isSlow:
		got, err := call()
		select {
		case <-time.After(slowCall):
			return got, err
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
	got, err := call()
	if err != nil {
		return none, err
	}
	switch kind {
	case failsAfter:
		return none, errUnreliable
	case answersTwice, answersStrangely:
		return strange(got, kind), nil
	}
	return got, nil
}

// faultyError is faultyCall for a method that returns an error only.
func faultyError(ctx context.Context, s *faulty, method string, call func() error) error {
	_, err := faultyCall(ctx, s, method,
		func() (struct{}, error) { return struct{}{}, call() }, nil, nil)
	return err
}

// firstHalf is the first half of what a call is about, rounded up.
func firstHalf[T any](all []T) []T { return all[:(len(all)+1)/2] }

// twice has the first element twice.
func twice[T any](all []T) []T {
	if len(all) == 0 {
		return all
	}
	return append(slices.Clone(all), all[0])
}

// once is a change of an answer that there is one kind of.
func once[T any](change func(T) T) func(T, faultKind) T {
	return func(answer T, _ faultKind) T { return change(answer) }
}

// strangeLeases adds a lease that was not asked for, or what is there already once more.
func strangeLeases(leases []webhook.Lease, kind faultKind) []webhook.Lease {
	if kind == answersTwice {
		return twice(leases)
	}
	return append(slices.Clone(leases), webhook.Lease{DeliveryID: 1 << 40, Token: 7})
}

// strangeTasks adds a task twice, or one whose lease another one has followed.
func strangeTasks(tasks []webhook.Task, kind faultKind) []webhook.Task {
	got := twice(tasks)
	if n := len(got); kind == answersStrangely && n > 0 {
		got[n-1].Token--
	}
	return got
}

func (s *faulty) Capabilities() webhook.Capabilities {
	return webhook.Capabilities{Transactions: s}
}

func (s *faulty) Ping(ctx context.Context) error {
	return faultyError(ctx, s, "Ping", func() error { return s.inner.Ping(ctx) })
}

func (s *faulty) CreateSubscription(
	ctx context.Context, sub *webhook.Subscription, q webhook.Quota,
) error {
	return faultyError(ctx, s, "CreateSubscription",
		func() error { return s.inner.CreateSubscription(ctx, sub, q) })
}

func (s *faulty) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	return faultyCall(ctx, s, "Subscription", func() (*webhook.Subscription, error) {
		return s.inner.Subscription(ctx, organizationID, id)
	}, nil, nil)
}

func (s *faulty) Subscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	return faultyCall(ctx, s, "Subscriptions", func() ([]*webhook.Subscription, error) {
		return s.inner.Subscriptions(ctx, q)
	}, nil, once(twice[*webhook.Subscription]))
}

func (s *faulty) CountSubscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) (int, error) {
	return faultyCall(ctx, s, "CountSubscriptions",
		func() (int, error) { return s.inner.CountSubscriptions(ctx, q) }, nil, nil)
}

func (s *faulty) UpdateSubscription(
	ctx context.Context, sub *webhook.Subscription, q webhook.Quota,
) error {
	return faultyError(ctx, s, "UpdateSubscription",
		func() error { return s.inner.UpdateSubscription(ctx, sub, q) })
}

func (s *faulty) DeleteSubscription(
	ctx context.Context, organizationID, id string, revision int64,
) error {
	return faultyError(ctx, s, "DeleteSubscription",
		func() error { return s.inner.DeleteSubscription(ctx, organizationID, id, revision) })
}

func (s *faulty) EndpointState(
	ctx context.Context, organizationID string, e webhook.Endpoint,
) (webhook.EndpointState, error) {
	return faultyCall(ctx, s, "EndpointState", func() (webhook.EndpointState, error) {
		return s.inner.EndpointState(ctx, organizationID, e)
	}, nil, nil)
}

func (s *faulty) EndpointStates(
	ctx context.Context, q webhook.EndpointQuery,
) ([]webhook.EndpointState, error) {
	return faultyCall(ctx, s, "EndpointStates", func() ([]webhook.EndpointState, error) {
		return s.inner.EndpointStates(ctx, q)
	}, nil, once(twice[webhook.EndpointState]))
}

func (s *faulty) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	return faultyCall(ctx, s, "SetEndpointStates",
		func() ([]error, error) { return s.inner.SetEndpointStates(ctx, changes) },
		func() error { return errorOf(s.inner.SetEndpointStates(ctx, firstHalf(changes))) }, nil)
}

func (s *faulty) TakePermits(
	ctx context.Context, now time.Time, requests []webhook.PermitRequest,
) ([]webhook.PermitGrant, error) {
	return faultyCall(ctx, s, "TakePermits",
		func() ([]webhook.PermitGrant, error) { return s.inner.TakePermits(ctx, now, requests) },
		func() error { return errorOf(s.inner.TakePermits(ctx, now, firstHalf(requests))) }, nil)
}

func (s *faulty) Now(ctx context.Context) (time.Time, error) {
	return faultyCall(ctx, s, "Now", func() (time.Time, error) { return s.inner.Now(ctx) }, nil, nil)
}

func (s *faulty) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, p *webhook.Prefetch,
) (webhook.Enqueued, error) {
	got, err := faultyCall(ctx, s, "Enqueue",
		func() (webhook.Enqueued, error) {
			got, err := s.inner.Enqueue(ctx, now, events, p)
			for i := range got.Events { // a store in memory leaves nothing to FanOut
				got.Events[i].Unfinished = events[i].Type == wideType && got.Events[i].Deliveries > 0
			}
			return got, err
		}, nil,
		func(got webhook.Enqueued, kind faultKind) webhook.Enqueued {
			got.Tasks = strangeTasks(got.Tasks, kind)
			return got
		})
	if err != nil && s.bug == forgetsEvents {
		return webhook.Enqueued{Events: make([]webhook.Emitted, len(events))}, nil
	}
	return got, err
}

func (s *faulty) EnqueueTx(
	ctx context.Context, tx webhook.Tx, now time.Time, events []webhook.NewEvent,
) ([]webhook.Emitted, error) {
	return faultyCall(ctx, s, "EnqueueTx", func() ([]webhook.Emitted, error) {
		return s.inner.Capabilities().Transactions.EnqueueTx(ctx, tx, now, events)
	}, nil, nil)
}

// fannedOut is what FanOut returns.
type fannedOut struct {
	finished int
	tasks    []webhook.Task
}

func (s *faulty) FanOut(
	ctx context.Context, now time.Time, events []webhook.NewEvent, p *webhook.Prefetch,
) (int, []webhook.Task, error) {
	fanOut := func(events []webhook.NewEvent) (f fannedOut, err error) {
		f.finished, f.tasks, err = s.inner.FanOut(ctx, now, events, p)
		return f, err
	}
	got, err := faultyCall(ctx, s, "FanOut", func() (fannedOut, error) { return fanOut(events) },
		func() error { return errorOf(fanOut(firstHalf(events))) },
		func(got fannedOut, kind faultKind) fannedOut {
			got.tasks = strangeTasks(got.tasks, kind)
			return got
		})
	return got.finished, got.tasks, err
}

func (s *faulty) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	return faultyCall(ctx, s, "Claim",
		func() ([]webhook.Task, error) { return s.inner.Claim(ctx, now, r) },
		func() error {
			less := r
			less.Limit = (r.Limit + 1) / 2
			return errorOf(s.inner.Claim(ctx, now, less))
		}, strangeTasks)
}

func (s *faulty) Start(
	ctx context.Context, now time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	return faultyCall(ctx, s, "Start",
		func() ([]webhook.Lease, error) { return s.inner.Start(ctx, now, leases) },
		func() error { return errorOf(s.inner.Start(ctx, now, firstHalf(leases))) }, strangeLeases)
}

func (s *faulty) Extend(
	ctx context.Context, until time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	return faultyCall(ctx, s, "Extend",
		func() ([]webhook.Lease, error) { return s.inner.Extend(ctx, until, leases) },
		func() error { return errorOf(s.inner.Extend(ctx, until, firstHalf(leases))) }, strangeLeases)
}

func (s *faulty) ClaimExpired(
	ctx context.Context, now, until time.Time, limit int,
) ([]webhook.Task, error) {
	return faultyCall(ctx, s, "ClaimExpired",
		func() ([]webhook.Task, error) { return s.inner.ClaimExpired(ctx, now, until, limit) },
		func() error { return errorOf(s.inner.ClaimExpired(ctx, now, until, (limit+1)/2)) }, nil)
}

func (s *faulty) Repair(ctx context.Context, now time.Time, r webhook.RepairRequest) (int, error) {
	return faultyCall(ctx, s, "Repair", func() (int, error) { return s.inner.Repair(ctx, now, r) },
		func() error {
			less := r
			less.Limit = (r.Limit + 1) / 2
			return errorOf(s.inner.Repair(ctx, now, less))
		}, nil)
}

func (s *faulty) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	got, err := faultyCall(ctx, s, "Settle",
		func() ([]webhook.Lease, error) {
			if s.bug == forgetsResults && s.count("Settle")%3 == 0 {
				return nil, nil
			}
			return s.settle(ctx, now, settlements)
		},
		func() error { return errorOf(s.settle(ctx, now, firstHalf(settlements))) }, strangeLeases)
	if err != nil && s.bug == settlesAgain {
		for i := range settlements { // those that are not settled stay as they are
			_ = s.inner.Replay(ctx, now, "", settlements[i].DeliveryID)
		}
	}
	return got, err
}

func (s *faulty) settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	refused, err := s.inner.Settle(ctx, now, settlements)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range settlements {
		l := settlements[i].Lease
		if err == nil && settlements[i].Status.Settled() && !slices.Contains(refused, l) {
			s.account.settled[l.DeliveryID]++
		}
	}
	return refused, err
}

func (s *faulty) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	return faultyCall(ctx, s, "Deliveries",
		func() ([]webhook.Delivery, error) { return s.inner.Deliveries(ctx, q) }, nil,
		once(twice[webhook.Delivery]))
}

func (s *faulty) Delivery(
	ctx context.Context, organizationID string, id webhook.DeliveryID,
) (*webhook.Delivery, error) {
	return faultyCall(ctx, s, "Delivery",
		func() (*webhook.Delivery, error) { return s.inner.Delivery(ctx, organizationID, id) }, nil, nil)
}

func (s *faulty) EventPayload(
	ctx context.Context, organizationID, eventID string,
) ([]byte, error) {
	return faultyCall(ctx, s, "EventPayload",
		func() ([]byte, error) { return s.inner.EventPayload(ctx, organizationID, eventID) }, nil, nil)
}

func (s *faulty) Replay(
	ctx context.Context, due time.Time, organizationID string, id webhook.DeliveryID,
) error {
	return faultyError(ctx, s, "Replay", func() error {
		err := s.inner.Replay(ctx, due, organizationID, id)
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.account.replayed[id]++
		}
		return err
	})
}

func (s *faulty) Cancel(
	ctx context.Context, now time.Time, organizationID string, id webhook.DeliveryID,
) error {
	return faultyError(ctx, s, "Cancel", func() error {
		err := s.inner.Cancel(ctx, now, organizationID, id)
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.account.settled[id]++
		}
		return err
	})
}

func (s *faulty) Statistics(
	ctx context.Context, q webhook.StatisticsQuery,
) (webhook.Statistics, error) {
	return faultyCall(ctx, s, "Statistics",
		func() (webhook.Statistics, error) { return s.inner.Statistics(ctx, q) }, nil, nil)
}

func (s *faulty) HourlyStatistics(
	ctx context.Context, q webhook.HourlyQuery,
) (webhook.HourlyPage, error) {
	return faultyCall(ctx, s, "HourlyStatistics",
		func() (webhook.HourlyPage, error) { return s.inner.HourlyStatistics(ctx, q) }, nil, nil)
}

func (s *faulty) Totals(
	ctx context.Context, now time.Time, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	return faultyCall(ctx, s, "Totals",
		func() (webhook.Totals, error) { return s.inner.Totals(ctx, now, q) }, nil, nil)
}

func (s *faulty) Prune(ctx context.Context, now time.Time, r webhook.PruneRequest) (int, error) {
	return faultyCall(ctx, s, "Prune", func() (int, error) { return s.inner.Prune(ctx, now, r) },
		func() error {
			less := r
			less.Limit = (r.Limit + 1) / 2
			return errorOf(s.inner.Prune(ctx, now, less))
		}, nil)
}

// newFaulty returns a store over inner.
func newFaulty(inner webhook.Store, bug faultBug) *faulty {
	return &faulty{inner: inner, bug: bug, met: make(map[fault]int), calls: make(map[string]int),
		account: account{make(map[webhook.DeliveryID]int), make(map[webhook.DeliveryID]int)}}
}

// TestFaultsOfEveryMethod makes sure that no method of a store is forgotten: each can fail.
func TestFaultsOfEveryMethod(t *testing.T) {
	t.Parallel()
	methods := make(map[string]bool)
	for _, of := range []reflect.Type{
		reflect.TypeFor[webhook.Store](), reflect.TypeFor[webhook.TxQueue](),
	} {
		for i := range of.NumMethod() {
			m := of.Method(i)
			if m.Name == "Capabilities" { // has no answer that could fail
				continue
			}
			methods[m.Name] = true
			s := newFaulty(nil, noFaultBug) // a call that reaches the store panics
			s.set(fault{m.Name, failsBefore, true})
			arguments := []reflect.Value{reflect.ValueOf(t.Context())}
			for j := 1; j < m.Type.NumIn(); j++ {
				arguments = append(arguments, reflect.Zero(m.Type.In(j)))
			}
			answer := reflect.ValueOf(s).MethodByName(m.Name).Call(arguments)
			err, _ := answer[len(answer)-1].Interface().(error)
			require.ErrorIs(t, err, errUnreliable, m.Name)
			assert.Contains(t, storeMethods, m.Name)
		}
	}
	assert.Len(t, storeMethods, len(methods), "the table has a method that no store has")
}

// hookLog checks the hooks of all processes.
type hookLog struct {
	forgets bool // the bug forgetsEnds

	mu       sync.Mutex
	open     map[*string]bool
	ended    map[madeAttempt]int
	results  []dispatch.Result
	emitted  map[string]bool
	changed  map[string]int
	problems []string
}

// madeAttempt identifies an attempt.
type madeAttempt struct {
	delivery webhook.DeliveryID
	at       time.Time
}

func (h *hookLog) complain(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.problems = append(h.problems, fmt.Sprintf(format, args...))
}

// hookKind is a key of contexts.
type hookKind string

// starts returns a Start hook, whose operation check's End hook ends.
func starts[T any](h *hookLog, kind hookKind) func(context.Context, T) context.Context {
	return func(ctx context.Context, about T) context.Context {
		operation := fmt.Sprintf("%s %+v", kind, about)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.open[&operation] = true
		return context.WithValue(ctx, kind, &operation)
	}
}

// ends returns an End hook.
func ends[T any](
	h *hookLog, kind hookKind, failed func(T) bool, check func(T),
) func(context.Context, T) {
	return func(ctx context.Context, about T) {
		if h.forgets && failed(about) {
			return
		}
		operation, _ := ctx.Value(kind).(*string)
		h.mu.Lock()
		if operation == nil || !h.open[operation] {
			h.problems = append(h.problems, fmt.Sprintf("an end of %s without a start", kind))
		} else {
			delete(h.open, operation)
		}
		h.mu.Unlock()
		check(about)
	}
}

func (h *hookLog) hooks() dispatch.Hooks {
	return dispatch.Hooks{
		EmitStart: starts[dispatch.EmitStart](h, "emit"),
		EmitEnd: ends(h, "emit", func(e dispatch.EmitEnd) bool { return e.Err != nil },
			func(e dispatch.EmitEnd) {
				if e.Err != nil {
					return
				}
				if len(e.Emitted) != len(e.Events) {
					h.complain("%d answers for %d events", len(e.Emitted), len(e.Events))
				}
				h.mu.Lock()
				defer h.mu.Unlock()
				for _, e := range e.Events {
					h.emitted[e.ID] = true
				}
			}),
		AttemptStart: starts[dispatch.AttemptStart](h, "attempt"),
		AttemptEnd: ends(h, "attempt", func(e dispatch.AttemptEnd) bool { return e.Err != nil },
			func(e dispatch.AttemptEnd) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.ended[madeAttempt{e.DeliveryID, e.Attempt.StartedAt}]++
			}),
		ClaimStart: starts[dispatch.ClaimStart](h, "claim"),
		ClaimEnd: ends(h, "claim", func(e dispatch.ClaimEnd) bool { return e.Err != nil },
			func(e dispatch.ClaimEnd) {
				if e.Err != nil && e.Deliveries != 0 {
					h.complain("a claim that failed has %d deliveries", e.Deliveries)
				}
			}),
		SettleStart: starts[dispatch.SettleStart](h, "settle"),
		SettleEnd: ends(h, "settle", func(e dispatch.SettleEnd) bool { return e.Err != nil },
			func(dispatch.SettleEnd) {}),
		PruneStart: starts[dispatch.PruneStart](h, "prune"),
		PruneEnd: ends(h, "prune", func(e dispatch.PruneEnd) bool { return e.Err != nil },
			func(dispatch.PruneEnd) {}),
		RunStart: starts[dispatch.RunStart](h, "run"),
		RunEnd: ends(h, "run", func(e dispatch.RunEnd) bool { return e.Err != nil },
			func(e dispatch.RunEnd) {
				if (e.Err != nil) != (e.Leased > 0) {
					h.complain("Run left %d deliveries to their leases, and its error is %v", e.Leased, e.Err)
				}
			}),
		HealthChanged: func(_ context.Context, c dispatch.HealthChange) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.changed[fmt.Sprint(c.After.Endpoint, c.After.Revision)]++
		},
	}
}

// wrong says what the hooks have told wrongly: an operation without an end, or attempts and results
// that are not those of the history.
func (h *hookLog) wrong(deliveries []webhook.Delivery) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	problems := h.problems
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf(format, args...))
	}
	for operation := range h.open {
		complain("no end of %s", *operation)
	}
	stored := make(map[madeAttempt]int)
	for i := range deliveries {
		d := &deliveries[i]
		for n, a := range d.Attempts {
			if a.Number != n+1 {
				complain("%s: attempt %d has the number %d", d.ID, n+1, a.Number)
			}
			made := madeAttempt{d.ID, a.StartedAt}
			if stored[made]++; stored[made] > 1 {
				complain("%s: the attempt of %s is there twice", d.ID, a.StartedAt)
			}
			if a.Class != string(dispatch.ClassLost) && h.ended[made] == 0 {
				complain("%s: attempt %d was not told", d.ID, a.Number)
			}
		}
	}
	for i := range h.results {
		o := &h.results[i]
		if stored[madeAttempt{o.DeliveryID, o.Attempt.StartedAt}] == 0 {
			complain("%s: the attempt of %s was told, and is not stored", o.DeliveryID,
				o.Attempt.StartedAt)
		}
	}
	for change, n := range h.changed {
		if n > 1 {
			complain("the change of %s was told %d times", change, n)
		}
	}
	return problems
}

// wideType is the type of events whose deliveries FanOut stores.
const wideType = "wide.event"

// faultSimulation is a number of Dispatchers, and a person, who use a store that fails.
type faultSimulation struct {
	*simulation // the endpoints, and what was accepted
	store       *faulty
	memory      *memstore.Store
	hooks       *hookLog
}

func (s *faultSimulation) bench(t *testing.T) *testBench {
	b := benchOn(t, s.store, dispatch.Config{PollInterval: 10 * time.Second, Hooks: s.hooks.hooks(),
		Retention: dispatch.Retention{Succeeded: 90 * 24 * time.Hour, Dead: 90 * 24 * time.Hour},
		Retry: dispatch.ExponentialRetry{InitialInterval: time.Second, MaxInterval: time.Minute,
			MaxAttempts: simulatedAttempts}}, s.send)
	b.onAttempt = func(o dispatch.Result) {
		s.hooks.mu.Lock()
		defer s.hooks.mu.Unlock()
		s.hooks.results = append(s.hooks.results, o)
	}
	return b
}

func (s *faultSimulation) number(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

func (s *faultSimulation) emit(ctx context.Context, b *testBench, eventType string) error {
	e := newEvent(eventType)
	_, err := b.Emit(ctx, e)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.accepted[e.ID] = true
	}
	return err
}

// process emits and delivers until then, and is replaced by a new one twice an hour.
func (s *faultSimulation) process(t *testing.T, until time.Time) {
	for time.Now().Before(until) {
		b := s.bench(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			var unfinished *dispatch.UnfinishedError
			if err := b.Run(ctx); err != nil && !errors.As(err, &unfinished) {
				s.hooks.complain("Run returned %v", err)
			}
		}()
		for range 10 + s.number(30) {
			_ = s.emit(t.Context(), b, []string{"object.created", wideType}[s.number(2)])
			time.Sleep(time.Duration(30+s.number(60)) * time.Second)
		}
		stop()
		<-ended
	}
}

// emitAndDie emits as a process does that dies at once, with the leases that it has got.
func (s *faultSimulation) emitAndDie(t *testing.T) {
	e := newEvent("object.created")
	e.ID, e.OccurredAt = event.NewID(), time.Now()
	e.Version, e.Actor = event.Version1, event.ActorSystem
	payload, err := e.AppendJSON(nil)
	require.NoError(t, err)
	now := time.Now().UTC().Truncate(time.Microsecond)
	_, err = s.memory.Enqueue(t.Context(), now,
		[]webhook.NewEvent{{ID: e.ID, Type: e.Type, Payload: payload}},
		&webhook.Prefetch{Until: now.Add(20 * time.Second),
			Take: func(string, webhook.Endpoint) bool { return true }})
	require.NoError(t, err)
	s.mu.Lock()
	s.accepted[e.ID] = true
	s.mu.Unlock()
	s.hooks.mu.Lock()
	s.hooks.emitted[e.ID] = true // that process has no hooks
	s.hooks.mu.Unlock()
}

// person uses everything else that a Dispatcher can do, and so makes calls of all methods. An error
// is that of the store, or one that the methods promise.
func (s *faultSimulation) person(t *testing.T, b *testBench) {
	s.emitAndDie(t)
	do := func(what string, call func(ctx context.Context) error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := call(ctx)
		for _, expected := range []error{nil, errUnreliable, context.DeadlineExceeded,
			webhook.ErrNotFound, webhook.ErrExists, webhook.ErrWrongStatus, webhook.ErrConflict} {
			if errors.Is(err, expected) {
				return
			}
		}
		s.hooks.complain("%s: %v", what, err)
	}
	sub := &webhook.Subscription{ID: webhook.NewID(), Name: "for a while",
		EventTypes: []event.Pattern{"object.updated"}, Channels: []webhook.ChannelConfig{
			webhook.Via(httpendpoint.Config{URL: "https://example.com/"})}}
	do("create", func(ctx context.Context) error { return b.CreateSubscription(ctx, sub) })
	do("update", func(ctx context.Context) error {
		sub.Name = "changed"
		return b.UpdateSubscription(ctx, sub)
	})
	endpoint := webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]}
	do("disable", func(ctx context.Context) error {
		return b.DisableEndpoint(ctx, "", endpoint, "a person")
	})
	do("emit", func(ctx context.Context) error {
		_, err := b.Emit(ctx, newEvent("object.updated"))
		return err
	})
	do("emitTx", func(ctx context.Context) error {
		e := newEvent("object.created")
		tx := s.memory.Begin()
		if _, err := b.EmitTx(ctx, tx, e); err != nil {
			return err // and the transaction is not committed
		}
		err := tx.Commit()
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.accepted[e.ID] = true
		}
		return err
	})
	do("lists", func(ctx context.Context) error {
		_, err1 := b.Subscriptions(ctx, webhook.SubscriptionQuery{})
		_, err2 := b.CountSubscriptions(ctx, webhook.SubscriptionQuery{})
		_, err3 := b.EndpointStates(ctx, webhook.EndpointQuery{})
		_, err4 := b.Totals(ctx, webhook.TotalsQuery{Limit: 10})
		_, err5 := b.HourlyStatistics(ctx, webhook.HourlyQuery{})
		return cmp.Or(err1, err2, err3, err4, err5)
	})
	do("ping", s.store.Ping)
	var some []webhook.Delivery
	do("deliveries", func(ctx context.Context) (err error) {
		some, err = b.Deliveries(ctx, webhook.DeliveryQuery{Limit: 20})
		return err
	})
	for i := range some {
		d := &some[i]
		if i == 0 {
			do("payload", func(ctx context.Context) error {
				_, err := b.EventPayload(ctx, "", d.EventID)
				return err
			})
		}
		switch {
		case d.Status == webhook.StatusDead, i == len(some)-1:
			do("replay", func(ctx context.Context) error { return b.Replay(ctx, "", d.ID) })
		case d.SubscriptionID == sub.ID:
			do("cancel", func(ctx context.Context) error { return b.Cancel(ctx, "", d.ID) })
		}
	}
	do("statistics", func(ctx context.Context) error {
		_, err := b.Statistics(ctx, webhook.StatisticsQuery{SubscriptionID: sub.ID})
		return err
	})
	do("enable", func(ctx context.Context) error {
		return b.EnableEndpoint(ctx, "", endpoint, "a person")
	})
	do("delete", func(ctx context.Context) error { return b.DeleteSubscription(ctx, "", sub.ID, 0) })
}

// problems says what is wrong with the account once all is over.
func (s *faultSimulation) problems(deliveries []webhook.Delivery, main []string) []string {
	problems := s.hooks.wrong(deliveries)
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf(format, args...))
	}
	stored := make(map[string]int)
	for i := range deliveries {
		d := &deliveries[i]
		if !d.Status.Settled() {
			complain("%s is %s", d.ID, d.Status)
		}
		if !slices.Contains(main, d.SubscriptionID) {
			continue // it was deleted, and what was left of its deliveries was cancelled
		}
		stored[d.EventID]++
		if n, replayed := s.store.account.settled[d.ID], s.store.account.replayed[d.ID]; n != 1+replayed {
			complain("%s was settled %d times, and replayed %d times", d.ID, n, replayed)
		}
		if d.Status == webhook.StatusSucceeded && s.arrived[d.ID.String()] == 0 {
			complain("%s has succeeded without an answer", d.ID)
		}
	}
	for id := range s.accepted {
		if stored[id] != len(main) {
			complain("%s has %d deliveries", id, stored[id])
		}
		if !s.hooks.emitted[id] {
			complain("the hooks did not tell that %s was accepted", id)
		}
	}
	return problems
}

// simulateFaults has each of the faults happen for a time, one after the other.
func simulateFaults(
	t *testing.T, seed uint64, faults []fault, phase time.Duration, bug faultBug,
) (problems []string) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstore.New()
		s := &faultSimulation{
			simulation: &simulation{random: rand.New(rand.NewPCG(seed, 5)),
				accepted: make(map[string]bool), arrived: make(map[string]int)},
			store: newFaulty(memory, bug), memory: memory,
			hooks: &hookLog{forgets: bug == forgetsEnds, open: make(map[*string]bool),
				ended: make(map[madeAttempt]int), emitted: make(map[string]bool),
				changed: make(map[string]int)},
		}
		person := s.bench(t)
		var main []string
		for _, limit := range []*webhook.RateLimit{nil, {PerSecond: 1, Burst: 2}} {
			sub := &webhook.Subscription{Name: "stays", RateLimit: limit,
				EventTypes: []event.Pattern{"object.created", wideType},
				Channels: []webhook.ChannelConfig{
					webhook.Via(httpendpoint.Config{URL: "https://example.com/"})}}
			require.NoError(t, person.CreateSubscription(t.Context(), sub))
			main = append(main, sub.ID)
		}
		began := time.Now()
		until := began.Add(time.Duration(len(faults)) * phase)
		var running sync.WaitGroup
		for range simulatedProcesses {
			running.Go(func() { s.process(t, until) })
		}
		for i, f := range faults {
			s.store.set(f)
			s.person(t, person)
			time.Sleep(phase / 3)
			if f.lasts {
				s.store.set(fault{})
			}
			time.Sleep(time.Until(began.Add(time.Duration(i+1) * phase)))
		}
		s.store.set(fault{})
		running.Wait()
		// What is left is delivered within the retries of an endpoint that fails by chance.
		last := s.bench(t)
		stop := last.run(t)
		elapse(4 * time.Hour)
		stop()
		deliveries, err := memory.Deliveries(t.Context(), webhook.DeliveryQuery{Limit: 1_000_000})
		require.NoError(t, err)
		problems = s.problems(deliveries, main)
		attempts := 0
		for i := range deliveries {
			attempts += len(deliveries[i].Attempts)
		}
		var never []fault
		for _, f := range faults {
			if s.store.met[f] == 0 {
				never = append(never, f)
			}
		}
		t.Logf("%s with %d faults, of which %d met no call: %v; "+
			"%d events accepted, %d deliveries, %d attempts", time.Since(began).Round(time.Minute),
			len(faults), len(never), never, len(s.accepted), len(deliveries), attempts)
		assert.NotEmpty(t, deliveries)
	})
	return problems
}

// TestStoreFaults has each method of a store fail in each way that it can, once and for minutes: an
// error before or after it took effect or half-way, an answer that is late or wrong. Three
// Dispatchers and a person use the store meanwhile. Afterwards, each accepted event has its
// deliveries, each is settled once, and the hooks have told what the history says. A part of the
// faults has its turn unless -simulation.all is set.
func TestStoreFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	for range *simulationRuns {
		seed := *simulationSeed
		if seed == 0 {
			seed = rand.Uint64()
		}
		faults, phase := allFaults(), time.Hour
		rand.New(rand.NewPCG(seed, 6)).Shuffle(len(faults),
			func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		if !*simulationAll {
			faults, phase = faults[:24], 10*time.Minute
		}
		assert.Empty(t, simulateFaults(t, seed, faults, phase, noFaultBug), "-simulation.seed %d", seed)
	}
}

// TestStoreFaultsFindsBugs makes sure that the check can fail.
func TestStoreFaultsFindsBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	for bug, faults := range map[faultBug][]fault{
		forgetsEvents:  {{"Enqueue", failsBefore, true}},
		forgetsResults: {{"Extend", failsBefore, false}},
		settlesAgain:   {{"Settle", failsAfter, true}},
		forgetsEnds:    {{"Claim", failsBefore, false}},
	} {
		assert.NotEmpty(t, simulateFaults(t, 1, faults, 20*time.Minute, bug), "bug %d", bug)
	}
}
