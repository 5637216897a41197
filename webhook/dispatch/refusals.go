package dispatch

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// The deliveries that Refusals looks at.
const (
	refusalsNewest  = 100
	refusalsWaiting = 25
	refusalsDead    = 25
	refusalsWithin  = 24 * time.Hour
	// refusalsPage bounds the memory: a delivery may have hundreds of attempts.
	refusalsPage = 25
)

// Refusals says which event types the endpoints of a subscription refuse, as far as its latest
// deliveries tell.
type Refusals struct {
	// LookedAt is how many deliveries that were attempted within the last 24 hours were looked at, 150
	// at most.
	LookedAt int
	// Types are the event types of which a delivery was refused, those with the most refused ones first.
	Types []Refusal
}

// Refusal says that an endpoint has refused events of a type, or that they cannot be sent to it as
// they are. Such an endpoint is healthy: see [webhook.Health].
type Refusal struct {
	webhook.Endpoint
	EventType string
	// Refused counts the deliveries of which the last attempt was refused, and Attempted all of the type
	// that were looked at.
	Refused, Attempted int
	// DeliveryID is the one that was refused last, and Attempt its last attempt.
	DeliveryID webhook.DeliveryID
	Attempt    webhook.Attempt
}

// Refusals looks for event types that the endpoints of a subscription refuse: an endpoint that takes
// all others is healthy, so nothing else names it before its deliveries are dead. It looks at the
// last attempts of a bounded number of deliveries: the 100 newest, the 25 oldest that are pending,
// and the 25 newest that are dead. Of a type that is rare, it therefore sees rather what failed than
// what succeeded. Attempts that are older than a day do not count.
//
// It returns ErrNotFound if the organization has no such subscription.
func (d *Dispatcher) Refusals(
	ctx context.Context, organizationID, subscriptionID string,
) (Refusals, error) {
	sub, err := d.Subscription(ctx, organizationID, subscriptionID)
	if err != nil {
		return Refusals{}, err
	}
	s := refusalSearch{since: d.now().Add(-refusalsWithin), channels: sub.ChannelKeys(),
		seen: map[webhook.DeliveryID]bool{}, found: map[refusalKey]*Refusal{}}
	of := webhook.DeliveryQuery{OrganizationID: organizationID, SubscriptionID: subscriptionID}
	waiting, dead := of, of
	waiting.Status, waiting.OldestFirst = webhook.StatusPending, true
	dead.Status = webhook.StatusDead
	for _, part := range []struct {
		query webhook.DeliveryQuery
		most  int
	}{{of, refusalsNewest}, {waiting, refusalsWaiting}, {dead, refusalsDead}} {
		if err := s.look(ctx, d, part.query, part.most); err != nil {
			return Refusals{}, err
		}
	}
	return s.result(), nil
}

type refusalKey struct{ channel, eventType string }

// refusalSearch is one call of Refusals.
type refusalSearch struct {
	since    time.Time
	channels []string
	seen     map[webhook.DeliveryID]bool
	lookedAt int
	found    map[refusalKey]*Refusal
}

// look counts the first deliveries that fit the query, up to most.
func (s *refusalSearch) look(
	ctx context.Context, d *Dispatcher, q webhook.DeliveryQuery, most int,
) error {
	for left := most; left > 0; {
		q.Limit = min(left, refusalsPage)
		page, err := d.Deliveries(ctx, q)
		if err != nil {
			return err
		}
		for i := range page {
			s.count(&page[i])
		}
		if len(page) < q.Limit {
			return nil
		}
		left -= len(page)
		if last := page[len(page)-1].ID; q.OldestFirst {
			q.After = last
		} else {
			q.Before = last
		}
	}
	return nil
}

func (s *refusalSearch) count(d *webhook.Delivery) {
	last := lastMade(d.Attempts)
	if last == nil || last.StartedAt.Before(s.since) || s.seen[d.ID] ||
		!slices.Contains(s.channels, d.Channel) {
		return
	}
	s.seen[d.ID] = true
	s.lookedAt++
	key := refusalKey{d.Channel, d.EventType}
	r := s.found[key]
	if r == nil {
		r = &Refusal{Endpoint: d.Endpoint, EventType: d.EventType}
		s.found[key] = r
	}
	r.Attempted++
	if !refusesEvent(last) {
		return
	}
	if r.Refused++; r.Refused == 1 || last.StartedAt.After(r.Attempt.StartedAt) {
		r.DeliveryID, r.Attempt = d.ID, *last
	}
}

// lastMade returns the last attempt that was made. Nil if none was.
func lastMade(attempts []webhook.Attempt) *webhook.Attempt {
	for i := len(attempts) - 1; i >= 0; i-- {
		if attempts[i].Class != string(ClassExpired) {
			return &attempts[i]
		}
	}
	return nil
}

// refusesEvent reports whether an attempt failed because of its event, at an endpoint that may well
// take others.
func refusesEvent(a *webhook.Attempt) bool {
	switch channel.Class(a.Class) {
	case channel.ClassRejected, channel.ClassTemplate, channel.ClassPayload:
		return true
	case channel.ClassStatus:
		return refusesRequest(a.StatusCode) && a.StatusCode != http.StatusGone
	}
	return false
}

func (s *refusalSearch) result() Refusals {
	result := Refusals{LookedAt: s.lookedAt}
	for _, r := range s.found {
		if r.Refused > 0 {
			result.Types = append(result.Types, *r)
		}
	}
	slices.SortFunc(result.Types, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.EventType, b.EventType),
			cmp.Compare(a.Channel, b.Channel))
	})
	return result
}

// LastFailedType returns the event type of a delivery of the subscription that failed, for a test
// that shows whether that is repaired: of the newest that is dead, or of the oldest that is pending
// and was attempted, whichever was attempted last. It returns "" if there is none of a type that the
// subscription still gets.
func (d *Dispatcher) LastFailedType(
	ctx context.Context, sub *webhook.Subscription,
) (string, error) {
	if err := sub.Validate(); err != nil {
		return "", err
	}
	of := webhook.DeliveryQuery{OrganizationID: sub.OrganizationID, SubscriptionID: sub.ID, Limit: 1}
	dead, waiting := of, of
	dead.Status = webhook.StatusDead
	waiting.Status, waiting.OldestFirst = webhook.StatusPending, true
	eventType, at := "", time.Time{}
	for _, q := range []webhook.DeliveryQuery{dead, waiting} {
		found, err := d.Deliveries(ctx, q)
		if err != nil {
			return "", err
		}
		for i := range found {
			last := lastMade(found[i].Attempts)
			if last != nil && !last.Succeeded() && last.StartedAt.After(at) && sub.Matches(found[i].EventType) {
				eventType, at = found[i].EventType, last.StartedAt
			}
		}
	}
	return eventType, nil
}
