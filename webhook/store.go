package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
)

// Store keeps subscriptions, events and deliveries. The Dispatcher decides what happens to them,
// and a Store records it atomically and, unless it says otherwise, durably: what a method has
// reported as done survives the death of the process.
//
// All methods are safe for concurrent use, from any number of processes if the store is shared.
//
// Every time is passed in by the caller and kept to the microsecond; a Store uses no other time
// than those that it is given. Leases, due times and times of settling are by the store's clock
// (see [Queue.Now]). CreatedAt and UpdatedAt of a subscription are by the clock of the process that
// made the call.
//
// After an error, everything is as it was before the call. There are two exceptions: after an error
// that matches [ErrUnavailable], and after a context that ended during the call, the call may have
// taken effect. It has then taken effect as a whole.
//
// Ids and filters are valid UTF-8 without NUL: the Dispatcher never passes others to a Store.
//
// If a Store cannot be reached, or cannot write now, it returns an error that matches
// [ErrUnavailable].
//
// Package storetest tests these rules, for any Store.
//
// # How it may grow
//
// A feature that only some stores have is a field of [Capabilities]. A new feature gets a new
// field, which existing stores leave nil. A method that every store needs can be added to Store
// itself while the major version is 0. A type that wraps a Store embeds the interface, and so keeps
// all methods and capabilities that it does not change.
type Store interface {
	SubscriptionStore
	EndpointStore
	RateStore
	Queue
	History
	// Ping returns nil if the store can be read. It changes nothing.
	Ping(ctx context.Context) error
	// Capabilities returns what the store can do beyond that. It is always the same.
	Capabilities() Capabilities
}

// Capabilities says what a Store can do beyond what every Store must. A nil field means that it
// cannot. A wrapper that changes a method, such as Enqueue, has to change the capability that does
// the same, such as Transactions, in a Capabilities method of its own.
type Capabilities struct {
	// Transactions stores events in transactions of the caller.
	Transactions TxQueue
	// Notifications tells when deliveries have become due. Without it, a Dispatcher asks for due
	// deliveries every dispatch.Config.PollInterval.
	Notifications Listener
	// Idempotency remembers requests, so that a repeated one does not take effect twice.
	Idempotency IdempotencyStore
	// Tail reads in order what was emitted, from any position.
	Tail TailStore
	// Replays keeps replays of many deliveries, which go on in the background.
	Replays ReplayStore
	// APIKeys keeps the API keys of the management API.
	APIKeys APIKeyStore
	// Ordering delivers in order: see [Ordering]. Without it, a Dispatcher accepts no subscription
	// that has one, and a store may ignore Subscription.Ordering.
	Ordering OrderingStore
	// Diagnostics says how the store itself is.
	Diagnostics DiagnosticStore
	// Backlog keeps how large the backlog was in past hours.
	Backlog BacklogStore
	// Processes keeps which processes deliver.
	Processes ProcessStore
}

// SubscriptionStore is the part of a Store that keeps subscriptions. Every call is
// scoped to one organization: a subscription of another one is not found.
type SubscriptionStore interface {
	// CreateSubscription stores sub with its first revision, which it sets in sub: the microseconds of
	// CreatedAt since 1970, so that a subscription that is deleted and created again never falls back
	// to a revision it had before. It returns ErrExists if the id is taken, by any organization. If
	// the organization would then have more than the quota, the error is that of [Quota.Check]
	// or [Quota.CheckEventTypes];
	// concurrent calls, also of several processes, do not exceed the quota together.
	CreateSubscription(ctx context.Context, sub *Subscription, quota Quota) error
	// Subscription returns the subscription, or ErrNotFound.
	Subscription(ctx context.Context, organizationID, id string) (*Subscription, error)
	// Subscriptions returns the organization's subscriptions that fit the query, the
	// oldest first (by CreatedAt, then id).
	Subscriptions(ctx context.Context, q SubscriptionQuery) ([]*Subscription, error)
	// CountSubscriptions returns how many of the organization's subscriptions fit the
	// filters of the query, on all pages: After, Limit and Offset do not count.
	CountSubscriptions(ctx context.Context, q SubscriptionQuery) (int, error)
	// UpdateSubscription replaces the subscription of sub's id and organization, keeping
	// CreatedAt, and sets the new revision in sub. If the stored revision is not
	// sub.Revision, it changes nothing and returns ErrConflict. Deliveries to a
	// channel key that the update removed are cancelled. An update that adds
	// channels or event types must stay within the quota of these, as for CreateSubscription; any
	// other update succeeds even if the organization is over its quota.
	UpdateSubscription(ctx context.Context, sub *Subscription, quota Quota) error
	// DeleteSubscription removes the subscription. Its unfinished deliveries report
	// StatusCancelled from then on and are not claimed again. Deliveries keep
	// their history. If the stored revision is not the given one, unless that
	// is 0, it changes nothing and returns ErrConflict.
	DeleteSubscription(ctx context.Context, organizationID, id string, revision int64) error
}

// EndpointStore is the part of a Store that keeps the states of endpoints: see [Health]. An
// endpoint is removed with its channel, or its subscription, and its state with it: a channel that
// is added again is healthy.
//
// The state decides what happens to unfinished deliveries of the endpoint, at once and for all
// processes. While it is degraded, none is prefetched, and Claim hands out one at a time: see
// there. While it is disabled, they wait as those of a paused subscription do, and report
// StatusPaused. Leases stay as they are, and results still count. An update of the subscription, or
// a pause, changes no state.
type EndpointStore interface {
	// EndpointState returns the state of one endpoint, whatever its health. It returns ErrNotFound
	// if the organization has no such subscription, or that has no such channel.
	EndpointState(ctx context.Context, organizationID string, e Endpoint) (EndpointState, error)
	// EndpointStates returns the states that fit the query, in an order that stays the same. Its
	// cost does not depend on how many endpoints are healthy.
	EndpointStates(ctx context.Context, q EndpointQuery) ([]EndpointState, error)
	// SetEndpointStates replaces the states of the endpoints that the changes name, in one
	// transaction, and sets the new revisions in them. results[i] says what became of changes[i]: nil
	// if it is stored; ErrConflict if it is not, because the stored revision is not that of the state,
	// or the subscription's is not SubscriptionRevision, unless that is 0; or ErrNotFound as
	// EndpointState returns it. Of two changes of one endpoint, one is refused. After an error, nothing
	// is stored. [SetEndpointState] is for a single change.
	SetEndpointStates(ctx context.Context, changes []EndpointChange) (results []error, err error)
}

// EndpointChange is a state to be stored.
type EndpointChange struct {
	State *EndpointState
	// SubscriptionRevision is the revision that the subscription must have. 0 is any.
	SubscriptionRevision int64
}

// SetEndpointState makes one change with [EndpointStore].SetEndpointStates, and returns its result.
func SetEndpointState(
	ctx context.Context, s EndpointStore, state *EndpointState, subscriptionRevision int64,
) error {
	results, err := s.SetEndpointStates(ctx, []EndpointChange{{state, subscriptionRevision}})
	if err != nil {
		return err
	}
	return results[0]
}

// Queue is the part of a Store that hands out deliveries and takes results.
type Queue interface {
	// Now returns the time of the store's clock, by which leases and due times are judged: the
	// database server's clock, or the machine's if all processes run on one machine. A caller need not
	// call Now every time: it may add the time that has passed on its own monotonic clock, and should
	// ask again at least once a minute.
	Now(ctx context.Context) (time.Time, error)

	// Enqueue stores the events, and for each of them one pending delivery for every channel of every
	// subscription of its organization that matches: all of it or nothing. An event whose organization
	// and id are stored already, or that occurs earlier in the same call, is skipped.
	// Enqueued.Events[i] says what became of events[i]; a skipped event has Duplicate set. A
	// subscription that was created before the call began is matched, whichever process created it.
	//
	// A store that has one writer at a time need not store all deliveries of an event that matches
	// many in this transaction, in which other events would wait for them. It sets Emitted.Unfinished
	// and keeps what is missing with the event: which deliveries and their ids do not depend on what
	// happens later. The caller goes on with FanOut. If it does not, because it died or its context
	// ended, Claim and Prune do so once FanOutLease has passed since now. Until a delivery is stored,
	// it is not found, neither by its id nor in lists and totals. Then it is as though it had been
	// stored with the event: that a subscription was paused or deleted meanwhile counts as though it
	// had been done afterwards. Prune keeps an event until all of its deliveries have been stored.
	//
	// With a prefetch, the store may insert deliveries in flight, as though the caller had claimed
	// them at once, and returns them as tasks. It asks prefetch.Take for each delivery, and inserts a
	// delivery that is not taken as pending, to wait for the next claim. Take must not call the store.
	// Deliveries of paused subscriptions, and of endpoints that are not healthy, are never prefetched.
	Enqueue(
		ctx context.Context, now time.Time, events []NewEvent, prefetch *Prefetch,
	) (Enqueued, error)

	// FanOut goes on with events that Enqueue has left unfinished, and that the caller passes as it
	// passed them there. It stores some of their deliveries, in the order of the events and not more
	// than others should wait for, and returns how many of the events are finished: the first ones.
	// The caller calls FanOut again with the others until none is left. Events that are finished, and
	// duplicates, count as finished. So do those that Claim or another caller has gone on with: each
	// delivery is stored once. The prefetch is that of Enqueue.
	FanOut(
		ctx context.Context, now time.Time, events []NewEvent, prefetch *Prefetch,
	) (finished int, tasks []Task, err error)

	// Claim takes due deliveries: pending with DueAt not after now, or in
	// flight with a lease that ended by now. Each gets a lease until r.Until
	// and a new token. No delivery is handed out twice under one lease.
	// Deliveries of paused or deleted subscriptions, and of disabled endpoints, are not
	// claimed. Of a degraded endpoint, one is claimed once its NextProbe is not after
	// now. That moves NextProbe to r.Until and raises the revision of the state, so that
	// no other caller claims a second probe until then.
	//
	// Within an endpoint, deliveries that were not attempted since they were queued come first, then
	// those that have been due longest: an event that the endpoint refuses must not hold back one that
	// was never attempted. The store takes turns between organizations, and between the endpoints of
	// each, so that neither a long backlog nor many endpoints of one organization hide another: every
	// organization has a turn within a few claims.
	//
	// If Claim returns fewer than r.Limit tasks, nothing else is due within the bounds of r. A store
	// that bounds how many endpoints it can skip in one call may return fewer; its documentation says
	// so.
	Claim(ctx context.Context, now time.Time, r ClaimRequest) ([]Task, error)

	// ClaimExpired takes deliveries that Claim does not hand out, or hands out only one at a time:
	// those of paused subscriptions and of endpoints that are degraded or disabled, whose event has
	// expired by now (see Task.ExpiresAt), up to the limit. They are pending, due or not, or in flight
	// with a lease that ended by now, and do not wait in line. Each gets a lease until the given time
	// and a new token, as though it had been claimed, for the caller to settle it as dead. It may lack
	// its Payload, which that does not need. A delivery may be taken up to ExpiredWithin after it has
	// expired. A store that bounds the work of one call may return fewer than limit although there are
	// more, which later calls take.
	ClaimExpired(ctx context.Context, now, until time.Time, limit int) ([]Task, error)

	// Start records that attempts of the deliveries begin at now, and returns the
	// leases that are lost, as Extend does. A Dispatcher calls it before it attempts a
	// delivery that has lost a lease before: see Task.Lost.
	Start(ctx context.Context, now time.Time, leases []Lease) (lost []Lease, err error)

	// Extend moves the end of the leases to until and returns those that are
	// lost: settled, taken over, or not held by any caller. A lease that ended but was
	// not taken over can still be extended. One that ends later than until stays as it is, so that a
	// call that takes effect late does not undo the next one.
	Extend(ctx context.Context, until time.Time, leases []Lease) (lost []Lease, err error)

	// Repair corrects up to r.Limit times that are far in the future because the store's clock was
	// wrong, and returns how many it corrected.
	Repair(ctx context.Context, now time.Time, r RepairRequest) (int, error)

	// Settle records results. Those whose token is not the delivery's latest,
	// or whose delivery is not in flight, change nothing and are returned.
	Settle(ctx context.Context, now time.Time, settlements []Settlement) (refused []Lease, err error)
}

// Tx is a transaction of the caller, in the form that the package of its store makes: postgres.Tx
// of a pgx.Tx, sqlite.Tx of an *sql.Tx, memstore.Store.Begin.
type Tx interface {
	// TxKind names the kind of the transaction, such as "postgres", for the error of a store that
	// cannot use it.
	TxKind() string
}

// ErrWrongTx means that a transaction is nil, or does not belong to the store.
var ErrWrongTx = errors.New("webhook: the store cannot use the transaction")

// WrongTx returns an error that matches ErrWrongTx and says what the transaction is, and
// which kind the store takes.
func WrongTx(tx Tx, want string) error {
	if tx == nil {
		return fmt.Errorf("%w: it is nil", ErrWrongTx)
	}
	return fmt.Errorf("%w: it is one of %s, and the store takes those of %s", ErrWrongTx, tx.TxKind(),
		want)
}

// TxQueue stores events in transactions of the caller.
type TxQueue interface {
	// EnqueueTx is [Queue.Enqueue], without a prefetch, in the caller's transaction,
	// which it neither commits nor rolls back: the events are stored if and only if
	// it commits. It returns an error that matches [ErrWrongTx] if the transaction is
	// nil or of another kind than the store's. The result says what the transaction
	// sees: another one may make an event a duplicate before both have committed.
	EnqueueTx(ctx context.Context, tx Tx, now time.Time, events []NewEvent) ([]Emitted, error)
}

// Listener notices when other processes have stored deliveries.
type Listener interface {
	// Listen calls wake when it begins to listen, and when deliveries that no caller has prefetched
	// may have become due. It returns nil when ctx ends, and an error when the connection is lost. It
	// may then be called again, unless the error matches [errors.ErrUnsupported], which means that
	// listening will never work.
	Listen(ctx context.Context, wake func()) error
}

// NewEvent is an event to be stored.
type NewEvent struct {
	OrganizationID string
	ID             string
	Type           string
	// Payload is the envelope's JSON. The store does not look inside, and may
	// keep the slice: the caller does not change it any more.
	Payload []byte
	// Trace is the trace that the emit is a part of. The caller has cleaned it (see
	// [tracecontext.Context.Clean]). A store should not write anything for a zero Trace.
	Trace tracecontext.Context
	// Subject is what the event is about, for a subscription with an [Ordering]. Extra does not count.
	Subject event.Subject
	// TTL is the time to live, in whole microseconds, and zero for none. The deliveries of the event
	// expire that long after their QueuedAt. A store keeps it and hands it out as Task.ExpiresAt, and
	// finds what has expired: see Queue.ClaimExpired. That such a delivery becomes dead is up to the
	// caller. It should not write anything for a zero TTL.
	TTL time.Duration
}

// ExpiredWithin is for how long a store may leave alone a delivery that has expired and that an
// earlier ClaimExpired could not take, because it was in flight, waited in line, or would have been
// claimed soon.
const ExpiredWithin = 10 * time.Minute

// MaxTTL is the longest time to live of an event.
const MaxTTL = 365 * 24 * time.Hour

// CheckTTL adds a problem of the field to p if ttl is not a valid time to live: neither 0, for
// none, nor from 1 ms to MaxTTL.
func CheckTTL(p *event.Problems, field string, ttl time.Duration) {
	if ttl != 0 && (ttl < time.Millisecond || ttl > MaxTTL) {
		p.Add(field, "must be 0 for none, or from 1ms to %s, is %s", MaxTTL, ttl)
	}
}

// Enqueued is what [Queue.Enqueue] did.
type Enqueued struct {
	// Events has an element for each event of the call.
	Events []Emitted
	// Tasks are the deliveries that were prefetched.
	Tasks []Task
}

// Emitted says what Enqueue did with an event.
type Emitted struct {
	// EventID is the id of the event.
	EventID string
	// Deliveries is how many deliveries were made for the event: one for each channel of each
	// subscription that matches. 0 means that no subscription matches, or that the event is a
	// duplicate.
	Deliveries int
	// Duplicate says that the organization had emitted an event of this id before, so
	// that nothing was stored.
	Duplicate bool
	// Unfinished says that the event is durable, but that some of its deliveries are still to be
	// stored: by [Queue.FanOut], or by the next claim of any process after [FanOutLease].
	Unfinished bool
	// Ordered says that some of the deliveries stand in line: see [Ordering]. They are not prefetched.
	Ordered bool
}

// FanOutLease is how long only the caller of Enqueue stores the deliveries that it has left to
// FanOut, counted from the time that Enqueue was given. From then on, claims of any process store
// them too.
const FanOutLease = 10 * time.Second

// Prefetch lets [Queue.Enqueue] hand deliveries to the caller at once, as if the caller had claimed
// them.
type Prefetch struct {
	// Until is when the leases end.
	Until time.Time
	// Take reports whether the caller takes one more delivery for an endpoint of the organization. If
	// Enqueue fails, nothing was taken, whatever Take returned.
	Take func(organizationID string, e Endpoint) bool
}

// ClaimRequest bounds a claim.
type ClaimRequest struct {
	// Until is when the leases end.
	Until time.Time
	// Limit bounds the number of tasks, PerEndpoint those of one endpoint.
	// Both are at least 1.
	Limit, PerEndpoint int
	// PerOrganization bounds the number of tasks of one organization. 0 means no such bound.
	PerOrganization int
	// Skip names endpoints, and SkipOrganizations organizations, whose deliveries are
	// not to be claimed.
	Skip              []Endpoint
	SkipOrganizations []string
}

// RepairRequest says which times are too far in the future, and what they become.
type RepairRequest struct {
	// Leases that end after LeasesAfter are made to end at Until.
	Until, LeasesAfter time.Time
	// Pending deliveries that are due too late become due now: those that were neither attempted
	// nor replayed if they are due after FreshAfter, and those that were attempted since they were
	// queued if they are due after RetriesAfter. A delivery that was replayed for a later time, and
	// not attempted since, stays as it is.
	FreshAfter, RetriesAfter time.Time
	// Degraded endpoints whose NextProbe is after ProbesAfter may be probed now. Zero leaves them
	// as they are.
	ProbesAfter time.Time
	// Limit bounds the number of corrections. It is at least 1.
	Limit int
}

// Lease is the right to settle a delivery. The Token is a fencing token: it grows with every claim,
// so that a result of an earlier claim is recognised as stale.
type Lease struct {
	DeliveryID DeliveryID
	Token      int64
}

// Task is a claimed delivery, with everything that an attempt needs.
type Task struct {
	Lease
	// Until is when the lease ends.
	Until          time.Time
	OrganizationID string
	Endpoint       Endpoint
	// Revision is the subscription's at the time of the claim.
	Revision  int64
	EventID   string
	EventType string
	// Payload is the envelope's JSON. It is shared, and must not be modified.
	Payload []byte
	// Trace is that of the NewEvent, also after a replay.
	Trace tracecontext.Context
	// Attempts is the number of attempts in the history; AttemptsSinceQueued is the
	// number of those made since QueuedAt, without failed probes.
	Attempts, AttemptsSinceQueued int
	// QueuedAt is when the event was emitted or, if later, last replayed. Retries count from then.
	QueuedAt time.Time
	// ExpiresAt is QueuedAt and NewEvent.TTL. Zero if the event has no TTL.
	ExpiresAt time.Time
	// DueAt is the time from which the delivery could have been claimed: its DueAt or, if a lease on
	// it had ended, the end of that lease.
	DueAt time.Time
	// Progress is that of the last settlement that had one. Nil if there was none.
	Progress json.RawMessage
	// Lost is how many leases of the delivery ended in a row without a result: without a settlement
	// that has an Attempt and does not set Lost. The first lost lease always counts, because the store
	// does not know whether an attempt had begun. Each later one counts only if Start had recorded an
	// attempt. A replay resets Lost to 0.
	Lost int
	// Probe is the state of the endpoint after the claim if it is degraded: the attempt is a probe.
	// Nil if it is healthy.
	Probe *EndpointState
	// HealthySince is when the endpoint became healthy last; zero if it has always been healthy, or
	// is degraded. Before that the delivery could not be attempted.
	HealthySince time.Time
	// Ordered says that the delivery stands in line, and has its turn: see [Ordering].
	Ordered bool
	// LostAt is when an attempt began that was lost with its lease and is not in the history yet, as
	// Start recorded it. Zero if there is none. A settlement with an Attempt resets it.
	LostAt time.Time
}

// Settlement is the result of a claimed delivery.
type Settlement struct {
	Lease
	// Status is StatusSucceeded, StatusDead or, to try again, StatusPending.
	Status Status
	// DueAt is when a pending delivery may be claimed next.
	DueAt time.Time
	// Attempt is added to the history, and the store numbers it. Nil requeues the delivery without
	// an attempt.
	Attempt *Attempt
	// Lost says that the Attempt was lost and has no result: Task.Lost then goes on counting.
	Lost bool
	// Probe says that the Attempt failed as a probe of a degraded endpoint: it does not count in
	// Task.AttemptsSinceQueued.
	Probe bool
	// Progress replaces the delivery's progress unless it is nil.
	Progress json.RawMessage
	// SkipAt is when the next delivery of the line has its turn after one that is dead: see [Ordering].
	// Zero means not until it is replayed or skipped. It counts only if Status is StatusDead and
	// Task.Ordered was set.
	SkipAt time.Time
}

// History is the part of a Store that reads past deliveries and corrects them. Every
// call except Prune, and Totals of all organizations, is scoped to one organization and returns
// ErrNotFound for the deliveries of another.
type History interface {
	// Deliveries returns the deliveries that fit the query, the newest first unless it says otherwise.
	Deliveries(ctx context.Context, q DeliveryQuery) ([]Delivery, error)
	// Delivery returns one delivery, or ErrNotFound.
	Delivery(ctx context.Context, organizationID string, id DeliveryID) (*Delivery, error)
	// EventPayload returns the stored envelope, or ErrNotFound.
	EventPayload(ctx context.Context, organizationID, eventID string) ([]byte, error)
	// Replay makes a settled delivery pending and due at the given time, from which its retries count
	// again. It keeps the delivery's history. It keeps its Progress too, unless the delivery had
	// succeeded: a replay of such a delivery sends to all recipients again. Replay returns
	// ErrWrongStatus if the delivery is not settled, and ErrNotFound if the delivery does not exist,
	// or its subscription or channel no longer does.
	Replay(ctx context.Context, due time.Time, organizationID string, id DeliveryID) error
	// Cancel ends a delivery that is not settled: its status becomes StatusCancelled, and the result
	// of an attempt in flight is refused. Cancel returns ErrWrongStatus if the delivery is settled.
	Cancel(ctx context.Context, now time.Time, organizationID string, id DeliveryID) error
	// Statistics returns the figures of a subscription, or ErrNotFound. They are
	// exact: everything that Settle accepted and Cancel ended is counted, in the hour
	// of the time that was passed to that call, as soon as it has returned. Counts of
	// unfinished deliveries may be a moment newer than the other figures. The cost
	// does not depend on how many settled deliveries are stored.
	Statistics(ctx context.Context, q StatisticsQuery) (Statistics, error)
	// HourlyStatistics returns what Statistics counts, hour by hour, for a page of an organization's
	// subscriptions. The cost depends on the number of subscriptions and hours, and not on how many
	// deliveries are stored.
	HourlyStatistics(ctx context.Context, q HourlyQuery) (HourlyPage, error)
	// Totals counts the deliveries that are unfinished or dead, and finds the oldest that is due at
	// the given time. It is cheap enough to be asked every few seconds: the cost depends on q.Limit
	// and on the number of endpoints, and not on how many deliveries have succeeded. An organization
	// that the store does not know has none.
	Totals(ctx context.Context, now time.Time, q TotalsQuery) (Totals, error)
	// Prune removes up to r.Limit settled deliveries and events without deliveries, of all
	// organizations, that are older than the request says, and returns how many rows it removed. It
	// also settles up to 4*r.Limit deliveries of deleted subscriptions as cancelled, so that they can
	// become old too. If it leaves some of those for the next call, it returns r.Limit, whatever it has
	// removed. If Prune returns less than r.Limit, nothing is left to remove or to settle, except rows
	// that a long transaction committed late: those may stay for another day. Statistics of hours that
	// ended StatisticsKept before now, or earlier, are always removed and not counted, and so is what
	// SampleBacklog has kept of them, and processes that were last heard of ProcessKept before now.
	Prune(ctx context.Context, now time.Time, r PruneRequest) (int, error)
}

// DeliveryQuery selects deliveries of one organization, which OrganizationID names; "" is that of a
// service without tenants. In all other fields zero selects all.
type DeliveryQuery struct {
	OrganizationID string
	EventID        string
	EventType      string
	SubscriptionID string
	Status         Status
	// Since and Until are bounds of CreatedAt: Since <= CreatedAt < Until.
	Since, Until time.Time
	// AttemptsBelow selects deliveries with fewer attempts than this. 0 selects all.
	AttemptsBelow int
	// Holding selects dead deliveries that hold their subject: see [Delivery].Holds.
	Holding bool
	// WithoutAttempts leaves Delivery.Attempts nil in the answer. The store then does not read the
	// attempts, which are the largest part of a delivery.
	WithoutAttempts bool
	// Before is the cursor: it selects the ids that are smaller. For the next page, set it to the last
	// id of this one. 0 begins with the newest delivery.
	Before DeliveryID
	// OldestFirst has the oldest deliveries returned first. Their cursor is After, which selects the
	// ids that are larger. 0 begins with the oldest delivery.
	OldestFirst bool
	After       DeliveryID
	// Limit is the largest number of deliveries to return. 0 or less means [DefaultPageSize].
	Limit int
}

// DefaultPageSize is how many deliveries or states a [DeliveryQuery] or [EndpointQuery] without a
// Limit returns.
const DefaultPageSize = 100

// PageSize returns how many deliveries the query asks for at most.
func (q *DeliveryQuery) PageSize() int {
	if q.Limit <= 0 {
		return DefaultPageSize
	}
	return q.Limit
}

// PruneRequest says what is old enough to be removed. A zero time keeps everything of its kind.
type PruneRequest struct {
	// SucceededBefore is the time before which deliveries must have succeeded or been cancelled, and
	// events without deliveries must have been emitted, to be removed.
	SucceededBefore time.Time
	// DeadBefore is the time before which deliveries must have become dead to be removed.
	DeadBefore time.Time
	// Limit bounds the rows of one call, so that it never blocks claims for
	// long. It is at least 1.
	Limit int
}
