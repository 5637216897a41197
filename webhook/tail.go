package webhook

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// TailStore is what a Store can do that lets callers read, in order, what was emitted, and what became
// of deliveries: from any position, by pages, without a gap and without a record twice, whichever
// processes store and read.
//
// The order of what was emitted is that of the ids of deliveries. A store hands out ids before it
// commits, so a transaction with small ids can commit after one with larger ids. A page therefore
// ends before the first id that may still appear: the records behind it are kept back until it is
// decided whether that id will exist. The ids of what is left to [Queue.FanOut] may still appear:
// they keep back the records of their organization. Nothing that a page would have had is ever
// stored before the position that it has returned.
//
// Results have an order and positions of their own, from ResultPosition on. The results of one
// delivery come in the order in which they were stored. Nothing but a Settle, Replay or Cancel that
// has not ended yet keeps back results.
type TailStore interface {
	// Tail returns the records that fit the query, in the order of their positions. Deliveries, events
	// and results are read for as long as they are stored: pruning removes them. A result can be read
	// once the call that stored it has returned, unless another one is under way. Tail returns an error
	// that matches ErrPosition if q.After is a position that the store cannot have returned, or one of
	// the other kind.
	Tail(ctx context.Context, q TailQuery) (TailPage, error)
	// TailEnd returns the position after all events that can be read now, and ResultsEnd the one after
	// all results.
	TailEnd(ctx context.Context) (TailEnd, error)
	ResultsEnd(ctx context.Context) (TailEnd, error)
	// TailNews returns, for all organizations, which subscriptions have records after the position,
	// events or results as its kind says. Its cost depends on how many records there are, and neither
	// on how many subscriptions the store has nor on how many readers there are.
	TailNews(ctx context.Context, after Position) (TailNews, error)

	// Positions returns the named positions of a subscription, by name, or ErrNotFound.
	Positions(ctx context.Context, organizationID, subscriptionID string) ([]NamedPosition, error)
	// SetPosition stores that a reader of a subscription has read up to p.Position, at the time now,
	// and returns what is then stored. A named position only moves forward: if the stored one is not
	// smaller, it stays, so that a late call of a slow reader does not make another one read again. It
	// returns ErrNotFound if the subscription does not exist, an error that matches ErrPosition as
	// Tail does, and a [*LimitError] if the subscription would have more than MaxPositions.
	SetPosition(ctx context.Context, now time.Time, organizationID, subscriptionID string,
		p NamedPosition) (NamedPosition, error)
	// DeletePosition removes a named position. It returns ErrNotFound if there is none. Deleting a
	// subscription removes all of its positions.
	DeletePosition(ctx context.Context, organizationID, subscriptionID, name string) error
}

// ErrPosition means that a position is beyond everything that the store has ever stored: it comes
// from another store, or from before a backup was restored.
var ErrPosition = errors.New("webhook: the position is not one of this store")

// MaxPositions is how many named positions a subscription may have.
const MaxPositions = 16

// Position is a place between two records of a tail. Positions are ordered by [cmp.Compare], and so
// are their texts. Zero is before the first record. What a position is made of may change; a text
// that was stored stays valid.
type Position int64

// ResultPosition is before the first result. Smaller positions are of what was emitted.
const ResultPosition Position = 1 << 62

// String returns the text of the position, "pos_" and 16 hexadecimal digits.
func (p Position) String() string { return fmt.Sprintf("pos_%016x", int64(p)) }

// MarshalText writes the text of the position.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the text of a position.
func (p *Position) UnmarshalText(text []byte) error {
	parsed, err := ParsePosition(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// ParsePosition reads the text of a position.
func ParsePosition(s string) (Position, error) {
	digits, ok := strings.CutPrefix(s, "pos_")
	n, err := strconv.ParseInt(digits, 16, 64)
	if !ok || err != nil || n < 0 || Position(n).String() != s {
		return 0, fmt.Errorf(`webhook: a position is "pos_" and 16 hexadecimal digits, not %q`, s)
	}
	return Position(n), nil
}

// TailQuery selects the records of a tail. In all fields but OrganizationID zero selects all.
type TailQuery struct {
	// OrganizationID is the organization whose records are read; "" is that of a service without
	// tenants.
	OrganizationID string
	SubscriptionID string
	// EventTypes selects the records of events that one of the patterns matches.
	EventTypes []event.Pattern
	// After is where to begin: the Next of an earlier page, or the Position of a record.
	After Position
	// Since selects the records of events that were emitted at that time or later.
	Since time.Time
	// Deliveries makes a record of every delivery, with the attempts that it has when it is read.
	// Without it, an event is one record for each subscription that it went to, whatever the number
	// of channels, and the attempts are not read.
	Deliveries bool
	// Results makes a record of every result instead: of each attempt, each cancellation, and each
	// replay. After and Since are those of results then, and no payloads are read.
	Results bool
	// WithoutPayload leaves TailRecord.Payload nil. The store then does not read the payloads.
	WithoutPayload bool
	// Limit is the largest number of records to return. 0 or less means [DefaultPageSize].
	Limit int
}

// PageSize returns how many records the query asks for at most.
func (q *TailQuery) PageSize() int {
	if q.Limit <= 0 {
		return DefaultPageSize
	}
	return q.Limit
}

// MatchesType reports whether the query selects events of the type.
func (q *TailQuery) MatchesType(eventType string) bool {
	for _, p := range q.EventTypes {
		if p.Match(eventType) {
			return true
		}
	}
	return len(q.EventTypes) == 0
}

// TailRecord is an event for a subscription, or one of its deliveries.
type TailRecord struct {
	// Position is the place just after the record.
	Position Position
	// Delivery is the delivery, as it is at the time of reading. If the query does not ask for
	// deliveries, it is that to the first of the subscription's channels, without its attempts.
	Delivery Delivery
	// Payload is the envelope's JSON. It must not be modified.
	Payload []byte
	// Result is set if the query asks for results. Delivery is then without attempts.
	Result *TailResult
}

// TailResult is something that happened to a delivery, and was stored: an attempt was made, or the
// delivery was replayed, cancelled, or became dead without an attempt. That the subscription of a
// delivery was deleted is no result, and neither is a requeue.
type TailResult struct {
	// Status is what the delivery became: pending, if it will be attempted again, succeeded, dead or
	// cancelled.
	Status Status
	// Attempt is the attempt that was made. Nil if none was: a pending delivery was replayed then.
	Attempt *Attempt
	// At is when the result was stored, and for a replay when the delivery was due then.
	At time.Time
}

// Replayed reports whether the result is a replay.
func (r *TailResult) Replayed() bool { return r.Status == StatusPending && r.Attempt == nil }

// TailPage is a page of a tail.
type TailPage struct {
	Records []TailRecord
	// Next is the After for the next page. It also moves past records that the query does not select,
	// so a page without records can have another Next than the page before.
	Next Position
	// More says that the store has read only a part: ask again at once.
	More bool
	TailHeld
}

// TailHeld says whether records are kept back.
type TailHeld struct {
	// HeldSince says since when the records after a page are kept back. That is the begin of a
	// transaction which has taken ids and is still open, or the emit of an event of the organization
	// that has deliveries left to [Queue.FanOut], unless there are very many of those. TailEnd and
	// TailNews, which are for all organizations, do not tell of such events. Zero if nothing is kept
	// back. A caller that calls EmitTx and does not commit keeps back the records of all readers until
	// it ends; nothing is lost.
	HeldSince time.Time
}

// TailEnd is the end of what can be read.
type TailEnd struct {
	Position Position
	TailHeld
}

// TailNews says which subscriptions have new records.
type TailNews struct {
	// Subscriptions are those with records after the position of the call, up to Next. There may be
	// others, whose records are after Next and can be read, although what another organization has
	// left to [Queue.FanOut] keeps back Next: the next calls return them again.
	Subscriptions []SubscriptionKey
	// Next is the position up to which the answer is complete, and More says that there may be more
	// after it: ask again at once.
	Next Position
	More bool
	TailHeld
}

// SubscriptionKey names a subscription of an organization.
type SubscriptionKey struct{ OrganizationID, SubscriptionID string }

// NamedPosition is how far a reader has read what was emitted to a subscription, or the results of
// its deliveries.
type NamedPosition struct {
	// Name tells the readers of a subscription apart: see CheckPositionName.
	Name     string   `json:"name"`
	Position Position `json:"position"`
	// UpdatedAt is when the position last moved.
	UpdatedAt time.Time `json:"updated_at"`
}

// TooManyPositions returns the error of SetPosition for one position more than MaxPositions.
func TooManyPositions() error {
	return &LimitError{Limit: "positions", Max: MaxPositions}
}

var positionName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// CheckPositionName adds a problem of the field to p if name is not a valid name of a position: 1
// to 64 lower-case letters, digits, "-", "_" and ".", of which the first is a letter or digit.
func CheckPositionName(p *event.Problems, field, name string) {
	if !positionName.MatchString(name) {
		p.Add(field, `must be 1 to 64 lower-case letters, digits, "-", "_" and ".", and begin with a `+
			`letter or digit`)
	}
}
