package main

import (
	"context"
	"errors"
	"iter"
	"strconv"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

var deliveriesListCommand = command{
	name: "deliveries list", args: "[WEBHOOK]", short: "List deliveries, the newest first",
	long: `
Without WEBHOOK, those of all webhooks. --limit bounds the list, because a
service may have millions; "webhooks deliveries export" writes all. What waits
for long is behind what is new: --until 10m leaves out what is newer than that.

--since and --until are about when the event was emitted. What is dead has often
been retried for days before, so that --since 24h does not find what died today.`,
	example: `webhooks deliveries list --status dead wh_0123456789`,
	setup: func(s *flagSet) action {
		var o deliveryOptions
		o.declare(s)
		s.IntVar(&o.limit, "limit", 50, "how many at most")
		return func(ctx context.Context, a *app, args []string) error {
			return a.listDeliveries(ctx, o, first(args))
		}
	},
}

var deliveriesShowCommand = command{
	name: "deliveries show", args: "WEBHOOK DELIVERY", short: "Show a delivery with its attempts",
	long: `
Says why a delivery that is not settled waits: its webhook is paused, its
endpoint degraded or disabled, its rate limit reached, its next attempt not due.
With --event, prints the event that it carries, as JSON.`,
	example: `webhooks deliveries show wh_0123456789 dlv_42`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		payload := s.Bool("event", false, "print the event instead")
		return func(ctx context.Context, a *app, args []string) error {
			return a.showDelivery(ctx, o, args, *payload)
		}
	},
}

var deliveriesTailCommand = command{
	name: "deliveries tail", args: "[WEBHOOK]", short: "Show deliveries as they are emitted",
	long: `
Shows each delivery once, as it is when it is read, and goes on until ctrl-C. It
begins with what is emitted from now on; --since begins earlier. With --results,
shows what becomes of deliveries: each attempt, replay and cancellation.`,
	example: `
webhooks deliveries tail --since 10m wh_0123456789
webhooks deliveries tail --results`,
	setup: func(s *flagSet) action {
		var o tailOptions
		o.declare(s)
		results := s.Bool("results", false, "show attempts, replays and cancellations instead")
		return func(ctx context.Context, a *app, args []string) error {
			return a.tailDeliveries(ctx, o, first(args), *results)
		}
	},
}

var deliveriesExportCommand = command{
	name: "deliveries export", args: "[WEBHOOK]", short: "Write all deliveries, as JSON lines",
	long: `
Writes each delivery with its attempts as an object on a line of its own, the
newest first, whether or not --json is given.`,
	example: `
webhooks deliveries export --since 2026-01-01 |
    jq -r 'select(.status == "dead") | .event_id'`,
	setup: func(s *flagSet) action {
		var o deliveryOptions
		o.declare(s)
		return func(ctx context.Context, a *app, args []string) error {
			return a.exportDeliveries(ctx, o, first(args))
		}
	},
}

// deliveryFilter are the flags that select deliveries.
type deliveryFilter struct {
	status, eventType, eventID string
	since, until               timeValue
}

func (f *deliveryFilter) declare(s *flagSet) {
	s.StringVar(&f.status, "status", "", "`status`: pending, in_flight, paused, succeeded, dead or "+
		"cancelled")
	s.StringVar(&f.eventType, "event-type", "", "`type` of the event")
	s.StringVar(&f.eventID, "event-id", "", "`id` of the event")
	s.Var(&f.since, "since", "`time` from which on events were emitted, such as 24h or, in the zone "+
		"of this machine, 2026-01-31")
	s.Var(&f.until, "until", "`time` before which events were emitted")
}

func (f *deliveryFilter) filter() client.DeliveryFilter {
	return client.DeliveryFilter{Status: webhook.Status(f.status), EventType: f.eventType,
		EventID: f.eventID, Since: f.since.Time, Until: f.until.Time}
}

type deliveryOptions struct {
	connection
	deliveryFilter
	limit int
}

func (o *deliveryOptions) declare(s *flagSet) {
	o.connection.declare(s)
	o.deliveryFilter.declare(s)
}

func (a *app) listDeliveries(ctx context.Context, o deliveryOptions, webhookID string) error {
	if o.limit < 1 {
		return usagef("--limit must be at least 1")
	}
	c, err := o.client(a)
	if err != nil {
		return err
	}
	rows := [][]string{{"DELIVERY", "WEBHOOK", "CHANNEL", "EVENT", "TYPE", "STATUS", "EMITTED",
		"ATTEMPTS", "LAST ANSWER"}}
	n := 0
	for d, err := range c.Deliveries(ctx, webhookID, o.filter()) {
		if err != nil {
			return err
		}
		if n == o.limit {
			a.notef("There are more: raise --limit, or use \"webhooks deliveries export\".\n")
			break
		}
		n++
		if a.json {
			if err := a.object(d); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{d.ID.String(), d.SubscriptionID, d.Channel, d.EventID, d.EventType,
			string(d.Status), stamp(d.CreatedAt), strconv.Itoa(len(d.Attempts)), lastAnswer(d)})
	}
	switch {
	case a.json:
	case n == 0:
		a.notef("No deliveries fit.\n")
	default:
		a.table(rows)
	}
	return nil
}

// lastAnswer says what the last attempt came to.
func lastAnswer(d *webhook.Delivery) string {
	if len(d.Attempts) == 0 {
		return ""
	}
	last := d.Attempts[len(d.Attempts)-1]
	if last.StatusCode != 0 {
		return strconv.Itoa(last.StatusCode)
	}
	return last.Class
}

func (a *app) tailDeliveries(
	ctx context.Context, o tailOptions, webhookID string, results bool,
) error {
	c, err := o.tailClient(a)
	if err != nil {
		return err
	}
	if err := c.Health(ctx); err != nil { // for the server's clock
		return err
	}
	q, err := o.query(c.dates)
	if err != nil {
		return err
	}
	if results {
		return printAll(ctx, c.streams.TailResults(ctx, webhookID, q), a.printResult)
	}
	return printAll(ctx, c.streams.TailDeliveries(ctx, webhookID, q), a.printTailed)
}

// printAll prints what comes, until ctx ends.
func printAll[T any](ctx context.Context, all iter.Seq2[*T, error], show func(*T) error) error {
	for t, err := range all {
		if err == nil {
			err = show(t)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (a *app) printResult(r *api.TailResult) error {
	if a.json {
		if err := a.object(r); err != nil {
			return err
		}
		return a.flush()
	}
	what := string(r.Status)
	switch t := r.Attempt; {
	case r.Replayed():
		what = "replayed"
	case t != nil:
		what = "attempt " + strconv.Itoa(t.Number) + " " + what + answerOf(t.StatusCode, t.Error)
	}
	a.printf("%s  %s  %s %s  %s  %s  %s\n", stamp(r.At), r.DeliveryID, visible(r.SubscriptionID),
		visible(r.Channel), visible(r.EventID), visible(r.EventType), visible(what))
	return a.flush()
}

func (a *app) printTailed(t *api.TailDelivery) error {
	if a.json {
		if err := a.object(t); err != nil {
			return err
		}
		return a.flush()
	}
	d := &t.Delivery
	a.printf("%s  %s  %s %s  %s  %s  %s\n", stamp(d.CreatedAt), d.ID, visible(d.SubscriptionID),
		visible(d.Channel), visible(d.EventID), visible(d.EventType), d.Status)
	return a.flush()
}

func (a *app) showDelivery(ctx context.Context, o connection, args []string, payload bool) error {
	id, err := parseDelivery(args[1])
	if err != nil {
		return err
	}
	c, err := o.client(a)
	if err != nil {
		return err
	}
	if payload {
		e, err := c.Event(ctx, args[0], id)
		if err != nil {
			return err
		}
		return a.object(e)
	}
	d, err := c.Delivery(ctx, args[0], id)
	if err != nil {
		return err
	}
	return a.printDelivery(d)
}

func parseDelivery(s string) (webhook.DeliveryID, error) {
	id, err := webhook.ParseDeliveryID(s)
	if err != nil {
		return 0, usagef("a delivery id is \"dlv_\" and a number, not %q", s)
	}
	return id, nil
}

func (a *app) printDelivery(d *api.Delivery) error {
	if a.json {
		return a.object(d)
	}
	status := string(d.Status)
	switch d.Status {
	case webhook.StatusSucceeded:
		status = a.green(a.stdout, status)
	case webhook.StatusDead:
		status = a.red(a.stdout, status)
	}
	a.printf("%s  %s\n", d.ID, status)
	line := func(label, value string) {
		if value != "" {
			a.printf("  %-12s%s\n", label, visible(value))
		}
	}
	line("event", d.EventID+" "+d.EventType)
	line("webhook", d.SubscriptionID+" "+d.Channel)
	line("emitted", withAgo(stamp(d.CreatedAt), ago(d.CreatedAt)))
	due := "due"
	if d.Status == webhook.StatusInFlight {
		due = "lease until"
	}
	line(due, withAgo(stamp(d.DueAt), ago(d.DueAt)))
	if w := d.Waiting; w != nil {
		line("waits", w.Detail)
		line("since", withAgo(stamp(w.Since), ago(w.Since)))
		if !w.Until.Equal(d.DueAt) {
			line(untilLabels[w.Reason], withAgo(stamp(w.Until), ago(w.Until)))
		}
	} else if d.WaitsFor != 0 { // an older version of the API
		line("waits for", d.WaitsFor.String()+", an earlier event about the same subject")
	}
	line("expires", withAgo(stamp(d.ExpiresAt), ago(d.ExpiresAt)))
	line("settled", withAgo(stamp(d.SettledAt), ago(d.SettledAt)))
	if d.Holds {
		until := "it is replayed or skipped"
		if !d.SkipAt.IsZero() {
			until += ", or until " + withAgo(stamp(d.SkipAt), ago(d.SkipAt))
		}
		line("holds", "later events about its subject until "+until)
	}
	for _, t := range d.Attempts {
		a.printf("  attempt %d at %s, took %s%s\n", t.Number, stamp(t.StartedAt), short(t.Duration),
			visible(answerOf(t.StatusCode, t.Error)))
		if t.Response != "" {
			a.printf("    it answered: %s\n", visible(t.Response))
		}
	}
	return nil
}

// untilLabels say what the Until of a reason to wait is.
var untilLabels = map[dispatch.WaitReason]string{dispatch.WaitDegraded: "next probe",
	dispatch.WaitRateLimit: "until"}

func withAgo(stamp, ago string) string {
	if stamp == "" {
		return ""
	}
	return stamp + ", " + ago
}

func (a *app) exportDeliveries(ctx context.Context, o deliveryOptions, webhookID string) error {
	c, err := o.client(a)
	if err != nil {
		return err
	}
	n := 0
	for d, err := range c.Deliveries(ctx, webhookID, o.filter()) {
		if err != nil {
			if n > 0 && !errors.Is(err, context.Canceled) {
				a.notef("%s written before the error.\n", deliveriesOf(n))
			}
			return err
		}
		if err := a.object(d); err != nil {
			return err
		}
		if n++; n%100 == 0 {
			a.progressf("%s", deliveriesOf(n))
		}
	}
	a.progressf("%s", deliveriesOf(n))
	return nil
}
