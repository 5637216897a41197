package standard_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
)

// all returns a registry with all four channels.
func all(t testing.TB) *channel.Registry {
	smtp, err := email.NewSMTP(email.SMTPConfig{Host: "mail.example.com", From: "hooks@example.com"})
	require.NoError(t, err)
	r, err := standard.New(standard.Config{SMTP: smtp, SMS: noTexts{}})
	require.NoError(t, err)
	return r
}

// The structs are for writing a configuration, and the drivers read it field by
// field: here the two are held together. No field takes a list of lists, so
// every field that is read must be named.
func TestEveryConfigFieldIsRead(t *testing.T) {
	t.Parallel()
	r := all(t)
	for name, config := range map[string]any{
		"webhook": httpendpoint.Config{}, "slack": slack.Config{}, "email": email.Config{},
		"sms": sms.Config{},
	} {
		typ := reflect.TypeOf(config)
		for i := range typ.NumField() {
			field, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			_, err := r.Open(name, json.RawMessage(`{"`+field+`":[[]]}`))
			assert.ErrorContains(t, err, "configs."+field, "%s.%s", name, field)
		}
	}
}

// The contract's examples are taken as they are.
func TestContractExamples(t *testing.T) {
	t.Parallel()
	r := all(t)
	for name, configs := range map[string][]string{
		"webhook": {
			`{"headers":{"Authorization":"Bearer token123"},"method":"POST","url":"https://api.example.com/webhooks/mixpeek"}`,
			`{"url":"https://example.com/hook","headers":{"X-Mixpeek-Secret":"s3cret-value"},"payload_template":null,"timeout":10.0}`,
		},
		"slack": {
			`{"bot_token":"xoxb-...","channel_id":"C0123456789","workspace_id":"T0123456789"}`,
			`{"webhook_url":"https://hooks.slack.com/services/T00/B00/XXX","channel":null,"username":null,"icon_emoji":null,"icon_url":null,"blocks_template":null}`,
		},
		"email": {
			`{"recipients":["team@example.com","admin@example.com"],"subject_template":"Mixpeek Alert: {event_type}"}`,
			`{"to_addresses":["team@example.com"],"cc_addresses":[],"bcc_addresses":[],"subject_template":null,"body_template":null,"content_type":"html"}`,
		},
		"sms": {`{"phone_numbers":["+14155550100"],"message_template":null}`},
	} {
		for _, config := range configs {
			_, err := r.Open(name, json.RawMessage(config))
			assert.NoError(t, err, "%s %s", name, config)
		}
	}
}

// Whatever a configuration holds, it is opened or refused by name and rule.
func FuzzOpen(f *testing.F) {
	for _, s := range []string{
		`{}`, `null`,
		`{"url":"https://example.com","headers":{"a":"b"},"timeout":1e-9,"signing_secret":"whsec_x"}`,
		`{"webhook_url":"https://hooks.slack.com/x","blocks_template":"{{"}`,
		`{"bot_token":"x","channel_id":"C"}`,
		`{"to_addresses":["a@b.c","\u0000"],"content_type":"json","body_template":"{"}`,
		`{"phone_numbers":["+14155550100",null]}`,
		`{"url":"https://example.com","payload_template":{"a":["{{ x }}",{}]}}`,
	} {
		f.Add(s)
	}
	r := all(f)
	f.Fuzz(func(t *testing.T, config string) {
		for _, name := range r.Names() {
			c, err := r.Open(name, json.RawMessage(config))
			var invalid *event.ValidationError
			if (err == nil) != (c != nil) || err != nil && !errors.As(err, &invalid) {
				t.Fatalf("%s %q: %v, %v", name, config, c, err)
			}
		}
	})
}
