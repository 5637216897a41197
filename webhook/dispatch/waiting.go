package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// WaitReason says in one word why a delivery has not been settled.
type WaitReason string

// The reasons, in the order in which they count: the first one that applies.
const (
	// WaitPaused means that the subscription is paused.
	WaitPaused WaitReason = "webhook_paused"
	// WaitDisabled means that the endpoint is disabled.
	WaitDisabled WaitReason = "endpoint_disabled"
	// WaitInLine means that an earlier delivery of the subject has its turn: see [webhook.Ordering].
	WaitInLine WaitReason = "in_line"
	// WaitInFlight means that a process has claimed the delivery.
	WaitInFlight WaitReason = "in_flight"
	// WaitDegraded means that the endpoint is degraded.
	WaitDegraded WaitReason = "endpoint_degraded"
	// WaitRetry means that the last attempt failed, and that the next one is not due yet.
	WaitRetry WaitReason = "retry"
	// WaitScheduled means that the delivery is not due yet, and was not attempted since it was replayed.
	WaitScheduled WaitReason = "scheduled"
	// WaitRateLimit means that the delivery is due, and that its endpoint has a rate limit.
	WaitRateLimit WaitReason = "rate_limit"
	// WaitTurn means that the delivery is due.
	WaitTurn WaitReason = "due"
)

// Waiting says why a delivery has not been settled.
type Waiting struct {
	Reason WaitReason `json:"reason"`
	// Since is since when that has been so. Zero if it is not known.
	Since time.Time `json:"since,omitzero"`
	// Until is when it may end: the next attempt or probe, the end of a lease, or how long a rate limit
	// takes at most for all that wait, by an estimate. Zero if a person decides it.
	Until time.Time `json:"until,omitzero"`
	// Detail says it in a sentence, for people. It may be worded differently in another version.
	Detail string `json:"detail"`
}

// Waiting says why a delivery, as the store has returned it, has not been settled, and until when
// that may last. It returns nil if the delivery is settled, or its subscription or channel is gone.
func (d *Dispatcher) Waiting(
	ctx context.Context, delivery *webhook.Delivery,
) (*Waiting, error) {
	if delivery == nil || delivery.Status.Settled() {
		return nil, nil
	}
	sub, err := d.Subscription(ctx, delivery.OrganizationID, delivery.SubscriptionID)
	if errors.Is(err, webhook.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	state, err := d.EndpointState(ctx, delivery.OrganizationID, delivery.Endpoint)
	if errors.Is(err, webhook.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case sub.Paused:
		return &Waiting{Reason: WaitPaused, Detail: "The webhook is paused: nothing is delivered until a " +
			"person resumes it."}, nil
	case state.Health == webhook.Disabled:
		return &Waiting{Reason: WaitDisabled, Since: state.Since, Detail: "Its endpoint is disabled" +
			becauseOf(&state) + ". Nothing is delivered to it until a person enables it."}, nil
	case delivery.WaitsFor != 0:
		return &Waiting{Reason: WaitInLine, Until: delivery.DueAt, Detail: delivery.WaitsFor.String() +
			", an earlier event about the same subject, has its turn."}, nil
	}
	return d.waitsForTime(ctx, delivery, sub, &state)
}

// waitsForTime says why a delivery waits that nothing stops but time.
func (d *Dispatcher) waitsForTime(
	ctx context.Context, delivery *webhook.Delivery, sub *webhook.Subscription,
	state *webhook.EndpointState,
) (*Waiting, error) {
	d.clock.refresh(ctx)
	now := d.now()
	inFlight := delivery.Status == webhook.StatusInFlight
	if state.Health == webhook.Degraded && !inFlight {
		return &Waiting{Reason: WaitDegraded, Since: state.Since, Until: state.NextProbe,
			Detail: "Its endpoint is degraded" + becauseOf(state) + ". One delivery at a time probes it; the " +
				"others wait, without using up attempts, until a probe succeeds."}, nil
	}
	if last := lastMade(delivery.Attempts); delivery.DueAt.After(now) && !inFlight {
		w := &Waiting{Reason: WaitScheduled, Until: delivery.DueAt, Detail: "It is not due yet."}
		if last != nil {
			w.Detail = "It was replayed, and is not due yet."
		}
		if last != nil && !last.Succeeded() {
			w.Reason, w.Since = WaitRetry, last.StartedAt
			w.Detail = "The last attempt failed: " + channel.Describe(channel.Class(last.Class), last.Error) +
				". The next one is not due yet."
		}
		return w, nil
	}
	perSecond, err := d.rateOfEndpoint(ctx, sub, delivery.Channel)
	if err != nil {
		return nil, err
	}
	rate := strconv.FormatFloat(perSecond, 'g', -1, 64)
	switch {
	case inFlight:
		w := &Waiting{Reason: WaitInFlight, Until: delivery.DueAt, Detail: "A process has it: the attempt " +
			"is under way, or about to begin. If that process dies, another one takes it over."}
		if perSecond > 0 {
			w.Detail = fmt.Sprintf("A process has it: the attempt is under way, or waits for the rate limit of "+
				"%s a second. If that process dies, another one takes it over.", rate)
		}
		return w, nil
	case perSecond > 0:
		return d.waitsForRate(ctx, delivery, now, perSecond, rate)
	}
	return &Waiting{Reason: WaitTurn, Since: delivery.DueAt, Detail: "It is due, and waits for a process " +
		"with a free place. If that lasts, no process delivers, or its endpoint answers slowly."}, nil
}

func becauseOf(s *webhook.EndpointState) string {
	switch {
	case s.Cause != nil:
		return ": " + channel.Describe(channel.Class(s.Cause.Class), s.Cause.Error)
	case s.ChangedBy != "":
		return " by " + s.ChangedBy
	}
	return ""
}

// rateOfEndpoint returns the rate limit of a channel in attempts per second. 0 is none.
func (d *Dispatcher) rateOfEndpoint(
	ctx context.Context, sub *webhook.Subscription, channelKey string,
) (float64, error) {
	entry, err := d.channels.get(ctx, sub.OrganizationID, sub.ID, sub.Revision, time.Time{})
	if errors.Is(err, webhook.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return entry.channels[channelKey].rate.PerSecond, nil
}

// waitsForRate says how long a due delivery may wait for its rate limit: as long as that takes for
// all that wait.
func (d *Dispatcher) waitsForRate(
	ctx context.Context, delivery *webhook.Delivery, now time.Time, perSecond float64, rate string,
) (*Waiting, error) {
	figures, err := d.Statistics(ctx, webhook.StatisticsQuery{OrganizationID: delivery.OrganizationID,
		SubscriptionID: delivery.SubscriptionID, Since: now})
	if err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return nil, err
	}
	n := max(1, figures.Pending+figures.InFlight)
	takes := time.Duration(min(float64(n)/perSecond*float64(time.Second), float64(maxWait)))
	return &Waiting{Reason: WaitRateLimit, Since: delivery.DueAt, Until: now.Add(takes),
		Detail: fmt.Sprintf("It is due, and its endpoint has a rate limit of %s a second, less for a while "+
			"after a 429. Deliveries of the webhook that wait or are in flight: %d.", rate, n)}, nil
}
