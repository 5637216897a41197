package webhook

import (
	"context"
	"time"
)

// ProcessStore keeps which processes deliver, so that people see all of them in one place. It is for
// people only: leases and claims do not depend on it.
type ProcessStore interface {
	// PutProcess stores what a process says of itself, in place of what it said before. Its Heartbeat
	// becomes now.
	PutProcess(ctx context.Context, now time.Time, p Process) error
	// RemoveProcess removes a process that has stopped. It returns nil if there is none of the id.
	RemoveProcess(ctx context.Context, id string) error
	// Processes returns up to limit processes, those first that were heard of last, by Heartbeat and
	// then by ID. limit is at least 1. Prune removes those that were last heard of [ProcessKept] before
	// now, or earlier.
	Processes(ctx context.Context, limit int) ([]Process, error)
}

const (
	// HeartbeatInterval is how often the Run of a Dispatcher calls PutProcess.
	HeartbeatInterval = 15 * time.Second
	// ProcessLostAfter is the time without a heartbeat after which a process counts as lost: it has
	// been killed, is paused, or cannot reach the store.
	ProcessLostAfter = 4 * HeartbeatInterval
	// ProcessKept is how long a lost process stays in the list, counted from its last heartbeat.
	ProcessKept = time.Hour
	// MaxProcesses is how many processes a Dispatcher lists.
	MaxProcesses = 500
)

// Process is what a process that delivers says of itself: a Run of one Dispatcher. All times are by
// the store's clock.
type Process struct {
	// ID is that of the Dispatcher, and no other's. Name is for people. Both are at most 200 bytes.
	ID, Name string
	// Version is that of this module, such as "v1.2.3".
	Version string
	// StartedAt is when Run began, and Heartbeat when the store last heard of it.
	StartedAt, Heartbeat time.Time
	// Stopping says that Run is ending: it claims nothing more.
	Stopping bool
	// The figures are those of the heartbeat. InFlight counts the attempts in flight, Queued the
	// deliveries that wait in memory for their turn, Leased all that are leased to the process, and
	// Workers the goroutines that make attempts.
	InFlight, Queued, Leased, Workers int
	// TrippedBreakers counts the endpoints that get no attempts, or one at a time, because they keep
	// failing, and RateLimited those with deliveries in memory that wait for their rate limit.
	TrippedBreakers, RateLimited int
	// LastClaim is when the store last answered a claim, or when the process last had no capacity for
	// more. Zero if neither has happened.
	LastClaim time.Time
	// StoreTime is how long the store took to store the heartbeat before this one. Zero if there was
	// none.
	StoreTime time.Duration
}

// Lost reports whether the process has not been heard of for [ProcessLostAfter].
func (p *Process) Lost(now time.Time) bool { return now.Sub(p.Heartbeat) >= ProcessLostAfter }
