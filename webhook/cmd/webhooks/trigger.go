package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

var triggerCommand = command{
	name: "trigger", args: "[WEBHOOK]", short: "Send a test event to a webhook, now",
	long: `
Has the API make one attempt for each channel of the webhook, signed and
rendered as a delivery is, even if the webhook is paused. Nothing is stored, and
nothing is retried. The event is a file, where missing fields get sample values,
or the catalogue's example of a type. --list shows the catalogue.`,
	example: `
webhooks trigger --list
webhooks trigger --event-type object.created wh_0123456789
webhooks trigger --event event.json --channel slack wh_0123456789`,
	setup: func(s *flagSet) action {
		var o triggerOptions
		o.declare(s)
		s.StringVar(&o.event, "event", "", "`file` with the event")
		s.StringVar(&o.eventType, "event-type", "", "`type` of the event (default one that the webhook "+
			"is subscribed to)")
		s.StringVar(&o.channel, "channel", "", "`channel` of the webhook (default all)")
		s.BoolVar(&o.list, "list", false, "list the event types of the catalogue")
		return func(ctx context.Context, a *app, args []string) error {
			return a.trigger(ctx, o, first(args))
		}
	},
}

type triggerOptions struct {
	connection
	event, eventType, channel string
	list                      bool
}

func (a *app) trigger(ctx context.Context, o triggerOptions, webhookID string) error {
	if (webhookID == "") != o.list {
		return usagef("give either a webhook or --list")
	}
	request := api.TestRequest{Channel: o.channel, EventType: o.eventType}
	if o.eventType != "" {
		if err := event.ValidType(o.eventType); err != nil {
			return usagef("--event-type %v", err)
		}
	}
	c, err := o.client(a)
	if err != nil {
		return err
	}
	if o.list {
		types, err := c.EventTypes(ctx)
		if err != nil {
			return err
		}
		return a.printTypes(types)
	}
	if o.event != "" {
		if request.Event, err = a.readEvent(o.event); err != nil {
			return err
		}
	}
	a.progressf("waiting for the endpoint")
	sent, err := c.SendTest(ctx, webhookID, request)
	if err != nil {
		return err
	}
	return a.printTest(sent)
}

func (a *app) printTypes(types []api.EventType) error {
	rows := [][]string{{"TYPE", "EXAMPLE", "DESCRIPTION"}}
	for _, t := range types {
		if a.json {
			if err := a.object(t); err != nil {
				return err
			}
			continue
		}
		example := "no"
		if len(t.Example) > 0 {
			example = "yes"
		}
		rows = append(rows, []string{t.Type, example, t.Description})
	}
	if !a.json {
		a.table(rows)
	}
	return nil
}

// printTest prints the result of each channel. It returns errNo if one has failed.
func (a *app) printTest(sent *api.TestResponse) (err error) {
	failed := false
	for _, r := range sent.Results {
		failed = failed || !r.Succeeded
	}
	if a.json {
		if err := a.object(sent); err != nil {
			return err
		}
	} else {
		a.printf("event %s\n", visible(sent.EventID))
		for _, r := range sent.Results {
			word := a.green(a.stdout, "accepted")
			if !r.Succeeded {
				word = a.red(a.stdout, "failed")
			}
			a.printf("%s: %s after %s%s\n", visible(r.Channel), word, short(r.Attempt.Duration),
				visible(answerOf(r.Attempt.StatusCode, r.Attempt.Error)))
			if r.Attempt.Response != "" {
				a.printf("  it answered: %s\n", visible(r.Attempt.Response))
			}
		}
	}
	if failed {
		return errNo
	}
	return nil
}

// answerOf writes what an attempt came to.
func answerOf(status int, failure string) string {
	var parts []string
	if status != 0 {
		parts = append(parts, fmt.Sprintf("with %d", status))
	}
	if failure != "" {
		parts = append(parts, failure)
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ": ")
}

// stamp writes a time for people, in their zone.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
