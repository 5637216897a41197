package dispatch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/webhook"
)

// TailLimits bounds the readers of tails in this process: those of what was emitted, and as many of
// results. In every field zero means the default, and [NoLimit] means no limit.
type TailLimits struct {
	// PerOrganization is how many readers an organization may have. Defaults to 100.
	PerOrganization int
	// All is how many there may be for all organizations together. Defaults to 2000, or
	// PerOrganization if that is more.
	All int
}

func (l TailLimits) withDefaults() TailLimits {
	settings.Default(&l.PerOrganization, 100)
	settings.Default(&l.All, max(2000, l.PerOrganization))
	return l
}

func (l TailLimits) validate(p *event.Problems) {
	settings.AtLeast(p, "Tails.PerOrganization", l.PerOrganization, 1)
	settings.AtLeast(p, "Tails.All", l.All, 1)
}

// Tail returns what was emitted to a subscription, the deliveries of an organization, or the
// results of deliveries (see [webhook.TailResult]), in order from q.After on, and then waits for
// more. It ends only when ctx does, without an error. Nothing is missed and nothing comes twice,
// whichever processes emit. To go on after a break or a restart, set q.After to the Position of the
// last record.
//
// A record comes within Config.PollInterval after it has been committed, and within 50 ms if this
// process has stored it, unless another transaction that began to emit earlier is still open: see
// [webhook.TailHeld]. While readers wait, the process makes one query each Config.PollInterval,
// however many they are.
//
// After any other error Tail yields that error and ends: an [*event.ValidationError] if the query is
// invalid, [ErrNoTail], a [*webhook.LimitError] if there are too many readers, one that matches
// [webhook.ErrPosition] if q.After is not a position of the store, or the store's error. A query that
// the store does not answer for half a minute is made again.
func (d *Dispatcher) Tail(
	ctx context.Context, q webhook.TailQuery,
) iter.Seq2[webhook.TailRecord, error] {
	return func(yield func(webhook.TailRecord, error) bool) {
		r, err := d.OpenTail(q)
		if err != nil {
			yield(webhook.TailRecord{}, err)
			return
		}
		defer r.Close()
		for ctx.Err() == nil {
			page, err := r.Next(ctx, Forever)
			if errors.Is(err, errTailTimeout) {
				continue
			}
			if err != nil && ctx.Err() == nil {
				yield(webhook.TailRecord{}, err)
				return
			}
			for i := range page.Records {
				if ctx.Err() != nil || !yield(page.Records[i], nil) {
					return
				}
			}
		}
	}
}

// OpenTail returns a reader of a tail for callers that read by pages, or that have something to do
// while nothing comes. Call its Close. The errors are those of [Dispatcher.Tail].
func (d *Dispatcher) OpenTail(q webhook.TailQuery) (*TailReader, error) {
	var p event.Problems
	webhook.CheckOrganizationID(&p, "OrganizationID", q.OrganizationID)
	if !storable(q.SubscriptionID) {
		p.Add("SubscriptionID", "must be valid UTF-8 without NUL")
	}
	for i, pattern := range q.EventTypes {
		p.AddError(fmt.Sprintf("EventTypes[%d]", i), pattern.Validate())
	}
	if q.After < 0 {
		p.Add("After", "must not be negative")
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if q.Results {
		return d.results.open(q)
	}
	return d.tails.open(q)
}

// TailReader reads a tail page by page. Make one with [Dispatcher.OpenTail]. Only one goroutine at a
// time may use it.
type TailReader struct {
	tails *tails
	store webhook.TailStore
	query webhook.TailQuery
	// organization is the entry that the reader is in, and news tells that there may be records
	// after query.After.
	organization *tailedOrganization
	news         chan struct{}
	caughtUp     bool // query.After is as far as could be read

	// Guarded by the mutex of tails. unread says that news was signalled; there is nothing for this
	// reader up to the position quiet.
	unread bool
	quiet  webhook.Position
	closed bool
}

// errTailTimeout is the error of a query that the store has not answered within storeTimeout.
var errTailTimeout = webhook.Unavailable("webhook: the store has not answered a query for a tail")

// maxEmptyReads is how many pages without records a call of Next reads that does not wait.
const maxEmptyReads = 8

// Position returns where the reader is: the After for another reader that goes on from here. It
// moves on when others' records pass, too.
func (r *TailReader) Position() webhook.Position { return r.query.After }

// Next returns the next records. If there are none, it waits for up to that time, or without end if
// it is Forever, and may then return a page without records. So may a page whose More is set: there
// is much that the filter does not select, and the next call goes on from the page's Next. An error
// after the end of ctx is that of ctx. One that matches [webhook.ErrUnavailable] may mean that the
// store has not answered for half a minute. After an error, Next can be called again.
func (r *TailReader) Next(ctx context.Context, wait time.Duration) (webhook.TailPage, error) {
	var timeout <-chan time.Time
	if wait > 0 && wait != Forever {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		timeout = timer.C
	}
	for reads := 1; ; reads++ {
		page, err := r.read(ctx)
		if err != nil || len(page.Records) > 0 {
			return page, err
		}
		switch {
		case wait <= 0 && (r.caughtUp || reads == maxEmptyReads):
			return page, nil
		case r.caughtUp:
			r.tails.startPolling(r.store)
			select {
			case <-r.news:
			case <-timeout:
				if r.pass() { // news came at this very time: the next call reads it
					r.caughtUp = false
				}
				page.Next = r.query.After
				return page, nil
			case <-ctx.Done():
				return page, ctx.Err()
			}
		default:
			select {
			case <-timeout:
				return page, nil
			default:
			}
		}
		if err := ctx.Err(); err != nil {
			return page, err
		}
	}
}

// read reads a page, unless it is known that there is nothing to read.
func (r *TailReader) read(ctx context.Context) (page webhook.TailPage, err error) {
	unread := r.pass()
	if r.caughtUp && !unread {
		return webhook.TailPage{Next: r.query.After, TailHeld: r.tails.heldNow()}, nil
	}
	r.caughtUp = false
	leave, err := r.organization.enter(ctx, r.tails)
	if err != nil {
		return page, err
	}
	defer leave()
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	page, err = r.store.Tail(bounded, r.query)
	switch {
	case err != nil && bounded.Err() != nil && ctx.Err() == nil:
		return page, errTailTimeout // others have their turn now
	case err != nil:
		return page, err
	}
	r.query.After, r.caughtUp = page.Next, !page.More
	return page, nil
}

// pass moves past what is known not to be for this reader, and reports whether there may be
// something to read after that.
func (r *TailReader) pass() (unread bool) {
	t := r.tails
	t.mu.Lock()
	defer t.mu.Unlock()
	unread = r.unread
	switch {
	case !r.caughtUp: // what has come before is not read yet
	case unread:
		r.query.After = max(r.query.After, r.quiet)
	case t.known:
		r.query.After = max(r.query.After, t.at)
	}
	r.unread = false
	return unread
}

// Close ends the reader. It may be called more than once.
func (r *TailReader) Close() { r.tails.close(r) }

// Positions returns the named positions of a subscription's readers, by name. It returns
// ErrNotFound if the organization has no such subscription, and ErrNoTail if the store has no tail.
func (d *Dispatcher) Positions(
	ctx context.Context, organizationID, subscriptionID string,
) ([]webhook.NamedPosition, error) {
	store, err := d.tailStore(organizationID, subscriptionID)
	if err != nil {
		return nil, err
	}
	return store.Positions(ctx, organizationID, subscriptionID)
}

// Acknowledge stores that the reader of that name has processed all up to the position, and returns
// what is then stored. A position only moves forward; to read again, delete it. A subscription has
// up to webhook.MaxPositions. The calls of all readers are written one after the other, and
// organizations take turns, so acknowledge once for a page rather than for every record.
// Acknowledge returns an [*event.ValidationError] for an invalid name, and the errors of
// [webhook.TailStore].
func (d *Dispatcher) Acknowledge(
	ctx context.Context, organizationID, subscriptionID, name string, p webhook.Position,
) (webhook.NamedPosition, error) {
	var problems event.Problems
	webhook.CheckPositionName(&problems, "name", name)
	if err := problems.Err(); err != nil {
		return webhook.NamedPosition{}, err
	}
	store, err := d.tailStore(organizationID, subscriptionID)
	if err != nil {
		return webhook.NamedPosition{}, err
	}
	// So many calls of one organization do not take the store's writers.
	if err := d.acks.begin(ctx, organizationID); err != nil {
		return webhook.NamedPosition{}, err
	}
	defer d.acks.end()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	d.clock.refresh(ctx)
	return store.SetPosition(ctx, d.now(), organizationID, subscriptionID,
		webhook.NamedPosition{Name: name, Position: p})
}

// DeletePosition removes a named position, or returns ErrNotFound.
func (d *Dispatcher) DeletePosition(
	ctx context.Context, organizationID, subscriptionID, name string,
) error {
	store, err := d.tailStore(organizationID, subscriptionID, name)
	if err != nil {
		return err
	}
	return store.DeletePosition(ctx, organizationID, subscriptionID, name)
}

// tailStore returns the part of the store that keeps positions, ErrNoTail, or ErrNotFound if no
// store can hold the ids.
func (d *Dispatcher) tailStore(ids ...string) (webhook.TailStore, error) {
	store, err := d.tails.store()
	if err == nil && !storable(ids...) {
		err = webhook.ErrNotFound
	}
	return store, err
}
