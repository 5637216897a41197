package main

import (
	"context"

	"github.com/mixpeek/webhooks-go/webhook"
)

var pauseCommand = command{
	name: "pause", args: "WEBHOOK", short: "Pause a webhook: its deliveries wait",
	long: `
Events are still accepted for it, at all of its channels, and wait until
"webhooks resume". Those with a time to live may expire meanwhile. To stop one
channel only, see "webhooks endpoints disable".`,
	example: `webhooks pause wh_0123456789`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, args []string) error {
			return a.pauseWebhook(ctx, o, args[0])
		}
	},
}

var resumeCommand = command{
	name: "resume", args: "WEBHOOK", short: "Resume a webhook that is paused",
	long: `
What has waited is delivered, except to endpoints that are disabled.`,
	example: `webhooks resume wh_0123456789`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, args []string) error {
			return a.resumeWebhook(ctx, o, args[0])
		}
	},
}

func (a *app) pauseWebhook(ctx context.Context, o connection, webhookID string) error {
	c, err := o.client(a)
	if err != nil {
		return err
	}
	sub, err := c.Pause(ctx, webhookID)
	if err != nil {
		return err
	}
	if a.json {
		return a.object(&sub.Subscription)
	}
	a.printf("%s is paused. Its deliveries wait until it is resumed: webhooks resume %s.\n",
		visible(sub.ID+inBrackets(sub.Name)), visible(sub.ID))
	return nil
}

func (a *app) resumeWebhook(ctx context.Context, o connection, webhookID string) error {
	c, err := o.client(a)
	if err != nil {
		return err
	}
	// Asked before the change, so that an error means that nothing has changed.
	states, err := c.Endpoints(ctx, webhookID)
	if err != nil {
		return err
	}
	sub, err := c.Resume(ctx, webhookID)
	if err != nil {
		return err
	}
	if a.json {
		return a.object(&sub.Subscription)
	}
	a.printf("%s is active again. Deliveries that waited go out.\n", visible(sub.ID+inBrackets(sub.Name)))
	for i := range states {
		if states[i].Health == webhook.Disabled {
			a.printf("Its endpoint %s is disabled, and gets nothing until: webhooks endpoints enable %s %[1]s.\n",
				visible(states[i].Channel), visible(sub.ID))
		}
	}
	return nil
}
