package standard_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/channel/standard"
)

// The client of one's own channels can be the one of the standard channels.
func TestSharesAClient(t *testing.T) {
	t.Parallel()
	conns := map[string]bool{}
	url := channelfixture.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		conns[r.RemoteAddr] = true
	})
	client := channelfixture.Client(t)
	r, err := standard.New(standard.Config{Client: client})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	require.NoError(t, err)
	_, err = client.Do(req)
	require.NoError(t, err)

	c, err := r.Open("webhook", json.RawMessage(`{"url":"`+url+`"}`))
	require.NoError(t, err, "the client's rules hold: plain http is allowed")
	_, err = c.Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	assert.Len(t, conns, 1, "the connection too")

	_, err = standard.New(standard.Config{Client: client,
		HTTP: channelkit.HTTPConfig{UserAgent: "acme/1"}})
	assert.ErrorContains(t, err, "HTTP must be zero")
}

func TestNew(t *testing.T) {
	t.Parallel()
	r, err := standard.New(standard.Config{})
	require.NoError(t, err)
	assert.Equal(t, []string{"slack", "webhook"}, r.Names())
	_, err = r.Open("email", json.RawMessage(`{"to_addresses":["a@example.com"]}`))
	assert.EqualError(t, err,
		`invalid: channel: "email" is not set up here: no mail server is configured`)
	_, err = r.Open("sms", json.RawMessage(`{}`))
	assert.EqualError(t, err,
		`invalid: channel: "sms" is not set up here: no provider of text messages is configured`)
	texts, err := sms.NewDriver(noTexts{}, sms.Options{})
	require.NoError(t, err)
	require.NoError(t, r.Register(sms.Name, texts), "it can be set up later")
	_, err = r.Open("sms", json.RawMessage(`{}`))
	assert.EqualError(t, err, `invalid: configs.phone_numbers: must hold at least one number`)

	smtp, err := email.NewSMTP(email.SMTPConfig{Host: "mail.example.com", From: "hooks@example.com"})
	require.NoError(t, err)
	r, err = standard.New(standard.Config{SMTP: smtp, SMS: noTexts{}})
	require.NoError(t, err)
	assert.Equal(t, []string{"email", "slack", "sms", "webhook"}, r.Names())

	_, err = email.NewDriver(nil, email.Options{})
	require.ErrorContains(t, err, "email: NewDriver: the server is nil")
	_, err = sms.NewDriver(nil, sms.Options{})
	require.ErrorContains(t, err, "sms: NewDriver: the provider is nil")
	_, err = standard.New(standard.Config{Slack: slack.Options{API: "nowhere"}})
	assert.Error(t, err)
}
