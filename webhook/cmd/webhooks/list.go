package main

import (
	"context"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

var listCommand = command{
	name: "list", short: "List the webhooks",
	long: `
The ids are what other commands take as WEBHOOK. Secrets are masked.`,
	example: `webhooks list --event-type object.created`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		var filter client.SubscriptionFilter
		s.StringVar(&filter.EventType, "event-type", "", "`type` of event that they get")
		return func(ctx context.Context, a *app, _ []string) error { return a.listWebhooks(ctx, o, filter) }
	},
}

func (a *app) listWebhooks(ctx context.Context, o connection, filter client.SubscriptionFilter) error {
	c, err := o.client(a)
	if err != nil {
		return err
	}
	rows := [][]string{{"WEBHOOK", "STATE", "CHANNELS", "EVENT TYPES", "NAME"}}
	for sub, err := range c.Search(ctx, filter) {
		if err != nil {
			return err
		}
		if a.json {
			if err := a.object(sub); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{sub.ID, stateOf(sub), strings.Join(sub.ChannelKeys(), " "),
			patternsOf(sub), sub.Name})
	}
	switch {
	case a.json:
	case len(rows) == 1:
		a.notef("There are no webhooks.\n")
	default:
		a.table(rows)
	}
	return nil
}

func stateOf(sub *webhook.Subscription) string {
	if sub.Paused {
		return "paused"
	}
	return "active"
}

// patternsOf returns the first patterns, and how many more there are.
func patternsOf(sub *webhook.Subscription) string {
	const shown = 3
	var names []string
	for _, pattern := range sub.EventTypes[:min(shown, len(sub.EventTypes))] {
		names = append(names, string(pattern))
	}
	if more := len(sub.EventTypes) - shown; more > 0 {
		names = append(names, "and "+counted(more, "more", "more"))
	}
	return strings.Join(names, " ")
}
