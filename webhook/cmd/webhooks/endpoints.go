package main

import (
	"context"
	"iter"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

var endpointsListCommand = command{
	name: "endpoints list", args: "[WEBHOOK]", short: "List endpoints and their health",
	long: `
An endpoint is one channel of one webhook. With WEBHOOK, lists all of its
endpoints, and without it those of all webhooks that are degraded or disabled.`,
	example: `
webhooks endpoints list --health disabled
webhooks endpoints list wh_0123456789`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		health := s.String("health", "", "`health`: healthy, degraded or disabled")
		return func(ctx context.Context, a *app, args []string) error {
			return a.listEndpoints(ctx, o, first(args), webhook.Health(*health))
		}
	},
}

var endpointsEnableCommand = command{
	name: "endpoints enable", args: "WEBHOOK [CHANNEL]",
	short: "Enable an endpoint that is degraded or disabled",
	long: `
What waits for it is delivered. CHANNEL may be left out if the webhook has only
one.`,
	example: `webhooks endpoints enable wh_0123456789 slack`,
	setup:   changeEndpoint((*client.Client).EnableEndpoint),
}

var endpointsDisableCommand = command{
	name: "endpoints disable", args: "WEBHOOK [CHANNEL]",
	short: "Disable an endpoint until it is enabled",
	long: `
Its deliveries wait. CHANNEL may be left out if the webhook has only one.`,
	example: `webhooks endpoints disable wh_0123456789 slack`,
	setup:   changeEndpoint((*client.Client).DisableEndpoint),
}

// changeEndpoint returns the setup of a command that changes one endpoint and prints it.
func changeEndpoint(
	change func(*client.Client, context.Context, string, string) (*webhook.EndpointState, error),
) func(*flagSet) action {
	return func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, args []string) error {
			c, err := o.client(a)
			if err != nil {
				return err
			}
			state, err := change(c, ctx, args[0], first(args[1:]))
			if err != nil {
				return err
			}
			if a.json {
				return a.object(state)
			}
			a.printf("%s %s is %s.\n", visible(state.SubscriptionID), visible(state.Channel), state.Health)
			return nil
		}
	}
}

func (a *app) listEndpoints(
	ctx context.Context, o connection, webhookID string, health webhook.Health,
) error {
	switch health {
	case "", webhook.Degraded, webhook.Disabled:
	case webhook.Healthy:
		if webhookID == "" {
			return usagef("--health healthy needs a webhook: healthy endpoints are not listed for all")
		}
	default:
		return usagef("--health must be healthy, degraded or disabled")
	}
	c, err := o.client(a)
	if err != nil {
		return err
	}
	rows := [][]string{{"WEBHOOK", "CHANNEL", "HEALTH", "SINCE", "BY", "CAUSE"}}
	for state, err := range endpointsOf(ctx, c, webhookID, health) {
		if err != nil {
			return err
		}
		if health != "" && state.Health != health {
			continue
		}
		if a.json {
			if err := a.object(state); err != nil {
				return err
			}
			continue
		}
		cause := ""
		if state.Cause != nil {
			cause = causeOf(state.Cause)
		}
		rows = append(rows, []string{state.SubscriptionID, state.Channel, string(state.Health),
			stamp(state.Since), state.ChangedBy, cause})
	}
	switch {
	case a.json:
	case len(rows) == 1:
		a.notef("No endpoints fit.\n")
	default:
		a.table(rows)
	}
	return nil
}

// endpointsOf returns all endpoints of a webhook, or those of all webhooks that are not healthy.
func endpointsOf(
	ctx context.Context, c *client.Client, webhookID string, health webhook.Health,
) iter.Seq2[*webhook.EndpointState, error] {
	if webhookID == "" {
		return c.UnhealthyEndpoints(ctx, health)
	}
	return func(yield func(*webhook.EndpointState, error) bool) {
		states, err := c.Endpoints(ctx, webhookID)
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range states {
			if !yield(&states[i], nil) {
				return
			}
		}
	}
}
