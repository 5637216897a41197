package main

import (
	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// The subscriptions have fixed ids, so that a second story on the same database
// finds them there.

// searchCache sends the events that make something stale to a service.
func searchCache(url, secret string) *webhook.Subscription {
	return &webhook.Subscription{
		ID:   "wh_0123456789abcdef",
		Name: "Search cache",
		EventTypes: []event.Pattern{"object.*", event.CollectionUpdated, event.CollectionDocumentsWritten,
			"taxonomy.*"},
		Channels: []webhook.ChannelConfig{post(url, secret)},
	}
}

// onCall sends alerts to a service and, on three ways, to people. Each channel
// has its own retries and history.
func onCall(url, secret, slackURL string) *webhook.Subscription {
	return &webhook.Subscription{
		ID:         "wh_fedcba9876543210",
		Name:       "On call",
		EventTypes: []event.Pattern{"alert.*"},
		Channels: []webhook.ChannelConfig{
			post(url, secret),
			webhook.Via(slack.Config{
				WebhookURL: channel.Secret(slackURL), // without a template there is a default message
			}),
			webhook.Via(email.Config{
				ToAddresses:     []string{"oncall@example.com"},
				SubjectTemplate: "[{{ metadata.severity }}] {{ metadata.summary }}",
				BodyTemplate:    "**{{ metadata.summary }}**, says {{ subject.id }} in {{ namespace }}.",
				ContentType:     email.ContentMarkdown,
			}),
			webhook.Via(sms.Config{
				PhoneNumbers:    []string{"+14155550100"},
				MessageTemplate: "{{ metadata.severity | upper }}: {{ metadata.summary }}",
			}),
		},
	}
}

// post is the webhook channel: a request to url that proves its origin.
func post(url, secret string) webhook.ChannelConfig {
	return webhook.Via(httpendpoint.Config{
		URL:     url,
		Headers: map[string]string{"X-Mixpeek-Secret": secret},
		Timeout: 5, // seconds, for one attempt
	})
}
