package standard_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/event"
)

// A slip in the name of an event's field is named in every template; a field of
// the sender's own is none.
func TestMisspeltVariables(t *testing.T) {
	t.Parallel()
	r := all(t)
	for _, tt := range []struct{ name, config, field, leaf string }{
		{"webhook",
			`{"url":"https://example.com","payload_template":{"a":"{{ event_id }}","b":["{{ evnt_id }}"]}}`,
			"payload_template", "/b/0, "},
		{"slack", `{"webhook_url":"https://hooks.slack.com/x","blocks_template":"[{\"text\": \"{{ evnt_id }}\"}]"}`, "blocks_template", ""},
		{"slack", `{"webhook_url":"https://hooks.slack.com/x","blocks":[{"text":"{{ evnt_id }}"}]}`,
			"blocks", "/0/text, "},
		{"email", `{"to_addresses":["a@example.com"],"subject_template":"{{ evnt_id }}"}`,
			"subject_template", ""},
		{"email", `{"to_addresses":["a@example.com"],"body_template":"{{ evnt_id }}"}`, "body_template",
			""},
		{"sms", `{"phone_numbers":["+14155550100"],"message_template":"{{ evnt_id }}"}`,
			"message_template", ""},
	} {
		_, err := r.Open(tt.name, json.RawMessage(tt.config))
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid, tt.config)
		require.Len(t, invalid.Problems, 1, tt.config)
		assert.Equal(t, "configs."+tt.field, invalid.Problems[0].Field)
		assert.Contains(t, invalid.Problems[0].Rule, "which events do not have: it is event_id")
		assert.Contains(t, invalid.Problems[0].Rule, "must not read evnt_id ("+tt.leaf+"line 1, ")

		_, err = r.Open(tt.name, json.RawMessage(strings.ReplaceAll(tt.config, "evnt_id", "tenant")))
		assert.NoError(t, err, tt.config)
	}
}

// Blanks that people paste are refused where they would be sent, and told.
func TestBlanksAreRefused(t *testing.T) {
	t.Parallel()
	r := all(t)
	for _, blank := range []string{" ", "\u00a0", "\u200b", "\t", "\n", "\u2060"} {
		for _, tt := range []struct{ name, config, field string }{
			{"webhook", `{"url":"https://example.com/X"}`, "url"},
			{"webhook", `{"url":"https://example.com/","headers":{"X-Mixpeek-Secret":"sesameX"}}`,
				"headers.X-Mixpeek-Secret"},
			{"webhook", `{"url":"https://example.com/","headers":{"X-Mixpeek-Secret":"Xsesame"}}`,
				"headers.X-Mixpeek-Secret"},
			{"webhook", `{"url":"https://example.com/","headers":{"X-Mixpeek-SecretX":"sesame"}}`,
				"headers["},
			{"webhook",
				`{"url":"https://example.com/","signing_secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwX"}`,
				"signing_secret"},
			{"slack", `{"webhook_url":"https://hooks.slack.com/services/X"}`, "webhook_url"},
			{"slack", `{"bot_token":"xoxb-sesameX","channel_id":"C1"}`, "bot_token"},
			{"slack", `{"bot_token":"xoxb-sesame","channel_id":"C1X"}`, "channel_id"},
			{"slack", `{"bot_token":"xoxb-sesame","channel_id":"C1","icon_url":"https://example.com/X"}`,
				"icon_url"},
			{"sms", `{"phone_numbers":["+14155550100X"]}`, "phone_numbers[0]"},
			{"sms", `{"phone_numbers":["+1415X5550100"]}`, "phone_numbers[0]"},
		} {
			quoted, err := json.Marshal(blank)
			require.NoError(t, err)
			config := strings.Replace(tt.config, "X\"", strings.Trim(string(quoted), `"`)+`"`, 1)
			config = strings.Replace(config, `"X`+`sesame`, `"`+strings.Trim(string(quoted), `"`)+"sesame",
				1)
			config = strings.Replace(config, "5X5", "5"+strings.Trim(string(quoted), `"`)+"5", 1)
			_, err = r.Open(tt.name, json.RawMessage(config))
			var invalid *event.ValidationError
			if assert.ErrorAs(t, err, &invalid, config) {
				assert.Contains(t, invalid.Problems[0].Field, "configs."+tt.field, config)
				assert.NotContains(t, err.Error(), "sesame")
			}
		}
		for _, config := range []sms.TwilioConfig{
			{AuthToken: channel.Secret("sesame" + blank)},
			{AuthToken: "sesame", API: "https://example.com/" + blank},
			{AuthToken: "sesame", From: blank + "+14155550100"},
			{APIKey: "SK" + strings.Repeat("0", 32), APISecret: channel.Secret("ses" + blank + "ame")},
			{AuthToken: "sesame", From: "+14155550100" + blank},
		} {
			config.AccountSID = "AC" + strings.Repeat("0", 32)
			if config.From == "" {
				config.From = "+14155550100"
			}
			_, err := sms.NewTwilio(config)
			var invalid *event.ValidationError
			assert.ErrorAs(t, err, &invalid, "%+q", blank)
		}
		_, err := slack.NewDriver(nil, slack.Options{API: "https://slack.example/api" + blank})
		assert.ErrorContains(t, err, "API", "%q", blank)
	}
	_, err := slack.NewDriver(nil, slack.Options{API: "https://slack.example/api?x=y"})
	assert.ErrorContains(t, err, "must not have a query")
	_, err = r.Open("webhook",
		json.RawMessage(`{"url":"https://example.com/","headers":{"X-Mixpeek-Secret":""}}`))
	assert.ErrorContains(t, err, "configs.headers.X-Mixpeek-Secret: must not be empty")
}
