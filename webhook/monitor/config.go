package monitor

import (
	"log/slog"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Config configures a Monitor. The zero value works: in every field zero means the default. New
// returns an error for a negative value.
type Config struct {
	// Organization is the emitter's own organization, whose subscriptions get the operational events
	// of the operator. Defaults to the empty one, as a service without tenants has it.
	Organization string

	// Audience says who gets the events about an endpoint: the operator, the customer that owns the
	// endpoint, or both. Defaults to [Operator]. The events about the backlog are always the
	// operator's.
	Audience Audience

	// Customer returns the organization that gets the customer's events about an endpoint of an
	// organization, or false if none does. It is called by Run, and only if Audience includes
	// customers. Defaults to the organization itself.
	Customer func(organizationID string) (to string, ok bool)

	// BacklogAge is how long the oldest due delivery may have been waiting before [BacklogGrowing] is
	// emitted. [BacklogCleared] follows once it has waited for less than half of that. Defaults to 5
	// minutes; [dispatch.Never] turns both off.
	BacklogAge time.Duration

	// DisabledAfter is that of [dispatch.Lifecycle], of which [WebhookFailing] tells how much has
	// passed. Defaults to 5 days, as there; [dispatch.Never] turns WebhookFailing off.
	DisabledAfter time.Duration

	// RefusingAfter is how long an endpoint must have refused all deliveries, RefusingEvents at least,
	// before [WebhookRefusing] is emitted, as far as one process sees. They default to 1 hour and 10;
	// [dispatch.Never] turns it off.
	RefusingAfter  time.Duration
	RefusingEvents int

	// Interval is how often Run asks for Stats and counts the deliveries that have become dead.
	// Defaults to 30 s; at least 1 ms.
	Interval time.Duration

	// QueueSize is how many endpoints may have something to report at a time, of each kind of hook,
	// and how many reports may wait to be emitted. What does not fit is dropped, counted by
	// [Monitor.Dropped], and logged; the organizations with the most lose first. Defaults to 1024.
	QueueSize int

	// Logger gets warnings: events that cannot be emitted, that were dropped, or that do not arrive.
	// Defaults to slog.Default().
	Logger *slog.Logger
}

// Audience says who gets the events about an endpoint.
type Audience int

// The values of Audience.
const (
	// Operator is [Config.Organization] alone.
	Operator Audience = iota
	// Customer is the organization that owns the endpoint, alone.
	Customer
	// OperatorAndCustomer is both, with an event each.
	OperatorAndCustomer
)

func (c Config) withDefaults() (Config, error) {
	if c.Customer == nil {
		c.Customer = func(organizationID string) (string, bool) { return organizationID, true }
	}
	settings.Default(&c.BacklogAge, 5*time.Minute)
	settings.Default(&c.DisabledAfter, 5*24*time.Hour)
	settings.Default(&c.RefusingAfter, time.Hour)
	settings.Default(&c.RefusingEvents, 10)
	settings.Default(&c.Interval, 30*time.Second)
	settings.Default(&c.QueueSize, 1024)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	var p event.Problems
	webhook.CheckOrganizationID(&p, "Organization", c.Organization)
	if c.Audience < Operator || c.Audience > OperatorAndCustomer {
		p.Add("Audience", "must be Operator, Customer or OperatorAndCustomer")
	}
	settings.AtLeast(&p, "BacklogAge", c.BacklogAge, time.Millisecond)
	settings.AtLeast(&p, "DisabledAfter", c.DisabledAfter, time.Millisecond)
	settings.AtLeast(&p, "RefusingAfter", c.RefusingAfter, time.Millisecond)
	settings.AtLeast(&p, "RefusingEvents", c.RefusingEvents, 1)
	settings.AtLeast(&p, "Interval", c.Interval, time.Millisecond)
	settings.AtLeast(&p, "QueueSize", c.QueueSize, 1)
	return c, p.Err()
}

// never reports whether a duration turns a kind of event off.
func never(d time.Duration) bool { return d == dispatch.Never }
