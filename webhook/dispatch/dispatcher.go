package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/groupcommit"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

// A Dispatcher publishes events to the channels of subscriptions: it stores the events, delivers
// them, retries, and keeps the history. Make one with [New]. Any number of Dispatchers, in any
// number of processes, can share one Store. All methods are safe for concurrent use. ErrNotFound,
// ErrExists, ErrConflict and ErrWrongStatus, which they return, are those of package webhook: match
// them with errors.Is.
type Dispatcher struct {
	id       string // no other Dispatcher has it
	store    webhook.Store
	cfg      Config
	channels *channelCache
	queue    *fairqueue.Queue[*task]
	leases   heldLeases
	emits    groupcommit.Group[webhook.NewEvent, webhook.Emitted]
	fanOuts  rotation
	acks     rotation // of callers of Acknowledge
	states   groupcommit.Group[webhook.EndpointChange, error]
	suspects suspects
	reach    reach
	clock    clock
	claims   claimRecord
	// replayStarted tells the loop of replays that there is a new one.
	replayStarted chan struct{}
	running       atomic.Pointer[run] // nil if Run is not running
	retry         RetryPolicy         // Config.Retry, guarded
	// maxRetryWait is how far ahead the next attempt can lie: as the retry policy
	// says, or as the endpoint may ask for.
	maxRetryWait time.Duration

	unreadable, noDriver outage.Throttle // of messages that a whole backlog would repeat
	lines                logLines
	tests                *testGate
	tails, results       *tails
}

// maxQueuedBytes bounds the payloads that wait in this process for their turn.
const maxQueuedBytes = 64 * MaxPayload

// New returns a Dispatcher on a store. It starts nothing: [Dispatcher.Emit] stores events, and
// [Dispatcher.Run] delivers them.
//
// New returns an [*event.ValidationError] that lists every invalid field of cfg, and an error if
// store is nil.
func New(store webhook.Store, cfg Config) (*Dispatcher, error) {
	if store == nil {
		return nil, errors.New("webhook: New: the store is nil")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{
		id:       uuid.NewString(),
		store:    store,
		cfg:      cfg,
		channels: newChannelCache(store, cfg.Channels),
		retry:    guardedRetry{cfg.Retry, cfg.Logger},
		tests:    newTestGate(cfg.Tests),
		queue: fairqueue.New[*task](fairqueue.Limits{
			InFlight:             cfg.MaxInFlight,
			InFlightPerEndpoint:  cfg.MaxInFlightPerEndpoint,
			Buffered:             max(min(8*cfg.MaxInFlight, 4096), 2*cfg.MaxInFlight),
			BufferedPerEndpoint:  8 * cfg.MaxInFlightPerEndpoint,
			BufferedBytes:        maxQueuedBytes,
			PerClaim:             maxClaim,
			ExpectedPayloadBytes: MaxPayload, // the first claim is a careful one
		}),
	}
	own := jitteredSchedule{RetrySchedule{webhook.MaxRetryDelay}, cfg.ScheduleJitter}
	if list, ok := cfg.Retry.(RetrySchedule); ok {
		d.retry = jitteredSchedule{list, cfg.ScheduleJitter}
	}
	d.maxRetryWait = min(max(d.retry.MaxWait(), own.MaxWait(), channel.MaxRetryAfter), maxWait)
	d.emits = groupcommit.Group[webhook.NewEvent, webhook.Emitted]{
		Commit:    d.commitEmits,
		Weight:    func(e webhook.NewEvent) int { return len(e.Payload) },
		MaxWeight: maxCommitBytes,
		Timeout:   storeTimeout,
		Class:     func(e webhook.NewEvent) string { return e.OrganizationID },
		Splits:    func(err error) bool { return errors.Is(err, webhook.ErrBlocked) },
	}
	d.states = newStateCommits(d)
	d.suspects.init(d)
	d.lines.init()
	d.tails = newTails(store, &d.cfg, false)
	d.results = newTails(store, &d.cfg, true)
	d.replayStarted = make(chan struct{}, 1)
	d.clock = clock{store: store, logger: cfg.Logger}
	return d, nil
}

// Channels returns the channels that subscriptions can use: Config.Channels.
func (d *Dispatcher) Channels() *channel.Registry { return d.cfg.Channels }

// Renders returns the Gate that bounds how many templates are rendered at once:
// Config.Renders. Code that renders templates for anything but deliveries, such as
// previews, does so under a context of this Gate.
func (d *Dispatcher) Renders() *template.Gate { return d.cfg.Renders }

// Capabilities returns what the store can do beyond what every store must.
func (d *Dispatcher) Capabilities() webhook.Capabilities { return d.store.Capabilities() }

// Now asks the store for the time. The times of deliveries and attempts are by this clock,
// which all processes share, and which may differ from that of this process.
func (d *Dispatcher) Now(ctx context.Context) (time.Time, error) { return d.store.Now(ctx) }

// CheckSubscription returns an [*event.ValidationError] that lists every invalid field of a
// subscription and of the configs of its channels. An empty ID is allowed, because
// CreateSubscription sets it. CheckSubscription does not use the store.
//
// A field of the configs that the channel's driver does not list (see [channel.Schema]) is a
// problem too, because it is probably misspelt. Drivers themselves ignore such fields.
func (d *Dispatcher) CheckSubscription(sub *webhook.Subscription) error {
	if sub == nil {
		return sub.Validate()
	}
	if sub.ID == "" {
		named := *sub
		named.ID = webhook.NewID()
		sub = &named
	}
	var p event.Problems
	p.AddError("", sub.Validate())
	if sub.Ordering != nil && d.store.Capabilities().Ordering == nil {
		p.Add("ordering", "cannot be set: the store does not deliver in order")
	}
	if sub.CheckBounds() == nil { // what is too large is not compiled
		_, err := d.channels.open(context.Background(), sub)
		p.AddError("", err)
		d.checkFields(&p, sub)
	}
	return p.Err()
}

// checkFields finds what the configs of channels hold that no driver reads.
func (d *Dispatcher) checkFields(p *event.Problems, sub *webhook.Subscription) {
	for i, c := range sub.Channels {
		fields, listed := d.cfg.Channels.Fields(c.Channel)
		var members map[string]json.RawMessage
		if !listed || json.Unmarshal(c.Configs, &members) != nil {
			continue
		}
		known := make([]string, len(fields))
		for j, f := range fields {
			known[j] = f.Name
		}
		for _, name := range slices.Sorted(maps.Keys(members)) {
			if !slices.Contains(known, name) {
				path := "." + name
				if strings.ContainsFunc(name, func(r rune) bool {
					return r != '_' && (r < 'a' || r > 'z') &&
						(r < 'A' || r > 'Z')
				}) {
					path = fmt.Sprintf("[%q]", excerpt(name))
				}
				p.Add(fmt.Sprintf("channels[%d].configs%s", i, path),
					"is not a field of this channel, which has %s", strings.Join(known, ", "))
			}
		}
	}
}

// CreateSubscription checks sub as CheckSubscription does and stores it. It sets sub.CreatedAt,
// sub.UpdatedAt and sub.Revision, and sub.ID if that is empty, even if it then fails. It returns
// ErrExists if the id is taken, and a [*webhook.LimitError] if the organization would exceed
// [Config.Quota].
//
// Events that are emitted after CreateSubscription has returned reach the subscription.
func (d *Dispatcher) CreateSubscription(ctx context.Context, sub *webhook.Subscription) error {
	if sub == nil {
		return sub.Validate()
	}
	if sub.ID == "" {
		sub.ID = webhook.NewID()
	}
	if err := d.CheckSubscription(sub); err != nil {
		return err
	}
	sub.CreatedAt = localNow()
	sub.UpdatedAt = sub.CreatedAt
	return d.store.CreateSubscription(ctx, sub, d.cfg.Quota)
}

// UpdateSubscription checks sub as CheckSubscription does and replaces the stored subscription of
// its id. sub.Revision must be the stored one, as read before. UpdateSubscription returns
// ErrNotFound if the organization has no such subscription, ErrConflict if another call has changed
// it since sub was read, an [*event.ValidationError] if sub is invalid, and a [*webhook.LimitError]
// if the channels or event types that sub adds exceed [Config.Quota].
//
// While a subscription is paused its deliveries wait, and they continue when it is active again.
// Attempts that are in flight in any process still end. For up to Config.PollInterval after the
// call, another process may still attempt deliveries that it has in memory.
//
// If the update changes the configs of a channel whose endpoint the library has made degraded or
// disabled, the endpoint becomes degraded and is probed at once. An endpoint that a person has
// disabled stays disabled: see [Dispatcher.EnableEndpoint]. If that probe cannot be stored,
// UpdateSubscription logs it and returns nil, because the update has been made.
func (d *Dispatcher) UpdateSubscription(ctx context.Context, sub *webhook.Subscription) error {
	if err := d.CheckSubscription(sub); err != nil {
		return err
	}
	unhealthy, err := d.unhealthyEndpoints(ctx, sub.OrganizationID, sub.ID)
	if err != nil {
		return err
	}
	sub.UpdatedAt = localNow()
	if err := d.store.UpdateSubscription(ctx, sub, d.cfg.Quota); err != nil {
		return err
	}
	d.subscriptionChanged(ctx, sub.OrganizationID, sub.ID)
	if err := d.probeRepaired(ctx, unhealthy, sub); err != nil {
		// The update is made, and a caller that was told otherwise would make it again.
		d.cfg.Logger.ErrorContext(ctx, "webhook: an endpoint that failed has a new configuration, and "+
			"could not be given a probe at once: it waits for its next one, or to be enabled",
			"organization_id", sub.OrganizationID, "webhook_id", sub.ID, "error", err)
	}
	return nil
}

// PutSubscription creates the subscription, or makes the stored one of its id equal to
// sub, whatever its revision: for subscriptions that a service declares in its own code
// or configuration, each time that it starts. sub.ID must be set.
//
// sub.Paused counts only when the subscription is created. After that, PutSubscription keeps the
// stored value and sets sub.Paused to it, so that a deployment does not resume a subscription that
// a person has paused. To change it, call [Dispatcher.UpdateSubscription]. Changed configs have the
// same effect on endpoints as in [Dispatcher.UpdateSubscription].
func (d *Dispatcher) PutSubscription(ctx context.Context, sub *webhook.Subscription) error {
	if sub == nil {
		return sub.Validate()
	}
	if sub.ID == "" {
		var p event.Problems
		p.Required("webhook_id")
		return p.Err()
	}
	declaredPaused := sub.Paused
	for {
		stored, err := d.Subscription(ctx, sub.OrganizationID, sub.ID)
		switch {
		case errors.Is(err, webhook.ErrNotFound):
			sub.Paused = declaredPaused
			if err = d.CreateSubscription(ctx, sub); !errors.Is(err, webhook.ErrExists) {
				return err
			}
			if _, again := d.Subscription(ctx, sub.OrganizationID, sub.ID); errors.Is(again,
				webhook.ErrNotFound) {
				return err // the id is another organization's
			}
		case err != nil:
			return err
		default:
			sub.Revision, sub.CreatedAt, sub.Paused = stored.Revision, stored.CreatedAt, stored.Paused
			if err = d.UpdateSubscription(ctx, sub); !errors.Is(err, webhook.ErrConflict) &&
				!errors.Is(err, webhook.ErrNotFound) {
				return err
			}
		}
	}
}

// DeleteSubscription removes a subscription and cancels its unfinished deliveries. Their history
// stays. It returns ErrNotFound if the organization has no such subscription, and ErrConflict if it
// is no longer at the revision, because another call has changed it since the caller read it. If
// revision is 0, DeleteSubscription does not compare it.
func (d *Dispatcher) DeleteSubscription(
	ctx context.Context, organizationID, id string, revision int64,
) error {
	if !storable(organizationID, id) {
		return webhook.ErrNotFound
	}
	if err := d.store.DeleteSubscription(ctx, organizationID, id, revision); err != nil {
		return err
	}
	d.subscriptionChanged(ctx, organizationID, id)
	return nil
}

// Subscription returns one subscription of the organization, or ErrNotFound.
func (d *Dispatcher) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	if !storable(organizationID, id) {
		return nil, webhook.ErrNotFound
	}
	return d.store.Subscription(ctx, organizationID, id)
}

// Subscriptions returns the organization's subscriptions that fit the query, the oldest first: all
// of them if q.Limit is 0. For the next page, set q.After to the Cursor of the last one.
func (d *Dispatcher) Subscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	if !storable(q.OrganizationID, q.EventType, q.After.ID) {
		return nil, nil
	}
	return d.store.Subscriptions(ctx, q)
}

// EventPayload returns the JSON of an event as it was emitted, or ErrNotFound.
func (d *Dispatcher) EventPayload(
	ctx context.Context, organizationID, eventID string,
) ([]byte, error) {
	if !storable(organizationID, eventID) {
		return nil, webhook.ErrNotFound
	}
	return d.store.EventPayload(ctx, organizationID, eventID)
}

// Deliveries returns the deliveries that fit the query, the newest first unless q.OldestFirst is
// set. For the next page, set q.Before to the last id of the answer or, with OldestFirst, q.After.
func (d *Dispatcher) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	if !storable(q.OrganizationID, q.EventID, q.EventType, q.SubscriptionID, string(q.Status)) {
		return nil, nil
	}
	return d.store.Deliveries(ctx, q)
}

// Delivery returns one delivery with all of its attempts, or ErrNotFound.
func (d *Dispatcher) Delivery(
	ctx context.Context, organizationID string, id webhook.DeliveryID,
) (*webhook.Delivery, error) {
	if !storable(organizationID) {
		return nil, webhook.ErrNotFound
	}
	return d.store.Delivery(ctx, organizationID, id)
}

// Cancel ends a delivery that is not settled. An attempt that is in flight still ends, but its
// result no longer counts. Cancel returns ErrWrongStatus if the delivery is settled, and
// ErrNotFound if the organization has no such delivery.
func (d *Dispatcher) Cancel(
	ctx context.Context, organizationID string, id webhook.DeliveryID,
) error {
	if !storable(organizationID) {
		return webhook.ErrNotFound
	}
	d.clock.refresh(ctx)
	if err := d.store.Cancel(ctx, d.now(), organizationID, id); err != nil {
		return err
	}
	d.leases.markCancelled(id)
	d.results.wake()
	d.queue.SignalClaim() // for the next one of its subject
	return nil
}

// Skip lets the next event of the subject have its turn in place of a dead delivery that holds it:
// see [webhook.Ordering]. The delivery stays dead, and can be replayed later. Skip returns
// ErrWrongStatus if it does not hold its subject, and ErrNotFound if the organization has no such
// delivery.
func (d *Dispatcher) Skip(
	ctx context.Context, organizationID string, id webhook.DeliveryID,
) error {
	if !storable(organizationID) {
		return webhook.ErrNotFound
	}
	ordering := d.store.Capabilities().Ordering
	if ordering == nil {
		if _, err := d.store.Delivery(ctx, organizationID, id); err != nil {
			return err
		}
		return webhook.ErrWrongStatus
	}
	d.clock.refresh(ctx)
	if err := ordering.Skip(ctx, d.now(), organizationID, id); err != nil {
		return err
	}
	d.queue.SignalClaim()
	return nil
}

// subscriptionChanged gives back what is queued for the subscription, so that the store
// decides again, and asks for what the change may have set free.
func (d *Dispatcher) subscriptionChanged(ctx context.Context, organizationID, id string) {
	d.channels.forget(organizationID, id)
	d.requeueRemoved(ctx, d.queue.ResetSubscription(id))
	d.queue.SignalClaim()
}

// requeueRemoved returns deliveries to the store that were taken out of the queue.
func (d *Dispatcher) requeueRemoved(ctx context.Context, removed []*task) {
	if len(removed) == 0 {
		return
	}
	if err := d.requeueAll(ctx, removed); err != nil {
		d.requeueByWorkers(ctx, removed, err)
	} else {
		d.leases.release(leases(removed))
	}
}

// Statistics returns the figures of a subscription of the organization, or
// ErrNotFound.
func (d *Dispatcher) Statistics(
	ctx context.Context, q webhook.StatisticsQuery,
) (webhook.Statistics, error) {
	if !storable(q.OrganizationID, q.SubscriptionID) {
		return webhook.Statistics{}, webhook.ErrNotFound
	}
	return d.store.Statistics(ctx, q)
}

// HourlyStatistics returns what Statistics counts, hour by hour, for a page of the organization's
// subscriptions. A subscription that the organization does not have has no hours.
func (d *Dispatcher) HourlyStatistics(
	ctx context.Context, q webhook.HourlyQuery,
) (webhook.HourlyPage, error) {
	if !storable(q.OrganizationID, q.SubscriptionID, q.After) {
		return webhook.HourlyPage{}, nil
	}
	return d.store.HourlyStatistics(ctx, q)
}

// CountSubscriptions returns how many of the organization's subscriptions fit the filters
// of the query, on all pages.
func (d *Dispatcher) CountSubscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) (int, error) {
	if !storable(q.OrganizationID, q.EventType) {
		return 0, nil
	}
	return d.store.CountSubscriptions(ctx, q)
}
