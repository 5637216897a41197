package standard_test

import (
	"context"
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
)

type noTexts struct{}

func (noTexts) Host() string { return "" }

func (noTexts) SendSMS(context.Context, string, string) (string, error) { return "", nil }

// The drivers list what their config structs have, and nothing else.
func TestFields(t *testing.T) {
	t.Parallel()
	smtp, err := email.NewSMTP(email.SMTPConfig{Host: "mail.example.com", From: "hooks@example.com"})
	require.NoError(t, err)
	registry, err := standard.New(standard.Config{SMTP: smtp, SMS: noTexts{}})
	require.NoError(t, err)
	secrets := map[string][]string{
		httpendpoint.Name: {"headers", "signing_secret", "signing_secrets"},
		slack.Name:        {"webhook_url", "bot_token"},
	}
	beyond := map[string][]string{email.Name: {"recipients"}}
	for name, config := range map[string]any{
		httpendpoint.Name: httpendpoint.Config{},
		slack.Name:        slack.Config{},
		email.Name:        email.Config{},
		sms.Name:          sms.Config{},
	} {
		want := beyond[name]
		for _, field := range reflect.VisibleFields(reflect.TypeOf(config)) {
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			want = append(want, tag)
		}
		fields, ok := registry.Fields(name)
		require.True(t, ok, name)
		var names, secret []string
		for _, f := range fields {
			names = append(names, f.Name)
			if f.Secret {
				secret = append(secret, f.Name)
			}
		}
		assert.ElementsMatch(t, want, names, name)
		assert.ElementsMatch(t, secrets[name], secret, name)
	}
}

// A driver that does not say is not guessed at.
func TestFieldsUnknown(t *testing.T) {
	t.Parallel()
	registry, err := standard.New(standard.Config{})
	require.NoError(t, err)
	require.NoError(t, registry.Register("mine", channel.Func(nil)))
	for _, name := range []string{"mine", email.Name, "nobody"} {
		fields, ok := registry.Fields(name)
		assert.False(t, ok, name)
		assert.Empty(t, fields, name)
	}
}
