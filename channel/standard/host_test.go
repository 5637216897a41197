package standard_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	client := channelfixture.NewClient(t, channelkit.HTTPConfig{AllowHTTP: true})
	toSlack, err := slack.NewDriver(client, slack.Options{})
	require.NoError(t, err)
	mail, err := email.NewSMTP(email.SMTPConfig{Host: "Mail.Example.COM", From: "a@example.com",
		Hello: "out.example.com"})
	require.NoError(t, err)
	toMail, err := email.NewDriver(mail, email.Options{})
	require.NoError(t, err)
	twilio, err := sms.NewTwilio(sms.TwilioConfig{AccountSID: "AC" + strings.Repeat("0", 32),
		AuthToken: "x", From: "+14155550199"})
	require.NoError(t, err)
	toTwilio, err := sms.NewDriver(twilio, sms.Options{})
	require.NoError(t, err)
	other, err := sms.NewDriver(noTexts{}, sms.Options{})
	require.NoError(t, err)
	for _, c := range []struct {
		driver       channel.Driver
		config, want string
	}{
		{httpendpoint.NewDriver(client, httpendpoint.Options{}),
			`{"url":"https://Shop.Example.com.:8443/hook"}`, "shop.example.com"},
		{httpendpoint.NewDriver(client, httpendpoint.Options{}),
			`{"url":"http://[2606:4700:4700::1111]:8080/hook"}`, "2606:4700:4700::1111"},
		{toSlack, `{"webhook_url":"https://hooks.slack.com/services/T0/B0/x"}`, "hooks.slack.com"},
		{toSlack, `{"bot_token":"xoxb-1","channel_id":"C0123456789"}`, "slack.com"},
		{toMail, `{"to_addresses":["a@example.com"]}`, "mail.example.com"},
		{toTwilio, `{"phone_numbers":["+14155550100"]}`, "api.twilio.com"},
		{other, `{"phone_numbers":["+14155550100"]}`, ""},
		{channel.Func(nil), `{}`, ""},
	} {
		opened, err := c.driver.Open([]byte(c.config))
		require.NoError(t, err, c.config)
		assert.Equal(t, c.want, opened.Capabilities().Host, c.config)
	}
}
