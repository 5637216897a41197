package webhook

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"
)

// ReplayStore keeps replays of many deliveries, so that any process goes on with one, whichever
// began it.
type ReplayStore interface {
	// CreateReplay stores r with revision 1, which it sets in r. It returns the error of
	// [TooManyReplays] if the organization has [MaxReplays] that have not ended; concurrent calls do
	// not exceed that together. Of those that have ended, the newest [EndedReplaysKept] stay.
	CreateReplay(ctx context.Context, r *Replay) error
	// FindReplay returns the replay, or ErrNotFound.
	FindReplay(ctx context.Context, organizationID, id string) (*Replay, error)
	// Replays returns the replays of the organization, the newest first.
	Replays(ctx context.Context, organizationID string) ([]*Replay, error)
	// UpdateReplay replaces the replay of r's organization and id, and sets the new revision in r. If
	// the stored revision is not r.Revision, it changes nothing and returns ErrConflict, or
	// ErrNotFound if there is none.
	UpdateReplay(ctx context.Context, r *Replay) error
	// ClaimReplay returns the replay, of any organization but those to be skipped, that has not ended
	// and whose Until is the earliest, if that is not after now. It sets Until to the given time and
	// raises the revision, so that only one of concurrent calls gets it. It returns nil if there is
	// none. The organizations to be skipped may be many: those that had their turn.
	ClaimReplay(
		ctx context.Context, now, until time.Time, skipOrganizations []string,
	) (*Replay, error)
}

// MaxReplays is how many replays of an organization may be under way, and EndedReplaysKept how many
// that have ended are kept, at least.
const (
	MaxReplays       = 10
	EndedReplaysKept = 50
)

// TooManyReplays returns the error of CreateReplay for one replay more than MaxReplays.
func TooManyReplays() error { return &LimitError{Limit: "replays", Max: MaxReplays} }

// Replay is a replay of many deliveries that goes on in the background. All times are by the
// store's clock.
type Replay struct {
	// ID is "rpl_" and 16 hexadecimal digits.
	ID             string
	OrganizationID string
	// Query selects the deliveries, the oldest first. Its After says how far the replay is: from there
	// on, towards larger ids, nothing has been replayed yet. Its Limit is how many are replayed at most;
	// 0 is all.
	Query DeliveryQuery
	// PerSecond is how many deliveries become due each second.
	PerSecond float64
	// SettledBefore is the time before which deliveries must have been settled to be replayed.
	SettledBefore time.Time
	// CreatedAt and CreatedBy say when the replay was begun, and by whom. CreatedBy is empty if that
	// is not known.
	CreatedAt time.Time
	CreatedBy string
	// Replayed is how many deliveries were replayed. It leaves out those of a step whose process died
	// before it could store it: 200 at most each time.
	Replayed int64
	// LastDue is when the last of them became due, or will.
	LastDue time.Time
	// EndedAt is when it ended; zero while it is under way. StoppedBy says who stopped it, and is
	// empty if it came to its end.
	EndedAt   time.Time
	StoppedBy string
	// Until is when a process may go on with it: the next step is due then, or the lease of the process
	// that makes one ends.
	Until time.Time
	// Revision is raised by every change.
	Revision int64
}

// Ended reports whether it came to its end, or was stopped.
func (r *Replay) Ended() bool { return !r.EndedAt.IsZero() }

// NewReplayID returns a random id of a Replay.
func NewReplayID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return "rpl_" + hex.EncodeToString(b[:])
}
