package channel_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := channel.NewRegistry()
	none := channel.Func(func(context.Context, *channel.Message) (channel.Result, error) { return channel.Result{}, nil })
	require.NoError(t, r.Register("teams", none))
	require.NoError(t, r.Register(channel.NameInApp, none), "a reserved name is a user's to register")
	assert.Equal(t, []string{"in_app", "teams"}, r.Names())

	assert.Error(t, r.Register("teams", none), "taken")
	assert.Error(t, r.Register("empty", nil))
	for _, bad := range []string{"", "Teams", "a-b", "1a", "_a", "a b", strings.Repeat("a", 65)} {
		assert.Error(t, r.Register(bad, none), "%q", bad)
	}

	c, err := r.Open("teams", json.RawMessage(`{}`))
	require.NoError(t, err)
	require.NotNil(t, c)

	_, err = r.Open("pager", nil)
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, []event.Problem{{Field: "channel", Rule: `must be one of in_app, teams, not "pager"`}}, invalid.Problems)
}

func TestRegistryOpenErrors(t *testing.T) {
	t.Parallel()
	r := channel.NewRegistry()
	driver := func(c channel.Channel, err error) channel.Driver {
		return channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) { return c, err })
	}
	require.NoError(t, r.Register("wrong", driver(nil, &event.ValidationError{Problems: []event.Problem{{Field: "url", Rule: "is required"}, {Rule: "must be an object"}}})))
	require.NoError(t, r.Register("broken", driver(nil, errors.New("no idea"))))
	require.NoError(t, r.Register("nothing", driver(nil, nil)))

	_, err := r.Open("wrong", nil)
	assert.EqualError(t, err, "invalid: configs.url: is required; configs: must be an object")
	_, err = r.Open("broken", nil)
	assert.EqualError(t, err, "invalid: configs: no idea")
	_, err = r.Open("nothing", nil)
	assert.ErrorContains(t, err, "neither a channel nor an error")
}

// The client of one's own channels can be the one of the standard channels.
func TestStandardSharesAClient(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	client := devClient(t)
	r, err := channel.Standard(channel.StandardConfig{Client: client})
	require.NoError(t, err)
	_, err = post(t, client, url)
	require.NoError(t, err)

	c, err := r.Open("webhook", json.RawMessage(`{"url":"`+url+`"}`))
	require.NoError(t, err, "the client's rules hold: plain http is allowed")
	reused := false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	_, err = c.Send(ctx, message())
	require.NoError(t, err)
	assert.True(t, reused, "the connection too")

	_, err = channel.Standard(channel.StandardConfig{Client: client, HTTP: channel.HTTPConfig{UserAgent: "acme/1"}})
	assert.ErrorContains(t, err, "HTTP must be zero")
}

func TestStandard(t *testing.T) {
	t.Parallel()
	r, err := channel.Standard(channel.StandardConfig{})
	require.NoError(t, err)
	assert.Equal(t, []string{"slack", "webhook"}, r.Names())
	_, err = r.Open("email", json.RawMessage(`{"to_addresses":["a@example.com"]}`))
	assert.EqualError(t, err, `invalid: channel: "email" is not set up here: no mail server is configured`)
	_, err = r.Open("sms", json.RawMessage(`{}`))
	assert.EqualError(t, err, `invalid: channel: "sms" is not set up here: no provider of text messages is configured`)
	require.NoError(t, r.Register(channel.NameSMS, smsDriver(t, &texts{}, channel.SMSOptions{})), "it can be set up later")
	_, err = r.Open("sms", json.RawMessage(`{}`))
	assert.EqualError(t, err, `invalid: configs.phone_numbers: must hold at least one number`)

	smtp, err := channel.NewSMTP(channel.SMTPConfig{Host: "mail.example.com", From: "hooks@example.com"})
	require.NoError(t, err)
	r, err = channel.Standard(channel.StandardConfig{SMTP: smtp, SMS: &texts{}})
	require.NoError(t, err)
	assert.Equal(t, []string{"email", "slack", "sms", "webhook"}, r.Names())

	_, err = channel.NewEmailDriver(nil, channel.EmailOptions{})
	require.ErrorContains(t, err, "NewEmailDriver: the server is nil")
	_, err = channel.NewSMSDriver(nil, channel.SMSOptions{})
	require.ErrorContains(t, err, "NewSMSDriver: the provider is nil")
	_, err = channel.Standard(channel.StandardConfig{Slack: channel.SlackOptions{API: "nowhere"}})
	assert.Error(t, err)
}
