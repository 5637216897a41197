package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

var triggerCommand = command{
	name: "trigger", short: "Publish an event, or send a test to a webhook",
	long: `
Publishes an event over the API, as the service does: it goes to all webhooks
that are subscribed to its type, and is stored, retried and listed. The event is
a file, or the catalogue's example of a type, with a new id. --list shows the
catalogue. A service has to allow it (api.Config.Publish). If there is no
answer, the event may have been published: a call with the same --id repeats it
safely.

With --test, has the API make one attempt for each channel of one webhook
instead, signed and rendered as a delivery is, even if the webhook is paused.
Nothing is stored, and nothing is retried. Missing fields get sample values.`,
	example: `
webhooks trigger --list
webhooks trigger --event-type object.created
webhooks trigger --event event.json
webhooks trigger --test wh_0123456789 --channel slack`,
	setup: func(s *flagSet) action {
		var o triggerOptions
		o.declare(s)
		s.StringVar(&o.test, "test", "", "`webhook` to send a test to")
		s.StringVar(&o.event, "event", "", "`file` with the event")
		s.StringVar(&o.eventType, "event-type", "", "`type` of the event (default of a test: that of a "+
			"delivery that failed, or one that the webhook is subscribed to)")
		s.StringVar(&o.id, "id", "", "`id` of the event (default its event_id, or a new one): one that was "+
			"published before is not published again")
		s.StringVar(&o.channel, "channel", "", "`channel` that a test is sent to (default all)")
		s.BoolVar(&o.list, "list", false, "list the event types of the catalogue")
		return func(ctx context.Context, a *app, _ []string) error { return a.trigger(ctx, o) }
	},
}

type triggerOptions struct {
	connection
	test, event, eventType, channel, id string
	list                                bool
}

func (a *app) trigger(ctx context.Context, o triggerOptions) error {
	switch {
	case o.list && o.test+o.event+o.eventType+o.channel+o.id != "":
		return usagef("--list stands alone")
	case !o.list && o.test+o.event+o.eventType == "":
		return usagef("give the event, with --event or --event-type, or a webhook, with --test")
	case o.channel != "" && o.test == "":
		return usagef("--channel is for --test: an event goes to all channels")
	case o.id != "" && o.test != "":
		return usagef("--id is not for --test: a test is sent each time")
	}
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
	var e *event.Event
	if o.event != "" {
		if e, err = a.readEvent(o.event); err != nil {
			return err
		}
	}
	if o.test == "" {
		return a.publish(ctx, c, o.eventType, o.id, e)
	}
	a.progressf("waiting for the endpoint")
	sent, err := c.SendTest(ctx, o.test,
		api.TestRequest{Channel: o.channel, EventType: o.eventType, Event: e})
	if err != nil {
		return err
	}
	return a.printTest(sent)
}

// publish publishes an event, or the example of a type if it is nil. The id may be empty.
func (a *app) publish(
	ctx context.Context, c *client.Client, eventType, id string, e *event.Event,
) error {
	switch {
	case e != nil && id != "" && e.ID != "" && e.ID != id:
		return usagef("--id is %s, and the event has the event_id %s", id, e.ID)
	case e == nil:
		var err error
		if e, err = exampleOf(ctx, c, eventType); err != nil {
			return err
		}
	case e.Type == "":
		e.Type = eventType
	case eventType != "" && e.Type != eventType:
		return usagef("--event-type is %s, and the event is of type %s", eventType, e.Type)
	}
	if id != "" {
		e.ID = id
	}
	published, err := c.Publish(ctx, e)
	a.noteUnknown(err, "The event may have been published. To repeat the call safely, add: --id %s\n",
		visible(e.ID))
	var answer *client.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusMethodNotAllowed {
		return &hintError{errors.New("the service takes no events over its API"),
			"It has to allow that (api.Config.Publish). A test of one webhook needs no permission:\n" +
				"  webhooks trigger --test WEBHOOK", exitNo}
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.object(published)
	}
	known := visible(published.EventID)
	switch {
	case published.Duplicate:
		a.printf("%s was published before: nothing is delivered again\n", known)
	case published.Unfinished:
		a.printf("%s is published, and its deliveries are being made\n", known)
	default:
		a.printf("%s is published: %s\n", known, deliveriesOf(published.Deliveries))
		if published.Deliveries == 0 {
			a.notef("No webhook is subscribed to %s.\n", visible(e.Type))
		}
	}
	return nil
}

// exampleOf returns the example of a type in the service's catalogue, as a new event.
func exampleOf(ctx context.Context, c *client.Client, eventType string) (*event.Event, error) {
	types, err := c.EventTypes(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		if t.Type == eventType {
			e := event.Catalogue{{Type: t.Type, Example: string(t.Example)}}.Sample(t.Type)
			e.ID, e.OccurredAt = event.NewID(), time.Now().UTC().Truncate(time.Microsecond)
			return e, nil
		}
	}
	return nil, &hintError{fmt.Errorf("%s is not in the catalogue of the service", eventType),
		"\"webhooks trigger --list\" shows it; an event of another type comes from a file (--event).", exitNo}
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
		a.printf("event %s %s\n", visible(sent.EventID), visible(sent.EventType))
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

// stamp writes a time for people, in their zone, as a flag reads it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}
