package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Stats are the figures of a Dispatcher: of its store, and of its process.
type Stats struct {
	// At is when the figures were read, by the store's clock, as all times here are.
	At time.Time
	// Stored counts the deliveries of all organizations in the store, whichever process works on
	// them.
	Stored webhook.Totals
	// Processes counts the processes that deliver from the store. Nil if it does not keep them.
	Processes *ProcessCounts
	// Process is about this Dispatcher only.
	Process ProcessStats
}

// OldestDueAge returns how long the oldest due delivery has been waiting for a claim: see
// [webhook.Totals.OldestDue]. Zero if none is due.
func (s *Stats) OldestDueAge() time.Duration { return s.age(s.Stored.OldestDue) }

// OldestHoldingAge returns for how long the oldest dead delivery has been holding its subject: see
// [webhook.Totals.OldestHolding]. Zero if none does.
func (s *Stats) OldestHoldingAge() time.Duration { return s.age(s.Stored.OldestHolding) }

// OldestLeasedAge returns how long the oldest delivery of this process has been due: see
// [ProcessStats.OldestLeased]. Zero if it has leased none.
func (s *Stats) OldestLeasedAge() time.Duration { return s.age(s.Process.OldestLeased) }

func (s *Stats) age(since time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(s.At.Sub(since), 0)
}

// ProcessStats says what a Dispatcher does at the moment.
type ProcessStats struct {
	// ID is the Dispatcher's own, and Name is Config.ProcessName: see [Dispatcher.Processes].
	ID, Name string
	// Running says that Run is running, or a Drain that does the work of one.
	Running bool
	// Workers are the goroutines that make attempts, or are about to look for one to make.
	Workers int
	// InFlight counts the attempts in flight. Config.MaxInFlight bounds it.
	InFlight int
	// Queued counts the deliveries that wait in memory for their turn, and QueuedBytes the bytes of
	// their payloads.
	Queued, QueuedBytes int
	// Leased counts the deliveries that are leased to this process: those in flight, those that are
	// queued, and those whose result is about to be stored.
	Leased int
	// OldestLeased is the time since which the oldest of them has been due. Zero if there is none.
	OldestLeased time.Time
	// TrippedBreakers counts the endpoints that get no attempts from this process, or one at a time,
	// because they keep failing: their breaker is open or half-open. Those that have become degraded
	// by that are in Totals.DegradedEndpoints.
	TrippedBreakers int
	// RateLimited counts the endpoints for which this process has deliveries in memory that wait for
	// their rate limit.
	RateLimited int
	// LastClaim is when the store last answered a claim, or when this process last had no capacity for
	// more, so that it did not need to ask. Zero if neither has happened.
	LastClaim time.Time
}

// Stats counts the deliveries that are unfinished or dead now, and says what this process does. It
// is cheap enough to be asked every few seconds: the store counts up to 100,000 deliveries of
// either kind, and says so if there are more. See [webhook.Totals]. With a million deliveries
// pending for 10,000 endpoints, PostgreSQL took a quarter of a second on two busy cores.
//
// If the store fails, Stats returns its error together with the Process of the answer.
func (d *Dispatcher) Stats(ctx context.Context) (Stats, error) {
	s, err := d.stats(ctx, webhook.DefaultTotalsLimit)
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	s.Processes, err = d.countProcesses(ctx, s.At)
	return s, err
}

// Process says what this process does, and asks the store for nothing but, now and then, its time.
func (d *Dispatcher) Process(ctx context.Context) ProcessStats {
	d.clock.refresh(ctx)
	return d.processStats()
}

func (d *Dispatcher) stats(ctx context.Context, limit int) (Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	d.clock.refresh(ctx)
	s := Stats{At: d.now(), Process: d.processStats()}
	var err error
	s.Stored, err = d.store.Totals(ctx, s.At, webhook.TotalsQuery{AllOrganizations: true, Limit: limit})
	return s, err
}

func (d *Dispatcher) processStats() ProcessStats {
	queue := d.queue.Stats()
	p := ProcessStats{
		ID: d.id, Name: d.cfg.ProcessName,
		Running: d.running.Load() != nil, Workers: queue.Workers,
		InFlight: queue.FastSlotsUsed + queue.GeneralSlotsUsed,
		Queued:   queue.Buffered, QueuedBytes: queue.BufferedBytes,
		TrippedBreakers: queue.TrippedBreakers, RateLimited: queue.EndpointsWaitingForPermits,
	}
	p.Leased, p.OldestLeased = d.leases.countAndOldest()
	if at := d.claims.lastAnswer(); !at.IsZero() {
		p.LastClaim = d.clock.fromLocal(at)
	}
	return p
}

// Totals counts the deliveries of one organization, or of all, that are unfinished or dead now.
func (d *Dispatcher) Totals(
	ctx context.Context, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	if !storable(q.OrganizationID) {
		return webhook.Totals{}, nil
	}
	d.clock.refresh(ctx)
	return d.store.Totals(ctx, d.now(), q)
}

// claimRecord remembers what the loop that claims does. The times are those of this process's
// clock.
type claimRecord struct {
	mu         sync.Mutex
	loopStart  time.Time // when the loop began; zero if there is none
	roundStart time.Time // when it began its last round
	answeredAt time.Time // when the store last answered, or need not be asked
}

func (c *claimRecord) beginLoop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loopStart = time.Now()
}

func (c *claimRecord) endLoop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loopStart = time.Time{}
}

func (c *claimRecord) beginRound() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roundStart = time.Now()
}

// recordAnswer notes that the store has answered, or need not be asked.
func (c *claimRecord) recordAnswer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answeredAt = time.Now()
}

func (c *claimRecord) lastAnswer() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answeredAt
}

// sinceAnswer returns for how long the loop has had no answer, zero if there is no loop.
func (c *claimRecord) sinceAnswer() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loopStart.IsZero() {
		return 0
	}
	return time.Since(later(c.loopStart, c.answeredAt))
}

// sinceRound returns for how long the loop has been in the same round, zero if there is no loop.
func (c *claimRecord) sinceRound() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loopStart.IsZero() {
		return 0
	}
	return time.Since(later(c.loopStart, c.roundStart))
}
