package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/event"
)

// What the stand-ins accept counts as delivered, so they must not accept
// anything.
func TestStandInsRefuse(t *testing.T) {
	t.Parallel()
	s, err := startStandIns(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.close()) })
	status := func(path, contentType, body string) int {
		resp, err := s.web.Client().Post(s.url+path, contentType, strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	assert.Equal(t, http.StatusBadRequest, status(slackPath, "application/json", "no JSON"))
	assert.Equal(t, http.StatusBadRequest, status(slackPath, "application/json", `{}`))
	assert.Equal(t, http.StatusNotFound,
		status("/services/of/others", "application/json", `{"text":"hello"}`))
	text := url.Values{"To": {"+14155550100"}, "Body": {"hello"}}.Encode()
	assert.Equal(t, http.StatusUnauthorized,
		status(twilioPath, "application/x-www-form-urlencoded", text))

	m, err := channel.NewMessage(event.New("invoice.paid",
		event.Subject{Type: "invoice", ID: "inv_1"}))
	require.NoError(t, err)
	stranger, err := email.NewSMTP(email.SMTPConfig{
		Host: s.mailHost, Port: s.mailPort, From: "a@example.com", Username: mailUser,
		Password:  "a wrong guess",
		TLSConfig: s.web.Client().Transport.(*http.Transport).TLSClientConfig,
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, stranger.Close()) })
	driver, err := email.NewDriver(stranger, email.Options{})
	require.NoError(t, err)
	mail, err := driver.Open([]byte(`{"to_addresses":["b@example.com"]}`))
	require.NoError(t, err)
	_, err = mail.Send(t.Context(), m)
	assert.Equal(t, channel.ClassAuth, channel.AsError(err).Class, "%v", err)

	for _, name := range []string{slack.Name, email.Name, sms.Name} {
		assert.Empty(t, s.received(name), name)
	}
}
