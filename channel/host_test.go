package channel_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	client := channel.NewHTTPClient(channel.HTTPConfig{AllowHTTP: true})
	slack, err := channel.NewSlackDriver(client, channel.SlackOptions{})
	require.NoError(t, err)
	mail, err := channel.NewSMTP(channel.SMTPConfig{Host: "Mail.Example.COM", From: "a@example.com", Hello: "out.example.com"})
	require.NoError(t, err)
	email, err := channel.NewEmailDriver(mail, channel.EmailOptions{})
	require.NoError(t, err)
	twilio, err := channel.NewTwilio(channel.TwilioConfig{AccountSID: twilioAccount, AuthToken: "x", From: "+14155550199"})
	require.NoError(t, err)
	sms, err := channel.NewSMSDriver(twilio, channel.SMSOptions{})
	require.NoError(t, err)
	other, err := channel.NewSMSDriver(&texts{}, channel.SMSOptions{})
	require.NoError(t, err)
	for _, c := range []struct {
		driver       channel.Driver
		config, want string
	}{
		{channel.NewWebhookDriver(client, channel.WebhookOptions{}), `{"url":"https://Shop.Example.com.:8443/hook"}`, "shop.example.com"},
		{channel.NewWebhookDriver(client, channel.WebhookOptions{}), `{"url":"http://[2606:4700:4700::1111]:8080/hook"}`, "2606:4700:4700::1111"},
		{slack, `{"webhook_url":"https://hooks.slack.com/services/T0/B0/x"}`, "hooks.slack.com"},
		{slack, `{"bot_token":"xoxb-1","channel_id":"C0123456789"}`, "slack.com"},
		{email, `{"to_addresses":["a@example.com"]}`, "mail.example.com"},
		{sms, `{"phone_numbers":["+14155550100"]}`, "api.twilio.com"},
		{other, `{"phone_numbers":["+14155550100"]}`, ""},
		{channel.Func(nil), `{}`, ""},
	} {
		opened, err := c.driver.Open([]byte(c.config))
		require.NoError(t, err, c.config)
		assert.Equal(t, c.want, channel.HostOf(opened), c.config)
	}
}
