package main

import (
	"context"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

var deliveriesReplayCommand = command{
	name: "deliveries replay", args: "WEBHOOK [DELIVERY]",
	short: "Deliver again: one delivery, or all that fit",
	long: `
With DELIVERY, replays that one. Without it, replays the settled deliveries that
fit the filters, by default the dead ones, --per-second of them a second. With
--dry-run, says how many fit and replays nothing.

Ctrl-C stops it. What was replayed until then stays replayed, and a second call
does not replay it again unless it has failed again.`,
	example: `
webhooks deliveries replay --since 2h --dry-run wh_0123456789
webhooks deliveries replay --since 2h wh_0123456789
webhooks deliveries replay wh_0123456789 dlv_42`,
	setup: func(s *flagSet) action {
		var o replayOptions
		o.connection.declare(s)
		o.deliveryFilter.declare(s)
		s.IntVar(&o.limit, "limit", 0, "how many at most (default all)")
		s.Float64Var(&o.perSecond, "per-second", 50, "how many become due each second")
		s.BoolVar(&o.dryRun, "dry-run", false, "count only")
		return func(ctx context.Context, a *app, args []string) error { return a.replay(ctx, o, args) }
	},
}

var deliveriesCancelCommand = command{
	name: "deliveries cancel", args: "WEBHOOK DELIVERY",
	short:   "End a delivery that waits or is in flight",
	long:    `An attempt that is in flight may still arrive.`,
	example: `webhooks deliveries cancel wh_0123456789 dlv_42`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, args []string) error {
			id, err := parseDelivery(args[1])
			if err != nil {
				return err
			}
			c, err := o.client(a)
			if err != nil {
				return err
			}
			d, err := c.Cancel(ctx, args[0], id)
			if err != nil {
				return err
			}
			return a.printDelivery(d)
		}
	},
}

type replayOptions struct {
	deliveryOptions
	perSecond float64
	dryRun    bool
}

// replayInfo is the answer of a replay by filter as JSON.
type replayInfo struct {
	Replayed int `json:"replayed"`
	// Fit is how many deliveries fit, of a dry run.
	Fit *int `json:"fit,omitempty"`
}

func (a *app) replay(ctx context.Context, o replayOptions, args []string) error {
	switch {
	case o.limit < 0:
		return usagef("--limit must not be negative")
	case o.perSecond <= 0:
		return usagef("--per-second must be positive")
	}
	c, err := o.client(a)
	if err != nil {
		return err
	}
	if len(args) == 2 {
		id, err := parseDelivery(args[1])
		if err != nil {
			return err
		}
		d, err := c.Replay(ctx, args[0], id)
		if err != nil {
			return err
		}
		return a.printDelivery(d)
	}
	if o.status == "" {
		o.status = string(webhook.StatusDead)
	}
	if o.dryRun {
		return a.countReplay(ctx, c, o, args[0])
	}
	return a.replayAll(ctx, c, o, args[0])
}

func (a *app) countReplay(
	ctx context.Context, c *client.Client, o replayOptions, webhookID string,
) error {
	n := 0
	for _, err := range c.Deliveries(ctx, webhookID, o.filter()) {
		if err != nil {
			return err
		}
		if n++; n == o.limit {
			break
		}
		a.progressf("%s fit", deliveriesOf(n))
	}
	if a.json {
		return a.object(replayInfo{Fit: &n})
	}
	a.printf("%s fit; nothing was replayed\n", deliveriesOf(n))
	return nil
}

// replayPart is how many deliveries one request replays, so that progress is shown.
const replayPart = 200

func (a *app) replayAll(
	ctx context.Context, c *client.Client, o replayOptions, webhookID string,
) error {
	request := api.ReplayRequest{Status: webhook.Status(o.status), EventType: o.eventType,
		EventID: o.eventID, Since: o.since.Time, Until: o.until.Time, PerSecond: o.perSecond}
	replayed := 0
	for {
		request.Limit = replayPart
		if o.limit > 0 {
			request.Limit = min(replayPart, o.limit-replayed)
		}
		a.progressf("%s replayed", deliveriesOf(replayed))
		part, err := c.ReplayPart(ctx, webhookID, request)
		if err != nil {
			if replayed > 0 {
				a.notef("%s replayed before the error.\n", deliveriesOf(replayed))
			}
			return err
		}
		replayed += part.Replayed
		if part.NextCursor == nil || o.limit > 0 && replayed >= o.limit {
			break
		}
		request.Cursor = *part.NextCursor
	}
	if a.json {
		return a.object(replayInfo{Replayed: replayed})
	}
	a.printf("%s replayed\n", deliveriesOf(replayed))
	return nil
}

func deliveriesOf(n int) string { return counted(n, "delivery", "deliveries") }
