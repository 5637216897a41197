package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

var replaysListCommand = command{
	name: "replays list", short: "List replays of many deliveries, the newest first",
	long: `
Those that are under way, and the last ones that have ended. "webhooks
deliveries replay --all" begins one.`,
	example: `webhooks replays list`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, _ []string) error { return a.listReplays(ctx, o) }
	},
}

var replaysShowCommand = command{
	name: "replays show", args: "REPLAY", short: "Show a replay, and how far it is",
	long: `
With --follow, shows it until it has ended. Ctrl-C leaves it as it is.`,
	example: `webhooks replays show --follow rpl_0123456789abcdef`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		follow := s.Bool("follow", false, "wait for its end")
		return func(ctx context.Context, a *app, args []string) error {
			return a.showReplay(ctx, o, args[0], *follow)
		}
	},
}

var replaysStopCommand = command{
	name: "replays stop", args: "REPLAY", short: "Stop a replay",
	long: `
What it has replayed goes out: deliveries of half a minute at most. One that has
ended stays as it is.`,
	example: `webhooks replays stop rpl_0123456789abcdef`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, args []string) error {
			c, err := o.client(a)
			if err != nil {
				return err
			}
			stopped, err := c.StopReplay(ctx, args[0])
			if err != nil {
				return err
			}
			return a.printReplay(stopped)
		}
	},
}

func (a *app) listReplays(ctx context.Context, o connection) error {
	c, err := o.client(a)
	if err != nil {
		return err
	}
	list, err := c.Replays(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"REPLAY", "STATE", "REPLAYED", "BEGUN", "BY", "WHAT"}}
	for i := range list {
		r := &list[i]
		if a.json {
			if err := a.object(r); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{r.ID, replayState(r), strconv.FormatInt(r.Replayed, 10),
			stamp(r.CreatedAt), r.CreatedBy, replayWhat(&r.Request)})
	}
	switch {
	case a.json:
	case len(list) == 0:
		a.notef("There are no replays.\n")
	default:
		a.table(rows)
	}
	return nil
}

func replayState(r *api.Replay) string {
	if r.Stalled {
		return "stalled"
	}
	return string(r.State)
}

// replayWhat says what a replay selects.
func replayWhat(r *api.BackgroundReplayRequest) string {
	parts := []string{string(r.Status)}
	for _, part := range []string{r.SubscriptionID, r.EventType, r.EventID} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if !r.Since.IsZero() {
		parts = append(parts, "since "+stamp(r.Since))
	}
	if !r.Until.IsZero() {
		parts = append(parts, "until "+stamp(r.Until))
	}
	if r.Limit > 0 {
		parts = append(parts, "at most "+strconv.Itoa(r.Limit))
	}
	return strings.Join(parts, ", ")
}

func (a *app) showReplay(ctx context.Context, o connection, id string, follow bool) error {
	c, err := o.client(a)
	if err != nil {
		return err
	}
	r, err := c.FindReplay(ctx, id)
	if err != nil {
		return err
	}
	if follow {
		return a.followReplay(ctx, c, r)
	}
	return a.printReplay(r)
}

func (a *app) printReplay(r *api.Replay) error {
	if a.json {
		return a.object(r)
	}
	a.printf("%s  %s\n", visible(r.ID), replayState(r))
	line := func(label, value string) {
		if value != "" {
			a.printf("  %-11s%s\n", label, visible(value))
		}
	}
	line("what", replayWhat(&r.Request))
	line("rate", strconv.FormatFloat(r.Request.PerSecond, 'g', -1, 64)+" each second")
	begun := withAgo(stamp(r.CreatedAt), ago(r.CreatedAt))
	if r.CreatedBy != "" {
		begun += ", by " + r.CreatedBy
	}
	line("begun", begun)
	line("replayed", deliveriesOf(int(r.Replayed)))
	if r.Remaining != nil {
		line("remaining", orMore(*r.Remaining, r.MoreRemaining))
	}
	ended := withAgo(stamp(r.EndedAt), ago(r.EndedAt))
	if r.StoppedBy != "" {
		ended += ", by " + r.StoppedBy
	}
	line("ended", ended)
	if r.Stalled {
		a.notef("%s\n", noteStalled)
	}
	return nil
}

const noteStalled = "It may be that no process goes on with it: does Dispatcher.Run run?"

// replayPoll is how often a replay that is followed is asked for.
const replayPoll = time.Second

// followReplay shows how far a replay is until it has ended. It returns errNo if it was stopped.
func (a *app) followReplay(ctx context.Context, c *client.Client, r *api.Replay) error {
	id, warned := r.ID, false
	for r.State == api.ReplayRunning {
		remaining := ""
		if r.Remaining != nil {
			remaining = ", " + orMore(*r.Remaining, r.MoreRemaining) + " remaining"
		}
		if r.Stalled && !warned {
			warned = true
			a.notef("%s\n", noteStalled)
		}
		a.progressf("%s: %s replayed%s", id, deliveriesOf(int(r.Replayed)), remaining)
		select {
		case <-time.After(replayPoll):
		case <-ctx.Done():
		}
		var err error
		if err = ctx.Err(); err == nil {
			r, err = c.FindReplay(ctx, id)
		}
		if err != nil {
			a.notef("The replay goes on without you. To see it again, and to end it:\n"+
				"  webhooks replays show --follow %s\n  webhooks replays stop %s\n", visible(id), visible(id))
			return err
		}
	}
	if err := a.printReplay(r); err != nil {
		return err
	}
	if r.State == api.ReplayStopped {
		return errNo
	}
	return nil
}
