package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

const signed = `, "method": "PUT", "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "signing_secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]`

func configsOf(address, more string) string { return `{"url": "https://` + address + `"` + more + `}` }

func ofChannels(channels ...string) string {
	return `{"webhook_name": "n", "event_types": ["*"], "channels": [` + strings.Join(channels, ",") + `]}`
}

// What an update leaves out, because its client does not know of it, stays; null
// ends it.
func TestAbsentExtensionsStay(t *testing.T) {
	t.Parallel()
	hook := func(url, more string) string {
		return `{"channel": "webhook", "configs": ` + configsOf(url, more) + `}`
	}
	const a, b = "a.example.com/", "b.example.com/"
	for name, test := range map[string]struct {
		stored, update string
		want           []string
		problems       []string
	}{
		"as it was": {
			ofChannels(hook(a, signed)), ofChannels(hook(a, "")), []string{configsOf(a, signed)}, nil},
		"defaults written": {
			ofChannels(hook(a, signed)), ofChannels(hook(a, `, "timeout": 10.0, "headers": {}, "payload_template": null`)),
			[]string{configsOf(a, signed+`, "timeout": 10.0, "headers": {}, "payload_template": null`)}, nil},
		"another path": {
			ofChannels(hook(a, signed)), ofChannels(hook(a+"x", "")), []string{configsOf(a+"x", signed)}, nil},
		"another timeout": {
			ofChannels(hook(a, signed)), ofChannels(hook(a, `, "timeout": 3`)), []string{configsOf(a, signed+`, "timeout": 3`)}, nil},
		"one more channel": {
			ofChannels(hook(a, signed)), ofChannels(hook(b, ""), hook(a, "")), []string{configsOf(b, ""), configsOf(a, signed)}, nil},
		"one channel less": {
			ofChannels(hook(b, ""), hook(a, signed)), ofChannels(hook(a, "")), []string{configsOf(a, signed)}, nil},
		"the other is left": {
			ofChannels(hook(b, ""), hook(a, signed)), ofChannels(hook(b, "")), []string{configsOf(b, "")}, nil},
		"swapped": {
			ofChannels(hook(b, ""), hook(a, signed)), ofChannels(hook(a, ""), hook(b, "")), []string{configsOf(a, signed), configsOf(b, "")}, nil},
		"null ends": {
			ofChannels(hook(a, signed)), ofChannels(hook(a, `, "signing_secret": null, "signing_secrets": null`)),
			[]string{configsOf(a, `, "signing_secret": null, "signing_secrets": null, "method": "PUT"`)}, nil},
		"a new value": {
			ofChannels(hook(a, signed)), ofChannels(hook(a, `, "method": "POST"`)),
			[]string{configsOf(a, strings.Replace(signed, "PUT", "POST", 1))}, nil},
		"moved": {
			ofChannels(hook(a, signed)), ofChannels(hook(b, "")), nil,
			[]string{"body.channels.0.configs.signing_secret: value_error", "body.channels.0.configs.signing_secrets: value_error"}},
		"moved, and new": {
			ofChannels(hook(a, signed)), ofChannels(hook(b, `, "signing_secret": null, "signing_secrets": null`)),
			[]string{configsOf(b, `, "signing_secret": null, "signing_secrets": null, "method": "PUT"`)}, nil},
		"moved, without a secret": {
			ofChannels(hook(a, `, "method": "PUT"`)), ofChannels(hook(b, "")), []string{configsOf(b, `, "method": "PUT"`)}, nil},
		"unclear": {
			ofChannels(hook(a, signed), hook(b, "")), ofChannels(hook("y.example.com/", ""), hook("z.example.com/", "")), nil,
			[]string{
				"body.channels.0.configs.method: value_error", "body.channels.0.configs.signing_secret: value_error", "body.channels.0.configs.signing_secrets: value_error",
				"body.channels.1.configs.method: value_error", "body.channels.1.configs.signing_secret: value_error", "body.channels.1.configs.signing_secrets: value_error",
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, options{})
			id := f.create(test.stored)
			got := f.do("PUT", prefix+"/"+id, test.update)
			if test.problems != nil {
				assert.Equal(t, test.problems, got.problems())
				return
			}
			got.want(http.StatusOK)
			configs := f.configs(id)
			require.Len(t, configs, len(test.want))
			for i, want := range test.want {
				assert.JSONEq(t, want, configs[i])
			}
		})
	}
}

// The two forms of Slack: a bot's fields are none that the contract's schema has.
func TestSlackForms(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(ofChannels(`{"channel": "slack", "configs": {"bot_token": "xoxb-1", "channel_id": "C1", "workspace_id": "T1"}}`))
	put := func(configs string) string {
		f.do("PUT", prefix+"/"+id, ofChannels(`{"channel": "slack", "configs": `+configs+`}`)).want(http.StatusOK)
		return f.configs(id)[0]
	}
	shown := string(f.do("GET", prefix+"/"+id, "").Body)
	assert.Contains(t, shown, `"webhook_url":""`)
	assert.JSONEq(t, `{"bot_token": "xoxb-1", "channel_id": "C1", "workspace_id": "T1", "username": "u"}`, put(`{"webhook_url": "", "username": "u"}`))
	assert.JSONEq(t, `{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1"}`, put(`{"webhook_url": "https://hooks.slack.com/x"}`))
	assert.JSONEq(t, `{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1"}`, put(`{"webhook_url": "********"}`))
	assert.JSONEq(t, `{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1", "blocks": [{"type": "divider"}]}`,
		put(`{"webhook_url": "********", "blocks": [{"type": "divider"}]}`))
	assert.JSONEq(t, `{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1", "blocks": [{"type": "divider"}]}`, put(`{"webhook_url": "********"}`))
	assert.JSONEq(t, `{"webhook_url": "https://hooks.slack.com/x", "workspace_id": "T1", "blocks_template": "[]"}`,
		put(`{"webhook_url": "********", "blocks_template": "[]"}`))
	assert.JSONEq(t, `{"bot_token": "xoxb-2", "channel_id": "C2", "workspace_id": "T1"}`, put(`{"bot_token": "xoxb-2", "channel_id": "C2"}`))
}

// What is stored may have any form that the drivers take; answers have one.
func TestAnswersHaveTheContractsForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for configs, want := range map[string]string{
		`{"recipients": ["a@b.c"], "content_type": ""}`:                                      `{"to_addresses": ["a@b.c"]}`,
		`{"recipients": ["a@b.c"], "to_addresses": null, "cc_addresses": null}`:              `{"to_addresses": ["a@b.c"]}`,
		`{"recipients": ["x@b.c"], "to_addresses": ["a@b.c"], "content_type": "plain_text"}`: `{"to_addresses": ["a@b.c"], "content_type": "plain_text"}`,
		`null`: `{"to_addresses": ["********"]}`, // what a store answers that cannot open them
	} {
		sub := &webhook.Subscription{
			ID: webhook.NewID(), OrganizationID: orgA, Name: "n", EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{{Channel: "email", Configs: json.RawMessage(configs)}},
		}
		require.NoError(t, f.store.CreateSubscription(t.Context(), sub, webhook.Quota{}))
		var shown webhook.Subscription
		require.NoError(t, json.Unmarshal(f.do("GET", prefix+"/"+sub.ID, "").Body, &shown))
		assert.JSONEq(t, want, string(shown.Channels[0].Configs), configs)
	}
}
