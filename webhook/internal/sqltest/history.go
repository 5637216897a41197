package sqltest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// A History is of claims, extensions and results, as several clients made them at the same time. A
// store is right if each delivery's history is linearizable: there is an order of the calls, in
// which each takes effect at one moment between its begin and its end, and which StepDelivery
// allows. Tests ask a checker for that, which is no dependency of this module.
//
// The clients pass times of a clock of their own, which is a part of their calls. So whether a lease
// had ended does not depend on how fast a test runs.

// Call is a call as one delivery saw it, for a checker of linearizability.
type Call struct {
	Client        int
	Began, Ended  int64
	Input, Output any
}

// String says what a call asked for and returned.
func (c Call) String() string {
	in, out := c.Input.(DeliveryInput), c.Output.(DeliveryOutput)
	ended := time.Duration(c.Ended).String()
	if out.Unknown {
		ended = "unknown"
	}
	begins := fmt.Sprintf("%v to %s: client %d: ", time.Duration(c.Began), ended, c.Client)
	until := time.UnixMicro(in.Until).UTC().Format(clockFormat)
	switch in.Kind {
	case CallEnqueue:
		return begins + fmt.Sprintf("enqueue, prefetched %v until %s", in.Prefetch, until)
	case CallClaim:
		return begins + fmt.Sprintf("claim at %s until %s: token %d",
			time.UnixMicro(in.Now).UTC().Format(clockFormat), until, out.Token)
	case CallExtend:
		return begins + fmt.Sprintf("extend %d until %s: refused %v", in.Token, until, out.Refused)
	case CallSettle:
		return begins + fmt.Sprintf("settle %d as %s, attempt %v, due %s: refused %v", in.Token, in.Status,
			in.Attempt, until, out.Refused)
	default:
		return begins + fmt.Sprintf("read %q, %d attempts", out.Status, out.Attempts)
	}
}

const clockFormat = "05.000000"

// DeliveryInput is what a call asked for.
type DeliveryInput struct {
	Kind     CallKind
	Now      int64 // of claims
	Until    int64 // end of the lease; when a result makes the delivery due again
	Token    int64
	Status   webhook.Status // of results
	Attempt  bool           // whether a result has an attempt
	Prefetch bool           // whether the caller of Enqueue took the delivery
}

// DeliveryOutput is what a call returned.
type DeliveryOutput struct {
	// Unknown says that the call failed: it may have taken effect, at any time since, or never.
	Unknown bool
	Token   int64 // of a claim
	Refused bool
	// Status and Attempts are those that a read returned.
	Status   webhook.Status
	Attempts int
}

// CallKind is a kind of call.
type CallKind int

// Kinds of calls. CallRead comes last.
const (
	CallEnqueue CallKind = iota
	CallClaim
	CallExtend
	CallSettle
	CallRead
)

// deliveryState is a delivery in the sequential specification. It is comparable.
type deliveryState struct {
	stored, inFlight bool
	settled          webhook.Status // empty until then
	token            int64
	due              int64 // or the end of the lease
	attempts         int
	read             bool
}

// InitDelivery is the state of a delivery before all calls.
func InitDelivery() any { return deliveryState{} }

// StepDelivery is the sequential specification of a delivery: a register with a fencing token. It
// says whether a call can return what it returned, and what the state is then. A call of unknown
// outcome takes effect, or comes after the read.
func StepDelivery(state, input, output any) (bool, any) {
	s, in, out := state.(deliveryState), input.(DeliveryInput), output.(DeliveryOutput)
	if s.read {
		return out.Unknown, s
	}
	holds := s.inFlight && s.token == in.Token
	switch in.Kind {
	case CallEnqueue:
		if s.stored {
			return false, s
		}
		s.stored, s.due, s.token = true, in.Now, 1
		if in.Prefetch {
			s.inFlight, s.due = true, in.Until
			return out.Unknown || out.Token == s.token, s
		}
		return true, s
	case CallClaim:
		if !s.stored || s.settled != "" || s.due > in.Now {
			return false, s
		}
		s.inFlight, s.due = true, in.Until
		s.token++
		return out.Unknown || out.Token == s.token, s
	case CallExtend:
		if out.Unknown && !holds || !out.Unknown && holds == out.Refused {
			return false, s
		}
		if holds {
			s.due = in.Until
		}
		return true, s
	case CallSettle:
		if out.Unknown && !holds || !out.Unknown && holds == out.Refused {
			return false, s
		}
		if holds {
			s.inFlight, s.due = false, in.Until
			if in.Attempt {
				s.attempts++
			}
			if in.Status != webhook.StatusPending {
				s.settled = in.Status
			}
		}
		return true, s
	default:
		status := cmp.Or(s.settled, webhook.StatusPending)
		if s.inFlight {
			status = webhook.StatusInFlight
		}
		s.read = true
		if !s.stored {
			return out.Status == "", s
		}
		return out.Status == status && out.Attempts == s.attempts, s
	}
}

// deliveryKey names a delivery, before its id is known.
type deliveryKey struct{ eventID, subscriptionID string }

// History records what clients do to one database.
type History struct {
	t      testing.TB
	began  time.Time
	now    atomic.Int64 // the clients' clock, in microseconds
	subs   []string
	events atomic.Int64

	mu     sync.Mutex
	calls  map[deliveryKey][]Call
	claims []Call // that failed: they may have claimed any delivery
	ids    map[webhook.DeliveryID]deliveryKey
	seen   Seen
}

// Seen counts what makes a history worth checking.
type Seen struct {
	Failed    int // calls of unknown outcome
	Refused   int // results and extensions that came too late
	TakenOver int // deliveries that were claimed again
}

// Seen returns what was recorded so far.
func (h *History) Seen() Seen {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// Enough reports whether there is some of everything.
func (s Seen) Enough() bool { return s.Failed > 0 && s.Refused > 0 && s.TakenOver > 0 }

// NewHistory makes two subscriptions in the store.
func NewHistory(t testing.TB, s webhook.Store) *History {
	t.Helper()
	h := &History{t: t, began: time.Now(), calls: make(map[deliveryKey][]Call),
		ids: make(map[webhook.DeliveryID]deliveryKey)}
	h.now.Store(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	for range 2 {
		sub := NewSubscription()
		require.NoError(t, s.CreateSubscription(t.Context(), sub, webhook.Quota{}))
		h.subs = append(h.subs, sub.ID)
	}
	return h
}

// leaseOfClients is how long leases are by the clients' clock, of which each call takes about 2 ms.
const leaseOfClients = 40 * time.Millisecond

// tick returns the time of the clients' clock, which it moves.
func (h *History) tick() time.Time {
	return time.UnixMicro(h.now.Add(int64(1000 + rand.IntN(2000)))).UTC()
}

func (h *History) since() int64 { return int64(time.Since(h.began)) }

// client is one process: what it does, and what it remembers. Its calls report whether they
// succeeded.
type client struct {
	h      *History
	n      int
	store  webhook.Store
	random *rand.Rand
	held   []webhook.Lease // also of earlier leases
}

// Client makes random calls until the function says that it is enough. Each client has a store of
// its own on the database.
func (h *History) Client(n int, seed uint64, s webhook.Store, more func() bool) {
	c := &client{h: h, n: n, store: s, random: rand.New(rand.NewPCG(seed, uint64(n)))}
	const shortest, longest = 50 * time.Millisecond, 2 * time.Second
	failed, pause := false, shortest
	for more() {
		if failed { // a server that is down would refuse hundreds of calls
			time.Sleep(pause)
			pause = min(2*pause, longest)
		} else {
			pause = shortest
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if c.random.IntN(20) == 0 { // the caller gives up during the call, or before
			time.AfterFunc(time.Duration(c.random.IntN(2000))*time.Microsecond, cancel)
		}
		switch k := c.random.IntN(10); {
		case k < 2:
			failed = !c.enqueue(ctx)
		case k < 5:
			failed = !c.claim(ctx)
		case k < 6:
			failed = !c.extend(ctx)
		default:
			failed = !c.settle(ctx)
		}
		cancel()
	}
}

func (c *client) add(key deliveryKey, began int64, in DeliveryInput, out DeliveryOutput) {
	h := c.h
	call := Call{Client: c.n, Began: began, Ended: h.since(), Input: in, Output: out}
	if out.Unknown {
		call.Ended = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case out.Refused:
		h.seen.Refused++
	case in.Kind == CallClaim && out.Token > 2:
		h.seen.TakenOver++
	}
	h.calls[key] = append(h.calls[key], call)
}

func (c *client) failed() {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	c.h.seen.Failed++
}

func (c *client) hold(t *webhook.Task) deliveryKey {
	key := deliveryKey{t.EventID, t.Endpoint.SubscriptionID}
	c.held = append(c.held, t.Lease)
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	c.h.ids[t.DeliveryID] = key
	return key
}

func (c *client) enqueue(ctx context.Context) bool {
	h := c.h
	now := h.tick()
	var events []webhook.NewEvent
	for range 1 + c.random.IntN(2) {
		events = append(events, webhook.NewEvent{ID: fmt.Sprint("evt_", h.events.Add(1)), Type: "a.b",
			Payload: []byte(`{}`)})
	}
	until := now.Add(leaseOfClients)
	// What it takes does not depend on how often the store asks.
	takes := h.subs[:c.random.IntN(len(h.subs)+1)]
	began := h.since()
	done, err := c.store.Enqueue(ctx, now, events, &webhook.Prefetch{Until: until,
		Take: func(_ string, e webhook.Endpoint) bool { return slices.Contains(takes, e.SubscriptionID) }})
	if err != nil {
		c.failed()
	}
	for _, e := range events {
		for _, id := range h.subs {
			in := DeliveryInput{Kind: CallEnqueue, Now: now.UnixMicro(), Until: until.UnixMicro(),
				Prefetch: slices.Contains(takes, id)}
			out := DeliveryOutput{Unknown: err != nil}
			for i := range done.Tasks {
				if t := &done.Tasks[i]; t.EventID == e.ID && t.Endpoint.SubscriptionID == id {
					out.Token = t.Token
					c.hold(t)
				}
			}
			c.add(deliveryKey{e.ID, id}, began, in, out)
		}
	}
	return err == nil
}

func (c *client) claim(ctx context.Context) bool {
	h := c.h
	now := h.tick()
	until := now.Add(leaseOfClients)
	in := DeliveryInput{Kind: CallClaim, Now: now.UnixMicro(), Until: until.UnixMicro()}
	began := h.since()
	tasks, err := c.store.Claim(ctx, now,
		webhook.ClaimRequest{Until: until, Limit: 1 + c.random.IntN(8), PerEndpoint: 4})
	if err != nil {
		c.failed()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.claims = append(h.claims, Call{Client: c.n, Began: began, Ended: math.MaxInt64, Input: in,
			Output: DeliveryOutput{Unknown: true}})
		return false
	}
	for i := range tasks {
		c.add(c.hold(&tasks[i]), began, in, DeliveryOutput{Token: tasks[i].Token})
	}
	return true
}

// some returns up to four of the leases that the client has or had, each delivery once.
func (c *client) some() (leases []webhook.Lease) {
	c.random.Shuffle(len(c.held), func(i, j int) { c.held[i], c.held[j] = c.held[j], c.held[i] })
	for _, l := range c.held {
		if !slices.ContainsFunc(leases,
			func(other webhook.Lease) bool { return other.DeliveryID == l.DeliveryID }) {
			leases = append(leases, l)
		}
		if len(leases) == 4 {
			break
		}
	}
	return leases
}

func (c *client) key(l webhook.Lease) deliveryKey {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return c.h.ids[l.DeliveryID]
}

func (c *client) extend(ctx context.Context) bool {
	leases := c.some()
	if len(leases) == 0 {
		return true
	}
	until := c.h.tick().Add(leaseOfClients)
	began := c.h.since()
	lost, err := c.store.Extend(ctx, until, leases)
	if err != nil {
		c.failed()
	}
	for _, l := range leases {
		c.add(c.key(l), began, DeliveryInput{Kind: CallExtend, Until: until.UnixMicro(), Token: l.Token},
			DeliveryOutput{Unknown: err != nil, Refused: slices.Contains(lost, l)})
	}
	return err == nil
}

func (c *client) settle(ctx context.Context) bool {
	leases := c.some()
	if len(leases) == 0 {
		return true
	}
	now := c.h.tick()
	settlements := make([]webhook.Settlement, len(leases))
	for i, l := range leases {
		s := webhook.Settlement{Lease: l, Status: webhook.StatusPending, DueAt: now}
		switch c.random.IntN(4) {
		case 0: // requeued without an attempt
		case 1: // to be tried again
			s.DueAt = now.Add(leaseOfClients / 2)
			s.Attempt = &webhook.Attempt{StartedAt: now, StatusCode: 503}
		case 2:
			s.Status, s.Attempt = webhook.StatusDead, &webhook.Attempt{StartedAt: now, StatusCode: 410}
		default:
			s.Status, s.Attempt = webhook.StatusSucceeded, &webhook.Attempt{StartedAt: now, StatusCode: 200}
		}
		settlements[i] = s
	}
	began := c.h.since()
	refused, err := c.store.Settle(ctx, now, settlements)
	if err != nil {
		c.failed()
	}
	for i := range settlements {
		s := &settlements[i]
		c.add(c.key(s.Lease), began, DeliveryInput{Kind: CallSettle, Until: s.DueAt.UnixMicro(),
			Token: s.Token, Status: s.Status, Attempt: s.Attempt != nil},
			DeliveryOutput{Unknown: err != nil, Refused: slices.Contains(refused, s.Lease)})
		// After an error the same lease is used again, and sometimes without one.
		if err == nil && c.random.IntN(4) > 0 {
			c.held = slices.DeleteFunc(c.held, func(l webhook.Lease) bool { return l == s.Lease })
		}
	}
	return err == nil
}

// Finish reads all deliveries once all clients have ended, and returns the history of each.
func (h *History) Finish(s webhook.Store) (histories [][]Call) {
	h.t.Helper()
	began := h.since()
	all, err := s.Deliveries(h.t.Context(), webhook.DeliveryQuery{Limit: 1_000_000})
	require.NoError(h.t, err)
	stored := make(map[deliveryKey]*webhook.Delivery, len(all))
	for i := range all {
		key := deliveryKey{all[i].EventID, all[i].SubscriptionID}
		require.Nil(h.t, stored[key], "%v is stored twice", key)
		stored[key] = &all[i]
	}
	ended := h.since()
	for key, calls := range h.calls {
		out := DeliveryOutput{}
		if d := stored[key]; d != nil {
			out.Status, out.Attempts = d.Status, len(d.Attempts)
		}
		from, to := lifetime(calls)
		for _, claim := range h.claims {
			if claim.Input.(DeliveryInput).Now >= from && claim.Began <= to {
				calls = append(calls, claim)
			}
		}
		histories = append(histories, append(calls, Call{Began: began, Ended: ended,
			Input: DeliveryInput{Kind: CallRead}, Output: out}))
	}
	return histories
}

// lifetime returns the clients' time from which claims can find a delivery, and the time of the
// recording after which none can, because it was settled. A claim of unknown outcome outside of that
// makes no difference, and would only make the search longer.
func lifetime(calls []Call) (from, to int64) {
	from, to = math.MaxInt64, math.MaxInt64
	for _, c := range calls {
		in, out := c.Input.(DeliveryInput), c.Output.(DeliveryOutput)
		switch {
		case in.Kind == CallEnqueue:
			from = in.Now
		case in.Kind == CallSettle && in.Status != webhook.StatusPending && !out.Unknown && !out.Refused:
			to = min(to, c.Ended)
		}
	}
	return from, to
}
