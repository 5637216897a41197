package main

import (
	"context"
	"flag"
	"strconv"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

var deliveriesReplayCommand = command{
	name: "deliveries replay", args: "[WEBHOOK] [DELIVERY]",
	short: "Deliver again: one delivery, or all that fit",
	long: `
With DELIVERY, replays that one. With --all, begins to replay the settled
deliveries that fit the filters, of WEBHOOK or of all webhooks, by default the
dead ones, --per-second of them a second, and shows how far it is. With --all
and --dry-run, says how many fit and replays nothing.

--since and --until are about when the event was emitted. What is dead has often
been retried for days before, so that --since 24h does not find what died today.

The service goes on with a replay by itself. Ctrl-C or --detach leave it, and
"webhooks replays" finds it again: to list, to watch and to stop it.`,
	example: `
webhooks deliveries replay --all --dry-run wh_0123456789
webhooks deliveries replay --all wh_0123456789
webhooks deliveries replay wh_0123456789 dlv_42`,
	setup: func(s *flagSet) action {
		var o replayOptions
		o.connection.declare(s)
		withOne := map[string]bool{"all": true} // its own check says that it is not for one
		s.VisitAll(func(f *flag.Flag) { withOne[f.Name] = true })
		o.deliveryFilter.declare(s)
		s.BoolVar(&o.all, "all", false, "replay all that fit")
		s.IntVar(&o.limit, "limit", 0, "how many at most (default all)")
		s.Float64Var(&o.perSecond, "per-second", 50, "how many become due each second")
		s.BoolVar(&o.dryRun, "dry-run", false, "count only")
		s.BoolVar(&o.detach, "detach", false, "do not wait for its end")
		return func(ctx context.Context, a *app, args []string) error {
			s.Visit(func(f *flag.Flag) {
				if !withOne[f.Name] {
					o.ofMany = append(o.ofMany, f.Name)
				}
			})
			return a.replay(ctx, o, args)
		}
	},
}

var deliveriesCancelCommand = command{
	name: "deliveries cancel", args: "WEBHOOK DELIVERY",
	short:   "End a delivery that waits or is in flight",
	long:    `An attempt that is in flight may still arrive.`,
	example: `webhooks deliveries cancel wh_0123456789 dlv_42`,
	setup:   changeDelivery((*client.Client).Cancel),
}

var deliveriesSkipCommand = command{
	name: "deliveries skip", args: "WEBHOOK DELIVERY",
	short: "Skip a dead delivery that holds its subject",
	long: `
For a webhook with an ordering: the next event about the subject has its turn.
The delivery stays dead, and can be replayed.`,
	example: `webhooks deliveries skip wh_0123456789 dlv_42`,
	setup:   changeDelivery((*client.Client).Skip),
}

// changeDelivery returns the setup of a command that changes one delivery and prints it.
func changeDelivery(
	change func(*client.Client, context.Context, string, webhook.DeliveryID) (*api.Delivery, error),
) func(*flagSet) action {
	return func(s *flagSet) action {
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
			d, err := change(c, ctx, args[0], id)
			if err != nil {
				return err
			}
			return a.printDelivery(d)
		}
	}
}

type replayOptions struct {
	deliveryOptions
	all, dryRun, detach bool
	perSecond           float64
	// ofMany are the flags that were given and say nothing about a replay of one delivery.
	ofMany []string
}

func (a *app) replay(ctx context.Context, o replayOptions, args []string) error {
	switch {
	case o.limit < 0:
		return usagef("--limit must not be negative")
	case o.perSecond <= 0:
		return usagef("--per-second must be positive")
	case o.all == (len(args) == 2):
		return usagef("give either WEBHOOK and DELIVERY, or --all")
	case !o.all && len(o.ofMany) > 0: // one that expects --dry-run to replay nothing must not be surprised
		return usagef("--%s needs --all, and does nothing with DELIVERY", o.ofMany[0])
	}
	c, err := o.client(a)
	if err != nil {
		return err
	}
	if !o.all {
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
	asked := api.BackgroundReplayRequest{SubscriptionID: first(args), Status: webhook.Status(o.status),
		EventType: o.eventType, EventID: o.eventID, Since: o.since.Time, Until: o.until.Time,
		Limit: o.limit, PerSecond: o.perSecond}
	if o.dryRun {
		n, err := c.CountReplay(ctx, asked)
		if err != nil {
			return err
		}
		if a.json {
			return a.object(n)
		}
		a.printf("%s fit; nothing was replayed\n", orMore(n.Deliveries, n.More))
		return nil
	}
	begun, err := c.StartReplay(ctx, asked)
	a.noteUnknown(err, "The replay may have begun: webhooks replays list shows it.\n")
	if err != nil {
		return err
	}
	if o.detach {
		return a.printReplay(begun)
	}
	return a.followReplay(ctx, c, begun)
}

func deliveriesOf(n int) string { return counted(n, "delivery", "deliveries") }

// orMore writes a number of deliveries that was counted up to a bound.
func orMore(n int, more bool) string {
	if more {
		return strconv.Itoa(n) + " or more deliveries"
	}
	return deliveriesOf(n)
}
