package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
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

var endpointsShowCommand = command{
	name: "endpoints show", args: "WEBHOOK [CHANNEL]",
	short: "Show how the endpoints of a webhook are, and what they refuse",
	long: `
Shows the health of each channel, with the cause. Of one that is healthy it
shows the last attempt that failed, among those of the 100 newest deliveries:
an endpoint is degraded only after it has failed for a while. And it shows the
event types of which deliveries were refused: an endpoint that refuses one type
and takes the others is healthy. Looked at for these are the last attempts of
the 100 newest deliveries, of the 25 oldest that are pending, and of the 25
newest that are dead, as far as they were made within the last 24 hours.`,
	example: `webhooks endpoints show wh_0123456789`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, args []string) error {
			return a.showEndpoints(ctx, o, args[0], first(args[1:]))
		}
	},
}

var endpointsEnableCommand = command{
	name: "endpoints enable", args: "WEBHOOK [CHANNEL]",
	short: "Enable an endpoint that is degraded or disabled",
	long: `
What waits for it is delivered, a few at a time at first. Nothing is tried
before: the first delivery that succeeds shows that it works. If the webhook is
paused, nothing goes out until "webhooks resume" as well. CHANNEL may be left
out if the webhook has only one.`,
	example: `webhooks endpoints enable wh_0123456789 slack`,
	setup: changeEndpoint((*client.Client).EnableEndpoint, "%s %s is enabled again. Deliveries that "+
		"waited go out gradually; the first that succeeds will confirm that it works. To look: webhooks "+
		"endpoints show %[1]s.\n", "%s %s is enabled again, but its webhook is paused, and deliveries "+
		"wait until that is resumed: webhooks resume %[1]s.\n"),
}

var endpointsDisableCommand = command{
	name: "endpoints disable", args: "WEBHOOK [CHANNEL]",
	short: "Disable an endpoint until it is enabled",
	long: `
Its deliveries wait. CHANNEL may be left out if the webhook has only one.`,
	example: `webhooks endpoints disable wh_0123456789 slack`,
	setup:   changeEndpoint((*client.Client).DisableEndpoint, disabledText, disabledText),
}

const disabledText = "%s %s is disabled. Its deliveries wait until it is enabled: webhooks endpoints " +
	"enable %[1]s %[2]s.\n"

// changeEndpoint returns the setup of a command that changes one endpoint. It prints done, a format
// of the webhook and the channel, or whilePaused if the webhook is paused.
func changeEndpoint(
	change func(*client.Client, context.Context, string, string) (*webhook.EndpointState, error),
	done, whilePaused string,
) func(*flagSet) action {
	return func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, args []string) error {
			c, err := o.client(a)
			if err != nil {
				return err
			}
			// Asked before the change, so that an error means that nothing has changed.
			sub, err := c.Get(ctx, args[0])
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
			text := done
			if sub.Paused {
				text = whilePaused
			}
			a.printf(text, visible(state.SubscriptionID), visible(state.Channel))
			return nil
		}
	}
}

// namedEndpoint is an endpoint with the name of its webhook.
type namedEndpoint struct {
	*webhook.EndpointState
	Name string `json:"webhook_name"`
}

// nameCache finds the names of webhooks.
type nameCache struct {
	client *client.Client
	known  map[string]string
}

func newNameCache(c *client.Client) *nameCache { return &nameCache{c, map[string]string{}} }

// of returns the name of a webhook, or "" if it was deleted in the meantime.
func (n *nameCache) of(ctx context.Context, id string) (string, error) {
	if name, ok := n.known[id]; ok {
		return name, nil
	}
	sub, err := n.client.Get(ctx, id)
	switch {
	case err == nil:
		n.known[id] = sub.Name
	case errors.Is(err, webhook.ErrNotFound):
		n.known[id] = ""
	default:
		return "", err
	}
	return n.known[id], nil
}

// inBrackets writes a name behind an id.
func inBrackets(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

// endpointView is what "endpoints show" says of one endpoint.
type endpointView struct {
	namedEndpoint
	// Paused says that the webhook is paused: its deliveries wait, however well the endpoint is.
	Paused bool `json:"webhook_paused"`
	// LookedAt counts the deliveries in which Refusals were looked for, of all channels.
	LookedAt int           `json:"looked_at"`
	Refusals []api.Refusal `json:"refusals"`
	// LastFailed is the delivery whose last attempt failed latest. Nil if none is known.
	LastFailed *failedDelivery `json:"last_failed,omitempty"`
}

type failedDelivery struct {
	DeliveryID  webhook.DeliveryID `json:"delivery_id"`
	LastAttempt webhook.Attempt    `json:"last_attempt"`
}

// failuresLookedFor is in how many of the newest deliveries lastFailures looks.
const failuresLookedFor = 100

// lastFailures returns of each channel the delivery whose last attempt failed latest.
func lastFailures(
	ctx context.Context, c *client.Client, webhookID string,
) (map[string]*failedDelivery, error) {
	found := map[string]*failedDelivery{}
	n := 0
	for d, err := range c.Deliveries(ctx, webhookID, client.DeliveryFilter{}) {
		if err != nil {
			return nil, err
		}
		if len(d.Attempts) > 0 {
			last := d.Attempts[len(d.Attempts)-1]
			known := found[d.Channel]
			if !last.Succeeded() && (known == nil || last.StartedAt.After(known.LastAttempt.StartedAt)) {
				found[d.Channel] = &failedDelivery{d.ID, last}
			}
		}
		if n++; n == failuresLookedFor {
			break
		}
	}
	return found, nil
}

func (a *app) showEndpoints(ctx context.Context, o connection, webhookID, channel string) error {
	c, err := o.client(a)
	if err != nil {
		return err
	}
	sub, err := c.Get(ctx, webhookID)
	if err != nil {
		return err
	}
	if channel != "" && !slices.Contains(sub.ChannelKeys(), channel) {
		return usagef("the webhook has no channel %q, but %s", channel,
			strings.Join(sub.ChannelKeys(), ", "))
	}
	states, err := c.Endpoints(ctx, webhookID)
	if err != nil {
		return err
	}
	day, err := c.Statistics(ctx, webhookID, time.Time{})
	if err != nil {
		return err
	}
	refusals, err := c.Refusals(ctx, webhookID)
	if errors.Is(err, webhook.ErrNotFound) { // an older version of the API
		refusals, err = &api.Refusals{}, nil
	}
	if err != nil {
		return err
	}
	var failures map[string]*failedDelivery
	if day.FailedAttempts > 0 {
		if failures, err = lastFailures(ctx, c, webhookID); err != nil {
			return err
		}
	}
	if !a.json {
		a.printf("%s  %s\n", visible(webhookID), visible(sub.Name))
		if sub.Paused {
			a.printf("  %s        its deliveries wait until: webhooks resume %s\n", a.yellow(a.stdout, "paused"),
				visible(webhookID))
		}
		a.printf("  last 24 h     %d succeeded, %d died%s\n", day.Deliveries[webhook.StatusSucceeded],
			day.Deliveries[webhook.StatusDead], attemptsText(day.Attempts, day.FailedAttempts))
	}
	for i := range states {
		if channel != "" && states[i].Channel != channel {
			continue
		}
		view := endpointView{namedEndpoint: namedEndpoint{&states[i], sub.Name}, Paused: sub.Paused,
			LookedAt: refusals.LookedAt, Refusals: []api.Refusal{}, LastFailed: failures[states[i].Channel]}
		for _, r := range refusals.Results {
			if r.Channel == view.Channel {
				view.Refusals = append(view.Refusals, r)
			}
		}
		if err := a.printEndpoint(&view); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printEndpoint(v *endpointView) error {
	if a.json {
		return a.object(v)
	}
	health := string(v.Health)
	switch v.Health {
	case webhook.Degraded:
		health = a.yellow(a.stdout, health)
	case webhook.Disabled:
		health = a.red(a.stdout, health)
	}
	a.printf("%s  %s\n", visible(v.Channel), health)
	line := func(label, value string) {
		if value != "" {
			a.printf("  %-14s%s\n", label, visible(value))
		}
	}
	line("since", withAgo(stamp(v.Since), ago(v.Since)))
	line("failing since", withAgo(stamp(v.FailingSince), ago(v.FailingSince)))
	if last := v.LastFailure; last != nil { // also until a person enabled it: see EndpointState
		line("failed before", stamp(last.Since)+" to "+withAgo(stamp(last.Until), ago(last.Until)))
	}
	line("by", v.ChangedBy)
	if v.Cause != nil {
		line("cause", causeOf(v.Cause)+", at "+v.Cause.DeliveryID.String())
	}
	if v.Health == webhook.Degraded {
		line("next probe", withAgo(stamp(v.NextProbe), ago(v.NextProbe)))
	}
	if f := v.LastFailed; f != nil && v.Cause == nil {
		why := channel.Describe(channel.Class(f.LastAttempt.Class), f.LastAttempt.Error)
		line("last failure", withAgo(stamp(f.LastAttempt.StartedAt), ago(f.LastAttempt.StartedAt))+": "+why+
			" ("+f.DeliveryID.String()+")")
	}
	for i := range v.Refusals {
		line("refuses", refusalText(&v.Refusals[i]))
	}
	return nil
}

// refusalText says which event type is refused, and how often.
func refusalText(r *api.Refusal) string {
	text := fmt.Sprintf("%s: %d of %s", r.EventType, r.Refused,
		counted(r.Attempted, "delivery that was looked at", "deliveries that were looked at"))
	return text + ", last " + stamp(r.LastAttempt.StartedAt) +
		answerOf(r.LastAttempt.StatusCode, r.LastAttempt.Error) + " (" + r.DeliveryID.String() + ")"
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
	names := newNameCache(c)
	rows := [][]string{{"WEBHOOK", "NAME", "CHANNEL", "HEALTH", "SINCE", "FAILING SINCE", "BY", "CAUSE"}}
	for state, err := range endpointsOf(ctx, c, webhookID, health) {
		if err != nil {
			return err
		}
		if health != "" && state.Health != health {
			continue
		}
		name, err := names.of(ctx, state.SubscriptionID)
		if err != nil {
			return err
		}
		if a.json {
			if err := a.object(namedEndpoint{state, name}); err != nil {
				return err
			}
			continue
		}
		cause := ""
		if state.Cause != nil {
			cause = causeOf(state.Cause)
		}
		rows = append(rows, []string{state.SubscriptionID, name, state.Channel, string(state.Health),
			stamp(state.Since), stamp(state.FailingSince), state.ChangedBy, cause})
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
