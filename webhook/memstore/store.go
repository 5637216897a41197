package memstore

import (
	"context"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

// Store is a [webhook.Store] in memory. Make one with [New]; the zero Store must not be used. It is
// safe for concurrent use. It keeps everything until Prune removes it, which a Dispatcher's Run
// does.
type Store struct {
	mu            sync.Mutex
	organizations map[string]*organization
	subscriptions map[string]*subscription // by id, which no two organizations share
	endpoints     map[webhook.Endpoint]*endpoint
	unhealthy     map[webhook.Endpoint]*endpoint // those of them that are not healthy
	events        map[eventKey]*storedEvent
	deliveries    map[webhook.DeliveryID]*delivery
	lastEvent     int64
	lastID        webhook.DeliveryID

	rotation rotation
	requests requests
	results  results
	replays  replays
	apiKeys  apiKeys
	samples  []*sample // of the backlog, the oldest hour first
	// processes are those that deliver, by id.
	processes map[string]webhook.Process

	// What Prune visits, the oldest first: events without deliveries, settled deliveries, and
	// endpoints that were removed.
	idle     heap[*storedEvent]
	finished heap[*delivery] // succeeded or cancelled
	dead     heap[*delivery]
	orphans  []*endpoint
	// expiring has the events whose deliveries may expire, by when ClaimExpired looks at them, and
	// lastLook is the latest time at which it did.
	expiring heap[*storedEvent]
	lastLook int64
}

// maxHeld bounds how many deliveries are looked at before the lock is given back. Others wait for
// about 0.1 ms.
const maxHeld = 1000

var _ webhook.Store = (*Store)(nil)

// New returns an empty Store.
func New() *Store {
	return &Store{
		organizations: make(map[string]*organization),
		subscriptions: make(map[string]*subscription),
		endpoints:     make(map[webhook.Endpoint]*endpoint),
		unhealthy:     make(map[webhook.Endpoint]*endpoint),
		events:        make(map[eventKey]*storedEvent),
		deliveries:    make(map[webhook.DeliveryID]*delivery),
		processes:     make(map[string]webhook.Process),
	}
}

// Ping implements [webhook.Store].
func (s *Store) Ping(ctx context.Context) error { return ctx.Err() }

// Capabilities implements [webhook.Store].
func (s *Store) Capabilities() webhook.Capabilities {
	return webhook.Capabilities{Transactions: s, Idempotency: s, Tail: s, Replays: s, APIKeys: s,
		Ordering: s, Backlog: s, Processes: s}
}

// organization is what belongs to one tenant.
type organization struct {
	// subscriptions are in the order of lists, and byID in that of their ids.
	subscriptions, byID []*subscription
	deliveries          log
	// routes answers which endpoints an event goes to.
	routes *match.Table
	lane   lane
	// dead is how many deliveries are, and holding those of them that are not to be pruned: see line.
	dead    int64
	holding heap[*delivery]
}

// organization returns the organization with this id, and creates it if it is new.
func (s *Store) organization(id string) *organization {
	o := s.organizations[id]
	if o == nil {
		o = &organization{}
		s.organizations[id] = o
	}
	return o
}

type eventKey struct{ organizationID, id string }

// storedEvent is an event with its deliveries. Its rank is when ClaimExpired looks at it, if it has
// deliveries, and otherwise when it was emitted.
type storedEvent struct {
	rank
	eventKey
	eventType  string
	payload    []byte
	trace      tracecontext.Context
	subject    event.Subject // without Extra
	ttl        time.Duration
	createdAt  int64
	deliveries log
	// looked is the delivery up to which ClaimExpired has looked, if it has not come to the end, and
	// again when it looks next, as far as is known by then.
	looked webhook.DeliveryID
	again  int64
}

// delivery is one event on its way to one endpoint. Its rank is when it is due, when its lease
// ends, or when it was settled, depending on its status. It is in the heap for that: one of its
// endpoint's, or one of the Store's.
type delivery struct {
	rank
	id       webhook.DeliveryID
	event    *storedEvent
	endpoint *endpoint
	// status is pending, in flight or settled. Paused, and cancelled because
	// the subscription is gone, follow from the endpoint: see reported.
	status      webhook.Status
	heap        *heap[*delivery] // where it stands; nil before it has a place
	token       int64
	queuedAt    int64
	sinceQueued int
	attempts    []webhook.Attempt
	progress    []byte
	// lost counts leases that ended without a result. startedAt is when an attempt without a result
	// began, and negative once that was lost: see [webhook.Task].
	lost      int
	startedAt int64
	pruned    bool
	// ordered says that it stood in line when it was emitted. line is the last one it stood in, and
	// skipAt, in microseconds, when the line goes on without it: 0 for no time.
	ordered bool
	line    *line
	turn    turn
	skipAt  int64
	// inLine says that it is counted as waiting in line.
	inLine bool
}

// reported returns the status that callers see.
func (d *delivery) reported() webhook.Status {
	return d.endpoint.reported(d.status)
}

// put moves a delivery to a new status, and to the heap that belongs to it.
func (s *Store) put(d *delivery, status webhook.Status, at int64) {
	from, to := d.heap, s.heapOf(d, status)
	if from != nil {
		s.count(d, -1)
	}
	d.status, d.heap, d.inLine = status, to, d.turn == awaiting
	s.count(d, 1)
	if from == to {
		to.move(d, at)
	} else {
		if from != nil {
			from.remove(d)
		}
		to.push(d, at)
	}
	s.rotation.update(d.endpoint)
}

// count adds the delivery to the numbers of its endpoint or organization, or takes it out of them.
func (s *Store) count(d *delivery, n int64) {
	switch {
	case d.status == webhook.StatusDead:
		s.organizations[d.event.organizationID].dead += n
	case d.status == webhook.StatusInFlight:
		d.endpoint.inFlight += n
	case !d.status.Settled():
		d.endpoint.pending += n
		if d.inLine {
			d.endpoint.inLine += n
		}
	}
}

func (s *Store) heapOf(d *delivery, status webhook.Status) *heap[*delivery] {
	switch {
	case status == webhook.StatusDead && d.turn == inFront:
		return &s.organizations[d.event.organizationID].holding
	case status == webhook.StatusDead:
		return &s.dead
	case status.Settled():
		return &s.finished
	case d.turn == awaiting && d.line.next != d:
		return &d.line.waiting
	case d.sinceQueued > 0:
		return &d.endpoint.due.retries
	default:
		return &d.endpoint.due.fresh
	}
}

// micros and moment convert times to the stored form and back. The zero time comes
// back as the zero time.
func micros(t time.Time) int64  { return t.UnixMicro() }
func moment(us int64) time.Time { return time.UnixMicro(us).UTC() }
